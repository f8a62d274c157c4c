"""Deleting what is known of a participant, inside a transaction that the caller holds.

Older schemas too.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass

from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.store.upkeep.rollups_anew import make_anew, pruned_minutes
from edge_agent.store.write.tombstones import Span, add_tombstones

_OF_SESSIONS = ("marker", "self_report", "protocol_run")


@dataclass(frozen=True, slots=True)
class ErasedRows:
    """How many rows were deleted, by table, without any word about whose.

    Attributes:
        rows: by table.
        minutes: minutes of the rollups that were computed anew.
        minutes_removed: of these, how many are gone: nothing else was recorded then, or their rows
            were too old.
        texts: what the participant was called and what was noted of them; for the search of what is
            left, only.
    """

    rows: dict[str, int]
    minutes: int
    minutes_removed: int
    texts: frozenset[str]


def erase_rows(connection: sqlite3.Connection, code: str) -> ErasedRows | None:
    """Delete a participant and everything that was recorded in their sessions.

    ``None``: there is no such one.

    Raises:
        StudyError: a session of theirs is open.
    """
    row = connection.execute(
        "SELECT id, code, created FROM participant WHERE code = ?", (code,)
    ).fetchone()
    if row is None:
        return None
    participant = row["id"]
    real = row["code"]
    sessions = connection.execute(
        "SELECT id, name, started, ended FROM session WHERE participant = ? ORDER BY started",
        (participant,),
    ).fetchall()
    for session in sessions:
        if session["ended"] is None:
            raise StudyError(
                f"Session {session['id']} of {real} is open. End it, or withdraw the consent, "
                "which ends it."
            )
    spans = [(session["started"], session["ended"]) for session in sessions]
    texts = frozenset(
        text
        for text in (real, *(s["name"] for s in sessions), *_notes(connection, participant))
        if text
    )
    deleted: Counter[str] = Counter(session=len(sessions))
    deleted.update(_delete_study(connection, participant))
    minutes = removed = 0
    for span in spans:
        pruned = pruned_minutes(connection, span)
        deleted.update(_delete_timeline(connection, span))
        touched, gone = make_anew(connection, span, pruned)
        minutes = minutes + touched
        removed = removed + gone
    deleted["outbox"] += _delete_messages(connection, real, spans)
    _forget_in_audit(connection, real)
    add_tombstones(connection, spans, [row["created"]])
    return ErasedRows(dict(deleted), minutes, removed, texts - _texts_of_others(connection))


def _notes(connection: sqlite3.Connection, participant: int) -> list[str]:
    rows = connection.execute(
        "SELECT label FROM marker JOIN session ON session.id = marker.session "
        "WHERE session.participant = ? AND kind = 'note'",
        (participant,),
    )
    return [row[0] for row in rows]


def _texts_of_others(connection: sqlite3.Connection) -> set[str]:
    return {
        row[0]
        for row in connection.execute("SELECT label FROM marker UNION SELECT name FROM session")
    }


def _delete_study(connection: sqlite3.Connection, participant: int) -> Counter[str]:
    """Delete the participant; what hangs on them goes with them, counted before."""
    there = {
        row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    }
    deleted = Counter(
        {
            table: connection.execute(
                f"SELECT count(*) FROM {table} JOIN session ON session.id = {table}.session WHERE "
                "participant = ?",
                (participant,),
            ).fetchone()[0]
            for table in _OF_SESSIONS
            if table in there
        }
    )
    deleted["consent"] = connection.execute(
        "DELETE FROM consent WHERE participant = ?", (participant,)
    ).rowcount
    connection.execute("DELETE FROM participant WHERE id = ?", (participant,))
    return deleted


def _delete_timeline(connection: sqlite3.Connection, span: Span) -> Counter[str]:
    """Delete the rows of all faces and sensors in a span.

    Of rows that reach over its edges, too.
    """
    there = {
        row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    }
    deleted: Counter[str] = Counter()
    for table in {"expression", "unfit"} & there:
        deleted[table] = connection.execute(
            f"DELETE FROM {table} WHERE at >= ? AND (at < ? OR at - interval_ms < ?)",
            (span[0], span[1], span[1]),
        ).rowcount
    deleted["vital"] = connection.execute(
        "DELETE FROM vital WHERE at >= ? AND at < ?", span
    ).rowcount
    deleted["gap"] = connection.execute(
        "DELETE FROM gap WHERE started >= ? AND ended <= ?", span
    ).rowcount
    return deleted


def _delete_messages(connection: sqlite3.Connection, code: str, spans: list[Span]) -> int:
    """Delete what waits for the broker.

    That is messages about the participant, and summaries of their time.
    """
    deleted = connection.execute(
        "DELETE FROM outbox WHERE lower(json_extract(payload, '$.participant')) = lower(?)", (code,)
    ).rowcount
    for start, end in spans:
        deleted += connection.execute(
            "DELETE FROM outbox WHERE json_extract(payload, '$.window.end') > ? "
            "AND json_extract(payload, '$.window.start') < ?",
            (iso_utc(start), iso_utc(end)),
        ).rowcount
    return deleted


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
