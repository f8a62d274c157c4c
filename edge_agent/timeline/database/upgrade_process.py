"""An upgrade in a process of its own: what it loads goes with it, and the agent stays small."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_agent.core.errors import DamageError, StoreError
from edge_agent.core.logs import log_to_stderr
from edge_agent.core.process import SystemdNotifier, run_to_end
from edge_agent.timeline.database.upgrade import is_older, migrate
from edge_agent.timeline.database.upgrade_progress import OnProgress, percent_upgraded

_FAILED, _DAMAGED = 3, 4
"""Exit codes of the process; it prints the error."""
_LOCKED = "locked"
"""Word that says that the caller holds the agent's lock."""
_LOOK_S = 1.0
_STUCK_S = 900.0
"""An upgrade that comes no percent further for so long may be ended by systemd."""


def migrate_apart(
    path: Path, *, is_locked: bool = False, on_progress: OnProgress | None = None
) -> None:
    """Create or upgrade a database as ``migrate``.

    Args:
        path: the database.
        is_locked: whether the caller holds the agent's lock.
        on_progress: gets how far an upgrade is, of this process or another, in another thread.

    Raises:
        StoreError: as ``migrate``; the process was killed.
        DamageError: as ``migrate``.
    """
    if is_older(path):
        words = [sys.executable, "-P", "-m", __name__, str(path.absolute())]
        words += [_LOCKED] if is_locked else []
        # What SQLite sorts lies beside the database, where there is room for it.
        place = {"SQLITE_TMPDIR": str(path.absolute().parent)}
        with _watched(path, on_progress):
            done = run_to_end(
                *words, capture_output=False, stdout=subprocess.PIPE, env=os.environ | place
            )
        told = done.stdout.strip()
        if done.returncode == _DAMAGED:
            raise DamageError(told)
        if done.returncode:
            ended = f"{path}: its upgrade was cut short ({done.returncode}). Start again."
            raise StoreError(told or ended)
    migrate(path, is_locked=is_locked)


@contextmanager
def _watched(path: Path, on_progress: OnProgress | None) -> Iterator[None]:
    """Tell how far an upgrade is as often as it is further, while the block waits for it."""
    if on_progress is None:
        yield
        return
    told, ended = on_progress, threading.Event()

    def watch() -> None:
        last = None
        while not ended.wait(_LOOK_S):
            percent = percent_upgraded(path)
            if percent not in {None, last}:
                told(percent)
                last = percent

    watcher = threading.Thread(target=watch, name="upgrade", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def told_to_systemd(notifier: SystemdNotifier) -> OnProgress:
    """Return what shows the progress in ``systemctl status``, and has systemd wait for the end."""

    def tell(percent: int) -> None:
        notifier.extend_start(_STUCK_S)
        notifier.status(f"upgrading the database, {percent} % is done")

    return tell


def main() -> None:
    """Upgrade the database that is named; a second word says that the caller holds the lock."""
    log_to_stderr(logging.WARNING)
    path, *more = sys.argv[1:]
    try:
        migrate(Path(path), is_locked=_LOCKED in more)
    except StoreError as error:
        print(error)
        sys.exit(_DAMAGED if isinstance(error, DamageError) else _FAILED)


if __name__ == "__main__":
    main()
