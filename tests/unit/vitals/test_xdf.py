"""Recordings of LabRecorder: streams that become readings, times of day, damage and strangers."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("pyxdf", reason="pyxdf is not installed")

from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import LocalTimes, VitalFlag, VitalReading
from edge_agent.core.study import MarkerKind
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.health.exports import open_export
from edge_agent.vitals.health.files import ChannelChoice, RowValidator, member_at
from edge_agent.vitals.health.xdf import samples as samples_module
from edge_agent.vitals.health.xdf.recording import RecordedMarker, XdfRecording, open_recording
from edge_agent.vitals.health.xdf.streams import StreamRole
from edge_agent.vitals.passed_over import PassedOver
from edge_agent.vitals.zone_names import zone_named
from tests.support.laboratory.xdf import Xdf, our_clock, our_readings, ours

NOW = Instant(0, 1_800_000_000_000)
NINE = 1_795_161_600_000  # 2026-11-20T08:00:00Z, which is 09:00 by the head of the file
STRAP = VitalFlag.CONTACT_LOST


def opened(
    folder: Path, xdf: Xdf | bytes, validator: RowValidator | None = None
) -> Iterator[XdfRecording]:
    path = folder / "lab.xdf"
    path.write_bytes(xdf if isinstance(xdf, bytes) else xdf.content)
    with open_recording(member_at(path), validator or RowValidator(NOW)) as recording:
        yield recording


def read(
    folder: Path, xdf: Xdf | bytes, validator: RowValidator | None = None
) -> tuple[list[VitalReading], PassedOver]:
    path = folder / "lab.xdf"
    path.write_bytes(xdf if isinstance(xdf, bytes) else xdf.content)
    told = PassedOver()
    with open_export(path) as export:
        assert export is not None
        return list(told.readings_of(export.rows(validator or RowValidator(NOW)))), told


def markers_of(
    folder: Path, xdf: Xdf, orders: dict[str, str] | None = None
) -> tuple[list[RecordedMarker], list[str]]:
    (found,) = [
        (recording.markers(orders or {}), recording.remarks) for recording in opened(folder, xdf)
    ]
    return found


def strap(xdf: Xdf, first_s: float = 100.0) -> Xdf:
    xdf.stream(1, "Strap", "HeartRate", [("HR", "bpm")])
    return xdf.samples(1, [(first_s + second, [60.0 + second]) for second in range(4)])


def told(passed_over: PassedOver) -> str:
    return "\n".join([*passed_over.remarks, *(row.sentence for row in passed_over.columns)])


def test_channels_become_vitals_by_name_and_unit(tmp_path: Path) -> None:
    xdf = Xdf()
    xdf.stream(1, "Belt", "Vitals", [("Heart rate", "Hz"), ("ECG", "mV"), ("SpO2", "%")])
    xdf.samples(1, [(100.0, [1.25, 0.1, 97.0]), (101.0, [1.5, 0.2, 98.0])])
    readings, passed_over = read(tmp_path, xdf)
    assert [(one.kind, one.value, one.source, one.at.wall_ms - NINE) for one in readings] == [
        (VitalKind.HEART_RATE, 75.0, "lsl:Belt", 0),
        (VitalKind.HEART_RATE, 90.0, "lsl:Belt", 1000),
        (VitalKind.OXYGEN_SATURATION, 97.0, "lsl:Belt", 0),
        (VitalKind.OXYGEN_SATURATION, 98.0, "lsl:Belt", 1000),
    ]
    assert [(row.column, row.why) for row in passed_over.columns] == [
        ("Belt/ECG", "is no vital by its name")
    ]
    listed = "stream Belt (type Vitals, irregular, channels Heart rate (Hz), ECG (mV), SpO2 (%))"
    assert f"{listed}, 2 samples: heart_rate, oxygen_saturation." in told(passed_over)


@pytest.mark.parametrize(
    ("channel", "content", "values", "why"),
    [
        (("EDA", "kg"), "EDA", [2.0, 2.1], "has the unit 'kg', which is none of skin conductance"),
        (("RR", ""), "RR", [812.0, 799.0], "has no unit"),
        (("HR", ""), "ECG", [0.1, 0.2], "no plausible value of it"),
        (("Temp", "C"), "Temp", [33.0, 33.1], "can be skin temperature, or something else"),
        (("Pulse max", "bpm"), "x", [80.0, 81.0], "can be heart rate, or something else"),
        (("", ""), "EEG", [1.0, 2.0], "is no vital by its name"),
    ],
)
def test_channel_in_doubt_is_listed_with_the_way_to_choose_it(
    tmp_path: Path, channel: tuple[str, str], content: str, values: list[float], why: str
) -> None:
    xdf = Xdf().stream(1, "Box", content, [channel])
    xdf.samples(1, [(100.0 + place, [value]) for place, value in enumerate(values)])
    readings, passed_over = read(tmp_path, xdf)
    assert readings == []
    (row,) = passed_over.columns
    assert why in row.why
    assert "--map" in row.why


def test_chosen_channel_is_taken_in_its_unit(tmp_path: Path) -> None:
    xdf = Xdf().stream(1, "Box", "misc", [("ch1", "V"), ("ch2", "")])
    xdf.samples(1, [(100.0, [0.1, 21.0]), (101.0, [0.2, 25.0])])
    chosen = ChannelChoice({"skin_conductance": "Box/ch2"}, {"skin_conductance": "kOhm"}, only=True)
    readings, _ = read(tmp_path, xdf, RowValidator(NOW, channels=chosen))
    assert [one.value for one in readings] == pytest.approx([1000 / 21, 40.0])
    wrong = RowValidator(NOW, channels=ChannelChoice({"heart_rate": "Box/ch3"}))
    with pytest.raises(DataFileError, match=r"no channel 'Box/ch3'. Channels found: Box/ch1, Box/"):
        read(tmp_path, xdf, wrong)


def test_fast_channel_becomes_means_and_gaps_stay_gaps(tmp_path: Path) -> None:
    xdf = Xdf().stream(1, "Skin", "EDA", [("EDA", "uS")], rate=8.0, form="float32")
    values = [2.0 if second < 2 else float("nan") for second in range(4) for _ in range(8)]
    times = [100.0, *[None] * 31]
    xdf.samples(1, list(zip(times, ([value] for value in values), strict=True)))
    readings, _ = read(tmp_path, xdf)
    assert {(one.kind, one.value) for one in readings} == {(VitalKind.SKIN_CONDUCTANCE, 2.0)}
    assert len(readings) == 8  # four a second, for two seconds


def straps(*senders: tuple[str, str], apart_s: float = 0.3, kinds: tuple[str, ...] = ()) -> Xdf:
    """Streams of one name, each of a sender: source id and host."""
    xdf = Xdf()
    for number, (source, host) in enumerate(senders):
        label = (kinds or ("HR",) * len(senders))[number]
        xdf.head(
            number,
            "<info><name>Strap</name><channel_count>1</channel_count><channel_format>double64"
            f"</channel_format><source_id>{source}</source_id><hostname>{host}</hostname><desc>"
            f"<channels><channel><label>{label}</label></channel></channels></desc></info>",
        )
        rows = [(100.0 + number * apart_s + s, [60.0 + 30 * number]) for s in range(4)]
        xdf.samples(number, rows)
    return xdf


@pytest.mark.parametrize(
    ("senders", "apart_s", "sources"),
    [
        ([("A", ""), ("B", "")], 0.3, {"lsl:Strap (A)", "lsl:Strap (B)"}),
        ([("A", "x"), ("A", "y")], 0.3, {"lsl:Strap (A @ x)", "lsl:Strap (A @ y)"}),
        ([("", "x"), ("", "y")], 100.0, {"lsl:Strap (x)", "lsl:Strap (y)"}),
        ([("A", ""), ("A", "")], 0.3, {"lsl:Strap (stream 0)", "lsl:Strap (stream 1)"}),
        ([("A", "x"), ("A", "x")], 100.0, {"lsl:Strap"}),
    ],
    ids=["sources", "hosts", "hosts after each other", "at one time", "a program started again"],
)
def test_streams_of_one_name_are_sources_by_their_senders(
    tmp_path: Path, senders: list[tuple[str, str]], apart_s: float, sources: set[str]
) -> None:
    readings, _ = read(tmp_path, straps(*senders, apart_s=apart_s))
    assert {one.source for one in readings} == sources
    assert len(readings) == 8


def test_kinds_of_one_name_in_streams_apart_stay_one_source(tmp_path: Path) -> None:
    readings, _ = read(tmp_path, straps(("hr", ""), ("spo2", ""), kinds=("HR", "SpO2")))
    assert {one.source for one in readings} == {"lsl:Strap"}


def test_readings_of_two_of_our_appliances_are_two_sources(tmp_path: Path) -> None:
    xdf = Xdf()
    for number, device in enumerate(("lab-1", "lab-2")):
        serial = f"<serial_number>{device}</serial_number></acquisition>"
        about = ours("camera").replace("</acquisition>", serial)
        channels = [("heart_rate", "bpm"), ("flags", "1")]
        xdf.stream(number, "AffectEdge heart_rate camera", "Vitals", channels, about=about)
        xdf.samples(number, [(100.0 + s, [60.0 + 30 * number, 0.0]) for s in range(4)])
    readings, _ = read(tmp_path, xdf)
    assert {one.source for one in readings} == {"camera (lab-1)", "camera (lab-2)"}


def test_channels_of_one_label_are_chosen_by_their_places(tmp_path: Path) -> None:
    xdf = Xdf().stream(1, "Box", "Vitals", [("HR", "bpm"), ("HR", "bpm")])
    xdf.samples(1, [(100.0 + s, [60.0, 90.0]) for s in range(4)])
    chosen = ChannelChoice({"heart_rate": "Box/HR (1)"}, only=True)
    readings, passed_over = read(tmp_path, xdf, RowValidator(NOW, channels=chosen))
    assert [one.value for one in readings] == [90.0] * 4
    assert [row.column for row in passed_over.columns] == ["Box/HR (0)"]


def test_resampled_intervals_are_left_out(tmp_path: Path) -> None:
    xdf = Xdf().stream(1, "Beats", "RR", [("RR interval", "ms")], rate=4.0)
    xdf.samples(1, [(100.0 + place / 4, [800.0]) for place in range(40)])
    readings, passed_over = read(tmp_path, xdf)
    assert readings == []
    assert "resampled to a rate" in told(passed_over)


def test_our_readings_come_back_with_source_and_flags(tmp_path: Path) -> None:
    bits = 1 << [*VitalFlag].index(VitalFlag.CONTACT_LOST)
    clock = our_clock("2026-11-20T12:00:00.250Z", 90.0)
    rows = [(100.0, [61.0, 0.0]), (101.0, [62.0, float(bits)]), (102.0, [float("nan"), 0.0])]
    xdf = our_readings(Xdf(), 7, VitalKind.HEART_RATE, "ble:A0", rows, clock)
    # the recorder's clock is 1000 s ahead, as pyxdf finds out
    xdf.clock(7, 99.0, 1000.0).clock(7, 104.0, 1000.0)
    readings, passed_over = read(tmp_path, xdf)
    noon = 1_795_176_000_250
    assert [(one.at.wall_ms, one.value, one.source) for one in readings] == [
        (noon + 10_000, 61.0, "ble:A0"),
        (noon + 11_000, 62.0, "ble:A0"),
    ]
    assert readings[1].flags == {VitalFlag.CONTACT_LOST, VitalFlag.IMPORTED}
    assert "those of the clock of Affect Edge" in told(passed_over)
    assert "The head of the file says 2026-11-20T09:00:00+0100, which is" in told(passed_over)


def test_clock_that_nobody_set_counts_less_than_the_head(tmp_path: Path) -> None:
    clock = our_clock("2020-01-01T00:00:00.000Z", 100.0, synchronised=0)
    xdf = our_readings(Xdf(), 1, VitalKind.HEART_RATE, "s", [(100.0, [61.0, 0.0])], clock)
    readings, passed_over = read(tmp_path, xdf)
    assert [one.at.wall_ms for one in readings] == [NINE]
    assert "some seconds too early" in told(passed_over)
    alone = our_readings(Xdf(""), 1, VitalKind.HEART_RATE, "s", [(100.0, [61.0, 0.0])], clock)
    _, passed_over = read(tmp_path, alone)
    assert "The network had not set it, as far as is known" in told(passed_over)


def test_time_of_day_is_reported_or_asked_for_and_never_guessed(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"tells no time of day.*--start TIME"):
        read(tmp_path, strap(Xdf("")))
    with pytest.raises(DataFileError, match=r"written at 2026-11-20T09:00:00, of which the time z"):
        read(tmp_path, strap(Xdf("2026-11-20T09:00:00")))
    with pytest.raises(DataFileError, match="tells no time of day"):
        read(tmp_path, strap(Xdf("123456")))
    berlin = RowValidator(NOW, LocalTimes(zone_named("Europe/Berlin")))
    readings, _ = read(tmp_path, strap(Xdf("2026-11-20T09:00:00")), berlin)
    assert readings[0].at.wall_ms == NINE
    readings, passed_over = read(tmp_path, strap(Xdf("")), RowValidator(NOW, start_ms=NINE + 500))
    assert [one.at.wall_ms - NINE for one in readings] == [500, 1500, 2500, 3500]
    assert "at 2026-11-20T08:00:00.500Z, as given" in told(passed_over)


def test_recording_without_a_day_lists_its_streams(tmp_path: Path) -> None:
    with pytest.raises(
        DataFileError, match=r"stream Strap \(type HeartRate.*4 samples: heart_rate"
    ):
        read(tmp_path, strap(Xdf("")))


def test_start_that_is_given_is_that_of_the_first_sample_as_it_is_stored(tmp_path: Path) -> None:
    xdf = Xdf("").stream(1, "Strap", "HeartRate", [("HR", "bpm")], rate=1.0)
    late = [0.2, *[0.0] * 49]  # pyxdf smooths the times of a rate
    xdf.samples(1, [(50.0 + n + more, [60.0]) for n, more in enumerate(late)])
    readings, _ = read(tmp_path, xdf, RowValidator(NOW, start_ms=NINE))
    assert readings[0].at.wall_ms == NINE


def test_pause_and_new_clock_of_a_stream_are_reported(tmp_path: Path) -> None:
    xdf = Xdf().stream(1, "Strap", "HeartRate", [("HR", "bpm")], rate=1.0)
    xdf.samples(1, [(1000.0 + n, [60.0]) for n in range(20)])
    xdf.clock(1, 1000.0, 0.0).clock(1, 1010.0, 0.0).clock(1, 1020.0, 0.0)
    # the computer began anew: its clock, too
    xdf.samples(1, [(10.0 + n, [61.0]) for n in range(20)])
    xdf.clock(1, 10.0, 2000.0).clock(1, 20.0, 2000.0).clock(1, 30.0, 2000.0)
    readings, passed_over = read(tmp_path, xdf)
    assert len(readings) == 40
    assert "stream Strap: its clock began anew or was set once" in told(passed_over)
    assert "stream Strap: no samples for 991 s from 2026-11-20T08:00:" in told(passed_over)


@pytest.mark.parametrize("rate", [0.5, 1.0])
def test_a_pause_of_a_slow_stream_moves_no_sample(tmp_path: Path, rate: float) -> None:
    xdf = Xdf().stream(1, "Strap", "HeartRate", [("HR", "bpm")], rate=rate)
    sent = [begin + n / rate for begin in (1000.0, 1200.0) for n in range(30)]
    readings, passed_over = read(tmp_path, xdf.samples(1, [(at, [60.0]) for at in sent]))
    times = [(one.at.wall_ms - readings[0].at.wall_ms) / 1000 for one in readings]
    assert times == pytest.approx([at - 1000.0 for at in sent], abs=0.002)
    assert f"no samples for {sent[30] - sent[29]:.0f} s from" in told(passed_over)


def test_head_is_placed_where_the_first_clock_was_measured(tmp_path: Path) -> None:
    # LabRecorder measures for the first time five seconds after it began
    xdf = strap(Xdf(), first_s=120.0).clock(1, 105.0, 0.0).clock(1, 110.0, 0.0)
    readings, _ = read(tmp_path, xdf)
    assert readings[0].at.wall_ms == NINE + 20_000


def test_measurement_of_a_clock_that_is_no_number_is_left_out(tmp_path: Path) -> None:
    # as LabRecorder writes it where a sender did not answer in time
    xdf = strap(Xdf(), first_s=120.0).clock(1, 6.9e-310, 0.0).clock(1, 105.0, 0.0)
    readings, _ = read(tmp_path, xdf.clock(1, 110.0, 0.0))
    assert [one.at.wall_ms - NINE for one in readings] == [20_000, 21_000, 22_000, 23_000]


def test_regular_stream_is_corrected_and_smoothed_by_pyxdf(tmp_path: Path) -> None:
    xdf = Xdf().stream(1, "Strap", "HeartRate", [("HR", "bpm")], rate=1.0)
    jitter = [0.0, 0.04, -0.04, 0.0] * 25
    xdf.samples(1, [(50.0 + n + late, [60.0]) for n, late in enumerate(jitter)])
    xdf.clock(1, 50.0, 50.0).clock(1, 100.0, 50.0).clock(1, 149.0, 50.0)
    readings, _ = read(tmp_path, xdf)
    steps = [later.at.wall_ms - sooner.at.wall_ms for sooner, later in pairwise(readings)]
    assert set(steps) <= {999, 1000, 1001}  # the jitter of 40 ms is gone


def test_markers_become_conditions_notes_and_codes(tmp_path: Path) -> None:
    xdf = strap(Xdf()).stream(2, "Stimuli", "Markers", form="string")
    texts = ["stimulus_start/anger", "stimulus_end", "11", "door\nopens", "", "x" * 100]
    xdf.samples(2, [(100.0 + place, [text]) for place, text in enumerate(texts)])
    markers, remarks = markers_of(tmp_path, xdf, {"11": "stimulus_start/joy"})
    assert [(one.at_ms - NINE, one.kind, one.label) for one in markers] == [
        (0, MarkerKind.STIMULUS_START, "anger"),
        (1000, MarkerKind.STIMULUS_END, "anger"),
        (2000, MarkerKind.STIMULUS_START, "joy"),
        (3000, MarkerKind.NOTE, "door\\nopens"),
        (5000, MarkerKind.NOTE, "x" * 79 + "…"),
    ]
    assert remarks == [
        "markers with more than 80 signs, which are cut: 1.",
        "samples of markers without a text or label, left out: 1.",
    ]


def test_marker_that_two_streams_have_is_taken_once(tmp_path: Path) -> None:
    xdf = Xdf().stream(1, "PsychoPy", "Markers", form="string")
    xdf.stream(2, "AffectEdge markers", "Markers", [("markers", "")], form="string", about=ours(""))
    rows = [(100.0, ["stimulus_start/anger"]), (130.0, ["stimulus_end/anger"])]
    xdf.samples(1, rows).samples(2, [(at_s + 0.003, texts) for at_s, texts in rows])
    markers, remarks = markers_of(tmp_path, xdf)
    assert [(one.at_ms - NINE, one.label) for one in markers] == [(0, "anger"), (30_000, "anger")]
    assert remarks == ["markers that two streams have at one time, stored once: 2."]


def test_numbers_of_a_stream_of_events_are_codes(tmp_path: Path) -> None:
    xdf = Xdf().stream(1, "Triggers", "Stim", form="int32").samples(1, [(100.0, [11])])
    markers, _ = markers_of(tmp_path, xdf, {"11": "baseline"})
    assert [(one.kind, one.label) for one in markers] == [(MarkerKind.BASELINE, "neutral")]


def two_programs(apart_s: float = 3.0, names: tuple[str, str] = ("Films", "Pad")) -> Xdf:
    xdf = strap(Xdf())
    for number, name in enumerate(names):
        xdf.stream(2 + number, name, "Markers", form="int32")
        xdf.samples(2 + number, [(101.0 + at + number * apart_s, [7 + at // 2]) for at in (0, 2)])
    return xdf


def test_code_of_two_streams_that_is_named_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(
        DataFileError, match=r"--marker 7=… is a text of.*Films, Pad.*'Films/7=…', --marker 'Pad/7"
    ):
        markers_of(tmp_path, two_programs(), {"7": "stimulus_start/joy"})


def test_code_behind_its_stream_is_the_order_of_that_stream_alone(tmp_path: Path) -> None:
    orders = {"Films/7": "stimulus_start/joy", "Films/8": "stimulus_end"}
    markers, _ = markers_of(tmp_path, two_programs(), orders)
    assert [(one.at_ms - NINE, one.kind, one.label) for one in markers] == [
        (1000, MarkerKind.STIMULUS_START, "joy"),
        (3000, MarkerKind.STIMULUS_END, "joy"),
        (4000, MarkerKind.NOTE, "7"),
        (6000, MarkerKind.NOTE, "8"),
    ]


def test_orders_of_a_stream_count_before_those_of_all(tmp_path: Path) -> None:
    orders = {"Films/7": "stimulus_start/joy", "7": "note/press"}
    markers, _ = markers_of(tmp_path, two_programs(), orders)
    assert [one.label for one in markers] == ["joy", "8", "press", "8"]


@pytest.mark.parametrize(
    ("apart_s", "names"),
    [(0.02, ("Port", "Films")), (3.0, ("Films", "Films"))],
    ids=["one event on two ways", "a program that was started again"],
)
def test_code_of_two_streams_of_one_sender_is_not_asked_about(
    tmp_path: Path, apart_s: float, names: tuple[str, str]
) -> None:
    markers, _ = markers_of(tmp_path, two_programs(apart_s, names), {"7": "baseline"})
    assert {one.kind for one in markers if one.label == "neutral"} == {MarkerKind.BASELINE}


def test_streams_of_one_name_at_a_time_are_named_by_number(tmp_path: Path) -> None:
    xdf = two_programs(1.0, ("Films", "Films"))
    with pytest.raises(DataFileError, match="'stream 2/7=…', --marker 'stream 3/7=…'"):
        markers_of(tmp_path, xdf, {"7": "stimulus_start/joy"})
    markers, _ = markers_of(tmp_path, xdf, {"stream 3/7": "stimulus_start/joy"})
    assert [one.label for one in markers] == ["7", "joy", "8", "8"]


def test_order_for_no_text_is_reported_with_its_stream(tmp_path: Path) -> None:
    orders = {"Films/9": "baseline", "Pad/7": "note/press", "Door/7": "baseline"}
    for recording in opened(tmp_path, two_programs()):
        recording.markers(orders)
        assert [str(one).partition(" met")[0] for one in recording.unmet] == [
            "Films/9, given with --marker,",
            "Door/7, given with --marker,",
        ]
        assert "There is: Films/7, Films/8, Pad/7, Pad/8." in str(recording.unmet[0])


def test_press_in_a_second_channel_starts_no_condition(tmp_path: Path) -> None:
    xdf = strap(Xdf()).stream(2, "Task", "Markers", [("event", ""), ("key", "")], form="string")
    rows = [(100.5, ["", "1"]), (101.0, ["1", ""]), (102.0, ["", "1"]), (103.0, ["2", ""])]
    orders = {"1": "stimulus_start/anger", "2": "stimulus_end"}
    markers, remarks = markers_of(tmp_path, xdf.samples(2, rows), orders)
    assert [(one.kind, one.label) for one in markers] == [
        (MarkerKind.NOTE, "1"),
        (MarkerKind.STIMULUS_START, "anger"),
        (MarkerKind.NOTE, "1"),
        (MarkerKind.STIMULUS_END, "anger"),
    ]
    assert not any("without a text" in one for one in remarks)


def test_second_channel_of_a_marker_is_a_note_beside_it(tmp_path: Path) -> None:
    xdf = strap(Xdf()).stream(2, "Task", "Markers", [("event", ""), ("block", "")], form="string")
    rows = [["stimulus_start/fear", "block 4"], ["stimulus_end", "stimulus_end"], ["", "block 5"]]
    xdf.samples(2, [(100.0 + place, row) for place, row in enumerate(rows)])
    markers, _ = markers_of(tmp_path, xdf)
    assert [(one.kind, one.label) for one in markers] == [
        (MarkerKind.STIMULUS_START, "fear"),
        (MarkerKind.NOTE, "block 4"),
        (MarkerKind.STIMULUS_END, "fear"),
        (MarkerKind.NOTE, "stimulus_end"),
        (MarkerKind.NOTE, "block 5"),
    ]


def test_numbers_beside_a_code_are_named_and_not_glued_to_it(tmp_path: Path) -> None:
    xdf = Xdf().stream(1, "Box", "Markers", [("code", ""), ("volt", "V")])
    xdf.samples(1, [(100.0, [11.0, 3.25])])
    markers, _ = markers_of(tmp_path, xdf, {"11": "baseline"})
    assert [one.kind for one in markers] == [MarkerKind.BASELINE]
    _, passed_over = read(tmp_path, xdf)
    assert "column Box/volt: stands beside the code of a marker" in told(passed_over)


def test_texts_at_a_rate_are_markers_where_they_change(tmp_path: Path) -> None:
    xdf = strap(Xdf()).stream(2, "State", "Markers", rate=10.0, form="string")
    texts = [*["stimulus_start/joy"] * 20, *[""] * 10, *["stimulus_start/joy"] * 10]
    rows = [(100.0 + place / 10, [text]) for place, text in enumerate(texts)]
    markers, remarks = markers_of(tmp_path, xdf.samples(2, rows))
    assert [(one.at_ms - NINE, one.label) for one in markers] == [(0, "joy"), (3000, "joy")]
    assert "samples without a change: 38." in remarks[0]


def other_clock(first_s: float, measured_s: float = 100.0, strap_s: float = 50.0) -> Xdf:
    xdf = strap(Xdf("2026-11-20T09:00:00+0100"), first_s)
    xdf.clock(1, measured_s, 0.0)
    xdf.stream(2, "Films", "Markers", form="string").clock(2, 105.0, 0.0)
    return xdf.samples(2, [(130.0, ["stimulus_start/joy"]), (130.0 + strap_s, ["stimulus_end"])])


@pytest.mark.parametrize("measured_s", [105.0, NINE / 1000], ids=["by the recorder", "by itself"])
def test_stamps_that_count_from_1970_are_times_of_day(tmp_path: Path, measured_s: float) -> None:
    xdf = other_clock(NINE / 1000 + 20.5, measured_s)
    readings, passed_over = read(tmp_path, xdf)
    assert [one.at.wall_ms - NINE for one in readings] == [20_500, 21_500, 22_500, 23_500]
    assert "stream Strap: its clock is another one" in told(passed_over)
    assert "They count from 1970, are times of day" in told(passed_over)
    (span,) = [recording.span_ms() for recording in opened(tmp_path, xdf)]
    assert [round((at_ms - NINE) / 1000) for at_ms in span] == [5, 80]
    markers, _ = markers_of(tmp_path, xdf)
    assert [one.at_ms - NINE for one in markers] == [30_000, 80_000]


@pytest.mark.parametrize("first_s", [NINE / 1000 - 9e6, 5e6], ids=["of another day", "of no day"])
def test_stream_with_another_clock_and_no_day_is_left_out(tmp_path: Path, first_s: float) -> None:
    readings, passed_over = read(tmp_path, other_clock(first_s))
    assert readings == []
    assert "s apart, and no day is known for them; it is left out" in told(passed_over)
    (span,) = [recording.span_ms() for recording in opened(tmp_path, other_clock(first_s))]
    assert span[1] - NINE < 100_000


def test_recording_whose_only_stream_counts_from_1970_has_its_times(tmp_path: Path) -> None:
    xdf = strap(Xdf(), NINE / 1000 + 2).clock(1, 105.0, 0.0).clock(1, 110.0, 0.0)
    readings, _ = read(tmp_path, xdf)
    assert [one.at.wall_ms - NINE for one in readings] == [2000, 3000, 4000, 5000]
    given = RowValidator(NOW, start_ms=NINE + 500)
    readings, _ = read(tmp_path, xdf, given)
    assert readings[0].at.wall_ms == NINE + 500


def test_stream_of_days_has_the_clock_of_its_recording(tmp_path: Path) -> None:
    day_s = 86_400.0
    xdf = Xdf().stream(1, "Strap", "HeartRate", [("HR", "bpm")])
    xdf.samples(1, [(100.0 + day * day_s / 2, [60.0]) for day in range(6)])
    xdf.stream(2, "Films", "Markers", form="string").samples(2, [(100.0 + 2 * day_s, ["a cough"])])
    markers, remarks = markers_of(tmp_path, xdf)
    assert (len(markers), remarks) == (1, [])


def test_samples_whose_times_are_in_milliseconds_are_counted(tmp_path: Path) -> None:
    xdf = strap(Xdf()).samples(1, [(NINE * 1.0, [70.0])])
    readings, passed_over = read(tmp_path, xdf)
    assert len(readings) == 4
    assert "stream Strap: samples whose time is none in seconds, left out: 1." in told(passed_over)


def test_sessions_are_those_that_our_stream_tells(tmp_path: Path) -> None:
    xdf = strap(Xdf())
    xdf.stream(
        2, "AffectEdge sessions", "Markers", [("sessions", "")], form="string", about=ours("")
    )
    texts = ["session_end/4", "session_start/5", "session_end/5", "session_start/6"]
    xdf.samples(2, [(101.0 + 10 * place, [text]) for place, text in enumerate(texts)])
    (spans,) = [recording.sessions() for recording in opened(tmp_path, xdf)]
    assert [(start - NINE, end - NINE) for start, end in spans] == [
        (0, 1000),  # it had begun before the recording
        (11_000, 21_000),
        (31_000, 31_001),  # it goes on at the last sample
    ]


def test_face_is_that_of_one_appliance(tmp_path: Path) -> None:
    xdf = strap(Xdf())
    for number, device in enumerate(("lab-1", "lab-1", "lab-2"), 2):
        serial = f"<serial_number>{device}</serial_number></acquisition>"
        about = ours("camera").replace("</acquisition>", serial)
        xdf.stream(number, "AffectEdge expression", "Expression", about=about)
        xdf.samples(number, [(100.0, [0.5])])
    ((roles, whys),) = [
        ([one.role for one in recording.plans], [one.why for one in recording.plans])
        for recording in opened(tmp_path, xdf)
    ]
    assert roles == [
        StreamRole.READINGS,
        StreamRole.EXPRESSION,
        StreamRole.EXPRESSION,
        StreamRole.NOTHING,
    ]
    assert whys[-1] == "a face is taken of one appliance, which is lab-1"


def test_file_cut_anywhere_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    xdf = strap(Xdf())
    whole = len(xdf.content)
    xdf.samples(1, [(104.0, [64.0])])
    for end in range(whole + 1, len(xdf.content)):
        readings, passed_over = read(tmp_path, xdf.content[:end])
        assert len(readings) == 4
        assert "the file ends within a chunk: it was read up to there." in told(passed_over)


def test_damaged_chunk_is_left_out_up_to_the_next_boundary(tmp_path: Path) -> None:
    xdf = strap(Xdf())
    xdf.content += b"\x07garbage"
    xdf.boundary().samples(1, [(105.0, [65.0])])
    readings, passed_over = read(tmp_path, xdf)
    assert [one.value for one in readings] == [60.0, 61.0, 62.0, 63.0, 65.0]
    assert "it is damaged at one place" in told(passed_over)
    # a chunk that says another number of samples than it has
    lying = strap(Xdf()).add(3, struct.pack("<I", 1) + b"\x01\x02" + bytes(9)).boundary()
    lying.samples(1, [(105.0, [65.0])])
    readings, _ = read(tmp_path, lying)
    assert [one.value for one in readings] == [60.0, 61.0, 62.0, 63.0, 65.0]


HUGE = 2**62
HEAD = "<info><name>x</name><type>HeartRate</type>{}</info>"
ONE = (
    "<channel_count>{count}</channel_count><nominal_srate>{rate}</nominal_srate>"
    "<channel_format>{form}</channel_format>"
)


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        (ONE.format(count=0, rate=1, form="int8"), "it says 0 channels"),
        (ONE.format(count=HUGE, rate=1, form="int8"), f"it says {HUGE} channels"),
        (ONE.format(count=-1, rate=1, form="int8"), "it says -1 channels"),
        (ONE.format(count=1, rate="nan", form="int8"), "its rate nan is none"),
        (ONE.format(count=1, rate="1e300", form="int8"), "its rate 1e300 is none"),
        (ONE.format(count=1, rate=1, form="int128"), "its format int128 is not known"),
        ("", "its format (none) is not known"),
        ("<a>" * 70 + "</a>" * 70, "its description has more than 64 elements within each other"),
        ("<a/>" * 100_001, "elements within each other, or 100,000"),
        ("<open>", "its description is no XML (mismatched tag)"),
    ],
)
def test_stream_with_a_senseless_description_is_named_alone(
    tmp_path: Path, xml: str, why: str
) -> None:
    xdf = strap(Xdf()).head(2, HEAD.format(xml))
    readings, passed_over = read(tmp_path, xdf)
    assert len(readings) == 4
    assert why in told(passed_over)


def test_entities_are_refused_with_their_stream(tmp_path: Path) -> None:
    laughs = '<!DOCTYPE info [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><info><name>&b;</name></info>'
    _, passed_over = read(tmp_path, strap(Xdf()).head(2, laughs))
    assert "declares a document type or entities" in told(passed_over)


def test_lengths_beyond_the_file_are_believed_by_nobody(tmp_path: Path) -> None:
    count = b"\x08" + struct.pack("<Q", HUGE)
    xdf = strap(Xdf()).add(3, struct.pack("<I", 1) + count + bytes(9))
    readings, _ = read(tmp_path, xdf)
    assert len(readings) == 4
    readings, _ = read(tmp_path, strap(Xdf()).content + b"\x08" + struct.pack("<QH", HUGE, 3))
    assert len(readings) == 4


def test_ten_thousand_streams_are_refused(tmp_path: Path) -> None:
    xdf = Xdf()
    xdf.stream(1, "x", "y")
    for number in range(2, 10_000):
        head = b"<info/>"
        xdf.content += b"\x01" + bytes([6 + len(head)]) + struct.pack("<HI", 2, number) + head
    with pytest.raises(DataFileError, match=r"more than 1,000 streams.*file of their own"):
        read(tmp_path, xdf)


def test_names_with_control_characters_are_shown_escaped(tmp_path: Path) -> None:
    xdf = Xdf().stream(1, "A\u202eB\tC" + "x" * 1000, "HeartRate", [("HR", "bpm")])
    readings, passed_over = read(tmp_path, xdf.samples(1, [(100.0, [61.0])]))
    (reading,) = readings
    assert reading.source.startswith("lsl:A\\u202eB\\tC")
    assert all(line.isprintable() for line in told(passed_over).splitlines())


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1e300])
def test_samples_without_a_time_are_left_out(tmp_path: Path, wrong: float) -> None:
    xdf = Xdf().stream(1, "Strap", "HeartRate", [("HR", "bpm")], rate=1.0)
    rows = [(wrong, [59.0]), *[(100.0 + n, [60.0 + n]) for n in range(3)], (wrong, [99.0])]
    xdf.samples(1, rows).clock(1, wrong, wrong).clock(1, 100.0, 0.0)
    readings, _ = read(tmp_path, xdf)
    assert [one.value for one in readings] == [60.0, 61.0, 62.0]


def test_too_long_a_stream_is_named_and_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples_module, "_MOST_SAMPLES", 3)
    readings, passed_over = read(tmp_path, strap(Xdf()))
    assert readings == []
    assert "stream Strap has 4 samples, and at most 3 are read" in told(passed_over)


def test_library_that_is_missing_is_named_with_its_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyxdf", None)
    with pytest.raises(DataFileError, match=r"install.sh --with xdf.*inject affect-edge pyxdf"):
        read(tmp_path, strap(Xdf()))
