"""``affect-edge import-vitals`` with exports of health apps: all that is good of a file, once."""

from __future__ import annotations

import json
import re
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from affect_edge import cli
from affect_edge.options import row_bar
from affect_edge.vitals import FILES_SHOWN
from edge_agent.core.errors import AffectEdgeError, DataFileError, StoreError
from edge_agent.timeline.intake import staged_rows
from edge_agent.timeline.intake.staged_rows import StagedReadings
from tests.support.timeline import let_it_be_full, query
from tests.support.vitals.health_exports import (
    apple_export,
    apple_pressure,
    apple_record,
    archive,
    fitbit_day,
    garmin_day,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def run(file: Path, data: Path, *words: str) -> Result:
    done = CliRunner().invoke(cli, ["import-vitals", str(file), "--data", str(data), *words])
    if done.exception and not isinstance(done.exception, AffectEdgeError | SystemExit):
        raise done.exception
    return done


def answer(file: Path, data: Path, *words: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(run(file, data, "--json", *words).stdout)
    return said


def stored(data: Path) -> list[tuple[str, float, str]]:
    rows = query(data / "affect-edge.db", "SELECT kind, value, source FROM vital ORDER BY at, kind")
    return [tuple(row) for row in rows]


def rate(minute: int, value: object = 61, source: str = "Watch") -> str:
    at = f"2026-01-05 08:{minute:02}:00 +0100"
    return apple_record("HeartRate", value, "count/min", at, source)


def phone(folder: Path, *records: str) -> Path:
    file = folder / "export.zip"
    file.write_bytes(archive({"apple_health_export/export.xml": apple_export(*records)}))
    return file


def test_a_phones_export_is_imported_and_second_time_nothing_is_doubled(
    tmp_path: Path, data: Path
) -> None:
    file = phone(tmp_path, rate(0), rate(1, 62), apple_pressure(121, 79))
    first = run(file, data)
    assert first.stdout.splitlines()[:4] == [
        "export.zip: Apple Health",
        "  diastolic: 1 reading, 2026-01-05 06:30Z to 2026-01-05 06:30Z, apple_health:Cuff",
        "  heart_rate: 2 readings, 2026-01-05 07:00Z to 2026-01-05 07:01Z, apple_health:Watch",
        "  systolic: 1 reading, 2026-01-05 06:30Z to 2026-01-05 06:30Z, apple_health:Cuff",
    ]
    assert "4 readings imported\n" in first.stdout
    assert stored(data) == [
        ("diastolic", 79, "apple_health:Cuff"),
        ("systolic", 121, "apple_health:Cuff"),
        ("heart_rate", 61, "apple_health:Watch"),
        ("heart_rate", 62, "apple_health:Watch"),
    ]
    assert "0 readings imported, 4 were there already\n" in run(file, data).stdout
    longer = phone(tmp_path, rate(0), rate(1, 62), rate(2, 63), apple_pressure(121, 79))
    assert "1 reading imported, 4 were there already\n" in run(longer, data).stdout
    rolled = query(data / "affect-edge.db", "SELECT sum(n) FROM vital_hour")
    assert rolled == [(5,)]


def test_a_dry_run_says_what_would_happen_and_changes_nothing(tmp_path: Path, data: Path) -> None:
    file = phone(tmp_path, rate(0), rate(1, "fast"), rate(2))
    done = run(file, data, "--dry-run")
    assert "2 readings would be imported. Nothing was changed.\n" in done.stdout
    assert "1 row gives no reading:\n  export.xml, line " in done.stderr
    assert "value: 'fast' is not a number." in done.stderr
    assert "2 of 2 lie in no session; there is none yet." in done.stdout
    assert not data.exists()
    run(phone(tmp_path, rate(0)), data)
    again = answer(phone(tmp_path, rate(0), rate(2)), data, "--dry-run")
    assert (again["dry_run"], again["imported"], again["duplicates"]) == (True, 1, 1)
    assert again["format"] == "Apple Health"
    assert (again["outside_sessions"], again["nearest_session"]) == (2, None)
    assert again["kinds"][0]["readings"] == 2
    assert len(stored(data)) == 1


def test_an_export_that_breaks_off_halfway_leaves_nothing(tmp_path: Path, data: Path) -> None:
    whole = apple_export(*(rate(minute) for minute in range(60)))
    file = tmp_path / "export.xml"
    file.write_bytes(whole[: len(whole) // 2])
    done = run(file, data)
    assert isinstance(done.exception, DataFileError)
    assert "Nothing was imported" in str(done.exception)
    assert not data.exists()
    file.write_bytes(whole)
    assert "60 readings imported\n" in run(file, data).stdout


def test_a_folder_of_which_one_day_is_broken_leaves_nothing(tmp_path: Path, data: Path) -> None:
    folder = tmp_path / "Takeout"
    folder.mkdir()
    good = fitbit_day(("01/05/26 08:00:05", 61, 2))
    (folder / "heart_rate-2026-01-05.json").write_bytes(good)
    (folder / "heart_rate-2026-01-06.json").write_bytes(good[:-3])
    done = run(folder, data, "--timezone", "UTC")
    assert "heart_rate-2026-01-06.json: is not JSON" in str(done.exception)
    assert not data.exists()
    (folder / "heart_rate-2026-01-06.json").unlink()
    assert "have no time zone" in str(run(folder, data).exception)
    assert "1 reading imported\n" in run(folder, data, "--timezone", "UTC").stdout


def test_only_the_period_that_is_asked_for_is_taken(tmp_path: Path, data: Path) -> None:
    file = phone(tmp_path, *(rate(minute, 60 + minute) for minute in range(10)))
    period = ("--from", "2026-01-05T08:02:00+01:00", "--to", "2026-01-05T08:05:00+01:00")
    done = run(file, data, "--source", "watch", *period)
    assert "7 readings outside of --from and --to: left out\n" in done.stdout
    assert stored(data) == [("heart_rate", value, "watch") for value in (62, 63, 64)]
    mapped = run(file, data, "--map", "guess")
    assert mapped.exit_code == 1 and "holds no table (.csv" in str(mapped.exception)
    wrong = run(file, data, "--from", "yesterday")
    assert wrong.exit_code == 2 and "'yesterday' is not a time" in wrong.stderr


def test_two_values_of_one_moment_are_kept_and_reported(tmp_path: Path, data: Path) -> None:
    done = run(phone(tmp_path, rate(0, 61), rate(0, 88), rate(0, 61)), data)
    assert "1 reading with the time of another and another value" in done.stdout
    assert [value for _, value, _ in stored(data)] == [61, 88]
    again = answer(phone(tmp_path, rate(0, 61), rate(0, 88), rate(0, 61)), data)
    assert (again["imported"], again["duplicates"], again["differing"]) == (0, 3, 1)


def test_two_measurements_of_a_cuff_in_one_minute_are_both_kept(tmp_path: Path, data: Path) -> None:
    file = tmp_path / "cuff.csv"
    file.write_text(
        "Date;Uhrzeit;SYS;DIA;Puls\n03.02.2026;08:15;128;82;64\n03.02.2026;08:15;128;119;66\n"
        "03.02.2026;08:17;124;81;63\n"
    )
    words = ("--map", "guess", "--dates", "dmy", "--timezone", "Europe/Berlin")
    assert "9 readings imported\n" in run(file, data, *words).stdout
    sql = "SELECT at % 1000, value, flags FROM vital WHERE kind LIKE '%stolic' ORDER BY at, kind"
    assert query(data / "affect-edge.db", sql) == [
        (0, 82, "imported"),
        (0, 128, "imported"),
        (1, 119, "imported out_of_range"),  # 9 mmHg below the systolic of its own measurement
        (1, 128, "imported out_of_range"),
        (0, 81, "imported"),
        (0, 124, "imported"),
    ]
    again = run(file, data, *words, "--dry-run").stdout
    assert "0 readings would be imported, 9 are there" in again
    assert "0 readings imported, 9 were there already\n" in run(file, data, *words).stdout


def test_beats_that_fitbit_exports_twice_are_read_once(tmp_path: Path, data: Path) -> None:
    folder = tmp_path / "Takeout"
    folder.mkdir()
    entries = (("01/05/26 07:00:05", 61, 2), ("01/05/26 07:00:15", 63, 3))
    (folder / "heart_rate-2026-01-05.json").write_bytes(fitbit_day(*entries))
    (folder / "heart_rate_2026-01-05.csv").write_text(
        "timestamp,beats per minute,data source\n2026-01-05T07:00:05Z,61.0,Sense\n"
        "2026-01-05T07:00:15Z,63.0,Sense\n"
    )
    done = run(folder, data)
    assert "2 readings imported\n" in done.stdout
    assert "heart_rate-2026-01-05.json: not read; the tables of the same days" in done.stderr
    there, refused = answer(folder, data, "--dry-run")["not_taken"]
    assert (there["rows"], there["why"]) == (2, "were there already")
    assert refused["file"] == "heart_rate-2026-01-05.json" and "same beats" in refused["why"]
    autumn = tmp_path / "cuff.csv"
    autumn.write_text("at,kind,value\n2026-10-25T02:30,heart_rate,60\n")
    told = run(autumn, data, "--timezone", "Europe/Berlin").stderr
    assert "1 local time comes twice in Europe/Berlin, the first is 2026-10-25T02:30:00" in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("759\n690\n702\n", [(759, 0.759), (1449, 0.69), (2151, 0.702)]),
        ("0.759 0.759\n1.449 0.690\n", [(759, 0.759), (1449, 0.69)]),
        ("time,rr\n759,759\n1449,690\n", [(759, 0.759), (1449, 0.69)]),
        ("1767600000.000000, IBI\n263.453125,0.562500\n", [(263453, 0.5625)]),
        ("0,759\n0,690\n0,702\n", [(759, 0.759), (1449, 0.69), (2151, 0.702)]),
        ("RR\n759,5\n690,0\n702,25\n", [(760, 0.7595), (1450, 0.69), (2152, 0.70225)]),
        (
            "Name,Date\nP,1\n\nRate,Time,HR (bpm)\n1,00:00:00,85\n,00:00:01,\n,01:00:02,88\n",
            [(0, 85.0), (3602000, 88.0)],
        ),
    ],
)
def test_intervals_without_times_begin_when_it_is_reported(
    tmp_path: Path, data: Path, text: str, expected: list[tuple[int, float]]
) -> None:
    file = tmp_path / "beats.txt"
    file.write_text(text)
    words = () if "IBI" in text else ("--start", "2026-01-05T08:00:00Z")
    run(file, data, *words)
    assert f"{len(expected)} were there already" in run(file, data, *words).stdout
    rows = query(data / "affect-edge.db", "SELECT at - 1767600000000, value FROM vital ORDER BY at")
    assert rows == [(at, pytest.approx(value)) for at, value in expected]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("759\nsoon\n", "beats.txt, row 2: 'soon' is neither an interval"),
        ("759\n690 702\n", "some rows have one number, others two"),
        ("72\n73\n71\n", "no intervals in s or ms; their median is 72"),
        ("0.812\t0\n0.799\t0\n1.8\t1\n", "its second numbers are no intervals in s or ms"),
        ("812 799 805\n", "'812 799 805' is neither an interval nor a time and an interval. Write"),
        ("812\n-5\n805\n", "row 2: '-5' is no interval, for it lasts no time."),
        (
            "".join(f"{0.25 * place} 0.8\n" for place in range(240)),
            "last 191 s together, but 60 s pass between their times. Such values are resampled",
        ),
        ("RR\n", "contains no interval"),
    ],
)
def test_reading_that_is_no_interval_is_refused(
    tmp_path: Path, data: Path, text: str, said: str
) -> None:
    file = tmp_path / "beats.txt"
    file.write_text(text)
    done = run(file, data, "--start", "2026-01-05T08:00:00Z")
    assert said in str(done.exception)
    assert not data.exists()
    assert "give their beginning with --start" in str(run(file, data).exception)


def test_session_of_empatica_begins_with_the_start_in_its_files(tmp_path: Path, data: Path) -> None:
    rates, conductance = tmp_path / "HR.csv", tmp_path / "EDA.csv"
    rates.write_text("1767600000.000000\n1.000000\n57.00\n57.67\n")
    conductance.write_text("1767600000.000000\n4.000000\n0.000000\n0.61\n")
    run(rates, data)
    assert "1 out_of_range" in run(conductance, data).stdout
    sql = "SELECT at - 1767600000000, value FROM vital ORDER BY kind, at"
    assert query(data / "affect-edge.db", sql) == [(0, 57.0), (1000, 57.67), (0, 0.0), (250, 0.61)]
    done = run(conductance, data, "--start", "2026-01-05T08:00Z")
    assert "begins with the time of its start, 1767600000.000000. Leave out --start" in str(
        done.exception
    )


def test_raw_file_of_an_emotibit_alone_is_refused_with_the_way(tmp_path: Path, data: Path) -> None:
    file = tmp_path / "2026-01-05_08-00-00-123456.csv"
    file.write_text("1126349,49106,2,EA,1,100,0.03,0.03\n")
    said = str(run(file, data).exception)
    assert "no row contains a reading." in said
    assert "Open it with the EmotiBit DataParser" in said
    assert not data.exists()


def test_columns_of_an_export_that_are_not_taken_are_named(tmp_path: Path, data: Path) -> None:
    file = tmp_path / "shimmer.csv"
    file.write_text(
        "sep=,\nS_Timestamp_Unix_CAL,S_GSR_Skin_Conductance_CAL,S_Gyro_X_CAL\nms,uS,deg/s\n"
        "1767600000000,2.5,0.1\n"
    )
    row = {"file": "shimmer.csv", "column": "S_Gyro_X_CAL", "rows": None}
    said = answer(file, data)
    assert said["not_taken"] == [row | {"why": "is no vital sign that is kept"}]
    assert (said["imported"], said["format"]) == (1, "Shimmer")


def test_readings_of_a_time_to_come_are_reported_and_flagged(tmp_path: Path, data: Path) -> None:
    file = tmp_path / "band.csv"
    file.write_text(
        "at,kind,value,device_time\n2026-01-05T08:00:00Z,heart_rate,61,2026-01-05T09:00:00\n"
        "2091-01-05T08:00:00Z,heart_rate,62,\n"
    )
    said = "1 reading of a time that is still to come: kept with the flag clock_differs"
    assert said in run(file, data, "--dry-run").stdout
    assert not data.exists()
    assert said in run(file, data).stdout
    assert answer(file, data)["to_come"] == 1
    rows = query(data / "affect-edge.db", "SELECT flags, device_time FROM vital ORDER BY at")
    assert rows == [("imported", "2026-01-05T09:00:00"), ("clock_differs imported", None)]


def test_an_export_without_a_reading_says_why(tmp_path: Path, data: Path) -> None:
    file = phone(tmp_path, rate(0, "fast"), apple_record("StepCount", 5, "count"))
    said = str(run(file, data).exception)
    assert said.startswith("export.zip: no row contains a reading.\nexport.xml, line ")
    assert not data.exists()


def test_bad_rows_that_are_alike_are_one_line_with_their_number(tmp_path: Path, data: Path) -> None:
    file = phone(tmp_path, rate(0), *(rate(minute, "fast") for minute in range(1, 31)))
    done = run(file, data)
    assert "30 rows give no reading:" in done.stderr
    assert "lines 19, 20, 21, 22, 23, 24, 25, 26, 27, 28 and 20 more: value: 'fast'" in done.stderr
    said = answer(file, data)
    assert (said["left_out"], len(said["reasons"]), said["duplicates"]) == (30, 1, 1)
    not_taken = [tuple(row.values()) for row in said["not_taken"]]
    assert ("export.xml", "value", 30, "give no reading") in not_taken


def test_a_full_disk_while_readings_are_kept_aside_is_reported(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(StagedReadings):
        def __init__(self, file: str, *, source: str = "") -> None:
            super().__init__(file, source=source)
            self._connection.execute("PRAGMA max_page_count = 2")

    monkeypatch.setattr(staged_rows, "StagedReadings", Full)
    file = phone(tmp_path, *(rate(minute, source="w" * 150 + str(minute)) for minute in range(60)))
    done = run(file, data)
    assert isinstance(done.exception, StoreError)
    said = str(done.exception)
    assert said.startswith("export.zip: the readings cannot be kept in a temporary database")
    assert "Free some space where temporary files lie" in said
    shutil.rmtree(data, ignore_errors=True)


def test_a_full_database_is_reported_with_the_file(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_it_be_full(monkeypatch, lambda path: bool(path.stat().st_size))
    file = phone(tmp_path, *(rate(minute, source="w" * 150 + str(minute)) for minute in range(60)))
    done = run(file, data)
    assert isinstance(done.exception, StoreError)
    words = r"export\.zip was not imported\. \S+affect-edge\.db: the disk, .* is full"
    assert re.match(words, str(done.exception))


def test_an_import_ends_with_what_was_taken_and_what_was_not(tmp_path: Path, data: Path) -> None:
    file = tmp_path / "strap.csv"
    rows = ["08:00,61,a", "08:00,61,b", "08:00,70,c", "08:01,999,", "08:02,62,"]
    text = "\n".join(f"2026-01-05T{row.replace(',', 'Z,', 1)}" for row in rows)
    file.write_text(f"Date,Pulse,Note\n{text}\n", encoding="ascii")
    words = ("--map", "at=Date", "--map", "heart_rate=Pulse", "--unit", "heart_rate=bpm")
    later = ("--from", "2026-01-05T08:00:30Z")
    planned = answer(file, data, *words, *later, "--dry-run")
    told = run(file, data, *words, *later, "--dry-run").stdout
    assert re.search(r"heart_rate +csv:strap.csv +2 .* 2 +1 out_of_range\n", told), told
    assert "2 of 2 lie in no session; there is none yet." in told
    said = answer(file, data, *words, *later)
    assert said["import"] == 1
    same = ("taken", "not_taken", "imported", "outside_sessions", "message")
    assert [planned[one] for one in same] == [said[one] for one in same]
    assert said["taken"] == [
        {
            "kind": "heart_rate",
            "source": "csv:strap.csv",
            "readings": 2,
            "first_ms": 1_767_600_060_000,  # date -u -d 2026-01-05T08:01:00Z +%s
            "last_ms": 1_767_600_120_000,
            "outside_sessions": 2,
            "unusable": {"out_of_range": 1},
        }
    ]
    assert [tuple(row.values()) for row in said["not_taken"]] == [
        ("strap.csv", "", 3, "lie outside of --from and --to"),
        ("strap.csv", "Note", None, "is not named with --map"),
    ]
    shown = run(file, data, *words).stdout.splitlines()
    assert shown[1] == "This is import 2. To take it back: affect-edge imports --undo 2"
    assert [
        " ".join(line.split()) for line in shown if line.startswith(("heart", "strap.csv  "))
    ] == [
        "heart_rate csv:strap.csv 2 2026-01-05 08:00Z 2026-01-05 08:00Z 2",
        "strap.csv 2 were there already",
        "strap.csv 1 stand in the file twice",
        "strap.csv Note is not named with --map",
    ]


def test_marks_for_no_value_and_damaged_files_are_named_with_the_reason(
    tmp_path: Path, data: Path
) -> None:
    ring = tmp_path / "ring.csv"
    ring.write_text("Time,SpO2,Pulse\n2026-01-05T08:00:00Z,96,61\n2026-01-05T08:00:04Z,255,--\n")
    assert [tuple(row.values()) for row in answer(ring, data, "--map", "guess")["not_taken"]] == [
        ("ring.csv", "Pulse", 1, "have a mark for no value"),
        ("ring.csv", "SpO2", 1, "have a mark for no value"),
    ]
    folder = tmp_path / "watch"
    folder.mkdir()
    day = garmin_day(datetime(2026, 1, 5, 8, tzinfo=UTC))
    (folder / "a.fit").write_bytes(day)
    (folder / "b.fit").write_bytes(day[:-9] + b"damaged??")
    (refused,) = answer(folder, data)["not_taken"]
    assert refused["file"] == "b.fit" and "Nothing of it was imported" in refused["why"]


def test_a_dry_run_tells_columns_and_files_that_are_not_taken(tmp_path: Path, data: Path) -> None:
    file = tmp_path / "ring.csv"
    file.write_text("Time,Pulse Rate,Motion\n2026-01-05T08:00:00Z,61,3\n", encoding="ascii")
    unrecognised = "was not recognised; name it with --map"
    said = answer(file, data, "--map", "guess", "--dry-run")
    assert said["not_taken"] == [
        {"file": "ring.csv", "column": "Motion", "rows": None, "why": unrecognised}
    ]
    folder = tmp_path / "phone"
    folder.mkdir()
    phone(folder, rate(0))
    for number in range(FILES_SHOWN + 1):
        (folder / f"walk-{number:03}.gpx").write_text("<gpx/>", encoding="ascii")
    refused = answer(folder, data)["not_taken"]
    assert refused[0]["file"] == "walk-000.gpx" and refused[0]["why"] == "is not known here"
    assert refused[-1]["file"] == "1 more files"
    assert "walk-000.gpx" in run(folder, data, "--dry-run").output


def test_import_vitals_columns_in_doubt_names_them_and_takes_chosen_ones(
    tmp_path: Path, data: Path
) -> None:
    file = tmp_path / "monitor.csv"
    rows = "2026-01-05T08:00:00Z,bed,162,66,36.6,\n2026-01-05T08:00:00Z,wrist,160,65,NA,\n"
    file.write_text(f"# of a ward\n\nTime,device,PR,HR,Body temp (celsius)\n{rows}")
    refused = run(file, data, "--map", "guess")
    assert isinstance(refused.exception, DataFileError)
    doubts = str(refused.exception).splitlines()
    assert "Several columns can be heart rate: PR, HR." in doubts[0]
    assert doubts[0].endswith("such as --map heart_rate=HR.")
    assert doubts[1].endswith("on the command line: --map source=device.")
    chosen = ("--map", "guess", "--map", "heart_rate=HR", "--map", "source=device")
    done = run(file, data, *chosen)
    assert "rows above the names of the columns, which are not read: 2." in done.stderr
    assert re.search(
        r"monitor.csv +Body temp \(celsius\) +1 +have a mark for no value", done.stdout
    )
    assert stored(data) == [
        ("body_temperature", 36.6, "bed"),
        ("heart_rate", 66.0, "bed"),
        ("heart_rate", 65.0, "wrist"),
    ]


def test_the_tables_of_a_zip_are_taken_together_or_not_at_all(tmp_path: Path, data: Path) -> None:
    first = b"at,kind,value,session\n2026-01-05T08:00:00Z,heart_rate,61,1\n"
    second = first.replace(b"heart_rate,61,1", b"systolic,120,1")
    file = tmp_path / "tables.zip"
    bad = second.replace(b"120", b"high")
    file.write_bytes(archive({"a/one.csv": first, "a/two.csv": bad}))
    assert "two.csv, row 2, column value: 'high'" in str(run(file, data).exception)
    file.write_bytes(archive({"a/one.csv": first, "a/two.csv": second, "a/read me.md": b"x"}))
    said = answer(file, data)
    assert said["imported"] == 2
    assert [(one["file"], one["column"]) for one in said["not_taken"]] == [
        ("one.csv", "session"),
        ("two.csv", "session"),
        ("a/read me.md", ""),
    ]
    assert stored(data) == [("heart_rate", 61, "csv:one.csv"), ("systolic", 120, "csv:two.csv")]
    other = tmp_path / "other.zip"
    mapped = b"Time;Pulse\n05.01.2026 09:00;62,5\n"
    other.write_bytes(archive({"phone.csv": mapped}))
    done = run(other, data, "--map", "guess", "--timezone", "UTC")
    assert "1 reading imported" in done.stdout, done.output


def test_progress_goes_to_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for is_terminal in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda answer=is_terminal: answer)
        for length in (None, 3):
            with row_bar(iter(range(3)), "Reading", length) as rows:
                assert list(rows) == [0, 1, 2]
            told = capsys.readouterr()
            assert ("Reading" in told.err, told.out) == (is_terminal, "")


def test_columns_of_zones_and_of_flags_are_reported_as_what_they_are(
    tmp_path: Path, data: Path
) -> None:
    cuff, strap = tmp_path / "cuff.csv", tmp_path / "ppi.csv"
    cuff.write_text("Date,Time Zone,SYS,DIA\n2026-01-05 06:05,Europe/Paris,119,78\n")
    told = run(cuff, data, "--map", "guess", "--timezone", "Asia/Tokyo", "--dry-run")
    assert re.search(r"cuff.csv +Time Zone +names a time zone, which --timezone gives", told.stdout)
    assert "is read as Asia/Tokyo" in told.stderr
    head = "PPI Recording Start Date and Time: 2026-01-05 08:00:00\n"
    rows = "hr,ppi,blockerBit,skinContactStatus\n70,850,0,1\n72,860,1,1\n"
    strap.write_text(f"Polar Device ID: A1\n{head}{rows}")
    told = run(strap, data, "--map", "guess", "--timezone", "Europe/Berlin", "--dry-run")
    assert "1 poor_signal" in told.stdout
    assert "blockerBit" not in told.stdout


def test_a_session_of_polar_flow_names_the_option_for_its_start(tmp_path: Path, data: Path) -> None:
    file = tmp_path / "flow.csv"
    names = "Name,Sport,Date,Start time,Duration,Average heart rate (bpm),Max heart rate (bpm)"
    row = "A,Yoga,29-08-2026,22:00:00,00:00:02,85,86"
    file.write_text(f"{names}\n{row}\n\nSample rate,Time,HR (bpm)\n1,00:00:00,85\n,00:00:01,86\n")
    for options in ((), ("--map", "guess")):
        refused = run(file, data, *options)
        assert isinstance(refused.exception, DataFileError)
        assert "Leave out --map, and give its start, 29-08-2026 22:00:00, with --start" in str(
            refused.exception
        )
    assert run(file, data, "--start", "2026-01-05T22:00:00Z").exit_code == 0


def test_a_folder_of_bids_is_sent_to_the_import_of_studies(tmp_path: Path, data: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "dataset_description.json").write_text('{"Name": "films", "BIDSVersion": "1.8.0"}')
    (folder / "participants.tsv").write_text("participant_id\nsub-01\n")
    refused = run(folder, data)
    assert "is of a BIDS data set: affect-edge import-study" in str(refused.exception)
    assert "Import each table" not in str(refused.exception)
