"""The steps of an analysis, each on plain values, and the answer that their parts make."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboard.analysis.choices import settlings_of
from dashboard.analysis.query import AnalysisQuery, Model, Sample
from dashboard.analysis.readings.states import ReadingGroup, StateReadings
from dashboard.analysis.results import (
    AnalysisModel,
    AskedModel,
    ComputedModel,
    HeartsModel,
    SaidModel,
    SkinsModel,
)
from dashboard.analysis.steps.counted import counted_of
from dashboard.analysis.steps.decided import decided_of
from dashboard.analysis.steps.material import Choices, Material
from dashboard.analysis.steps.question import question_of
from dashboard.analysis.steps.tested import run_tests
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import Purpose, Session
from tests.support.studies import HEART

QUERY = AnalysisQuery(vital=(HEART,), sensitivity=False)
RATES = {"P1": (80.0, 70.0), "P2": (84.0, 71.0), "P3": (79.0, 72.0)}
"""Heart rates of three people in anger and in neutral, 1/min."""


def group(person: str, state: str, rate: float, *flags: VitalFlag) -> ReadingGroup:
    session = list(RATES).index(person) + 1
    return ReadingGroup(person, session, state, HEART, frozenset(flags), False, 5, 5 * rate, rate)


def material(*others: ReadingGroup) -> Material:
    """Return five readings of each person in two states, and what else is given."""
    groups = [
        group(person, state, rate)
        for person, rates in RATES.items()
        for state, rate in zip(("anger", "neutral"), rates, strict=True)
    ]
    (declared, *_) = settlings_of(QUERY)
    return Material(
        query=QUERY,
        sample=Sample.MEASURED,
        sessions=tuple(
            Session(number, person, Purpose.RESEARCH, "", 3_600_000 * number, None)
            for number, person in enumerate(RATES, start=1)
        ),
        excluded=[],
        stimuli=[],
        met=[],
        shown={},
        check=None,
        faces=None,
        choices=Choices({}, {declared: StateReadings((*groups, *others))}, None, 0),
        own={},
        sites={},
    )


def test_asked_names_the_sessions_that_are_looked_at() -> None:
    asked = question_of(material())

    assert (asked.question, asked.sample, asked.sessions) == (QUERY, Sample.MEASURED, (1, 2, 3))


def test_counted_keeps_doubtful_and_foreign_readings_apart() -> None:
    read = material(
        group("P1", "anger", 250.0, VitalFlag.CONTACT_LOST), group("P2", "a walk", 90.0)
    )

    counted = counted_of(read, run_tests(read))

    assert (counted.participants, counted.readings) == (3, 30)
    assert (counted.flagged, counted.flagged_left_out) == (5, 5)
    assert counted.other_states == {"a walk": 5}


def test_decided_has_the_difference_of_each_pair_of_states() -> None:
    read = material(group("P1", "anger", 250.0, VitalFlag.CONTACT_LOST))

    decided = decided_of(read, run_tests(read), None)

    anger, *others = [
        one for one in decided.comparisons if {one.first, one.second} == {"anger", "neutral"}
    ]
    assert not others
    assert anger.result.difference == pytest.approx(10.0)  # of 10, 13 and 7
    assert decided.tests_computed == 1
    assert {(one.state, one.mean) for one in decided.states if one.n} == {
        ("anger", 81.0),
        ("neutral", 71.0),
    }


def test_course_of_made_up_times_is_in_no_part() -> None:
    read = material()
    read = replace(
        read, sessions=tuple(replace(one, origin="x (times made up)") for one in read.sessions)
    )
    assert not read.is_timed

    tested = run_tests(read)

    assert tested.periods == ()
    assert decided_of(read, tested, None).drifts == ()


class _Foreign(Model):
    weather: str = "fine"


ASKED = AskedModel(question=QUERY, sample=Sample.MEASURED, sessions=())
HEARTS = HeartsModel(variability=(), heart_tests=())


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ((ASKED, HEARTS, HEARTS), "variability"),
        ((ASKED, HEARTS, _Foreign()), "weather"),
        ((ASKED, HEARTS), "skin_tests"),
    ],
    ids=["twice", "foreign", "nowhere"],
)
def test_answer_of_wrong_parts_is_refused_by_field(parts: tuple[Model, ...], named: str) -> None:
    with pytest.raises(TypeError, match=named):
        ComputedModel.of(*parts)


def test_each_field_of_the_answer_stands_in_one_part() -> None:
    parts = [one for one in ComputedModel.__bases__ if issubclass(one, Model)] + [SaidModel]
    names = [name for part in parts for name in part.model_fields]

    assert SkinsModel in parts
    assert sorted(names) == sorted(AnalysisModel.model_fields)
    assert len(set(names)) == len(names)
