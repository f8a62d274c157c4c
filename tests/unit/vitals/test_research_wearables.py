"""Wearables of laboratories: their forms, their rates, and what is refused or left out of them."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.sample_means import SampleMeans, TimedSample
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.health.exports import open_export
from edge_agent.vitals.health.files import ExportMember
from edge_agent.vitals.health.shimmer import read_shimmer
from edge_agent.vitals.passed_over import ColumnNotTaken, NotRead, Row
from tests.support.vitals.health_exports import BERLIN, NO_ZONE, read, shown

START_S = 1_767_600_000  # 2026-01-05T08:00:00Z
START_MS = 1000 * START_S


Opened = Callable[[], BinaryIO]


def readings(rows: Iterable[Row]) -> list[VitalReading]:
    return [row for row in rows if isinstance(row, VitalReading)]


def brief(rows: Iterable[Row]) -> list[tuple[int, str, float]]:
    """Milliseconds since the start, kind and value of each reading."""
    return [(r.at.wall_ms - START_MS, r.kind.value, round(r.value, 6)) for r in readings(rows)]


def not_taken(rows: Iterable[Row]) -> dict[str, str]:
    return {row.column: row.why for row in rows if isinstance(row, ColumnNotTaken)}


# Rates


@pytest.mark.parametrize(("hz", "seconds"), [(15.0, 8), (128.0, 8), (4.0, 8), (1 / 60, 600)])
def test_samples_of_any_rate_become_at_most_four_a_second(hz: float, seconds: int) -> None:
    means = SampleMeans(4.0)
    samples = [TimedSample(START_S + place / hz, 2.0) for place in range(round(hz * seconds))]
    done = [*(one for sample in samples for one in means.add(sample)), *means.finish()]
    assert len(done) == (4 * seconds if hz >= 4 else len(samples))
    assert {one.value for one in done} == {2.0}, "a mean of equal values is that value"
    assert (hz > 4) or done == samples


def test_a_gap_in_fast_samples_gives_no_mean_over_it() -> None:
    means = SampleMeans(4.0)
    times = [place / 64 for place in range(64)] + [100 + place / 64 for place in range(16)]
    samples = [TimedSample(at_s, at_s) for at_s in times]
    done = [*(one for sample in samples for one in means.add(sample)), *means.finish()]
    assert [round(one.at_s, 3) for one in done] == [0.117, 0.367, 0.617, 0.867, 100.117]
    assert all(one.at_s == one.value for one in done)


# Empatica


def test_conductance_of_the_e4_is_read_four_times_a_second_from_its_start() -> None:
    rows = read("EDA.csv", f"{START_S}.000000\r\n4.000000\r\n0.000000\r\n1.5\r\n-0.01\r\n1.7\r\n")
    assert brief(rows) == [
        (0, "skin_conductance", 0.0),
        (250, "skin_conductance", 1.5),
        (500, "skin_conductance", -0.01),
        (750, "skin_conductance", 1.7),
    ]
    doubted = [VitalFlag.OUT_OF_RANGE in row.flags for row in readings(rows)]
    assert doubted == [True, False, True, False], "0 µS and less is no skin"
    rows = read("EDA.csv", f"{START_S}.000000\r\n4.000000\r\n-2000\r\n1.5\r\n")
    (told,) = [row for row in shown(rows) if isinstance(row, str)]
    assert told == (
        "EDA.csv, row 3: value: -2000 µS cannot be skin conductance. Possible: -1000 to 1000 µS."
    )
    assert {row.source for row in readings(rows)} == {"csv:EDA.csv"}


def test_archive_of_an_e4_session_gives_each_vital_and_names_the_others(tmp_path: Path) -> None:
    head = f"{START_S}.500000\n"
    files = {
        "EDA.csv": f"{head}4.0\n0.25\n0.26\n",
        "TEMP.csv": head + "4.0\n" + "30.0\n31.0\n" * 12,
        "HR.csv": f"{head}1.0\n61.00\n62.00\n",
        "IBI.csv": f"{head.strip()}, IBI\n1.0,0.9375\n1.9375,0.937500\n",
        "ACC.csv": f"{START_S}.0,{START_S}.0,{START_S}.0\n32.0,32.0,32.0\n-4,1,63\n",
        "BVP.csv": f"{head}64.0\n-0.00\n0.11\n",
        "tags.csv": f"{START_S}.12\n{START_S + 5}.12\n",
        "info.txt": ".csv files in this archive are in the following format:\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with open_export(tmp_path) as export:
        assert export is not None
        assert (export.formats, export.unknown) == (["Empatica E4"], ["info.txt"])
        rows = list(export.rows(NO_ZONE))
    found = brief(rows)
    assert [one for one in found if one[1] != "skin_temperature"] == [
        (500, "skin_conductance", 0.25),
        (750, "skin_conductance", 0.26),
        (500, "heart_rate", 61.0),
        (1500, "heart_rate", 62.0),
        (1500, "rr_interval", 0.9375),
        (2438, "rr_interval", 0.9375),
    ]
    warm = [one for one in found if one[1] == "skin_temperature"]
    assert len(warm) == 7 and warm[1][2] == 30.5, "a mean a second"
    passed = {row.where: row.why for row in rows if isinstance(row, NotRead)}
    assert list(passed) == ["ACC.csv", "BVP.csv", "tags.csv"]
    assert "import-markers" in passed["tags.csv"]


@pytest.mark.parametrize("name", ["P01_EDA.csv", "eda.CSV"])
def test_e4_file_is_known_with_something_before_its_name(name: str) -> None:
    assert brief(read(name, f"{START_S}\n4\n1.5\n")) == [(0, "skin_conductance", 1.5)]


def test_e4_file_without_a_rate_is_refused() -> None:
    with pytest.raises(DataFileError, match=r"EDA.csv: its second row, '0', is no rate in samples"):
        read("EDA.csv", f"{START_S}\n0\n1.5\n")


def test_minutes_of_embraceplus_are_read() -> None:
    head = "timestamp_unix,timestamp_iso,participant_full_id,{},missing_value_reason\n"
    minutes = [(START_MS, "2026-01-05T08:00:00Z"), (START_MS + 60_000, "2026-01-05T08:01:00Z")]
    lines = [f"{at},{iso},1-1-P01,{{}}\n" for at, iso in minutes]
    text = head.format("eda_scl_usiemens") + lines[0].format("0.42,")
    text += lines[1].format(",device_not_recording")
    rows = read("1-1-P01_2026-01-05_eda.csv", text, NO_ZONE)
    assert brief(rows) == [(0, "skin_conductance", 0.42)]
    assert [row.source for row in readings(rows)] == ["embraceplus:1-1-P01"]
    assert shown(rows)[-1] == (
        "1-1-P01_2026-01-05_eda.csv, row 3: missing_value_reason: device_not_recording."
    )
    rows = read("p.csv", head.format("pulse_rate_bpm") + lines[0].format("61,"), NO_ZONE)
    assert brief(rows) == [(0, "heart_rate", 61.0)]


# EmotiBit

PARSED = (
    "LocalTimestamp,EmotiBitTimestamp,PacketNumber,DataLength,TypeTag,ProtocolVersion,"
    "DataReliability,{}\n"
)


def emotibit(tag: str, *values: tuple[float, object]) -> str:
    rows = (f"{at:.6f},531473.000,17305,3,{tag},1,100,{value}\n" for at, value in values)
    return PARSED.format(tag) + "".join(rows)


def test_parsed_conductance_of_an_emotibit_becomes_means_four_times_second() -> None:
    text = emotibit("EA", *((START_S + place / 15, 2 + place % 2) for place in range(60)))
    rows = read("2026-01-05_08-00-00-123456_EA.csv", text, NO_ZONE)
    found = readings(rows)
    assert len(found) == 16
    assert {row.source for row in found} == {"emotibit"}
    assert [(row.at.wall_ms - START_MS) // 250 for row in found] == list(range(16))
    assert 2.25 < found[3].value < 2.75
    assert list(not_taken(rows)) == [
        *("emotibittimestamp", "packetnumber", "datalength", "typetag"),
        *("protocolversion", "datareliability"),
    ]


def test_beats_and_rates_of_an_emotibit_keep_their_own_times() -> None:
    beats = emotibit("BI", (START_S + 0.8, 800), (START_S + 1.59, 790))
    assert brief(read("x_BI.csv", beats)) == [
        (800, "rr_interval", 0.8),
        (1590, "rr_interval", 0.79),
    ]
    rates = emotibit("HR", *((START_S + place / 2, 70 + place) for place in range(30)))
    assert len(brief(read("x_HR.csv", rates))) == 30
    with_lsl = "LslLocalTimestamp," + emotibit("EA", (START_S, 1.5)).replace("\n17", "\n9.5,17")
    assert brief(read("x_EA.csv", with_lsl)) == [(0, "skin_conductance", 1.5)]


def test_emotibit_types_that_are_not_taken_say_why() -> None:
    rows = {tag: shown(read(f"x_{tag}.csv", emotibit(tag, (START_S, 1)))) for tag in ("SA", "AX")}
    assert rows == {
        "SA": ["x_SA.csv: SA is about single responses: it is worked out from EA, which is taken."],
        "AX": ["x_AX.csv: AX is no vital sign that is kept."],
    }


def test_raw_file_of_an_emotibit_names_the_parser() -> None:
    raw = "1126349,49106,10,PI,1,100,156593,156471\n1126349,49107,1,EA,1,100,0.03\n"
    (told,) = shown(read("2026-01-05_08-00-00-123456.csv", raw))
    assert "is the raw recording of an EmotiBit" in str(told)
    assert "Open it with the EmotiBit DataParser" in str(told)


def test_emotibit_file_without_a_time_of_day_is_refused() -> None:
    with pytest.raises(DataFileError, match=r"no time of day: its LocalTimestamp is 531.473000"):
        read("x_EA.csv", emotibit("EA", (531.473, 0.03)))
    with pytest.raises(DataFileError, match=r"LocalTimestamp is missing"):
        read("x_EA.csv", emotibit("EA", (START_S, 0.03)).replace("LocalTimestamp", "Other", 1))


# Shimmer

NAMES = ("Timestamp_Unix_CAL", "GSR_Skin_Conductance_CAL", "GSR_Skin_Resistance_CAL", "PPGtoHR_CAL")
UNITS = ("ms", "uS", "kOhms", "BPM")


def shimmer(*rows: Iterable[object], units: Iterable[str] = UNITS, mark: str = "\t") -> str:
    """A table as ConsensysPRO writes it, each line with a mark at its end."""
    names = [f"Shimmer_8A2F_{name}" for name in NAMES]
    lines = (mark.join([*map(str, cells), ""]) for cells in (names, units, *rows))
    return f'"sep={mark}"\n' + "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("mark", ["\t", ","])
def test_table_of_consensys_is_read_by_its_names_and_units(mark: str) -> None:
    text = shimmer((START_MS, 2.5, 400, 61), (START_MS + 250, 2.6, 384.6, -1), mark=mark)
    for given in (text, text.partition("\n")[2]):  # the first line may be missing
        rows = read("Session1_Shimmer_8A2F_Calibrated_SD.csv", given, NO_ZONE)
        assert brief(rows) == [
            (0, "skin_conductance", 2.5),
            (250, "skin_conductance", 2.6),
            (0, "heart_rate", 61.0),
        ]
        assert {row.source for row in readings(rows)} == {"shimmer:8a2f"}
        assert not_taken(rows) == {
            "Shimmer_8A2F_GSR_Skin_Resistance_CAL": "is the inverse of the conductance"
        }
    assert "value: '-1' is no heart rate, but says that none was found." in str(shown(rows))


def test_shimmer_local_times_need_a_zone_and_are_read_in_it() -> None:
    units = ("yyyy/mm/dd hh:mm:ss.000", *UNITS[1:])
    text = shimmer(("2026/01/05 09:00:00.250", 2.5, 400, 61), units=units)
    text = text.replace("Timestamp_Unix", "Timestamp_FormattedUnix")
    assert (250, "skin_conductance", 2.5) in brief(read("s.csv", text, BERLIN))
    with pytest.raises(DataFileError, match="have no time zone. Give one, such as"):
        read("s.csv", text, NO_ZONE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (shimmer(units=("ms", "mV", "kOhms", "BPM")), "its unit 'mV' is none of skin conductance"),
        (shimmer(units=("ms", "", "kOhms", "BPM")), "its unit '' is none of skin conductance"),
        (shimmer(units=("Ticks", *UNITS[1:])), "Choose the timestamp in the format Unix"),
        (shimmer(UNITS).replace("_Unix", ""), "Choose the timestamp in the format Unix"),
    ],
)
def test_shimmer_table_with_an_unknown_unit_or_no_time_is_refused(text: str, said: str) -> None:
    with pytest.raises(DataFileError, match=said):
        read("s.csv", text, NO_ZONE)


def test_two_shimmers_in_a_table_have_their_own_times_and_sources() -> None:
    names = [f"{d}_{name}_CAL" for d in "AB" for name in ("Timestamp_Unix", "GSR_Skin_Conductance")]
    lines = ("sep=,", ",".join(names), "ms,uS,ms,nS", f"{START_MS},2.5,{START_MS + 125},2600")
    rows = readings(read("both.csv", "\n".join(lines)))
    assert brief(rows) == [(0, "skin_conductance", 2.5), (125, "skin_conductance", 2.6)]
    assert [row.source for row in rows] == ["shimmer:a", "shimmer:b"]


def test_shimmer_table_without_a_vital_sign_is_left_out_by_name() -> None:
    text = shimmer(UNITS).replace("Skin_Conductance", "X").replace("PPGtoHR", "Y")
    (told,) = shown(read("ecg.csv", text))
    assert str(told).startswith("ecg.csv: has neither GSR_Skin_Conductance_CAL nor PPGtoHR_CAL.")


def test_shimmer_table_at_128_hz_is_read_within_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    with path.open("w") as file:
        file.write(shimmer())
        for place in range(128 * 120):
            file.write(f"{START_MS + 1000 * place / 128:.3f}\t2.5\t400\t61\t\n")
    member = ExportMember(path.name, path.stat().st_size, cast("Opened", partial(path.open, "rb")))
    tracemalloc.start()
    try:
        rows = read_shimmer(member, NO_ZONE)
        count = Counter(row.kind for row in rows if isinstance(row, VitalReading))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == {VitalKind.SKIN_CONDUCTANCE: 4 * 120, VitalKind.HEART_RATE: 120}
    assert peak < member.size / 2, "the rows that were read are not kept"
