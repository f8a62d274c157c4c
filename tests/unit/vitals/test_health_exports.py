"""Exports of health apps: their true shapes, their odd rows, and what is broken or hostile."""

from __future__ import annotations

import gzip
import json
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from fitdecode.utils import compute_crc
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import SPECS
from edge_agent.vitals.health import apple, fitbit
from edge_agent.vitals.health import files as health_files
from edge_agent.vitals.health.exports import open_export
from edge_agent.vitals.health.files import ExportMember
from edge_agent.vitals.passed_over import ColumnNotTaken, LeftOutRow, Row
from tests.support.vitals.health_exports import (
    APPLE_END,
    APPLE_HEAD,
    BERLIN,
    BYTE,
    NO_ZONE,
    UINT8,
    UINT16,
    UINT32,
    apple_export,
    apple_pressure,
    apple_record,
    archive,
    fit_file,
    fit_seconds,
    fitbit_day,
    garmin_day,
    read,
    shown,
)

START = datetime(2026, 1, 5, 8, tzinfo=UTC)

BREATHS = next(kind.value for kind, spec in SPECS.items() if spec.tile == "Respiration rate")


def test_a_day_of_fitbit_is_read_in_the_zone_that_is_named() -> None:
    name = "heart_rate-2026-01-05.json"
    day = fitbit_day(("01/05/26 08:00:05", 61, 2), ("07/05/26 08:00:05", 62, 0))
    rows = read(name, day)
    assert shown(rows) == [
        ("01-05T07:00:05", "heart_rate", 61.0),
        ("07-05T06:00:05", "heart_rate", 62.0),
    ]
    doubted = [VitalFlag.POOR_SIGNAL in r.flags for r in rows if isinstance(r, VitalReading)]
    assert doubted == [False, True], "of the second rate the watch is not sure"
    with pytest.raises(DataFileError, match="have no time zone. Give one, such as"):
        read(name, day, NO_ZONE)


def test_omblepy_file_of_an_omron_cuff_is_read_with_the_cuffs_remarks() -> None:
    head = "datetime,dia,sys,bpm,mov,ihb\r\n"
    quiet, moved = "2026-01-05 08:00:12,79,121,61,0,0\r\n", "2026-07-05 20:11:40,82,128,66,1,1\r\n"
    rows = read("user1.csv", head + quiet + moved + "2026-07-06 08:00:00,82,fast,66,0,0\r\n")
    assert shown(rows)[:6] == [
        ("01-05T07:00:12", "systolic", 121.0),
        ("01-05T07:00:12", "diastolic", 79.0),
        ("01-05T07:00:12", "heart_rate", 61.0),
        ("07-05T18:11:40", "systolic", 128.0),
        ("07-05T18:11:40", "diastolic", 82.0),
        ("07-05T18:11:40", "heart_rate", 66.0),
    ]
    assert shown(rows)[6] == "user1.csv, row 4: value: 'fast' is not a number."
    flags = [row.flags - {VitalFlag.IMPORTED} for row in rows if isinstance(row, VitalReading)]
    assert flags[0] == frozenset()
    assert flags[3] == {VitalFlag.BODY_MOVEMENT, VitalFlag.IRREGULAR_PULSE}
    by_cuff = "datetime,ihb,mov,sys,dia,bpm,pos\n2026-01-05 08:00:12,0,1,121,79,61,0\n"
    assert shown(read("mine.csv", by_cuff)) == shown(rows)[:3], "columns in the cuff's own order"


def test_a_bad_entry_of_fitbit_is_named_and_left_out() -> None:
    day = json.dumps(
        [
            {"dateTime": "01/05/26 08:00:05", "value": {"bpm": None, "confidence": 1}},
            {"dateTime": "5 January", "value": {"bpm": 61, "confidence": 1}},
            {"dateTime": "01/05/26 08:00:15", "value": 61},
            "?",
            {"dateTime": "01/05/26 08:00:25", "value": {"bpm": 62, "confidence": 1}},
        ]
    )
    *left, reading = shown(read("heart_rate-2026-01-05.json", day))
    assert reading == ("01-05T07:00:25", "heart_rate", 62.0)
    assert [str(sentence).split(": ")[0] for sentence in left] == [
        f"heart_rate-2026-01-05.json, entry {number}" for number in (1, 2, 3, 4)
    ]


@pytest.mark.parametrize("content", ["{}", "\xff", "[" * 100_000])
def test_a_day_of_fitbit_that_is_no_list_is_refused(content: str) -> None:
    with pytest.raises(DataFileError, match="Nothing was imported"):
        read("heart_rate-2026-01-05.json", content)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("heart_rate_2026-01-05.csv", "beats per minute\n2026-01-05T08:00:04Z,96.1", "heart_rate"),
        (
            "heart_rate_2026-01-05.csv",
            "beats per minute,data source\n2026-01-05T08:00:04Z,96.1,Fitbit Air",
            "heart_rate",
        ),
        ("Minute SpO2 - 2026-01-05.csv", "value\n2026-01-05T08:00:04Z,96.1", "oxygen_saturation"),
    ],
)
def test_tables_of_fitbit_are_read(name: str, content: str, kind: str) -> None:
    rows = read(name, f"timestamp,{content}\n", NO_ZONE)
    assert shown(rows) == [("01-05T08:00:04", kind, 96.1)]


def test_rates_at_rest_and_other_tables_are_none_of_the_export() -> None:
    header = b"timestamp,beats per minute\n"
    assert not fitbit.is_fitbit("daily_resting_heart_rate.csv", header)
    assert not fitbit.is_fitbit("steps_2026-01-05.csv", b"timestamp,steps\n")
    assert not fitbit.is_fitbit("anything.csv", b"timestamp,value\n")


def test_the_cuff_of_withings_gives_what_it_measured() -> None:
    content = (
        'Date,"Heart rate",Systolic,Diastolic,Comments\n'
        '"2026-01-05 08:15:00",61,121,79,"after coffee, sitting"\n'
        '"2026-01-06 08:15:00",58,,,\n'
    )
    assert shown(read("bp.csv", content)) == [
        ("01-05T07:15:00", "heart_rate", 61.0),
        ("01-05T07:15:00", "systolic", 121.0),
        ("01-05T07:15:00", "diastolic", 79.0),
        ("01-06T07:15:00", "heart_rate", 58.0),
    ]
    with pytest.raises(DataFileError, match="--timezone"):
        read("bp.csv", content, NO_ZONE)


def test_lists_of_withings_are_readings_one_after_the_other() -> None:
    content = (
        "start,duration,value\n"
        '2026-01-05T23:59:30+02:00,"[60,30,60]","[65,63,64]"\n'
        "2026-01-06T08:00:00+02:00,[60],[61]\n"
        '2026-01-06T09:00:00+02:00,"[60,60]",[61]\n'
        "2026-01-06T10:00:00+02:00,[60],[x]\n"
        "yesterday,[60],[61]\n"
    )
    rows = shown(read("raw_hr_hr.csv", content, NO_ZONE))
    assert rows[:4] == [
        ("01-05T21:59:30", "heart_rate", 65.0),
        ("01-05T22:00:30", "heart_rate", 63.0),
        ("01-05T22:01:00", "heart_rate", 64.0),
        ("01-06T06:00:00", "heart_rate", 61.0),
    ]
    assert [str(row).split(":")[0] for row in rows[4:]] == [
        f"raw_hr_hr.csv, row {number}" for number in (4, 5, 6)
    ]


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("raw_tracker_hr.csv", "heart_rate", 65.0),
        ("raw_bed_respiratory-rate.csv", BREATHS, 14.0),
        ("raw_core_body_temperature_Core body temperature.csv", "body_temperature", 37.2),
    ],
)
def test_every_series_of_withings_is_read(name: str, kind: str, value: float) -> None:
    content = f"start,duration,value\n2026-01-05T23:59:30+02:00,[60],[{value}]\n"
    assert shown(read(name, content, NO_ZONE)) == [("01-05T21:59:30", kind, value)]


SAMSUNG = (
    "com.samsung.shealth.tracker.heart_rate,6305010,4\n"
    "com.samsung.health.heart_rate.heart_rate,com.samsung.health.heart_rate.start_time,"
    "com.samsung.health.heart_rate.time_offset,\n"
    "70,2026-01-05 08:00:00.000,UTC+0100,\n"
    "fast,2026-01-05 08:01:00.000,UTC+0100,\n"
)


def test_a_table_of_samsung_is_read_in_the_zone_that_is_named() -> None:
    name = "com.samsung.shealth.tracker.heart_rate.20260105.csv"
    rows = shown(read(name, SAMSUNG))
    assert rows[0] == ("01-05T07:00:00", "heart_rate", 70.0)
    assert str(rows[1]).startswith(f"{name}, row 4: ") and "'fast'" in str(rows[1])


def test_samsung_table_without_a_zone_given_is_read_in_that_of_time_offset() -> None:
    remark, first, *_ = shown(read("a.csv", SAMSUNG.replace("UTC+0100,", "UTC+0230,,"), NO_ZONE))
    assert first == ("01-05T05:30:00", "heart_rate", 70.0)
    assert "in the zone of the column time_offset" in str(remark)
    assert "with --timezone UTC, after affect-edge imports --undo N" in str(remark)
    older = SAMSUNG.replace("time_offset", "zone")
    with pytest.raises(DataFileError, match="UTC or local times.*--timezone UTC"):
        read("a.csv", older, NO_ZONE)


def test_pressures_and_oxygen_of_samsung_are_read() -> None:
    pressure = (
        "com.samsung.shealth.blood_pressure,1,2\n"
        "start_time,systolic,diastolic,pulse\n2026-01-05 08:00:00.000,120,80,\n"
    )
    assert shown(read("a.csv", pressure)) == [
        ("01-05T07:00:00", "systolic", 120.0),
        ("01-05T07:00:00", "diastolic", 80.0),
    ]
    oxygen = "com.samsung.health.oxygen_saturation,1,2\nspo2,start_time\n97,2026-01-05 08:00:00\n"
    assert shown(read("b.csv", oxygen)) == [("01-05T07:00:00", "oxygen_saturation", 97.0)]
    lacking = "com.samsung.health.oxygen_saturation,1,2\nspo2,end_time\n97,2026-01-05\n"
    with pytest.raises(DataFileError, match="the columns .* are not those of this export"):
        read("b.csv", lacking)


def test_a_table_with_few_values_in_row_names_it_and_broken_one_is_refused() -> None:
    name = "heart_rate_2026-01-05.csv"
    head = "timestamp,beats per minute\n"
    rows = shown(read(name, f"{head}2026-01-05T08:00:04Z\n\n", NO_ZONE))
    words = "has 1 values, but there are 2 columns. Put values with the separator in quotes, or "
    assert rows == [f"{name}, row 2: {words}complete the row."]
    for broken in ('a"b",1\n"x"y,2\n', "x" * 2_000_000):
        with pytest.raises(DataFileError, match="is not CSV|longer than 1048576"):
            read(name, head + broken, NO_ZONE)
    with pytest.raises(DataFileError, match="no UTF-8|not UTF-8"):
        read(name, head.encode() + b"\xff\xfe,1\n", NO_ZONE)


def test_a_day_of_a_garmin_watch_is_read_with_its_short_times() -> None:
    day = garmin_day(START)
    rows = read("day.fit", day, NO_ZONE)
    assert shown(rows) == [
        ("01-05T08:00:00", "heart_rate", 61.0),
        ("01-05T08:01:00", "heart_rate", 62.0),
        ("01-05T08:03:00", BREATHS, 14.2),
        ("01-05T08:04:00", "oxygen_saturation", 96.0),
        ("01-05T08:05:00", "heart_rate", 133.0),
        ("01-05T08:05:00", "body_temperature", 37.12),
    ]
    assert {row.source for row in rows if isinstance(row, VitalReading)} == {"fit:garmin fr945"}


def test_a_minute_older_than_the_last_full_time_stays_where_it_is() -> None:
    seconds = fit_seconds(START)
    minutes = [(60, 61), (-60, 62), (120, 63)]  # of them the second came late into the file
    day = fit_file(
        (55, {253: (UINT32, seconds), 27: (UINT8, 60)}),
        *(
            (55, {26: (UINT16, (seconds + later) & 0xFFFF), 27: (UINT8, rate)})
            for later, rate in minutes
        ),
    )
    assert shown(read("day.fit", day, NO_ZONE))[1:] == [
        ("01-05T08:01:00", "heart_rate", 61.0),
        ("01-05T07:59:00", "heart_rate", 62.0),
        ("01-05T08:02:00", "heart_rate", 63.0),
    ]


def test_rates_of_a_strap_that_kept_them_have_the_times_of_its_events() -> None:
    counts = [4094 + 1024, 4094 + 1946, 4094 + 2970, 4094 + 3993]  # 1/1024 s; twelve bits of each
    packed = b"".join(
        (first & 0xFFF | (second & 0xFFF) << 12).to_bytes(3, "little")
        for first, second in (counts[:2], counts[2:])
    )
    half_a_second = (UINT16, 16384)
    first = {253: (UINT32, fit_seconds(START)), 0: half_a_second, 9: (UINT32, 4094), 6: (UINT8, 60)}
    others = {10: (BYTE, packed), 6: (UINT8, bytes([61, 62, 255, 64]))}  # the third has no rate
    rows = read("swim.fit", fit_file((132, first), (132, others)), NO_ZONE)
    readings = [row for row in rows if isinstance(row, VitalReading)]
    assert [(row.kind, row.value) for row in readings] == [
        ("heart_rate", rate) for rate in (60, 61, 62, 64)
    ]
    times = [row.at.wall_ms / 1000 - START.timestamp() for row in readings]
    assert times == pytest.approx([0.5, 1.5, 0.5 + 1946 / 1024, 0.5 + 3993 / 1024], abs=0.001)


def test_values_of_a_fit_file_that_have_no_wall_clock_are_reported() -> None:
    day = fit_file(
        (20, {3: (UINT8, 70)}),
        (55, {26: (UINT16, 5), 27: (UINT8, 61)}),
        (132, {9: (UINT32, 4094), 6: (UINT8, 60)}),
        (78, {0: (UINT16, struct.pack("<3H", 892, 905, 65535))}),
    )
    assert shown(read("run.fit", day, NO_ZONE)) == [
        f"run.fit, message {number}: {field}: {value} has no time, and no message before it has "
        "one."
        for number, field, value in [
            (3, "heart_rate", 70),
            (5, "heart_rate", 61),
            (7, "filtered_bpm", 60),
            (9, "time", 0.892),
            (9, "time", 0.905),
        ]
    ]


def test_beats_of_a_fit_file_end_before_the_next_time_one_after_the_other() -> None:
    seconds = fit_seconds(START)
    day = fit_file(
        (20, {253: (UINT32, seconds), 3: (UINT8, 70)}),
        (78, {0: (UINT16, struct.pack("<3H", 892, 905, 65535))}),
        (78, {0: (UINT16, struct.pack("<3H", 863, 65535, 65535))}),
        (20, {253: (UINT32, seconds + 3), 3: (UINT8, 71)}),
        (78, {0: (UINT16, struct.pack("<3H", 846, 65535, 65535))}),
    )
    rows = [
        row
        for row in read("run.fit", day, NO_ZONE)
        if isinstance(row, VitalReading) and row.kind.value == "rr_interval"
    ]
    start_ms = START.timestamp() * 1000
    assert [(row.at.wall_ms - start_ms, row.value) for row in rows] == [
        (1232, 0.892),
        (2137, 0.905),
        (3000, 0.863),
        (3846, 0.846),  # no time follows: where the one before it ended
    ]


def test_beats_at_the_end_of_a_fit_part_follow_its_last_ones() -> None:
    seconds = fit_seconds(START)

    def timed(at_s: int) -> tuple[int, dict[int, tuple[int, int | bytes]]]:
        return (20, {253: (UINT32, seconds + at_s), 3: (UINT8, 70)})

    def beat(ms: int) -> tuple[int, dict[int, tuple[int, int | bytes]]]:
        return (78, {0: (UINT16, struct.pack("<3H", ms, 65535, 65535))})

    head = (0, {0: (0, 4), 1: (UINT16, 1), 2: (UINT16, 3113)})
    parts = [
        fit_file(head, timed(0), beat(850), timed(1), beat(850), beat(852)),
        fit_file(head, timed(10_800), beat(750)),
        # none before the last time, with room for all: they are of the time before it
        fit_file(head, timed(20_000), timed(20_003), beat(860), beat(870)),
    ]
    beats = [
        (row.at.wall_ms - round(1000 * START.timestamp()), row.value)
        for row in read("run.fit", b"".join(parts), NO_ZONE)
        if isinstance(row, VitalReading) and row.kind.value == "rr_interval"
    ]
    assert beats == [
        *((1000, 0.85), (1850, 0.85), (2702, 0.852), (10_800_750, 0.75)),
        *((20_002_130, 0.86), (20_003_000, 0.87)),
    ]


@pytest.mark.parametrize("missing", [1, 2])
def test_a_fit_file_without_its_checksum_is_read_with_a_word(missing: int) -> None:
    day = garmin_day(START)
    first, *rows = shown(read("day.fit", day[:-missing], NO_ZONE))
    assert first == "day.fit: lacks its checksum, the last two bytes, and was read without it."
    assert rows == shown(read("day.fit", day, NO_ZONE))


def test_a_damaged_fit_file_is_left_out_by_name_and_packed_ones_are_read(tmp_path: Path) -> None:
    day = garmin_day(START)
    (tmp_path / "a.fit.gz").write_bytes(gzip.compress(day))
    (tmp_path / "b.fit").write_bytes(day[:-9] + b"damaged??")
    (tmp_path / "c.fit").write_bytes(day)
    (tmp_path / "d.fit.gz").write_bytes(gzip.compress(day)[:-20])
    with open_export(tmp_path) as export:
        assert export is not None
        rows = shown(export.rows(NO_ZONE))
    left_out = [row for row in rows if isinstance(row, str)]
    assert [text.partition(": ")[0] for text in left_out] == ["b.fit", "d.fit.gz"]
    assert all("Nothing of it was imported" in text for text in left_out)
    assert len(rows) == 14


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_a_fit_file_that_ends_too_early_or_was_changed_is_refused(share: float) -> None:
    day = garmin_day(START)
    cut = int(len(day) * share)
    changed = day[:cut] + bytes([day[cut] ^ 0x55]) + day[cut + 1 :]
    for broken in (day[:cut], changed):
        with pytest.raises(DataFileError, match="damaged FIT file"):
            read("day.fit", broken, NO_ZONE)


def test_folder_is_read_file_by_file_and_what_is_not_known_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "Takeout" / "Global Export Data"
    folder.mkdir(parents=True)
    names = ["heart_rate-2026-01-05.json", "heart_rate-2026-01-06.json"]
    for name in reversed(names):
        (folder / name).write_bytes(fitbit_day(("01/05/26 08:00:05", 61, 2)))
    (folder / "steps-2026-01-05.json").write_text("[]")
    (folder / "empty.csv").touch()
    with open_export(tmp_path / "Takeout") as export:
        assert export is not None
        assert [file.name for _, file in export.files] == names
    (tmp_path / "cuff.csv").write_text("at,kind,value\n")
    with open_export(tmp_path / "cuff.csv") as export:
        assert export is None, "a single file of another kind"


DAY = archive({"heart_rate-2026-01-05.json": fitbit_day(("01/05/26 08:00:05", 61, 2))})
MIDDLE = DAY.index(b"PK\x01\x02") - 20


@pytest.mark.parametrize(
    ("content", "most", "said"),
    [
        (archive({"part.zip": b"PK nothing"}), 2**30, r"part\.zip: the archive is damaged"),
        (archive({"a.jpg": b"x", "b.jpg": b"y"}), 2**30, r"e\.zip: none of its 2 files has"),
        (DAY[:MIDDLE] + b"?" * 10 + DAY[MIDDLE + 10 :], 2**30, "archive is damaged"),
        (DAY, 10, "files when unpacked"),
    ],
    ids=["damaged in another", "of other files", "damaged", "huge"],
)
def test_an_archive_that_is_no_export_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, most: int, said: str
) -> None:
    (tmp_path / "e.zip").write_bytes(content)
    monkeypatch.setattr(health_files, "MOST_BYTES", most)
    with pytest.raises(DataFileError, match=said), open_export(tmp_path / "e.zip") as export:
        list(export.rows(BERLIN) if export else ())


def test_an_archive_in_an_archive_is_read_and_unknown_files_are_named(tmp_path: Path) -> None:
    day = garmin_day(START)
    inner = archive({"1.fit": day, "notes.txt": b"x"})
    (tmp_path / "export.zip").write_bytes(archive({"UploadedFiles_0-_Part1.zip": inner, "a": b"y"}))
    with open_export(tmp_path / "export.zip") as export:
        assert export is not None
        assert [file.name for _, file in export.files] == ["1.fit"]
        assert list(export.unknown) == ["notes.txt", "a"]
        assert len(shown(export.rows(NO_ZONE))) > 1


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=1000)
def test_messages_with_a_right_checksum_are_read_or_refused(body: bytes) -> None:
    head = fit_file()[:4] + len(body).to_bytes(4, "little") + b".FIT"
    head += struct.pack("<H", compute_crc(head))
    with suppress(DataFileError):
        sound = head + body + struct.pack("<H", compute_crc(head + body))
        assert all(isinstance(row, Row) for row in read("body.fit", sound))


# Apple Health, read whole or refused, however large or hostile it is


def test_a_control_character_in_a_name_keeps_no_row_out() -> None:
    content = apple_export(
        apple_record("HeartRate", 61, "count/min"),
        apple_record("HeartRate", 62, "count/min", source="My\x0bApp"),
        apple_record("HeartRate", 63, "count/min"),
    )
    rows = [row for row in read("export.xml", content, NO_ZONE) if isinstance(row, VitalReading)]
    assert [(row.value, row.source) for row in rows] == [
        (61, "apple_health:Watch"),
        (62, "apple_health:My App"),
        (63, "apple_health:Watch"),
    ]


def readings_of(*records: str) -> list[VitalReading]:
    rows = read("export.xml", apple_export(*records), NO_ZONE)
    assert all(isinstance(row, VitalReading | ColumnNotTaken) for row in rows), rows
    return [row for row in rows if isinstance(row, VitalReading)]


def test_a_record_is_a_reading_at_its_start_with_its_app_as_source() -> None:
    watch = apple_record("HeartRate", 61, "count/min", source="Ada’s Watch")
    typed = apple_record("HeartRate", 61, "count/min", HKWasUserEntered="1")
    reading, manual = readings_of(watch, typed)
    assert (reading.kind, reading.value) == ("heart_rate", 61)
    assert reading.at.wall_ms == START.timestamp() * 1000 - 3_600_000  # 08:00 +0100
    assert reading.source == "apple_health:Ada’s Watch"
    assert reading.flags == {VitalFlag.IMPORTED}
    assert VitalFlag.MANUAL in manual.flags


def test_units_become_ours_and_a_temperature_is_bodys_unless_it_is_of_skin() -> None:
    place = "HKBodyTemperatureSensorLocation"
    readings = readings_of(
        apple_record("OxygenSaturation", "0.97", "%"),
        apple_record("BodyTemperature", 95, "degF", **{place: "11"}),
        apple_record("BodyTemperature", 98.6, "degF"),
        apple_record("BodyTemperature", 37, "degC", **{place: "6"}),
    )
    assert [(r.kind, round(r.value, 6)) for r in readings] == [
        ("oxygen_saturation", 97.0),
        ("skin_temperature", 35.0),
        ("body_temperature", 37.0),
        ("body_temperature", 37.0),
    ]


def test_pressure_stands_in_correlation_and_rates_at_rest_are_passed_over() -> None:
    resting = apple_record("RestingHeartRate", 52, "count/min")
    readings = readings_of(resting, apple_pressure(121, 79))
    assert [(r.kind, r.value) for r in readings] == [("systolic", 121), ("diastolic", 79)] * 2


def test_apple_types_that_are_not_taken_are_named_with_their_number() -> None:
    beats = "".join(
        f'<InstantaneousBeatsPerMinute bpm="7{n}" time="8:00:0{n},12 AM"/>' for n in range(3)
    )
    series = apple_record("HeartRateVariabilitySDNN", 44, "ms").replace(
        "/>\n",
        f"><HeartRateVariabilityMetadataList>{beats}</HeartRateVariabilityMetadataList></Record>",
    )
    content = apple_export(
        apple_record("ElectrodermalActivity", "2.1", "mcS"),
        apple_record("ElectrodermalActivity", "0.0000025", "S"),
        apple_record("BasalBodyTemperature", 97.7, "degF"),
        series,
        apple_record("StepCount", 12, "count") * 2,
        '<Record type="HKDataTypeIdentifierHeartbeatSeries" sourceName="Watch"/>',
        '<Workout workoutActivityType="HKWorkoutActivityTypeRunning"/>',
    )
    rows = read("export.xml", content, NO_ZONE)
    taken = [(r.kind, round(r.value, 6)) for r in rows if isinstance(r, VitalReading)]
    assert taken == [
        ("skin_conductance", 2.1),
        ("skin_conductance", 2.5),
        ("body_temperature", 36.5),
    ]
    others = {row.column: row.rows for row in rows if isinstance(row, ColumnNotTaken)}
    assert others == {
        "HeartbeatSeries": 1,
        "HeartRateVariabilitySDNN": 1,
        "InstantaneousBeatsPerMinute": 3,
        "StepCount": 2,
        "Workout": 1,
    }


def test_a_bad_row_is_named_by_its_line_and_the_others_are_read() -> None:
    content = apple_export(
        apple_record("HeartRate", 61, "count/min"),
        apple_record("HeartRate", "fast", "count/min"),
        apple_record("HeartRate", 62, "miles"),
        apple_record("OxygenSaturation", 97, "%"),
        apple_record("HeartRate", 63, "count/min", at="yesterday"),
        apple_record("HeartRate", 64, "count/min"),
    )
    rows = read("export.xml", content, NO_ZONE)
    left = [row for row in rows if isinstance(row, LeftOutRow)]
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
    assert len(read("export.xml", content, NO_ZONE)) == 1


LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
BOMBS = {
    "laughs": f'<!DOCTYPE HealthData [<!ENTITY a0 "ha">{LAUGHS}]>\n<HealthData>&a11;</HealthData>',
    "foreign file": '<!DOCTYPE x SYSTEM "file:///etc/passwd"><HealthData>&x;</HealthData>',
    "foreign entity": '<!DOCTYPE x [<!ENTITY p SYSTEM "file:///etc/passwd">]>'
    "<HealthData>&p;</HealthData>",
    "deep": "<HealthData>" + "<a>" * 100_000,
    "long": '<HealthData><Record type="' + "x" * 3_000_000 + '"/></HealthData>',
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_an_export_that_is_made_to_break_its_reader_is_refused(bomb: str) -> None:
    with pytest.raises(DataFileError, match=r"^export\.xml: "):
        read("export.xml", bomb, NO_ZONE)


@pytest.mark.parametrize("share", [0.3, 0.99])
def test_an_export_that_ends_too_early_is_refused_with_its_line(share: float) -> None:
    records = [apple_record("HeartRate", 61, "count/min")] * 50
    whole = apple_export(*records)
    with pytest.raises(DataFileError, match=r"is no XML from line \d+ on .*Nothing was imported"):
        read("export.xml", whole[: int(len(whole) * share)], NO_ZONE)


def test_memory_does_not_grow_with_the_export(tmp_path: Path) -> None:
    record = apple_record("HeartRate", 61, "count/min")
    peaks = []
    for records in (2_000, 20_000):
        file = tmp_path / "export.xml"
        file.write_text(APPLE_HEAD + record * records + APPLE_END, encoding="utf-8")
        opens = cast("Callable[[], BinaryIO]", partial(file.open, "rb"))
        member = ExportMember("export.xml", 1, opens)
        tracemalloc.start()
        count = sum(1 for _ in apple.read_apple(member, NO_ZONE))
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
        assert len(list(export.rows(NO_ZONE))) == 1
