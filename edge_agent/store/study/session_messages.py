"""Messages to the broker about sessions.

They are queued in the transaction of the rows that they tell of.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.study import Marker, Session
from edge_agent.store.write.outbox import OutboxMessage, enqueue

SESSION_TOPIC = "session"


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
        "participant": session.participant,
        "purpose": session.purpose.value,
        "name": session.name,
        "at": iso_utc(at.wall_ms),
        "marker": None if marker is None else {"kind": marker.kind.value, "label": marker.label},
    }
    enqueue(connection, OutboxMessage(SESSION_TOPIC, payload), outbox_rows)
