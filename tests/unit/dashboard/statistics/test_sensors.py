"""Agreement of two instruments; literals by R 4 (aov) and pingouin 0.5 (intraclass_corr)."""

from __future__ import annotations

import pytest

from dashboard.statistics.agreement import intraclass_correlation, limits_of_agreement
from dashboard.statistics.samples import NoVariationError, TooFewError

PEOPLE = ["a", "a", "a", "b", "b", "c", "c", "c", "c", "d"]
DIFFERENCES = [1.5, 2.25, 0.5, -1, 0.25, 3, 2.5, 4, 3.25, 0.75]
FIRST = [62.0, 71.5, 80.25, 55.0, 90.0, 68.0]
SECOND = [64.5, 70.0, 84.0, 58.5, 93.0, 69.0]


def test_limits_count_what_people_differ_by_and_what_each_varies_by() -> None:
    found = limits_of_agreement(PEOPLE, DIFFERENCES)
    assert (found.n, found.people) == (10, 4)
    assert found.bias == pytest.approx(1.7, rel=1e-12)
    assert found.sd == pytest.approx(1.72937104357313, rel=1e-12)
    assert found.limits.low == pytest.approx(-1.68956724540333, rel=1e-12)
    assert found.limits.high == pytest.approx(5.08956724540333, rel=1e-12)


def test_limits_of_one_person_or_of_single_differences_are_refused() -> None:
    with pytest.raises(TooFewError, match="there are 3 of 1"):
        limits_of_agreement(["a"] * 3, [1.0, 2.0, 3.0])
    with pytest.raises(TooFewError, match="there are 3 of 3"):
        limits_of_agreement(["a", "b", "c"], [1.0, 2.0, 3.0])


def test_an_intraclass_correlation_is_that_of_pingouin() -> None:
    found = intraclass_correlation(FIRST, SECOND)
    assert found.icc == pytest.approx(0.9772098788976831, rel=1e-12)
    assert (round(found.interval.low, 2), round(found.interval.high, 2)) == (0.71, 1.0)


def test_instruments_that_differ_by_a_constant_have_no_correlation_to_tell() -> None:
    with pytest.raises(NoVariationError, match="the same amount in everybody"):
        intraclass_correlation([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    with pytest.raises(TooFewError, match="there are 2"):
        intraclass_correlation([1.0, 2.0], [2.0, 3.0])
