"""The worker that carries the timeline over, while recording goes on in the new database."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice

from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StoreError
from edge_agent.core.files import RESERVED_BYTES, room_in
from edge_agent.core.threads import Worker
from edge_agent.timeline.database.connection import connect, read_transaction, transaction
from edge_agent.timeline.database.files import translate_errors
from edge_agent.timeline.database.import_step import fill_import_columns
from edge_agent.timeline.database.salvages import Salvage, read_salvages, write_salvages
from edge_agent.timeline.salvage.pages import open_pages
from edge_agent.timeline.salvage.rescue import Rescue, note_counts
from edge_agent.timeline.salvage.row_copying import Copying, DamagedDatabase

log = logging.getLogger(__name__)

PORTION_S = 0.3
"""Processor time of one transaction: the recorder waits for it.

By the clock a busy machine would let the work get less and less done in each.
"""
LONGEST_S = 2.0
"""By the clock a transaction ends after this and ``FEWEST_PAGES``: a failing card reads slowly."""
FEWEST_PAGES = 20
PAUSE_S = 0.1
RETRY_S = 30.0


class BackgroundCopying(Worker):
    """Carries the timeline over in portions, and continues where it stopped after a restart.

    Its errors never stop the agent: a failed portion is retried later.

    Args:
        rescue: tells when there is something to do.
        pause_s: between two portions.
    """

    def __init__(self, rescue: Rescue, pause_s: float = PAUSE_S) -> None:
        super().__init__("salvage")
        self._rescue = rescue
        self._path = rescue.path
        self._pause_s = pause_s
        self._salvages: list[Salvage] = []
        # An earlier run may have ended before its salvage was done.
        rescue.changed.set()

    def work(self) -> None:
        """Carry over whatever waits, until stopped."""
        while not self.stopping.is_set():
            if not self._rescue.changed.wait(RETRY_S):
                continue
            if self.stopping.is_set():
                return
            self._rescue.changed.clear()
            try:
                self._carry_all()
            except (StoreError, OSError) as error:
                log.warning("the rest of the timeline is carried over later: %s", error)
                if isinstance(error, StoreError):
                    self._rescue.report(error)
                self.stopping.wait(RETRY_S)
                self._rescue.changed.set()

    def stop(self) -> None:
        """Ask the thread to end after its portion."""
        super().stop()
        # Wakes the thread, which may wait for this event.
        self._rescue.changed.set()

    def sentence(self) -> str | None:
        """Return a sentence on damaged, lost and salvaged rows; ``None`` without a salvage.

        It ends with the file: once somebody has taken care of it and deleted it.
        """
        told = [
            _sentence(one)
            for one in self._salvages
            if (self._path.parent / one.file).exists() or not one.is_done
        ]
        return " ".join(told) or None

    def _carry_all(self) -> None:
        with read_transaction(self._path) as connection:
            self._salvages = read_salvages(connection)
        try:
            for salvage in self._salvages:
                if not salvage.is_done:
                    self._carry(salvage)
        except _OtherDatabaseError:
            # Look again: the newest database has a list of salvages of its own.
            self._rescue.changed.set()

    def _carry(self, salvage: Salvage) -> None:
        source_path = self._path.parent / salvage.file
        if not source_path.exists():
            with self._changing(salvage):
                salvage.left = []
                salvage.note = "the file was gone before its timeline was carried over"
            return
        with translate_errors(source_path), open_pages(source_path) as pages:
            source = DamagedDatabase(pages)
            while salvage.left and not self.stopping.is_set():
                self._check_space(salvage)
                self._carry_table(salvage, source)
        if salvage.is_done:
            log.warning("the salvage of %s is done: %s", salvage.file, salvage.rows)

    def _carry_table(self, salvage: Salvage, source: DamagedDatabase) -> None:
        """Carry over a table in portions, each in one transaction."""
        name = salvage.left[0]
        numbers = source.pages_of(name) if name in source.tables else iter(())
        # A count is enough to go on: ``pages_of`` always gives the same order.
        for _ in islice(numbers, salvage.pages_done):
            pass
        source.damage.forget()  # what an earlier run met on this way, it has counted
        while not self.stopping.is_set():
            with self._changing(salvage) as connection:
                copying = Copying(source, connection)
                more = _copy_pages(copying, name, numbers, salvage)
                if not more:
                    salvage.left = salvage.left[1:]
                    salvage.pages_done = 0
                if salvage.is_done:
                    fill_import_columns(connection)
                note_counts(salvage, copying, source)
            if not more:
                return
            self.stopping.wait(self._pause_s)
            self._check_space(salvage)

    @contextmanager
    def _changing(self, salvage: Salvage) -> Iterator[sqlite3.Connection]:
        """Open a transaction that stores the progress of a salvage when it ends.

        Raises:
            _OtherDatabaseError: the database was rescued meanwhile, and knows more or less of it.
        """
        with (
            translate_errors(self._path),
            closing(connect(self._path, readonly=False)) as connection,
        ):
            # As in the rescue: rows come in any order.
            connection.execute("PRAGMA foreign_keys=OFF")
            with transaction(connection):
                stored = read_salvages(connection)
                known = [(one.file, one.at_ms, one.left, one.pages_done) for one in stored]
                own = (salvage.file, salvage.at_ms, salvage.left, salvage.pages_done)
                if own not in known:
                    raise _OtherDatabaseError
                yield connection
                stored[known.index(own)] = salvage
                write_salvages(connection, stored)

    def _check_space(self, salvage: Salvage) -> None:
        # A salvaged timeline lies beside the file it comes from, and what is new is recorded.
        room = room_in(self._path.parent)
        salvage.note = ""
        if room < 0:
            free = (room + RESERVED_BYTES) / 1e6
            salvage.note = f"the rest waits, for only {free:.0f} MB are free"
            raise StoreError(
                f"{self._path}: only {free:.0f} MB are free; the rest of {salvage.file} is "
                f"carried over once there are {RESERVED_BYTES / 1e6:.0f} MB. Free space."
            )


class _OtherDatabaseError(Exception):
    """The database is not the one that the work began with."""


def _copy_pages(copying: Copying, name: str, numbers: Iterator[int], salvage: Salvage) -> bool:
    """Carry over pages for one transaction; return whether there may be more."""
    begun_s = clock.boot_seconds()
    used_s = clock.thread_cpu_seconds()
    for count, number in enumerate(numbers, start=1):
        salvage.pages_done += 1
        # The rescue has carried the newest page over already; see ``Copying.newest``.
        if number != salvage.newest.get(name):
            copying.page(name, number)
        is_long = count >= FEWEST_PAGES and clock.boot_seconds() - begun_s >= LONGEST_S
        if is_long or clock.thread_cpu_seconds() - used_s >= PORTION_S:
            return True
    return False


def _sentence(salvage: Salvage) -> str:
    rows = sum(salvage.rows.values())
    people = salvage.rows.get("participant", 0)
    sessions = salvage.rows.get("session", 0)
    parts = [
        f"The database could not be used at {iso_utc(salvage.at_ms)[:19]}Z ({salvage.cause}).",
        f"Salvaged into a new one: {rows} rows, of these {people} participants and",
        f"{sessions} sessions.",
    ]
    if salvage.lost_pages or salvage.lost_rows:
        parts.append(f"Not readable: {salvage.lost_pages} pages and {salvage.lost_rows} rows.")
    if salvage.refused:
        parts.append(f"{salvage.refused} damaged rows are in the table set_aside.")
    if salvage.note:
        parts.append(f"Note: {salvage.note}.")
    elif not salvage.is_done:
        parts.append("The timeline is still being carried over.")
    parts.append(
        f"The old file is {salvage.file}: copy it away, then delete it here, which ends this alarm."
    )
    return " ".join(parts)
