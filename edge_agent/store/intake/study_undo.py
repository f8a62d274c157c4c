"""Taking an imported study back: exactly the rows that it added.

An import numbers its rows in one go, so the first and the last number in each table say which are
its own; readings name their import. A number whose row was erased may be given again: people are
known by when they were made, too, and rows of the timeline by their time.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from edge_agent.core.errors import StudyError
from edge_agent.store.upkeep.rollups_anew import folded_days, make_anew, pruned_minutes
from edge_agent.store.write.tombstones import Span

_OF_PERSON = ("session", "consent", "participant_attribute")
_OF_SESSION = ("marker", "self_report")
_OF_TIME = {"expression": "at", "unfit": "at", "gap": "started"}
_TABLES = ("participant", *_OF_PERSON, *_OF_SESSION, *_OF_TIME, "model")
_PEOPLE = "people"
_OTHERS = "others"
_KEY = "study_import_{}"
Numbers = Mapping[str, Any]


def highest_numbers(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the highest number of each table that an import of a study adds to."""
    return {
        table: connection.execute(f"SELECT coalesce(max(id), 0) FROM main.{table}").fetchone()[0]
        for table in _TABLES
    }


def note_numbers(connection: sqlite3.Connection, number: int, before: Mapping[str, int]) -> None:
    """Keep which rows an import added; ``before`` is ``highest_numbers`` ahead of it."""
    after = highest_numbers(connection)
    numbers = {table: (before[table] + 1, after[table]) for table in _TABLES}
    people = dict(
        connection.execute(
            "SELECT id, created FROM main.participant WHERE id BETWEEN ? AND ?",
            numbers["participant"],
        ).fetchall()
    )
    others = _other_readings(connection, number, _sessions(connection, numbers, people))
    text = json.dumps({**numbers, _PEOPLE: list(people.items()), _OTHERS: others})
    connection.execute("INSERT INTO setting VALUES (?, ?)", (_KEY.format(number), text))


def read_numbers(connection: sqlite3.Connection) -> dict[int, Numbers]:
    """Return the numbers of the rows that each import of a study added, by that of the import."""
    rows = connection.execute(
        "SELECT import.id, value FROM import JOIN setting ON key = printf(?, import.id)",
        (_KEY.format("%d"),),
    )
    return {number: json.loads(text) for number, text in rows}


def undo_study(connection: sqlite3.Connection, number: int) -> Counter[str]:
    """Delete what an import of a study added, in a transaction of the caller.

    Args:
        connection: of the transaction.
        number: of the import.

    Returns:
        How many rows were deleted, by table; ``day``: days of which only the sum was kept.

    Raises:
        StudyError: something was recorded into it since.
    """
    known = read_numbers(connection)
    numbers = known.pop(number)
    _refuse_numbers_again(number, numbers, known)
    people = [
        person
        for person, created in numbers[_PEOPLE]
        if connection.execute(
            "SELECT 1 FROM participant WHERE id = ? AND created = ?", (person, created)
        ).fetchone()
    ]
    sessions = _sessions(connection, numbers, people)
    _refuse_recorded_since(connection, number, numbers, people, sessions)
    deleted = Counter(
        {
            table: _count(connection, table, column, ids)
            for tables, column, ids in (
                (_OF_PERSON, "participant", people),
                (_OF_SESSION, "session", sessions),
            )
            for table in tables
        }
    )
    pruned = {span: pruned_minutes(connection, span) for span in sessions.values()}
    deleted["day"] = sum(folded_days(connection, span) for span in sessions.values())
    for table, column in _OF_TIME.items():
        deleted[table] = sum(
            connection.execute(
                f"DELETE FROM {table} WHERE id BETWEEN ? AND ? AND {column} >= ? AND {column} < ?",
                (*numbers[table], *span),
            ).rowcount
            for span in sessions.values()
        )
    deleted["vital"] = connection.execute("DELETE FROM vital WHERE import = ?", (number,)).rowcount
    connection.execute("DELETE FROM model WHERE id BETWEEN ? AND ?", numbers["model"])
    deleted["participant"] = connection.execute(
        "DELETE FROM participant WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(people),),
    ).rowcount
    for span, minutes in pruned.items():
        make_anew(connection, span, minutes)
    connection.execute("DELETE FROM setting WHERE key = ?", (_KEY.format(number),))
    return deleted


def _sessions(
    connection: sqlite3.Connection, numbers: Numbers, people: Iterable[int]
) -> dict[int, Span]:
    """Return the spans of the sessions that an import added, by number."""
    rows = connection.execute(
        "SELECT id, started, ended FROM main.session WHERE id BETWEEN ? AND ? AND participant IN "
        "(SELECT value FROM json_each(?))",
        (*numbers["session"], json.dumps(list(people))),
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def _refuse_numbers_again(number: int, numbers: Numbers, others: Mapping[int, Numbers]) -> None:
    """Refuse where a later import got numbers of people who were erased from this one."""
    first, last = numbers["participant"]
    for other, its in others.items():
        if other > number and its["participant"][0] <= last and its["participant"][1] >= first:
            raise StudyError(
                f"Import {other} has numbers of people who were erased from import {number}: undo "
                f"import {other} first. Nothing was removed."
            )


def _refuse_recorded_since(
    connection: sqlite3.Connection,
    number: int,
    numbers: Numbers,
    people: Iterable[int],
    sessions: Mapping[int, Span],
) -> None:
    since = {
        table: count
        for table, count in _recorded_since(connection, number, numbers, people, sessions)
        if count
    }
    if since:
        told = ", ".join(f"{count} rows of {table}" for table, count in since.items())
        raise StudyError(
            f"Something was recorded into the study of import {number} since ({told}); nothing was "
            "removed. Undo the imports that added it first (affect-edge imports), or erase each "
            "participant (affect-edge participant erase CODE)."
        )


def _recorded_since(
    connection: sqlite3.Connection,
    number: int,
    numbers: Numbers,
    people: Iterable[int],
    sessions: Mapping[int, Span],
) -> Iterator[tuple[str, int]]:
    for table in _OF_PERSON:
        yield table, _count(connection, table, "participant", people, numbers[table])
    for table in (*_OF_SESSION, "protocol_run"):
        yield table, _count(connection, table, "session", sessions, numbers.get(table))
    for table, column in _OF_TIME.items():
        # what was there before the import was joined to it, and stays
        yield (
            table,
            sum(
                connection.execute(
                    f"SELECT count(*) FROM {table} WHERE id > ? AND {column} >= ? AND {column} < ?",
                    (numbers[table][1], *span),
                ).fetchone()[0]
                for span in sessions.values()
            ),
        )
    others = _other_readings(connection, number, sessions)
    yield "vital", max(0, others - numbers[_OTHERS])


def _other_readings(
    connection: sqlite3.Connection, number: int, sessions: Mapping[int, Span]
) -> int:
    """Return how many readings that an import did not add lie in its sessions."""
    return sum(
        connection.execute(
            "SELECT count(*) FROM main.vital WHERE at >= ? AND at < ? AND import IS NOT ?",
            (*span, number),
        ).fetchone()[0]
        for span in sessions.values()
    )


def _count(
    connection: sqlite3.Connection,
    table: str,
    column: str,
    ids: Iterable[int],
    but: tuple[int, int] | None = None,
) -> int:
    """Return how many rows hang on any of some numbers, without those whose own are in a range."""
    row = connection.execute(
        f"SELECT count(*) FROM {table} WHERE {column} IN (SELECT value FROM json_each(?)) AND NOT "
        "id BETWEEN ? AND ?",
        (json.dumps(list(ids)), *(but or (0, -1))),
    ).fetchone()
    return int(row[0])
