"""Measures over time and events, as they are read for curves."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.analysis.query import Sample, SampleQuery, answer_of_sample
from dashboard.analysis.readings.series import read_series
from edge_agent.core.measures import MovementKind
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import Purpose, Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.events import EventKind
from edge_agent.timeline.read.reader import Reader
from tests.support.timeline import Row, movement_row, reading, second_of, session_row, timeline

HEART = VitalKind.HEART_RATE


def two_sessions(folder: Path, **tables: list[Row]) -> Path:
    sessions = [
        session_row(0, 60, (10, 20, "anger"), (30, 40, "neutral")),
        session_row(100, 160, (110, 120, "neutral"), participant="P02"),
    ]
    return timeline(folder, session=sessions, **tables)


def test_series_of_a_session_is_of_the_source_that_counts(tmp_path: Path) -> None:
    path = two_sessions(tmp_path)
    doubt = [VitalFlag.POOR_SIGNAL]
    timeline(
        path,
        vital=[
            *(reading(second, 60.0 + second, source="strap") for second in (5, 6, 110)),
            reading(7, 90.0, source="strap", flags=doubt),
            reading(5.5, 80.0, source="watch"),
            reading(80, 99.0, source="strap"),
        ],
    )
    reader = Reader(path)
    sessions = sorted(reader.session_list(), key=lambda one: one.id)
    first, second = read_series(reader, sessions, [HEART])
    assert (first.source, first.values.tolist(), first.doubtful) == ("strap", [65.0, 66.0], 1)
    assert [second_of(at) for at in first.at_ms.tolist()] == [5, 6]
    assert (second.session.participant, second.values.tolist()) == ("P02", [170.0])
    (watch, _) = read_series(reader, sessions, [HEART], preferred=["watch"])
    assert watch.values.tolist() == [80.0]
    (asked, _) = read_series(reader, sessions, [HEART], counted=doubt)
    assert asked.values.tolist() == [65.0, 66.0, 90.0]


def test_series_of_a_movement_stands_in_the_middle_of_its_rows(tmp_path: Path) -> None:
    path = two_sessions(tmp_path)
    moved = [movement_row(at, smile=0.4, yaw=-3.0) for at in (1, 2)]
    timeline(path, movement=[*moved, movement_row(3, smile=0.9, primary=False)])
    reader = Reader(path)
    sessions = reader.session_list()
    smile, yaw = read_series(reader, sessions, [MovementKind.SMILE, MovementKind.YAW])
    assert [second_of(at) for at in smile.at_ms.tolist()] == [0.5, 1.5]
    assert smile.values.tolist() == [40.0, 40.0]
    assert yaw.values.tolist() == [-3.0, -3.0]
    assert smile.source == "face"


def test_series_and_events_of_a_stretch_left_out_are_gone(tmp_path: Path) -> None:
    path = two_sessions(tmp_path)
    timeline(
        path,
        vital=[reading(second) for second in (5, 12, 25)],
        exclusion=[{"session": 1, "from_ms": 9_000, "to_ms": 21_000}],
    )
    reader = Reader(path)
    sessions = reader.session_list()
    (series,) = read_series(reader, sessions, [HEART])
    assert [second_of(at) for at in series.at_ms.tolist()] == [5, 25]
    starts = reader.events(sessions, EventKind.STIMULUS_START)
    assert [(one.session, one.label) for one in starts] == [(1, "neutral"), (2, "neutral")]


def test_events_of_reports_have_the_emotion_as_label(tmp_path: Path) -> None:
    path = two_sessions(tmp_path)
    said = {"session": 1, "scale": "emotion", "value": "anger"}
    timeline(path, self_report=[{**said, "at": 22}, {**said, "at": 70}])
    reader = Reader(path)
    (told,) = reader.events(reader.session_list(), EventKind.RESPONSE)
    assert (told.session, second_of(told.at_ms), told.label) == (1, 22, "anger")


def test_events_of_notes_are_without_those_of_a_protocol(tmp_path: Path) -> None:
    path = two_sessions(tmp_path)
    labels = ("protocol: begins", "experiment: cue", "protocol", "coughed", "protocol: skipped x")
    notes = [
        {"session": 1, "at": 40 + n, "kind": "note", "label": label}
        for n, label in enumerate(labels)
    ]
    timeline(path, marker=notes)
    reader = Reader(path)
    told = reader.events(reader.session_list(), EventKind.NOTE)
    assert [one.label for one in told] == ["experiment: cue", "protocol", "coughed"]


@pytest.mark.parametrize(
    ("simulated", "told", "sample"),
    [
        ([False, True], {Sample.MEASURED, Sample.EXAMPLE}, Sample.MEASURED),
        ([False, True], {Sample.EXAMPLE}, Sample.EXAMPLE),
        ([False, True], set(), Sample.MEASURED),
        ([True], set(), Sample.EXAMPLE),
        ([], set(), Sample.MEASURED),
    ],
)
def test_example_answers_only_while_measured_sessions_say_nothing(
    simulated: list[bool], told: set[Sample], sample: Sample
) -> None:
    sessions = [
        Session(number, "P", Purpose.RESEARCH, "", 0, 1, simulated=made)
        for number, made in enumerate(simulated)
    ]
    answered = answer_of_sample(
        SampleQuery(), sessions, lambda sample, _: sample, lambda one: one in told
    )
    assert answered is sample
