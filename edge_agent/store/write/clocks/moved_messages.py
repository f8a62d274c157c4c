"""The times in messages that wait for the broker, when the clock that they were read from was set.

What the broker has acknowledged keeps the time with which it was sent.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta
from typing import Any

from edge_agent.core.clock import iso_utc


def move_messages(connection: sqlite3.Connection, boot: int, by_ms: int) -> None:
    """Move the times in the waiting messages of a row of ``boot``."""
    rows = connection.execute("SELECT id, payload FROM outbox WHERE boot = ?", (boot,)).fetchall()
    for number, text in rows:
        moved = _moved(text, by_ms)
        if moved is not None:
            connection.execute("UPDATE outbox SET payload = ? WHERE id = ?", (moved, number))


def _moved(text: str, by_ms: int) -> str | None:
    """Return a payload with its times moved; ``None`` where it has none, or cannot be read."""
    try:
        payload = json.loads(text)
        if not isinstance(payload, dict):
            return None
        _move_times(payload, ("at",), by_ms)
        if isinstance(payload.get("window"), dict):
            _move_times(payload["window"], ("start", "end"), by_ms)
    except (ValueError, TypeError):
        return None
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False)


def _move_times(fields: dict[str, Any], names: tuple[str, ...], by_ms: int) -> None:
    for name in names:
        if name in fields:
            moment = datetime.fromisoformat(fields[name]) + timedelta(milliseconds=by_ms)
            fields[name] = iso_utc(round(moment.timestamp() * 1000))
