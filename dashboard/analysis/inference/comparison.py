"""Tests of two states, of a family of such pairs with adjusted p values, and of all states at
once. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from dashboard.analysis.query import Correction, Design
from dashboard.statistics import MINIMUM
from dashboard.statistics.anova import RepeatedAnova, repeated_anova
from dashboard.statistics.corrections import benjamini_hochberg, holm, within_families
from dashboard.statistics.ranks import Normality, RankTest, rank_sum, shapiro_wilk, signed_rank
from dashboard.statistics.samples import NoVariationError, TooFewError
from dashboard.statistics.t_tests import (
    BayesFactor,
    EffectSize,
    Equivalence,
    EquivalenceBounds,
    Method,
    TTest,
    bayes_factor_independent,
    bayes_factor_paired,
    equivalence,
    hedges_g,
    paired_t,
    welch_t,
)

_DIGITS = 12  # further digits of the largest value are rounding error


class Obstacle(StrEnum):
    """The reason for a missing number."""

    TOO_FEW = "too_few"
    NO_VARIATION = "no_variation"


@dataclass(frozen=True, slots=True)
class Tests:
    """The numbers of one comparison.

    Attributes:
        t: the t-test.
        holm_p: its p, adjusted by Holm's method for the family that was computed together.
        bh_p: its p, adjusted for the same family by the method of Benjamini and Hochberg, for
            whoever asks for it.
        effect: Hedges' g.
        normality: Shapiro–Wilk of the differences (one entry) or of the two groups (two entries);
            ``None`` where the values do not vary.
        rank: the rank test of the same participants.
    """

    t: TTest
    holm_p: float
    bh_p: float
    effect: EffectSize
    normality: tuple[Normality | None, ...]
    rank: RankTest


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two states of one vital, first minus second.

    Attributes:
        n_both: participants who have both states, in one session.
        n_first_only: participants who have only the first.
        n_second_only: participants who have only the second.
        method: which test their numbers allow; ``None`` if none.
        left_out: participants whom that test does not use.
        difference: mean difference over those it uses; ``None`` without a method.
        tests: the numbers; ``None`` if there is an obstacle.
        obstacle: why there are none.
        first: the values that the test uses on the first side, in order of the participants' codes;
            with a paired test in the same order as ``second``. An equivalence test or a sample size
            for the same participants needs them.
        second: the values on the second side.
        n_apart: participants who have both states, but never in one session; no test uses them.
    """

    n_both: int
    n_first_only: int
    n_second_only: int
    method: Method | None
    left_out: int
    difference: float | None
    tests: Tests | None
    obstacle: Obstacle | None
    first: tuple[float, ...] = ()
    second: tuple[float, ...] = ()
    n_apart: int = 0


def adjusted_p(one: Tests | None, correction: Correction) -> float | None:
    """Return the p that decides, by the correction that was asked for; ``None`` without a test."""
    if one is None:
        return None
    return one.holm_p if correction is Correction.HOLM else one.bh_p


@dataclass(frozen=True, slots=True)
class StatesComparison:
    """All states of one vital at once.

    Attributes:
        n: participants who have all of them.
        left_out: participants who lack at least one, whom the test does not use.
        anova: repeated-measures analysis of variance; ``None`` if there is an obstacle.
        obstacle: why there is none.
    """

    n: int
    left_out: int
    anova: RepeatedAnova | None
    obstacle: Obstacle | None


def compare_family(
    sides: Iterable[tuple[Mapping[str, float], Mapping[str, float]]],
    design: Design = Design.AUTO,
    families: Sequence[int] = (),
) -> tuple[Comparison, ...]:
    """Compare each pair of states and adjust the p values of all t-tests that could be computed,
    within each family.

    Args:
        sides: for each comparison participant → mean in the first state, and the same in the
            second.
        design: as in ``compare``.
        families: for each comparison the number of its family; empty: all are one.

    Raises:
        StatisticsError: a mean is not finite or beyond 1e±60.
    """
    compared = [compare(first, second, design) for first, second in sides]
    p = [None if c.tests is None else c.tests.t.p for c in compared]
    strict = within_families(holm, p, families)
    mild = within_families(benjamini_hochberg, p, families)
    return tuple(
        replace(c, tests=replace(c.tests, holm_p=holm_p, bh_p=bh_p))
        if c.tests and holm_p is not None and bh_p is not None
        else c
        for c, holm_p, bh_p in zip(compared, strict, mild, strict=True)
    )


def compare_states(states: Sequence[Mapping[str, float]]) -> StatesComparison:
    """Compare all states at once, over the participants who have all of them.

    Args:
        states: for each state participant → mean.

    Raises:
        StatisticsError: fewer than two states, or a mean is not finite or beyond 1e±60.
    """
    everybody = set[str]().union(*states)
    complete = sorted(code for code in everybody if all(code in state for state in states))
    blank = StatesComparison(len(complete), len(everybody) - len(complete), None, Obstacle.TOO_FEW)
    try:
        return replace(
            blank,
            anova=repeated_anova([[s[code] for code in complete] for s in states]),
            obstacle=None,
        )
    except TooFewError:
        return blank
    except NoVariationError:
        return replace(blank, obstacle=Obstacle.NO_VARIATION)


def compare(
    first: Mapping[str, float], second: Mapping[str, float], design: Design = Design.AUTO
) -> Comparison:
    """Compare two states by the test that the participants allow.

    As a family of one, ``holm_p`` and ``bh_p`` are p.

    Paired where at least three participants have both states: those who have one are left out.
    Otherwise Welch, where
    at least three participants on each side have only that state: the one or two who have both are
    left out, because a person on both sides would make the groups dependent. The choice follows
    from who was measured, never from the values.

    Args:
        first: participant → mean in the first state.
        second: participant → mean in the second state.
        design: ``paired`` or ``independent`` asks for one of the two tests and no other; declare it
            before looking.

    Raises:
        StatisticsError: a mean is not finite or beyond 1e±60.
    """
    return _compute_numbers(_choose_test(first, second, design))


def _choose_test(
    first: Mapping[str, float], second: Mapping[str, float], design: Design
) -> Comparison:
    """Return which test the participants allow, with the values that it uses, and no numbers
    yet.
    """
    # Sorted, so that both values of a person stand in the same place of both sides.
    both = sorted(first.keys() & second.keys())
    first_only = sorted(first.keys() - second.keys())
    second_only = sorted(second.keys() - first.keys())
    blank = Comparison(
        len(both), len(first_only), len(second_only), None, 0, None, None, Obstacle.TOO_FEW
    )
    # Pairs first: a person compared with themselves tells more than two people do.
    if design is not Design.INDEPENDENT and len(both) >= MINIMUM:
        method = Method.PAIRED
        left_out = len(first_only) + len(second_only)
        one = both
        other = both
    elif design is not Design.PAIRED and min(len(first_only), len(second_only)) >= MINIMUM:
        method = Method.WELCH
        left_out = len(both)
        one = first_only
        other = second_only
    else:
        return blank
    a = tuple(first[code] for code in one)
    b = tuple(second[code] for code in other)
    return replace(blank, method=method, left_out=left_out, first=a, second=b)


def _t_test(chosen: Comparison) -> TTest:
    test = paired_t if chosen.method is Method.PAIRED else welch_t
    return test(chosen.first, chosen.second)


def _flat_difference(chosen: Comparison) -> float:
    """Return the difference of the means of constant values, rounded to 12 digits of the largest.

    Further digits are rounding error and differ between programs.
    """
    values = (*chosen.first, *chosen.second)
    difference = math.fsum(chosen.first) / len(chosen.first)
    difference -= math.fsum(chosen.second) / len(chosen.second)
    largest = max(abs(value) for value in values)
    if not largest:
        return 0.0
    # Adding 0.0 turns −0.0 into 0.0.
    return round(difference, _DIGITS - 1 - math.floor(math.log10(largest))) + 0.0


def _compute_numbers(chosen: Comparison) -> Comparison:
    """Return the comparison with its numbers, or with the obstacle that there is to them."""
    if chosen.method is None:
        return chosen
    a = chosen.first
    b = chosen.second
    paired = chosen.method is Method.PAIRED
    try:
        test = _t_test(chosen)
    except NoVariationError:
        return replace(chosen, difference=_flat_difference(chosen), obstacle=Obstacle.NO_VARIATION)
    tests = Tests(
        t=test,
        holm_p=test.p,
        bh_p=test.p,
        effect=hedges_g(a, b, test.method),
        normality=(_normality([x - y for x, y in zip(a, b, strict=True)]),)
        if paired
        else (_normality(a), _normality(b)),
        rank=signed_rank(a, b) if paired else rank_sum(a, b),
    )
    return replace(chosen, difference=test.difference, tests=tests, obstacle=None)


def _normality(values: Sequence[float]) -> Normality | None:
    """Return the Shapiro–Wilk test, or ``None`` where the values do not vary."""
    # One group may be constant while the other varies; the t-test stands, this one does not.
    try:
        return shapiro_wilk(values)
    except NoVariationError:
        return None


def evidence_of(comparison: Comparison) -> BayesFactor | None:
    """Return the Bayes factor of a comparison with the default scale; ``None`` without a test.

    Of two groups it is that of Student's t, which the factor is defined for, not of Welch's.
    """
    if comparison.tests is None:
        return None
    if comparison.method is Method.PAIRED:
        return bayes_factor_paired(comparison.tests.t.t, len(comparison.first))
    n = len(comparison.first)
    m = len(comparison.second)
    # Student's t of the same data, from the pooled variance.
    pooled = _squares(comparison.first) + _squares(comparison.second)
    error = math.sqrt(pooled / (n + m - 2) * (1 / n + 1 / m))
    return bayes_factor_independent(comparison.tests.t.difference / error, n, m)


def equivalence_of(comparison: Comparison, bound: float) -> Equivalence | None:
    """Tell whether a difference beyond ± ``bound`` is excluded; ``None`` without a test."""
    c = comparison
    if c.tests is None or c.method is None:
        return None
    return equivalence(c.first, c.second, c.method, EquivalenceBounds(-bound, bound))


def _squares(values: Sequence[float]) -> float:
    middle = math.fsum(values) / len(values)
    return math.fsum((value - middle) ** 2 for value in values)
