"""Sessions, and stretches of sessions, that are left out of the analysis, with the reason.

Nothing is deleted: rows and exports stay complete, and a row of ``exclusion`` that was taken back
stays, too. Times count from the start of the session, so that they move with it when its clock is
set late. A reason may be about a person, and is erased with them.
"""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.bounds import DASHBOARD
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.study import Session, exact_since_start
from edge_agent.core.texts import N_
from edge_agent.timeline.database.connection import insert, read_transaction, write_transaction
from edge_agent.timeline.study import rows
from edge_agent.timeline.study.marker_changes import check_inside, checked_reason

Span = tuple[int, int]
_SELECT = (
    "SELECT exclusion.*, session.started AS start FROM exclusion JOIN session ON session.id = "
    "exclusion.session WHERE {} ORDER BY session.started, from_ms, exclusion.id"
)
_STANDS = "taken_back IS NULL"
PRACTICE = "protocol: practice"
"""Reason of what a protocol leaves out of the analysis by itself."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A session, or a stretch of it, that is left out of the analysis.

    Attributes:
        id: its number.
        session: number of the session.
        start_ms: start of the session, UTC milliseconds.
        from_ms: start of the stretch, since the start of the session; ``None``: all of it.
        to_ms: its end, which does not belong to it.
        reason: why, never empty.
        made_ms: when it was left out, UTC milliseconds.
        actor: who left it out.
        taken_back_ms: when it was taken back; ``None``: it stands.
        taken_back_by: who took it back.
    """

    id: int
    session: int
    start_ms: int
    from_ms: int | None
    to_ms: int | None
    reason: str
    made_ms: int
    actor: str
    taken_back_ms: int | None = None
    taken_back_by: str | None = None

    @property
    def span(self) -> Span | None:
        """The stretch in UTC milliseconds, half-open; ``None``: the whole session."""
        if self.from_ms is None or self.to_ms is None:
            return None
        return self.start_ms + self.from_ms, self.start_ms + self.to_ms


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The parts of a session that the analysis leaves out at present.

    Attributes:
        reason: why the whole session is; empty: only stretches are.
        stretches_ms: how long its stretches are together, milliseconds.
    """

    reason: str
    stretches_ms: int


def left_out_of(path: Path, sessions: Collection[int]) -> dict[int, LeftOut]:
    """Return what is left out of some sessions, by their numbers; those used wholly are missing.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        of_these = "taken_back IS NULL AND session IN (SELECT value FROM json_each(?))"
        standing = _select(connection, of_these, json.dumps(list(sessions)))
    by_session: dict[int, list[Exclusion]] = {}
    for one in standing:
        by_session.setdefault(one.session, []).append(one)
    return {
        session: LeftOut(
            reason=next((one.reason for one in of_session if one.span is None), ""),
            stretches_ms=sum(one.span[1] - one.span[0] for one in of_session if one.span),
        )
        for session, of_session in by_session.items()
    }


def exclusions(path: Path, session: int) -> list[Exclusion]:
    """Return what was ever left out of a session, in order of time.

    Raises:
        StudyError: unknown session.
    """
    with read_transaction(path) as connection:
        rows.session_numbered(connection, session)
        return _select(connection, "session = ?", session)


def standing_exclusions(connection: sqlite3.Connection) -> list[Exclusion]:
    """Return what is left out at present, in order of sessions and time."""
    return _select(connection, _STANDS)


def left_out_stretches(connection: sqlite3.Connection) -> list[Span]:
    """Return the stretches of sessions that are left out, in order of time; they do not overlap."""
    return [one.span for one in standing_exclusions(connection) if one.span is not None]


def stretches_within(first: int, last: int, stretches: Sequence[Span]) -> list[Span]:
    """Return those of the stretches, which are in order, that reach into a half-open span."""
    # Those before cannot reach in, but for the last one that begins before the span.
    start = max(0, bisect_right(stretches, (first, first)) - 1)
    near = stretches[start : bisect_left(stretches, (last, last))]
    return [one for one in near if one[0] < last and one[1] > first]


def outside_stretches(first: int, last: int, stretches: Sequence[Span]) -> Iterator[Span]:
    """Yield the parts of a half-open span that lie in none of the stretches, which are in order."""
    for start, end in stretches_within(first, last, stretches):
        if start > first:
            yield first, start
        first = end
    if first < last:
        yield first, last


def leave_out(
    path: Path,
    session: int,
    span: Span | None,
    *,
    reason: str,
    actor: str,
    written: Callable[[int], str] | None = None,
) -> Exclusion:
    """Leave a session, or a stretch of it, out of the analysis.

    Args:
        path: the database.
        session: its number.
        span: the stretch in UTC milliseconds; ``None``: the whole session.
        reason: why, 1 to ``REASON_LENGTH`` characters.
        actor: who leaves it out, for the audit trail.
        written: writes UTC milliseconds in messages as the person who typed the stretch does.

    Raises:
        StudyError: no such session, no reason, the stretch lies outside the session or ends before
            it begins, or a part of it is left out already. Nothing was changed then.
    """
    why = checked_reason(reason)
    if not why:
        raise StudyError(N_("Give a reason for leaving it out of the analysis."), field="reason")
    moment = clock.now()
    with write_transaction(path) as connection:
        of = rows.session_numbered(connection, session)
        if span is not None:
            _check_span(of, span, moment.wall_ms, written or iso_utc)
        _check_free(connection, of, span, written)
        number = insert(
            connection,
            "exclusion",
            session=session,
            from_ms=None if span is None else span[0] - of.start_ms,
            to_ms=None if span is None else span[1] - of.start_ms,
            reason=why,
            made=moment.wall_ms,
            actor=actor,
        )
        rows.insert_audit(connection, actor, "session_leave_out", f"session {session}", moment)
        return _select(connection, "exclusion.id = ?", number)[0]


def leave_out_practice(
    connection: sqlite3.Connection, session: Session, start: Instant, end: Instant
) -> None:
    """Leave a stretch in which a protocol let somebody practise out of the analysis.

    What is left out already keeps its reason.
    """
    span = [rows.in_session(connection, session.id, at)[1].wall_ms for at in (start, end)]
    stands = _select(connection, f"session = ? AND {_STANDS}", session.id)
    if any(one.span is None for one in stands):
        return
    others = [one.span for one in stands if one.span is not None]
    for first, last in outside_stretches(max(span[0], session.start_ms), span[1], others):
        insert(
            connection,
            "exclusion",
            session=session.id,
            from_ms=first - session.start_ms,
            to_ms=last - session.start_ms,
            reason=PRACTICE,
            made=clock.now().wall_ms,
            actor=DASHBOARD,
        )


def take_back(path: Path, session: int, exclusion: int, *, actor: str) -> None:
    """Use again in the analysis what was left out; the row stays, with who took it back.

    Raises:
        StudyError: nothing of this number is left out of the session.
    """
    moment = clock.now()
    with write_transaction(path) as connection:
        rows.session_numbered(connection, session)
        changed = connection.execute(
            "UPDATE exclusion SET taken_back = ?, taken_back_by = ? WHERE id = ? AND session = ? "
            "AND taken_back IS NULL",
            (moment.wall_ms, actor, exclusion, session),
        )
        if not changed.rowcount:
            raise StudyError(
                N_("Session {session} has no exclusion with number {number}."),
                number=exclusion,
                session=session,
            )
        rows.insert_audit(connection, actor, "session_take_back", f"session {session}", moment)


def _select(connection: sqlite3.Connection, where: str, *values: int | str) -> list[Exclusion]:
    return [
        Exclusion(
            row["id"],
            row["session"],
            row["start"],
            row["from_ms"],
            row["to_ms"],
            row["reason"],
            row["made"],
            row["actor"],
            row["taken_back"],
            row["taken_back_by"],
        )
        for row in connection.execute(_SELECT.format(where), values)
    ]


def _check_span(session: Session, span: Span, now_ms: int, written: Callable[[int], str]) -> None:
    for at_ms in span:
        check_inside(session, at_ms, now_ms, written=written)
    check_order(span, written(span[0]), written(span[1]))


def check_order(span: Span, start: str, end: str) -> None:
    """Refuse a stretch that does not end after its start; both ends are named as they were typed.

    Raises:
        StudyError: it is so.
    """
    if span[1] <= span[0]:
        raise StudyError(
            N_("The stretch ends at {end}, which does not follow its start at {start}."),
            end=end,
            start=start,
            field="end",
        )


def _check_free(
    connection: sqlite3.Connection,
    session: Session,
    span: Span | None,
    written: Callable[[int], str] | None,
) -> None:
    """Refuse what meets another exclusion of the session: each moment has one reason.

    Without ``written`` times count from the start of the session, as on pages.
    """

    def since_start(ms: int) -> str:
        return exact_since_start(ms - session.start_ms)

    write = written or since_start
    for one in _select(connection, f"session = ? AND {_STANDS}", session.id):
        if one.span is None:
            raise StudyError(
                N_("Session {session} is left out already: {reason}. Take that back first."),
                session=session.id,
                reason=one.reason,
            )
        if span is None or (one.span[0] < span[1] and span[0] < one.span[1]):
            raise StudyError(
                N_(
                    "Of session {session}, {start} to {end} is left out already: {reason}. Take "
                    "that back first."
                ),
                session=session.id,
                start=write(one.span[0]),
                end=write(one.span[1]),
                reason=one.reason,
            )
