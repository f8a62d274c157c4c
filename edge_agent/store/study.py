"""Participants, consent, sessions and markers: short write transactions beside the agent."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edge_agent import clock
from edge_agent.clock import Instant
from edge_agent.domain import Marker, MarkerKind, Participant, Purpose, Session
from edge_agent.errors import StudyError
from edge_agent.store.outbox import OutboxMessage, enqueue
from edge_agent.store.schema import reading, writing
from edge_agent.store.study_rows import (
    close_session,
    find_open_condition,
    find_open_session,
    find_participant,
    has_consent,
    insert_consent,
    insert_marker,
    insert_participant,
    insert_session,
    require_open_session,
    select_markers,
    select_participants,
    select_sessions,
    withdraw_consent,
)

SESSION_TOPIC = "session"


class Study:
    """Writes and reads the study. Every call is one transaction on a connection of its own: use it from any thread.

    Each start, end and marker is queued for the broker in the same transaction.
    All methods raise ``StoreError`` when the database cannot be used.

    Args:
        path: the database, already migrated.
        purposes: which purposes a session may have here.
        outbox_rows: messages kept in the outbox at the most.
    """

    def __init__(self, path: Path, *, purposes: Iterable[Purpose] = tuple(Purpose), outbox_rows: int = 50_000) -> None:
        self._path = path
        self._purposes = tuple(purposes)
        self._outbox_rows = outbox_rows

    def create_participant(self, code: str | None = None) -> Participant:
        """Add a participant under a pseudonymous code; ``None`` makes one up.

        Raises:
            StudyError: the code is taken, or is not 1 to 32 letters, digits, ``.``, ``_`` or ``-``.
        """
        with writing(self._path) as connection:
            return insert_participant(connection, code, clock.now())

    def participants(self) -> list[Participant]:
        """Return all participants in order of their codes."""
        with reading(self._path) as connection:
            return select_participants(connection)

    def give_consent(self, code: str, text_version: str) -> None:
        """Record that the participant agreed, now, to this version of the text; it replaces an earlier consent.

        Raises:
            StudyError: unknown participant, or no version named.
        """
        with writing(self._path) as connection:
            insert_consent(connection, code, text_version, clock.now())

    def withdraw_consent(self, code: str) -> None:
        """Record that the participant withdrew, now. No further session can start; what was recorded stays.

        Raises:
            StudyError: unknown participant, or no consent that could be withdrawn.
        """
        with writing(self._path) as connection:
            withdraw_consent(connection, code, clock.now())

    def has_consent(self, code: str) -> bool:
        """Tell whether the participant's consent stands.

        Raises:
            StudyError: unknown participant.
        """
        with reading(self._path) as connection:
            return has_consent(connection, find_participant(connection, code))

    def start_session(self, participant: str, purpose: Purpose, name: str, at: Instant | None = None) -> Session:
        """Open a session, from ``at`` (now) on.

        Raises:
            StudyError: unknown participant, no consent, purpose not allowed here, a session is open already, or ``at``
                lies before the end of an earlier one.
        """
        if purpose not in self._purposes:
            allowed = ", ".join(self._purposes)
            raise StudyError(f"Purpose {purpose} is not allowed on this appliance. Allowed: {allowed}.")
        moment = at or clock.now()
        with writing(self._path) as connection:
            session = insert_session(connection, participant, purpose, name, moment)
            self._announce(connection, "started", session, moment, None)
        return session

    def end_session(self, at: Instant | None = None) -> Session:
        """Close the open session, at ``at`` (now).

        Raises:
            StudyError: no session is open, or ``at`` lies before its start.
        """
        moment = at or clock.now()
        with writing(self._path) as connection:
            session = close_session(connection, moment)
            self._announce(connection, "ended", session, moment, None)
        return session

    def add_marker(self, kind: MarkerKind, label: str, at: Instant | None = None) -> Marker:
        """Add a marker to the open session, at ``at`` (now); a stimulus start opens the condition ``label``.

        Args:
            kind: what happened.
            label: 1 to 80 characters; may be empty for a stimulus end, which then names the open condition, and for a
                baseline.
            at: when it happened.

        Raises:
            StudyError: no session is open, no label, no condition to end, or ``at`` lies before the session.
        """
        moment = at or clock.now()
        with writing(self._path) as connection:
            session = require_open_session(connection)
            marker = insert_marker(connection, session, kind, label, moment)
            self._announce(connection, "marker", session, moment, marker)
        return marker

    def open_session(self) -> Session | None:
        """Return the session that is open now, or ``None``."""
        with reading(self._path) as connection:
            return find_open_session(connection)

    def open_condition(self) -> str | None:
        """Return the label of the stimulus that is going on now, or ``None``."""
        with reading(self._path) as connection:
            session = find_open_session(connection)
            return None if session is None else find_open_condition(connection, session.id)

    def sessions(self) -> list[Session]:
        """Return all sessions, newest first."""
        with reading(self._path) as connection:
            return select_sessions(connection)

    def markers(self, session: int) -> list[Marker]:
        """Return the markers of a session in order of time.

        Raises:
            StudyError: unknown session.
        """
        with reading(self._path) as connection:
            return select_markers(connection, session)

    def _announce(
        self, connection: sqlite3.Connection, event: str, session: Session, at: Instant, marker: Marker | None
    ) -> None:
        payload: dict[str, Any] = {
            "schema": 1,
            "event": event,
            "session": session.id,
            "participant": session.participant,
            "purpose": session.purpose.value,
            "name": session.name,
            "at": clock.iso_utc(at.wall_ms),
            "marker": None if marker is None else {"kind": marker.kind.value, "label": marker.label},
        }
        enqueue(connection, OutboxMessage(SESSION_TOPIC, payload), self._outbox_rows)
