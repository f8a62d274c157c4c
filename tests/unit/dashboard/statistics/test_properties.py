"""What holds for any data: symmetries, invariances, and the tests agreeing with each other and with
SciPy.
"""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from dashboard.statistics.corrections import benjamini_hochberg, holm
from dashboard.statistics.ranks import rank_sum, signed_rank
from dashboard.statistics.t_tests import Method, hedges_g, paired_t, welch_t

quick = settings(max_examples=60, deadline=None)  # a busy machine may be slow

# Eighths of whole numbers: sums and differences are exact, so that ties stay ties when a constant
# is added.
value = st.integers(-2000, 2000).map(lambda n: n / 8)
pairs = st.lists(st.tuples(value, value), min_size=3, max_size=30)
groups = st.tuples(
    st.lists(value, min_size=3, max_size=20), st.lists(value, min_size=3, max_size=20)
)
probabilities = st.lists(st.floats(0, 1), max_size=15)


def split(pairs: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    a = [x for x, _ in pairs]
    b = [y for _, y in pairs]
    assume(len({x - y for x, y in pairs}) > 1)
    return a, b


@quick
@given(pairs)
def test_swapping_the_states_turns_the_signs_of_a_paired_test(
    data: list[tuple[float, float]],
) -> None:
    a, b = split(data)
    one = paired_t(a, b)
    other = paired_t(b, a)
    assert (other.t, other.difference) == (-one.t, -one.difference)
    assert (other.interval.low, other.interval.high) == pytest.approx(
        (-one.interval.high, -one.interval.low)
    )
    assert other.p == one.p
    g = hedges_g(a, b, Method.PAIRED)
    h = hedges_g(b, a, Method.PAIRED)
    assert h.g == -g.g
    assert (h.interval.low, h.interval.high) == pytest.approx(
        (-g.interval.high, -g.interval.low), abs=1e-9
    )
    ranks = signed_rank(a, b)
    swapped = signed_rank(b, a)
    assert (swapped.p, swapped.statistic) == (ranks.p, ranks.statistic)
    assert swapped.rank_biserial == -ranks.rank_biserial


@quick
@given(pairs, value)
def test_adding_a_constant_to_everybody_changes_nothing(
    data: list[tuple[float, float]], shift: float
) -> None:
    a, b = split(data)
    c = [x + shift for x in a]
    d = [x + shift for x in b]
    shifted = paired_t(c, d)
    plain = paired_t(a, b)
    assert (shifted.t, shifted.df, shifted.p) == pytest.approx(
        (plain.t, plain.df, plain.p), rel=1e-12, abs=1e-15
    )
    assert signed_rank(c, d) == signed_rank(a, b)
    assume(len(set(a)) > 1 or len(set(b)) > 1)
    one = welch_t(a, b)
    other = welch_t(c, d)
    assert (other.t, other.df, other.p) == pytest.approx((one.t, one.df, one.p), abs=1e-9)
    assert rank_sum(c, d) == rank_sum(a, b)


@quick
@given(pairs, st.integers(-40, 40))
def test_another_unit_changes_only_what_has_a_unit(
    data: list[tuple[float, float]], power: int
) -> None:
    a, b = split(data)
    scale = 2.0**power
    one = paired_t(a, b)
    other = paired_t([x * scale for x in a], [x * scale for x in b])
    # Sums may be taken in another order, so the last digit may differ.
    assert (other.t, other.p) == pytest.approx((one.t, one.p), rel=1e-12, abs=1e-15)
    assert other.interval.low == pytest.approx(one.interval.low * scale, abs=1e-9 * scale)
    g = hedges_g(a, b, Method.PAIRED)
    h = hedges_g([x * scale for x in a], [x * scale for x in b], Method.PAIRED)
    assert (h.g, h.interval.low, h.interval.high) == pytest.approx(
        (g.g, g.interval.low, g.interval.high), abs=1e-9
    )


@quick
@given(pairs)
def test_the_intervals_leave_out_zero_exactly_when_p_is_below_5_percent(
    data: list[tuple[float, float]],
) -> None:
    a, b = split(data)
    test = paired_t(a, b)
    effect = hedges_g(a, b, Method.PAIRED)
    assume(abs(test.p - 0.05) > 1e-9)
    for interval in (test.interval, effect.interval):
        assert (interval.low > 0 or interval.high < 0) is (test.p < 0.05)


@quick
@given(pairs)
def test_paired_tests_equal_scipy(data: list[tuple[float, float]]) -> None:
    a, b = split(data)
    found = paired_t(a, b)
    expected = stats.ttest_rel(a, b)
    interval = expected.confidence_interval(0.95)
    assert (found.t, found.p) == pytest.approx(
        (expected.statistic, expected.pvalue), rel=1e-9, abs=1e-15
    )
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (interval.low, interval.high), rel=1e-9, abs=1e-9
    )


@quick
@given(groups)
def test_tests_of_groups_equal_scipy(data: tuple[list[float], list[float]]) -> None:
    a, b = data
    assume(len(set(a)) > 1 and len(set(b)) > 1)  # SciPy warns about a constant group
    found = welch_t(a, b)
    expected = stats.ttest_ind(a, b, equal_var=False)
    assert (found.t, found.df, found.p) == pytest.approx(
        (expected.statistic, expected.df, expected.pvalue), rel=1e-9, abs=1e-15
    )
    if len(set(a + b)) == len(a + b):
        exact = stats.mannwhitneyu(a, b, method="exact")
        ours = rank_sum(a, b)
        assert (ours.statistic, ours.p) == pytest.approx((exact.statistic, exact.pvalue), rel=1e-9)


@quick
@given(st.lists(value.filter(bool), min_size=3, max_size=50, unique_by=abs))
def test_untied_signed_ranks_equal_scipys_exact_test(differences: list[float]) -> None:
    expected = stats.wilcoxon(differences, method="exact")
    ours = signed_rank(differences, [0.0] * len(differences))
    assert (ours.statistic, ours.p) == pytest.approx(
        (expected.statistic, expected.pvalue), rel=1e-9
    )


@quick
@given(probabilities)
def test_adjusting_keeps_the_order_never_lowers_a_p_and_holm_is_stricter(p: list[float]) -> None:
    order = sorted(range(len(p)), key=p.__getitem__)
    strict = holm(p)
    mild = benjamini_hochberg(p)
    for adjusted in (strict, mild):
        assert all(raw <= new <= 1 for raw, new in zip(p, adjusted, strict=True))
        assert [adjusted[i] for i in order] == sorted(adjusted)
    assert all(
        new <= other or new == pytest.approx(other) for new, other in zip(mild, strict, strict=True)
    )


@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_benjamini_hochberg_equals_scipy(p: list[float]) -> None:
    assert benjamini_hochberg(p) == pytest.approx(tuple(stats.false_discovery_control(p)))
