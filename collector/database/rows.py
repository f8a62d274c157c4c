"""Rows of many streams, written together, and the rollups of the times where they changed.

Rows that may already exist are copied into a temporary table, and from there into their place.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import psycopg

from collector.database.schema import RESOLUTIONS, SCHEMA, VITAL_SUMS, column_type, key_of
from edge_agent.core.readings import UNUSABLE, VitalFlag
from edge_agent.fleet.tables import BY_NAME, TIMELINE, SentTable
from edge_agent.store.database.schema import ADDED, NAMES

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


Place = tuple[int, int]
"""Number of a stream, and a time in ms."""
MINUTE_MS = RESOLUTIONS["minute"]
_ROWS = ", ".join(
    (
        "count(*) AS rows",
        "sum(frames) AS frames",
        "count(*) FILTER (WHERE emotion IS NULL) AS uncertain",
        "sum(source.simulated) AS simulated",
        *(f"sum({name}) AS sum_{name}" for name in NAMES),
        *(f"count(*) FILTER (WHERE emotion = '{name}') AS count_{name}" for name in NAMES),
    )
)
_SUMS = ", ".join(f"sum({name})" for name in ADDED)
_VITAL_SUMS = "sum(n), sum(total), min(least), max(most), sum(flagged), sum(simulated)"
_DELETIONS = tuple(
    f"DELETE FROM {SCHEMA}.{kind}_{name} AS old USING touched WHERE touched.step = {step} "
    "AND touched.emptied AND old.stream = touched.stream AND old.at = touched.at"
    for kind in ("expression", "vital")
    for name, step in RESOLUTIONS.items()
)
_KEYS = {table.name: key_of(table) for table in TIMELINE}
_KEY_POSITIONS = {
    table.name: [table.columns.index(column) for column in key_of(table)] for table in TIMELINE
}
_ROLLED_UP = frozenset({"expression", "vital"})


def _is_flagged(flag: VitalFlag) -> str:
    return f"strpos(' ' || flags || ' ', ' {flag} ') > 0"


_UNUSABLE = " OR ".join(_is_flagged(flag) for flag in sorted(UNUSABLE))
_READINGS = (
    "count(*) FILTER (WHERE usable) AS n, coalesce(sum(value) FILTER (WHERE usable), 0) AS total, "
    "min(value) FILTER (WHERE usable) AS least, max(value) FILTER (WHERE usable) AS most, "
    "count(*) FILTER (WHERE NOT usable) AS flagged, "
    f"count(*) FILTER (WHERE flags <> '' AND {_is_flagged(VitalFlag.SIMULATED)}) AS simulated"
)


def prepare_rollups(connection: psycopg.Connection) -> None:
    """Create the temporary table of changed places, once for each connection."""
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS touched "
        "(stream int8, at int8, step int8, emptied boolean) ON COMMIT DELETE ROWS"
    )


def roll_up(
    connection: psycopg.Connection, places: Iterable[Place], emptied: Iterable[Place]
) -> None:
    """Compute the rollups of all minutes with changed rows, in the caller's transaction.

    Readings are summed in order of time and kind, so that the same rows give the same sum.

    Args:
        connection: in a transaction that holds the streams.
        places: places with added or removed rows.
        emptied: those of them where perhaps no row is left.
    """
    minutes = begins(places, MINUTE_MS)
    if not minutes:
        return
    gone = begins(emptied, MINUTE_MS)
    with connection.cursor().copy("COPY touched (stream, at, step, emptied) FROM STDIN") as copy:
        for step in RESOLUTIONS.values():
            perhaps_nothing = begins(gone, step)
            for place in begins(minutes, step):
                copy.write_row((*place, step, place in perhaps_nothing))
    # An upsert of no rows would leave the old sums: places that may be empty are deleted first.
    if gone:
        for statement in _DELETIONS:
            connection.execute(statement.encode())
    # In this order: hours are summed from the minutes that were just written, days from hours.
    for statement in _STATEMENTS:
        connection.execute(statement.encode())
    connection.execute("DELETE FROM touched")


def begins(places: Iterable[Place], step: int) -> set[Place]:
    """Return the beginnings of the minutes, hours or days, of ``step`` ms, in which places lie."""
    return {(stream, at // step * step) for stream, at in places}


def _rows_of(source: str, step: int) -> str:
    # OFFSET 0 keeps the planner from turning the loop round: it would go through the whole table
    return (
        f"FROM touched CROSS JOIN LATERAL (SELECT * FROM {SCHEMA}.{source} AS one WHERE "
        f"one.stream = touched.stream AND one.at >= touched.at AND one.at < touched.at + {step} "
        f"OFFSET 0) AS source WHERE touched.step = {step}"
    )


def _upsert(name: str, columns: tuple[str, ...], select: str) -> str:
    key = ("stream", "at", "kind") if "kind" in columns else ("stream", "at")
    sets = ", ".join(f"{one} = excluded.{one}" for one in columns if one not in key)
    return (
        f"INSERT INTO {SCHEMA}.{name} (stream, at, {', '.join(columns)}) {select} "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}"
    )


def _statements() -> list[str]:
    """Return the statements: minutes from rows, hours from minutes, days from hours."""
    place = "touched.stream, touched.at"
    vitals = ("kind", *VITAL_SUMS)
    readings = (
        f"SELECT {place}, kind, value, flags, flags = '' OR NOT ({_UNUSABLE}) AS usable "
        f"{_rows_of('vital', MINUTE_MS)} ORDER BY {place}, source.at"
    )
    statements = [
        _upsert(
            "expression_minute",
            ADDED,
            f"SELECT {place}, {_ROWS} {_rows_of('expression', MINUTE_MS)} AND "
            f"source.is_primary = 1 GROUP BY {place}",
        ),
        _upsert(
            "vital_minute",
            vitals,
            f"SELECT stream, at, kind, {_READINGS} FROM ({readings}) AS reading "
            "GROUP BY stream, at, kind",
        ),
    ]
    for finer, name in (("minute", "hour"), ("hour", "day")):
        faces = _rows_of(f"expression_{finer}", RESOLUTIONS[name])
        beats = _rows_of(f"vital_{finer}", RESOLUTIONS[name])
        statements += [
            _upsert(
                f"expression_{name}", ADDED, f"SELECT {place}, {_SUMS} {faces} GROUP BY {place}"
            ),
            _upsert(
                f"vital_{name}",
                vitals,
                f"SELECT {place}, kind, {_VITAL_SUMS} {beats} GROUP BY {place}, kind",
            ),
        ]
    return statements


_STATEMENTS = tuple(_statements())


Key = tuple[Any, ...]


def prepare(connection: psycopg.Connection) -> None:
    """Create the temporary tables for the timeline, once for each connection."""
    for table in TIMELINE:
        connection.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS new_{table.name} "
            f"(LIKE {SCHEMA}.{table.name})".encode()
        )


class RowWriter:
    """Collects changes of rows; of several changes of one row only the newest counts.

    Args:
        connection: in a transaction of the caller.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._rows: dict[str, dict[Key, list[Any] | None]] = defaultdict(dict)
        self.touched: set[Place] = set()
        """Streams and times at which rows of a rollup came or went."""
        self.emptied: set[Place] = set()
        """Those of them at which a rollup may have no row any more."""
        self.replaced: set[int] = set()
        """Streams of which a row took the place of another one."""

    def add(self, stream: int, table: str, what: str, values: list[Any]) -> None:
        """Add a written or deleted row."""
        if table not in _KEYS:
            key: Key = (stream, values[0])
        elif what == "row":
            key = (stream, *(values[position] for position in _KEY_POSITIONS[table]))
        elif len(BY_NAME[table].key) == 1:
            key = (stream, values[1], values[0])  # id and time came
        else:
            key = (stream, *values)
        # A later change overwrites an earlier one; ``None`` stands for a deleted row.
        self._rows[table][key] = values if what == "row" else None

    def flush(self) -> None:
        """Write all collected changes."""
        for name, rows in self._rows.items():
            table = BY_NAME[name]
            if name in _KEYS:
                self._write_timeline(table, rows)
            else:
                self._write_study(name, rows)
        self._rows.clear()

    def _write_timeline(self, table: SentTable, rows: dict[Key, list[Any] | None]) -> None:
        if table.name in _ROLLED_UP:
            self.touched.update((key[0], key[1]) for key in rows)
        key = _KEYS[table.name]
        gone = [key for key, values in rows.items() if values is None]
        if gone:
            self.emptied.update((key[0], key[1]) for key in gone)
            condition = " AND ".join(f"{column} = %s" for column in ("stream", *key))
            self._connection.cursor().executemany(
                f"DELETE FROM {SCHEMA}.{table.name} WHERE {condition}".encode(), gone
            )
        new = [(key[0], *values) for key, values in rows.items() if values is not None]
        # Rows are new unless a message came twice or overtook
        # another: the cheap way is tried first.
        if new and not self._add(table, new):
            self.emptied.update((key[0], key[1]) for key in rows)
            self._replace(table, new)

    def _add(self, table: SentTable, new: list[Key]) -> bool:
        """Insert new rows; return ``False`` if one of them exists already."""
        try:
            # A savepoint: after a unique violation PostgreSQL would refuse all further statements.
            with self._connection.transaction():
                self._copy(f"{SCHEMA}.{table.name}", table, new)
        except psycopg.errors.UniqueViolation:
            return False
        return True

    def _replace(self, table: SentTable, new: list[Key]) -> None:
        """Insert or replace rows of which some exist already."""
        beside = f"new_{table.name}"
        self._copy(beside, table, new)
        key = _KEYS[table.name]
        changed = [column for column in table.columns if column not in key]
        sets = ", ".join(f"{column} = excluded.{column}" for column in changed)
        columns = ", ".join(("stream", *table.columns))
        same = " AND ".join(f"old.{column} = new.{column}" for column in ("stream", *key))
        # A row that came once more with the same values has replaced nothing.
        differs = (
            f"({', '.join(f'old.{column}' for column in changed)}) IS DISTINCT FROM "
            f"({', '.join(f'new.{column}' for column in changed)})"
        )
        replaced = self._connection.execute(
            f"SELECT DISTINCT new.stream FROM {beside} AS new CROSS JOIN LATERAL (SELECT * FROM "
            f"{SCHEMA}.{table.name} AS old WHERE {same} OFFSET 0) AS old WHERE {differs}".encode()
        ).fetchall()
        self.replaced.update(row[0] for row in replaced)
        self._connection.execute(
            f"INSERT INTO {SCHEMA}.{table.name} ({columns}) SELECT {columns} FROM {beside} "
            f"ON CONFLICT ({', '.join(('stream', *key))}) DO UPDATE SET {sets}".encode()
        )
        self._connection.execute(f"TRUNCATE {beside}".encode())

    def _copy(self, place: str, table: SentTable, new: list[Key]) -> None:
        columns = ", ".join(("stream", *table.columns))
        with self._connection.cursor().copy(
            # COPY in binary form: far fewer bytes and parsing than one INSERT for each row.
            f"COPY {place} ({columns}) FROM STDIN (FORMAT BINARY)".encode()
        ) as copy:
            copy.set_types(["int8", *(column_type(column) for column in table.columns)])
            for values in new:
                copy.write_row(values)

    def _write_study(self, kind: str, rows: dict[Key, list[Any] | None]) -> None:
        columns = BY_NAME[kind].columns[1:]
        cursor = self._connection.cursor()
        gone = [(stream, kind, id_) for (stream, id_), values in rows.items() if values is None]
        if gone:
            cursor.executemany(
                f"DELETE FROM {SCHEMA}.study_row WHERE stream = %s AND kind = %s AND id = %s", gone
            )
        new = [
            (stream, kind, id_, json.dumps(dict(zip(columns, values[1:], strict=True))))
            for (stream, id_), values in rows.items()
            if values is not None
        ]
        if new:
            cursor.executemany(
                f"INSERT INTO {SCHEMA}.study_row (stream, kind, id, fields) VALUES "
                "(%s, %s, %s, %s::jsonb) ON CONFLICT (stream, kind, id) "
                "DO UPDATE SET fields = excluded.fields",
                new,
            )
