"""A session by condition: as recorded, and relative to the neutral face and the vitals at rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.web.settings import DashboardOptions
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import EMOTIONS, Emotion, Expression, ExpressionRow
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import MarkerKind, Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.reader import Reader
from edge_agent.store.study.study import Study
from tests.support.dashboard import client_of, set_up
from tests.support.timeline import START_MS, add, database, instant, query, reading, row

SAD_AT_REST = Expression(
    tuple({Emotion.NEUTRAL: 0.6, Emotion.SADNESS: 0.3}.get(e, 0.1 / 6) for e in EMOTIONS)
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return database(tmp_path)


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
