"""Two one-sided tests against literals from R, and what they refuse."""

from __future__ import annotations

import math

import pytest

from dashboard.statistics.samples import NoVariationError, TooFewError
from dashboard.statistics.t_tests import DEFAULT_BOUNDS, Bounds, Method, equivalence, paired_t
from edge_agent.core.errors import StatisticsError
from edge_agent.core.vitals import VitalKind
from tests.support.statistics.known_designs import EQUIVALENCES, KnownEquivalence
from tests.support.statistics.known_statistics import HEART, TIED

FIVE = Bounds(-5.0, 5.0)


def close(value: float) -> object:
    """Equal to a relative 1e-9, however large or small the value."""
    return pytest.approx(value, rel=1e-9, abs=0)


@pytest.mark.parametrize("known", EQUIVALENCES, ids=str)
def test_equivalence_equals_r(known: KnownEquivalence) -> None:
    found = equivalence(*known.samples, Method(known.method), Bounds(*known.bounds))
    assert (found.interval.low, found.interval.high) == tuple(map(close, known.interval))
    assert (found.t_low, found.t_high, found.df) == tuple(map(close, known.t))
    assert (found.p_low, found.p_high) == tuple(map(close, known.p))
    assert found.p == max(found.p_low, found.p_high)


@pytest.mark.parametrize("known", EQUIVALENCES, ids=str)
def test_it_is_shown_exactly_when_the_90_percent_interval_lies_within_the_bounds(
    known: KnownEquivalence,
) -> None:
    found = equivalence(*known.samples, Method(known.method), Bounds(*known.bounds))
    within = known.bounds[0] < found.interval.low and found.interval.high < known.bounds[1]
    assert found.shown is within


def test_a_difference_can_be_real_and_yet_within_the_bounds() -> None:
    assert paired_t(*TIED).p < 0.05
    assert equivalence(*TIED, Method.PAIRED, FIVE).shown


def test_swapping_the_states_turns_the_signs() -> None:
    one = equivalence(*HEART, Method.PAIRED, Bounds(-2.0, 6.0))
    other = equivalence(HEART[1], HEART[0], Method.PAIRED, Bounds(-6.0, 2.0))
    assert (other.difference, other.t_low, other.t_high) == (
        -one.difference,
        -one.t_high,
        -one.t_low,
    )
    assert other.p == one.p


@pytest.mark.parametrize(
    "bad", [(0.0, 5.0), (-5.0, 0.0), (5.0, -5.0), (1.0, 5.0), (-math.inf, 5.0), (math.nan, 5.0)]
)
def test_bounds_that_are_not_around_zero_are_refused_by_name(bad: tuple[float, float]) -> None:
    with pytest.raises(StatisticsError, match="one finite number below and one above 0, not"):
        Bounds(*bad)


def test_what_the_t_test_refuses_is_refused() -> None:
    with pytest.raises(TooFewError, match="at least 3 participants with both states; there are 2"):
        equivalence([1.0, 2.0], [2.0, 5.0], Method.PAIRED, FIVE)
    with pytest.raises(NoVariationError, match="the same for all 3 participants"):
        equivalence([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], Method.PAIRED, FIVE)


def test_vitals_have_default_bounds_and_intervals_between_beats_have_none() -> None:
    assert set(VitalKind) - set(DEFAULT_BOUNDS) == {VitalKind.RR_INTERVAL}


def test_the_usual_bounds_are_what_the_standards_allow_a_device_to_be_wrong_by() -> None:
    pressures = (VitalKind.SYSTOLIC, VitalKind.DIASTOLIC, VitalKind.MEAN_ARTERIAL)
    for kind in (VitalKind.HEART_RATE, *pressures):
        assert DEFAULT_BOUNDS[kind] == FIVE
