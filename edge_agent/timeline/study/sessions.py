"""Participants, consent, sessions and markers, as they are written now.

Each call is a short write transaction beside the agent, in which messages to the broker are queued
with the rows that they describe. What is entered later stands in ``past``; what they are, in
``core/study``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from datetime import tzinfo
from pathlib import Path
from typing import Any

from edge_agent.core import clock
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.standing import Schedule
from edge_agent.core.study import (
    IN_MESSAGES,
    Marker,
    MarkerKind,
    NewSession,
    Participant,
    Purpose,
    Session,
)
from edge_agent.core.texts import N_, utc_text
from edge_agent.timeline.database.connection import read_transaction, write_transaction
from edge_agent.timeline.database.dashboard_file import refuse_account_name
from edge_agent.timeline.study import rows, standing
from edge_agent.timeline.study.own_neutral import OwnNeutral, own_neutrals
from edge_agent.timeline.study.past import PastMarker, insert_past_marker
from edge_agent.timeline.write.merged_notes import write_note
from edge_agent.timeline.write.outbox import OutboxMessage, enqueue

SESSION_TOPIC = "session"
AGENT = "agent"
"""Name in the audit trail of what begins sessions at their hours and for laboratory programs."""
NEAR_MS = 2_000
"""Largest difference between a page and this machine about the time of a press."""


def enqueue_session_event(
    connection: sqlite3.Connection,
    event: str,
    session: Session,
    at: Instant,
    marker: Marker | None,
    outbox_rows: int,
) -> None:
    """Queue that a session ``started`` or ``ended``, or that a ``marker`` was set in it."""
    payload: dict[str, Any] = {
        "schema": 1,
        "event": event,
        "session": session.id,
        **{one.name: getattr(session, one.name) for one in IN_MESSAGES},
        "at": iso_utc(at.wall_ms),
        "marker": None if marker is None else {"kind": marker.kind.value, "label": marker.label},
    }
    enqueue(connection, OutboxMessage(SESSION_TOPIC, payload), outbox_rows)


class Study:
    """Writes and reads the study.

    Every call is one transaction on a connection of its own: use it from any thread.

    Each start, end and marker is queued for the broker in the same transaction.
    All methods raise ``StoreError`` when the database cannot be used.

    Args:
        path: the database, already migrated.
        purposes: which purposes a session may have here.
        outbox_rows: messages kept in the outbox at the most.

    Example:
        >>> study = Study(path)
        >>> study.create_participant("P01")
        >>> study.give_consent("P01", text_version="2")
        >>> new = NewSession("P01", Purpose.RESEARCH, "films")
        >>> session = study.start_session(new, actor="ada")
        >>> study.add_marker(MarkerKind.STIMULUS_START, "anger")
        >>> study.end_session()
    """

    def __init__(
        self, path: Path, *, purposes: Iterable[Purpose] = tuple(Purpose), outbox_rows: int = 50_000
    ) -> None:
        self._path = path
        self._purposes = tuple(purposes)
        self._outbox_rows = outbox_rows

    def create_participant(
        self, code: str | None = None, *, actor: str | None = None
    ) -> Participant:
        """Add a participant under a pseudonymous code; ``None`` makes one up.

        Args:
            code: the code, or ``None``.
            actor: who did it, for the audit trail; ``None`` writes no line.

        Raises:
            StudyError: the code is taken, is that of an account, or is not 1 to 32 letters, digits,
                ``.``, ``_`` or ``-``.
        """
        moment = clock.now()
        refuse_account_name(self._path, code)
        with write_transaction(self._path) as connection:
            participant = rows.insert_participant(connection, code, moment)
            rows.insert_audit(connection, actor, "participant_create", participant.code, moment)
        return participant

    def participants(self) -> list[Participant]:
        """Return all participants in order of their codes."""
        with read_transaction(self._path) as connection:
            return rows.select_participants(connection)

    def give_consent(self, code: str, text_version: str, *, actor: str | None = None) -> None:
        """Record that the participant agreed, now, to this version of the text.

        It replaces an earlier consent.

        Args:
            code: of the participant.
            text_version: which text they read.
            actor: who recorded it, for the audit trail; ``None`` writes no line.

        Raises:
            StudyError: unknown participant, or no version named.
        """
        moment = clock.now()
        with write_transaction(self._path) as connection:
            rows.insert_consent(connection, code, text_version, moment)
            rows.insert_audit(connection, actor, "consent_give", code, moment)

    def withdraw_consent(self, code: str, *, actor: str | None = None) -> None:
        """Record that the participant withdraws, now.

        Their open session ends at once, and no further one can start; their standing session is
        taken back. No session of theirs reaches beyond now, also where the clock was ahead.

        What was recorded stays until it is erased.

        Args:
            code: of the participant.
            actor: who recorded it, for the audit trail; ``None`` writes no line.

        Raises:
            StudyError: unknown participant, or no consent that could be withdrawn.
        """
        moment = clock.now()
        with write_transaction(self._path) as connection:
            rows.withdraw_consent(connection, code, moment)
            rows.insert_audit(connection, actor, "consent_withdraw", code, moment)
            standing.end(connection, code, moment)
            ended = rows.end_sessions_of(connection, code, moment)
            if ended is not None:
                enqueue_session_event(connection, "ended", ended, moment, None, self._outbox_rows)

    def has_consent(self, code: str) -> bool:
        """Tell whether the participant's consent is valid.

        Raises:
            StudyError: unknown participant.
        """
        with read_transaction(self._path) as connection:
            return rows.has_consent(connection, rows.find_participant(connection, code))

    def start_session(
        self,
        new: NewSession,
        at: Instant | None = None,
        *,
        actor: str | None = None,
        also: Callable[[sqlite3.Connection, Session], None] | None = None,
    ) -> Session:
        """Open a session, from ``at`` (now) on.

        A standing session that goes on is interrupted, and goes on when this one has ended.

        Args:
            new: what is said of it.
            at: from when on.
            actor: who did it, for the audit trail; ``None`` writes no line.
            also: writes what belongs to the session in the same transaction.

        Raises:
            StudyError: unknown participant, no consent, purpose not allowed here or forbidden in
                this setting, a session is open already, or ``at`` lies before the end of an earlier
                one.
        """
        rows.check_purpose(new.purpose, new.setting, self._purposes)
        moment = at or clock.now()
        with write_transaction(self._path) as connection:
            self._interrupt(connection, moment)
            session = rows.insert_session(connection, new, moment)
            rows.insert_audit(connection, actor, "session_start", str(session.id), moment)
            if also is not None:
                also(connection, session)
            enqueue_session_event(connection, "started", session, moment, None, self._outbox_rows)
        return session

    def end_session(self, at: Instant | None = None, *, actor: str | None = None) -> Session:
        """Close the open session, at ``at`` (now).

        Args:
            at: when it ended.
            actor: who did it, for the audit trail; ``None`` writes no line.

        Raises:
            StudyError: no session is open, or ``at`` lies before its start.
        """
        moment = at or clock.now()
        with write_transaction(self._path) as connection:
            return self._close(connection, moment, actor)

    def give_standing(self, code: str, schedule: Schedule, *, actor: str | None = None) -> None:
        """Record that a participant agreed, now, to sessions that begin by themselves.

        It replaces their earlier schedule, whose open session ends.

        Args:
            code: of the participant.
            schedule: what they agreed to.
            actor: who recorded it, for the audit trail; ``None`` writes no line.

        Raises:
            StudyError: unknown participant, no consent, a purpose that is not allowed here or
                forbidden in this setting, or hours that meet those of another participant.
        """
        rows.check_purpose(schedule.purpose, schedule.setting, self._purposes)
        moment = clock.now()
        with write_transaction(self._path) as connection:
            left_open = standing.agree(connection, code, schedule, moment)
            rows.insert_audit(connection, actor, "standing_give", code, moment)
            if left_open is not None:
                self._close(connection, moment, actor)

    def take_back_standing(self, code: str, *, actor: str | None = None) -> None:
        """Take back a participant's standing session, now; an open one ends.

        One that was taken back already stays so, as after a double click.

        Args:
            code: of the participant.
            actor: who did it, for the audit trail; ``None`` writes no line.

        Raises:
            StudyError: unknown participant.
        """
        moment = clock.now()
        with write_transaction(self._path) as connection:
            rows.find_participant(connection, code)
            left_open = standing.end(connection, code, moment)
            rows.insert_audit(connection, actor, "standing_take_back", code, moment)
            if left_open is not None:
                self._close(connection, moment, actor)

    def keep_standing(
        self, at: Instant, *, camera_on: bool, zone: tzinfo | None = None
    ) -> standing.Begin | standing.End | None:
        """Begin or end the standing session that is due; return what was done.

        Args:
            at: now.
            camera_on: whether the camera is switched on.
            zone: of the hours; ``None``: that of this machine.

        Raises:
            StudyError: a rule forbids the session that is due.
        """
        with read_transaction(self._path) as connection:
            step = standing.due(connection, at.wall_ms, camera_on=camera_on, zone=zone)
        if isinstance(step, standing.Begin):
            new = step.standing.new_session()
            self.start_session(new, at, actor=AGENT, also=standing.note_begun)
        elif step is not None:
            with write_transaction(self._path) as connection:
                session = standing.open_standing(connection)
                # Somebody may have ended it meanwhile.
                if session is None or session.id != step.session.id:
                    return None
                if step.at_ms is None:
                    self._interrupt(connection, at)
                else:
                    moment = at.shift((step.at_ms - at.wall_ms) / 1000)
                    self._close(connection, moment, AGENT)
        return step

    def _interrupt(self, connection: sqlite3.Connection, at: Instant) -> None:
        """Close a standing session that goes on, so that it may begin anew."""
        session = standing.open_standing(connection)
        if session is not None:
            self._close(connection, at, AGENT)
            standing.note_interrupted(connection, session)

    def _close(self, connection: sqlite3.Connection, at: Instant, actor: str | None) -> Session:
        session = rows.close_session(connection, at)
        rows.insert_audit(connection, actor, "session_end", str(session.id), at)
        enqueue_session_event(connection, "ended", session, at, None, self._outbox_rows)
        return session

    def add_marker(
        self, kind: MarkerKind, label: str, at: Instant | None = None, *, actor: str | None = None
    ) -> Marker:
        """Add a marker to the open session, at ``at`` (now).

        A stimulus start opens the condition ``label``.

        Args:
            kind: what happened.
            label: 1 to 80 characters; may be empty for a stimulus end, which then names the open
                condition, and for a baseline.
            at: when it happened.
            actor: who did it, for the audit trail; ``None`` writes no line.

        Raises:
            StudyError: no session is open, no label, no condition to end, or ``at`` lies before the
                session.
        """
        moment = at or clock.now()
        with write_transaction(self._path) as connection:
            session = rows.require_open_session(connection)
            marker = rows.insert_marker(connection, session, kind, label, moment)
            rows.insert_audit(
                connection, actor, "marker_add", _audit_text(session.id, marker.kind), moment
            )
            enqueue_session_event(connection, "marker", session, moment, marker, self._outbox_rows)
        return marker

    def add_pressed_marker(self, pressed: PastMarker, *, actor: str | None = None) -> None:
        """Add a marker at the time at which it was pressed, which may have passed.

        It may be handed in again, as by a page that heard no answer: one of the same session,
        time, kind and label is added once. A session that has ended since gets it, too.

        Args:
            pressed: kind, label and time; without a session it is for the open one.
            actor: who did it, for the audit trail; ``None`` writes no line.

        Raises:
            StudyError: as ``add_marker``; it lies in the future, or outside the session named.
        """
        moment = clock.now()
        with write_transaction(self._path) as connection:
            session = rows.find_open_session(connection)
            if pressed.session not in {None, session and session.id}:
                if insert_past_marker(connection, rows.select_sessions(connection), pressed):
                    told = _audit_text(pressed.session, pressed.kind)
                    rows.insert_audit(connection, actor, "marker_add", told, moment)
                return
            session = rows.require_open_session(connection)
            at = moment.shift((_near(pressed.at_ms, session, moment) - moment.wall_ms) / 1000)
            at_ms = rows.in_session(connection, session.id, at)[1].wall_ms
            if rows.marker_is_there(connection, session.id, pressed.kind, pressed.label, at_ms):
                return
            marker = rows.insert_marker(connection, session, pressed.kind, pressed.label, at)
            told = _audit_text(session.id, pressed.kind)
            rows.insert_audit(connection, actor, "marker_add", told, moment)
            enqueue_session_event(connection, "marker", session, at, marker, self._outbox_rows)

    def note(self, actor: str, action: str, detail: str) -> None:
        """Write a line of the audit trail, or count it if there are many such."""
        with write_transaction(self._path) as connection:
            write_note(connection, actor, action, detail, clock.now())

    def open_session(self) -> Session | None:
        """Return the session that is open now, or ``None``."""
        with read_transaction(self._path) as connection:
            return rows.find_open_session(connection)

    def present_standing(self) -> standing.StandingPresent | None:
        """Return the standing session that goes on, or else the one whose hours are next."""
        return standing.present_standing(self._path, clock.now().wall_ms)

    def own_neutral(self, session: int) -> OwnNeutral | None:
        """Return what is kept of the own neutral of a session; ``None``: nothing was asked for."""
        with read_transaction(self._path) as connection:
            return own_neutrals(connection).get(session)

    def open_condition(self) -> str | None:
        """Return the label of the stimulus that is going on now, or ``None``."""
        with read_transaction(self._path) as connection:
            session = rows.find_open_session(connection)
            return None if session is None else rows.find_open_condition(connection, session.id)

    def sessions(self) -> list[Session]:
        """Return all sessions, newest first."""
        with read_transaction(self._path) as connection:
            return rows.select_sessions(connection)

    def markers(self, session: int) -> list[Marker]:
        """Return the markers of a session in order of time.

        Raises:
            StudyError: unknown session.
        """
        with read_transaction(self._path) as connection:
            return rows.select_markers(connection, session)


def _audit_text(session: int | None, kind: MarkerKind) -> str:
    """Return the audit text of a marker; its label may be about a person."""
    return f"session {session}: {kind.value}"


def _near(at_ms: int, session: Session, moment: Instant) -> int:
    """Return the time of a press, clipped to the session's start and to now within ``NEAR_MS``.

    Raises:
        StudyError: it lies in the future by more.
    """
    if at_ms > moment.wall_ms + NEAR_MS:
        raise StudyError(
            N_("A marker at {at} lies in the future; it is {now} now. Reload the page."),
            at=utc_text(at_ms),
            now=utc_text(moment.wall_ms),
        )
    if session.start_ms - NEAR_MS <= at_ms < session.start_ms:
        return session.start_ms
    return min(at_ms, moment.wall_ms)
