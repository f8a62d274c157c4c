"""Columns whose name tells the zone of their times: UTC is not read as a local time."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import LocalTimes
from edge_agent.vitals.column_map import ColumnMap
from edge_agent.vitals.csv_files import CsvFile
from edge_agent.vitals.csv_readings import all_readings
from edge_agent.vitals.guessed_columns import guess_map
from edge_agent.vitals.zone_names import zone_in_name

NOW = Instant(0, 1_790_000_400_000 + 30 * 86_400_000)


def first_time(header: str, row: str, zone: str = "", columns: ColumnMap | None = None) -> str:
    file = CsvFile.parse("watch.csv", f"{header}\n{row}\n".encode())
    times = LocalTimes(ZoneInfo(zone)) if zone else None
    reading = next(all_readings(file, columns or guess_map(file), times, NOW))
    return iso_utc(reading.at.wall_ms)[:16]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("timestamp_utc,HR", "2026-10-02T06:00:00,71"),
        ("timestampUTC,HR", "2026-10-02T06:00:00,71"),
        ("datetime_utc,HR", "2026-10-02 06:00:00,71"),
        ("Time (UTC),HR", "2026-10-02 06:00:00,71"),
        ("UTC,HR", "2026-10-02 06:00:00,71"),
        ("utc_time,HR", "2026-10-02 06:00:00,71"),
        ("Date/Time [GMT],HR", "2026-10-02 06:00:00,71"),
        ("Zeitpunkt (UTC+2),HR", "2026-10-02 08:00:00,71"),
        ("Date (UTC),Time (UTC),HR", "2026-10-02,06:00:00,71"),
        ("timestamp_utc,timestamp_local,HR", "2026-10-02T06:00:00,2026-10-02T08:00:00,71"),
        ("Local time,UTC time,HR", "2026-10-02 08:00:00,2026-10-02 06:00:00,71"),
    ],
)
def test_zone_in_the_name_of_a_column_is_that_of_its_times(header: str, row: str) -> None:
    assert first_time(header, row) == "2026-10-02T06:00"


def test_zone_that_contradicts_the_name_of_a_column_is_refused() -> None:
    row = "2026-10-02T06:00:00,71"
    with pytest.raises(DataFileError, match="column timestamp_utc: the column names UTC"):
        first_time("timestamp_utc,HR", row, "Europe/Berlin")
    chosen = ColumnMap({"at": "When (GMT)", "heart_rate": "HR"})
    with pytest.raises(DataFileError, match="time zone Europe/Berlin that was given"):
        first_time("When (GMT),HR", row, "Europe/Berlin", chosen)
    assert first_time("timestamp_utc,HR", row, "Etc/UTC") == "2026-10-02T06:00"
    # a time that names its zone itself needs none
    zoned = "2026-10-02T08:00:00+02:00,71"
    assert first_time("timestamp_utc,HR", zoned, "Europe/Berlin") == "2026-10-02T06:00"


def test_local_time_beside_utc_is_compared_with_it() -> None:
    header, row = "timestamp_utc,timestamp_local,HR", "2026-10-02T06:00:00,2026-10-02T08:00:00,71"
    assert first_time(header, row, "Europe/Berlin") == "2026-10-02T06:00"
    local = ColumnMap({"at": "timestamp_local", "heart_rate": "HR"})
    assert first_time(header, row, "Europe/Berlin", local) == "2026-10-02T06:00"
    for columns in (None, local):
        with pytest.raises(DataFileError, match="row 2: .* are not one moment"):
            first_time(header, row, "Asia/Tokyo", columns)
    with pytest.raises(DataFileError, match="are not one moment"):
        first_time(header, row.replace("T08:00", "T08:07"))


def test_columns_of_date_and_time_in_two_zones_are_refused() -> None:
    chosen = ColumnMap({"at": "Date (local)", "time": "Time (UTC)", "heart_rate": "HR"})
    with pytest.raises(DataFileError, match="only one can be that of a reading"):
        first_time("Date (local),Time (UTC),HR", "2026-10-02,06:00:00,71", "", chosen)


@pytest.mark.parametrize(
    ("name", "hours"), [("t_utc", 0), ("Time (GMT-05:30)", -5.5), ("outcome", None), ("gmtx", None)]
)
def test_zone_in_name_is_a_word_of_its_own(name: str, hours: float | None) -> None:
    zone = zone_in_name(name)
    assert (None if zone is None else zone.utcoffset(None)) == (
        None if hours is None else timedelta(hours=hours)
    )
