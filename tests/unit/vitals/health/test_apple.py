"""The export of Apple Health is read whole or refused, however large or hostile it is."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.vitals import health_makers
from edge_agent.vitals.health_files import LeftOut, Member, Row, RowValidator
from edge_agent.vitals.health_makers import open_export
from tests.support.vitals.health_exports import (
    APPLE_END,
    APPLE_HEAD,
    apple_export,
    apple_pressure,
    apple_record,
    archive,
)

NOW = Instant(0, 1_800_000_000_000)
EIGHT = round(datetime(2026, 1, 5, 7, tzinfo=UTC).timestamp() * 1000)  # 08:00 +0100


def test_a_control_character_in_a_name_keeps_no_row_out() -> None:
    content = apple_export(
        apple_record("HeartRate", 61, "count/min"),
        apple_record("HeartRate", 62, "count/min", source="My\x0bApp"),
        apple_record("HeartRate", 63, "count/min"),
    )
    rows = [row for row in rows_of(content) if isinstance(row, VitalReading)]
    assert [(row.value, row.source) for row in rows] == [
        (61, "apple_health:Watch"),
        (62, "apple_health:My App"),
        (63, "apple_health:Watch"),
    ]


def rows_of(content: bytes) -> list[Row]:
    member = Member("export.xml", len(content), lambda: io.BytesIO(content))
    return list(health_makers.read_apple(member, RowValidator(NOW)))


def readings_of(*records: str) -> list[VitalReading]:
    rows = rows_of(apple_export(*records))
    assert all(isinstance(row, VitalReading) for row in rows), rows
    return [row for row in rows if isinstance(row, VitalReading)]


def test_a_record_is_a_reading_at_its_start_with_its_app_as_source() -> None:
    (reading,) = readings_of(apple_record("HeartRate", 61, "count/min", source="Ada’s Watch"))
    assert (reading.kind, reading.value) == ("heart_rate", 61)
    assert reading.at.wall_ms == EIGHT
    assert reading.source == "apple_health:Ada’s Watch"
    assert reading.flags == {VitalFlag.IMPORTED}


@pytest.mark.parametrize(
    ("record", "kind", "value"),
    [
        (("OxygenSaturation", "0.97", "%"), "oxygen_saturation", 97.0),
        (("BloodPressureSystolic", "120", "mmHg"), "systolic", 120.0),
    ],
)
def test_units_of_the_export_become_ours(
    record: tuple[str, str, str], kind: str, value: float
) -> None:
    (reading,) = readings_of(apple_record(*record))
    assert (reading.kind, reading.value) == (kind, value)


def test_a_temperature_is_the_bodys_unless_it_was_taken_on_the_skin() -> None:
    on_skin = {"HKBodyTemperatureSensorLocation": "11"}
    (reading,) = readings_of(apple_record("BodyTemperature", 95, "degF", **on_skin))
    assert reading.kind == "skin_temperature"
    assert reading.value == pytest.approx(35.0)
    for place in ({}, {"HKBodyTemperatureSensorLocation": "6"}):
        (reading,) = readings_of(apple_record("BodyTemperature", 98.6, "degF", **place))
        assert reading.kind == "body_temperature"
        assert reading.value == pytest.approx(37.0)


def test_what_a_person_typed_in_says_so() -> None:
    (reading,) = readings_of(apple_record("HeartRate", 61, "count/min", HKWasUserEntered="1"))
    assert VitalFlag.MANUAL in reading.flags


def test_rates_at_rest_steps_and_the_like_are_passed_over() -> None:
    assert (
        readings_of(
            apple_record("RestingHeartRate", 52, "count/min"),
            apple_record("WalkingHeartRateAverage", 90, "count/min"),
            apple_record("StepCount", 812, "count"),
        )
        == []
    )


def test_a_pressure_stands_alone_and_in_a_correlation() -> None:
    readings = readings_of(apple_pressure(121, 79))
    assert [(r.kind, r.value) for r in readings] == [("systolic", 121), ("diastolic", 79)] * 2


def test_a_bad_row_is_named_by_its_line_and_the_others_are_read() -> None:
    rows = rows_of(
        apple_export(
            apple_record("HeartRate", 61, "count/min"),
            apple_record("HeartRate", "fast", "count/min"),
            apple_record("HeartRate", 62, "miles"),
            apple_record("OxygenSaturation", 97, "%"),
            apple_record("HeartRate", 63, "count/min", at="yesterday"),
            apple_record("HeartRate", 64, "count/min"),
        )
    )
    left = [row for row in rows if isinstance(row, LeftOut)]
    assert len(rows) == 6 and len(left) == 4
    lines = apple_export().decode().count("\n", 0, apple_export().index(b"</HealthData>"))
    assert left[0].where == f"export.xml, line {lines + 2}"
    assert "'fast'" in left[0].why
    assert "'miles'" in left[1].why
    assert "cannot be oxygen saturation" in left[2].why
    assert "'yesterday'" in left[3].why


def test_a_document_type_that_is_damaged_does_not_matter() -> None:
    damaged = APPLE_HEAD.replace("<!ATTLIST Record", "<!ATTLIST Record\n<!ATTLIST")
    content = damaged + apple_record("HeartRate", 61, "count/min") + APPLE_END
    assert len(rows_of(content.encode())) == 1


LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
BOMBS = {
    "laughs": f'<!DOCTYPE HealthData [<!ENTITY a0 "ha">{LAUGHS}]>\n<HealthData>&a11;</HealthData>',
    "laughs behind": f'<!DOCTYPE x [<!ENTITY a0 "ha">{LAUGHS}]>\n<HealthData>&a11;</HealthData>',
    "foreign file": '<!DOCTYPE x SYSTEM "file:///etc/passwd"><HealthData>&x;</HealthData>',
    "foreign entity": '<!DOCTYPE x [<!ENTITY p SYSTEM "file:///etc/passwd">]>'
    "<HealthData>&p;</HealthData>",
    "deep": "<HealthData>" + "<a>" * 100_000,
    "long": '<HealthData><Record type="' + "x" * 3_000_000 + '"/></HealthData>',
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_an_export_that_is_made_to_break_its_reader_is_refused(bomb: str) -> None:
    with pytest.raises(DataFileError, match=r"^export\.xml: "):
        rows_of(bomb.encode())


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_an_export_that_ends_too_early_is_refused_with_its_line(share: float) -> None:
    records = [apple_record("HeartRate", 61, "count/min")] * 50
    whole = apple_export(*records)
    with pytest.raises(DataFileError, match=r"is no XML from line \d+ on .*Nothing was imported"):
        rows_of(whole[: int(len(whole) * share)])


def test_memory_does_not_grow_with_the_export(tmp_path: Path) -> None:
    record = apple_record("HeartRate", 61, "count/min")
    peaks = []
    for records in (2_000, 20_000):
        file = tmp_path / "export.xml"
        file.write_text(APPLE_HEAD + record * records + APPLE_END, encoding="utf-8")
        opens = cast("Callable[[], BinaryIO]", partial(file.open, "rb"))
        member = Member("export.xml", 1, opens)
        tracemalloc.start()
        count = sum(1 for _ in health_makers.read_apple(member, RowValidator(NOW)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == records
    assert peaks[1] < 1.5 * peaks[0] + 1e6, peaks


def test_the_archive_of_the_phone_is_opened_whatever_its_file_is_called(tmp_path: Path) -> None:
    packed = {
        "apple_health_export/Exportación.xml": apple_export(
            apple_record("HeartRate", 61, "count/min")
        ),
        "apple_health_export/export_cda.xml": b"<ClinicalDocument/>",
        "apple_health_export/workout-routes/route.gpx": b"<gpx/>",
    }
    (tmp_path / "export.zip").write_bytes(archive(packed))
    with open_export(tmp_path / "export.zip") as export:
        assert export is not None
        assert export.formats == ["Apple Health"]
        assert len(list(export.rows(RowValidator(NOW)))) == 1
