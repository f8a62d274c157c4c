"""The register of tables beside the schemas of both databases: nothing is in one alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from edge_agent.fleet.tables import BY_NAME as SENT
from edge_agent.timeline.database.creation import statements_of
from edge_agent.timeline.database.tables import (
    BY_NAME,
    DASHBOARD,
    OF_PARTICIPANT,
    OF_SESSION,
    TIMELINE,
    ErasureWay,
    Move,
    Retention,
    RowOwner,
    SalvageWay,
    Table,
)
from edge_agent.timeline.intake.unreadable import _TIMES as BOUNDED

SCRIPTS = {"schema.sql": TIMELINE, "dashboard.sql": DASHBOARD}
BOTH = [(script, table) for script, tables in SCRIPTS.items() for table in tables]


def made(script: str) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    for statement in statements_of(script):
        connection.execute(statement)
    return connection


def named(both: tuple[str, Table]) -> str:
    return f"{both[0].removesuffix('.sql')}.{both[1].name}"


def references(connection: sqlite3.Connection, table: str) -> Iterator[tuple[str, str]]:
    """Yield column and table for each reference of a table."""
    for row in connection.execute(
        'SELECT "from", "table" FROM pragma_foreign_key_list(?)', (table,)
    ):
        yield row[0], row[1]


@pytest.mark.parametrize("script", SCRIPTS)
def test_table_register_has_each_table_of_the_schema_once(script: str) -> None:
    with closing(made(script)) as connection:
        rows = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        there = sorted(row[0] for row in rows)
    assert sorted(table.name for table in SCRIPTS[script]) == there


@pytest.mark.parametrize("both", BOTH, ids=named)
def test_table_entry_names_the_columns_of_its_table(both: tuple[str, Table]) -> None:
    script, table = both
    with closing(made(script)) as connection:
        described = connection.execute(
            "SELECT name, pk FROM pragma_table_info(?)", (table.name,)
        ).fetchall()
        columns = {row[0] for row in described}
        keys = [name for name, place in sorted(described, key=lambda row: row[1]) if place]
        used = [
            *table.codes,
            *(text.column for text in table.texts),
            *(time.column for time in table.times),
        ]
        assert set(used) <= columns
        assert len(set(used)) == len(used)
        assert list(table.key) == keys
        for condition in (table.within, *(text.where for text in table.texts)):
            connection.execute(
                f"SELECT 1 FROM {table.name} WHERE {condition or 'TRUE'}", {"start": 0, "end": 0}
            )
        # A column of the kind is never forgotten.
        assert set(table.codes) == columns & {"code"}
        assert table.brought == ("import" in columns)
        clocks = {column for column, of in references(connection, table.name) if of == "boot"}
        assert {time.boot for time in table.moved} == clocks


@pytest.mark.parametrize("both", BOTH, ids=named)
def test_table_entry_says_whose_rows_are_by_their_references(both: tuple[str, Table]) -> None:
    script, table = both
    with closing(made(script)) as connection:
        of = dict(references(connection, table.name))
    if script == "dashboard.sql":
        assert (table.whose is RowOwner.PERSON) == bool(table.codes)
    elif table.name != "participant":
        assert (table.whose is RowOwner.PARTICIPANT) == (of.get("participant") == "participant")
        assert (table.whose is RowOwner.SESSION) == (of.get("session") == "session")
        assert (table.whose is RowOwner.ALERT) == (of.get("alert") == "alert")
    # What an undone import deletes and a salvage fills is in order only so.
    before = [one.name for one in SCRIPTS[script]]
    later = [to for to in of.values() if before.index(to) > before.index(table.name)]
    assert not [to for to in later if to != table.name]


@pytest.mark.parametrize("both", BOTH, ids=named)
def test_table_entry_agrees_with_itself(both: tuple[str, Table]) -> None:
    _, table = both
    assert bool(table.one) == bool(table.many)
    assert bool(table.rule) == (table.erasure in {ErasureWay.BY_RULE, ErasureWay.KEPT})
    assert bool(table.within) == (table.erasure is ErasureWay.IN_TIME)
    assert bool(table.apart) == (not table.title or (not table.sent and both[0] == "schema.sql"))
    if table.kept in {Retention.DAYS, Retention.BUDGET}:
        assert table.move is Move.ROWS, "rollups add up what goes for its age"
    if table.erasure is ErasureWay.WITH_OWNER:
        assert table.whose in {RowOwner.PARTICIPANT, RowOwner.SESSION, RowOwner.PERSON}


def test_large_tables_stand_behind_the_small_ones() -> None:
    large = [table.salvage is SalvageWay.PAGES for table in TIMELINE]
    assert large == sorted(large)


def test_tables_that_a_fleet_gets_are_those_of_the_register() -> None:
    assert {table.name for table in TIMELINE if table.sent} == set(SENT)


def test_bounded_times_are_those_that_no_form_has_checked() -> None:
    for table in (*OF_PARTICIPANT, BY_NAME["participant"]):
        assert table.name not in BOUNDED
    assert set(BOUNDED) >= {table.name for table in OF_SESSION if table.times}
