"""Erasing a participant: no byte of theirs stays in the database, its log and its copies."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from edge_agent.core import clock
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.texts import N_
from edge_agent.store.database.replacement import LOGS
from edge_agent.store.database.salvage_state import Salvage, read_salvages
from edge_agent.store.database.schema import (
    connect,
    connect_any,
    copies_beside,
    read_transaction,
    transaction,
)
from edge_agent.store.database.set_aside_files import delete_set_aside, set_aside_beside
from edge_agent.store.database.sqlite_errors import store_error, translate_errors
from edge_agent.store.export.prepared import delete_prepared_exports
from edge_agent.store.study.study_rows import insert_audit
from edge_agent.store.upkeep.copies import mark_anew
from edge_agent.store.upkeep.copy_report import read_report, write_report
from edge_agent.store.upkeep.erasure_rows import ErasedRows, erase_rows, sessions_to_erase
from edge_agent.store.upkeep.scrub import scrub
from edge_agent.store.write.outbox import OutboxMessage, enqueue

log = logging.getLogger(__name__)

RETAINED = ("session", "emotion")
"""Topics that a broker may have kept for later subscribers.

An empty retained message clears them.
"""
BEYOND_REACH = N_(
    "The broker clears the last messages, and what waits for the subscribers that "
    "mqtt.durable_subscribers names, as soon as the agent is connected to it. Not reached from "
    "here: what waits for other subscribers that are away, what subscribers have already, and "
    "other brokers to which it was passed on. The broker's own file keeps the old bytes until it "
    "saves: the one that was installed here within five minutes, others when they do so; at once, "
    "with Mosquitto on this device: sudo systemctl kill --signal=SIGUSR1 mosquitto"
)
"""What an erasure cannot reach at the broker, for people."""
PATIENCE_S = 15.0
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
        places_unreached: folders of ``backup.also`` whose copies could not be rewritten.
        days_removed: days of the rollups that are gone whole: no finer sum of them was kept.
    """

    rows: dict[str, int]
    minutes: int
    minutes_removed: int
    copies: tuple[str, ...]
    copies_deleted: tuple[str, ...]
    compacted: bool
    places_unreached: tuple[str, ...] = ()
    days_removed: int = 0

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
        if self.days_removed:
            parts.append(
                f"Whole days removed, for only their sums were kept: {self.days_removed:,}."
            )
        if self.copies:
            parts.append(f"Copies rewritten: {', '.join(self.copies)}.")
        if self.copies_deleted:
            parts.append(
                f"Copies deleted, for they could not be read: {', '.join(self.copies_deleted)}."
            )
        if self.places_unreached:
            parts.append(self.unreached_sentence)
        parts.append(BEYOND_REACH)
        return " ".join(parts)

    @property
    def beyond_reach(self) -> str:
        """What is left at the broker, for people."""
        return BEYOND_REACH

    @property
    def unreached_sentence(self) -> str:
        """Where copies still hold the participant, and how they go; empty: nowhere."""
        if not self.places_unreached:
            return ""
        return (
            f"The copies in {', '.join(self.places_unreached)} could not be reached and still hold "
            "the participant. Put the stick or share back: the next nightly copy there takes "
            "their place. Or delete them by hand."
        )


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
        if rows is not None:
            delete_prepared_exports(path.parent)
        compacted = rows is not None and scrub(path, connection, rows.texts)
        copies, deleted = _erase_copies(
            path, code, _elsewhere(path, salvages), known=rows is not None
        )
        erased = rows is not None or bool(copies)
        elsewhere, unreached = _erase_second_places(path, code, erased=erased)
        copies += elsewhere
        if rows is None:  # an earlier attempt may have come this far
            if not copies:
                raise StudyError(f"There is no participant {code!r}; nothing was erased.")
            delete_prepared_exports(path.parent)
            rows = ErasedRows({}, 0, 0, 0, frozenset())
    log.info("a participant was erased")
    changed = (rows.minutes, rows.minutes_removed)
    return Erasure(rows.rows, *changed, copies, deleted, compacted, unreached, rows.days_removed)


def is_erasable(path: Path, code: str) -> bool:
    """Tell whether there is such a participant, of whom ``erase_participant`` would delete rows.

    Raises:
        StudyError: a session of theirs is open.
        StoreError: the database cannot be read, or is still being salvaged from a damaged one.
    """
    with read_transaction(path) as connection:
        _refuse_while_salvaging(path, read_salvages(connection))
        return sessions_to_erase(connection, code) is not None


def _refuse_while_salvaging(path: Path, salvages: Iterable[Salvage]) -> None:
    """Refuse while rows still come from a database that was set aside: theirs would come, too."""
    for salvage in salvages:
        if not salvage.is_done:
            raise StoreError(
                f"{path}: the rows of {salvage.file} are still being carried over, theirs "
                "perhaps among them; nothing was erased. Let the agent run, and erase again "
                "in some minutes: the health page says when it is done."
            )


def _elsewhere(path: Path, salvages: Iterable[Salvage]) -> list[Path]:
    """Return the databases that were moved to other folders and are still there."""
    files = [path.parent / salvage.file for salvage in salvages]
    return [file for file in files if file.parent != path.parent and file.exists()]


def _record(connection: sqlite3.Connection, actor: str, rows: ErasedRows) -> None:
    detail = f"{rows.rows.get('session', 0)} sessions"
    insert_audit(connection, actor, "participant_erase", detail, clock.now())


def _erase_copies(
    path: Path, code: str, elsewhere: Iterable[Path] = (), *, known: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Erase the participant from the copies of the database too, beside it or ``elsewhere``.

    Delete those that cannot be read, and damaged databases that were set aside: nobody can tell
    what they hold, and what was readable is in the present one. But delete nothing for a
    participant of whom nobody knows: the code may be mistyped.
    """
    rewritten = []
    unreadable = []
    for copy in [*copies_beside(path), *elsewhere]:
        try:
            held_participant = erase_from_copy(copy, code)
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF not in _UNREADABLE:
                raise store_error(copy, error) from error
            unreadable.append(copy)
        except StoreError:  # a copy of something else
            unreadable.append(copy)
        else:
            rewritten += [copy.name] if held_participant else []
    if not known and not rewritten:
        return (), ()
    damaged = set_aside_beside(path)
    for file in damaged:
        delete_set_aside(file)
    for file in unreadable:
        _delete_copy(file)
    return tuple(rewritten), tuple(file.name for file in (*damaged, *unreadable))


def _delete_copy(copy: Path) -> None:
    """Delete a copy; one that a restore set aside has its log beside it."""
    for end in ("", *LOGS):
        copy.with_name(copy.name + end).unlink(missing_ok=True)


def _erase_second_places(
    path: Path, code: str, *, erased: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Erase the participant from the copies in other folders.

    Return the copies that were rewritten, and the folders that could not be reached. Those are
    written down, so that the next copy there replaces the others.
    """
    rewritten: list[str] = []
    unreached: list[str] = []
    report = read_report(path)
    for folder in report.places:
        try:
            copies, _ = _erase_copies(Path(folder, path.name), code, known=erased)
            if not copies and not Path(folder).is_dir():
                unreached.append(folder)
        except (StoreError, OSError):
            unreached.append(folder)
        else:
            rewritten += [str(Path(folder, name)) for name in copies]
    if unreached and erased:
        now_ms = clock.now().wall_ms
        places = {**report.places, **dict.fromkeys(unreached, now_ms)}
        write_report(path, replace(report, places=places))
    return tuple(rewritten), tuple(unreached)


def erase_from_copy(copy: Path, code: str) -> bool:
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
                # else a copy would count as fuller, and stay, for what was erased from it
                mark_anew(connection)
        if rows is not None:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return rows is not None
