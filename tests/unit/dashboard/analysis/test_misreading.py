"""By observed emotion: states too short for the window, and misread faces."""

from __future__ import annotations

import numpy as np

from dashboard.analysis.checks import FaceReading, bounds_of, doubt_of, misreading_of, too_short
from dashboard.analysis.comparison import compare
from dashboard.analysis.family import in_family
from dashboard.analysis.request import AnalysisQuery, Correction, StateBy
from dashboard.statistics.period import Recall
from dashboard.statistics.t_tests import Bounds, Method, equivalence
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.store.read.matching import FaceLabels, mixture

OBSERVED = AnalysisQuery(state=StateBy.OBSERVED)
NEUTRAL = EMOTIONS.index(Emotion.NEUTRAL)
ANGER = EMOTIONS.index(Emotion.ANGER)


def alternating(seconds: int) -> FaceLabels:
    """Ten minutes at 1 Hz in which neutral and anger take turns."""
    at = np.arange(600, dtype=np.int64)
    states = np.where(at // seconds % 2 == 0, NEUTRAL, ANGER)
    return FaceLabels(1000 * at, states)


def test_states_of_five_seconds_are_too_short_for_a_window_of_ten() -> None:
    for seconds in (5, 7):
        assert too_short(mixture([alternating(seconds)], 10_000, 0.6)), seconds
    found = mixture([alternating(60)], 10_000, 0.6)
    assert not too_short(found)
    assert found.stretch_ms == 60_000
    assert 0 < found.mixed < 0.1 * found.windows
    assert not too_short(mixture([], 10_000, 0.6))


def test_equivalence_must_hold_where_misreading_shrinks_the_bound() -> None:
    first = [70.0, 75.1, 80.2, 66.4, 71.0, 77.3]
    second = [73.4, 78.6, 83.0, 69.9, 74.5, 80.4]
    comparison = compare(
        {f"P{n}": value for n, value in enumerate(first)},
        {f"P{n}": value for n, value in enumerate(second)},
    )
    declared = equivalence(first, second, Method.PAIRED, Bounds(-5, 5))
    assert declared.shown
    face = FaceReading("m 1", {Emotion.ANGER: Recall(0.8, 287), Emotion.NEUTRAL: Recall(0.9, 1182)})
    misread = misreading_of(OBSERVED, Emotion.ANGER, Emotion.NEUTRAL, face)
    strict = bounds_of(comparison, declared, misread)
    assert strict is not None
    assert strict.bounds.high < 3.6
    [decided] = in_family([(comparison, strict)], Correction.HOLM)
    assert decided is not None
    assert not decided.equivalent


def test_without_a_card_nothing_is_called_excluded_and_by_condition_nothing_changes() -> None:
    unknown = misreading_of(OBSERVED, Emotion.ANGER, Emotion.NEUTRAL, None)
    assert "is not known" in doubt_of(unknown, None)
    assert misreading_of(AnalysisQuery(), Emotion.ANGER, Emotion.NEUTRAL, None) is None
    assert doubt_of(None, None) == ""
