"""Deleting rows of the timeline in portions, each written down in the transaction that does it."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Collection

from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.store.database.schema import transaction
from edge_agent.store.upkeep.verification import ROWS_DELETED
from edge_agent.store.write.audit.chain import AuditLine, amend_newest, append
from edge_agent.store.write.replication.changes import unlogged_deletions

_PORTION_ROWS = 5_000  # a portion a transaction, so that the recorder never waits for long
_KEYS = {"expression": "id", "unfit": "id", "vital": "at, kind, source"}


class Deletions:
    """What one run deletes: one line in ``audit``, right after every portion.

    Another line is begun where somebody else wrote one meanwhile.

    Args:
        connection: for writing.
        action: of the line in ``audit``: ``retention`` or ``disk_budget``.
        at_ms: of that line, UTC.
        spared: numbers of ``boot`` whose rows stay, for their time is wrong.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        action: str,
        at_ms: int,
        spared: Collection[int] = (),
    ) -> None:
        self._connection = connection
        self._action = action
        self._at_ms = at_ms
        self._others = ""
        if spared:
            numbers = ", ".join(str(int(number)) for number in sorted(spared))
            self._others = f" AND (boot IS NULL OR boot NOT IN ({numbers}))"
        self._rows: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._line: int | None = None

    @property
    def rows(self) -> int:
        """Rows deleted so far."""
        return self._rows.total()

    def delete_between(self, table: str, start: int, end: int, until_s: float = math.inf) -> None:
        """Delete the rows of a table from ``start`` to before ``end``.

        Ends after the portion that passes ``until_s``, seconds of the boot clock.
        """
        key = _KEYS[table]
        statement = (
            f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} "
            f"WHERE at >= ? AND at < ?{self._others} LIMIT ?)"
        )
        while True:
            with transaction(self._connection):
                with unlogged_deletions(self._connection):
                    portion = self._connection.execute(
                        statement, (start, end, _PORTION_ROWS)
                    ).rowcount
                if portion:
                    self._rows[table] += portion
                    self._write_down(table, portion, end)
            if portion < _PORTION_ROWS or clock.boot_seconds() >= until_s:
                return

    def _write_down(self, table: str, portion: int, before_ms: int) -> None:
        self._told[table] += portion
        detail = self._detail(before_ms)
        if self._line is None or not amend_newest(self._connection, self._line, detail):
            # lines of others followed, which are sealed: what is told there stays
            self._told = Counter({table: portion})
            detail = self._detail(before_ms)
            line = AuditLine(self._at_ms, "appliance", self._action, detail)
            self._line = append(self._connection, line)
        self._connection.execute(
            "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value "
            "= CAST(value AS INTEGER) + CAST(excluded.value AS INTEGER)",
            (ROWS_DELETED, str(portion)),
        )

    def _detail(self, before_ms: int) -> str:
        each = ", ".join(f"{rows} {table}" for table, rows in self._told.items())
        total = self._told.total()
        return f"{total} rows of before {iso_utc(before_ms)} deleted: {each}"
