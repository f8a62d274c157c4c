"""Readings that a database takes and refuses; `tests/contracts` walks the kinds of vitals."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.core.errors import StoreError
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import connect, write_transaction
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.write.reading_imports import import_readings
from tests.support.timeline import instant, query, timeline


def test_reading_with_the_time_of_its_device_keeps_it(tmp_path: Path) -> None:
    path = timeline(tmp_path)
    reading = VitalReading(instant(9000), VitalKind.HEART_RATE, 60.0, "new")
    stamped = replace(reading, at=instant(9001), device_time="2026-09-21T16:13:00")
    assert import_readings(path, [reading, stamped])[:2] == (2, 0)
    times = query(path, "SELECT DISTINCT device_time FROM vital ORDER BY 1")
    assert times == [(None,), ("2026-09-21T16:13:00",)]


def test_vital_of_an_unknown_kind_is_an_error_and_no_duplicate(tmp_path: Path) -> None:
    path = timeline(tmp_path)
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM vital_kind WHERE kind = 'systolic'")
    good = VitalReading(instant(1), VitalKind.HEART_RATE, 60.0, "a")
    bad = VitalReading(instant(1), VitalKind.SYSTOLIC, 120.0, "a")
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        import_readings(path, [good, bad])
    assert query(path, "SELECT count(*) FROM vital") == [(0,)]


def test_a_violated_check_is_an_error_and_no_duplicate(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    migrate(path)
    with closing(connect(path, readonly=False)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'value REAL NOT NULL', 'value REAL NOT "
            "NULL CHECK (value < 500)') WHERE name = 'vital'"
        )
    with pytest.raises(StoreError, match="CHECK"):
        import_readings(path, [VitalReading(instant(1), VitalKind.HEART_RATE, 999.0, "a")])
    twice = [VitalReading(instant(1), VitalKind.HEART_RATE, 60.0, "a")] * 2
    assert import_readings(path, twice)[:2] == (1, 1)
