"""``docs/data.md`` names every table and column there is, with its type, and no other."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database
from sqlite_utils.db import Column

from edge_agent.core.movements import MOVEMENTS
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.database.dashboard_file import read_dashboard
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.schema import NAMES as EXPRESSIONS
from edge_agent.timeline.export import table_schemas
from edge_agent.vitals import column_map
from tests.support.timeline import timeline
from tools.write_tables import MANY, with_table

DOCS = Path(__file__).resolve().parents[4] / "docs"
TEXT = (DOCS / "data.md").read_text(encoding="utf-8")
IMPORTING = (DOCS / "importing.md").read_text(encoding="utf-8")


ROW = re.compile(
    r"^\| `(\w+)`(?: … `(\w+)`)? \| ([A-Z]+)(?: ([^|]*))? \| ([^|]*) \|$", re.MULTILINE
)


MANY_HAVE = {
    column: (column, type_, unit, about)
    for column, _, type_, unit, about in ROW.findall(
        TEXT.partition("### Columns of many tables\n")[2].partition("\n##")[0]
    )
}


BRIEF = {
    table: re.findall(r"`(\w+)`(?=[:,;]| and|$)", cell)
    for table, cell in re.findall(
        r"^\| `([\w.]+)` \| [^|]+ \| (`[^|]+) \|$",
        TEXT.partition("## What programs keep for themselves\n")[2],
        re.MULTILINE,
    )
}
"""Tables that no export has: their columns stand in one cell."""


def documented(heading: str) -> list[tuple[str, str, str, str]]:
    """The rows of the table under a heading: column, type, unit, meaning.

    A row may stand for the columns of all emotions or movements, and a table may have those of
    another, and those that many have.
    """
    found = re.search(
        rf"^### `{re.escape(heading)}`\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL
    )
    assert found, f"{heading} is not described"
    other = re.search(r"^The columns are those of `(\w+)`", found[1], re.MULTILINE)
    if other:
        return documented(other[1])
    rows = []
    for line in re.findall(rf"^{re.escape(MANY)}(.*)$", found[1], re.MULTILINE):
        for name in re.findall(r"`(\w+)`", line):
            _, type_, unit, about = MANY_HAVE["boot" if name.endswith("_boot") else name]
            rows.append((name, type_, unit, about))
    for first, last, type_, unit, meaning in ROW.findall(found[1]):
        names = MOVEMENTS if first == MOVEMENTS[0] else EXPRESSIONS if last else ("",)
        for name in names:
            column = first.replace(names[0], name) if last else first
            about = meaning.replace("EMOTION", name).replace("MOVEMENT", name.replace("_", " "))
            rows.append((column, type_, unit, about))
    return rows


def assert_described(heading: str, columns: list[Column]) -> None:
    if heading in BRIEF:
        assert {column.name for column in columns} <= set(BRIEF[heading]), heading
        return
    described = [(column, type_) for column, type_, _, _ in documented(heading)]
    assert sorted(described) == sorted((one.name, one.type) for one in columns), heading


def test_data_page_describes_each_table_and_column_with_its_type(tmp_path: Path) -> None:
    with closing(connect(timeline(tmp_path), readonly=True)) as connection:
        tables = [
            table for table in Database(connection).tables if not table.name.startswith("sqlite_")
        ]
        for table in tables:
            assert_described(table.name, table.columns)
        names = {table.name for table in tables}
    with read_dashboard(tmp_path / DATABASE_NAME) as connection:
        for table in Database(connection).tables:
            if not table.name.startswith("sqlite_"):
                heading = f"dashboard.{table.name}"
                assert_described(heading, table.columns)
                names.add(heading)
    headings = set(re.findall(r"^### `([\w.]+)`$", TEXT, re.MULTILINE))
    assert {one for one in headings if not one.endswith(".csv")} == names - set(BRIEF)
    assert set(BRIEF) <= names


def test_data_page_says_what_is_done_with_the_rows_of_each_table() -> None:
    assert with_table(TEXT) == TEXT, "run: python tools/write_tables.py"


def test_every_time_in_a_table_has_its_unit(tmp_path: Path) -> None:
    for heading in re.findall(r"^### `((?:dashboard\.)?\w+)`$", TEXT, re.MULTILINE):
        for column, _, unit, meaning in documented(heading):
            assert meaning
            if column in {
                "at",
                "started",
                "ended",
                "created",
                "expires",
                "since",
                "given",
                "withdrawn",
            }:
                assert unit == "ms", f"{heading}.{column}"


@pytest.mark.parametrize("name", table_schemas.FILES)
def test_every_exported_file_is_listed_with_its_columns(name: str) -> None:
    found = re.search(rf"^\| `{name}\.csv` \| ([^|]*) \|$", TEXT, re.MULTILINE)
    assert found, name
    listed = []
    for first, last in re.findall(r"`(\w+)`(?: … `(\w+)`)?", found[1]):
        names = MOVEMENTS if first == MOVEMENTS[0] else EXPRESSIONS if last else ("",)
        listed += [first.replace(names[0], one) if last else first for one in names]
    assert listed == [column.name for column in table_schemas.FILES[name]]


def test_data_page_describes_each_view(tmp_path: Path) -> None:
    with closing(connect(timeline(tmp_path), readonly=True)) as connection:
        for view in Database(connection).views:
            assert f"| `{view.name}` |" in TEXT, view.name


def test_importing_page_describes_each_column_of_readings() -> None:
    for column in (*column_map.OURS, *column_map.OPTIONAL):
        assert re.search(rf"^\| `{column}` \| (yes|no) \|", IMPORTING, re.MULTILINE), column
    for column in column_map.DERIVED:
        assert f"`{column}`" in IMPORTING


def test_data_page_queries_run(tmp_path: Path) -> None:
    queries = re.findall(r"^    (SELECT.*?;)$", TEXT, re.MULTILINE | re.DOTALL)
    assert len(queries) == 3
    with closing(connect(timeline(tmp_path), readonly=True)) as connection:
        for query in queries:
            connection.execute(query)
