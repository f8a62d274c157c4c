"""Tombstones: times of which everything was erased.

Rows of such a time that still wait in memory, or come again from a file, are not written.

Only times are kept, without a code: of the sessions, and of when a participant was made, by which a
copy that still holds them is recognised. Where a later session lies over them (a clock that was set
back), its rows are written.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

Span = tuple[int, int]
_KEY = "erased"
_PARTICIPANTS_KEY = "erased_participants"


class Tombstones:
    """The erased times, as one transaction sees them.

    Args:
        connection: of the transaction.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._spans = read_tombstones(connection)

    @property
    def spans(self) -> Sequence[Span]:
        """The erased times, in the order of erasing."""
        return self._spans

    def cover(self, start_ms: int, end_ms: int) -> bool:
        """Tell whether what lasted from ``start_ms`` to ``end_ms`` belongs to what was erased."""
        met = any(
            start < max(end_ms, start_ms + 1) and start_ms < end for start, end in self._spans
        )
        return met and not self._in_session(start_ms, end_ms)

    def _in_session(self, start_ms: int, end_ms: int) -> bool:
        session = self._connection.execute(
            "SELECT 1 FROM session WHERE started <= ? AND (ended IS NULL OR ended > ?)",
            (end_ms, start_ms),
        )
        return session.fetchone() is not None


def read_tombstones(connection: sqlite3.Connection) -> list[Span]:
    """Return the erased times in the order of erasing; none where a damaged file garbled them."""
    try:
        return [(int(start), int(end)) for start, end in _read(connection, _KEY)]
    except (ValueError, TypeError):
        return []


def read_erased_participants(connection: sqlite3.Connection) -> list[int]:
    """Return when those who were erased were made, UTC milliseconds, in the order of erasing."""
    try:
        return [int(created) for created in _read(connection, _PARTICIPANTS_KEY)]
    except (ValueError, TypeError):
        return []


def add_tombstones(
    connection: sqlite3.Connection, spans: Sequence[Span], participants: Sequence[int] = ()
) -> None:
    """Remember times of which everything was erased, and when who was erased had been made."""
    if spans:
        _write(connection, _KEY, [*read_tombstones(connection), *spans])
    if participants:
        known = read_erased_participants(connection)
        _write(connection, _PARTICIPANTS_KEY, [*known, *participants])


def _read(connection: sqlite3.Connection, key: str) -> list[Any]:
    row = connection.execute("SELECT value FROM setting WHERE key = ?", (key,)).fetchone()
    if row is None:
        return []
    return list(json.loads(row[0]))


def _write(connection: sqlite3.Connection, key: str, values: Sequence[object]) -> None:
    connection.execute(
        "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = "
        "excluded.value",
        (key, json.dumps(values, separators=(",", ":"))),
    )
