"""EDF+ files hold what the database holds, as two readers of others see them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import edfio
import numpy as np
import pytest

from edge_agent.core.measures import MovementKind
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.export.edf import EDF
from edge_agent.timeline.study.exclusions import leave_out, take_back
from tests.support.own_neutral import calibrate_session
from tests.support.timeline import instant, movement_row, query, reading, session_row, timeline

LONG = "Größe 1: a condition of 79 signs that a writer which stops at forty had cut off"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A session of 100 s: a strap with a hole, its beats, a cuff, a reading without contact."""
    readings = [
        reading(100.4 + s, 60 + s / 7, source="strap") for s in range(90) if not 30 <= s < 45
    ]
    readings += [
        reading(100.1 + 0.83 * n, 0.8 + n / 1000, kind=VitalKind.RR_INTERVAL, source="strap")
        for n in range(100)
    ]
    readings += [
        reading(150, 121.5, kind=VitalKind.SYSTOLIC, source="cuff"),
        reading(160.25, 12, source="strap", flags=[VitalFlag.OUT_OF_RANGE]),
        reading(161, math.inf, source="broken"),
        reading(50, 71, source="strap"),
    ]
    return timeline(
        tmp_path / "data",
        vital=readings,
        session=[session_row(100, 200, (120.123, 140.5, LONG), name="films")],
        marker=[{"at": 141, "kind": "note", "label": "a second note"}],
        gap=[{"started": 130.4, "ended": 145.4, "source": "strap", "reason": "disconnected"}],
    )


def _written(path: Path, out: Path) -> Path:
    EDF.export(path, out)
    return out / "session-1.edf"


def _pyedflib() -> Any:
    """The second reader."""
    return pytest.importorskip("pyedflib", reason="pyedflib has no wheel for this Python")


def test_two_readers_see_the_signals_of_the_database(path: Path, tmp_path: Path) -> None:
    file = _written(path, tmp_path / "edf")
    head = file.read_bytes()[:256].decode("ascii")
    assert head[8:88].split() == ["P01", "X", "X", "X"]
    assert "times_in_UTC" in head and "films" not in head, "no free text of the session"
    theirs = edfio.read_edf(file)
    assert [signal.label for signal in theirs.signals] == ["HR", "RR"]
    with _pyedflib().EdfReader(str(file)) as reader:
        assert reader.getSignalLabels() == ["HR", "RR"]
        assert [reader.getPhysicalDimension(n) for n in (0, 1)] == ["/min", "s"]
        assert list(reader.getSampleFrequencies()) == [1, 4]
        assert (reader.getPatientCode(), reader.getPatientName()) == ("P01", "X")
        signals = [reader.readSignal(n) for n in (0, 1)]
        began = reader.getStartdatetime()
    sql = "SELECT strftime('%Y-%m-%dT%H:%M:%S', started / 1000, 'unixepoch') FROM session"
    assert [(f"{began:%Y-%m-%dT%H:%M:%S}",)] == query(path, sql)
    kinds = ("heart_rate", "rr_interval")
    for number, (signal, kind) in enumerate(zip(signals, kinds, strict=True)):
        assert theirs.signals[number].data == pytest.approx(signal, abs=1e-9)
        rows = query(
            path,
            "SELECT at - (SELECT started FROM session), value FROM vital WHERE kind = ? AND "
            "source = 'strap' AND flags = '' AND at >= (SELECT started FROM session) ORDER BY at",
            kind,
        )
        expected = _expected(rows, 100, len(signal) // 100)
        assert signal == pytest.approx(expected, abs=(0.004, 5e-5)[number])


def _expected(rows: list[tuple[Any, ...]], seconds: int, rate: int) -> Any:
    """The newest reading at each sample, by the plainest way there is; 0 after five seconds."""
    samples = []
    for place in range(seconds * rate):
        at_ms = 1000 * place / rate
        before = [(ms, value) for ms, value in rows if ms <= at_ms and at_ms - ms < 5000]
        samples.append(before[-1][1] if before else 0.0)
    return np.asarray(samples)


def test_beats_pressures_markers_and_gaps_are_annotations_at_own_times(
    path: Path, tmp_path: Path
) -> None:
    file = _written(path, tmp_path / "edf")
    ours = [(note.onset, note.duration, note.text) for note in edfio.read_edf(file).annotations]
    assert f"stimulus: {LONG}" in [text for _, _, text in ours]
    with _pyedflib().EdfReader(str(file)) as reader:
        onsets, lengths, texts = reader.readAnnotations()
    told = list(zip(onsets.tolist(), lengths.tolist(), texts.tolist(), strict=True))
    assert [text for _, _, text in ours] == [text for _, _, text in told]
    start = query(path, "SELECT started FROM session")[0][0]
    beats = query(path, "SELECT at, value FROM vital WHERE kind = 'rr_interval' ORDER BY at")
    assert [
        (round(start + 1000 * onset), float(text.split("=")[1].split()[0]))
        for onset, _, text in told
        if text.startswith("rr_interval=")
    ] == beats
    assert (50.0, -1.0, "systolic=121.5 mm[Hg] cuff") in told
    assert (60.25, -1.0, "heart_rate=12.0 /min strap [out_of_range]") in told
    assert (20.123, 20.377, f"stimulus: {LONG}") in told
    assert (41.0, -1.0, "note: a second note") in told
    assert (30.4, 15.0, "gap: strap disconnected") in told
    assert (0.0, -1.0, "session_start: 1") in told
    assert (100.0, -1.0, "session_end: 1") in told
    holes = [(onset, length) for onset, length, text in told if text == "no value: HR"]
    assert holes == [(0.0, 1.0), (35.0, 11.0), (95.0, 5.0)]


def test_edf_session_without_readings_is_a_file_of_annotations(tmp_path: Path) -> None:
    alone = {"at": 12.5, "kind": "note", "label": "alone"}
    made = timeline(tmp_path / "data", session=[session_row(10, None)], marker=[alone])
    file = _written(made, tmp_path / "edf")
    expected = ["session_start: 1", "note: alone"]
    assert [note.text for note in edfio.read_edf(file).annotations] == expected


@pytest.mark.parametrize(("end", "lasted"), [(200.0, 59.3), (None, None)])
def test_edf_shifted_labels_are_annotated_with_their_time(
    tmp_path: Path, end: float | None, lasted: float | None
) -> None:
    made = timeline(tmp_path / "data", session=[session_row(100, end)], vital=[150])
    calibrate_session(made, 1, 20.0, 40.0)
    notes = edfio.read_edf(_written(made, tmp_path / "edf")).annotations
    expected = (40.7, lasted, "own_neutral: neutral shifted by -1.500 in labels")
    assert expected in [(note.onset, note.duration, note.text) for note in notes]


def test_edf_exclusion_is_annotated_with_its_reason(path: Path, tmp_path: Path) -> None:
    span = (instant(110).wall_ms, instant(115.5).wall_ms)
    gone = leave_out(path, 1, span, reason="taken back", actor="ada")
    take_back(path, 1, gone.id, actor="ada")
    leave_out(path, 1, span, reason="Größe: phone rang", actor="ada")
    timeline(path, session=[session_row(300, 360)])
    leave_out(path, 2, None, reason="camera fell", actor="ada")
    EDF.export(path, tmp_path / "edf")
    for number, expected in (
        (1, (10.0, 5.5, "left_out: Größe: phone rang")),
        (2, (0.0, 60.0, "left_out: camera fell")),
    ):
        file = edfio.read_edf(tmp_path / "edf" / f"session-{number}.edf")
        notes = [(one.onset, one.duration, one.text) for one in file.annotations]
        assert [note for note in notes if "left_out" in note[2]] == [expected]


def test_edf_movements_of_the_primary_face_are_signals(tmp_path: Path) -> None:
    rows = [movement_row(s, smile=s / 100, yaw=-s) for s in range(11, 21)]
    rows.append(movement_row(15, primary=False, smile=1.0))
    made = timeline(tmp_path / "data", session=[session_row(10, 40)], movement=rows)
    file = edfio.read_edf(_written(made, tmp_path / "edf"))
    signals = {signal.label: signal for signal in file.signals}
    assert list(signals) == list(MovementKind)
    smile, yaw = signals["smile"], signals["yaw"]
    assert (smile.physical_dimension, yaw.physical_dimension) == ("%", "deg")
    # The value of a second stands until the next, the last one for five.
    held = [0, *range(11, 21), 20, 20, 20, 20, *[0] * 15]
    assert smile.data == pytest.approx(np.array(held, float), abs=0.002)
    assert yaw.data == pytest.approx(-np.array(held, float), abs=0.002)
    told = [(one.onset, one.duration) for one in file.annotations if "no value" in one.text]
    assert told == [(0.0, 1.0), (15.0, 15.0)], "said once for all of them"


def test_edf_count_of_ten_seconds_stands_until_the_next(tmp_path: Path) -> None:
    # A window ends with the first frame after its ten seconds.
    counts = [
        reading(10.05 * n - 0.07, 6.0 * n, VitalKind.BLINK_RATE, "camera_blinks") for n in (1, 2, 3)
    ]
    made = timeline(tmp_path / "data", session=[session_row(0, 60)], vital=counts)
    file = edfio.read_edf(_written(made, tmp_path / "edf"))
    (rate,) = file.signals
    # 10 to 20, 21 to 30, and from 31 on for ten seconds and one sample
    held = [*[0] * 10, *[6] * 11, *[12] * 10, *[18] * 11, *[0] * 18]
    assert rate.data == pytest.approx(np.array(held, float), abs=0.002)
    assert "at most 11 s old" in rate.prefiltering


def test_edf_movements_of_another_program_name_it_as_transducer(tmp_path: Path) -> None:
    other = movement_row(12, source="OpenFace", unread="pucker", smile=0.5)
    made = timeline(tmp_path / "data", session=[session_row(10, 40)], movement=[other])
    file = edfio.read_edf(_written(made, tmp_path / "edf"))
    signals = {signal.label: signal for signal in file.signals}
    assert set(MovementKind) - set(signals) == {MovementKind.PUCKER}
    assert signals["smile"].transducer_type == "camera, estimated by OpenFace"
