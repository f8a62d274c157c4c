"""``affect-edge`` on a machine whose time service is a file of the test: see ``clock``.

FAULTS_CLOCK_FLAG=FILE python -m tests.faults.agents.faked …
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from affect_edge import main
from edge_agent.core import clock

FLAG = "FAULTS_CLOCK_FLAG"

if __name__ == "__main__":
    flag = Path(os.environ[FLAG])
    clock.is_synchronised = partial(clock.is_synchronised, flag)
    clock.synchronised_ms = partial(clock.synchronised_ms, flag)
    main()
