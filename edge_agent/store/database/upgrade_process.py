"""An upgrade in a process of its own: what it loads goes with it, and the agent stays small."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

from edge_agent.core.errors import DamageError, StoreError
from edge_agent.core.logs import log_to_stderr
from edge_agent.core.process import run_to_end
from edge_agent.store.database.upgrade import is_older, migrate

_FAILED, _DAMAGED = 3, 4
"""Exit codes of the process; it prints the error."""


def migrate_apart(path: Path) -> None:
    """Create or upgrade a database as ``migrate``, for the agent that holds its lock.

    Raises:
        StoreError: as ``migrate``; the process was killed.
        DamageError: as ``migrate``.
    """
    if is_older(path):
        words = (sys.executable, "-P", "-m", __name__, str(path.absolute()))
        done = run_to_end(*words, capture_output=False, stdout=subprocess.PIPE)
        told = done.stdout.strip()
        if done.returncode == _DAMAGED:
            raise DamageError(told)
        if done.returncode:
            ended = f"{path}: its upgrade was cut short ({done.returncode}). Start again."
            raise StoreError(told or ended)
    migrate(path, is_locked=True)


def main() -> None:
    """Upgrade the database that is named; the caller holds the agent's lock."""
    log_to_stderr(logging.WARNING)
    try:
        migrate(Path(sys.argv[1]), is_locked=True)
    except StoreError as error:
        print(error)
        sys.exit(_DAMAGED if isinstance(error, DamageError) else _FAILED)


if __name__ == "__main__":
    main()
