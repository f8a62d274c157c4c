"""Reading the audit trail: who did what, and whether somebody changed it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.write.audit import Chain, check
from edge_agent.timeline.write.merged_notes import Merged, read_counted

_COUNT = "SELECT count(*) FROM audit"
_SELECT = "SELECT id, at, actor, action, detail, coalesce(seal, '') FROM audit"


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """A choice of lines of the audit trail; empty texts and ``None`` choose all.

    Attributes:
        start_ms: at this time or later.
        end_ms: before this time.
        actor: who, as it is written there.
        action: what.
    """

    start_ms: int | None = None
    end_ms: int | None = None
    actor: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A line of the audit trail.

    Attributes:
        id: its number; they are in the order in which they were written.
        at_ms: when.
        actor: who: an account, ``appliance`` or ``command line``.
        action: what was done.
        detail: to what.
        seal: over this line and the seal before it; empty for a line that has none yet.
    """

    id: int
    at_ms: int
    actor: str
    action: str
    detail: str
    seal: str


class AuditTrail:
    """The audit trail kept in the database.

    Args:
        path: the database file, already migrated.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self) -> Chain:
        """Compare all lines with their seals."""
        with read_transaction(self._path) as connection:
            return check(connection)

    def counted_lines(self) -> list[Merged]:
        """Return lines that come so often that they are counted, and not yet written."""
        with read_transaction(self._path) as connection:
            return read_counted(connection)

    def page(self, wanted: AuditFilter, size: int, number: int) -> tuple[int, list[AuditEntry]]:
        """Return how many lines are wanted, and those of one page, the newest first.

        Args:
            wanted: which lines.
            size: lines of a page.
            number: of the page, from 1.
        """
        where, values = _condition_of(wanted)
        # In one transaction, so that the number of pages fits the lines.
        with read_transaction(self._path) as connection:
            count = connection.execute(f"{_COUNT} {where}", values).fetchone()[0]
            rows = connection.execute(
                f"{_SELECT} {where} ORDER BY id DESC LIMIT ? OFFSET ?",
                (*values, size, (number - 1) * size),
            ).fetchall()
        return count, [_entry(row) for row in rows]

    def lines(self, wanted: AuditFilter) -> Iterator[AuditEntry]:
        """Yield all lines that are wanted, the oldest first."""
        where, values = _condition_of(wanted)
        with read_transaction(self._path) as connection:
            for row in connection.execute(f"{_SELECT} {where} ORDER BY id", values):
                yield _entry(row)

    def names(self) -> tuple[list[str], list[str]]:
        """Return everybody who did something, and everything that was done."""
        with read_transaction(self._path) as connection:
            actors = connection.execute("SELECT DISTINCT actor FROM audit ORDER BY actor")
            who = [row[0] for row in actors]
            actions = connection.execute("SELECT DISTINCT action FROM audit ORDER BY action")
            return who, [row[0] for row in actions]


def _condition_of(wanted: AuditFilter) -> tuple[str, list[str | int]]:
    conditions: list[str] = []
    values: list[str | int] = []
    given: tuple[tuple[str, str | int | None], ...] = (
        ("at >= ?", wanted.start_ms),
        ("at < ?", wanted.end_ms),
        ("actor = ?", wanted.actor or None),
        ("action = ?", wanted.action or None),
    )
    for condition, value in given:
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if not conditions:
        return "", values
    return f"WHERE {' AND '.join(conditions)}", values


def _entry(row: sqlite3.Row) -> AuditEntry:
    return AuditEntry(*row)
