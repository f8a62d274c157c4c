"""The steps of an analysis, each on plain values, and the answer that their parts make."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboard.analysis.query import AnalysisQuery, Model, Sample
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
from dashboard.analysis.steps.question import question_of
from dashboard.analysis.steps.tested import run_tests
from edge_agent.core.readings import VitalFlag
from tests.support.analyses import RATES, computed_of, group_of, material_of


def test_asked_names_the_sessions_that_are_looked_at() -> None:
    read = material_of()
    asked = question_of(read)

    assert (asked.question, asked.sample, asked.sessions) == (
        read.query,
        Sample.MEASURED,
        (1, 2, 3),
    )


def test_counted_keeps_doubtful_and_foreign_readings_apart() -> None:
    read = material_of(
        RATES,
        group_of("P1", "anger", 250.0, VitalFlag.CONTACT_LOST),
        group_of("P2", "a walk", 90.0),
    )

    counted = counted_of(read, run_tests(read))

    assert (counted.participants, counted.readings) == (3, 30)
    assert (counted.flagged, counted.flagged_left_out) == (5, 5)
    assert counted.other_states == {"a walk": 5}


def test_decided_has_the_difference_of_each_pair_of_states() -> None:
    read = material_of(RATES, group_of("P1", "anger", 250.0, VitalFlag.CONTACT_LOST))

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
    read = material_of()
    read = replace(
        read, sessions=tuple(replace(one, origin="x (times made up)") for one in read.sessions)
    )
    assert not read.is_timed

    tested = run_tests(read)

    assert tested.periods == ()
    assert decided_of(read, tested, None).drifts == ()


LATER = {
    "P1": {"anger": 74.0, "neutral": 70.0},
    "P2": {"anger": 68.0, "neutral": 71.0},
    "P3": {"anger": 79.0, "neutral": 72.0},
}
"""Where 20 s are left out: differences of 4, -3 and 7."""


def test_around_decides_each_choice_as_if_it_were_declared() -> None:
    answer = computed_of(material_of(around={20.0: LATER}))
    alone = computed_of(material_of(LATER))

    pairs = zip(answer.comparisons, alone.comparisons, answer.settling_sensitivity, strict=True)
    for test, other, table in pairs:
        rows = {one.settling: one for one in table.variants}
        assert (rows[10.0].p, rows[10.0].conclusion) == (test.result.p, test.result.conclusion)
        assert (rows[20.0].p, rows[20.0].difference) == (other.result.p, other.result.difference)
        assert table.changed == sum(
            one.conclusion is not test.result.conclusion for one in table.variants
        )
    assert any(one.changed for one in answer.settling_sensitivity)


def test_around_rows_are_of_the_mixed_model_where_it_decides() -> None:
    rates = {
        f"P{n}": {"anger": 70.0 + 3 * n + n % 4, "neutral": 65.0 + 3 * n + n % 3}
        for n in range(1, 8)
    }
    rates["P7"].pop("anger")  # a missing state calls for the model
    answer = computed_of(material_of(rates, around={20.0: LATER}, states=("neutral", "anger")))

    (test,), (table,) = answer.comparisons, answer.settling_sensitivity
    (row,) = [one for one in table.variants if one.settling == 10.0]
    assert answer.main == "mixed_model"
    assert (row.difference, row.n_first) == (test.result.difference, 7)
    assert row.difference != test.difference


class _Foreign(Model):
    weather: str = "fine"


ASKED = AskedModel(question=AnalysisQuery(), sample=Sample.MEASURED, sessions=())
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
