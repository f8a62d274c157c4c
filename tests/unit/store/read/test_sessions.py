"""What the quality report of a session needs: frames by reason, and the neutral face as the measure
of the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.errors import StudyError
from edge_agent.core.expression import (
    EMOTIONS,
    Emotion,
    Expression,
    ExpressionRow,
    RejectedFrames,
    RejectReason,
)
from edge_agent.core.study import MarkerKind, Purpose
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.read.base import FaceFrames
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.sessions import LEAST_ROWS, USUAL_LOG_ODDS, Baseline, neutral_shift
from edge_agent.store.study.study import Study
from edge_agent.store.upkeep.aging import prune
from edge_agent.store.write.timeline import write_rejected_frames
from tests.support.timeline import START_MS, add, database, instant, query, row

NEUTRAL = EMOTIONS.index(Emotion.NEUTRAL)
SAD = EMOTIONS.index(Emotion.SADNESS)
HAPPY = Emotion.HAPPINESS


def expression(**named: float) -> Expression:
    """An expression with the named probabilities.

    What is left is spread over the other categories.
    """
    rest = (1 - sum(named.values())) / (len(EMOTIONS) - len(named))
    return Expression(tuple(named.get(e.value, rest) for e in EMOTIONS))


RESTING_SAD = expression(neutral=0.5, sadness=0.45)
expressions = st.lists(st.floats(0.004, 1), min_size=8, max_size=8).map(
    lambda weights: Expression(tuple(w / sum(weights) for w in weights))
)
"""None below half of a per mille, which is recorded as 0."""


def baseline_of(rows: Sequence[Expression]) -> Baseline:
    return Baseline(1, 0, 20_000, len(rows), neutral_shift(rows))


def test_a_face_that_rests_as_usual_is_not_corrected() -> None:
    usual = baseline_of([expression(neutral=0.95)] * 20)
    assert usual.shift == (0.0,) * 8
    shown = expression(sadness=0.6, neutral=0.3)
    assert usual.corrected(shown).probabilities == pytest.approx(shown.probabilities)


def test_a_face_that_rests_sad_is_neutral_after_the_correction_and_sad_when_it_is_sadder() -> None:
    baseline = baseline_of([RESTING_SAD] * 20)
    resting = baseline.corrected(RESTING_SAD)
    assert resting.dominant is Emotion.NEUTRAL
    assert resting.probabilities[SAD] / resting.probabilities[NEUTRAL] == pytest.approx(1 / 20)
    assert baseline.corrected(expression(sadness=0.98, neutral=0.01)).dominant is Emotion.SADNESS


def test_the_shift_is_the_median_of_the_log_odds_so_that_a_short_smile_does_not_count() -> None:
    rows = [RESTING_SAD] * 14 + [expression(happiness=0.9)] * 6
    shift = neutral_shift(rows)
    assert shift[SAD] == pytest.approx(math.log(0.45 / 0.5) - USUAL_LOG_ODDS)
    assert [s for i, s in enumerate(shift) if i != SAD] == [0.0] * 7


def test_categories_that_were_recorded_as_zero_count_as_very_rare() -> None:
    certain = Expression((1.0, *[0.0] * 7))
    assert neutral_shift([certain] * 5) == (0.0,) * 8
    assert neutral_shift([Expression((0.0, 1.0, *[0.0] * 6))] * 5)[1] == pytest.approx(
        math.log(1 / 0.000325 * 20)
    )


def test_too_few_rows_are_no_baseline() -> None:
    with pytest.raises(ValueError, match="needs 5 rows of the face, not 4"):
        neutral_shift([RESTING_SAD] * (LEAST_ROWS - 1))


@given(st.lists(expressions, min_size=5, max_size=30), expressions)
def test_a_correction_gives_probabilities_raises_none_against_neutral_and_keeps_their_odds(
    rows: list[Expression], shown: Expression
) -> None:
    baseline = baseline_of(rows)
    corrected = baseline.corrected(shown)
    assert sum(corrected.probabilities) == pytest.approx(1)
    for index, (before, after) in enumerate(
        zip(shown.probabilities, corrected.probabilities, strict=True)
    ):
        odds = before / shown.probabilities[NEUTRAL]
        kept = after / corrected.probabilities[NEUTRAL]
        assert kept == pytest.approx(odds * math.exp(-baseline.shift[index]))
        assert kept <= odds * (1 + 1e-9)


@given(expressions)
def test_whatever_a_face_rests_at_it_reads_neutral_after_the_correction(
    resting: Expression,
) -> None:
    corrected = baseline_of([resting] * 5).corrected(resting)
    others = max(p for i, p in enumerate(corrected.probabilities) if i != NEUTRAL)
    assert others <= corrected.probabilities[NEUTRAL] / 20 * (1 + 1e-9)


def rows_of(shown: Expression, seconds: range, *, primary: bool = True) -> list[ExpressionRow]:
    return [
        ExpressionRow(instant(s), 1, 15, shown, shown, shown.dominant, 120.0, 0.8, primary)
        for s in seconds
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Session 1 of 100 s, with a baseline at 10 s during which the face rests sad.

    It smiles before and after.
    """
    smiling = expression(happiness=0.8, sadness=0.15)
    path = database(tmp_path, rows_of(smiling, range(1, 11)) + rows_of(smiling, range(31, 140)))
    add(
        path,
        rows_of(RESTING_SAD, range(11, 31))
        + rows_of(expression(anger=0.9), range(11, 31), primary=False),
    )
    study = Study(path)
    study.create_participant("P01")
    study.give_consent("P01", "v1")
    study.start_session("P01", Purpose.RESEARCH, "", at=instant(0))
    study.add_marker(MarkerKind.BASELINE, "", at=instant(10))
    return path


def test_the_baseline_of_a_session_is_taken_from_the_twenty_seconds_after_its_marker(
    path: Path,
) -> None:
    baseline = Reader(path).baseline(1)
    assert baseline is not None
    expected = (START_MS + 10_000, START_MS + 30_000, 20)
    assert (baseline.start_ms, baseline.end_ms, baseline.rows) == expected
    assert baseline.shift[SAD] == pytest.approx(math.log(0.45 / 0.5) - USUAL_LOG_ODDS)


def test_a_stimulus_or_the_end_of_the_session_ends_a_baseline_early(path: Path) -> None:
    study = Study(path)
    reader = Reader(path)
    study.add_marker(MarkerKind.STIMULUS_START, "anger", at=instant(20))
    early = reader.baseline(1)
    assert early is not None
    assert (early.end_ms, early.rows) == (START_MS + 20_000, 10)
    study.add_marker(MarkerKind.BASELINE, "again", at=instant(40))
    study.end_session(at=instant(48.5))
    last = reader.baseline(1)
    assert last is not None
    assert (last.start_ms, last.end_ms, last.rows) == (START_MS + 40_000, START_MS + 48_500, 8)


def test_corrected_rows_stand_beside_the_recorded_ones_which_never_change(path: Path) -> None:
    before = query(path, "SELECT * FROM expression")
    rows = Reader(path).corrected_rows(1)
    assert query(path, "SELECT * FROM expression") == before
    assert [r.at_ms for r in rows] == [START_MS + 1000 * s for s in range(1, 140)]
    resting = rows[15]
    smiling = rows[40]
    expected = (Emotion.NEUTRAL, Emotion.NEUTRAL)
    assert (resting.mean.dominant, resting.corrected_mean.dominant) == expected
    assert resting.smoothed.probabilities[SAD] == 0.45
    assert resting.corrected_smoothed.probabilities[SAD] < 0.05
    assert smiling.corrected_mean.dominant is HAPPY
    assert smiling.corrected_mean.probabilities[SAD] < smiling.mean.probabilities[SAD]
    Study(path).end_session(at=instant(60))
    assert len(Reader(path).corrected_rows(1)) == 59


def test_a_baseline_with_too_little_of_the_face_says_how_to_set_it_again(path: Path) -> None:
    study = Study(path)
    study.add_marker(MarkerKind.BASELINE, "", at=instant(136))
    with pytest.raises(
        StudyError,
        match=r"baseline of session 1 at .* has 3 readable rows of the face; 5 are needed",
    ):
        Reader(path).baseline(1)


def test_a_session_without_a_baseline_has_none_and_one_that_is_not_there_is_refused(
    path: Path,
) -> None:
    study = Study(path)
    reader = Reader(path)
    study.end_session(at=instant(150))
    second = study.start_session("P01", Purpose.RESEARCH, "", at=instant(160)).id
    assert reader.baseline(second) is None
    with pytest.raises(StudyError, match=f"Session {second} has no baseline marker"):
        reader.corrected_rows(second)
    for call in (reader.baseline, reader.corrected_rows):
        with pytest.raises(StudyError, match="There is no session 99"):
            call(99)


def test_the_frames_of_the_participants_face_are_counted_with_the_reasons_of_those_not_read(
    tmp_path: Path,
) -> None:
    path = database(tmp_path, [row(1), row(2), row(3, primary=False)])
    dark = RejectReason.TOO_DARK
    small = RejectReason.TOO_SMALL
    counted = [
        (1, dark, 4, True),
        (2, small, 9, True),
        (2, dark, 2, True),
        (2, dark, 50, False),
        (30, small, 7, True),
    ]
    with write_transaction(path) as connection:
        rows = [
            (RejectedFrames(instant(s), 1, reject_reason, frames, primary), None)
            for s, reject_reason, frames, primary in counted
        ]
        write_rejected_frames(connection, rows, 1000, False)
    reader = Reader(path)
    found = reader.face_frames(START_MS, START_MS + 10_000)
    assert found == FaceFrames(20, {small: 9, dark: 6}, 0.75)
    assert list(found.unfit) == [small, dark]
    assert found.seen == 35
    assert reader.face_frames(0, 1) == FaceFrames(0, {}, None)
    assert prune(path, 1, now_ms=START_MS + 86_400_000 + 10_000) == 7
    assert reader.face_frames(START_MS, START_MS + 60_000) == FaceFrames(0, {small: 7}, None)
