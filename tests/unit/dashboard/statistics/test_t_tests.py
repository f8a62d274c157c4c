"""T-tests, effect sizes, equivalence and Bayes factors against literals, and their refusals."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from dashboard.statistics.corrections import benjamini_hochberg, holm
from dashboard.statistics.ranks import rank_sum, shapiro_wilk, signed_rank
from dashboard.statistics.samples import NoVariationError, TooFewError
from dashboard.statistics.t_tests import (
    EquivalenceBounds,
    Method,
    bayes_factor_independent,
    bayes_factor_paired,
    equivalence,
    hedges_g,
    paired_t,
    small_sample_correction,
    summarize,
    welch_t,
)
from edge_agent.core.errors import StatisticsError
from tests.support.statistics.known_designs import EQUIVALENCES, KnownEquivalence
from tests.support.statistics.known_statistics import HEART, KNOWN, Known, close

every_known = pytest.mark.parametrize("known", KNOWN, ids=str)


adjusting = pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])


two_sided = pytest.mark.parametrize("test", [paired_t, welch_t, signed_rank, rank_sum])


@every_known
def test_the_t_test_and_hedges_g_equal_the_literature(known: Known) -> None:
    found = (paired_t if known.method == "paired" else welch_t)(known.a, known.b)
    assert found.method == known.method
    assert (found.n_first, found.n_second) == (len(known.a), len(known.b))
    difference = (found.difference, found.interval.low, found.interval.high)
    assert difference == tuple(map(close, known.difference))
    assert (found.t, found.df, found.p) == tuple(map(close, known.t))
    effect = hedges_g(known.a, known.b, Method(known.method))
    assert (effect.g, effect.interval.low, effect.interval.high) == tuple(map(close, known.g))


@every_known
def test_shapiro_wilk_equals_r(known: Known) -> None:
    if known.method == "paired":
        samples = [[x - y for x, y in zip(known.a, known.b, strict=True)]]
    else:
        samples = [list(sample) for sample in (known.a, known.b) if len(set(sample)) > 1]
    for sample, (w, p) in zip(samples, known.shapiro, strict=True):
        found = shapiro_wilk(sample)
        assert found.w == close(w)
        assert found.p == pytest.approx(p, abs=2e-8)  # SciPy's normal quantiles are coarser


@pytest.mark.parametrize("scale", [1e-50, 1e50])
def test_shapiro_wilk_has_no_scale(scale: float) -> None:
    found = shapiro_wilk([value * scale for value in HEART[0]])
    wanted = shapiro_wilk(HEART[0])
    assert (found.w, found.p) == (close(wanted.w), close(wanted.p))


@every_known
def test_the_rank_test_equals_enumeration_in_r(known: Known) -> None:
    found = (signed_rank if known.method == "paired" else rank_sum)(known.a, known.b)
    assert (found.statistic, found.p) == tuple(map(close, known.rank))
    assert found.exact is (known.name != "many")


@pytest.mark.parametrize(
    ("adjust", "expected"),
    # R 4.2.2: p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.2, 0.0001, 0.9, 0.04, 0.6), "holm" and "BH")
    [
        (holm, (0.07, 0.2, 0.18, 0.04, 0.6, 0.0009, 1.0, 0.2, 1.0)),
        (
            benjamini_hochberg,
            (0.03, 0.06, 0.06, 0.0225, 0.25714285714285717, 0.0009, 0.9, 0.06, 0.675),
        ),
    ],
)
def test_adjusted_p_equal_r(
    adjust: Callable[..., tuple[float, ...]], expected: tuple[float, ...]
) -> None:
    found = adjust([0.01, 0.04, 0.03, 0.005, 0.2, 0.0001, 0.9, 0.04, 0.6])
    assert found == tuple(map(close, expected))
    assert adjust([]) == ()


def test_benjamini_hochberg_is_not_a_bit_below_a_p() -> None:
    # R 4.2.2: p.adjust(c(0, 0, 0.99), "BH") is 0 0 0.99; 3 * 0.99 / 3 is the next number below
    # 0.99.
    assert benjamini_hochberg([0.0, 0.0, 0.99]) == (0.0, 0.0, 0.99)


@adjusting
def test_adjusting_refuses_what_is_no_probability(adjust: Callable[..., object]) -> None:
    with pytest.raises(StatisticsError, match=r"between 0 and 1; 1\.2 does not"):
        adjust([0.1, 1.2])
    with pytest.raises(StatisticsError, match="nan"):
        adjust([math.nan])


def test_the_small_sample_correction_is_exact() -> None:
    # R 4.2.2: exp(lgamma(df / 2) - lgamma((df - 1) / 2)) / sqrt(df / 2)
    assert small_sample_correction(2) == close(0.56418958354775628)
    assert small_sample_correction(19.5) == close(0.96095391885424097)
    with pytest.raises(StatisticsError, match="more than 1 degree"):
        small_sample_correction(1.0)


def test_a_summary_has_an_interval_from_three_people_on() -> None:
    found = summarize(HEART[0])
    assert (found.n, found.mean, found.sd) == (12, close(73.15625), close(4.2073815680409723))
    assert found.interval is not None
    # R 4.2.2: t.test(HEART[0])$conf.int
    ends = (close(70.483007288633104), close(75.829492711366896))
    assert (found.interval.low, found.interval.high) == ends
    one = summarize([71.5])
    two = summarize([70.0, 72.0])
    assert (one.n, one.mean, one.sd, one.interval) == (1, 71.5, None, None)
    assert (two.n, two.mean, two.sd, two.interval) == (2, 71.0, close(math.sqrt(2)), None)
    with pytest.raises(TooFewError, match="at least 1 participant; there are 0"):
        summarize([])


@two_sided
@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (math.nan, "nan is not a finite number"),
        (-math.inf, "-inf is not a finite number"),
        (1e61, "Choose another unit"),
        (1e-61, "Choose another unit"),
    ],
)
def test_a_value_that_cannot_be_computed_with_is_refused(
    test: Callable[..., object], bad: float, text: str
) -> None:
    sample = [bad, bad / 2, bad / 3]
    for sides in ((sample, [2.0, 2.5, 4.0]), ([2.0, 2.5, 4.0], sample)):
        with pytest.raises(StatisticsError, match=text):
            test(*sides)


# R 4.2.2 has p = 0.205 for two pairs: t.test(c(70, 75), c(68, 71), paired = TRUE). Here two are no
# study. R refuses values that do not vary, too: "data are essentially constant".
@pytest.mark.parametrize(
    ("tests", "sides", "text"),
    [
        (
            (paired_t, signed_rank),
            ([1.0, 2.0], [2.0, 5.0]),
            "at least 3 participants with both states; there are 2",
        ),
        (
            (welch_t, rank_sum),
            ([1.0, 2.0, 3.0, 4.0], [2.0, 5.0]),
            "at least 3 participants in each state; there are 4 and 2",
        ),
        ((paired_t, signed_rank), ([1.0, 2.0, 3.0], [2.0, 5.0, 6.0, 7.0]), "not 3 and 4"),
        ((welch_t,), ([70.0, 70.0, 70.0], [60.0, 60.0, 60.0, 60.0]), "within either state"),
    ],
)
def test_sides_that_cannot_be_tested_are_refused(
    tests: tuple[Callable[..., object], ...], sides: tuple[list[float], list[float]], text: str
) -> None:
    for test in tests:
        with pytest.raises(StatisticsError, match=text):
            test(*sides)


def test_shapiro_wilk_refuses_too_few_and_equal_values() -> None:
    with pytest.raises(TooFewError, match="at least 3 participants; there are 2"):
        shapiro_wilk([1.0, 2.0])
    with pytest.raises(NoVariationError, match="all values are equal"):
        shapiro_wilk([4.0, 4.0, 4.0])


@pytest.mark.parametrize("shift", [2.0, 0.0, 0.1])
def test_equal_differences_with_rounding_have_no_t(shift: float) -> None:
    first = [70.1, 71.3, 72.9, 80.7]
    with pytest.raises(NoVariationError, match="the difference is the same for all 4 participants"):
        paired_t(first, [value - shift for value in first])


FIVE = EquivalenceBounds(-5.0, 5.0)


@pytest.mark.parametrize("known", EQUIVALENCES, ids=str)
def test_equivalence_equals_r(known: KnownEquivalence) -> None:
    found = equivalence(*known.samples, Method(known.method), EquivalenceBounds(*known.bounds))
    assert (found.interval.low, found.interval.high) == tuple(map(close, known.interval))
    assert (found.t_low, found.t_high, found.df) == tuple(map(close, known.t))
    assert (found.p_low, found.p_high) == tuple(map(close, known.p))
    assert found.p == max(found.p_low, found.p_high)
    within = known.bounds[0] < found.interval.low and found.interval.high < known.bounds[1]
    assert (found.p < 0.05) is within


@pytest.mark.parametrize("bad", [(0.0, 5.0), (5.0, -5.0), (-math.inf, 5.0), (math.nan, 5.0)])
def test_bounds_that_are_not_around_zero_are_refused_by_name(bad: tuple[float, float]) -> None:
    with pytest.raises(StatisticsError, match="one finite number below and one above 0, not"):
        EquivalenceBounds(*bad)


DEFAULT = math.sqrt(2) / 2


# mpmath, 30 digits: quad over u = log g in pieces of 2 from -12 to 86 of the integrand of Rouder et
# al. 2009, eq. 1, divided by its value without an effect; natural logarithms.
FACTORS = (
    (2.24, 80, 1.0, -0.024008803090285753),
    (2.03, 100, 1.0, -0.53796727155549757),
    (0.5, 12, DEFAULT, -1.1390019150355169),
    (-4.0621, 10, DEFAULT, 2.8482927031123961),
    (50.0, 30, DEFAULT, 60.358181575764432),
)


@pytest.mark.parametrize(("t", "n", "scale", "log_factor"), FACTORS)
def test_pairs_equal_an_integral_of_30_digits(
    t: float, n: int, scale: float, log_factor: float
) -> None:
    found = bayes_factor_paired(t, n, scale)
    assert found.log_factor == pytest.approx(log_factor, rel=1e-9)
    assert found.for_difference * found.for_none == pytest.approx(1.0)


def test_the_sleep_data_have_the_factor_of_the_manual_of_bayes_factor() -> None:
    # manual of the R package: ttestBF of R's sleep, paired, r = 0.707: 17.259
    found = bayes_factor_paired(-4.062127683382037, 10)
    assert found.for_difference == pytest.approx(17.259, abs=5e-4)


def test_extreme_t_and_many_people_stay_finite_and_ordered() -> None:
    none = bayes_factor_paired(0.0, 100_000)
    large = bayes_factor_paired(50.0, 100_000)
    assert none.log_factor < -5 and math.isfinite(none.for_none)
    assert large.log_factor > 1000 and large.for_difference == math.inf
    assert bayes_factor_paired(-50.0, 100_000).log_factor == pytest.approx(large.log_factor)
    middle = bayes_factor_independent(2.5, 50_000, 50_000)
    assert none.log_factor < middle.log_factor < large.log_factor


def test_bayes_factor_of_unsuitable_values_is_refused() -> None:
    with pytest.raises(TooFewError, match="there are 2"):
        bayes_factor_paired(1.0, 2)
    with pytest.raises(StatisticsError, match="t is nan"):
        bayes_factor_paired(math.nan, 10)
    with pytest.raises(StatisticsError, match="give one above 0"):
        bayes_factor_paired(1.0, 10, 0.0)
