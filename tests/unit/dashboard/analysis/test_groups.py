"""Any states, groups of people by an attribute, and who lacks a state."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import pytest
from pydantic import ValidationError
from scipy.stats import ttest_ind

from dashboard.analysis.inference.groups import MissingMeasure, compare_missing
from dashboard.analysis.preregistration import (
    PreregistrationDocument,
    compare_with_newest,
    preregister,
)
from dashboard.analysis.query import TESTED_STATES, AnalysisQuery
from dashboard.analysis.readings.means import StateMean
from dashboard.analysis.rendering.tables import flow_csv
from dashboard.analysis.rendering.words import sentences
from dashboard.analysis.results import MissingModel
from dashboard.commands.analyse import report
from edge_agent.core.measures import ExpressionKind, Measure, RatingKind
from edge_agent.core.study import AttributeUse
from edge_agent.timeline.study.people import agree_to_attributes
from edge_agent.timeline.study.sessions import Study
from tests.support.analyses import answered
from tests.support.studies import HEART, add_session, heart, make_study

FILMS = ("rest", "Film A", "film b")


def tell(path: Path, code: str, **values: str) -> None:
    agree_to_attributes(path, code, AttributeUse.HERE, actor=None, values=values)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six women whom film A excites, five men whom it does not, one who has not told, one woman
    without film B, one who is the only one of a kind.
    """
    path = make_study(tmp_path_factory.mktemp("groups"), {})
    rng = random.Random(4)
    kinds = ["female"] * 6 + ["male"] * 5 + ["", "female", "other"]
    for number, kind in enumerate(kinds):
        level = rng.gauss(70, 4)
        values = {name: level + rng.gauss(0, 1) for name in FILMS}
        values["Film A"] += 12 if kind == "female" else 0
        if number == 12:
            del values["film b"]
        code = f"P-{number:02}"
        add_session(path, code, heart(**values))
        if kind:
            tell(path, code, sex=kind)
    return path


def test_states_are_labels_of_stimuli_in_any_case(study: Path) -> None:
    found = answered(study, states=("REST", "film a", "Film B"))
    assert [(test.first, test.second) for test in found.comparisons] == [
        ("Film B", "REST"),
        ("film a", "REST"),
        ("Film B", "film a"),
    ]
    assert [test.n_both for test in found.comparisons] == [13, 14, 13]
    assert not found.other_states
    assert found.all_states[0].n == 13
    assert found.flow is not None
    assert found.flow.stages[4].title == "In Film B, film a or REST"
    usual = answered(study, states=tuple(TESTED_STATES))
    assert usual.participants == 0, "nobody met anger, happiness or neutral"


def test_two_states_are_one_test_and_six_are_fifteen(tmp_path: Path) -> None:
    names = ("neutral", "surprise", "sadness", "fear", "disgust", "anger")
    rng = random.Random(1)
    people = {
        f"P-{number}": heart(**{name: 70 + rng.gauss(0, 3) for name in names})
        for number in range(4)
    }
    path = make_study(tmp_path, people)
    two = answered(path, states=("neutral", "fear"))
    assert (two.tests_computed, len(two.comparisons)) == (1, 1)
    assert two.comparisons[0].holm_p == two.comparisons[0].p
    assert "between the two states overall" in two.all_states[0].sentence
    assert answered(path, states=names).tests_computed == 15


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"states": ("anger",)}, "at least 2"),
        ({"states": tuple("abcdefg")}, "at most 6"),
        ({"states": ("anger", " Anger")}, "named twice"),
        ({"states": ("anger", " ")}, "no name"),
        ({"states": ("anger", "film a"), "state": "observed"}, "film a is not an emotion"),
        ({"vital": ("smile",), "state": "observed"}, "smile by observed .* be circular"),
    ],
)
def test_question_that_cannot_be_compared_is_refused(
    asked: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        AnalysisQuery.model_validate(asked)


def test_groups_are_compared_and_who_is_not_in_them_is_counted(study: Path) -> None:
    found = answered(study, states=FILMS, group="sex")
    [own] = found.groups
    assert own.sizes == {"female": 6, "male": 5, "other": 1}
    assert (own.too_small, own.no_attribute, own.incomplete) == (("other",), 1, {"female": 1})
    assert own.interaction is not None
    assert own.groups is not None
    assert own.interaction.adjusted_p < 0.001
    assert own.interaction.sentence.startswith("Heart rate, state × sex: F = ")
    assert own.interaction.sentence.endswith(
        "people: female 6, male 5. This only describes; Welch’s comparisons decide."
    )
    assert "the interaction of state and sex on heart rate" in own.interaction.apa
    assert "was F(" in own.groups.apa
    assert own.left_out == (
        "Heart rate: the group tests exclude 1 person without sex; 1 person without all states "
        "(female 1); 1 person in groups of fewer than 3 (other)."
    )


def test_the_size_of_an_interaction_is_reported_by_pairs_of_states(study: Path) -> None:
    [own] = answered(study, states=FILMS, group="sex").groups
    contrasts = {(c.first_state, c.second_state): c for c in own.contrasts}
    assert len(contrasts) == 4
    film = contrasts["Film A", "rest"]
    assert (film.first, film.second, film.n_first, film.n_second) == ("male", "female", 5, 6)
    assert film.difference == pytest.approx(-12, abs=2.5)
    assert film.interval.low < -12 < film.interval.high
    assert film.adjusted_p < 0.001 < contrasts["film b", "rest"].adjusted_p
    assert None in {first for first, _ in contrasts}


def test_the_flow_says_who_is_in_no_group_and_tells_no_attribute_in_export(study: Path) -> None:
    flow = answered(study, states=FILMS, group="sex").flow
    assert flow is not None
    text = flow_csv(flow)
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["step"] == "group"]
    assert {row["reason"]: row["people"] for row in rows} == {
        "used": "11",
        "no_attribute": "1",
        "incomplete": "1",
        "too_small": "1",
    }
    assert "female" not in text


def test_an_attribute_that_nobody_has_gives_a_reason_and_no_number(study: Path) -> None:
    [own] = answered(study, states=FILMS, group="handedness").groups
    assert (own.groups, own.interaction, own.contrasts) == (None, None, ())
    assert own.reason.startswith("it needs at least 2 groups of 3 people")
    assert own.no_attribute == 14
    assert "by handedness: no F test. It" in report(
        answered(study, states=FILMS, group="handedness")
    )


def test_who_withdraws_is_in_no_group_any_more(study: Path, tmp_path: Path) -> None:
    copy = tmp_path / "affect-edge.db"
    copy.write_bytes(study.read_bytes())
    Study(copy).withdraw_consent("P-00")
    [own] = answered(copy, states=FILMS, group="sex").groups
    assert (own.sizes["female"], own.no_attribute) == (5, 2)


def test_groups_five_wide_beside_thirty_are_reported_by_welch_alone(tmp_path: Path) -> None:
    rng = random.Random(1)
    path = make_study(tmp_path, {})
    people: dict[str, list[list[float]]] = {"beta blocker": [], "none": []}
    for number in range(35):
        kind = "beta blocker" if number < 5 else "none"
        spread = 12.0 if number < 5 else 2.0
        level = 70 + spread * rng.gauss(0, 1) + (7 if number < 5 else 0)
        own = [level + 0.3 * spread * rng.gauss(0, 1) for _ in FILMS]
        people[kind].append(own)
        add_session(path, f"P-{number}", heart(**dict(zip(FILMS, own, strict=True))))
        tell(path, f"P-{number}", medication=kind)
    found = answered(path, states=FILMS, group="medication")
    [one] = found.groups
    assert one.uneven and one.groups is not None and one.groups.adjusted_p < 0.05
    words = ("differ", "depend", "significant", "showed")
    for test in (one.groups, one.interaction):
        assert test is not None and not any(word in test.sentence + test.apa for word in words)
    overall = next(c for c in one.contrasts if c.first_state is None)
    # SciPy's Welch test of the same means over all states.
    sides = [[sum(own) / 3 for own in people[kind]] for kind in (overall.first, overall.second)]
    expected = ttest_ind(*sides, equal_var=False)
    assert overall.p == pytest.approx(expected.pvalue) and overall.adjusted_p > 0.05
    assert "no significant difference" in overall.sentence
    assert overall.sentence in sentences("groups", "lines", one)
    assert overall.apa.startswith(
        "Welch’s t test showed no significant difference in heart rate (all states) between none "
        "and beta blocker, mean difference "
    )
    assert not any("F test" in text for text in found.warnings)


def test_states_and_group_are_part_of_what_is_preregistered(study: Path) -> None:
    question = AnalysisQuery(states=FILMS, group="sex")
    preregister(study, PreregistrationDocument(question=question, people=14, stopping="n"), "me")
    same = compare_with_newest(study, question, 14, [])
    other = compare_with_newest(study, AnalysisQuery(states=("rest", "Film A")), 14, [])
    assert same is not None
    assert other is not None
    assert same.as_preregistered
    assert other.differences == (
        "states: preregistered rest, Film A, film b, now rest, Film A.",
        "group: preregistered sex, now none.",
    )
    faces = question.model_copy(update={"vital": (ExpressionKind.ANGER, RatingKind.SAM_AROUSAL)})
    preregister(study, PreregistrationDocument(question=faces, people=14, stopping="n"), "me")
    now = compare_with_newest(study, question, 14, [])
    assert now is not None
    (told,) = now.differences
    assert told == (
        "vital: preregistered probability of anger, self-rated arousal, now heart rate, systolic "
        "pressure, diastolic pressure."
    )


def test_preregistration_frozen_after_sessions_began_is_not_followed(study: Path) -> None:
    made = preregister(study, PreregistrationDocument(people=14, stopping="n"), "me")
    began = [made.at_ms - 1, made.at_ms, made.at_ms + 1]
    found = compare_with_newest(study, AnalysisQuery(), 14, began)
    assert found is not None
    assert not found.as_preregistered
    assert found.differences == ("1 of 3 sessions began before it was frozen.",)


REST = {"a": 70.0, "b": 66.0, "c": 73.0, "x": 71.0, "y": 64.0, "z": 69.0}


NEUTRAL = {"a": 81.0, "b": 78.5, "c": 83.0, "x": 73.0, "y": 65.5, "z": 71.5}


def measures_of(*, changes: bool) -> list[MissingMeasure]:
    means = [StateMean(code, HEART, "neutral", value, 9, False) for code, value in NEUTRAL.items()]
    means += [StateMean(code, HEART, "anger", 80.0, 9, False) for code in "xyz"]
    at_rest: dict[tuple[Measure, str], float]
    at_rest = {(HEART, code): value for code, value in REST.items()}
    lacking = [MissingModel(vital=HEART, state="anger", participants=("a", "b", "c"), sentence="")]
    [missing] = compare_missing(lacking, means, at_rest, changes=changes)
    assert (missing.lacking, missing.others) == (3, 3)
    return list(missing.measures)


def test_levels_and_reactions_are_compared_at_rest_and_in_other_states() -> None:
    measures = measures_of(changes=False)
    assert [(one.state, one.less) for one in measures] == [
        ("baseline", ""),
        ("neutral", ""),
        ("neutral", "baseline"),
    ]
    # R 4.2.2: p.adjust(c(t.test(rest) …), "holm") of the three
    assert [one.adjusted_p for one in measures] == pytest.approx(
        [0.59700507, 0.04688145, 0.00742066], rel=1e-6
    )


def test_changes_from_baseline_are_not_subtracted_from_each_other() -> None:
    assert [(one.state, one.less) for one in measures_of(changes=True)] == [
        ("baseline", ""),
        ("neutral", ""),
    ]
