"""Declarations: whose face it is, by a press while it is recorded, or afterwards with a reason.

A press declares the leading face of now to be the participant's. Afterwards somebody can declare a
stretch of a session: its unknown faces count as the participant's from then on. Their
rows stay as they were recorded; two markers say from where to where, and why. So the declaration
moves with its session, is exported and erased as other markers are, and can be taken back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import Attribution
from edge_agent.core.study import (
    DECLARED_FROM,
    DECLARED_UNTIL,
    LABEL_LENGTH,
    Marker,
    MarkerKind,
    Session,
    exact_since_start,
)
from edge_agent.core.texts import N_
from edge_agent.timeline.database.connection import insert, read_transaction, write_transaction
from edge_agent.timeline.database.schema import ATTRIBUTED, DECLARED_STRETCHES
from edge_agent.timeline.study import rows
from edge_agent.timeline.study.exclusions import Span, check_order
from edge_agent.timeline.study.marker_changes import (
    Because,
    check_inside,
    checked_reason,
    note_change,
)
from edge_agent.timeline.write.open_minutes import find_open_minutes, roll_up_minute
from edge_agent.timeline.write.rollups import ROLLUPS, add_expressions

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

REASON_LENGTH = LABEL_LENGTH - len(DECLARED_FROM)

_UNKNOWN_ROWS = f"attribution = '{Attribution.UNKNOWN}' AND at > ? AND at <= ?"


@dataclass(frozen=True, slots=True)
class Declaration:
    """A stretch of a session in which unknown faces count as the participant's.

    Attributes:
        id: number of the marker that begins it.
        session: number of the session.
        start_ms: start of the stretch, UTC milliseconds; a row at this moment is outside.
        end_ms: its end.
        reason: why, never empty.
        imported: whether an import brought it, with rows that say already whose face they are.
    """

    id: int
    session: int
    start_ms: int
    end_ms: int
    reason: str
    imported: bool = False


def last_declaration(path: Path) -> Marker | None:
    """Return the press of the open session that came last; ``None`` without one.

    The order is that in which they came: one of a clock that is ahead hides none of those after it.
    """
    with read_transaction(path) as connection:
        row = connection.execute(
            "SELECT marker.id, session, at, marker.boot_ms, kind, label FROM marker JOIN session "
            "ON session.id = marker.session WHERE session.ended IS NULL AND kind = ? AND "
            "marker.boot_ms IS NOT NULL ORDER BY marker.id DESC LIMIT 1",
            (MarkerKind.DECLARED,),
        ).fetchone()
    return None if row is None else rows.marker_of(row)


def declarations(path: Path, session: int) -> list[Declaration]:
    """Return what of a session was declared afterwards and stands, in order of time.

    Raises:
        StudyError: unknown session.
    """
    with read_transaction(path) as connection:
        rows.session_numbered(connection, session)
        return _select(connection, session)


def declare(
    path: Path,
    session: int,
    span: Span,
    *,
    reason: str,
    actor: str,
    written: Callable[[int], str] | None = None,
) -> Declaration:
    """Declare that the faces of a stretch that are not known are the participant's.

    Args:
        path: the database.
        session: its number.
        span: the stretch, UTC milliseconds.
        reason: why, 1 to ``REASON_LENGTH`` characters.
        actor: who declares it, for the audit trail.
        written: writes UTC milliseconds in messages as the person who typed the stretch does.

    Raises:
        StudyError: no such session, no reason, the stretch lies outside the session or ends before
            it begins, a part of it is declared already, or no face in it is unknown. Nothing was
            changed then.
    """
    why = _checked_reason(reason)
    moment = clock.now()
    with write_transaction(path) as connection:
        of = rows.session_numbered(connection, session)
        for at_ms in span:
            check_inside(of, at_ms, moment.wall_ms, written=written or iso_utc)
        check_order(span, *(map(written or iso_utc, span)))
        _check_free(connection, of, span, written)
        _roll_up_open_minutes(connection)
        number = _insert_ends(connection, session, span, f"{DECLARED_FROM}{why}")
        _add_to_rollups(connection, span, 1)
        rows.insert_audit(connection, actor, "declare_afterwards", f"session {session}", moment)
    return Declaration(number, session, *span, why)


def _insert_ends(connection: sqlite3.Connection, session: int, span: Span, label: str) -> int:
    """Insert the two markers of a stretch; return the number of the first.

    Each follows a clock that is set late as the first and the last row of the stretch do.
    """
    seen = " UNION ALL ".join(
        f"SELECT at, boot FROM {table} WHERE {_UNKNOWN_ROWS}" for table in ATTRIBUTED
    )
    boots = connection.execute(
        f"SELECT boot FROM ({seen}) ORDER BY at", span * len(ATTRIBUTED)
    ).fetchall()
    place = {"session": session, "kind": MarkerKind.DECLARED.value}
    number = insert(connection, "marker", at=span[0], label=label, boot=boots[0][0], **place)
    insert(connection, "marker", at=span[1], label=DECLARED_UNTIL, boot=boots[-1][0], **place)
    return number


def take_declaration_back(path: Path, session: int, declaration: int, *, actor: str) -> None:
    """Count faces of a stretch as unknown again; both markers are kept as corrected ones are.

    Raises:
        StudyError: nothing of this number is declared in the session, or an import brought it.
    """
    moment = clock.now()
    with write_transaction(path) as connection:
        rows.session_numbered(connection, session)
        known = {one.id: one for one in _select(connection, session)}
        if declaration not in known:
            raise StudyError(
                N_("Session {session} has no declaration with number {number}."),
                number=declaration,
                session=session,
            )
        one = known[declaration]
        if one.imported:
            raise StudyError(
                N_(
                    "Declaration {number} came with an import, whose rows say already whose face "
                    "they are. Take it back where the session was recorded, and import it again."
                ),
                number=declaration,
            )
        _roll_up_open_minutes(connection)
        _add_to_rollups(connection, (one.start_ms, one.end_ms), -1)
        for marker in rows.select_markers(connection, session):
            is_end = marker.at.wall_ms == one.end_ms and marker.label == DECLARED_UNTIL
            if marker.kind is MarkerKind.DECLARED and (marker.id == one.id or is_end):
                because = Because("taken back", actor, moment)
                note_change(connection, marker, because, removed=True)
                connection.execute("DELETE FROM marker WHERE id = ?", (marker.id,))
        rows.insert_audit(connection, actor, "declaration_take_back", f"session {session}", moment)


def _select(connection: sqlite3.Connection, session: int) -> list[Declaration]:
    stretches = connection.execute(
        f"SELECT * FROM ({DECLARED_STRETCHES}) WHERE session = ? ORDER BY first, id", (session,)
    )
    return [
        Declaration(
            row["id"],
            row["session"],
            row["first"],
            row["last"],
            row["reason"],
            bool(row["imported"]),
        )
        for row in stretches
    ]


def _checked_reason(reason: str) -> str:
    why = checked_reason(reason)
    if not why or len(why) > REASON_LENGTH:
        raise StudyError(
            N_("Give a reason of 1 to {most} characters for the declaration."),
            most=REASON_LENGTH,
            field="reason",
        )
    return why


def _check_free(
    connection: sqlite3.Connection,
    session: Session,
    span: Span,
    written: Callable[[int], str] | None,
) -> None:
    """Refuse what meets another declaration of the session, and a stretch without such a face."""

    def since_start(ms: int) -> str:
        return exact_since_start(ms - session.start_ms)

    write = written or since_start
    for one in _select(connection, session.id):
        if one.start_ms < span[1] and span[0] < one.end_ms:
            raise StudyError(
                N_(
                    "Of session {session}, {start} to {end} is declared already: {reason}. Take "
                    "that back first."
                ),
                session=session.id,
                start=write(one.start_ms),
                end=write(one.end_ms),
                reason=one.reason,
            )
    either = " OR ".join(
        f"EXISTS (SELECT 1 FROM {table} WHERE {_UNKNOWN_ROWS})" for table in ATTRIBUTED
    )
    if not connection.execute(f"SELECT {either}", span * len(ATTRIBUTED)).fetchone()[0]:
        raise StudyError(
            N_(
                "Between {start} and {end} there is no face that still needs an owner. "
                "Choose a stretch that the page lists."
            ),
            start=write(span[0]),
            end=write(span[1]),
            field="start",
        )


def _roll_up_open_minutes(connection: sqlite3.Connection) -> None:
    """Roll up what has no rollup yet, so that what is added now is not taken for all of it."""
    for start in find_open_minutes(connection):
        roll_up_minute(connection, start)


def _add_to_rollups(connection: sqlite3.Connection, span: Span, sign: int) -> None:
    """Add the unknown rows of a declared stretch to their minutes and hours, or subtract them."""
    for name, length in ROLLUPS:
        add_expressions(connection, name, length, _UNKNOWN_ROWS, span, sign=sign)
        touched = (span[0] // length * length, span[1])
        connection.execute(
            f"DELETE FROM expression_{name} WHERE rows <= 0 AND at BETWEEN ? AND ?", touched
        )
