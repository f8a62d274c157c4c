"""The neutral face of a session, its frames, and its course as recorded and relative to rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.web.options import DashboardOptions
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import EMOTIONS, Emotion, Expression, RejectReason
from edge_agent.core.measures import MovementKind
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import MarkerKind, NewSession, Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.read.base import FaceFrames
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.sessions import (
    LEAST_ROWS,
    USUAL_LOG_ODDS,
    MeanReading,
    NeutralBaseline,
    neutral_shift,
)
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep.retention import prune
from tests.support.dashboard import client_of, set_up
from tests.support.timeline import (
    START_MS,
    Row,
    expression,
    instant,
    movement_row,
    query,
    reading,
    row,
    session_row,
    timeline,
)

NEUTRAL = EMOTIONS.index(Emotion.NEUTRAL)
SAD = EMOTIONS.index(Emotion.SADNESS)


RESTING_SAD = expression(neutral=0.5, sadness=0.45)
expressions = st.lists(st.floats(0.004, 1), min_size=8, max_size=8).map(
    lambda weights: Expression(tuple(w / sum(weights) for w in weights))
)
"""None below half of a per mille, which is recorded as 0."""


def baseline_of(rows: Sequence[Expression]) -> NeutralBaseline:
    return NeutralBaseline(1, 0, 20_000, len(rows), neutral_shift(rows))


def test_a_face_that_rests_as_usual_is_not_corrected() -> None:
    usual = baseline_of([expression(neutral=0.95)] * 20)
    assert usual.shift == (0.0,) * 8
    shown = expression(sadness=0.6, neutral=0.3)
    assert usual.correct(shown).probabilities == pytest.approx(shown.probabilities)


def test_a_face_that_rests_sad_is_sad_only_when_sadder() -> None:
    baseline = baseline_of([RESTING_SAD] * 20)
    resting = baseline.correct(RESTING_SAD)
    assert resting.dominant is Emotion.NEUTRAL
    assert resting.probabilities[SAD] / resting.probabilities[NEUTRAL] == pytest.approx(1 / 20)
    assert baseline.correct(expression(sadness=0.98, neutral=0.01)).dominant is Emotion.SADNESS


def test_a_short_smile_does_not_change_the_shift() -> None:
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
    with pytest.raises(ValueError, match="needs 5 rows of the face, not 4"):
        neutral_shift([certain] * (LEAST_ROWS - 1))


@given(st.lists(expressions, min_size=5, max_size=30), expressions)
def test_a_correction_raises_nothing_against_neutral(
    rows: list[Expression], shown: Expression
) -> None:
    baseline = baseline_of(rows)
    corrected = baseline.correct(shown)
    assert sum(corrected.probabilities) == pytest.approx(1)
    for index, (before, after) in enumerate(
        zip(shown.probabilities, corrected.probabilities, strict=True)
    ):
        odds = before / shown.probabilities[NEUTRAL]
        kept = after / corrected.probabilities[NEUTRAL]
        assert kept == pytest.approx(odds * math.exp(-baseline.shift[index]))
        assert kept <= odds * (1 + 1e-9)
    resting = baseline_of([shown] * 5).correct(shown).probabilities
    others = max(p for i, p in enumerate(resting) if i != NEUTRAL)
    assert others <= resting[NEUTRAL] / 20 * (1 + 1e-9), "whatever a face rests at reads neutral"


def rows_of(shown: Expression, seconds: range, *, primary: bool = True) -> list[Row]:
    return [row(s, shown.dominant, shown=shown, primary=primary) for s in seconds]


@pytest.fixture
def calibrated(tmp_path: Path) -> Path:
    """Session 1 of 100 s, with a baseline at 10 s during which the face rests sad.

    It smiles before and after.
    """
    smiling = expression(happiness=0.8, sadness=0.15)
    rows = rows_of(smiling, range(1, 11)) + rows_of(smiling, range(31, 140))
    rows += rows_of(RESTING_SAD, range(11, 31))
    rows += rows_of(expression(anger=0.9), range(11, 31), primary=False)
    rests = {"at": 10, "kind": "baseline", "label": "neutral"}
    return timeline(tmp_path, expression=rows, session=[session_row(0, None)], marker=[rests])


def test_the_baseline_is_of_the_twenty_seconds_after_its_marker_or_fewer(calibrated: Path) -> None:
    def baseline() -> NeutralBaseline:
        found = Reader(calibrated).baseline(1)
        assert found is not None
        return found

    def span(of: NeutralBaseline) -> tuple[int, int, int]:
        return of.start_ms - START_MS, of.end_ms - START_MS, of.rows

    assert span(baseline()) == (10_000, 30_000, 20)
    assert baseline().shift[SAD] == pytest.approx(math.log(0.45 / 0.5) - USUAL_LOG_ODDS)
    study = Study(calibrated)
    study.add_marker(MarkerKind.STIMULUS_START, "anger", at=instant(20))
    assert span(baseline()) == (10_000, 20_000, 10)
    study.add_marker(MarkerKind.BASELINE, "again", at=instant(40))
    study.end_session(at=instant(48.5))
    assert span(baseline()) == (40_000, 48_500, 8)


def test_what_has_no_baseline_differs_from_what_is_not_there(calibrated: Path) -> None:
    study = Study(calibrated)
    reader = Reader(calibrated)
    study.add_marker(MarkerKind.BASELINE, "", at=instant(136))
    said = r"baseline of session 1 at .* has 3 readable rows of the face; 5 are needed"
    with pytest.raises(StudyError, match=said):
        reader.baseline(1)
    study.end_session(at=instant(150))
    second = study.start_session(NewSession("P01", Purpose.RESEARCH), at=instant(160)).id
    assert reader.baseline(second) is None
    for call in (reader.baseline, reader.session_summary):
        with pytest.raises(StudyError, match="There is no session 99"):
            call(99)


def test_reader_frames_of_the_face_are_counted_by_reason(tmp_path: Path) -> None:
    dark = RejectReason.TOO_DARK
    small = RejectReason.TOO_SMALL
    path = timeline(
        tmp_path,
        expression=[row(1), row(2), row(3, primary=False)],
        unfit=[
            {"at": 1, "reason": dark, "frames": 4},
            {"at": 2, "reason": small, "frames": 9},
            {"at": 2, "reason": dark, "frames": 2},
            {"at": 2, "reason": dark, "frames": 50, "is_primary": 0},
            {"at": 30, "reason": small, "frames": 7},
        ],
    )
    reader = Reader(path)
    found = reader.face_frames(START_MS, START_MS + 10_000)
    assert found == FaceFrames(20, {small: 9, dark: 6}, 0.75)
    assert list(found.unfit) == [small, dark]
    assert found.seen == 35
    assert reader.face_frames(0, 1) == FaceFrames(0, {}, None)
    assert prune(path, 1, now_ms=START_MS + 86_400_000 + 10_000) == 7
    assert reader.face_frames(START_MS, START_MS + 60_000) == FaceFrames(0, {small: 7}, None)


def hold(path: Path, *, opens: str | None = "baseline", marker: bool = True) -> int:
    """Hold a session: 60 s of rest, then 60 s of anger."""
    opened = [(0, None, opens)] if opens else []
    rests = [{"at": 0.001, "kind": "baseline", "label": "neutral"}] if marker else []
    held = session_row(0, 120, *opened, (60, None, "anger"))
    timeline(path, session=[held], marker=rests)
    return 1


def record(path: Path) -> None:
    """Record 60 /min at rest and 75 /min in anger.

    A face that looks sad all the time; the cuff in anger only.
    """
    strap = [reading(second, 60 if second < 60 else 75) for second in range(120)]
    lost = [reading(second + 0.5, 200, flags=(VitalFlag.CONTACT_LOST,)) for second in range(30)]
    cuff = reading(90, 130, VitalKind.SYSTOLIC, "cuff")
    sad = rows_of(expression(neutral=0.6, sadness=0.3), range(1, 121))
    timeline(path, expression=sad, vital=[*strap, *lost, cuff])


def test_a_session_is_reported_as_recorded_or_relative_to_rest(path: Path) -> None:
    session = hold(path)
    record(path)
    before = query(path, "SELECT * FROM expression"), query(path, "SELECT * FROM vital")
    rest, anger = Reader(path).session_summary(session).conditions
    assert (rest.label, anger.label, rest.rows, anger.rows) == ("baseline", "anger", 60, 60)
    assert (anger.start_ms, anger.end_ms) == (START_MS + 60_000, START_MS + 120_000)
    assert rest.vitals == {VitalKind.HEART_RATE: MeanReading(60.0, 60)}
    assert anger.vitals[VitalKind.SYSTOLIC].mean == 130
    assert anger.expression is not None
    assert anger.expression[Emotion.SADNESS] == pytest.approx(0.3)

    course = Reader(path).session_summary(session, relative=True)
    assert course.resting is not None and course.baseline is not None
    expected = ("baseline", START_MS, START_MS + 60_000)
    assert (course.resting.label, course.resting.start_ms, course.resting.end_ms) == expected
    anger = course.conditions[1]
    assert anger.vitals == {VitalKind.HEART_RATE: MeanReading(15, 60)}, "the cuff was not at rest"
    shown = anger.expression
    assert shown is not None and sum(shown.values()) == pytest.approx(1)
    assert shown[Emotion.SADNESS] == pytest.approx(shown[Emotion.NEUTRAL] / 20)
    assert (query(path, "SELECT * FROM expression"), query(path, "SELECT * FROM vital")) == before


def test_course_movements_are_means_over_the_frames_of_a_condition(path: Path) -> None:
    session = hold(path)
    record(path)
    assert Reader(path).session_summary(session).conditions[0].movements is None
    smiles = [movement_row(second, smile=0.1, yaw=-4.0) for second in (10, 20)]
    strong = {**movement_row(70, smile=0.9, yaw=12.5, look_x=0.4), "frames": 15}
    other = movement_row(71, smile=0.0, primary=False)
    timeline(path, movement=[*smiles, strong, movement_row(80, smile=0.5), other])
    rest, anger = Reader(path).session_summary(session).conditions
    assert rest.movements is not None
    assert (rest.movements["smile"], rest.movements["yaw"]) == pytest.approx((0.1, -4.0))
    assert anger.movements is not None
    assert anger.movements["smile"] == pytest.approx((15 * 0.9 + 5 * 0.5) / 20)
    ada = set_up(client_of(path.parent), path.parent)
    page = ada.get(f"/study/sessions/{session}/course").text
    row_of_smile = page[page.index("Mouth corners up") :].split("</tr>")[0]
    assert ("10 %" in row_of_smile, "80 %" in row_of_smile) == (True, True)
    assert "Head turned" in page
    assert "Lips pressed" not in page, "withdrawn"
    assert "9.4°" in page
    look = page[page.index(MovementKind.LOOK_X.spec.label) :].split("</tr>")[0]
    assert (">0.00" in look, "+0.30" in look) == (True, True)


def test_relative_course_has_movements_above_those_at_rest(path: Path) -> None:
    session = hold(path)
    record(path)
    calm = [movement_row(second, smile=0.1, frown=0.4, yaw=-4.0) for second in (10, 20)]
    timeline(path, movement=[*calm, movement_row(70, smile=0.9, frown=0.3, yaw=12.5)])
    course = Reader(path).session_summary(session, relative=True)
    assert course.resting is not None
    assert (course.resting.movements["smile"], "yaw" in course.resting.movements) == (0.1, False)
    rest, anger = (condition.movements for condition in course.conditions)
    assert rest is not None and anger is not None
    assert (rest["smile"], anger["smile"], anger["frown"]) == pytest.approx((0.0, 0.8, -0.1))
    assert anger["yaw"] == 12.5, "an angle has no rest"
    ada = set_up(client_of(path.parent), path.parent)
    page = ada.get(f"/study/sessions/{session}/course?relative=true").text
    assert "+80 %" in page[page.index("Mouth corners up") :].split("</tr>")[0]


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
    found = resting and (resting.label, round((resting.end_ms - resting.start_ms) / 1000))
    assert found == ((label, seconds) if seconds else None)


def test_course_baseline_without_a_face_is_reported(path: Path) -> None:
    session = hold(path)
    timeline(path, vital=[reading(second, 60 + second // 60) for second in range(120)])
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
    rate = 'Heart rate <span class="hint">/min</span></th><td class="number">'
    assert rate + '60.0</td><td class="number">75.0<' in recorded
    assert rate + '0.0</td><td class="number">+15.0<' in relative
    assert "60.0 /min, 60 readings" in recorded
    assert "Sadness" in recorded
    assert "times its usual ratio to neutral" in recorded
    assert ada.get("/study/sessions/9/course").status_code == 404
    answer = ada.get(f"/api/v1/sessions/{session}/course?relative=true").json()
    assert answer["conditions"][1]["vitals"]["heart_rate"] == {"mean": 15.0, "n": 60}
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM marker")
    page = ada.get(f"{address}?relative=true").text
    assert "No neutral face was recorded" in page
    assert "Nothing was measured at rest" in page
