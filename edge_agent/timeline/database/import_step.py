"""The step that gives each imported row the number of its import, in a column.

Before, ``setting`` held for each import of a study or a video the first and the last number of its
rows in each table. A number whose row was erased may have been given again: rows are therefore also
identified by the time of their participant, or of their session. The SQL is for the tables of then.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

_KEY = "study_import_"
_TIMES = {"expression": "at", "movement": "at", "unfit": "at", "gap": "started"}
_TABLES = (
    *(*_TIMES, "model", "participant", "participant_attribute", "consent", "session"),
    *("marker", "exclusion", "self_report"),
)
_PORTION_ROWS = 20_000
_INDEXED = ("expression", "movement", "unfit", "vital")
_OF_IMPORT = (
    "sessions INTEGER NOT NULL DEFAULT 0",
    "faces INTEGER",
    "started INTEGER",
    "ended INTEGER",
    "joined TEXT NOT NULL DEFAULT '{}'",
)


def add_import_columns(connection: sqlite3.Connection) -> None:
    """Add the columns, and fill them for the imports so far, in the caller's transaction."""
    for table in _TABLES:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN import INTEGER")
    for table in _INDEXED:
        connection.execute(
            f"CREATE INDEX {table}_import ON {table}(import) WHERE import IS NOT NULL"
        )
    for column in _OF_IMPORT:
        connection.execute(f"ALTER TABLE import ADD COLUMN {column}")
    # A fleet is told nothing: what it gets of these rows does not change. Whoever takes the steps
    # makes the triggers again.
    triggers = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name GLOB 'fleet_log_*'"
    ).fetchall()
    for (name,) in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    fill_import_columns(connection)


def fill_import_columns(connection: sqlite3.Connection) -> None:
    """Fill the columns for imports of which numbers are noted, in the caller's transaction.

    A salvage brings such notes, and the rows, from a damaged database of an earlier release.
    """
    noted = connection.execute(
        "SELECT import.id, value FROM import JOIN setting ON key = ? || import.id WHERE "
        "json_valid(value) ORDER BY id",
        (_KEY,),
    ).fetchall()
    for number, text in noted:
        _fill(connection, number, json.loads(text))
    connection.execute("DELETE FROM setting WHERE key GLOB ?", (f"{_KEY}*",))


def _fill(connection: sqlite3.Connection, number: int, noted: Mapping[str, Any]) -> None:
    """Give the rows of an import its number, and say in ``import`` what it added."""
    connection.executemany(
        "UPDATE participant SET import = ? WHERE id = ? AND created = ?",
        [(number, *person) for person in noted["people"]],
    )
    people = "participant IN (SELECT id FROM participant WHERE import = ?1)"
    sessions = "session IN (SELECT id FROM session WHERE import = ?1)"
    spans = "SELECT started, ended FROM session WHERE import = ?1"
    markers = sessions
    if "faces" in noted:
        # The session of a video may have been there before, and may be erased since.
        session, start, end, participant, created = noted["faces"]
        is_there = connection.execute(
            "SELECT count(*) FROM session JOIN participant ON participant.id = participant WHERE "
            "session.id = ? AND participant = ? AND created = ?",
            (session, participant, created),
        ).fetchone()[0]
        people = f"participant = {participant:d} AND {is_there:d}"
        spans = f"SELECT {start:d} AS started, {end:d} AS ended WHERE {is_there:d}"
        markers = "true"  # a number of a marker is never given again
    which = {
        "session": people,
        "consent": people,
        "participant_attribute": people,
        "marker": markers,
        "self_report": sessions,
        "model": "true",
    }
    for table, column in _TIMES.items():
        at = f"{table}.{column}"
        inside = f"{at} >= span.started AND {at} < span.ended"
        which[table] = f"EXISTS (SELECT 1 FROM ({spans}) AS span WHERE {inside})"
    for table, condition in which.items():
        for first, last in _portions(connection, table, *noted[table]):
            connection.execute(
                f"UPDATE {table} SET import = ?1 WHERE id BETWEEN ?2 AND ?3 AND {condition}",
                (number, first, last),
            )
    connection.execute(
        f"UPDATE exclusion SET import = ?1 WHERE actor = 'import' AND {sessions}", (number,)
    )
    _tell(connection, number, noted)


def _portions(
    connection: sqlite3.Connection, table: str, first: int, last: int
) -> Iterator[tuple[int, int]]:
    """Yield the first and the last number of portions of rows.

    SQLite keeps what a statement changes in another file until the statement ends.
    """
    while True:
        rows = f"SELECT id FROM {table} WHERE id BETWEEN ? AND ? ORDER BY id LIMIT {_PORTION_ROWS}"
        end = connection.execute(f"SELECT max(id) FROM ({rows})", (first, last)).fetchone()[0]
        if end is None:
            return
        yield first, end
        first = end + 1


def _tell(connection: sqlite3.Connection, number: int, noted: Mapping[str, Any]) -> None:
    """Say in ``import`` how much an import added, and what lay in its sessions before."""
    added = {
        table: noted[table][1] - noted[table][0] + 1
        for table in ("session", "expression", "movement")
    }
    joined = {
        table: connection.execute(
            f"SELECT count(*) FROM session AS span CROSS JOIN {table} AS one ON one.{column} >= "
            f"span.started AND one.{column} < span.ended WHERE span.import = ? AND one.id < ?",
            (number, noted[table][0]),
        ).fetchone()[0]
        for table, column in _TIMES.items()
    }
    joined["vital"] = noted["others"]
    connection.execute(
        "UPDATE import SET joined = ? WHERE id = ?",
        (json.dumps({table: count for table, count in joined.items() if count}), number),
    )
    if "faces" in noted:
        _, start, end, *_ = noted["faces"]
        connection.execute(
            "UPDATE import SET faces = ?, started = ?, ended = ? WHERE id = ?",
            (added["expression"] + added["movement"], start, end, number),
        )
    else:
        connection.execute(
            "UPDATE import SET sessions = ? WHERE id = ?", (added["session"], number)
        )
