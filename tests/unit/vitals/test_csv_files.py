"""Reading vital readings from CSV files: our own, those of other programs, and broken ones."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import LocalTimes, VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.export.table_schemas import VITAL
from edge_agent.timeline.write.reading_imports import import_readings
from edge_agent.vitals.column_map import ColumnMap
from edge_agent.vitals.csv_files import MAX_FILE_BYTES, PROBLEMS_MOST, CsvFile, read_file
from edge_agent.vitals.csv_readings import all_readings, read_readings, rows_of
from edge_agent.vitals.dates import guess_dates
from edge_agent.vitals.guessed_columns import guess_columns, guess_map
from edge_agent.vitals.passed_over import PassedOver
from tests.support.timeline import query, timeline

AT = 1_790_000_400_000  # 2026-09-21T14:20:00Z
NOW = Instant(boot_ms=5_000_000, wall_ms=AT + 60_000)
BERLIN = LocalTimes(ZoneInfo("Europe/Berlin"))
OURS = "at,kind,value\n"


def written(folder: Path, text: str | bytes, name: str = "morning.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def file(text: str) -> CsvFile:
    return CsvFile.parse("cuff.csv", text.encode())


def read(text: str, columns: ColumnMap, zone: LocalTimes | None = None) -> list[VitalReading]:
    """The readings of a file of another program."""
    return list(all_readings(file(text), columns, zone, NOW))


def no_values(text: str) -> dict[str, int]:
    """How many cells of each column have a mark for *no value*."""
    passed_over, table = PassedOver(), file(text)
    list(passed_over.readings_of(rows_of(table, guess_map(table), None, NOW)))
    return {column: count for (_, column), count in passed_over.no_value.items()}


# Our own columns


@pytest.mark.parametrize("newest_first", [False, True])
def test_an_hour_that_comes_twice_is_read_in_the_order_of_the_file(
    tmp_path: Path, newest_first: bool
) -> None:
    # Clocks were put back from 3 to 2 on 2026-10-25: an hour at 15 min from 1:45 on, twice from 2
    local = ["01:45", "02:00", "02:30", "02:45", "02:00", "02:30", "02:45", "03:00"]
    utc = [23.75, 24.0, 24.5, 24.75, 25.0, 25.5, 25.75, 26.0]  # hours from 2026-10-24T00:00Z on
    rows = [f"2026-10-25T{time},heart_rate,{60 + place}" for place, time in enumerate(local)]
    if newest_first:
        rows.reverse()
        utc.reverse()
    path = written(tmp_path, OURS + "\n".join(rows) + "\n")
    zone = LocalTimes(ZoneInfo("Europe/Berlin"))
    start_ms = 1_792_800_000_000  # 2026-10-24T00:00:00Z by GNU date
    hours = [(r.at.wall_ms - start_ms) / 3_600_000 for r in read_readings(path, zone)]
    assert hours == utc
    assert zone.sentence.startswith("6 local times come twice in Europe/Berlin, the first is 2026-")


def test_an_hour_that_never_was_in_spring_is_refused_by_row(tmp_path: Path) -> None:
    times = ("01:59", "02:30", "03:30")
    rows = "".join(f"2026-03-29T{time},heart_rate,60\n" for time in times)
    with pytest.raises(DataFileError) as refused:
        read_readings(written(tmp_path, OURS + rows), BERLIN)
    assert (
        "morning.csv, row 3, column at: '2026-03-29T02:30:00' never was in Europe/Berlin: clocks "
        "were put forward then." in str(refused.value)
    )


def test_times_without_a_zone_are_read_in_the_zone_that_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, f"{OURS}2026-09-21 16:20:00,heart_rate,70\n")
    assert [reading.at.wall_ms for reading in read_readings(path, BERLIN)] == [AT]
    with pytest.raises(
        DataFileError, match=r"row 2, column at: '2026-09-21 16:20:00' has no time zone. Write Z or"
    ):
        read_readings(path)


def test_each_column_is_taken_and_file_is_source_of_readings_without_one(tmp_path: Path) -> None:
    columns = "at,kind,value,unit,source,flags,device_time\n"
    rows = (
        "1790000400,systolic,16,kPa,,,\n"
        "1790000401,Systolic,300,,cuff 7,manual,2026-09-21T16:20:00\n"
    )
    first, second = read_readings(written(tmp_path, columns + rows), now=NOW)
    assert (first.kind, first.source) == (VitalKind.SYSTOLIC, "csv:morning.csv")
    assert first.value == pytest.approx(120.0099, abs=1e-4)
    assert first.flags == {VitalFlag.IMPORTED}
    assert first.device_time is None
    assert (second.source, second.device_time) == ("cuff 7", "2026-09-21T16:20:00")
    implausible = VitalFlag.OUT_OF_RANGE  # flagged, never dropped
    assert second.flags == {VitalFlag.IMPORTED, VitalFlag.MANUAL, implausible}


@pytest.mark.parametrize(
    ("content", "value", "source"),
    [
        ("\ufeffAt;Kind;Value\r\n1790000400;heart_rate;72,5\r\n;;\r\n", 72.5, "csv:morning.csv"),
        (
            'at\tkind\tvalue\tsource\n\n1790000400\theart_rate\t70\t"strap ""A""\tleft"\n\n',
            70.0,
            'strap "A"\tleft',
        ),
    ],
    ids=["European spreadsheet", "tabs, blank lines and quotes"],
)
def test_each_form_of_csv_is_read(tmp_path: Path, content: str, value: float, source: str) -> None:
    (reading,) = read_readings(written(tmp_path, content))
    assert (reading.at.wall_ms, reading.value, reading.source) == (AT, value, source)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("1790000401,heart_rate,fast,,", r"row 3, column value: 'fast' is not a number"),
        ("1790000401,pulse,70,,", r"row 3, column kind: 'pulse' is not one of heart_rate, systol"),
        ("yesterday,heart_rate,70,,", r"row 3, column at: 'yesterday' is not a time. Write 2026-"),
        ("1790000401,systolic,16,psi,", r"row 3, column unit: 'psi' is no unit of systolic. Allo"),
        ("1790000401,heart_rate,70,,odd", r"row 3, column flags: 'odd' is not made of out_of_ra"),
        ('1790000401,heart_rate,"70,,', r"row \d: is not CSV"),
        ('1790000401,heart_rate,"7"0,,', r"row 3: is not CSV"),
    ],
)
def test_a_bad_row_names_its_column_and_imports_nothing(
    tmp_path: Path, row: str, said: str
) -> None:
    header = "at,kind,value,unit,flags\n1790000400,heart_rate,70,,\n"
    path = written(tmp_path, f"{header}{row}\n")
    store = timeline(tmp_path)
    with pytest.raises(DataFileError, match=f"morning.csv, {said}"):
        import_readings(store, read_readings(path))
    assert query(store, "SELECT count(*) FROM vital") == [(0,)]


def test_ten_bad_rows_are_named_and_the_others_counted_up_to_a_thousand(tmp_path: Path) -> None:
    bad = "".join(f"1790000400,heart_rate,?{number}\n" for number in range(25))
    with pytest.raises(DataFileError) as caught:
        read_readings(written(tmp_path, OURS + bad))
    (line, last) = str(caught.value).splitlines()
    assert line.startswith(
        "morning.csv, rows 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 15 more, column value: '?0' is not a"
    )
    assert last == "Nothing was imported."
    broken = '"'  # a quote that nobody closes ends the reading of whoever comes so far
    with pytest.raises(DataFileError) as caught:
        read_readings(written(tmp_path, OURS + "?,?,?\n" * PROBLEMS_MOST + broken))
    (line, last) = str(caught.value).splitlines()
    assert "rows 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 990 or more, column at: '?'" in line
    assert last == "Nothing was imported."


def test_unit_that_is_not_known_is_reported_once_for_all_its_rows(tmp_path: Path) -> None:
    header, row = "at,kind,value,unit\n", "1790000400,skin_conductance,5,furlong\n"
    with pytest.raises(DataFileError) as caught:
        read_readings(written(tmp_path, header + 3 * row))
    (line, last) = str(caught.value).splitlines()
    assert (
        "rows 2, 3, 4, column unit: 'furlong' is no unit of skin_conductance. Allowed: us" in line
    )
    assert last == "Nothing was imported."


def test_skin_conductance_below_zero_is_kept_in_doubt_and_no_ohm_refused(tmp_path: Path) -> None:
    header = "at,kind,value,unit\n1790000400,skin_conductance,5,uS\n"
    path = written(tmp_path, header + "1790000401,skin_conductance,-0.2,uS\n")
    assert [(one.value, VitalFlag.OUT_OF_RANGE in one.flags) for one in read_readings(path)] == [
        (5.0, False),
        (-0.2, True),
    ]
    path = written(tmp_path, header + "1790000401,skin_conductance,0,kOhm\n")
    with pytest.raises(DataFileError, match="row 3, column value: '0' is no resistance of skin"):
        read_readings(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (" \n\n", "is empty. Its first row must name the columns: at, kind, value"),
        ("at,kind,value\n", "has no rows"),
        ("at,value\n1,70\n", "row 1: column kind is missing. Columns found: at, value; needed: at"),
        ("at,kind,value,weather\n", "row 1: unknown column 'weather'. Known: at, kind"),
        ("at,kind,value,value\n", "row 1: column value occurs twice"),
        (
            "Ward 3\n\nDatum;Puls\n1;70\n",
            "row 3: column at is missing. Columns found: Datum, Puls;",
        ),
        ("At,Kind,Value,Wetter\n", "row 1: unknown column 'Wetter'. Known: at, kind"),
        ("At,Kind,Value\n9,heart_rate,a\n", "row 2, column Value: 'a'"),
        ("44602,3509318287,56,,1076\n", "row 1: has values .* no names of columns"),
        (b"at,kind,value,source\n1,heart_rate,70,\xe9\n", r"row 2: is not UTF-8 text \(byte 0xe9"),
        (b"at,kind,value\n1790000400,heart_rate,\x00\n", r"row 2"),
    ],
)
def test_a_file_that_cannot_be_one_of_readings_is_refused(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    with pytest.raises(DataFileError, match=said):
        read_readings(written(tmp_path, content))


def test_a_file_that_is_too_large_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="is a folder. Name a file"):
        read_readings(tmp_path)
    with pytest.raises(DataFileError, match=r"morning.csv: is larger than 20 MiB. Split it."):
        read_readings(written(tmp_path, bytes(MAX_FILE_BYTES + 1)))


def test_a_file_that_the_export_wrote_is_known_by_each_of_its_columns(tmp_path: Path) -> None:
    values = {"at": "2026-09-21T14:20:00Z", "kind": "heart_rate", "value": "66", "source": "cuff"}
    names = [column.name for column in VITAL]
    row = [values.get(name, "") for name in names]
    path = written(tmp_path, f"{','.join(names)}\n{','.join(row)}\n")
    (reading,) = read_readings(path, now=NOW)
    assert (reading.kind, reading.value, reading.source) == (VitalKind.HEART_RATE, 66.0, "cuff")


# Columns of other programs


def test_the_export_of_a_cuff_is_guessed_and_read() -> None:
    cuff = (
        "Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse (bpm),Notes\n"
        "2026-09-21,16:20,121,80,66,after lunch\n"
    )
    columns = guess_columns(file(cuff).header)
    assert columns.columns == {
        "at": "Date",
        "time": "Time",
        "heart_rate": "Pulse (bpm)",
        "systolic": "Systolic (mmHg)",
        "diastolic": "Diastolic (mmHg)",
    }
    readings = read(cuff, columns, BERLIN)
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
        ("Datum,Uhrzeit,Puls", "time", "Uhrzeit"),
        ("Time,Heart Rate", "at", "Time"),
        ("date_time,RR [ms]", "rr_interval", "RR [ms]"),
        ("Measured at,MAP [kPa]", "mean_arterial", "MAP [kPa]"),
    ],
)
def test_columns_are_guessed_by_their_names(header: str, target: str, column: str) -> None:
    assert guess_columns(header.split(",")).columns[target] == column


def test_a_waveform_of_breath_is_not_guessed_to_be_a_rate() -> None:
    assert guess_columns(["t", "Respiration", "resp (mV)"]).columns == {}
    for rate in ("Breathing Rate", "Respiration (1/min)"):
        assert list(guess_columns(["t", rate]).columns.values()) == [rate]


def test_a_unit_in_brackets_is_guessed_where_it_is_one_of_the_kind() -> None:
    guessed = guess_columns(["t", "MAP [kPa]", "RR (ms)", "SYS (cmH2O)"])
    assert guessed.units == {"mean_arterial": "kPa", "rr_interval": "ms"}


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("t,SYS (kPa)\n1790000400,16\n", {"at": "t", "systolic": "SYS (kPa)"}),
        ("t,k,v [kPa]\n1790000400,systolic,16\n", {"at": "t", "kind": "k", "value": "v [kPa]"}),
        ("t,S (left),u\n1790000400,16,kPa\n", {"at": "t", "systolic": "S (left)", "unit": "u"}),
    ],
)
def test_the_unit_in_the_name_of_a_column_holds(text: str, columns: dict[str, str]) -> None:
    (reading,) = read(text, ColumnMap(columns))
    assert reading.value == pytest.approx(120.01, abs=0.01)  # 16 / 0.133322387415


def test_a_unit_that_is_reported_counts_and_empty_cells_are_passed_over() -> None:
    columns = {"at": "t", "systolic": "SYS (cmH2O)", "diastolic": "d"}
    units = {"systolic": "mmHg", "diastolic": "kPa"}
    text = "t,SYS (cmH2O),d\n1790000400,163,\n1790000401,-,10.5\n"
    readings = read(text, ColumnMap(columns, units))
    assert [(r.kind, round(r.value)) for r in readings] == [("systolic", 163), ("diastolic", 79)]


def test_pressures_in_one_row_that_are_too_near_are_flagged() -> None:
    columns = ColumnMap({"at": "t", "systolic": "s", "diastolic": "d"})
    readings = read("t,s,d\n1790000400,90,85\n1790000401,120,80\n", columns)
    assert [VitalFlag.OUT_OF_RANGE in r.flags for r in readings] == [True, True, False, False]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({}, "no column has the time of the readings. Choose one for `at`."),
        ({"at": "t"}, "no column has values. Choose one for each kind (heart_rate, systolic,"),
        ({"at": "t", "kind": "s"}, "no column has values."),
        ({"at": "t", "pulse": "s"}, "'pulse' is no target of a column. Possible: at, time,"),
        ({"at": "when", "systolic": "s"}, "there is no column 'when'. Columns found: t, s, d, d."),
        ({"at": "t", "systolic": "d"}, "column 'd' occurs twice."),
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
        read("t,s,d,d\n1790000400,1,2,3\n", ColumnMap(columns))
    assert f"cuff.csv: {said}" in str(caught.value)


@pytest.mark.parametrize(
    ("target", "column", "row", "said"),
    [
        ("systolic", "SYS", "1790000400,fast", "column SYS: 'fast' is not a number."),
        ("systolic", "SYS", ",120", "column t: '' is not a time."),
        ("systolic", "SYS", "soon,1", "column t: 'soon' is not a time such as 20.11.2026 08:15, w"),
        ("systolic", "S (kPa)", "1790000400,104 mmHg", "column S (kPa): 'kPa' is not the unit of"),
        ("systolic", "S (cmH2O)", "1790000400,1", "column S (cmH2O): 'cmH2O' is no unit of systo"),
        ("rr_interval", "rr", "1790000400,800", "column rr: is missing: an RR interval may be in"),
    ],
)
def test_a_bad_cell_is_named_by_the_column_of_the_file(
    target: str, column: str, row: str, said: str
) -> None:
    columns = ColumnMap({"at": "t", target: column}, dates="dmy" if row == "soon,1" else "iso")
    with pytest.raises(DataFileError) as caught:
        read(f"t,{column}\n{row}\n", columns)
    assert f"cuff.csv, row 2, {said}" in str(caught.value)


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ("dmy", "21.09.2026 16:20"),
        ("dmy", "21/9/2026, 16:20:00"),
        ("dmy", "21.09.2026 16:20:00+02:00"),
        ("mdy", "9/21/2026 4:20 PM"),
        ("iso", "2026-09-21 16:20"),
        # a date that names its month needs no order
        ("iso", "Sept. 21, 2026 4:20 p.m."),
        ("iso", "16:20:00 Sep 21 2026"),
        ("iso", "21 sep. 2026 16:20"),
        ("iso", "21. September 2026 16:20"),
        ("iso", "2026-Sep-21, 04:20 PM"),
        # a year of four digits in front needs none either
        ("iso", "2026/09/21 16:20"),
        ("dmy", "2026.9.21 16:20"),
        ("mdy", "2026-09-21T16:20"),
        ("iso", "2026-09-21 4:20:00 PM"),
        # a year of two digits needs one
        ("dmy", "21.09.26 16:20"),
        ("mdy", "09/21/26 04:20PM"),
        # zones as programs write them
        ("iso", "2026-09-21 14:20 UTC"),
        ("iso", "2026-09-21 14:20:00 +0000 UTC"),
        ("iso", "2026-09-21T16:20:00 GMT+0200"),
        ("iso", "Mon, 21 Sep 2026 16:20:00 +0200"),
        ("iso", "Mon Sep 21 2026 16:20:00 GMT+0200 (Central European Summer Time)"),
        # since 1970: seconds, milli-, micro- and nanoseconds
        ("iso", "1790000400"),
        ("iso", "1.7900004E+12"),
        ("dmy", "1790000400000000"),
        ("iso", "1790000400000000000"),
    ],
)
def test_dates_are_read_in_the_order_that_is_chosen(order: str, text: str) -> None:
    columns = ColumnMap({"at": "t", "heart_rate": "hr"}, dates=order)  # type: ignore[arg-type]
    (reading,) = read(f't,hr\n"{text}",66\n', columns, BERLIN)
    assert reading.at.wall_ms == AT


@pytest.mark.parametrize(
    ("order", "text", "said"),
    [
        ("iso", "02.10.26 06:00", "has the day or the month first and a year of two digits. Choo"),
        ("iso", "02/10/2026 06:00", "has the day or the month first. Choose how dates are writte"),
        ("iso", "2026-10-02 06:00:02 CET", "ends with the name of a zone, CET. Write an offset"),
        ("dmy", "2.10.2026 6:00 Europe/Berlin", "ends with the name of a zone, Europe/Berlin."),
        ("iso", "46297.2708333333", "is the number that a spreadsheet keeps for a day. Format"),
        ("iso", "46297,2708333333", "is the number that a spreadsheet keeps for a day. Format"),
        (
            "iso",
            "12.5",
            "counts from a start. Add the time of the start to it, such as 2026-11-20T08:15:00Z.",
        ),
        ("iso", "2026-10-02 06:00:02 CET soon", "is not a time. Write 2026-11-27 or"),
    ],
)
def test_a_time_that_can_mean_several_is_refused_with_the_way_out(
    order: str, text: str, said: str
) -> None:
    columns = ColumnMap({"at": "t", "heart_rate": "hr"}, dates=order)  # type: ignore[arg-type]
    with pytest.raises(DataFileError) as refused:
        read(f't;hr\n"{text}";66\n', columns, BERLIN)
    assert f"column t: '{text}' {said}" in str(refused.value)


def test_midnight_at_the_end_of_a_day_is_that_of_the_next() -> None:
    columns = ColumnMap({"at": "t", "heart_rate": "hr"})
    readings = read("t,hr\n2026-09-21T24:00:00Z,66\n2026-09-22T00:00:00Z,66\n", columns)
    assert len({reading.at.wall_ms for reading in readings}) == 1


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        # an hour at 10 min; the clocks went back after the first row, and its rows are few
        (["02:50", "02:00", "02:10", "02:20", "03:00"], [0.83, 1.0, 1.17, 1.33, 2.0]),
        (["02:50", "02:00", "02:10", "02:20"], [0.83, 1.0, 1.17, 1.33]),
        (["01:50", "02:50", "02:10", "02:20"], [-0.17, 0.83, 1.17, 1.33]),
        # the newest first
        (["02:20", "02:10", "02:50", "01:50"], [1.33, 1.17, 0.83, -0.17]),
        (["02:20", "02:10", "02:00"], [1.33, 1.17, 1.0]),
    ],
)
def test_a_file_that_begins_in_hour_that_comes_twice_is_read_in_its_order(
    local: list[str], utc: list[float]
) -> None:
    rows = "".join(f"2026-10-25 {time},{60 + place}\n" for place, time in enumerate(local))
    columns = ColumnMap({"at": "t", "heart_rate": "hr"})
    readings = read(f"t,hr\n{rows}", columns, LocalTimes(ZoneInfo("Europe/Berlin")))
    start_ms = 1_792_886_400_000  # 2026-10-25T00:00:00Z by GNU date
    hours = [round((reading.at.wall_ms - start_ms) / 3_600_000, 2) for reading in readings]
    assert hours == utc


@pytest.mark.parametrize(
    ("order", "midnight", "noon"),
    [
        ("mdy", "9/21/2026 12:20 AM", "9/21/2026 12:20 PM"),
        ("iso", "Sep 21 2026 12:20 am", "21 sep 2026, 12:20 pm"),
    ],
)
def test_twelve_is_the_first_hour_of_each_half_day(order: str, midnight: str, noon: str) -> None:
    columns = ColumnMap({"at": "t", "heart_rate": "hr"}, dates=order)  # type: ignore[arg-type]
    readings = read(f't,hr\n"{midnight}",66\n"{noon}",66\n', columns, BERLIN)
    assert [(r.at.wall_ms - AT) / 3_600_000 for r in readings] == [-16, -4]


@pytest.mark.parametrize(
    "months",
    [
        "January Feb March Apr May June Jul Aug Sept Oct Nov Dec",
        "Januar Feb. März Apr. Mai Juni Juli Aug. Sep. Okt. Nov. Dez.",
        "enero feb mar abr mayo jun jul ago sep octubre nov dic",
        "jan feb mars april maj juni juli aug sept okt nov dec",
    ],
)
def test_months_have_names_in_four_languages(months: str) -> None:
    columns = ColumnMap({"at": "t", "heart_rate": "hr"})
    lines = "".join(f'"{name} 1 2025 12:00",66\n' for name in months.split())
    at = [one.at.wall_ms / 1000 for one in read(f"t,hr\n{lines}", columns, BERLIN)]
    assert [datetime.fromtimestamp(second, UTC).month for second in at] == [*range(1, 13)]


@pytest.mark.parametrize(
    ("times", "order"),
    [
        (["05.01.2026 08:15"], "dmy"),
        (["5/1/2026", "20/1/2026"], "dmy"),
        (["1/5/2026", "1/20/2026 8:15 AM"], "mdy"),
        (["1/5/2026", "2/5/2026"], "iso"),
        (["2026-01-05T08:00:00Z", "", "soon"], "iso"),
        (["02.10.26 06:00", "15.10.26 06:00"], "iso"),
    ],
)
def test_the_order_of_dates_is_guessed_where_they_tell_it(times: list[str], order: str) -> None:
    assert guess_dates(times) == order


def test_a_line_that_names_the_separator_and_units_in_cells_are_read() -> None:
    sent = "sep=;\r\nDatum;Systole;Puls\r\n21.09.2026 - 16:20;104 mmHg;72,5 bpm\r\n"
    readings = read(sent, guess_map(file(sent)), BERLIN)
    assert [(one.at.wall_ms, one.kind, one.value) for one in readings] == [
        (AT, "heart_rate", 72.5),
        (AT, "systolic", 104.0),
    ]


@pytest.mark.parametrize(
    ("values", "units"),
    [
        (("655", "661,5"), {"rr_interval": "ms"}),
        (("0.655",), {"rr_interval": "s"}),
        (("655", "0.6"), {}),
    ],
)
def test_intervals_that_can_only_be_of_one_unit_have_it(
    values: tuple[str, ...], units: dict[str, str]
) -> None:
    rows = "".join(f"1790000400;{value}\n" for value in values)
    assert guess_map(file(f"timestamp;rr\n{rows}")).units == units


def test_times_that_lost_their_seconds_are_refused() -> None:
    columns = ColumnMap({"at": "t", "heart_rate": "hr"})
    minute = ["2026-09-21 16:20,66", "2026-09-21 16:20,67"]
    assert len(read("\n".join(["t,hr", *minute]), columns, BERLIN)) == 2, "a cuff, pressed twice"
    lost = "\n".join(["t,hr", *minute, "2026-09-21 16:20,68"])
    with pytest.raises(DataFileError) as refused:
        read(lost, columns, BERLIN)
    assert (
        "cuff.csv: several readings of heart_rate are of the minute 2026-09-21T14:20Z, and no time "
        "of the file has seconds, which a spreadsheet drops. Format the column of times as"
    ) in str(refused.value)
    assert len(read(f"{lost}\n2026-09-21 16:21:03,69\n", columns, BERLIN)) == 4


def beats(step_s: float, intervals: list[float], twice: bool = False) -> str:
    """A file of intervals, one each ``step_s`` or, with 0, when it ended."""
    rows, at = [], AT / 1000
    for seconds in intervals:
        at += step_s or seconds
        rows += [f"{round(1000 * at)},{seconds}"] * (2 if twice else 1)
    return "t,rr\n" + "\n".join(rows) + "\n"


SPREAD = [0.8 + 0.02 * (place % 5) for place in range(120)]
"""Intervals of 0.84 s in the mean, 100.8 s together."""


@pytest.mark.parametrize(
    ("step_s", "intervals", "said"),
    [
        (0.25, SPREAD, "last 100 s together, but 30 s pass between their times."),
        (1.0, SPREAD, "last 100 s together, but 119 s pass between their times."),
        (1.0, [1.4] * 120, "last 167 s together, but 119 s pass between their times."),
    ],
)
def test_intervals_that_do_not_fit_into_their_time_are_refused(
    step_s: float, intervals: list[float], said: str
) -> None:
    columns = ColumnMap({"at": "t", "rr_interval": "rr"}, {"rr_interval": "s"})
    newest_first = beats(step_s, intervals).splitlines()
    newest_first[1:] = reversed(newest_first[1:])
    for text in (beats(step_s, intervals), "\n".join(newest_first)):
        with pytest.raises(DataFileError) as refused:
            read(text, columns)
        assert f"cuff.csv: the RR intervals of csv:cuff.csv {said}" in str(refused.value)


def test_intervals_that_stand_twice_in_a_file_are_refused() -> None:
    columns = ColumnMap({"at": "t", "rr_interval": "rr"}, {"rr_interval": "s"})
    with pytest.raises(DataFileError, match="last 200 s together, but 100 s pass"):
        read(beats(0.0, SPREAD, twice=True), columns)


def test_intervals_of_our_own_export_are_taken_as_they_were_recorded() -> None:
    header, *rows = beats(0.25, SPREAD).splitlines()
    text = "\n".join([f"{header},flags", *(f"{row}," for row in rows)])
    columns = ColumnMap({"at": "t", "rr_interval": "rr", "flags": "flags"}, {"rr_interval": "s"})
    assert len(read(text, columns)) == len(SPREAD)


def test_beats_with_pauses_lost_ones_and_times_in_seconds_are_taken() -> None:
    columns = ColumnMap({"at": "t", "rr_interval": "rr"}, {"rr_interval": "s"})
    whole = beats(0.0, SPREAD)
    header, *rows = whole.splitlines()
    lost = "\n".join([header, *(row for place, row in enumerate(rows) if place % 6)])
    paused = "\n".join([*whole.splitlines(), *beats(0.0, [3600.0, *SPREAD]).splitlines()[2:]])
    seconds = "\n".join([header, *(f"{row[:10]},{row.split(',')[1]}" for row in rows)])
    for text, count in ((whole, 120), (lost, 100), (paused, 240), (seconds, 120)):
        assert len(read(text, columns)) == count


def test_an_oximeters_mark_for_no_value_gives_no_reading() -> None:
    text = "Time,SpO2(%),Pulse Rate(bpm)\n1790000400,96,61\n1790000404,255,65535\n1790000408,--,-\n"
    columns = guess_map(file(text))
    assert [reading.value for reading in read(text, columns)] == [61.0, 96.0]
    assert no_values(text) == {"SpO2(%)": 2, "Pulse Rate(bpm)": 2}


# Tables of other makers, as people have them


def imported(text: str, **chosen: str) -> list[VitalReading]:
    """The readings of a file whose columns are guessed, and of columns that a person chose."""
    table = file(text)
    guessed = guess_map(table)
    columns = {**guessed.columns, **chosen}
    return list(all_readings(table, replace(guessed, columns=columns), BERLIN, NOW))


def refusal(text: str, **chosen: str) -> str:
    with pytest.raises(DataFileError) as refused:
        imported(text, **chosen)
    return str(refused.value)


CUFF = [("diastolic", 79), ("heart_rate", 62), ("systolic", 121)]


@pytest.mark.parametrize(
    "header",
    [
        "Fecha;Hora;Sistólica (mmHg);Diastólica (mmHg);Pulso (ppm)",
        "Date;Heure;Systolique (mmHg);Diastolique (mmHg);Fréquence cardiaque (bpm)",
        "Data;Ora;Sistolica (mmHg);Diastolica (mmHg);Battito (bpm)",
        "Data;Hora;Pressão sistólica;Pressão diastólica;Frequência cardíaca (bpm)",
        "Datum;Tijd;Systolisch (mmHg);Diastolisch (mmHg);Hartslag (bpm)",
        "Dato;Tid;Systolisk;Diastolisk;Puls",
        "Datum;Zeit;RR syst;RR diast;Puls (1/min)",
        "測定日;時刻;最高血圧(mmHg);最低血圧（mmHg）;脈拍(回/分)",
        "日期;时间;收缩压;舒张压;心率",
        "日期;时间;高压(mmHg);低压(mmHg);脉搏(次/分)",
        "date;time;sys_mmhg;dia_mmhg;pulse_count/min",
    ],
)
def test_columns_of_a_cuff_are_guessed_in_each_language(header: str) -> None:
    readings = imported(f"{header}\n21.09.2026;16:20;121;79;62\n")
    assert {one.at.wall_ms for one in readings} == {AT}
    assert sorted((one.kind.value, one.value) for one in readings) == CUFF


@pytest.mark.parametrize(
    ("header", "cell", "kind", "value"),
    [
        ("Frecuencia cardiaca (count/min)", "66", "heart_rate", 66.0),
        ("Saturation en oxygène", "97", "oxygen_saturation", 97.0),
        ("SpO2", "0.97", "oxygen_saturation", 97.0),
        ("Blood Oxygen %", "96", "oxygen_saturation", 96.0),
        ("体温(℃)", "36.6", "body_temperature", 36.6),
        ("skin_temp_celsius", "33.1", "skin_temperature", 33.1),
        ("Body temperature (degF)", "97.88", "body_temperature", 36.6),
        ("Presión arterial media", "93", "mean_arterial", 93.0),
        ("Heart rate (avg) (count/min)", "66", "heart_rate", 66.0),
        ("RR", "812", "rr_interval", 0.812),
    ],
)
def test_a_value_is_guessed_with_the_unit_of_its_column(
    header: str, cell: str, kind: str, value: float
) -> None:
    (reading,) = imported(f"time,{header}\n2026-09-21T14:20:00Z,{cell}\n")
    assert (reading.kind, round(reading.value, 6)) == (kind, value)


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        (
            "PR,QRS,HR",
            "162,92,66",
            "can be heart rate: PR, HR. Choose one; on the command line, such as --map heart_rate",
        ),
        ("Min Heart Rate,Max Heart Rate,Avg Heart Rate", "51,140,66", "--map heart_rate='Avg Hea"),
        ("HR [Min] (count/min),HR [Max] (count/min)", "61,75", "heart rate: HR [Min] (count/min)"),
        ("Heart rate (max)", "140", "Column Heart rate (max) can be heart rate, or something el"),
        ("最大心拍数", "140", "Column 最大心拍数 can be heart rate, or something else."),
        (
            "PR",
            "162",
            "Column PR can be heart rate, or something else. If it is, choose it; on the co",
        ),
        ("Hr", "14", "Column Hr can be heart rate, or something else."),
        (
            "HR,RR",
            "66,16",
            "Column RR has a name of RR interval, and no plausible value of it (the",
        ),
        ("MAP", "2", "Column MAP has a name of mean arterial pressure, and no plausible value"),
        (
            "Temp (celsius)",
            "33.1",
            "can be skin temperature or body temperature. Choose; on the command line: --map s",
        ),
        ("device,hr", "watch,60\n2026-09-21T14:20:00Z,strap,75", "Choose it as the source, so th"),
        ("Arm,SYS,DIA", "left,121,79\n2026-09-21T14:20:01Z,right,125,80", "2 devices or arms (le"),
        ("SYS,DIA,SYS,DIA", "121,79,125,80", "occurs twice. Rename one of them. If they are of tw"),
    ],
)
def test_a_name_of_several_meanings_is_no_guess_and_says_how_to_choose(
    header: str, row: str, said: str
) -> None:
    assert said in refusal(f"Time,{header}\n2026-09-21T14:20:00Z,{row}\n")


def test_a_table_of_resting_rates_is_no_guess() -> None:
    text = b"timestamp,beats per minute\n2026-09-21T14:20:00Z,51\n"
    (doubt,) = guess_map(CsvFile.parse("daily_resting_heart_rate.csv", text)).doubts.values()
    assert "Column beats per minute can be heart rate, or something else." in doubt.sentence


def test_a_choice_settles_the_doubt_about_its_column() -> None:
    ecg = "Time,PR,HR\n2026-09-21T14:20:00Z,162,66\n"
    assert [one.value for one in imported(ecg, heart_rate="HR")] == [66.0]
    armpit = "Time,Temp (celsius)\n2026-09-21T14:20:00Z,36.6\n"
    (reading,) = imported(armpit, body_temperature="Temp (celsius)")
    assert (reading.kind, reading.value) == ("body_temperature", 36.6)
    arms = "Time,Arm,SYS\n2026-09-21T14:20:00Z,left,121\n2026-09-21T14:20:00Z,right,125\n"
    sources = [(one.source, one.value) for one in imported(arms, source="Arm")]
    assert sources == [("left", 121.0), ("right", 125.0)]


def test_a_unit_of_something_else_leaves_the_other_column_of_a_kind() -> None:
    (reading,) = imported("Time,PR (ms),HR (bpm)\n2026-09-21T14:20:00Z,162,66\n")
    assert reading.value == 66.0


@pytest.mark.parametrize(
    ("header", "row", "columns"),
    [
        ("Date,Time,Timestamp,HR", "2026-09-21,16:20,1,66", {"at": "Date", "time": "Time"}),
        ("Timestamp,Time,HR", "1790000400,16:20,66", {"at": "Timestamp"}),
        ("Time,Data,HR", "1790000400,0,66", {"at": "Time"}),
        ("Zeit,Puls", "1790000400,66", {"at": "Zeit"}),
    ],
)
def test_a_time_of_day_is_taken_beside_a_date_alone(
    header: str, row: str, columns: dict[str, str]
) -> None:
    guessed = guess_map(file(f"{header}\n{row}\n")).columns
    assert {target: name for target, name in guessed.items() if target in {"at", "time"}} == columns


def test_two_columns_of_instants_are_no_guess() -> None:
    text = "timestamp_unix,timestamp_iso,hr\n1790000400,2026-09-21T14:20:00Z,66\n"
    assert "Several columns can be the time: timestamp_unix, timestamp_iso." in refusal(text)


@pytest.mark.parametrize(
    ("day", "rest"),
    [
        ("2026-09-21", "2026-09-22"),
        ("21.09.2026", "22.09.2026"),
        ("9/21/2026", "9/22/2026"),
        ("2026/09/21", "2026/09/22"),
        ("21 sep 2026", "22 sep 2026"),
    ],
)
def test_dates_without_a_time_of_day_are_refused_with_their_number(day: str, rest: str) -> None:
    said = refusal(f"Date,When,SYS\n{day},06:00,121\n{rest},18:00,125\n")
    assert f"rows with a date and no time of day: 2; the first is row 2 ('{day}'). Choose" in said
    assert "for `time` (--map time=When)" in said
    assert "--map time=COLUMN" in refusal(f"Date,SYS\n{day},121\n")


def test_a_file_of_our_own_with_a_date_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="rows with a date and no time of day: 1; the first"):
        read_readings(written(tmp_path, OURS + "2026-09-21,heart_rate,66\n"), BERLIN)


@pytest.mark.parametrize(
    ("above", "told"),
    [
        ("Health Manager Pro\nName;P. Person\n\nBlutdruck\n", 4),
        ("# exported by x\n# device: cuff\n", 2),
        ("\n", 1),
        ('"a; b"\n', 1),
    ],
)
def test_lines_above_the_names_of_the_columns_are_passed_over_and_reported(
    above: str, told: int
) -> None:
    text = f"{above}Datum;Uhrzeit;Systole;Diastole;Puls\n21.09.2026;16:20;121;79;62\n"
    assert sorted((one.kind.value, one.value) for one in imported(text)) == CUFF
    (remark,) = file(text).remarks
    assert remark == f"cuff.csv: rows above the names of the columns, which are not read: {told}."
    bad = text.replace("121", "fast")
    assert f"cuff.csv, row {told + 2}, column Systole: 'fast' is not a number." in refusal(bad)


def test_empty_cells_behind_the_last_column_are_left_out() -> None:
    rows = "2026-09-21T14:20:00Z,121,79,62,\n2026-09-21T14:21:00Z,120,78,61,,\n"
    assert len(imported(f"Date,SYS,DIA,Pulse\n{rows}")) == 6
    said = refusal("Date,SYS\n2026-09-21T14:20:00Z,121,79\n")
    assert "row 2: has 3 values, but there are 2 columns. Put values with the separator" in said


def test_another_table_below_a_blank_row_is_not_read_and_reported() -> None:
    text = "Date,SYS,DIA\n2026-09-21T14:20:00Z,121,79\n\nDate,Weight\n2026-09-21,80\n"
    table = file(text)
    assert len(list(all_readings(table, guess_map(table), BERLIN, NOW))) == 2
    (remark,) = table.remarks
    assert remark == "cuff.csv: with row 4 another table begins, which is not read."
    rest = text.replace("Date,Weight\n", "")
    table = file(rest)
    assert len(list(all_readings(table, guess_map(table), BERLIN, NOW))) == 2
    assert table.further is None, "no names: it is a row that is left out"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("Average,121,79", "row 3, column Date: 'Average' is a summary and no reading. Remove the"),
        (
            ",mmHg,mmHg",
            "row 3, column Date: '' is no time, and the row has no number. If it has na",
        ),
    ],
)
def test_a_row_of_names_units_or_a_summary_is_named_as_such(row: str, said: str) -> None:
    assert said in refusal(f"Date,SYS,DIA\n2026-09-21T14:20:00Z,121,79\n{row}\n")


@pytest.mark.parametrize(
    "mark", ["NA", "n/a", "NaN", "null", "None", ".", "-", "--", "#N/A", "missing"]
)
def test_each_mark_of_no_value_gives_no_reading_and_is_counted(mark: str) -> None:
    text = f"time,hr\n2026-09-21T14:20:00Z,66\n2026-09-21T14:20:01Z,{mark}\n"
    assert [one.value for one in imported(text)] == [66.0]
    assert no_values(text) == {"hr": 1}
    ours = f"{OURS}1790000400,heart_rate,66\n1790000401,heart_rate,{mark}\n"
    assert len(read(ours, guess_columns(["at", "kind", "value"]))) == 1


def test_both_pressures_of_one_cell_are_read() -> None:
    for name in ("BP", "Blutdruck (mmHg)", "RR"):
        text = f"Date,Time,{name},Pulse\n2026-09-21,16:20,121/79,62\n"
        assert sorted((one.kind.value, one.value) for one in imported(text)) == CUFF
    assert "'121' is not a number" not in refusal("Date,BP\n2026-09-21T14:20:00Z,121/79/93\n")


@pytest.mark.parametrize(
    ("header", "row", "value"),
    [
        ("time,hr", '2026-09-21T14:20:00Z,"62,5"', 62.5),
        ("time\thr", "2026-09-21T14:20:00Z\t62,5", 62.5),
        ("time;hr", "2026-09-21T14:20:00Z;62.125", 62.125),
        ("time;rr", "2026-09-21T14:20:00Z;1,012", 1.012),
    ],
)
def test_a_comma_in_a_number_is_one_of_decimals(header: str, row: str, value: float) -> None:
    assert [one.value for one in imported(f"{header}\n{row}\n")] == [value]


@pytest.mark.parametrize("mark", [".", ","])
def test_a_mark_that_can_be_one_of_thousands_is_refused(mark: str) -> None:
    said = refusal(
        f"time;RR interval (ms)\n2026-09-21T14:20:00Z;998\n2026-09-21T14:20:01Z;1{mark}012\n"
    )
    assert (
        f"row 3, column RR interval (ms): '1{mark}012' has a mark of thousands, or of dec" in said
    )
    assert "Write 1012 if it is meant." in said


def test_large_table_is_read_in_memory_that_does_not_grow(tmp_path: Path) -> None:
    def peak_of(rows: int) -> int:
        path = tmp_path / f"{rows}.csv"
        lines = (f"{AT + 1000 * row},{60 + row % 30}\n" for row in range(rows))
        path.write_text("at,heart_rate\n" + "".join(lines))
        tracemalloc.start()
        try:
            assert sum(1 for _ in read_file(path, most_bytes=None).rows()) == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # both are longer than the first bytes, by which recordings are known
    assert peak_of(30_000) < peak_of(6_000) + 50_000


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("ts,hr\n2026-09-21 14:20:00.000+00,61\n", [61]),
        ("ts,hr\n1790000400000,61\n", [61]),
        ("when it was,hr\n2026-09-21T14:20:00Z,61\n2026-09-21T14:20:01Z,62\n", [61, 62]),
        ("isoDate,beatsPerMinute\n2026-09-21T14:20:00Z,61\n", [61]),
        ("last_changed,HR\n2026-09-21T14:20:00Z,61\n2026-09-21T14:20:01Z,unavailable\n", [61]),
    ],
)
def test_time_is_found_by_its_name_or_by_its_form(text: str, values: list[float]) -> None:
    assert [one.value for one in imported(text)] == values


@pytest.mark.parametrize(
    "text",
    [
        "made,sent,hr\n2026-09-21T14:20:00Z,2026-09-21T14:21:00Z,61\n",
        "exported,hr\n2026-09-21T14:20:00Z,61\n2026-09-21T14:20:00Z,62\n",
        "serial,hr\n1790000400000,61\n",
    ],
)
def test_time_that_may_be_of_something_else_is_no_guess(text: str) -> None:
    assert "no column has the time of the readings" in refusal(text)


@pytest.mark.parametrize("text", ["1,79092E+12", "1.79092E+12", "1.79E+09", "1,790920E+12"])
def test_time_that_a_spreadsheet_has_shortened_is_refused_as_such(text: str) -> None:
    said = refusal(f"time;hr\n{text};61\n")
    assert "is a number that a spreadsheet has shortened: its last digits are lost." in said


@pytest.mark.parametrize("text", ["1,790000400E+12", "1.790000400E+09", "1.7900004E9"])
def test_time_with_an_exponent_and_all_its_seconds_is_read(text: str) -> None:
    (reading,) = imported(f"time;hr\n{text};61\n")
    assert reading.at.wall_ms == AT


def test_time_of_day_with_an_offset_is_read_below_its_day() -> None:
    text = "Start time,HR\n14:20:00.000+00:00,61\n16:21:00.000+02:00,62\n"
    columns = ColumnMap({"at": "Start time", "heart_rate": "HR"}, day="2026-09-21")
    assert [one.at.wall_ms - AT for one in read(text, columns)] == [0, 60_000]
    assert "is a time of day without a date. Give the day" in refusal(text, at="Start time")


def test_column_of_several_vitals_is_asked_about_and_read_apart() -> None:
    text = (
        "entity_id,state,last_changed\n"
        "sensor.watch_heart_rate,61,2026-09-21T14:20:00Z\n"
        "sensor.cuff_systolic,121,2026-09-21T14:20:30Z\n"
        "binary_sensor.door,on,2026-09-21T14:20:40Z\n"
    )
    said = refusal(text, heart_rate="state")
    assert "Column entity_id names 2 different things (sensor.watch_heart_rate, sensor.cu" in said
    assert "--map source=entity_id" in said
    one = "\n".join(text.splitlines()[:2])
    assert [reading.value for reading in imported(one, heart_rate="state")] == [61]


def test_file_without_any_reading_names_what_is_known_of_it() -> None:
    said = refusal("time,hr\n2026-09-21T14:20:00Z,n/a\n", heart_rate="hr")
    assert "cuff.csv: has no rows with readings below the names of the columns." in said
    assert "cuff.csv, column hr: cells with a mark for no value: 1." in said
    assert "cuff.csv, column hr: its cells are empty." in refusal(
        "time,hr\n2026-09-21T14:20:00Z,\n", heart_rate="hr"
    )


HALVES = (
    "Date,Time,{name},SYS,DIA\n2026-03-01,08:10,{am},121,80\n2026-03-01,{hour}:10,{pm},135,90\n"
)


@pytest.mark.parametrize(
    ("name", "am", "pm"), [("ampm", "AM", "PM"), ("", "a.m.", "p. m."), ("x", "午前", "午後")]
)
def test_time_beside_am_and_pm_is_of_their_half(name: str, am: str, pm: str) -> None:
    table = CsvFile.parse("t.csv", HALVES.format(name=name, am=am, pm=pm, hour="08").encode())
    times = [one.at.wall_ms for one in all_readings(table, guess_map(table), LocalTimes(UTC))]
    assert (times[-1] - times[0]) / 3_600_000 == 12


def test_time_of_a_day_of_24_hours_beside_am_and_pm_is_as_written() -> None:
    table = CsvFile.parse("t.csv", HALVES.format(name="x", am="AM", pm="PM", hour="20").encode())
    times = [one.at.wall_ms for one in all_readings(table, guess_map(table), LocalTimes(UTC))]
    assert (times[-1] - times[0]) / 3_600_000 == 12


@pytest.mark.parametrize(("am", "pm", "hour"), [("PM", "PM", "20"), ("AM", "AM", "20")])
def test_time_that_contradicts_am_or_pm_is_refused(am: str, pm: str, hour: str) -> None:
    table = CsvFile.parse("t.csv", HALVES.format(name="x", am=am, pm=pm, hour=hour).encode())
    with pytest.raises(DataFileError, match="column x says AM or PM .* row 3 "):
        list(all_readings(table, guess_map(table), LocalTimes(UTC)))


@pytest.mark.parametrize("name", ["unit", "Einheit", "measured in"])
@pytest.mark.parametrize(
    ("head", "rows", "values"),
    [
        ("gsr", "100,kOhm;200,kOhm", [10, 5]),
        ("EDA", "5000,nS;5,uS", [5, 5]),
        ("skin temperature", "33,degC;91.4,deg F", [33, 33]),
        ("skin temperature (°C)", "33,°C;91.4,°F", [33, 33]),
        ("SYS", "16,kPa;120,mmHg", [120.01, 120]),
    ],
)
def test_unit_beside_a_value_is_that_of_its_row(
    name: str, head: str, rows: str, values: list[float]
) -> None:
    lines = [f"2026-03-01T08:0{n}:00Z,{row}" for n, row in enumerate(rows.split(";"))]
    table = CsvFile.parse("t.csv", "\n".join([f"time,{head},{name}", *lines]).encode())
    readings = list(all_readings(table, guess_map(table), None))
    assert [one.value for one in readings] == pytest.approx(values, abs=0.01)


def test_unit_beside_a_value_that_is_unknown_is_named() -> None:
    table = CsvFile.parse("t.csv", b"time,EDA,unit\n2026-03-01T08:00:00Z,5,siemens/m\n")
    with pytest.raises(DataFileError, match="'siemens/m' is no unit of skin_conductance"):
        list(all_readings(table, guess_map(table), None))


def test_letter_beside_a_value_is_no_unit() -> None:
    rows = b"time,skin temperature,sex\n2026-03-01T08:00:00Z,33,F\n2026-03-01T08:01:00Z,33,F\n"
    table = CsvFile.parse("t.csv", rows)
    assert [one.value for one in all_readings(table, guess_map(table), None)] == [33, 33]


def test_unit_beside_several_values_is_of_those_that_have_it() -> None:
    table = CsvFile.parse("t.csv", b"time,skin temperature,HR,unit\n2026-03-01T08:00Z,91.4,70,degF")
    values = [round(one.value) for one in all_readings(table, guess_map(table), None)]
    assert values == [70, 33]


def test_kinds_and_values_beside_a_time_are_read_under_guess() -> None:
    rows = b"time,type,Value,unit\n2026-03-01T08:00Z,heart_rate,70,bpm\n"
    table = CsvFile.parse("t.csv", rows)
    assert [one.value for one in all_readings(table, guess_map(table), None)] == [70]


def test_cuff_of_three_readings_in_a_minute_keeps_all() -> None:
    rows = "".join(f"2026-03-01,08:15,{120 + n},{80 + n},{60 + n}\n" for n in range(3))
    table = CsvFile.parse("t.csv", f"Date,Time,SYS,DIA,Pulse\n{rows}".encode())
    assert len(list(all_readings(table, guess_map(table), LocalTimes(UTC)))) == 9


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("time,Body Temp\n2026-03-01T08:00Z,98.2\n", "no plausible value .* and its unit"),
        ("time,HR\n00:01.0,70\n", "'00:01.0' has no hour: a spreadsheet"),
    ],
)
def test_values_of_another_unit_or_times_without_hour_name_the_cause(rows: str, words: str) -> None:
    table = CsvFile.parse("t.csv", rows.encode())
    with pytest.raises(DataFileError, match=words):
        list(all_readings(table, guess_map(table), None))
