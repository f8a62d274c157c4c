"""The Excel workbook and the files of SPSS, Parquet and SQLite hold what every export holds."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pyreadstat
import pytest
from sqlite_utils import Database

from edge_agent.core.expression import Emotion
from edge_agent.core.readings import VitalFlag
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.export import table_formats
from edge_agent.timeline.export.appliance import Appliance
from edge_agent.timeline.export.rows import ExportChoice
from edge_agent.timeline.export.source import ExportSource
from edge_agent.timeline.export.sqlite import SQLITE
from edge_agent.timeline.export.table_formats import PARQUET, SAV, XLSX
from edge_agent.timeline.export.table_schemas import FILES
from tests.support.timeline import reading, row, session_row, timeline

ROOT = Path(__file__).resolve().parents[4]
FORMULA = '=HYPERLINK("http://127.0.0.1")'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A session, readings outside of it, a formula for a source, and one that is no number."""
    rows = [row(s, Emotion.ANGER if s < 150 else None) for s in range(90, 220, 10)]
    readings = [reading(s + 0.5, 60 + s / 7) for s in range(90, 220, 10)]
    readings += [
        reading(141, 12, source="strap", flags=[VitalFlag.OUT_OF_RANGE, VitalFlag.CONTACT_LOST]),
        reading(143, math.inf, source=FORMULA),
    ]
    return timeline(
        tmp_path / "data",
        expression=rows,
        vital=readings,
        session=[session_row(100, 200, (120, 140, "anger"), name="films, Größe 1")],
    )


@pytest.fixture
def tables(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The tables as every format gets them; what is no number is left out."""
    with read_transaction(path) as connection:
        source = ExportSource(connection, ExportChoice(), Appliance())
        return {name: [_as_read(row, name) for row in source.rows(name)] for name in FILES}


def _as_read(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A row as a program reads it that knows no zones and no infinity."""
    values = dict(row)
    for column in FILES[name]:
        value = values[column.name]
        if column.type == "datetime" and value is not None:
            values[column.name] = datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)
        elif isinstance(value, float) and not math.isfinite(value):
            values[column.name] = None
    return values


def test_the_workbook_has_a_sheet_for_each_table_and_one_that_explains(
    path: Path, tmp_path: Path, tables: dict[str, list[dict[str, Any]]]
) -> None:
    book = openpyxl.load_workbook(XLSX.export(path, tmp_path / "all.xlsx")[0])
    assert book.sheetnames == ["columns", *FILES]
    for name, rows in tables.items():
        heads, *held = book[name].iter_rows(values_only=True)
        assert list(heads) == [column.name for column in FILES[name]]
        expected = [[row[column.name] for column in FILES[name]] for row in rows]
        assert [list(cells) for cells in held] == expected, name
    explained = {(cells[0], cells[1]) for cells in book["columns"].iter_rows(values_only=True)}
    assert {(name, column.name) for name in FILES for column in FILES[name]} <= explained
    sources = {cell.value: cell.data_type for cell in book["vital"]["H"]}
    assert FORMULA in {cell.value for cells in book["vital"].iter_rows() for cell in cells}
    assert "f" not in sources.values(), "a text never becomes a formula"


def test_sqlite_file_holds_the_rows_of_every_table_with_types_and_keys(
    path: Path, tmp_path: Path
) -> None:
    with read_transaction(path) as connection:
        source = ExportSource(connection, ExportChoice(), Appliance())
        expected = {name: [tuple(one.values()) for one in source.rows(name)] for name in FILES}
    (out,) = SQLITE.export(path, tmp_path / "all.sqlite")
    with closing(sqlite3.connect(out)) as connection:
        file = Database(connection, execute_plugins=False)
        for name, columns in FILES.items():
            assert connection.execute(f"SELECT * FROM {name}").fetchall() == expected[name], name
            assert [one.name for one in file[name].columns] == [one.name for one in columns]
        assert set(file.table_names()) == {"columns", *FILES}
        assert file.table("vital").columns_dict["value"] is float
        assert file.table("session").pks == ["session"]
        assert {(key.column, key.other_table) for key in file.table("marker").foreign_keys} == {
            ("session", "session"), ("participant", "participant"),
        }  # fmt: skip
        described = file.table("columns").get(("vital", "value"))
    assert (described["type"], described["meaning"][:9]) == ("number", "The value")
    assert out.stat().st_mode & 0o777 == 0o600
    assert FORMULA in {values[8] for values in expected["vital"]}, "without an apostrophe"


def test_a_table_beyond_the_limit_of_a_sheet_goes_on_on_another(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_formats, "SHEET_ROWS", 10)
    book = openpyxl.load_workbook(XLSX.export(path, tmp_path / "all.xlsx")[0])
    assert (book["vital"].max_row, book["vital 2"].max_row) == (11, 6)
    assert book["vital 2"]["A1"].value == "at"


def test_spss_reads_every_table_with_labels_and_times(
    path: Path, tmp_path: Path, tables: dict[str, list[dict[str, Any]]]
) -> None:
    SAV.export(path, tmp_path / "spss")
    for name, rows in tables.items():
        frame, meta = pyreadstat.read_sav(str(tmp_path / "spss" / f"{name}.sav"))
        assert meta.column_names == [column.name for column in FILES[name]]
        assert len(frame) == len(rows), name
        for place, column in enumerate(FILES[name]):
            assert str(meta.column_labels[place]).startswith(column.description)
            expected = [row[column.name] for row in rows]
            for value, wanted in zip(frame[column.name], expected, strict=True):
                _check(value, wanted, column.type)
    _, meta = pyreadstat.read_sav(str(tmp_path / "spss" / "expression.sav"))
    assert meta.variable_value_labels["simulated"] == {0.0: "no", 1.0: "yes"}


def _check(value: Any, expected: Any, kind: str) -> None:
    if kind == "string":
        assert value == (expected or "")
    elif expected is None:
        assert pd.isna(value)
    elif kind == "datetime":
        assert abs((value - expected).total_seconds()) < 0.001
    else:
        assert value == pytest.approx(float(expected), rel=1e-12)


def test_parquet_holds_the_rows_with_types_and_units(
    path: Path, tmp_path: Path, tables: dict[str, list[dict[str, Any]]]
) -> None:
    PARQUET.export(path, tmp_path / "out")
    found = {name: pq.read_table(tmp_path / "out" / f"{name}.parquet") for name in FILES}
    assert {name: table.num_rows for name, table in found.items()} == {
        name: len(rows) for name, rows in tables.items()
    }
    vital = found["vital"]
    assert vital.column_names == [column.name for column in FILES["vital"]]
    assert str(vital.schema.field("at").type) == "timestamp[ms, tz=UTC]"
    assert vital.schema.field("at_ms").metadata[b"unit"] == b"ms"
    assert vital["value"][0].as_py() == 60 + 90 / 7 and vital["session"][0].as_py() is None
    assert FORMULA in vital["source"].to_pylist()
