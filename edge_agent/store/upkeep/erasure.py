"""Erasing a participant: no byte of theirs stays in the database, its log and its copies."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edge_agent.core import clock
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.store.database.schema import connect, connect_any, copies_beside, transaction
from edge_agent.store.database.set_aside_files import delete_set_aside, set_aside_beside
from edge_agent.store.database.sqlite_errors import store_error, translate_errors
from edge_agent.store.export.prepared import delete_prepared_exports
from edge_agent.store.salvage.state import Salvage, read_salvages
from edge_agent.store.upkeep.erasure_rows import ErasedRows, erase_rows
from edge_agent.store.write.outbox import OutboxMessage, enqueue

log = logging.getLogger(__name__)

RETAINED = ("session", "emotion")
"""Topics that a broker may have kept for later subscribers.

An empty retained message clears them.
"""
PATIENCE_S = 15.0
_CHUNK = 1 << 20
_SHORTEST_TEXT = 3
_UNREADABLE = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR}


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased, without a word about whose.

    Attributes:
        rows: deleted rows by table.
        minutes: minutes of the rollups that were computed anew.
        minutes_removed: of these, how many are gone.
        copies: names of the copies of the database that were rewritten without the participant.
        copies_deleted: names of copies that could not be read, and were deleted.
        compacted: whether the file was written anew, for it still held old bytes.
    """

    rows: dict[str, int]
    minutes: int
    minutes_removed: int
    copies: tuple[str, ...]
    copies_deleted: tuple[str, ...]
    compacted: bool

    NAMES: ClassVar[Mapping[str, str]] = {
        "session": "sessions",
        "expression": "expression rows",
        "unfit": "counts of unreadable frames",
        "vital": "readings",
        "marker": "markers and notes",
        "self_report": "self-reports",
        "protocol_run": "protocols that were run",
        "consent": "consents",
        "gap": "gaps",
        "outbox": "waiting messages",
    }

    @property
    def sentence(self) -> str:
        """What was erased, for people."""
        counted = ", ".join(
            f"{self.rows.get(table, 0):,} {name}" for table, name in self.NAMES.items()
        )
        parts = [
            f"Erased: {counted}.",
            (
                f"Rollups: {self.minutes:,} minutes computed anew, "
                f"{self.minutes_removed:,} of them removed."
            ),
        ]
        if self.copies:
            parts.append(f"Copies rewritten: {', '.join(self.copies)}.")
        if self.copies_deleted:
            parts.append(
                f"Copies deleted, for they could not be read: {', '.join(self.copies_deleted)}."
            )
        return " ".join(parts)


def erase_participant(
    path: Path, code: str, *, actor: str, outbox_rows: int = 50_000, patience_s: float = PATIENCE_S
) -> Erasure:
    """Erase a participant.

    Rows, rollups, messages, retained topics, prepared exports and copies of the database.

    Safe beside a running agent: what it still holds in memory of the erased time is not written any
    more.

    Args:
        path: the database.
        code: of the participant.
        actor: who asked for it; goes into the audit, the code does not.
        outbox_rows: messages kept in the outbox at the most.
        patience_s: how long to wait for others who read or write.

    Raises:
        StudyError: there is no such participant, or a session of theirs is open. Nothing was
            erased.
        StoreError: the database cannot be written, is held open by a reader that does not end, or
            is still being salvaged from a damaged one.
    """
    with (
        translate_errors(path),
        closing(connect(path, readonly=False, busy_seconds=patience_s)) as connection,
    ):
        salvages = read_salvages(connection)
        _refuse_while_salvaging(path, salvages)
        with transaction(connection):
            rows = erase_rows(connection, code)
            if rows is not None:
                _record(connection, actor, rows)
                for topic in RETAINED:
                    enqueue(connection, OutboxMessage(topic, None, sequenced=False), outbox_rows)
        # After the commit: an export that began before it would bring the participant back.
        delete_prepared_exports(path.parent)
        compacted = rows is not None and _scrub(path, connection, rows.texts)
        copies, deleted = _erase_copies(path, code, _elsewhere(path, salvages))
        if rows is None:  # an earlier attempt may have come this far
            if not copies:
                raise StudyError(f"There is no participant {code!r}; nothing was erased.")
            rows = ErasedRows({}, 0, 0, frozenset())
    log.info("a participant was erased")
    return Erasure(rows.rows, rows.minutes, rows.minutes_removed, copies, deleted, compacted)


def _refuse_while_salvaging(path: Path, salvages: Iterable[Salvage]) -> None:
    """Refuse while rows still come from a database that was set aside: theirs would come, too."""
    for salvage in salvages:
        if not salvage.is_done:
            raise StoreError(
                f"{path}: the rows of {salvage.file} are still being carried over, theirs perhaps "
                "among them; nothing was erased. Let the agent run, and erase again in some "
                "minutes: the health page says when it is done."
            )


def _elsewhere(path: Path, salvages: Iterable[Salvage]) -> list[Path]:
    """Return the databases that were moved to other folders and are still there."""
    found = [path.parent / salvage.file for salvage in salvages]
    return [file for file in found if file.parent != path.parent and file.exists()]


def _record(connection: sqlite3.Connection, actor: str, rows: ErasedRows) -> None:
    connection.execute(
        "INSERT INTO audit (at, actor, action, detail) VALUES (?, ?, 'participant_erase', ?)",
        (clock.now().wall_ms, actor, f"{rows.rows.get('session', 0)} sessions"),
    )


def _scrub(path: Path, connection: sqlite3.Connection, texts: Iterable[str]) -> bool:
    """Leave no old bytes in file and log; return whether the file had to be written anew for that.

    ``secure_delete`` overwrites what is deleted, but a page that SQLite has rearranged before may
    hold older copies.
    """
    # First the log, whose frames hold the pages as they were before; only then does the file have
    # all that is left, and can be searched.
    _empty_log(path, connection)
    if not _holds(path, texts):
        return False
    connection.execute("VACUUM")
    # VACUUM writes the new file through the log: it is emptied again.
    _empty_log(path, connection)
    return True


def _empty_log(path: Path, connection: sqlite3.Connection) -> None:
    """Write the log into the file and empty it; wait for present readers.

    Raises:
        StoreError: a reader did not end in time.
    """
    if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        raise StoreError(
            f"{path}: the rows are erased, but another program keeps the file open, and its log "
            f"{path.name}-wal still holds them. Close what reads it (an export, a database "
            "browser), then restart the agent and the dashboard: that empties the log."
        )


def _holds(path: Path, texts: Iterable[str]) -> bool:
    """Tell whether the bytes of a text are in the file, in upper or lower case."""
    wanted = [text.lower().encode() for text in texts if len(text) >= _SHORTEST_TEXT]
    if not wanted:
        return False
    overlap = max(map(len, wanted)) - 1
    kept = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            window = kept + chunk.lower()
            if any(text in window for text in wanted):
                return True
            kept = window[-overlap:] if overlap else b""
    return False


def _erase_copies(
    path: Path, code: str, elsewhere: list[Path]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Erase the participant from the copies of the database too, beside it or ``elsewhere``.

    Delete those that cannot be read, and damaged databases that were set aside: nobody can tell
    what they hold, and what was readable is in the present one.
    """
    rewritten = []
    deleted = []
    for damaged in set_aside_beside(path):
        delete_set_aside(damaged)
        deleted.append(damaged.name)
    for copy in [*copies_beside(path), *elsewhere]:
        try:
            held_participant = _erase_copy(copy, code)
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF not in _UNREADABLE:
                raise store_error(copy, error) from error
            copy.unlink()
            deleted.append(copy.name)
        except StoreError:  # a copy of something else
            copy.unlink()
            deleted.append(copy.name)
        else:
            rewritten += [copy.name] if held_participant else []
    return tuple(rewritten), tuple(deleted)


def _erase_copy(copy: Path, code: str) -> bool:
    """Erase the participant from a copy of any schema; return whether they were in it."""
    with closing(connect_any(copy)) as connection:
        # An open session of that time has no end; the copy is no timeline that anybody records
        # into.
        with transaction(connection):
            connection.execute(
                "UPDATE session SET ended = max(started, (SELECT coalesce(max(at), 0) + 1 FROM "
                "expression), (SELECT coalesce(max(at), 0) + 1 FROM vital)) WHERE ended IS NULL "
                "AND participant = (SELECT id FROM participant WHERE code = ?)",
                (code,),
            )
            rows = erase_rows(connection, code)
        if rows is not None:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return rows is not None
