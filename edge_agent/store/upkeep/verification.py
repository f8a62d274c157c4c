"""Whether a database is sound, and how much of the study is in it."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import math
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import connect_any, refuse_other_version
from edge_agent.store.database.sqlite_errors import translate_errors
from edge_agent.store.salvage.noted_damage import forget_damage, note_damage
from edge_agent.store.upkeep.soundness import look_at

ROWS_DELETED = "rows_deleted"
"""Key in ``setting``: rows of the timeline that retention and disk budget have deleted so far."""
_TIMELINE = ("expression", "unfit", "vital")
_STUDY = ("consent", "marker", "self_report", "protocol_run")
_LEAST_SHARE = 0.9
"""A database that holds less than this share of what another one holds is much smaller."""


@dataclass(frozen=True, slots=True, order=True)
class Contents:
    """How much is in a database; of two, the greater one is the fuller one.

    What is counted never becomes less by itself: rows that retention and disk budget deleted count
    on, and erasing a participant reaches the copies, too.

    Attributes:
        sessions: sessions.
        participants: participants.
        study: consents, markers, self-reports and protocols that were run.
        recorded: rows of the timeline, with those that were deleted for their age or for space.
    """

    sessions: int
    participants: int
    study: int
    recorded: int

    def is_much_smaller_than(self, other: Contents) -> bool:
        """Tell whether a session or participant is missing, or a tenth of something else."""
        return (
            self.sessions < other.sessions
            or self.participants < other.participants
            or self.study < _LEAST_SHARE * other.study
            or self.recorded < _LEAST_SHARE * other.recorded
        )


def read_contents(connection: sqlite3.Connection) -> Contents:
    """Count what is in a database.

    Raises:
        sqlite3.Error: a table cannot be read.
    """

    def rows(*tables: str) -> int:
        counts = (connection.execute(f"SELECT count(*) FROM {t}") for t in tables)
        return sum(cursor.fetchone()[0] for cursor in counts)

    deleted = connection.execute(
        "SELECT value FROM setting WHERE key = ?", (ROWS_DELETED,)
    ).fetchone()
    recorded = rows(*_TIMELINE)
    if deleted:
        recorded += int(deleted[0])
    return Contents(rows("session"), rows("participant"), rows(*_STUDY), recorded)


def verify(copy: Path) -> None:
    """Read a copy from the disk and make sure that it could take the place of the database.

    Raises:
        StoreError: it is damaged, none of ours, of another version, or cannot be read.
    """
    with translate_errors(copy):
        forget_cached_pages(copy)
        with closing(connect_any(copy)) as connection:
            refuse_other_version(copy, connection.execute("PRAGMA user_version").fetchone()[0])
    faults = look_at(copy, deep=True, within_s=math.inf).faults
    if faults:
        raise StoreError(f"{copy}: is damaged ({faults[0]}).")


def note_what_is_torn(path: Path, within_s: float) -> str | None:
    """Look through a database in use, and leave word for the agent where its file is damaged.

    Args:
        path: the database.
        within_s: seconds after which the look ends.

    Returns:
        What is damaged; ``None``: nothing, or the look took too long.

    Raises:
        StoreError: it cannot be read, or the folder cannot be written.
    """
    with translate_errors(path):
        forget_cached_pages(path)
    soundness = look_at(path, deep=True, within_s=within_s)
    if not soundness.is_torn:
        if soundness.complete:
            forget_damage(path)
        return None
    note_damage(path, f"SQLite says: {soundness.faults[0]}")
    return soundness.faults[0]


def forget_cached_pages(path: Path) -> None:
    """Have the kernel read the file from the disk again: a bad card gives back something else."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)
