"""The neutral face of a session, its frames, and its course as recorded and relative to rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.web.settings import DashboardOptions
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import (
    EMOTIONS,
    Emotion,
    Expression,
    ExpressionRow,
    RejectedFrames,
    RejectReason,
)
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import MarkerKind, Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.read.base import FaceFrames
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.sessions import LEAST_ROWS, USUAL_LOG_ODDS, Baseline, neutral_shift
from edge_agent.store.study.study import Study
from edge_agent.store.upkeep.aging import prune
from edge_agent.store.write.timeline import write_rejected_frames
from tests.support.dashboard import client_of, set_up
from tests.support.timed_session import study_with_session
from tests.support.timeline import START_MS, add, database, instant, query, reading, row

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
def calibrated(tmp_path: Path) -> Path:
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
    study_with_session(path, [], end=None)
    Study(path).add_marker(MarkerKind.BASELINE, "", at=instant(10))
    return path


def test_the_baseline_of_a_session_is_taken_from_the_twenty_seconds_after_its_marker(
    calibrated: Path,
) -> None:
    baseline = Reader(calibrated).baseline(1)
    assert baseline is not None
    expected = (START_MS + 10_000, START_MS + 30_000, 20)
    assert (baseline.start_ms, baseline.end_ms, baseline.rows) == expected
    assert baseline.shift[SAD] == pytest.approx(math.log(0.45 / 0.5) - USUAL_LOG_ODDS)


def test_a_stimulus_or_the_end_of_the_session_ends_a_baseline_early(calibrated: Path) -> None:
    study = Study(calibrated)
    reader = Reader(calibrated)
    study.add_marker(MarkerKind.STIMULUS_START, "anger", at=instant(20))
    early = reader.baseline(1)
    assert early is not None
    assert (early.end_ms, early.rows) == (START_MS + 20_000, 10)
    study.add_marker(MarkerKind.BASELINE, "again", at=instant(40))
    study.end_session(at=instant(48.5))
    last = reader.baseline(1)
    assert last is not None
    assert (last.start_ms, last.end_ms, last.rows) == (START_MS + 40_000, START_MS + 48_500, 8)


def test_corrected_rows_stand_beside_the_recorded_ones_which_never_change(calibrated: Path) -> None:
    before = query(calibrated, "SELECT * FROM expression")
    rows = Reader(calibrated).corrected_rows(1)
    assert query(calibrated, "SELECT * FROM expression") == before
    assert [r.at_ms for r in rows] == [START_MS + 1000 * s for s in range(1, 140)]
    resting = rows[15]
    smiling = rows[40]
    expected = (Emotion.NEUTRAL, Emotion.NEUTRAL)
    assert (resting.mean.dominant, resting.corrected_mean.dominant) == expected
    assert resting.smoothed.probabilities[SAD] == 0.45
    assert resting.corrected_smoothed.probabilities[SAD] < 0.05
    assert smiling.corrected_mean.dominant is HAPPY
    assert smiling.corrected_mean.probabilities[SAD] < smiling.mean.probabilities[SAD]
    Study(calibrated).end_session(at=instant(60))
    assert len(Reader(calibrated).corrected_rows(1)) == 59


def test_a_baseline_with_too_little_of_the_face_says_how_to_set_it_again(calibrated: Path) -> None:
    study = Study(calibrated)
    study.add_marker(MarkerKind.BASELINE, "", at=instant(136))
    with pytest.raises(
        StudyError,
        match=r"baseline of session 1 at .* has 3 readable rows of the face; 5 are needed",
    ):
        Reader(calibrated).baseline(1)


def test_a_session_without_a_baseline_has_none_and_one_that_is_not_there_is_refused(
    calibrated: Path,
) -> None:
    study = Study(calibrated)
    reader = Reader(calibrated)
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


SAD_AT_REST = Expression(
    tuple({Emotion.NEUTRAL: 0.6, Emotion.SADNESS: 0.3}.get(e, 0.1 / 6) for e in EMOTIONS)
)


def hold(path: Path, *, opens: str | None = "baseline", marker: bool = True) -> int:
    """Hold a session: 60 s of rest, then 60 s of anger."""
    study = Study(path)
    study.create_participant("P01")
    study.give_consent("P01", "1")
    session = study.start_session("P01", Purpose.RESEARCH, "", instant(0))
    if opens:
        study.add_marker(MarkerKind.STIMULUS_START, opens, instant(0))
    if marker:
        study.add_marker(MarkerKind.BASELINE, "", instant(0.001))
    study.add_marker(MarkerKind.STIMULUS_START, "anger", instant(60))
    study.end_session(instant(120))
    return session.id


def sad(second: float) -> ExpressionRow:
    """A row of a face that looks sad to the classifier."""
    return replace(row(second), mean=SAD_AT_REST, smoothed=SAD_AT_REST)


def record(path: Path) -> None:
    """Record 60 /min at rest and 75 /min in anger.

    A face that looks sad all the time; the cuff in anger only.
    """
    strap = [reading(second, 60 if second < 60 else 75) for second in range(120)]
    lost = [reading(second + 0.5, 200, flags=(VitalFlag.CONTACT_LOST,)) for second in range(30)]
    add(
        path,
        [sad(second) for second in range(1, 121)],
        [*strap, *lost, reading(90, 130, VitalKind.SYSTOLIC, "cuff")],
    )


def test_a_session_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(StudyError, match="There is no session 3"):
        Reader(path).session_summary(3)


def test_as_recorded_are_the_means_of_each_condition(path: Path) -> None:
    session = hold(path)
    record(path)
    course = Reader(path).session_summary(session)
    rest, anger = course.conditions
    assert (rest.label, anger.label, rest.rows, anger.rows) == ("baseline", "anger", 60, 60)
    assert (anger.start_ms, anger.end_ms) == (START_MS + 60_000, START_MS + 120_000)
    expected = (60.0, 60)
    assert (rest.vitals[VitalKind.HEART_RATE].mean, rest.vitals[VitalKind.HEART_RATE].n) == expected
    assert anger.vitals[VitalKind.SYSTOLIC].mean == 130
    assert anger.expression is not None
    assert anger.expression[Emotion.SADNESS] == pytest.approx(0.3)


def test_relative_readings_are_differences_from_rest_and_expressions_are_corrected(
    path: Path,
) -> None:
    session = hold(path)
    record(path)
    before = query(path, "SELECT * FROM expression"), query(path, "SELECT * FROM vital")
    course = Reader(path).session_summary(session, relative=True)
    assert course.resting is not None and course.baseline is not None
    expected = ("baseline", START_MS, START_MS + 60_000)
    assert (course.resting.label, course.resting.start_ms, course.resting.end_ms) == expected
    anger = course.conditions[1]
    assert anger.vitals[VitalKind.HEART_RATE].mean == 15
    assert VitalKind.SYSTOLIC not in anger.vitals, "it was not measured at rest"
    assert anger.expression is not None
    assert anger.expression[Emotion.SADNESS] == pytest.approx(
        anger.expression[Emotion.NEUTRAL] / 20
    )
    assert sum(anger.expression.values()) == pytest.approx(1)
    assert (query(path, "SELECT * FROM expression"), query(path, "SELECT * FROM vital")) == before


@pytest.mark.parametrize(
    ("opens", "marker", "label", "seconds"),
    [
        ("rest", True, "rest", 60),  # a protocol names its baseline as it likes
        (None, True, None, 20),  # by hand
        ("baseline", False, "baseline", 60),
        ("other", False, None, None),
    ],
)
def test_rest_is_what_the_marker_or_the_name_says(
    path: Path, opens: str | None, marker: bool, label: str | None, seconds: int | None
) -> None:
    session = hold(path, opens=opens, marker=marker)
    record(path)
    resting = Reader(path).session_summary(session).resting
    if seconds is None:
        assert resting is None
    else:
        assert resting is not None
        expected = (label, seconds)
        assert (resting.label, round((resting.end_ms - resting.start_ms) / 1000)) == expected


def test_a_marker_without_a_face_is_told_and_readings_are_relative_all_the_same(path: Path) -> None:
    session = hold(path)
    add(path, (), [reading(second, 60 + second // 60) for second in range(120)])
    course = Reader(path).session_summary(session, relative=True)
    assert course.baseline is None
    assert "has 0 readable rows of the face" in course.baseline_problem
    assert course.conditions[1].expression is None
    assert course.conditions[1].vitals[VitalKind.HEART_RATE].mean == 1


def test_the_page_switches_between_recorded_and_relative(tmp_path: Path) -> None:
    ada = set_up(client_of(tmp_path), tmp_path)
    path = DashboardOptions(data=tmp_path).database
    session = hold(path)
    record(path)
    address = f"/study/sessions/{session}/course"
    assert f'href="{address}"' in ada.get(f"/study/sessions/{session}").text
    recorded = ada.get(address).text
    relative = ada.get(f"{address}?relative=true").text
    assert 'data-label="heart rate">75.0<' in recorded
    assert 'data-label="heart rate">+15.0<' in relative
    assert "60.0 /min, 60 readings" in recorded
    assert "Sadness" in recorded
    assert "× the usual value" in recorded
    assert ada.get("/study/sessions/9/course").status_code == 404
    answer = ada.get(f"/api/v1/sessions/{session}/course?relative=true").json()
    assert answer["conditions"][1]["vitals"]["heart_rate"] == {"mean": 15.0, "n": 60}


def test_the_page_of_a_session_without_any_baseline_says_how_to_get_one(tmp_path: Path) -> None:
    ada = set_up(client_of(tmp_path), tmp_path)
    session = hold(DashboardOptions(data=tmp_path).database, opens=None, marker=False)
    page = ada.get(f"/study/sessions/{session}/course?relative=true").text
    assert "No neutral face was recorded" in page
    assert "Nothing was measured at rest" in page
