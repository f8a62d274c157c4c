"""Reads a stretch of the log of changes, and the rows that it names, as they are now."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.fleet.tables import BY_CODE, SentTable
from edge_agent.fleet.triggers import GONE
from edge_agent.store.write.replication.changes import Special

Change = list[Any]
"""Position, name of a table or of something special, what happened, and values."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one message says.

    Attributes:
        first: the first position that it covers.
        last: the last one.
        changes: in order; a position may have none, for its row is gone, or many, in a copy.
        absent: rows that were logged and were not there any more.
    """

    first: int
    last: int
    changes: tuple[Change, ...]
    absent: int


@dataclass(frozen=True, slots=True)
class _Entry:
    seq: int
    what: int
    a: int
    b: int | None
    more: str | None

    @property
    def table(self) -> SentTable:
        return BY_CODE[self.what // 10]

    @property
    def is_row(self) -> bool:
        return self.what >= 10 and self.what % 10 != GONE

    @property
    def is_range(self) -> bool:
        return self.is_row and self.b is not None


def read_chunk(connection: sqlite3.Connection, after: int, most_rows: int) -> Chunk | None:
    """Return the next changes, of about ``most_rows`` rows; ``None`` for no changes."""
    entries = [
        _Entry(*row)
        for row in connection.execute(
            "SELECT seq, what, a, b, more FROM fleet_change WHERE seq > ? ORDER BY seq LIMIT ?",
            (after, most_rows),
        )
    ]
    if not entries:
        return None
    for number, entry in enumerate(entries):
        if entry.is_range:  # a message of its own: it has as many rows as one may have
            entries = entries[: max(1, number)]
            break
    changes: list[Change] = []
    absent = 0
    rows = dict(_single_rows(connection, entries))
    for entry in entries:
        new = list(_changes_of(connection, entry, rows))
        if not new and entry.is_row:
            absent += 1
        changes += new
    first = entries[0].seq
    if entries[0].what == Special.GAP:
        first = entries[0].a
    return Chunk(first, entries[-1].seq, tuple(changes), absent)


def _changes_of(
    connection: sqlite3.Connection, entry: _Entry, rows: dict[tuple[int, Any], Change]
) -> Iterator[Change]:
    """Yield what one entry of the log says."""
    if entry.what < 10:
        yield from _special(entry)
    elif not entry.is_row:
        key = [entry.a, *json.loads(entry.more)] if entry.more else [entry.a, entry.b]
        yield [entry.seq, entry.table.name, "gone", key]
    elif entry.is_range:
        table = entry.table
        column = table.key[0]
        for row in connection.execute(
            f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {column} BETWEEN ? AND ?",
            (entry.a, entry.b),
        ):
            yield [entry.seq, table.name, "row", list(row)]
    else:
        values = rows.get((entry.what, _key(entry)))
        if values is not None:
            yield [entry.seq, entry.table.name, "row", values]


def _special(entry: _Entry) -> Iterator[Change]:
    more = json.loads(entry.more) if entry.more else {}
    match entry.what:
        case Special.ERASE:
            yield [entry.seq, "", "erase", {"participant": entry.a, **more}]
        case Special.GAP:
            yield [entry.seq, "", "gap", {"first": entry.a, "changes": entry.b}]
        case Special.COPIED:
            yield [entry.seq, "", "copied", more]
        case Special.BEGIN:
            yield [entry.seq, "", "begin", more]


def _key(entry: _Entry) -> Any:
    if entry.more:
        return (entry.a, *json.loads(entry.more))
    return entry.a


def _single_rows(
    connection: sqlite3.Connection, entries: Sequence[_Entry]
) -> Iterator[tuple[tuple[int, Any], Change]]:
    """Yield the rows that entries name one by one, by table and key."""
    wanted: dict[int, list[Any]] = defaultdict(list)
    for entry in entries:
        if entry.is_row and not entry.is_range:
            wanted[entry.what].append(_key(entry))
    for what, keys in wanted.items():
        table = BY_CODE[what // 10]
        columns = ", ".join(table.columns)
        if len(table.key) == 1:
            sql = f"SELECT {columns} FROM {table.name} WHERE id IN (SELECT value FROM json_each(?))"
            for row in connection.execute(sql, (json.dumps(keys),)):
                yield (what, row[0]), list(row)
            continue
        sql = f"SELECT {columns} FROM {table.name} WHERE at = ? AND kind = ? AND source = ?"
        for key in keys:
            for row in connection.execute(sql, key):
                yield (what, key), list(row)
