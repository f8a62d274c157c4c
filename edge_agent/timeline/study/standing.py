"""Standing sessions: hours of a participant in which sessions begin and end by themselves.

They are agreed to apart from the study's consent, and hold until they are taken back, replaced, or
that consent is withdrawn. A row of ``standing_session`` is the hours of one weekday. Its ``begun``
names the session that was begun last, unless something other than a person interrupted it: a
session that somebody ended is not begun again within the same hours.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import groupby
from pathlib import Path

from edge_agent.core.clock import Instant
from edge_agent.core.errors import StudyError
from edge_agent.core.standing import (
    SESSION_NAME,
    Hours,
    Schedule,
    Span,
    check_hours,
    clock_text,
    overlapping,
)
from edge_agent.core.study import NewSession, Purpose, Session, SessionSetting
from edge_agent.core.texts import N_
from edge_agent.timeline.database.connection import insert, read_transaction
from edge_agent.timeline.study import rows
from edge_agent.timeline.write.boots import stamp_study

_ROWS = (
    "SELECT code, text_version, purpose, setting, weekday, from_minute, to_minute, since, until, "
    "begun FROM standing_session JOIN participant ON participant.id = participant WHERE {} ORDER "
    "BY code, since DESC, weekday"
)
_VERSION_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """The standing session of a participant.

    Attributes:
        participant: their code.
        schedule: what they agreed to.
        since_ms: since when, UTC.
        until_ms: when it was taken back or replaced; ``None``: it holds.
        begun: number of the session that it began last, see the module.
    """

    participant: str
    schedule: Schedule
    since_ms: int
    until_ms: int | None
    begun: int | None

    def new_session(self) -> NewSession:
        """Return the session that begins at its hours."""
        chosen = self.schedule
        return NewSession(self.participant, chosen.purpose, SESSION_NAME, chosen.setting)


@dataclass(frozen=True, slots=True)
class Begin:
    """A session that is due to begin."""

    standing: Standing
    span: Span


@dataclass(frozen=True, slots=True)
class End:
    """A session that is due to end.

    Attributes:
        session: the session.
        at_ms: when it is over, UTC; ``None``: now, for the camera was switched off.
    """

    session: Session
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class StandingPresent:
    """What a page says of standing sessions now.

    Attributes:
        participant: the code.
        start_ms: when the hours began, or the next ones begin.
        end_ms: when they end.
        session: the open session that was begun by itself; ``None``: none is open.
    """

    participant: str
    start_ms: int
    end_ms: int
    session: int | None


def agree(
    connection: sqlite3.Connection, code: str, schedule: Schedule, at: Instant
) -> Session | None:
    """Record that a participant agrees to a schedule, which replaces their earlier one.

    Returns:
        The session of the earlier one that is open, and is to be closed.

    Raises:
        StudyError: unknown participant, no consent, no version of a text, or hours that meet those
            of another participant.
    """
    participant = rows.find_participant(connection, code)
    if not rows.has_consent(connection, participant):
        raise StudyError(
            N_("Participant {code} has given no consent that stands. Record the consent first."),
            code=code,
        )
    check_hours(schedule.hours)
    version = schedule.text_version.strip()
    if not 1 <= len(version) <= _VERSION_LENGTH:
        raise StudyError(
            N_("Name the version of the text that the participant agreed to."), field="text_version"
        )
    for other in _standing(connection, "until IS NULL AND participant <> ?", participant):
        met = overlapping(schedule.hours, other.schedule.hours)
        if met is not None:
            raise StudyError(
                N_(
                    "The hours from {start} to {end} meet those of {code}. One person can be "
                    "recorded at a time: choose other hours, or take back the other ones."
                ),
                start=clock_text(met.start),
                end=clock_text(met.end),
                code=other.participant,
                field="start",
            )
    left_open = end(connection, code, at)
    boot, since = stamp_study(connection, at)
    for one in schedule.hours:
        insert(
            connection,
            "standing_session",
            participant=participant,
            text_version=version,
            purpose=schedule.purpose.value,
            setting=schedule.setting.value,
            weekday=one.weekday,
            from_minute=one.start,
            to_minute=one.end,
            since=since.wall_ms,
            since_boot=boot,
        )
    return left_open


def end(connection: sqlite3.Connection, code: str, at: Instant) -> Session | None:
    """End the schedule of a participant, if there is one.

    Returns:
        Its session that is open, and is to be closed.
    """
    session = open_standing(connection)
    boot, until = stamp_study(connection, at)
    connection.execute(
        "UPDATE standing_session SET until = max(?, since), until_boot = ? WHERE until IS NULL AND "
        "participant = (SELECT id FROM participant WHERE code = ?)",
        (until.wall_ms, boot, code),
    )
    is_theirs = session is not None and session.participant.casefold() == code.casefold()
    return session if is_theirs else None


def open_standing(connection: sqlite3.Connection) -> Session | None:
    """Return the open session if it was begun by itself."""
    session = rows.find_open_session(connection)
    if session is None or not _standing(connection, "until IS NULL AND begun = ?", session.id):
        return None
    return session


def note_begun(connection: sqlite3.Connection, session: Session) -> None:
    """Keep that a session was begun by itself."""
    connection.execute(
        "UPDATE standing_session SET begun = ? WHERE until IS NULL AND participant = (SELECT "
        "participant FROM session WHERE id = ?)",
        (session.id, session.id),
    )


def note_interrupted(connection: sqlite3.Connection, session: Session) -> None:
    """Keep that a session may be begun anew within the same hours."""
    connection.execute("UPDATE standing_session SET begun = NULL WHERE begun = ?", (session.id,))


def due(
    connection: sqlite3.Connection, at_ms: int, *, camera_on: bool, zone: tzinfo | None = None
) -> Begin | End | None:
    """Return what is due now: a session that begins, one that ends, or nothing.

    A session that somebody started is left alone, and hours wait until it has ended.

    Args:
        connection: to the database.
        at_ms: now, UTC.
        camera_on: whether the camera is switched on.
        zone: of the hours; ``None``: that of this machine.
    """
    every = _standing(connection, "until IS NULL")
    session = rows.find_open_session(connection) if every else None
    if session is not None:
        own = next((one for one in every if one.begun == session.id), None)
        return None if own is None else _end_of(own, session, at_ms, camera_on, zone)
    for one in every if camera_on else ():
        span = one.schedule.span_at(at_ms, zone)
        if span is not None and not _was_ended(connection, one, span):
            return Begin(one, span)
    return None


def _end_of(
    own: Standing, session: Session, at_ms: int, camera_on: bool, zone: tzinfo | None
) -> End | None:
    # Where a clock was corrected since, the start may lie beside the hours: those of now count.
    schedule = own.schedule
    span = schedule.span_at(session.start_ms, zone) or schedule.span_at(at_ms, zone)
    if span is None:
        return End(session, at_ms)
    if at_ms >= span.end_ms:
        return End(session, max(span.end_ms, session.start_ms))
    return None if camera_on else End(session, None)


def _was_ended(connection: sqlite3.Connection, one: Standing, span: Span) -> bool:
    """Tell whether somebody ended the session of these hours."""
    row = connection.execute("SELECT started FROM session WHERE id = ?", (one.begun,)).fetchone()
    return row is not None and span.start_ms <= row["started"] < span.end_ms


def standing_of(path: Path, code: str) -> Standing | None:
    """Return the standing session of a participant that holds.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        return next(iter(_standing(connection, "until IS NULL AND code = ?", code)), None)


def present_standing(path: Path, at_ms: int, zone: tzinfo | None = None) -> StandingPresent | None:
    """Return the standing session that goes on, or else the one whose hours are next.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        every = _standing(connection, "until IS NULL")
        session = rows.find_open_session(connection) if every else None
        ended = {
            (one.participant, span)
            for one in every
            if (span := one.schedule.span_at(at_ms, zone)) and _was_ended(connection, one, span)
        }
    waiting = []
    for one in every:
        span = one.schedule.span_at(at_ms, zone)
        if session is not None and one.begun == session.id:
            # Between two hours the agent is about to end it.
            now = span or Span(session.start_ms, at_ms)
            return StandingPresent(one.participant, now.start_ms, now.end_ms, session.id)
        if span is None or (one.participant, span) in ended:
            span = one.schedule.next_span(at_ms, zone)
        if span is not None:
            waiting.append(StandingPresent(one.participant, span.start_ms, span.end_ms, None))
    return min(waiting, key=lambda one: one.start_ms, default=None)


def _standing(connection: sqlite3.Connection, condition: str, *values: object) -> list[Standing]:
    every = connection.execute(_ROWS.format(condition), values).fetchall()
    return [
        _standing_of([*held])
        for _, held in groupby(every, lambda row: (row["code"], row["since"], row["until"]))
    ]


def _standing_of(held: Sequence[sqlite3.Row]) -> Standing:
    first = held[0]
    hours = tuple(Hours(row["weekday"], row["from_minute"], row["to_minute"]) for row in held)
    schedule = Schedule(
        first["text_version"], hours, Purpose(first["purpose"]), SessionSetting(first["setting"])
    )
    return Standing(first["code"], schedule, first["since"], first["until"], first["begun"])
