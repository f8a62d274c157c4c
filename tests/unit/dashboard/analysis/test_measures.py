"""Measures of heart and skin are decided as vital signs are: by order, time and misread faces."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from dashboard.analysis.conclusions import Caution, Conclusion
from dashboard.analysis.decision import decide_measures
from dashboard.analysis.inference.checks import ClassifierByCard
from dashboard.analysis.inference.measures import MeasuredValue, MeasuredValues, compare_measures
from dashboard.analysis.query import AnalysisQuery, SkinMeasure, StateBy
from dashboard.analysis.rendering.answer import BesideResults
from dashboard.analysis.rendering.words import say
from dashboard.analysis.results import By, SkinTestModel
from dashboard.statistics.period import Recall
from edge_agent.core.expression import Emotion

COUNT = SkinMeasure.SCR_COUNT
STATES = ("neutral", "anger")
QUERY = AnalysisQuery(states=STATES, skin_measure=(COUNT,))
FALL = -2.0
"""Of responses a minute, from the first state of a session to the second."""


def recorded(neutral_first: Sequence[bool]) -> MeasuredValues[SkinMeasure]:
    """Return responses that fall over a session, whatever the state is."""
    rng = random.Random(3)
    values = []
    for number, is_first in enumerate(neutral_first):
        order = STATES if is_first else STATES[::-1]
        level = 8 + rng.gauss(0, 1)
        for place, state in enumerate(order):
            value = level + FALL * place + rng.gauss(0, 0.3)
            minute = 2.0 + 5 * place
            values.append(MeasuredValue(COUNT, f"P{number:02}", number, state, value, minute))
    return MeasuredValues(tuple(values), {COUNT: {}})


def decided(
    neutral_first: Sequence[bool],
    query: AnalysisQuery = QUERY,
    face: ClassifierByCard | None = None,
    *,
    is_timed: bool = True,
) -> SkinTestModel:
    places = {
        (number, state): place
        for number, is_first in enumerate(neutral_first)
        for place, state in enumerate(STATES if is_first else STATES[::-1], 1)
    }
    compared = compare_measures(recorded(neutral_first), query, places, is_timed=is_timed)
    (test,) = decide_measures(SkinTestModel, compared, query, face)
    return test


def said(test: SkinTestModel, query: AnalysisQuery = QUERY) -> str:
    return say("beside", "measure", test, BesideResults(query, None, test.period))


def test_measure_in_one_order_is_reported_with_the_order() -> None:
    test = decided([True] * 12)
    assert (test.result.by, test.result.conclusion) == (By.PAIRED, Conclusion.LOWER)
    assert test.result.caution_codes == (Caution.ORDER,)
    assert "but the order may explain it: 12 of 12 people had anger after neutral." in said(test)


def test_measure_in_mostly_one_order_is_reported_at_equal_times() -> None:
    test = decided([True] * 9 + [False] * 3)
    assert test.adjusted_p is not None and test.adjusted_p < 0.05, "the fall makes a difference"
    assert (test.result.by, test.result.conclusion) == (By.EQUAL_TIMES, Conclusion.NOT_SHOWN)
    text = said(test)
    assert "no significant difference at equal times in the session, " in text
    assert f"As measured, ignoring time: −{abs(test.difference or 0):.1f} /min, Holm p" in text


def test_measure_in_balanced_order_has_no_caution() -> None:
    test = decided([True, False] * 6)
    assert (test.result.by, test.result.caution_codes) == (By.PAIRED, ())
    assert test.result.conclusion is Conclusion.NOT_SHOWN
    assert test.result.adjusted_p == test.adjusted_p


def test_measure_at_times_that_were_made_up_has_no_order() -> None:
    test = decided([True] * 12, is_timed=False)
    assert (test.period, test.result.caution_codes) == (None, ())


@pytest.mark.parametrize(
    "face", [None, ClassifierByCard("m 1", {Emotion(one): Recall(0.6, 90) for one in STATES})]
)
def test_measure_by_observed_emotion_is_an_association(face: ClassifierByCard | None) -> None:
    query = QUERY.model_copy(update={"state": StateBy.OBSERVED})
    shown = decided([True] * 12, query, face)
    assert shown.result.caution_codes == (Caution.ASSOCIATION, Caution.TIME)
    hidden = decided([True, False] * 6, query, face)
    assert hidden.result.caution_codes == (Caution.MISREAD,)
    text = "of it may be left" if face else "no model card says how much of it is left"
    assert text in said(hidden, query)
