"""Progress of an upgrade, for whoever waits for it: in a file beside the database, and logged.

The process that upgrades keeps a lock on the file, which ends with it. So nobody takes what a
killed upgrade has left there for one that goes on.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.lock import lock_upgrade, read_held_upgrade

log = logging.getLogger(__name__)

OnProgress = Callable[[int], None]
"""Receives the share that is done, percent."""
_OPERATIONS = 100_000
"""Of SQLite, between two looks at how far it is: some milliseconds."""
_LOG_S = 10.0
"""Time between two lines of the log; an upgrade of some seconds needs none."""


class UpgradeReport:
    """Tells how far an upgrade is.

    Args:
        path: the database.
        file: number of the open file of which others read it; ``None``: nobody is told.
    """

    def __init__(self, path: Path, file: int | None = None) -> None:
        self._path = path
        self._file = file
        self._percent = -1
        self._logged_s = clock.boot_seconds()
        self.show(0.0)

    def show(self, share: float) -> None:
        """Tell the share that is done, 0 to 1; a smaller one than before is not told."""
        percent = int(min(share, 0.99) * 100)
        if self._file is None or percent <= self._percent:
            return
        self._percent = percent
        # Over what is there: this needs no space on a full disk.
        with suppress(OSError):
            os.pwrite(self._file, f"{percent:3d}\n".encode("ascii"), 0)
        if clock.boot_seconds() >= self._logged_s + _LOG_S:
            self._logged_s = clock.boot_seconds()
            log.warning("%s: is being upgraded, %d %% is done", self._path, percent)

    @contextmanager
    def counting(
        self, connection: sqlite3.Connection, start: float, end: float, operations: float
    ) -> Iterator[None]:
        """Show the way from one share to another while the block works on a connection.

        Args:
            connection: whose work is counted.
            start: share that is done before.
            end: share that is done afterwards.
            operations: about so many of SQLite the block needs.
        """
        if self._file is None:  # what interrupts a statement that takes too long stays
            yield
            return
        done = 0

        def count() -> int:
            nonlocal done
            done += _OPERATIONS
            self.show(start + (end - start) * min(done / operations, 1.0))
            return 0

        connection.set_progress_handler(count, _OPERATIONS)
        try:
            yield
        finally:
            connection.set_progress_handler(None, 0)
        self.show(end)


@contextmanager
def reported_upgrade(path: Path) -> Iterator[UpgradeReport]:
    """Let others see that the database at ``path`` is upgraded, in the block.

    Raises:
        StoreError: the folder cannot be written.
    """
    with lock_upgrade(path) as file:
        yield UpgradeReport(path, file)


def percent_upgraded(path: Path) -> int | None:
    """Return how far the upgrade of a database is, percent; ``None``: no process upgrades it."""
    told = read_held_upgrade(path).strip()
    return int(told) if told.isdecimal() else None


def refuse_during_upgrade(path: Path) -> None:
    """Refuse a database that another process upgrades just now.

    Raises:
        StoreError: it does; the text says how far it is.
    """
    percent = percent_upgraded(path)
    if percent is not None:
        raise StoreError(
            f"{path}: is being upgraded to this release just now, {percent} % is done. Wait until "
            "that has ended, then try again. Do not stop agent and dashboard meanwhile: an upgrade "
            "that is cut short begins anew."
        )
