"""Readings by the condition that was open or the emotion that was observed, and stimuli."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.core.expression import Emotion
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.read.base import MatchCounts
from edge_agent.store.read.matching import Matching
from edge_agent.store.read.observed import shown_in
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.stimuli import ReadingSum, Stimulus
from edge_agent.store.study.protocol_runs import SelfReport, insert_reports
from tests.support.studies import HEART, SYSTOLIC, add_session, heart, make_study
from tests.support.timed_session import study_with_session
from tests.support.timeline import add, database, instant, reading, row


def test_readings_by_condition_are_narrowed(path: Path) -> None:
    first = study_with_session(path, [(10, 20, "anger")], end=100)
    second = study_with_session(path, [(210, 220, "anger")], start=200, end=300)
    cuff = [reading(15.5, 131, VitalKind.SYSTOLIC, "cuff", [VitalFlag.MANUAL])]
    add(path, (), [reading(15, 80), reading(215, 70), reading(25, 75), *cuff])
    reader = Reader(path)
    every = reader.session_readings(None, tuple(VitalKind))
    assert [(r.session, r.participant, r.kind, r.value) for r in every if r.state] == [
        (first, "P01", VitalKind.HEART_RATE, 80),
        (first, "P01", VitalKind.SYSTOLIC, 131),
        (second, "P02", VitalKind.HEART_RATE, 70),
    ]
    assert {r.session for r in reader.session_readings([second], tuple(VitalKind))} == {second}
    only = reader.session_readings(None, [VitalKind.SYSTOLIC])
    assert [(r.flags, r.simulated, r.state) for r in only] == [
        (frozenset({VitalFlag.MANUAL}), False, "anger")
    ]
    assert reader.session_readings([], tuple(VitalKind)) == []
    with write_transaction(path) as connection:
        connection.execute("UPDATE session SET simulated = 1")
    assert all(one.simulated for one in reader.session_readings(None, tuple(VitalKind)))


def test_rows_of_another_session_or_another_face_are_not_looked_at(tmp_path: Path) -> None:
    rows = [row(s, Emotion.ANGER) for s in range(1, 100)]
    rows += [row(s, Emotion.FEAR, primary=False) for s in range(100, 120)]
    path = database(tmp_path, rows, [reading(106), reading(115)])
    study_with_session(path, [], end=99.5)
    study_with_session(path, [], start=99.6, end=200)
    reader = Reader(path)
    sessions = reader.session_list()
    shown = reader.face_labels(sessions)
    (found,) = reader.observed_sums(sessions, shown, [VitalKind.HEART_RATE], [Matching()])
    assert (found.sums, found.counts) == ((), MatchCounts(0, 2, 0))


STATES = {"anger": {HEART: [70.0, 72.0], SYSTOLIC: [120.0]}, "film 3": {HEART: [66.0]}}


def test_stimuli_come_in_order_with_their_reports(tmp_path: Path) -> None:
    path = make_study(tmp_path, {"P-1": STATES})
    add_session(path, "SIM", heart(neutral=60.0), simulated=True)
    said = ((100, "fear"), (309.5, "anger"), (700, "none"))  # of two reports the last counts
    reports = [SelfReport(instant(second), "anger", "emotion", value) for second, value in said]
    with write_transaction(path) as connection:
        valence = SelfReport(instant(320), "anger", "valence", 9)
        insert_reports(connection, 1, [*reports, valence])
    first, second_one, third = Reader(path).stimuli([1, 2])
    assert first == Stimulus(
        1, "P-1", False, "anger", instant(10).wall_ms, instant(309).wall_ms, "anger"
    )
    wanted = ("film 3", "none", False)
    assert (second_one.condition, second_one.reported, second_one.simulated) == wanted
    expected = ("SIM", 2, True, None)
    assert (third.participant, third.session, third.simulated, third.reported) == expected


def test_readings_are_summed_by_kind_and_flags(tmp_path: Path) -> None:
    path = make_study(tmp_path, {"P-1": STATES})
    add_session(path, "P-2", heart(anger=300.0), flags=[VitalFlag.OUT_OF_RANGE])
    reader = Reader(path)
    found = reader.vital_sums(reader.stimuli([1, 2]), (HEART, SYSTOLIC))
    assert [(stimulus.condition, sums) for stimulus, sums in found] == [
        ("anger", ReadingSum(HEART, "", 2, 142.0, 72.0)),
        ("anger", ReadingSum(SYSTOLIC, "", 1, 120.0, 120.0)),
        ("film 3", ReadingSum(HEART, "", 1, 66.0, 66.0)),
        ("anger", ReadingSum(HEART, "out_of_range", 1, 300.0, 300.0)),
    ]


@pytest.mark.parametrize(
    ("shown", "share", "dominant"),
    [
        ([Emotion.ANGER] * 6 + [None] * 4, 0.6, "anger"),
        ([Emotion.ANGER] * 5 + [None] * 5, 0.6, ""),
        ([Emotion.ANGER, Emotion.NEUTRAL], 0.5, ""),
        ([None] * 4, 0.6, ""),
        ([], 0.6, None),
    ],
)
def test_the_face_shows_what_holds_the_share_of_a_stimulus(
    tmp_path: Path, shown: list[Emotion | None], share: float, dominant: str | None
) -> None:
    path = make_study(tmp_path, {"P-1": heart(anger=70.0)})
    rows = [row(20 + second, emotion) for second, emotion in enumerate(shown)]
    add(path, rows)
    reader = Reader(path)
    labels = reader.face_labels(reader.session_list())
    assert shown_in(reader.stimuli([1]), labels, share) == [dominant]
