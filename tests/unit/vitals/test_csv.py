"""Reading vital readings from CSV files, good and bad."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import LocalTimes, VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.store.write.timeline import import_readings
from edge_agent.vitals.csv import PROBLEMS_MOST, read_readings
from tests.support.timeline import database, query

AT = 1_790_000_400_000  # 2026-09-21T14:20:00Z
NOW = Instant(boot_ms=5_000_000, wall_ms=AT + 60_000)


def written(folder: Path, text: str | bytes, name: str = "morning.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def test_times_may_be_iso_text_or_epoch_seconds_or_milliseconds(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "at,kind,value\n2026-09-21T14:20:00Z,heart_rate,70\n2026-09-21 "
        "16:20:00+02:00,heart_rate,71\n1790000400,heart_rate,72\n1790000400.5,heart_rate,73\n"
        "1790000400250,heart_rate,74\n",
    )
    assert [reading.at.wall_ms - AT for reading in read_readings(path)] == [0, 0, 0, 500, 250]


@pytest.mark.parametrize("newest_first", [False, True])
def test_an_hour_that_comes_twice_in_autumn_is_read_in_the_order_of_the_file(
    tmp_path: Path, newest_first: bool
) -> None:
    # Clocks were put back from 3 to 2 on 2026-10-25: an hour at 15 min from 1:45 on, twice from 2
    local = ["01:45", "02:00", "02:30", "02:45", "02:00", "02:30", "02:45", "03:00"]
    utc = [23.75, 24.0, 24.5, 24.75, 25.0, 25.5, 25.75, 26.0]  # hours from 2026-10-24T00:00Z on
    rows = [f"2026-10-25T{time},heart_rate,{60 + place}" for place, time in enumerate(local)]
    if newest_first:
        rows.reverse()
        utc.reverse()
    path = written(tmp_path, "at,kind,value\n" + "\n".join(rows) + "\n")
    zone = LocalTimes(ZoneInfo("Europe/Berlin"))
    start_ms = 1_792_800_000_000  # 2026-10-24T00:00:00Z by GNU date
    hours = [(r.at.wall_ms - start_ms) / 3_600_000 for r in read_readings(path, zone)]
    assert hours == utc
    assert zone.sentence.startswith("6 local times come twice in Europe/Berlin, the first is 2026-")


def test_an_hour_that_never_was_in_spring_is_refused_by_row(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "at,kind,value\n2026-03-29T01:59,heart_rate,60\n2026-03-29T02:30,heart_rate,61\n"
        "2026-03-29T03:30,heart_rate,62\n",
    )
    with pytest.raises(DataFileError) as refused:
        read_readings(path, LocalTimes(ZoneInfo("Europe/Berlin")))
    assert (
        "morning.csv, row 3, column at: '2026-03-29T02:30:00' never was in Europe/Berlin: clocks "
        "were put forward over it." in str(refused.value)
    )


def test_readings_say_that_they_are_imported_and_from_which_file(tmp_path: Path) -> None:
    path = written(
        tmp_path, "at,kind,value,source\n1790000400,systolic,121,\n1790000401,Systolic,300,cuff 7\n"
    )
    first, second = read_readings(path, now=NOW)
    assert (first.kind, first.value, first.source) == (VitalKind.SYSTOLIC, 121.0, "csv:morning.csv")
    assert first.flags == {VitalFlag.IMPORTED}
    assert second.source == "cuff 7"
    assert second.flags == {VitalFlag.IMPORTED, VitalFlag.OUT_OF_RANGE}, (
        "implausible: flagged, never dropped"
    )


def test_units_are_converted_to_that_of_the_kind(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "at,kind,value,unit\n1790000400,systolic,16,kPa\n1790000400,diastolic,80,mmHg\n"
        "1790000400,rr_interval,850,ms\n1790000400,heart_rate,70,bpm\n"
        "1790000400,mean_arterial,93,\n",
    )
    assert [reading.value for reading in read_readings(path)] == pytest.approx(
        [120.0099, 80, 0.85, 70, 93], abs=1e-4
    )


def test_a_file_from_a_european_spreadsheet_is_read(tmp_path: Path) -> None:
    path = written(
        tmp_path, "\ufeffAt;Kind;Value\r\n2026-09-21T14:20:00Z;heart_rate;72,5\r\n;;\r\n".encode()
    )
    assert [(reading.at.wall_ms, reading.value) for reading in read_readings(path)] == [(AT, 72.5)]


def test_tabs_and_blank_lines_and_quotes_are_read(tmp_path: Path) -> None:
    path = written(
        tmp_path, 'at\tkind\tvalue\tsource\n\n1790000400\theart_rate\t70\t"strap ""A""\tleft"\n\n'
    )
    assert [reading.source for reading in read_readings(path)] == ['strap "A"\tleft']


def test_times_without_a_zone_are_read_in_the_zone_that_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "at,kind,value\n2026-09-21 16:20:00,heart_rate,70\n")
    assert [
        reading.at.wall_ms for reading in read_readings(path, LocalTimes(ZoneInfo("Europe/Berlin")))
    ] == [AT]
    with pytest.raises(
        DataFileError, match=r"row 2, column at: '2026-09-21 16:20:00' has no time zone. Write Z or"
    ):
        read_readings(path)


def test_the_time_that_a_device_stamped_is_kept_as_it_stands(tmp_path: Path) -> None:
    header = "at,kind,value,device_time\n"
    rows = "1790000400,systolic,120,2026-09-21T16:20:00\n1790000401,systolic,121,\n"
    readings = read_readings(written(tmp_path, header + rows))
    assert [reading.device_time for reading in readings] == ["2026-09-21T16:20:00", None]
    with pytest.raises(
        DataFileError,
        match=r"column device_time: '16:20' is not a time such as 2026-11-20T08:15:00",
    ):
        read_readings(written(tmp_path, f"{header}1790000400,systolic,120,16:20\n"))


HEADER = "at,kind,value,unit,flags\n1790000400,heart_rate,70,,\n"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("1790000401,heart_rate,fast,,", r"row 3, column value: 'fast' is not a number"),
        ("1790000401,heart_rate,,,", r"row 3, column value: '' is not a number"),
        ("1790000401,heart_rate,nan,,", r"row 3, column value: 'nan' is not a number"),
        ("1790000401,heart_rate,1e999,,", r"row 3, column value: '1e999' is not a number"),
        ("1790000401,heart_rate,1_000,,", r"row 3, column value: '1_000' is not a number"),
        ("1790000401,systolic,1e308,kPa,", r"row 3, column value: '1e308' is not a number"),
        (
            "1790000401,pulse,70,,",
            r"row 3, column kind: 'pulse' is not one of heart_rate, systolic, diastolic",
        ),
        (
            "yesterday,heart_rate,70,,",
            r"row 3, column at: 'yesterday' is not a time. Write 2026-11-20T08:15:00Z",
        ),
        (
            "20261120,heart_rate,70,,",
            r"row 3, column at: '20261120' is not a time between the years 2000 and 2100",
        ),
        ("nan,heart_rate,70,,", r"row 3, column at: 'nan' is not a time between"),
        ("inf,heart_rate,70,,", r"row 3, column at: 'inf' is not a time between"),
        (
            "1790000401,systolic,16,psi,",
            r"row 3, column unit: 'psi' is no unit of systolic. Allowed: mm\[hg\], mmhg",
        ),
        (
            "1790000401,heart_rate,70,,odd",
            r"row 3, column flags: 'odd' is not made of out_of_range, contact_lost",
        ),
        ("1790000401,heart_rate,70", r"row 3: has 3 values, but there are 5 columns"),
        ('1790000401,heart_rate,"70,,', r"row \d: is not CSV"),
        ('1790000401,heart_rate,"7"0,,', r"row 3: is not CSV"),
    ],
)  # fmt: skip
def test_a_row_with_a_bad_value_names_row_and_column_and_imports_nothing(
    tmp_path: Path, row: str, said: str
) -> None:
    path = written(tmp_path, f"{HEADER}{row}\n")
    store = database(tmp_path)
    with pytest.raises(DataFileError, match=f"morning.csv, {said}"):
        import_readings(store, read_readings(path))
    assert query(store, "SELECT count(*) FROM vital") == [(0,)]


def test_many_bad_rows_are_named_together_up_to_ten(tmp_path: Path) -> None:
    path = written(tmp_path, "at,kind,value\n" + "1790000400,heart_rate,?\n" * 25)
    with pytest.raises(DataFileError) as caught:
        read_readings(path)
    lines = str(caught.value).splitlines()
    assert [line.split(", ")[1] for line in lines[:10]] == [
        f"row {number}" for number in range(2, 12)
    ]
    assert lines[10:] == ["… and 15 more.", "Nothing was imported."]


def test_a_file_of_bad_rows_alone_is_not_read_to_its_end(tmp_path: Path) -> None:
    broken = '"'  # a quote that nobody closes ends the reading of whoever comes so far
    path = written(tmp_path, "at,kind,value\n" + "?\n" * PROBLEMS_MOST + broken)
    with pytest.raises(DataFileError) as caught:
        read_readings(path)
    assert str(caught.value).splitlines()[10:] == ["… and 990 or more.", "Nothing was imported."]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty. Its first row must name the columns: at, kind, value"),
        (" \n\n", "is empty"),
        ("at,kind,value\n", "has no rows"),
        ("at,value\n1790000400,70\n", ("row 1: column kind is missing. Columns found: at, value; "
                                      "needed: at, kind")),
        ("heart_rate\n70\n", "row 1: column at is missing"),
        (("at,kind,value,weather\n"
         "1790000400,heart_rate,70,rain\n"), "row 1: unknown column 'weather'. Known: at, kind"),
        (("at,kind,value,value\n"
         "1790000400,heart_rate,70,71\n"), "row 1: column value is there twice"),
        (
            b"at,kind,value,source\n1790000400,heart_rate,70,caf\xe9\n",
            r"row 2: is not UTF-8 text \(byte 0xe9\). Save",
        ),
        ("at,kind,value\n".encode("utf-16"), r"row 1: is not UTF-8 text"),
        (b"at,kind,value\n1790000400,heart_rate,\x00\n", r"row 2"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_one_of_readings_is_refused(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    with pytest.raises(DataFileError, match=said):
        read_readings(written(tmp_path, content))


def test_a_file_that_is_not_there_or_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="nowhere.csv: no such file"):
        read_readings(tmp_path / "nowhere.csv")
    with pytest.raises(DataFileError, match="cannot be read"):
        read_readings(tmp_path)
