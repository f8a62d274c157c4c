"""Newline-delimited JSON, read by the standard library and by pandas."""

from __future__ import annotations

import json
import math
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.expression import Emotion
from edge_agent.store.export.columns import FILES
from edge_agent.store.export.text_formats import JSON, NDJSON
from tests.support.timed_session import study_with_session
from tests.support.timeline import database, reading, row

MEMORY_BYTES = 4_000_000
"""For three blocks of rows; a list of 12,000 rows takes more than twice as much."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A session with faces, and readings of which one is no number."""
    rows = [row(second, Emotion.ANGER if second < 5 else None) for second in range(10)]
    readings = [reading(second + 0.5, 60 + second / 7) for second in range(10)]
    readings.append(reading(11, math.inf, source="=broken\nstrap"))
    made = database(tmp_path / "data", rows, readings)
    study_with_session(made, [], end=5, name="films, Ägypten")
    return made


def tables_of(file: Path) -> dict[str, list[dict[str, Any]]]:
    """Table → rows, as a program reads them line by line."""
    tables: dict[str, list[dict[str, Any]]] = {}
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            values = json.loads(line)
            tables.setdefault(values.pop("table"), []).append(values)
    return tables


def test_the_lines_hold_the_rows_and_types_of_the_json_document(path: Path, tmp_path: Path) -> None:
    (lines,) = NDJSON.export(path, tmp_path / "all.ndjson")
    (document,) = JSON.export(path, tmp_path / "all.json")
    tables = tables_of(lines)
    told = json.loads(document.read_bytes())
    expected = told["tables"]
    assert set(expected) == set(told["schemas"]) == set(FILES)
    assert tables == {name: rows for name, rows in expected.items() if rows}
    assert tables["vital"][0]["value"] == 60.0
    assert tables["vital"][0]["session"] == 1
    assert tables["vital"][9]["session"] is None
    assert tables["vital"][10]["value"] is None, "JSON knows no infinity"
    assert tables["vital"][10]["source"] == "=broken\nstrap", "one line, whatever a name holds"
    assert tables["session"][0]["name"] == "films, Ägypten"


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    path = database(tmp_path / "data", readings=[reading(second) for second in range(12_000)])
    tracemalloc.start()
    try:
        (file,) = NDJSON.export(path, tmp_path / "all.ndjson")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(file.read_text(encoding="utf-8").splitlines()) == 12_000
    assert most < MEMORY_BYTES
