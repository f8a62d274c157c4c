"""Readings by the condition that was open, and by the emotion that was observed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_agent.core.expression import Emotion
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.read.base import MatchCounts
from edge_agent.store.read.reader import Reader
from tests.support.timed_session import second_of, study_with_session
from tests.support.timeline import add, database, reading, row


def test_readings_by_condition_can_be_narrowed_to_sessions_and_kinds(tmp_path: Path) -> None:
    path = database(tmp_path)
    first = study_with_session(path, [(10, 20, "anger")], end=100)
    second = study_with_session(path, [(210, 220, "anger")], start=200, end=300)
    cuff = [reading(15.5, 131, VitalKind.SYSTOLIC, "cuff", [VitalFlag.MANUAL])]
    add(path, (), [reading(15, 80), reading(215, 70), reading(25, 75), *cuff])
    reader = Reader(path)
    assert [(r.session, r.participant, r.kind, r.value) for r in reader.vitals_by_condition()] == [
        (first, "P01", VitalKind.HEART_RATE, 80),
        (first, "P01", VitalKind.SYSTOLIC, 131),
        (second, "P02", VitalKind.HEART_RATE, 70),
    ]
    assert [r.session for r in reader.vitals_by_condition([second])] == [second]
    only = reader.vitals_by_condition(kinds=[VitalKind.SYSTOLIC])
    assert [(r.flags, r.simulated, r.state) for r in only] == [
        (frozenset({VitalFlag.MANUAL}), False, "anger")
    ]
    assert reader.vitals_by_condition([]) == []
    assert reader.vitals_by_condition([99]) == []


def test_simulated_readings_are_told_apart_from_real_ones(tmp_path: Path) -> None:
    path = database(tmp_path)
    study_with_session(path, [(10, 20, "anger")])
    add(path, (), [reading(11), reading(12, flags=[VitalFlag.SIMULATED])])
    assert [r.simulated for r in Reader(path).vitals_by_condition()] == [False, True]
    with write_transaction(path) as connection:
        connection.execute("UPDATE session SET simulated = 1")
    assert [r.simulated for r in Reader(path).vitals_by_condition()] == [True, True]


def test_a_reading_gets_the_emotion_that_was_seen_in_the_window_before_its_lag(
    tmp_path: Path,
) -> None:
    rows = [row(s, Emotion.ANGER) for s in range(1, 101)] + [
        row(s, Emotion.HAPPINESS) for s in range(101, 201)
    ]
    path = database(tmp_path, rows, [reading(s) for s in (50, 107, 111, 116, 220)])
    add(path, (), [reading(147, 130, VitalKind.SYSTOLIC), reading(160, 120, VitalKind.SYSTOLIC)])
    study_with_session(path, [], end=300)
    found, counts = Reader(path).vitals_by_observed_emotion()
    # Heart rate looks at (t − 15, t − 5]: at 107 eight angry seconds of ten, at 111 four, at 220
    # nothing any more. The cuff looks at (t − 55, t − 45]: at 147 eight angry seconds, at 160 none.
    assert [(second_of(r.at_ms), r.kind, r.state) for r in found] == [
        (50, VitalKind.HEART_RATE, "anger"),
        (107, VitalKind.HEART_RATE, "anger"),
        (111, VitalKind.HEART_RATE, "happiness"),
        (116, VitalKind.HEART_RATE, "happiness"),
        (147, VitalKind.SYSTOLIC, "anger"),
        (160, VitalKind.SYSTOLIC, "happiness"),
    ]
    assert counts == MatchCounts(matched=6, unmatched=1, ambiguous=0)
    strict, counts = Reader(path).vitals_by_observed_emotion(share=0.9)
    assert [second_of(r.at_ms) for r in strict] == [50, 116, 160]
    assert counts == MatchCounts(matched=3, unmatched=1, ambiguous=3)


def test_windows_and_lags_can_be_declared_otherwise(tmp_path: Path) -> None:
    path = database(
        tmp_path,
        [row(s, Emotion.ANGER if s <= 100 else Emotion.FEAR) for s in range(1, 201)],
        [reading(110)],
    )
    study_with_session(path, [], end=300)
    reader = Reader(path)
    for window, lag, state in (
        (5, 0, "fear"),
        (5, 30, "anger"),
        (90, 0, "anger"),
        (5.0, 5, "fear"),
    ):
        found, _ = reader.vitals_by_observed_emotion(
            window_s=window, lag_s={VitalKind.HEART_RATE: lag}
        )
        assert [r.state for r in found] == [state], (window, lag)
    for window, share in ((0, 0.6), (-1, 0.6), (10, 0), (10, 1.1)):
        with pytest.raises(ValueError, match="window_s"):
            reader.vitals_by_observed_emotion(window_s=window, share=share)


def test_uncertain_rows_count_and_a_draw_is_ambiguous(tmp_path: Path) -> None:
    def state(emotions: Sequence[Emotion | None], share: float) -> tuple[list[str], MatchCounts]:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        path = database(
            folder, [row(s, e) for s, e in enumerate(emotions, start=1)], [reading(len(emotions))]
        )
        study_with_session(path, [], end=100)
        lag = {VitalKind.HEART_RATE: 0.0}
        found, counts = Reader(path).vitals_by_observed_emotion(share=share, lag_s=lag)
        return [r.state for r in found], counts

    anger = Emotion.ANGER
    fear = Emotion.FEAR
    assert state([anger] * 6 + [None] * 4, 0.6) == (["anger"], MatchCounts(1, 0, 0))
    assert state([anger] * 5 + [None] * 5, 0.6) == ([], MatchCounts(0, 0, 1))
    assert state([None] * 10, 0.5) == ([], MatchCounts(0, 0, 1))
    assert state([anger] * 5 + [fear] * 5, 0.5) == ([], MatchCounts(0, 0, 1))
    assert state([anger] * 4 + [fear] * 3 + [None] * 3, 0.4) == (["anger"], MatchCounts(1, 0, 0))


def test_rows_of_another_session_or_another_face_are_not_looked_at(tmp_path: Path) -> None:
    rows = [row(s, Emotion.ANGER) for s in range(1, 100)]
    rows += [row(s, Emotion.FEAR, primary=False) for s in range(100, 120)]
    path = database(tmp_path, rows, [reading(106), reading(115)])
    study_with_session(path, [], end=99.5)
    study_with_session(path, [], start=99.6, end=200)
    found, counts = Reader(path).vitals_by_observed_emotion()
    assert found == []
    assert counts == MatchCounts(matched=0, unmatched=2, ambiguous=0)
