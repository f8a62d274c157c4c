"""Deleting what is known of a participant, inside a transaction that the caller holds."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_agent.core.attributes import AGE_BAND, SEX
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.store.upkeep.rollups_anew import folded_days, make_anew, pruned_minutes
from edge_agent.store.write.audit.chain import sealed_anew
from edge_agent.store.write.outbox_losses import ERASED, delete_and_note, is_damaged
from edge_agent.store.write.replication.changes import log_erasure, unlogged_deletions
from edge_agent.store.write.tombstones import Span, add_tombstones

_OF_SESSIONS = ("marker", "self_report", "protocol_run", "alert")


@dataclass(frozen=True, slots=True)
class ErasedRows:
    """How many rows were deleted, by table, without any word about whose.

    Attributes:
        rows: by table.
        minutes: minutes of the rollups that were computed anew.
        minutes_removed: of these, how many are gone: nothing else was recorded then, or their rows
            were too old.
        days_removed: days of which only the sum was kept, and is gone.
        texts: what the participant was called and what was noted of them; for the search of what is
            left, only.
    """

    rows: dict[str, int]
    minutes: int
    minutes_removed: int
    days_removed: int
    texts: frozenset[str]


def erase_rows(connection: sqlite3.Connection, code: str) -> ErasedRows | None:
    """Delete a participant and everything that was recorded in their sessions.

    ``None``: there is no such one.

    Raises:
        StudyError: a session of theirs is open.
    """
    known = sessions_to_erase(connection, code)
    if known is None:
        return None
    row, sessions = known
    participant = row["id"]
    real = row["code"]
    spans = [(session["started"], session["ended"]) for session in sessions]
    texts = frozenset(
        text
        for text in (
            real,
            *(s["name"] for s in sessions),
            *_notes(connection, participant),
            *_attributes(connection, participant),
        )
        if text
    )
    deleted: Counter[str] = Counter(session=len(sessions))
    minutes = removed = days = 0
    with unlogged_deletions(connection):
        deleted.update(_delete_study(connection, participant))
        for span in spans:
            days = days + folded_days(connection, span)
            pruned = pruned_minutes(connection, span)
            deleted.update(_delete_timeline(connection, span))
            touched, gone = make_anew(connection, span, pruned)
            minutes = minutes + touched
            removed = removed + gone
    log_erasure(connection, participant, spans)
    deleted["outbox"] += _delete_messages(connection, real, spans)
    refused = _delete_set_aside(connection, real, spans)
    if refused:
        deleted["set_aside"] = refused
    connection.execute(
        "UPDATE import SET file = '(erased)' WHERE instr(lower(file), lower(?))", (real,)
    )
    with sealed_anew(connection, "participant_erase"):
        _forget_in_audit(connection, real)
    add_tombstones(connection, spans, [row["created"]])
    if not deleted["alert"]:  # told of only where there were any
        del deleted["alert"]
    left = texts - _texts_of_others(connection)
    return ErasedRows(dict(deleted), minutes, removed, days, left)


def sessions_to_erase(
    connection: sqlite3.Connection, code: str
) -> tuple[sqlite3.Row, list[sqlite3.Row]] | None:
    """Return the row of a participant and those of their sessions; ``None``: there is no such one.

    Raises:
        StudyError: a session of theirs is open.
    """
    row = connection.execute(
        "SELECT id, code, created FROM participant WHERE code = ?", (code,)
    ).fetchone()
    if row is None:
        return None
    sessions = connection.execute(
        "SELECT id, name, started, ended FROM session WHERE participant = ? ORDER BY started",
        (row["id"],),
    ).fetchall()
    _refuse_open(sessions, row["code"])
    return row, sessions


def _refuse_open(sessions: Sequence[sqlite3.Row], code: str) -> None:
    for session in sessions:
        if session["ended"] is None:
            raise StudyError(
                f"Session {session['id']} of {code} is open. End it, or withdraw the "
                "consent, which ends it."
            )


def _notes(connection: sqlite3.Connection, participant: int) -> list[str]:
    rows = connection.execute(
        "SELECT label FROM marker JOIN session ON session.id = marker.session "
        "WHERE session.participant = ? AND kind = 'note'",
        (participant,),
    )
    return [row[0] for row in rows]


def _attributes(connection: sqlite3.Connection, participant: int) -> list[str]:
    """Return what was written of a participant; what is chosen from a list is told of many."""
    rows = connection.execute(
        "SELECT value FROM participant_attribute WHERE participant = ? AND name NOT IN (?, ?)",
        (participant, AGE_BAND, SEX),
    )
    return [row[0] for row in rows]


def _texts_of_others(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute(
        "SELECT label FROM marker UNION SELECT name FROM session "
        "UNION SELECT value FROM participant_attribute"
    )
    return {row[0] for row in rows}


def _delete_study(connection: sqlite3.Connection, participant: int) -> Counter[str]:
    """Delete the participant; what hangs on them goes with them, counted before."""
    deleted = Counter(
        {
            table: connection.execute(
                f"SELECT count(*) FROM {table} JOIN session ON session.id = {table}.session WHERE "
                "participant = ?",
                (participant,),
            ).fetchone()[0]
            for table in _OF_SESSIONS
        }
    )
    deleted["consent"] = connection.execute(
        "DELETE FROM consent WHERE participant = ?", (participant,)
    ).rowcount
    attributes = connection.execute(
        "DELETE FROM participant_attribute WHERE participant = ?", (participant,)
    ).rowcount
    if attributes:
        deleted["participant_attribute"] = attributes
    connection.execute("DELETE FROM participant WHERE id = ?", (participant,))
    return deleted


def _delete_timeline(connection: sqlite3.Connection, span: Span) -> Counter[str]:
    """Delete the rows of all faces and sensors in a span.

    Of rows that reach over its edges, too.
    """
    deleted: Counter[str] = Counter()
    for table in ("expression", "unfit"):
        deleted[table] = connection.execute(
            f"DELETE FROM {table} WHERE at >= ? AND (at < ? OR at - interval_ms < ?)",
            (span[0], span[1], span[1]),
        ).rowcount
    deleted["vital"] = connection.execute(
        "DELETE FROM vital WHERE at >= ? AND at < ?", span
    ).rowcount
    connection.execute("DELETE FROM vital_change WHERE at >= ? AND at < ?", span)
    deleted["alert"] = _delete_alerts(connection, span)
    deleted["gap"] = connection.execute(
        "DELETE FROM gap WHERE started >= ? AND ended <= ?", span
    ).rowcount
    return deleted


def _delete_alerts(connection: sqlite3.Connection, span: Span) -> int:
    """Delete alerts about somebody that stood in a span; those of a session went with it."""
    return connection.execute(
        "DELETE FROM alert WHERE kind IN ('vital', 'face', 'sensor') AND raised < ? AND "
        "(ended IS NULL OR ended >= ?)",
        (span[1], span[0]),
    ).rowcount


def _delete_messages(connection: sqlite3.Connection, code: str, spans: list[Span]) -> int:
    """Delete what waits for the broker, and what was set aside.

    That is messages about the participant, summaries of their time, and what is too damaged to tell
    whom it is about.
    """
    connection.create_function("damaged", 1, is_damaged, deterministic=True)
    deleted = 0
    for condition, values in _about(code, spans):
        deleted += delete_and_note(connection, condition, values, ERASED)
        connection.execute(f"DELETE FROM outbox_set_aside WHERE {condition}", values)
    return deleted


def _delete_set_aside(connection: sqlite3.Connection, code: str, spans: list[Span]) -> int:
    """Delete rows that no table took: of their time, with their code, or of nobody knows when."""
    deleted = connection.execute(
        "DELETE FROM set_aside WHERE at = 0 OR instr(lower(content), lower(?))", (code,)
    ).rowcount
    for span in spans:
        deleted += connection.execute(
            "DELETE FROM set_aside WHERE at >= ? AND at < ?", span
        ).rowcount
    return deleted


def _about(code: str, spans: list[Span]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield conditions, with their values, that a message about the participant meets."""
    # Damaged ones go first: their JSON cannot be asked.
    yield "damaged(CAST(payload AS BLOB))", ()
    text = "CAST(payload AS TEXT)"
    yield f"lower(json_extract({text}, '$.participant')) = lower(?)", (code,)
    ended = f"json_extract({text}, '$.window.end')"
    started = f"json_extract({text}, '$.window.start')"
    for start, end in spans:
        yield f"{ended} > ? AND {started} < ?", (iso_utc(start), iso_utc(end))


def _forget_in_audit(connection: sqlite3.Connection, code: str) -> None:
    """Take the code out of what the audit says was done with it; that something was done stays."""
    rows = connection.execute(
        "SELECT id, detail FROM audit WHERE instr(lower(detail), lower(?))", (code,)
    ).fetchall()
    for row in rows:
        words = [
            "(erased)" if word.casefold() == code.casefold() else word
            for word in row["detail"].split(" ")
        ]
        connection.execute("UPDATE audit SET detail = ? WHERE id = ?", (" ".join(words), row["id"]))
