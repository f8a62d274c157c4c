"""CSV files of other programs: guessing their columns, and being told what they are."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import LocalTimes, VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.store.export.columns import VITAL
from edge_agent.vitals.csv import (
    MAX_FILE_BYTES,
    ColumnMap,
    CsvFile,
    DateOrder,
    _iso,
    _with_named_month,
    all_readings,
    count_placeholders,
    guess_columns,
    guess_dates,
    guess_map,
    read_readings,
)

NOW = Instant(boot_ms=5_000_000, wall_ms=1_790_100_000_000)
AT = 1_790_000_400_000  # 2026-09-21T14:20:00Z
BERLIN = LocalTimes(ZoneInfo("Europe/Berlin"))


def file(text: str) -> CsvFile:
    return CsvFile.parse("cuff.csv", text.encode())


CUFF = (
    "Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse (bpm),Notes\n"
    "2026-09-21,16:20,121,80,66,after lunch\n"
)


def test_the_export_of_a_cuff_is_guessed_and_read() -> None:
    cuff = file(CUFF)
    columns = guess_columns(cuff.header)
    assert columns.columns == {
        "at": "Date",
        "time": "Time",
        "heart_rate": "Pulse (bpm)",
        "systolic": "Systolic (mmHg)",
        "diastolic": "Diastolic (mmHg)",
    }
    readings = list(all_readings(cuff, columns, BERLIN, NOW))
    assert [(r.at.wall_ms, r.kind, r.value) for r in readings] == [
        (AT, VitalKind.HEART_RATE, 66.0),
        (AT, VitalKind.SYSTOLIC, 121.0),
        (AT, VitalKind.DIASTOLIC, 80.0),
    ]
    assert {r.source for r in readings} == {"csv:cuff.csv"}


@pytest.mark.parametrize(
    ("header", "target", "column"),
    [
        ("timestamp,hr", "heart_rate", "hr"),
        ("Zeitpunkt,Puls", "heart_rate", "Puls"),
        ("Datum,Uhrzeit,SYS,DIA", "time", "Uhrzeit"),
        ("Time,Heart Rate", "at", "Time"),
        ("date_time,RR [ms]", "rr_interval", "RR [ms]"),
        ("timestamp,beats per minute", "heart_rate", "beats per minute"),
        ("Date,Pul", "heart_rate", "Pul"),
        ("Measured at,MAP [kPa]", "mean_arterial", "MAP [kPa]"),
    ],
)
def test_columns_are_guessed_by_their_names(header: str, target: str, column: str) -> None:
    assert guess_columns(header.split(",")).columns[target] == column


def test_a_waveform_of_breath_is_not_guessed_to_be_a_rate() -> None:
    assert guess_columns(["t", "Respiration", "resp (mV)"]).columns == {}
    for rate in ("Breathing Rate", "Respiration (1/min)"):
        assert list(guess_columns(["t", rate]).columns.values()) == [rate]


def test_a_unit_in_brackets_is_guessed() -> None:
    assert guess_columns(["t", "MAP [kPa]", "RR (ms)"]).units == {
        "mean_arterial": "kPa",
        "rr_interval": "ms",
    }


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("t,SYS (kPa)\n1790000400,16\n", {"at": "t", "systolic": "SYS (kPa)"}),
        ("t,k,v [kPa]\n1790000400,systolic,16\n", {"at": "t", "kind": "k", "value": "v [kPa]"}),
        (
            "t,SYS (left arm),u\n1790000400,16,kPa\n",
            {"at": "t", "systolic": "SYS (left arm)", "unit": "u"},
        ),
    ],
)
def test_a_unit_in_the_name_of_a_column_that_is_named_holds(
    text: str, columns: dict[str, str]
) -> None:
    (reading,) = all_readings(file(text), ColumnMap(columns), None, NOW)
    assert reading.value == pytest.approx(120.01, abs=0.01)  # 16 / 0.133322387415


def test_a_unit_in_the_name_of_a_column_that_is_unknown_is_refused_unless_one_is_said() -> None:
    cuff = file("t,SYS (cmH2O)\n1790000400,163\n")
    guessed = guess_columns(["timestamp", "SYS (cmH2O)"])
    assert guessed.units == {}
    columns = {"at": "t", "systolic": "SYS (cmH2O)"}
    with pytest.raises(DataFileError) as refused:
        list(all_readings(cuff, ColumnMap(columns), None, NOW))
    assert "row 2, column SYS (cmH2O): 'cmH2O' is no unit of systolic. Allowed: mm[hg]" in str(
        refused.value
    )
    (said,) = all_readings(cuff, ColumnMap(columns, {"systolic": "mmHg"}), None, NOW)
    assert said.value == 163


def test_an_export_of_ours_needs_no_guess() -> None:
    assert guess_columns(["at", "kind", "value", "unit", "session"]).columns == {
        "at": "at",
        "kind": "kind",
        "value": "value",
        "unit": "unit",
    }


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ("dmy", "21.09.2026 16:20"),
        ("dmy", "21/9/2026, 16:20:00"),
        ("mdy", "9/21/2026 4:20 PM"),
        ("mdy", "09-21-2026 04:20:00 pm"),
        ("iso", "2026-09-21 16:20"),
        ("dmy", "21.09.2026 16:20:00+02:00"),
    ],
)
def test_dates_are_read_in_the_order_that_is_chosen(order: str, text: str) -> None:
    columns = ColumnMap({"at": "t", "heart_rate": "hr"}, dates=order)  # type: ignore[arg-type]
    assert [
        r.at.wall_ms for r in all_readings(file(f't,hr\n"{text}",66\n'), columns, BERLIN, NOW)
    ] == [AT]


@pytest.mark.parametrize(
    "text",
    [
        "Sep 21 2026 16:20",
        "Sept. 21, 2026 4:20 p.m.",
        "16:20:00 Sep 21 2026",
        "21 sep. 2026 16:20",
        "21. September 2026 16:20",
    ],
)
def test_a_date_that_names_its_month_needs_no_order(text: str) -> None:
    columns = ColumnMap({"at": "t", "heart_rate": "hr"})
    (read,) = all_readings(file(f't,hr\n"{text}",66\n'), columns, BERLIN, NOW)
    assert read.at.wall_ms == AT


def test_a_line_that_names_the_separator_and_units_in_cells_are_read() -> None:
    sent = file("sep=;\r\nDatum;Systole;Puls\r\n21.09.2026 - 16:20;104 mmHg;72,5 bpm\r\n")
    readings = list(all_readings(sent, guess_map(sent), BERLIN, NOW))
    assert [(one.at.wall_ms, one.kind, one.value) for one in readings] == [
        (AT, "heart_rate", 72.5),
        (AT, "systolic", 104.0),
    ]


def test_units_of_a_cell_and_of_its_column_that_differ_are_refused() -> None:
    cuff = file("t,SYS (kPa)\n1790000400,104 mmHg\n")
    columns = ColumnMap({"at": "t", "systolic": "SYS (kPa)"})
    with pytest.raises(DataFileError, match="column SYS .kPa.: 'kPa' is not the unit of 104 mmHg"):
        list(all_readings(cuff, columns, None, NOW))


def test_units_can_be_said_for_a_column_and_empty_cells_are_passed_over() -> None:
    columns = ColumnMap(
        {"at": "t", "systolic": "s", "diastolic": "d"}, {"systolic": "kPa", "diastolic": "kPa"}
    )
    readings = all_readings(file("t,s,d\n1790000400,16,\n1790000401,-,10.5\n"), columns, None, NOW)
    assert [(r.kind, round(r.value)) for r in readings] == [("systolic", 120), ("diastolic", 79)]


def test_pressures_in_one_row_that_are_too_near_are_flagged() -> None:
    columns = ColumnMap({"at": "t", "systolic": "s", "diastolic": "d"})
    readings = all_readings(
        file("t,s,d\n1790000400,90,85\n1790000401,120,80\n"), columns, None, NOW
    )
    assert [VitalFlag.OUT_OF_RANGE in r.flags for r in readings] == [True, True, False, False]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({}, "no column says when the readings were measured. Choose one for `at`."),
        ({"at": "t"}, "no column has values. Choose one for each kind (heart_rate, systolic,"),
        ({"at": "t", "kind": "s"}, "no column has values."),
        (
            {"at": "t", "pulse": "s"},
            "'pulse' is nothing that a column can be. Possible: at, time, kind, value,",
        ),
        ({"at": "when", "systolic": "s"}, "there is no column 'when'. Columns found: t, s, d, d."),
        ({"at": "t", "systolic": "d"}, "column 'd' is there twice."),
        ({"at": "t", "kind": "s", "value": "d", "systolic": "s"}, "column 'd' is there twice."),
        (
            {"at": "t", "kind": "s", "value": "t", "systolic": "s"},
            "either one column has the kind and one the value",
        ),
    ],
)
def test_a_choice_of_columns_that_cannot_work_is_refused(
    columns: dict[str, str], said: str
) -> None:
    with pytest.raises(DataFileError) as caught:
        list(all_readings(file("t,s,d,d\n1790000400,1,2,3\n"), ColumnMap(columns), None, NOW))
    assert f"cuff.csv: {said}" in str(caught.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("2026-09-21T14:20:00Z,fast,80", "cuff.csv, row 2, column SYS: 'fast' is not a number."),
        ("yesterday,120,80", "cuff.csv, row 2, column when: 'yesterday' is not a time."),
        (",120,80", "cuff.csv, row 2, column when: '' is not a time."),
        ("2026-09-21T14:20:00Z,120", "cuff.csv, row 2: has 2 values, but there are 3 columns."),
    ],
)
def test_a_bad_row_is_named_by_the_columns_of_the_file(row: str, said: str) -> None:
    columns = ColumnMap({"at": "when", "systolic": "SYS", "diastolic": "DIA"})
    with pytest.raises(DataFileError) as caught:
        list(all_readings(file(f"when,SYS,DIA\n{row}\n"), columns, None, NOW))
    assert said in str(caught.value)


def test_a_date_that_does_not_fit_the_chosen_order_is_refused() -> None:
    with pytest.raises(
        DataFileError,
        match="column t: 'soon' is not a time such as 20.11.2026 08:15, which was chosen",
    ):
        list(
            all_readings(
                file("t,hr\nsoon,1\n"),
                ColumnMap({"at": "t", "heart_rate": "hr"}, dates="dmy"),
                None,
                NOW,
            )
        )


def test_a_column_of_rr_intervals_must_say_its_unit() -> None:
    with pytest.raises(
        DataFileError, match="column rr: is missing: an RR interval may be in s / ms"
    ):
        list(
            all_readings(
                file("t,rr\n1790000400,800\n"),
                ColumnMap({"at": "t", "rr_interval": "rr"}),
                None,
                NOW,
            )
        )


@pytest.mark.parametrize(
    ("values", "units"),
    [(("655", "661,5"), {"rr_interval": "ms"}), (("0.655",), {"rr_interval": "s"})],
)
def test_intervals_that_can_only_be_of_one_unit_have_it(
    values: tuple[str, ...], units: dict[str, str]
) -> None:
    rows = "".join(f"1790000400;{value}\n" for value in values)
    assert guess_map(file(f"timestamp;rr\n{rows}")).units == units


def test_intervals_of_two_lengths_keep_the_unit_open() -> None:
    assert guess_map(file("timestamp,rr\n1790000400,655\n1790000401,0.6\n")).units == {}


def test_an_oximeter_s_mark_for_no_value_gives_no_reading() -> None:
    table = file(
        "Time,SpO2(%),Pulse Rate(bpm)\n1790000400,96,61\n1790000404,255,65535\n1790000408,--,-\n"
    )
    columns = guess_map(table)
    readings = list(all_readings(table, columns, None, NOW))
    assert [reading.value for reading in readings] == [61.0, 96.0]
    assert count_placeholders(table, columns) == {"SpO2(%)": 2, "Pulse Rate(bpm)": 2}


def test_a_first_row_of_values_is_told(tmp_path: Path) -> None:
    path = tmp_path / "sensor.csv"
    path.write_text("44602,3509318287,56,,1076\n", encoding="ascii")
    with pytest.raises(DataFileError, match="row 1: has values .* no names of columns"):
        read_readings(path)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as large:
        large.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(DataFileError, match=r"large.csv: is larger than 20 MiB. Split it."):
        read_readings(path)


def test_a_file_that_the_export_has_written_is_known_by_each_of_its_columns(tmp_path: Path) -> None:
    names = [column.name for column in VITAL]
    row = ["2026-09-21T14:20:00Z" if name == "at" else "" for name in names]
    for name, value in {"kind": "heart_rate", "value": "66", "source": "cuff"}.items():
        row[names.index(name)] = value
    path = tmp_path / "vital.csv"
    path.write_text(f"{','.join(names)}\n{','.join(row)}\n", encoding="utf-8")
    (reading,) = read_readings(path, now=NOW)
    assert (reading.kind, reading.value, reading.source) == (VitalKind.HEART_RATE, 66.0, "cuff")


@pytest.mark.parametrize(
    ("times", "order"),
    [
        (["20.11.2026"], "dmy"),
        (["05.01.2026 08:15"], "dmy"),
        (["5/1/2026", "20/1/2026"], "dmy"),
        (["1/5/2026", "1/20/2026 8:15 AM"], "mdy"),
        (["1/5/2026", "2/5/2026"], "iso"),
        (["2026-01-05T08:00:00Z"], "iso"),
        (["", "soon"], "iso"),
    ],
)
def test_the_order_of_dates_is_guessed_where_they_tell_it(times: list[str], order: str) -> None:
    assert guess_dates(times) == order


@pytest.mark.parametrize(
    ("given", "order", "expected"),
    [
        ("1/20/2026 12:05 AM", "mdy", "2026-01-20T00:05"),
        ("1/20/2026 8:15 am", "mdy", "2026-01-20T08:15"),
        ("1/20/2026 12:05 PM", "mdy", "2026-01-20T12:05"),
        ("3 ago 2026, 11:02 pm", "iso", "2026-08-03T23:02"),
        ("Jan 12 2025 12:30 am", "iso", "2025-01-12T00:30"),
    ],
)
def test_hours_of_half_a_day_and_months_in_words_are_read(
    given: str, order: DateOrder, expected: str
) -> None:
    assert (_with_named_month(given) or _iso(given, order)) == expected
