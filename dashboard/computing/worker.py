"""``python -m dashboard.computing.worker NUMBER``: the process that computes statistics.

It takes tasks from the socket with that number and answers each. When the dashboard closes the
socket, or nobody asks for a while, it ends, and its memory is free again: SciPy and what a large
study needs would otherwise stay in the dashboard until that ends.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from dashboard.computing.tasks import answer_tasks
from edge_agent.core.logs import PLAIN, log_to_stderr

_PR_SET_DUMPABLE = 4  # of prctl(2)


def main() -> None:
    """Answer the dashboard that started this process."""
    log_to_stderr(logging.WARNING, PLAIN)
    _step_back()
    answer_tasks(Connection(int(sys.argv[1])))


def _step_back() -> None:
    """Let others go first, be the first that must end for want of memory, and leave no core dump,
    for health data could be in it. Where the system forbids a part of it, the others hold.
    """
    with suppress(OSError):
        os.nice(5)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900", encoding="ascii")
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)


if __name__ == "__main__":
    main()
