"""``docs/data.md`` and the codebook describe every table and column there is, and no other."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

from sqlite_utils import Database

from edge_agent.core.movements import MOVEMENTS
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.database.dashboard_file import read_dashboard
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.schema import NAMES as EXPRESSIONS
from edge_agent.timeline.export import table_schemas
from edge_agent.vitals import column_map
from tests.support.timeline import timeline
from tools.documents.reference import text_of

TEXT = text_of("docs/data.md")
IMPORTING = text_of("docs/importing.md")


TABLES = TEXT.partition("## Tables\n")[2]
MANY = set(
    re.findall(
        r"^\| `(\w+)` \| INTEGER",
        TABLES.partition("### Columns of many tables\n")[2].partition("\n##")[0],
        re.MULTILINE,
    )
)


def named_in(cell: str) -> set[str]:
    """The columns that a cell names before what it says of them; a run stands for those of all
    emotions or movements.
    """
    found = set()
    for part in cell.split("; "):
        for first, last in re.findall(r"`(\w+)`(?: … `(\w+)`)?", part.partition(": ")[0]):
            names = MOVEMENTS if first == MOVEMENTS[0] else EXPRESSIONS if last else ("",)
            found |= {first.replace(names[0], name) if last else first for name in names}
    return found


DESCRIBED = {
    table: named_in(cell)
    for tables, cell in re.findall(
        r"^\| (`[\w.]+`(?:, `\w+`)*) \| [^|]+ \| (`[^|]+) \|$",
        TABLES.partition("### Tables of the timeline\n")[2],
        re.MULTILINE,
    )
    for table in re.findall(r"`([\w.]+)`", tables)
}
"""Table → the columns that its row names."""


def of_file(table: str) -> set[str]:
    """The columns that the codebook describes under the same name, if the table is exported."""
    return {column.name for column in table_schemas.FILES.get(table, ())}


def assert_described(table: str, columns: set[str]) -> None:
    """Refuse a column that neither page describes, and one that is not there."""
    exported = table in table_schemas.FILES
    named = DESCRIBED[table]
    common = {one for one in columns if one in MANY or one.endswith("_boot")} if exported else set()
    assert columns - named - of_file(table) - common == set(), table
    assert named - columns == set(), table


def test_each_table_and_column_is_described_once(tmp_path: Path) -> None:
    with closing(connect(timeline(tmp_path), readonly=True)) as connection:
        tables = {one.name: one for one in Database(connection).tables}
        found = {name: {column.name for column in one.columns} for name, one in tables.items()}
    with read_dashboard(tmp_path / DATABASE_NAME) as connection:
        for one in Database(connection).tables:
            found[f"dashboard.{one.name}"] = {column.name for column in one.columns}
    found = {name: columns for name, columns in found.items() if "sqlite_" not in name}
    assert set(DESCRIBED) == set(found)
    for name, columns in found.items():
        assert_described(name, columns)


def test_codebook_of_the_site_has_every_file() -> None:
    text = table_schemas.codebook_of_all()
    for name in (*table_schemas.FILES, *table_schemas.COMPUTED):
        assert f'<h2 id="{name}">{name}.csv</h2>' in text


def test_every_time_of_an_exported_file_has_its_unit() -> None:
    for name, columns in table_schemas.FILES.items():
        for column in columns:
            assert column.description, name
            if column.name.endswith(("_ms", "_at")) or column.name == "at":
                assert column.unit == "ms" or column.type == "datetime", (name, column.name)


def test_data_page_describes_each_view(tmp_path: Path) -> None:
    with closing(connect(timeline(tmp_path), readonly=True)) as connection:
        for view in Database(connection).views:
            assert f"`{view.name}`" in TEXT.partition("## Views\n")[2].partition("\n##")[0]


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
