"""What was measured, seen and said in each stimulus, from a real database."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.core.expression import Emotion, ExpressionRow
from edge_agent.core.readings import VitalFlag
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.read.observed import shown_in
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.stimuli import ReadingSum, Stimulus
from edge_agent.store.study.protocol_runs import SelfReport, insert_reports
from tests.support.studies import HEART, SYSTOLIC, add_session, heart, make_study
from tests.support.timeline import add, instant, mostly

STATES = {"anger": {HEART: [70.0, 72.0], SYSTOLIC: [120.0]}, "film 3": {HEART: [66.0]}}


def report(path: Path, second: float, value: str, scale: str = "emotion", session: int = 1) -> None:
    with write_transaction(path) as connection:
        said = int(value) if scale != "emotion" else value
        insert_reports(connection, session, [SelfReport(instant(second), "anger", scale, said)])


def show(path: Path, start: float, emotions: list[Emotion | None]) -> None:
    rows = [
        ExpressionRow(
            instant(start + second),
            1,
            10,
            mostly(Emotion.ANGER),
            mostly(Emotion.ANGER),
            emotion,
            120.0,
            0.8,
            True,
        )
        for second, emotion in enumerate(emotions)
    ]
    add(path, rows, [])


def shown_in_stimuli(path: Path, share: float) -> list[str | None]:
    reader = Reader(path)
    return shown_in(reader.stimuli([1]), reader.face_labels(reader.session_list()), share)


def test_stimuli_come_in_order_with_their_end_and_what_was_reported_of_them(tmp_path: Path) -> None:
    path = make_study(tmp_path, {"P-1": STATES})
    add_session(path, "SIM", heart(neutral=60.0), simulated=True)
    for second, value in ((100, "fear"), (309.5, "anger"), (700, "none")):
        # of two reports the last counts
        report(path, second, value)
    report(path, 320, "9", "valence")
    first, second_one, third = Reader(path).stimuli([1, 2])
    assert first == Stimulus(
        1, "P-1", False, "anger", instant(10).wall_ms, instant(309).wall_ms, "anger"
    )
    assert (second_one.condition, second_one.reported, second_one.simulated) == (
        "film 3",
        "none",
        False,
    )
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
    ("shown", "dominant"),
    [
        ([Emotion.ANGER] * 6 + [None] * 4, "anger"),
        ([Emotion.ANGER] * 5 + [None] * 5, ""),
        ([None] * 4, ""),
        ([], None),
    ],
)
def test_the_face_shows_what_holds_the_share_of_a_stimulus(
    tmp_path: Path, shown: list[Emotion | None], dominant: str | None
) -> None:
    path = make_study(tmp_path, {"P-1": heart(anger=70.0)})
    show(path, 20, shown)
    assert shown_in_stimuli(path, 0.6) == [dominant]


def test_two_emotions_that_share_a_stimulus_are_none(tmp_path: Path) -> None:
    path = make_study(tmp_path, {"P-1": heart(anger=70.0)})
    show(path, 20, [Emotion.ANGER, Emotion.NEUTRAL])
    assert shown_in_stimuli(path, 0.5) == [""]
