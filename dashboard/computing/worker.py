"""``python -m dashboard.computing.worker NUMBER``: the process that computes statistics.

It takes tasks from the socket with that number and answers each. When the dashboard closes the
socket, or nobody asks for a while, it ends, and its memory is free again: SciPy and what a large
study needs would otherwise stay in the dashboard until that ends.
"""

from __future__ import annotations

import logging
import sys
from multiprocessing.connection import Connection

from dashboard.computing.tasks import answer_tasks
from edge_agent.core.helper.rights import limit_process
from edge_agent.core.logs import PLAIN, log_to_stderr


def main() -> None:
    """Answer the dashboard that started this process."""
    log_to_stderr(logging.WARNING, PLAIN)
    limit_process(None, nice=5)
    answer_tasks(Connection(int(sys.argv[1])))


if __name__ == "__main__":
    main()
