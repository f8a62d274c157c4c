"""The erasure of a participant: no byte of theirs stays in the database, its log and its copies."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.study import ENTERED
from edge_agent.core.texts import N_
from edge_agent.timeline.database import files
from edge_agent.timeline.database.connection import (
    connect,
    connect_any,
    read_transaction,
    transaction,
)
from edge_agent.timeline.database.copy import copies_beside
from edge_agent.timeline.database.dashboard_file import delete_prepared_exports, prepared_folder
from edge_agent.timeline.database.salvages import Salvage, read_salvages
from edge_agent.timeline.database.tables import phrases, tables_to_name
from edge_agent.timeline.study.rows import count_recorded, insert_audit
from edge_agent.timeline.upkeep import unfinished
from edge_agent.timeline.upkeep.copies import (
    mark_anew,
    read_report,
    refuse_open_place,
    write_report,
)
from edge_agent.timeline.upkeep.dashboard_erasure import forget_in_dashboard
from edge_agent.timeline.upkeep.row_erasure import (
    ErasedRows,
    erase_rows,
    last_recorded_ms,
    scrub,
    sessions_to_erase,
)
from edge_agent.timeline.upkeep.unfinished import Failures, Left
from edge_agent.timeline.write import outbox

log = logging.getLogger(__name__)
RETAINED = ("session", "emotion")
"""Topics that a broker may have kept for later subscribers.

An empty retained message clears them.
"""
BEYOND_REACH = N_(
    "The broker deletes the last messages, and those waiting for the subscribers in "
    "mqtt.durable_subscribers, as soon as the agent is connected to it. This device cannot "
    "delete messages waiting for other absent subscribers, messages that subscribers already "
    "have, or copies on other brokers. The broker's own file keeps the old bytes until it "
    "saves: the broker installed here does so within five minutes, others on their own "
    "schedule. To save at once, with Mosquitto on this device: sudo systemctl kill "
    "--signal=SIGUSR1 mosquitto"
)
"""Data at the broker that an erasure cannot reach, for people."""
PATIENCE_S = 15.0
_UNREADABLE = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR}


@dataclass(frozen=True, slots=True)
class Erasure:
    """The result of an erasure, without the identity of the participant.

    Attributes:
        rows: deleted rows by table.
        minutes: minutes of the rollups that were computed anew.
        minutes_removed: of these, how many are gone.
        copies: names of the copies of the database that were rewritten without the participant.
        copies_deleted: names of copies that could not be read, and were deleted.
        compacted: whether the file was written anew, for it still held old bytes.
        places_unreached: folders of ``backup.also`` whose copies could not be rewritten.
        days_removed: days of the rollups that are gone whole: no finer sum of them was kept.
        left: why something could not be done yet, a sentence for each thing, with its file; the
            nightly maintenance tries it again.
    """

    rows: dict[str, int]
    minutes: int
    minutes_removed: int
    copies: tuple[str, ...]
    copies_deleted: tuple[str, ...]
    compacted: bool
    places_unreached: tuple[str, ...] = ()
    days_removed: int = 0
    left: tuple[str, ...] = ()

    @property
    def named(self) -> list[tuple[str, int]]:
        """For each table that lost rows: the name that people know, and the number of rows."""
        return [(table.many, self.rows[table.name]) for table in tables_to_name(self.rows)]

    @property
    def sentence(self) -> str:
        """A summary of the erasure, as text for people."""
        counted = ", ".join(phrases(self.rows)) or "no rows"
        minutes = f"{self.minutes:,} minute{'' if self.minutes == 1 else 's'}"
        parts = [
            *([self.left_sentence] if self.left else []),
            f"Erased: {counted}.",
            f"Rollups: {minutes} computed anew, {self.minutes_removed:,} removed.",
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
    def is_finished(self) -> bool:
        """Tell whether nothing of the participant is left here, nor in a second place."""
        return not self.left and not self.places_unreached

    @property
    def left_sentence(self) -> str:
        """Sentences on what could not be done yet, or empty."""
        if not self.left:
            return ""
        return (
            f"Not finished; the nightly maintenance tries again: {' '.join(self.left)} The rows "
            "are gone from the database."
        )

    @property
    def beyond_reach(self) -> str:
        """A sentence on the messages that stay at the broker."""
        return BEYOND_REACH

    @property
    def unreached_sentence(self) -> str:
        """A sentence on copies that still hold the participant and how to erase them, or empty."""
        if not self.places_unreached:
            return ""
        return (
            f"The copies in {', '.join(self.places_unreached)} could not be reached and still hold "
            "the participant. Put the stick or share back: the next nightly copy there takes "
            "their place. Or delete them by hand."
        )


def erase_participant(
    path: Path,
    code: str,
    *,
    actor: str,
    outbox_rows: int = 50_000,
    patience_s: float = PATIENCE_S,
    accounts: bool = True,
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
        accounts: erase from the dashboard's database, too; else that stays ordered, and the
            dashboard, which asks for the erasure, does it itself.

    Raises:
        StudyError: there is no such participant, or a session of theirs is open. Nothing was
            erased.
        StoreError: the database cannot be written, or is still being salvaged from a damaged one.
            Nothing was erased. What fails after the rows are gone is told in the result.
    """
    with (
        files.translate_errors(path),
        closing(connect(path, readonly=False, busy_seconds=patience_s)) as connection,
    ):
        salvages = read_salvages(connection)
        _refuse_while_salvaging(path, salvages)
        at_ms = clock.now().wall_ms
        failed = Failures(at_ms)
        rows, before = _erase_in_database(connection, code, actor, outbox_rows, at_ms)
        known = rows is not None
        compacted = False
        # After the commit: an export that began before it would bring the participant back.
        if rows is not None:
            _delete_exports(path, failed)
            with failed.keep_error(unfinished.DATABASE, path):
                surely = unfinished.DATABASE in before
                compacted = scrub(path, connection, rows.texts, surely=surely)
        copies, deleted = _erase_copies(path, code, failed, moved_away(path, salvages), known=known)
        second, unreached = _erase_second_places(path, code, failed, erased=known or bool(copies))
        copies += second
        if rows is None:  # an earlier attempt may have come this far
            _refuse_unknown(path, code, copies, failed)
            _delete_exports(path, failed)
            rows = ErasedRows({}, 0, 0, 0, frozenset())
        if accounts:
            with failed.keep_error(unfinished.ACCOUNTS, path):
                forget_in_dashboard(path)
        with transaction(connection):
            steps = [one for one in unfinished.STEPS if accounts or one != unfinished.ACCOUNTS]
            done = steps if known else [unfinished.EXPORTS]
            _store_outcome(connection, actor, failed, before if known else None, done)
    log.info("a participant was erased%s", ", but not everywhere yet" if failed.left else "")
    return Erasure(
        rows.rows,
        rows.minutes,
        rows.minutes_removed,
        copies,
        deleted,
        compacted,
        tuple(unreached),
        rows.days_removed,
        (*failed.reasons, *filter(None, unreached.values())),
    )


def finish_undo(
    path: Path, texts: Collection[str], actor: str, before: Mapping[str, Left], at_ms: int
) -> tuple[str, ...]:
    """Do what is left after an undone import that removed people.

    Args:
        path: the database.
        texts: that were deleted.
        actor: who undid it.
        before: what was left of erasures before.
        at_ms: when the rest was ordered, UTC.

    Returns:
        A sentence on each thing that could not be done yet.

    Raises:
        StoreError: the database cannot be written; what is left stays ordered.
    """
    failed = Failures(at_ms)
    with files.translate_errors(path), closing(connect(path, readonly=False)) as connection:
        _delete_exports(path, failed)
        with failed.keep_error(unfinished.DATABASE, path):
            scrub(path, connection, texts, surely=unfinished.DATABASE in before)
        with failed.keep_error(unfinished.ACCOUNTS, path):
            forget_in_dashboard(path)
        with transaction(connection):
            _store_outcome(connection, actor, failed, before, unfinished.OF_UNDO)
    return tuple(failed.reasons)


def _erase_in_database(
    connection: sqlite3.Connection, code: str, actor: str, outbox_rows: int, at_ms: int
) -> tuple[ErasedRows | None, Mapping[str, Left]]:
    """Delete the rows, and store that the rest is to be done; return them, and what was left."""
    with transaction(connection):
        rows = erase_rows(connection, code)
        if rows is None:
            return None, {}
        detail = f"{rows.rows.get('session', 0)} sessions"
        insert_audit(connection, actor, "participant_erase", detail, clock.now())
        for topic in RETAINED:
            message = outbox.OutboxMessage(topic, None, sequenced=False)
            outbox.enqueue(connection, message, outbox_rows)
        return rows, unfinished.begin(connection, at_ms)


def _delete_exports(path: Path, failed: Failures) -> None:
    with failed.keep_error(unfinished.EXPORTS, prepared_folder(path.parent)):
        delete_prepared_exports(path.parent)


def _refuse_unknown(path: Path, code: str, copies: Collection[str], failed: Failures) -> None:
    """Refuse a code that neither the database nor a copy knows.

    Raises:
        StudyError: it is so.
        StoreError: it may be so, but a copy could not be looked at.
    """
    if not copies and failed.left:
        raise StoreError(" ".join(failed.reasons))
    if not copies:
        refused = f"There is no participant {code!r}; nothing was erased."
        left = " ".join(unfinished.sentences_of_left(path))
        raise StudyError(f"{refused} Left of earlier erasures: {left}" if left else refused)


def _store_outcome(
    connection: sqlite3.Connection,
    actor: str,
    failed: Failures,
    before: Mapping[str, Left] | None,
    done: Iterable[str],
) -> None:
    """Store what is left; ``before``: what was left of others, ``None``: only copies were done."""
    if failed.left:
        what = ", ".join(Path(name).name for name in failed.left)
        insert_audit(connection, actor, "participant_erase_left", what, clock.now())
    # Copies that hold others, whom nobody but ``finish_erasures`` can tell there.
    others = {name: one for name, one in (before or {}).items() if name == unfinished.COPIES}
    unfinished.store_outcome(connection, done, others | failed.left, failed.at_ms)


def moved_away(path: Path, salvages: Iterable[Salvage]) -> list[Path]:
    """Return the databases that were moved to other folders and are still there."""
    moved = [path.parent / salvage.file for salvage in salvages]
    return [file for file in moved if file.parent != path.parent and file.exists()]


def is_erasable(path: Path, code: str) -> bool:
    """Tell whether a participant exists whose rows ``erase_participant`` would delete.

    Raises:
        StudyError: a session of theirs is open.
        StoreError: the database cannot be read, or is still being salvaged from a damaged one.
    """
    with read_transaction(path) as connection:
        _refuse_while_salvaging(path, read_salvages(connection))
        return sessions_to_erase(connection, code) is not None


@dataclass(frozen=True, slots=True)
class ErasurePlan:
    """The rows of the timeline that an erasure would delete.

    Attributes:
        sessions: how many sessions.
        rows: rows of the timeline that lie in them.
        added_sessions: how many of the sessions were added after their time.
        added_rows: rows in these, also those that had been recorded for nobody.
    """

    sessions: int = 0
    rows: int = 0
    added_sessions: int = 0
    added_rows: int = 0

    @property
    def sentence(self) -> str:
        """Return what would be deleted, as text for people."""
        told = f"{self.rows:,} rows of the timeline in {self.sessions:,} sessions will be deleted."
        if self.added_rows:
            told += (
                f" {self.added_rows:,} of them lie in {self.added_sessions:,} sessions that were "
                "added afterwards: what had been recorded for nobody in their time goes, too."
            )
        return told


def plan_erasure(path: Path, code: str) -> ErasurePlan:
    """Return what the erasure of a participant would delete; nothing of an unknown one.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        sessions = connection.execute(
            "SELECT started, coalesce(ended, 1 << 60) AS ended, origin FROM session "
            "WHERE participant = (SELECT id FROM participant WHERE code = ?)",
            (code,),
        ).fetchall()
        counts = count_recorded(connection, [(one["started"], one["ended"]) for one in sessions])
    added = [rows for one, rows in zip(sessions, counts, strict=True) if one["origin"] == ENTERED]
    return ErasurePlan(len(counts), sum(counts), len(added), sum(added))


def _refuse_while_salvaging(path: Path, salvages: Iterable[Salvage]) -> None:
    """Refuse while rows still come from a database that was set aside: theirs would come, too."""
    for salvage in salvages:
        if not salvage.is_done:
            raise StoreError(
                f"{path}: the rows of {salvage.file} are still being carried over, theirs "
                "perhaps among them; nothing was erased. Let the agent run, and erase again "
                "in some minutes: the health page says when it is done."
            )


def _erase_copies(
    path: Path, code: str, failed: Failures, elsewhere: Iterable[Path] = (), *, known: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Erase the participant from the copies of the database too, beside it or ``elsewhere``.

    Delete those that cannot be read, and damaged databases that were set aside: nobody can tell
    what they hold, and what was readable is in the present one. But delete nothing for a
    participant of whom nobody knows: the code may be mistyped.
    """
    rewritten = []
    unreadable = []
    for copy in [*copies_beside(path), *elsewhere]:
        with failed.keep_error(str(copy), copy):
            try:
                held_participant = erase_from_copy(copy, code)
            except sqlite3.Error as error:
                # The low byte is the primary code; the rest says where it happened.
                if error.sqlite_errorcode & 0xFF not in _UNREADABLE:
                    raise
                unreadable.append(copy)
            except StoreError:  # a copy of something else
                unreadable.append(copy)
            else:
                rewritten += [copy.name] if held_participant else []
    if not known and not rewritten:
        return (), ()
    deleted = []
    for file in (*files.set_aside_beside(path), *unreadable):
        with failed.keep_error(str(file), file):
            for end in ("", *files.LOGS):  # one that a restore set aside has its log beside it
                file.with_name(file.name + end).unlink(missing_ok=True)
            deleted.append(file.name)
    return tuple(rewritten), tuple(deleted)


def _erase_second_places(
    path: Path, code: str, failed: Failures, *, erased: bool
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Erase the participant from the copies in other folders.

    Return the copies that were rewritten, and the folders that could not be reached, with the
    reason where they are there. Those are written down, so that the next copy there replaces the
    others.
    """
    rewritten: list[str] = []
    unreached: dict[str, str] = {}
    report = read_report(path)
    now_ms = clock.now().wall_ms
    for folder in report.places:
        there = Failures(now_ms)
        with there.keep_error(folder, Path(folder)):
            refuse_open_place(Path(folder), path.parent)
            # A place may hold copies of its own that nobody knows here, so that all of them are
            # opened.
            copies, _ = _erase_copies(Path(folder, path.name), code, there, known=erased)
            rewritten += [str(Path(folder, name)) for name in copies]
        if there.left:
            is_there = Path(folder).is_dir()
            unreached[folder] = " ".join(one.why for one in there.left.values()) * is_there
    if unreached and erased:
        places = {**report.places, **dict.fromkeys(unreached, now_ms)}
        with failed.keep_error(unfinished.PLACES, path):
            write_report(path, replace(report, places=places))
    return tuple(rewritten), unreached


def erase_from_copy(copy: Path, code: str) -> bool:
    """Erase the participant from a copy of any schema; return whether they were in it."""
    with closing(connect_any(copy)) as connection:
        # An open session of that time has no end; the copy is no timeline that anybody records
        # into.
        with transaction(connection):
            connection.execute(
                # One millisecond behind the last row, so that the span holds that row, too.
                "UPDATE session SET ended = max(started, ?) WHERE ended IS NULL AND participant = "
                "(SELECT id FROM participant WHERE code = ?)",
                (last_recorded_ms(connection) + 1, code),
            )
            rows = erase_rows(connection, code)
            if rows is not None:
                # else a copy would count as fuller, and stay, for what was erased from it
                mark_anew(connection)
        if rows is not None:
            # ``VACUUM`` is cheap in a copy, for nobody writes to it, and leaves nothing to search
            # for.
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return rows is not None
