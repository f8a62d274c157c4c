"""``docs/data.md`` and the codebook describe every table and column there is, and no other."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.database.dashboard_file import read_dashboard
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.export import table_schemas
from edge_agent.vitals import column_map
from tests.support.timeline import timeline
from tools.documents import columns as described
from tools.documents.columns import SCHEMAS, meanings, read_register
from tools.documents.reference import text_of

TEXT = text_of("docs/data.md")
IMPORTING = text_of("docs/importing.md")


def test_each_table_and_column_of_a_database_is_described(tmp_path: Path) -> None:
    with closing(connect(timeline(tmp_path), readonly=True)) as connection:
        names = {"": {one.name for one in Database(connection).tables}}
    with read_dashboard(tmp_path / DATABASE_NAME) as connection:
        names["dashboard."] = {one.name for one in Database(connection).tables}
    there = {f"{file}{name}" for file, names in names.items() for name in names}
    texts_of = {
        f"{'dashboard.' if group == 'dashboard' else ''}{name}": meanings(group, name)
        for group in SCHEMAS
        for name in read_register()[group]
    }
    assert set(texts_of) == {name for name in there if "sqlite_" not in name}
    assert all(all(texts.values()) for texts in texts_of.values())
    assert all(f"### `{name}`" in TEXT for name in texts_of)


def test_column_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"row": "a start", "no_such": "nothing"}
    monkeypatch.setattr(
        described, "read_register", lambda: {"timeline": {"boot": entry}, "many": {}}
    )
    with pytest.raises(ValueError, match="no_such"):
        meanings("timeline", "boot")


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
