"""Recordings of laboratories as text, and tables whose times stand elsewhere than in their rows."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import LocalTimes, VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.column_map import ColumnMap
from edge_agent.vitals.csv_files import CsvFile
from edge_agent.vitals.csv_readings import all_readings, rows_of
from edge_agent.vitals.guessed_columns import columns_without_guess, guess_map
from edge_agent.vitals.passed_over import PassedOver, Remark
from edge_agent.vitals.untimed import read_untimed

EIGHT_MS = 1_790_920_800_000  # 2026-10-02T06:00:00Z, 8:00 in Berlin, by GNU date
NOW = Instant(boot_ms=5_000_000, wall_ms=EIGHT_MS + 86_400_000 * 2)


def berlin() -> LocalTimes:
    return LocalTimes(ZoneInfo("Europe/Berlin"))


def imported(text: str, start: str = "") -> list[tuple[str, float, float]]:
    """Kind, seconds since 8:00 and value of the readings of a table whose columns are guessed."""
    return [
        (one.kind.value, (one.at.wall_ms - EIGHT_MS) / 1000, round(one.value, 6))
        for one in readings(text, start)
    ]


def readings(text: str, start: str = "") -> list[VitalReading]:
    file = CsvFile.parse("t.txt", text.encode())
    columns = guess_map(file)
    columns = columns.from_start(start) if start else columns
    return list(all_readings(file, columns, berlin(), NOW))


def refusal(text: str) -> str:
    with pytest.raises(DataFileError) as refused:
        imported(text)
    return str(refused.value)


# A day above the rows


NIGHT = """Device,CMS50D+
User,
{day}
Start time,23:58:57

No.,Time,SpO2,Pulse
1,23:58:57,95,60
2,23:59:57,96,63
3,00:00:17,95,64
"""


@pytest.mark.parametrize(
    "day",
    [
        *("Date,2026/10/01", "Date:,2026-10-01", "Start date: 2026-10-01", "Date,01.10.2026"),
        "Recording started,2026-10-01 23:58:57",
    ],
)
def test_day_above_the_names_is_that_of_the_first_row(day: str) -> None:
    # 23:58:57 of 1 October is 8 h 1 min 3 s before 8:00 of the next day
    assert imported(NIGHT.format(day=day)) == [
        ("heart_rate", -28_863.0, 60.0),
        ("oxygen_saturation", -28_863.0, 95.0),
        ("heart_rate", -28_803.0, 63.0),
        ("oxygen_saturation", -28_803.0, 96.0),
        ("heart_rate", -28_783.0, 64.0),
        ("oxygen_saturation", -28_783.0, 95.0),
    ]


def remarks(text: str, columns: ColumnMap | None = None, zone: str = "Europe/Berlin") -> str:
    """Return what is said about a table beside its readings."""
    file, passed_over = CsvFile.parse("t.csv", text.encode()), PassedOver()
    given = columns or guess_map(file)
    rows = rows_of(file, given, LocalTimes(ZoneInfo(zone)), NOW)
    assert list(passed_over.readings_of(rows))
    return str(passed_over.remarks)


def test_a_day_that_is_given_is_reported_beside_that_above_the_names() -> None:
    text = NIGHT.format(day="Date,2026/09/28")
    columns = guess_map(CsvFile.parse("t.csv", text.encode()))
    told = remarks(text, replace(columns, day="2026-10-01"))
    assert "2026-10-01, as given, is the day of the first row" in told
    assert "2026/09/28 stands above the names of the columns" in told
    same = remarks(text, replace(columns, day="2026-09-28"))
    assert "as given" in same
    assert "stands above" not in same


@pytest.mark.parametrize(
    ("zone", "is_told"), [("Asia/Tokyo", True), ("Europe/Paris", False), ("Europe/Berlin", False)]
)
def test_a_column_with_another_zone_than_the_given_one_is_reported(
    zone: str, is_told: bool
) -> None:
    row = "2026/10/02 06:05,Europe/Paris,119,78"
    told = remarks(f"Measurement Date,Time Zone,SYS(mmHg),DIA(mmHg)\n{row}\n", None, zone)
    sentence = (
        f"row 2: column Time Zone has Europe/Paris, and 2026-10-02T06:05:00 is read as {zone}"
    )
    assert (sentence in told) is is_told


def test_rows_without_times_beside_a_start_say_what_is_missing() -> None:
    file = CsvFile.parse("t.csv", b"HR,EDA\n70,1.2\n71,1.3\n")
    columns = guess_map(file).from_start("2026-10-02T06:00:00Z")
    with pytest.raises(DataFileError, match="a start is the time of the first row alone"):
        list(all_readings(file, columns, berlin(), NOW))


@pytest.mark.parametrize(
    ("time", "why"),
    [
        ("458475929600", "is more than 366 days after the start"),
        ("-4", "is before the start"),
        ("x1", "is no time since a start, in numbers"),
    ],
)
def test_a_time_that_cannot_count_from_a_start_says_what_is_wrong(time: str, why: str) -> None:
    file = CsvFile.parse("t.csv", f"time [s/256],heart rate\n{time},66\n".encode())
    columns = guess_map(file).from_start("2026-10-02T06:00:00Z")
    with pytest.raises(DataFileError, match=why):
        list(all_readings(file, columns, berlin(), NOW))


def test_day_that_was_taken_from_above_is_reported() -> None:
    file = CsvFile.parse("night.csv", NIGHT.format(day="Date,2026/10/01").encode())
    passed_over = PassedOver()
    assert len(list(passed_over.readings_of(rows_of(file, guess_map(file), berlin(), NOW)))) == 6
    assert "night.csv: 2026/10/01 above the names of the columns is used as" in str(
        passed_over.remarks
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (NIGHT.format(day="Date of birth,1980-01-02"), "is a time of day without a date. Give"),
        (NIGHT.format(day="Date,02/10/26"), "has the day or the month first and a year of two"),
        (
            NIGHT.format(day="Date,2026/10/01").replace("3,00:00:17", "3,22:00:17"),
            "row 9, column Time: '22:00:17' is before the row above it, and no day says",
        ),
        # times since the start, which is not the time of the first row
        (
            NIGHT.format(day="Date,2026/10/01").replace("1,23:58:57", "1,00:00:00"),
            "is a time of day without a date",
        ),
    ],
)
def test_day_that_is_not_certain_is_refused_with_the_way(text: str, said: str) -> None:
    assert said in refusal(text)


def test_days_between_the_rows_are_those_of_the_rows_below() -> None:
    cuff = (
        'Time,Systolic,Diastolic,Pulse\n"Oct 2, 2026",\n8:05 AM,121,79,66\n8:00 AM,120,80,65\n'
        '"Oct 1, 2026",\n10:00 PM,118,78,61\n'
    )
    systolic = [row[1:] for row in imported(cuff) if row[0] == "systolic"]
    assert systolic == [(300.0, 121.0), (0.0, 120.0), (-36_000.0, 118.0)]


def test_value_that_cannot_be_one_is_left_out_and_reported() -> None:
    text = "time,SpO2,Pulse\n2026-10-02T06:00:00Z,-1,61\n2026-10-02T06:00:01Z,97,62\n"
    file = CsvFile.parse("t.csv", text.encode())
    passed_over = PassedOver()
    taken = list(passed_over.readings_of(rows_of(file, guess_map(file), None, NOW)))
    assert [(one.kind.value, one.value) for one in taken] == [
        ("heart_rate", 61.0),
        ("heart_rate", 62.0),
        ("oxygen_saturation", 97.0),
    ]
    (reason,) = passed_over.reasons
    assert reason.startswith("t.csv, row 2: column SpO2: -1 % cannot be oxygen saturation.")


def test_galvanic_response_is_taken_by_its_unit_alone() -> None:
    row = "2026-10-02T06:00:00Z,2.1\n"
    for unit in ("\u03bcS", "\u00b5S", "uS", "microsiemens"):
        for name in ("GSR", "SCL", "Galvanic skin response"):
            assert imported(f"time,{name} ({unit})\n{row}") == [("skin_conductance", 0.0, 2.1)]
    assert imported(f"time,GSR (kOhm)\n{row.replace('2.1', '200')}")[0][2] == 5.0
    assert "Column GSR can be skin conductance, or something else." in refusal(f"time,GSR\n{row}")


def test_conductance_is_known_by_its_name_and_beside_a_resistance() -> None:
    for names in (
        "GSR_Conductance",
        "gsr conductance (uS)",
        "MW1J_GSC",
        "Skin Conductance Level",
        "GSR Conductance (uS),GSR Resistance (kOhm)",
    ):
        cells = "2.1,476" if "," in names else "2.1"
        row = f"time,{names}\n2026-10-02T06:00:00Z,{cells}\n"
        assert imported(row) == [("skin_conductance", 0.0, 2.1)], names
    assert "no column has values" in refusal("time,GSR_Resistance\n2026-10-02T06:00:00Z,476\n")


def test_mean_interval_of_a_segment_is_no_interval() -> None:
    said = refusal("time,Mean IBI\n2026-10-02T06:00:00Z,812\n")
    assert "Column Mean IBI can be RR interval, or something else." in said


# Programs of laboratories


def opensignals(device: str = "bitalino_rev", converted: int = 0, sensor: str = "EDA") -> str:
    about = {
        "device": device,
        "sampling rate": 100,
        "resolution": [4, 1, 10],
        "date": "2026-10-02",
        "time": "8:0:0.120",
        "sensor": [sensor],
        "label": ["A3"],
        "column": ["nSeq", "I1", "A3"],
        "convertedValues": converted,
    }
    rows = "".join(f"{n % 16}\t0\t{'5.5' if converted else 512}\t\n" for n in range(50))
    head = json.dumps({"20:16": about})
    return f"# OpenSignals Text File Format\n# {head}\n# EndOfHeader\n{rows}"


def test_opensignals_is_read_with_the_rate_and_start_of_its_header() -> None:
    # 12 samples to 8:00:00.250, 25 to .500, the rest to .610; 25 * 512 / 1024 is 12.5 µS
    seconds = [round(at, 2) for _, at, _ in imported(opensignals())]
    assert seconds == [0.18, 0.37, 0.56]
    assert {value for _, _, value in imported(opensignals())} == {12.5}
    assert {value for _, _, value in imported(opensignals(converted=1))} == {5.5}


def test_opensignals_of_another_device_or_signal_is_no_guess() -> None:
    for text in (opensignals(device="other"), opensignals(sensor="ECG")):
        assert "no column has values. Choose one" in refusal(text) or "EDA (raw)" in refusal(text)


ACQ = (
    "P04.acq\n{rate}\n2 channels\nEDA100C\nmicrosiemens\nDigital input\nVolts\n1000\n1000\n"
    "{names}\n{counts}\n"
)


@pytest.mark.parametrize(
    ("unit", "step"), [("sec", 0.002), ("msec", 2.0), ("min", 0.002 / 60)], ids=["s", "ms", "min"]
)
def test_acqknowledge_is_read_from_a_start_in_the_unit_of_its_times(unit: str, step: float) -> None:
    head = ACQ.format(rate="2 msec/sample", names=f"{unit}\tCH1\tCH16", counts="\t500\t500")
    rows = "".join(f"{n * step:.6f}\t{4.0 + (n >= 125)}\t0\n" for n in range(250))
    taken = imported(head + rows, start=str(EIGHT_MS))
    assert [(kind, value) for kind, _, value in taken] == [
        ("skin_conductance", 4.0),
        ("skin_conductance", 5.0),
    ]
    assert [round(seconds, 2) for _, seconds, _ in taken] == [0.12, 0.37]
    assert "its times count from a start, which it does not tell. Give it: --start" in refusal(
        head + rows
    )


def test_acqknowledge_channel_is_chosen_by_name_or_known_before_its_comma() -> None:
    head = (
        "film.acq\n250 msec/sample\n2 channels\nSkin conductance, X, PPGED-R\nmicrosiemens\n"
        "Custom, HLT100C - A 1\nmicrosiemens\nmin,CH1,CH2,\n,2,2,\n"
    )
    rows = "0,4.1,5.1,\n0.5,4.2,5.2,\n"
    assert [row[1:] for row in imported(head + rows, str(EIGHT_MS))] == [(0.0, 4.1), (30.0, 4.2)]
    file = CsvFile.parse("t.txt", (head + rows).encode())
    chosen = replace(
        columns_without_guess(file).from_start(str(EIGHT_MS)),
        columns={"at": "time since the start", "skin_conductance": "Custom (microsiemens)"},
    )
    assert [one.value for one in all_readings(file, chosen, None, NOW)] == [5.1, 5.2]


def test_acqknowledge_without_times_is_read_by_its_rate() -> None:
    head = ACQ.format(rate="250 msec/sample", names="CH1\tCH16", counts="3\t3")
    taken = imported(head.replace("3\t3\n", "") + "4.1\t0\n4.2\t0\n4.3\t0\n", start=str(EIGHT_MS))
    assert [row[1:] for row in taken] == [(0.0, 4.1), (0.25, 4.2), (0.5, 4.3)]


def test_kubios_results_give_their_intervals_from_a_start() -> None:
    results = (
        "Kubios HRV Scientific (ver 4.1.2)\n\nFile name: ,P07.txt\nMean RR  (ms):, 842.13\n\n"
        "RR INTERVAL SAMPLES SELECTED FOR ANALYSIS\nSAMPLE 1,,,\n"
        "RR Time,RR interval,FFT spectrum,AR spectrum\n(s),(s),Frequency (Hz),PSD (s^2/Hz)\n"
        "0.800,0.800,0.0000,0.0\n1.610,0.810,0.0030,0.1\n,,0.0060,0.2\n"
    )
    taken = imported(results, start=str(EIGHT_MS))
    assert taken == [("rr_interval", 0.8, 0.8), ("rr_interval", 1.61, 0.81)]
    without = results.partition("RR INTERVAL")[0]
    assert "has results of Kubios without the intervals. Let Kubios save" in refusal(without)


PPI = (
    "Polar Device ID: ABCD1234\n{start}hr,ppi,blockerBit,skinContactStatus\n"
    "70,850,0,1\n71,867,1,1\n72,884,0,0\n70,860,0,1\n"
)


def test_polar_intervals_follow_each_other_from_the_start() -> None:
    text = PPI.format(start="PPI Recording Start Date and Time: 2026-10-02 08:00:00\n")
    beats = [one for one in readings(text) if one.kind is VitalKind.RR_INTERVAL]
    told = [((one.at.wall_ms - EIGHT_MS) / 1000, one.value) for one in beats]
    assert told == [(0.85, 0.85), (1.717, 0.867), (2.601, 0.884), (3.461, 0.86)]
    poor = [VitalFlag.POOR_SIGNAL in one.flags for one in beats]
    assert poor == [False, True, True, False]
    without = PPI.format(start="")
    assert "its times count from a start, which it does not tell" in refusal(without)
    assert imported(without, start=str(EIGHT_MS + 1000))[0][1] == 1.85


@pytest.mark.parametrize(
    ("name", "cells", "unit"),
    [
        ("time", ("0.5", "1.5"), "1"),
        ("Time (ms)", ("500", "1500"), "0.001"),
        ("time_ms", ("500", "1500"), "0.001"),
        ("elapsed [min]", ("0.00833333", "0.025"), "60"),
        ("time", ("0:00:00.5", "0:00:01.5"), "1"),
    ],
)
def test_times_since_a_start_have_the_unit_of_their_column(
    name: str, cells: tuple[str, str], unit: str
) -> None:
    text = f"{name};HR\n{cells[0]};61\n{cells[1]};62\n"
    file = CsvFile.parse("t.csv", text.encode())
    columns = ColumnMap({"at": name, "heart_rate": "HR"}).from_start(str(EIGHT_MS))
    passed_over = PassedOver()
    taken = list(passed_over.readings_of(rows_of(file, columns, None, NOW)))
    assert [(one.at.wall_ms - EIGHT_MS, one.value) for one in taken] == [(500, 61), (1500, 62)]
    told = f"t.csv: the times of column {name} count from the start; one unit is {unit} s."
    assert passed_over.remarks == [told]


def test_mindware_without_a_table_is_named_with_the_way() -> None:
    for program in ("MindWare Technologies HRV 3.2", "HRV 3.2"):
        said = refusal(f"{program}\nSegment,Mean IBI\n1,812\n")
        assert "is a file of MindWare without a table of readings. Export the intervals" in said


@pytest.mark.parametrize(
    "text",
    [
        opensignals(),
        opensignals().replace("100", "0").replace("10]", f"{10**40}]"),
        ACQ.format(rate="2 msec/sample", names="sec\tCH1\tCH16", counts="\t5\t5") + "0\t4\t0\n",
        PPI.format(start="PPI Recording Start Date and Time: 2026-10-02 08:00:00\n"),
        "Kubios HRV\nRR Time,RR interval\n(s),(s)\n0.8,0.8\n",
        "2 msec/sample\n",
        "# OpenSignals Text File Format\n# {" + 4_000 * '{"a":' + "\n# EndOfHeader\n",
    ],
)
def test_recording_cut_anywhere_is_read_or_refused_and_no_error_of_ours(text: str) -> None:
    for end in range(0, len(text), max(1, len(text) // 60)):
        for start in ("", str(EIGHT_MS)):
            with suppress(DataFileError):
                imported(text[:end], start)


def test_times_of_another_clock_count_from_the_first_row_and_say_so(tmp_path: Path) -> None:
    path = tmp_path / "beats.txt"
    path.write_text("27802.845,0.830\n27803.675,0.838\n27804.505,0.839\n")
    remark, *beats = read_untimed(path, EIGHT_MS, NOW)
    assert isinstance(remark, Remark)
    assert "give --start 2026-10-02T13:43:22.015Z instead" in remark.sentence
    seconds = [(one.at.wall_ms - EIGHT_MS) / 1000 for one in beats if isinstance(one, VitalReading)]
    assert seconds == [0.83, 1.66, 2.49]
