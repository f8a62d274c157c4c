"""The statistics against literals from R and SciPy, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from dashboard.statistics.distributions import benjamini_hochberg, holm
from dashboard.statistics.ranks import mean_ranks, rank_sum, shapiro_wilk, signed_rank
from dashboard.statistics.samples import NoVariationError, TooFewError
from dashboard.statistics.t_tests import (
    Method,
    hedges_g,
    paired_t,
    small_sample_correction,
    summarize,
    welch_t,
)
from edge_agent.core.errors import StatisticsError
from tests.support.statistics.known_statistics import HEART, KNOWN, MANY, Known

every_known = pytest.mark.parametrize("known", KNOWN, ids=str)
adjusting = pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
two_sided = pytest.mark.parametrize("test", [paired_t, welch_t, signed_rank, rank_sum])


def close(value: float) -> object:
    """Equal to a relative 1e-9, however large or small the value."""
    return pytest.approx(value, rel=1e-9, abs=0)


@every_known
def test_the_t_test_equals_the_literature(known: Known) -> None:
    found = (paired_t if known.method == "paired" else welch_t)(known.a, known.b)
    assert found.method == known.method
    assert (found.n_first, found.n_second) == (len(known.a), len(known.b))
    assert (found.difference, found.interval.low, found.interval.high) == tuple(
        map(close, known.difference)
    )
    assert (found.t, found.df, found.p) == tuple(map(close, known.t))


@every_known
def test_hedges_g_and_its_interval_equal_the_literature(known: Known) -> None:
    found = hedges_g(known.a, known.b, Method(known.method))
    assert (found.g, found.interval.low, found.interval.high) == tuple(map(close, known.g))


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


@pytest.mark.parametrize("scale", [1e-50, 1e-9, 1e9, 1e50])
def test_shapiro_wilk_has_no_scale(scale: float) -> None:
    found = shapiro_wilk([value * scale for value in HEART[0]])
    wanted = shapiro_wilk(HEART[0])
    assert (found.w, found.p) == (close(wanted.w), close(wanted.p))


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    values = np.array([3.0, 1.0, 3.0, 2.0, 3.0, 1.0])
    assert mean_ranks(values).tolist() == stats.rankdata(values).tolist()


@every_known
def test_the_rank_test_equals_enumeration_in_r(known: Known) -> None:
    found = (signed_rank if known.method == "paired" else rank_sum)(known.a, known.b)
    assert (found.statistic, found.p) == tuple(map(close, known.rank))
    assert found.exact is (known.name != "many")


def test_an_untied_signed_rank_test_equals_r() -> None:
    # R 4.2.2: wilcox.test(c(1.1, 2.3, -0.4, 3.2, 0.9, -1.5, 2.2), exact = TRUE)$p.value
    found = signed_rank([1.1, 2.3, -0.4, 3.2, 0.9, -1.5, 2.2], [0.0] * 7)
    assert found.p == close(0.15625)


def test_holm_equals_r() -> None:
    # R 4.2.2: p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.2, 0.0001, 0.9, 0.04, 0.6), "holm")
    found = holm([0.01, 0.04, 0.03, 0.005, 0.2, 0.0001, 0.9, 0.04, 0.6])
    assert found == tuple(map(close, (0.07, 0.2, 0.18, 0.04, 0.6, 0.0009, 1.0, 0.2, 1.0)))


def test_benjamini_hochberg_equals_r() -> None:
    # R 4.2.2: p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.2, 0.0001, 0.9, 0.04, 0.6), "BH")
    found = benjamini_hochberg([0.01, 0.04, 0.03, 0.005, 0.2, 0.0001, 0.9, 0.04, 0.6])
    assert found == tuple(
        map(close, (0.03, 0.06, 0.06, 0.0225, 0.25714285714285717, 0.0009, 0.9, 0.06, 0.675))
    )


def test_benjamini_hochberg_is_not_a_bit_below_a_p() -> None:
    # R 4.2.2: p.adjust(c(0, 0, 0.99), "BH") is 0 0 0.99; 3 * 0.99 / 3 is the next number below
    # 0.99.
    assert benjamini_hochberg([0.0, 0.0, 0.99]) == (0.0, 0.0, 0.99)


@adjusting
def test_an_empty_family_stays_empty(adjust: Callable[..., object]) -> None:
    assert adjust([]) == ()


@adjusting
def test_adjusting_refuses_what_is_no_probability(adjust: Callable[..., object]) -> None:
    with pytest.raises(StatisticsError, match=r"between 0 and 1; 1\.2 does not"):
        adjust([0.1, 1.2])
    with pytest.raises(StatisticsError, match="nan"):
        adjust([math.nan])


@pytest.mark.parametrize(
    ("df", "expected"),
    # R 4.2.2: exp(lgamma(df / 2) - lgamma((df - 1) / 2)) / sqrt(df / 2)
    [
        (2, 0.56418958354775628),
        (11, 0.92995980997577865),
        (19.5, 0.96095391885424097),
        (1000, 0.99924978117943442),
    ],
)
def test_the_small_sample_correction_is_exact(df: float, expected: float) -> None:
    assert small_sample_correction(df) == close(expected)


def test_the_small_sample_correction_refuses_one_degree_of_freedom() -> None:
    with pytest.raises(StatisticsError, match="more than 1 degree"):
        small_sample_correction(1.0)


def test_a_summary_has_mean_deviation_and_interval() -> None:
    found = summarize(HEART[0])
    assert (found.n, found.mean, found.sd) == (12, close(73.15625), close(4.2073815680409723))
    assert found.interval is not None
    # R 4.2.2: t.test(HEART[0])$conf.int
    assert (found.interval.low, found.interval.high) == (
        close(70.483007288633104),
        close(75.829492711366896),
    )


def test_a_summary_of_one_or_two_has_no_interval() -> None:
    one = summarize([71.5])
    two = summarize([70.0, 72.0])
    assert (one.n, one.mean, one.sd, one.interval) == (1, 71.5, None, None)
    assert (two.n, two.mean, two.sd, two.interval) == (2, 71.0, close(math.sqrt(2)), None)


def test_a_summary_of_nobody_is_refused() -> None:
    with pytest.raises(TooFewError, match="at least 1 participant; there are 0"):
        summarize([])


@two_sided
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused_by_name(
    test: Callable[..., object], bad: float
) -> None:
    with pytest.raises(StatisticsError, match=f"{bad} is not a finite number"):
        test([1.0, bad, 3.0], [2.0, 2.5, 4.0])
    with pytest.raises(StatisticsError, match=f"{bad} is not a finite number"):
        test([1.0, 2.0, 3.0], [2.0, 2.5, bad])


@two_sided
@pytest.mark.parametrize("bad", [1e61, 1e-61])
def test_a_size_whose_powers_leave_the_doubles_is_refused(
    test: Callable[..., object], bad: float
) -> None:
    with pytest.raises(StatisticsError, match="Choose another unit"):
        test([bad, bad / 2, bad / 3], [2.0, 2.5, 4.0])


# R 4.2.2 has p = 0.205 for two pairs: t.test(c(70, 75), c(68, 71), paired = TRUE). Here two are no
# study.
@pytest.mark.parametrize("test", [paired_t, signed_rank])
def test_two_pairs_are_too_few_and_the_text_says_how_many_are_needed(
    test: Callable[..., object],
) -> None:
    with pytest.raises(TooFewError, match="at least 3 participants with both states; there are 2"):
        test([1.0, 2.0], [2.0, 5.0])


@pytest.mark.parametrize("test", [welch_t, rank_sum])
def test_two_in_a_group_are_too_few_and_the_text_says_how_many_are_needed(
    test: Callable[..., object],
) -> None:
    with pytest.raises(
        TooFewError, match="at least 3 participants in each state; there are 4 and 2"
    ):
        test([1.0, 2.0, 3.0, 4.0], [2.0, 5.0])


@pytest.mark.parametrize("method", list(Method))
def test_an_effect_size_refuses_what_its_t_test_refuses(method: Method) -> None:
    with pytest.raises(TooFewError, match="at least 3"):
        hedges_g([1.0, 2.0], [2.0, 5.0], method)


@pytest.mark.parametrize("test", [paired_t, signed_rank])
def test_pairs_of_different_length_are_refused(test: Callable[..., object]) -> None:
    with pytest.raises(StatisticsError, match="not 3 and 4"):
        test([1.0, 2.0, 3.0], [2.0, 5.0, 6.0, 7.0])


# R 4.2.2 refuses these too, "data are essentially constant": t.test(c(70, 75, 80), c(68, 73, 78),
# paired = TRUE).
@pytest.mark.parametrize("shift", [2.0, 0.0, 0.1])
def test_equal_differences_have_no_t_even_where_rounding_makes_them_look_unequal(
    shift: float,
) -> None:
    first = [70.1, 71.3, 72.9, 80.7]
    with pytest.raises(NoVariationError, match="the difference is the same for all 4 participants"):
        paired_t(first, [value - shift for value in first])


def test_two_constant_groups_have_no_t() -> None:
    with pytest.raises(NoVariationError, match="within either state"):
        welch_t([70.0, 70.0, 70.0], [60.0, 60.0, 60.0, 60.0])


def test_values_of_zero_have_no_t() -> None:
    with pytest.raises(NoVariationError):
        paired_t([0.0, 0.0, 0.0], [0.0, 0.0, 0.0])


def test_shapiro_wilk_refuses_too_few_and_equal_values() -> None:
    with pytest.raises(TooFewError, match="at least 3 participants; there are 2"):
        shapiro_wilk([1.0, 2.0])
    with pytest.raises(NoVariationError, match="all values are equal"):
        shapiro_wilk([4.0, 4.0, 4.0])


def test_nearly_equal_differences_give_an_enormous_but_finite_effect() -> None:
    found = hedges_g([70.0, 75.0, 80.0], [60.0, 65.0, 70.0 + 1e-9], Method.PAIRED)
    assert found.interval.low < found.g < found.interval.high
    assert all(map(math.isfinite, (found.interval.low, found.interval.high)))


def test_many_values_use_the_normal_approximation() -> None:
    assert not signed_rank(*MANY).exact
    assert not rank_sum(*MANY).exact
    assert signed_rank(MANY[0][:50], MANY[1][:50]).exact
    assert rank_sum(MANY[0][:25], MANY[1][:25]).exact
