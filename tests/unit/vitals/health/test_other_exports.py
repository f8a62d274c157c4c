"""Exports of Fitbit, Withings and Garmin: their true shapes, their odd rows, and what is broken."""

from __future__ import annotations

import gzip
import io
import json
import struct
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fitdecode.utils import compute_crc
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import LocalTimes, VitalFlag, VitalReading
from edge_agent.core.vitals import SPECS
from edge_agent.vitals import health_files, health_makers
from edge_agent.vitals.health_files import Member, Row, RowValidator
from edge_agent.vitals.health_makers import FORMATS, open_export
from tests.support.vitals.health_exports import (
    BYTE,
    UINT8,
    UINT16,
    UINT32,
    archive,
    fit_file,
    fit_seconds,
    fitbit_day,
    garmin_day,
)

NOW = Instant(0, 1_800_000_000_000)
NO_ZONE = RowValidator(NOW)
BERLIN = RowValidator(NOW, LocalTimes(ZoneInfo("Europe/Berlin")))

BREATHS = next(kind.value for kind, spec in SPECS.items() if spec.tile == "Respiration rate")


def read(name: str, content: bytes | str, validator: RowValidator = BERLIN) -> list[Row]:
    """The rows of a file, read as the export that its name and its content show."""
    raw = content.encode() if isinstance(content, str) else content
    form = next(one for one in FORMATS if one.is_ours(name, raw))
    return list(form.read(Member(name, len(raw), lambda: io.BytesIO(raw)), validator))


def shown(rows: Iterable[Row]) -> list[tuple[str, str, float] | str]:
    """Each reading as time, kind and value; each row that is left out as its sentence."""
    return [
        row.sentence
        if not isinstance(row, VitalReading)
        else (
            datetime.fromtimestamp(row.at.wall_ms / 1000, UTC).strftime("%m-%dT%H:%M:%S"),
            row.kind.value,
            row.value,
        )
        for row in rows
    ]


def test_a_day_of_fitbit_is_read_in_the_zone_that_is_named() -> None:
    name = "heart_rate-2026-01-05.json"
    day = fitbit_day(("01/05/26 08:00:05", 61, 2), ("07/05/26 08:00:05", 62, 3))
    assert shown(read(name, day)) == [
        ("01-05T07:00:05", "heart_rate", 61.0),
        ("07-05T06:00:05", "heart_rate", 62.0),
    ]
    with pytest.raises(DataFileError, match="name no time zone. Say which it is with --timezone"):
        read(name, day, NO_ZONE)


def test_a_rate_of_which_fitbit_is_not_sure_is_in_doubt() -> None:
    day = fitbit_day(("01/05/26 08:00:05", 70, 0), ("01/05/26 08:00:10", 61, 1))
    first, second = read("heart_rate-2026-01-05.json", day)
    assert isinstance(first, VitalReading) and VitalFlag.POOR_SIGNAL in first.flags
    assert isinstance(second, VitalReading) and VitalFlag.POOR_SIGNAL not in second.flags


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


@pytest.mark.parametrize("content", ["[", "{}", "\xff", "[" * 100_000, "[NaN"])
def test_a_day_of_fitbit_that_is_no_list_is_refused(content: str) -> None:
    with pytest.raises(DataFileError, match="Nothing was imported"):
        read("heart_rate-2026-01-05.json", content)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "heart_rate_2026-01-05.csv",
            "timestamp,beats per minute\n2026-01-05T08:00:04Z,65.0\n",
            ("01-05T08:00:04", "heart_rate", 65.0),
        ),
        (
            "heart_rate_2026-01-05.csv",
            "timestamp,beats per minute,data source\n2026-01-05T08:00:04Z,65,Fitbit Air\n",
            ("01-05T08:00:04", "heart_rate", 65.0),
        ),
        (
            "Minute SpO2 - 2026-01-05.csv",
            "timestamp,value\n2026-01-05T08:01:00Z,96.1\n",
            ("01-05T08:01:00", "oxygen_saturation", 96.1),
        ),
    ],
)
def test_tables_of_fitbit_are_read(
    name: str, content: str, expected: tuple[str, str, float]
) -> None:
    assert shown(read(name, content, NO_ZONE)) == [expected]


def test_rates_at_rest_and_other_tables_are_none_of_the_export() -> None:
    header = b"timestamp,beats per minute\n"
    assert not health_makers.is_fitbit("daily_resting_heart_rate.csv", header)
    assert not health_makers.is_fitbit("steps_2026-01-05.csv", b"timestamp,steps\n")
    assert not health_makers.is_fitbit("anything.csv", b"timestamp,value\n")


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
        ("raw_sleep-monitor_hr.csv", "heart_rate", 65.0),
        ("raw_bed_respiratory-rate.csv", BREATHS, 14.0),
        ("raw_sleep-monitor_respiratory-rate.csv", BREATHS, 14.0),
        ("raw_core_body_temperature_Core body temperature.csv", "body_temperature", 37.2),
    ],
)
def test_every_series_of_withings_is_read(name: str, kind: str, value: float) -> None:
    content = f"start,duration,value\n2026-01-05T23:59:30+02:00,[60],[{value}]\n"
    rows = shown(read(name, content, NO_ZONE))
    assert rows == [("01-05T21:59:30", kind, value)]


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
    with pytest.raises(DataFileError, match="UTC or local times.*--timezone UTC"):
        read(name, SAMSUNG, NO_ZONE)


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


def test_a_table_with_too_few_values_in_a_row_names_it_and_a_broken_one_is_refused() -> None:
    name = "heart_rate_2026-01-05.csv"
    head = "timestamp,beats per minute\n"
    rows = shown(read(name, f"{head}2026-01-05T08:00:04Z\n\n", NO_ZONE))
    assert rows == [f"{name}, row 2: has 1 values, but there are 2 columns."]
    for broken in ('a"b",1\n"x"y,2\n', "x" * 2_000_000):
        with pytest.raises(DataFileError, match="Nothing was imported|longer than 1048576"):
            read(name, head + broken, NO_ZONE)
    with pytest.raises(DataFileError, match="no UTF-8|not UTF-8"):
        read(name, head.encode() + b"\xff\xfe,1\n", NO_ZONE)


def test_a_day_of_a_garmin_watch_is_read_with_its_short_times() -> None:
    day = garmin_day(datetime(2026, 1, 5, 8, tzinfo=UTC))
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
    seconds = fit_seconds(datetime(2026, 1, 5, 8, tzinfo=UTC))
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
    seconds = fit_seconds(datetime(2026, 1, 5, 8, tzinfo=UTC))
    counts = [4094 + 1024, 4094 + 1946, 4094 + 2970, 4094 + 3993]  # 1/1024 s; twelve bits of each
    packed = b"".join(
        (first & 0xFFF | (second & 0xFFF) << 12).to_bytes(3, "little")
        for first, second in (counts[:2], counts[2:])
    )
    day = fit_file(
        (
            132,
            {
                253: (UINT32, seconds),
                0: (UINT16, 16384),  # half a second
                9: (UINT32, 4094),
                6: (UINT8, 60),
            },
        ),
        (132, {10: (BYTE, packed), 6: (UINT8, bytes([61, 62, 255, 64]))}),
    )
    rows = read("swim.fit", day, NO_ZONE)
    start = datetime(2026, 1, 5, 8, tzinfo=UTC).timestamp()
    assert [(row.kind, row.value) for row in rows if isinstance(row, VitalReading)] == [
        ("heart_rate", rate)
        for rate in (60, 61, 62, 64)  # of the third event there is none
    ]
    times = [row.at.wall_ms / 1000 - start for row in rows if isinstance(row, VitalReading)]
    assert times == pytest.approx([0.5, 1.5, 0.5 + 1946 / 1024, 0.5 + 3993 / 1024], abs=0.001)


def test_values_of_a_fit_file_that_have_no_wall_clock_are_told() -> None:
    day = fit_file(
        (20, {3: (UINT8, 70)}),
        (55, {26: (UINT16, 5), 27: (UINT8, 61)}),
        (132, {9: (UINT32, 4094), 6: (UINT8, 60)}),
        (78, {0: (UINT16, struct.pack("<3H", 892, 905, 65535))}),
    )
    assert shown(read("run.fit", day, NO_ZONE)) == [
        f"run.fit, message {number}: {field}: {value} has no time: the file tells none before it."
        for number, field, value in [
            (3, "heart_rate", 70),
            (5, "heart_rate", 61),
            (7, "filtered_bpm", 60),
            (9, "time", 0.892),
            (9, "time", 0.905),
        ]
    ]


def test_beats_of_a_fit_file_end_before_the_next_time_one_after_the_other() -> None:
    seconds = fit_seconds(datetime(2026, 1, 5, 8, tzinfo=UTC))
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
    start_ms = datetime(2026, 1, 5, 8, tzinfo=UTC).timestamp() * 1000
    assert [(row.at.wall_ms - start_ms, row.value) for row in rows] == [
        (1232, 0.892),
        (2137, 0.905),
        (3000, 0.863),
        (3001, 0.846),  # nothing tells when: after the others
    ]


@pytest.mark.parametrize("missing", [1, 2])
def test_a_fit_file_without_its_checksum_is_read_with_a_word(missing: int) -> None:
    day = garmin_day(datetime(2026, 1, 5, 8, tzinfo=UTC))
    first, *rows = shown(read("day.fit", day[:-missing], NO_ZONE))
    assert first == "day.fit: lacks its checksum, the last two bytes, and was read without it."
    assert rows == shown(read("day.fit", day, NO_ZONE))


def test_a_damaged_fit_file_is_left_out_by_name_and_packed_ones_are_read(tmp_path: Path) -> None:
    day = garmin_day(datetime(2026, 1, 5, 8, tzinfo=UTC))
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


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_fit_file_that_ends_too_early_or_was_changed_is_refused(share: float) -> None:
    day = garmin_day(datetime(2026, 1, 5, 8, tzinfo=UTC))
    cut = int(len(day) * share)
    changed = day[:cut] + bytes([day[cut] ^ 0x55]) + day[cut + 1 :]
    for broken in (day[:cut], changed):
        with pytest.raises(DataFileError, match="damaged FIT file"):
            read("day.fit", broken, NO_ZONE)


def test_a_folder_is_read_file_by_file_and_what_is_not_known_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "Takeout" / "Global Export Data"
    folder.mkdir(parents=True)
    for day in ("06", "05"):
        entry = (f"01/{day}/26 08:00:05", 61, 2)
        (folder / f"heart_rate-2026-01-{day}.json").write_bytes(fitbit_day(entry))
    (folder / "steps-2026-01-05.json").write_text("[]")
    (folder / "empty.csv").touch()
    with open_export(tmp_path / "Takeout") as export:
        assert export is not None
        assert [file.name for _, file in export.files] == [
            "heart_rate-2026-01-05.json",
            "heart_rate-2026-01-06.json",
        ]


def test_an_archive_in_an_archive_is_read_and_unknown_files_are_named(tmp_path: Path) -> None:
    day = garmin_day(datetime(2026, 1, 5, 8, tzinfo=UTC))
    inner = archive({"1.fit": day, "notes.txt": b"x"})
    (tmp_path / "export.zip").write_bytes(archive({"UploadedFiles_0-_Part1.zip": inner, "a": b"y"}))
    with open_export(tmp_path / "export.zip") as export:
        assert export is not None
        assert [file.name for _, file in export.files] == ["1.fit"]
        assert list(export.unknown) == ["notes.txt", "a"]
        assert len(shown(export.rows(NO_ZONE))) > 1


def test_a_damaged_archive_in_an_archive_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "export.zip").write_bytes(archive({"part.zip": b"PK nothing"}))
    with (
        pytest.raises(DataFileError, match=r"part\.zip: the archive is damaged"),
        open_export(tmp_path / "export.zip"),
    ):
        pass


def test_an_archive_without_a_file_that_is_known_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_bytes(archive({"a.jpg": b"x", "b.jpg": b"y"}))
    with (
        pytest.raises(DataFileError, match=r"photos\.zip: none of its 2 files is one .* Fitbit"),
        open_export(tmp_path / "photos.zip"),
    ):
        pass


def test_a_single_file_of_another_kind_is_no_export(tmp_path: Path) -> None:
    (tmp_path / "cuff.csv").write_text("at,kind,value\n")
    with open_export(tmp_path / "cuff.csv") as export:
        assert export is None


def test_a_damaged_or_huge_archive_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = archive({"heart_rate-2026-01-05.json": fitbit_day(("01/05/26 08:00:05", 61, 2))})
    place = packed.index(b"PK\x01\x02") - 20
    (tmp_path / "damaged.zip").write_bytes(packed[:place] + b"?" * 10 + packed[place + 10 :])
    with (
        pytest.raises(DataFileError, match="archive is damaged"),
        open_export(tmp_path / "damaged.zip") as export,
    ):
        list(export.rows(BERLIN) if export else ())
    (tmp_path / "huge.zip").write_bytes(packed)
    monkeypatch.setattr(health_files, "MAX_BYTES", 10)
    with (
        pytest.raises(DataFileError, match="unpacked it would have more"),
        open_export(tmp_path / "huge.zip"),
    ):
        pass


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=1000)
def test_any_messages_behind_a_right_checksum_are_read_or_refused_by_our_error(body: bytes) -> None:
    with suppress(DataFileError):
        assert all(isinstance(row, Row) for row in read("body.fit", _sound_fit(body)))


def _sound_fit(body: bytes) -> bytes:
    """A FIT file whose header and checksums are right, whatever stands in it."""
    head = fit_file()[:4] + len(body).to_bytes(4, "little") + b".FIT"
    head += struct.pack("<H", compute_crc(head))
    return head + body + struct.pack("<H", compute_crc(head + body))
