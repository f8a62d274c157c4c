"""Wearers who move more in one state than in another: a caution of what is measured at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, permutations
from math import log1p
from pathlib import Path

import pytest
from scipy import stats

from dashboard.analysis.conclusions import Caution
from dashboard.analysis.decision import with_cautions
from dashboard.analysis.inference.motion import compare_motion, motion_beside
from dashboard.analysis.query import AnalysisQuery
from dashboard.analysis.readings.means import session_means, sides_of
from dashboard.analysis.readings.states import ReadingGroup
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.results import ComparisonModel
from dashboard.analysis.steps.decided import decide_family
from dashboard.analysis.steps.tested import compare_means
from dashboard.questions.entry import Inquiry
from dashboard.questions.responses.answer import ResponsesQuery
from dashboard.questions.responses.question import answer as curves_of
from edge_agent.core.study import AttributeUse
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.study.people import agree_to_attributes
from tests.support.analyses import analysed
from tests.support.timeline import Row, reading, row, session_row, timeline

STATES = ("anger", "happiness", "neutral")
LASTS = 110
PAIR = ("anger", "neutral")
Wearer = Callable[[int, str, int], float]
"""By person, state and its second: mg."""


def study(folder: Path, wearer: Wearer | None, people: int = 6, before: int = 0) -> Path:
    """Write a session for each person, of three states one after the other, and some seconds before
    each.
    """
    sessions: list[Row] = []
    faces: list[Row] = []
    readings = []
    for person, order in zip(range(people), cycle(permutations(STATES)), strict=False):
        begins = [1000 * person + 10 + (LASTS + 40) * place for place in range(3)]
        shown = [(at, at + LASTS, label) for at, label in zip(begins, order, strict=True)]
        first = 1000 * person
        sessions.append(session_row(first, first + 500, *shown, participant=f"P{person}"))
        for at, label in zip(begins, order, strict=True):
            for second in range(-before, LASTS):
                wave = (second * 7919 * (person + 2) + len(label) * person) % (15 + len(label))
                for kind, value in (
                    (VitalKind.HEART_RATE, 70 + wave / 10),
                    (VitalKind.RR_INTERVAL, 0.9 + wave / 1000),
                    (VitalKind.SKIN_CONDUCTANCE, 5 + wave / 100),
                ):
                    readings.append(reading(at + second + 0.5, value, kind))
                faces.append(row(at + second + 0.7))
                if wearer is not None and second % 5 == 4:
                    moved = wearer(person, label, second)
                    readings.append(reading(at + second + 0.9, moved, VitalKind.BODY_MOTION))
    return timeline(folder, session=sessions, vital=readings, expression=faces)


def restless(person: int, state: str, second: int) -> float:
    """Return the motion of one who moves in anger."""
    usual = 4 + (second * 13 + person) % 5
    return usual + (40 + person if state == "anger" and second % 3 else 0)


def groups(kind: VitalKind, means: Sequence[tuple[float, float]]) -> list[ReadingGroup]:
    """Return readings of people in anger and in neutral."""
    return [
        ReadingGroup(f"P{place:02d}", place, state, kind, frozenset(), False, 10, 10 * one, one)
        for place, both in enumerate(means)
        for state, one in zip(PAIR, both, strict=True)
    ]


def test_motion_is_compared_within_people_as_scipy_does() -> None:
    means = {"A": (30.0, 4.0), "B": (12.0, 5.0), "C": (300.0, 3.0), "D": (9.0, 8.0)}
    found = compare_motion(
        groups(VitalKind.BODY_MOTION, [*means.values()]), AnalysisQuery(states=("neutral", "anger"))
    )[PAIR].model
    first, second = ([log1p(one[place]) for one in means.values()] for place in (0, 1))
    assert found.p == pytest.approx(stats.ttest_rel(first, second).pvalue, rel=1e-9)
    assert (found.first, found.second, found.people) == pytest.approx((87.75, 5.0, 4))


def test_motion_in_one_state_is_a_caution_with_its_size(tmp_path: Path) -> None:
    path = study(tmp_path, restless)
    answer = response_of(analysed(path, vital=["heart_rate", "valence"]))
    tests = {(one.vital, one.first, one.second): one for one in answer.comparisons}
    heart = tests[(VitalKind.HEART_RATE, *PAIR)]
    assert heart.motion is not None and heart.motion.people == 6
    assert Caution.MOTION in heart.result.caution_codes
    assert heart.bayes_factor is not None and Caution.MOTION in heart.bayes_factor.caution_codes
    assert "The wearers did not move alike, which may make or hide a difference:" in heart.sentence
    alike = tests[VitalKind.HEART_RATE, "happiness", "neutral"]
    assert alike.motion is not None and not alike.motion.is_unequal
    assert Caution.MOTION not in alike.result.caution_codes
    face = next(one for (kind, *_), one in tests.items() if kind == "valence")
    assert face.motion is None and Caution.MOTION not in face.result.caution_codes


def test_motion_in_one_state_is_a_caution_of_beats_and_skin(tmp_path: Path) -> None:
    answer = analysed(study(tmp_path, restless), heart_measure=["sdnn"]).answer
    hearts = [one for one in answer.heart_tests if (one.first, one.second) == PAIR]
    skins = [one for one in answer.skin_tests if (one.first, one.second) == PAIR]
    for motion, result in [(one.motion, one.result) for one in (*hearts, *skins)]:
        assert motion is not None and motion.is_unequal
        assert result.by is None or Caution.MOTION in result.caution_codes
    assert hearts and skins


def compared(
    heart: Sequence[tuple[float, float]], motion: Sequence[tuple[float, float]]
) -> ComparisonModel:
    """Return the decided comparison of anger and neutral."""
    query = AnalysisQuery(vital=(VitalKind.HEART_RATE,), states=("neutral", "anger"))
    means = session_means(groups(VitalKind.HEART_RATE, heart), query.states)
    tests = compare_means(query, means, {}, is_timed=False)
    (test,) = with_cautions(
        decide_family(query, tests),
        {
            "motion": motion_beside(
                compare_motion(groups(VitalKind.BODY_MOTION, motion), query),
                lambda one: sides_of(tests.visits, one.vital, one.first, one.second),
            )
        },
    )
    assert test.result.shows_difference
    return test


@pytest.mark.parametrize("is_of_movers", [True, False])
def test_motion_of_those_who_differ_is_a_caution_of_the_difference(is_of_movers: bool) -> None:
    noise = [((7 * place) % 12 - 5.5) / 4 for place in range(12)]
    moved = [place % 3 == 0 for place in range(12)]
    # the rise of all, or of those who moved; the others moved a little less
    rises = [10.0 * one if is_of_movers else 4.0 for one in moved]
    heart = [(70 + rise + one, 70.0) for rise, one in zip(rises, noise, strict=True)]
    motion = [(60.0, 5.0) if one else (5.0, 5.0 + place % 5) for place, one in enumerate(moved)]
    test = compared(heart, motion)
    assert test.motion is not None and not test.motion.is_unequal
    assert test.motion.explains is is_of_movers
    assert (Caution.MOTION in test.result.caution_codes) is is_of_movers


@pytest.mark.parametrize(("mg", "is_warned"), [(120.0, True), (40.0, False)])
def test_much_motion_is_a_caution_whatever_its_p(mg: float, is_warned: bool) -> None:
    heart = [(75.0, 70.0), (76.0, 70.5), (74.0, 69.5)]
    test = compared(heart, [(mg, 5.0), (5.0, 6.0), (6.0, 7.0)])
    assert test.motion is not None and not (test.motion.is_unequal or test.motion.explains)
    assert (Caution.MOTION in test.result.caution_codes) is is_warned


@pytest.mark.parametrize(
    "wearer",
    [
        pytest.param(lambda person, _, second: 4 + (second * 13 + person) % 5, id="alike"),
        pytest.param(lambda person, state, _: 3 + person / 10 + (state == "anger"), id="tiny"),
        pytest.param(None, id="not recorded"),
    ],
)
def test_motion_that_differs_by_nothing_is_no_caution(
    wearer: Wearer | None, tmp_path: Path
) -> None:
    answer = analysed(study(tmp_path, wearer)).answer
    assert answer.comparisons
    for one in answer.comparisons:
        assert Caution.MOTION not in one.result.caution_codes
        assert (one.motion is None) or wearer is not None


def test_groups_of_which_one_moves_in_a_state_say_so(tmp_path: Path) -> None:
    path = study(
        tmp_path, lambda person, *rest: (restless if person % 2 else calm)(person, *rest), 12
    )
    for person in range(12):
        values = {"arm": "ab"[person % 2]}
        agree_to_attributes(path, f"P{person}", AttributeUse.HERE, actor=None, values=values)
    answer = response_of(analysed(path, vital=["heart_rate", "valence"], group="arm"))
    heart, face = answer.groups
    of = {(one.first_state, one.second_state): one for one in heart.contrasts}
    motion = of[PAIR].motion
    assert motion is not None and motion.state == "anger"
    assert of[PAIR].caution_codes == (Caution.MOTION,)
    assert "The wearers did not move alike" in of[PAIR].sentence
    assert of["happiness", "neutral"].caution_codes == ()
    assert all(one.motion is None and not one.caution_codes for one in face.contrasts)


def calm(person: int, _: str, second: int) -> float:
    """Return the motion of one who sits still."""
    return 4 + (second * 13 + person) % 5


def test_curves_after_events_at_which_wearers_move_say_so(tmp_path: Path) -> None:
    query = ResponsesQuery.model_validate({"vital": ["heart_rate", "valence"]})
    inquiry = Inquiry((("", study(tmp_path, restless, before=10)),), query)
    tests = {(one.vital, one.first): one for one in curves_of(inquiry).tests}
    heart = tests[VitalKind.HEART_RATE, "anger"]
    assert heart.motion is not None and heart.motion.first > heart.motion.second + 20
    assert Caution.MOTION in heart.caution_codes
    assert "The wearers did not move alike, which may make or hide a difference:" in heart.sentence
    assert Caution.MOTION not in tests[VitalKind.HEART_RATE, "happiness"].caution_codes
    assert all(one.motion is None for (kind, _), one in tests.items() if kind == "valence")
