"""Lines of the audit trail that come without end: counted, and written as one.

The trail is never made shorter, so nobody may make it long. What one actor does of one kind is
written in full, up to a number of lines in an hour; what goes beyond is counted in ``setting`` and
written as one line when the hour is over: how often, from when to when, and each detail with its
number. Nothing is refused, so no line keeps anybody from anything.
"""

from __future__ import annotations

import sqlite3
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from edge_agent.core.bounds import NOTED_ALIKE, NOTED_EACH, NOTED_IN_AN_HOUR, printable
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.noted import ACTIONS, CODE_AFTER, ERASED
from edge_agent.timeline.database.setting import write_setting
from edge_agent.timeline.write import audit

PREFIX = "audit_more:"
"""Beginning of the keys in ``setting`` under which lines are counted."""
SEVERAL = "several"
"""Actor of lines that are counted together, where too many actors have such."""
_WHOLE = "audit_download"
"""Who takes the trail along gets it with all that was counted."""
_AFTER = "audit_more;"  # the next key behind all of them
_HOUR_MS = 3_600_000
_COUNTED_MOST = 100
"""Actors and actions that are counted at one time; of more, an action is counted for all actors."""
_DETAILS_MOST = 4_000
"""Characters of the details that one line tells apart."""
_DETAIL_MOST = 200
_OF_A_DETAIL = 10
"""Characters that a detail takes beside its own: its number, and what separates it."""


class Merged(BaseModel):
    """Lines that are counted, and not yet written.

    Attributes:
        actor: who.
        action: what was done.
        first_ms: when the first of them came, UTC.
        last_ms: when the last one came.
        count: how many there are.
        details: each detail with its number, as far as there was room.
    """

    actor: str
    action: str
    first_ms: int
    last_ms: int
    count: Annotated[int, Field(gt=0)]
    details: dict[str, int]

    @property
    def told(self) -> str:
        """The detail of the line that they become.

        Example:
            >>> times = {"first_ms": 0, "last_ms": 60_000}
            >>> Merged(actor="ada", action="login", count=3, details={"::1": 2}, **times).told
            '× 3 from 1970-01-01T00:00:00.000Z to 1970-01-01T00:01:00.000Z: ::1 × 2; more × 1'
        """
        parts = [f"{detail or '–'} × {number:,}" for detail, number in self.details.items()]
        left = self.count - sum(self.details.values())
        if left:
            parts.append(f"more × {left:,}")
        span = f"from {iso_utc(self.first_ms)} to {iso_utc(self.last_ms)}"
        return f"× {self.count:,} {span}: {'; '.join(parts)}"

    def add(self, detail: str, at_ms: int) -> None:
        """Count one more."""
        self.count += 1
        self.last_ms = at_ms
        known = sum(len(one) + _OF_A_DETAIL for one in self.details)
        if detail in self.details or known + len(detail) + _OF_A_DETAIL <= _DETAILS_MOST:
            self.details[detail] = self.details.get(detail, 0) + 1


def write_note(
    connection: sqlite3.Connection, actor: str, action: str, detail: str, at: Instant
) -> None:
    """Write a line of the audit trail, or count it if there are many such; first write what was
    counted until an hour ago.

    Args:
        connection: in a write transaction.
        actor: who.
        action: what was done.
        detail: to what.
        at: when, now.
    """
    write_counted(connection, at, before_ms=at.wall_ms - _HOUR_MS)
    actor, detail = printable(actor), printable(detail)
    key = f"{PREFIX}{action}:{actor}"
    counted = _read(connection, key)
    if counted is None and _has_room(connection, actor, action, detail, at):
        if action == _WHOLE:
            write_counted(connection, at)
        audit.write_line(connection, actor, action, detail, at)
        return
    if counted is None and len(read_counted(connection)) >= _COUNTED_MOST:
        key, detail = f"{PREFIX}{action}:", f"{actor}: {detail}"
        actor, counted = SEVERAL, _read(connection, key)
    detail = detail[:_DETAIL_MOST]
    if counted is None:
        counted = Merged(
            actor=actor,
            action=action,
            first_ms=at.wall_ms,
            last_ms=at.wall_ms,
            count=1,
            details={detail: 1},
        )
    else:
        counted.add(detail, at.wall_ms)
    write_setting(connection, key, counted.model_dump_json())


def without_erased(connection: sqlite3.Connection, action: str, detail: str) -> str:
    """Return the detail of a line without the code of somebody who was erased before it came.

    The dashboard notes letters that it has sent, and pages that it has shown, when they are done.

    Args:
        connection: in the transaction that writes the line.
        action: what was done.
        detail: to what; the code is its first word.
    """
    mark = CODE_AFTER.get(action)
    named, blank, rest = detail.partition(" ")
    if mark is None or not named.startswith(mark):
        return detail
    code = named.removeprefix(mark)
    # A word with a colon is a device of a fleet, whose people are not known here.
    if not code[:1].isalnum() or code.endswith(":"):
        return detail
    if connection.execute("SELECT 1 FROM participant WHERE code = ?", (code,)).fetchone():
        return detail
    return f"{mark}{ERASED}{blank}{rest}"


def write_counted(connection: sqlite3.Connection, at: Instant, before_ms: int | None = None) -> int:
    """Write the lines that are counted into the trail; return how many they become.

    Args:
        connection: in a write transaction.
        at: now.
        before_ms: only those of which the first came before this time, or in the future: the clock
            was set back; ``None``: all.
    """
    written = 0
    for key, counted in _rows_counted(connection):
        if before_ms is None or not before_ms <= counted.first_ms <= at.wall_ms:
            connection.execute("DELETE FROM setting WHERE key = ?", (key,))
            # Without its boot: a copy in which somebody is erased knows none of this machine's.
            audit.append(
                connection, audit.AuditLine(at.wall_ms, counted.actor, counted.action, counted.told)
            )
            written += 1
    return written


def read_counted(connection: sqlite3.Connection) -> list[Merged]:
    """Return the lines that are counted and not yet written."""
    return [one for _, one in _rows_counted(connection)]


def _rows_counted(connection: sqlite3.Connection) -> list[tuple[str, Merged]]:
    rows = connection.execute(
        "SELECT key, value FROM setting WHERE key >= ? AND key < ? ORDER BY key", (PREFIX, _AFTER)
    )
    return [(row[0], _parse(row[1])) for row in rows.fetchall()]


def _read(connection: sqlite3.Connection, key: str) -> Merged | None:
    row = connection.execute("SELECT value FROM setting WHERE key = ?", (key,)).fetchone()
    return None if row is None else _parse(row[0])


def _parse(kept: str) -> Merged:
    """Return what is counted; what a damaged file holds instead must not stop the trail."""
    try:
        return Merged.model_validate_json(kept)
    except ValidationError:
        return Merged(
            actor="appliance", action="notes_lost", first_ms=0, last_ms=0, count=1, details={}
        )


def _has_room(
    connection: sqlite3.Connection, actor: str, action: str, detail: str, at: Instant
) -> bool:
    """Tell whether another line may be written in full."""
    line = audit.AuditLine(at.wall_ms, actor, action, detail)
    lately = audit.lately(connection, at.wall_ms - _HOUR_MS, line, ACTIONS)
    return (
        lately.alike < NOTED_ALIKE
        and lately.of_both < NOTED_EACH
        and lately.characters < NOTED_IN_AN_HOUR
    )
