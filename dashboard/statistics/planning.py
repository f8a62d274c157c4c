"""Sizes of samples: how many people a study needs before there are any data, and how many are still
missing. Pure.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import special

from dashboard.statistics import ALPHA, MINIMUM
from dashboard.statistics.distributions import noncentral_t_cdf
from dashboard.statistics.samples import groups, pairs
from dashboard.statistics.t_tests import Method
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_

POWER = 0.8
"""How often a study should find the difference that it was planned for."""

MOST = 10_000
"""Pairs, or people in each group, beyond which a plan is refused: no laboratory study has so
many.
"""
# The test at equal times takes two degrees of freedom (see ``period``).
_FEWEST = 4
_POINTS = 25


@dataclass(frozen=True, slots=True)
class SampleSize:
    """The number of participants that are needed, and the power that they reach.

    Attributes:
        method: paired or Welch.
        n: pairs, or people in each of two equal groups.
        effect: the difference over the standard deviation of the differences (paired) or of the
            values (groups).
        power: what ``n`` reaches; at least what was asked for.
    """

    method: Method
    n: int
    effect: float
    power: float


@dataclass(frozen=True, slots=True)
class RequiredSample:
    """The number of people that a running study still needs.

    Attributes:
        size: what the planned difference needs.
        difference: that difference, in the unit of the vital.
        sd: standard deviation so far: of the differences (paired), or the average of the two
            states.
        more_first: how many more are needed on the first side, 0 where there are enough.
        more_second: how many more are needed on the second side; with pairs the same ones.
    """

    size: SampleSize
    difference: float
    sd: float
    more_first: int
    more_second: int


def power_of(method: Method, n: int, effect: float, alpha: float = ALPHA) -> float:
    """Return how often a two-sided t-test finds an effect: in either direction, as R's
    ``strict = TRUE``.

    Formula: δ = effect · √n, df = n − 1 for pairs; δ = effect · √(n / 2), df = 2n − 2 for groups;
    limit = t(1 − alpha / 2; df); power = P(T > limit) + P(T < −limit), T noncentral t with δ. Exact
    for normal differences, and for two groups of equal size and variance, where Welch's test is
    Student's but for its df. Source: Johnson, Kotz & Balakrishnan 1995, ch. 31; equal to R's
    ``power.t.test(…, strict = TRUE)``.

    Args:
        method: which t-test.
        n: pairs, or people in each group, at least 3.
        effect: mean difference over the standard deviation of the differences (paired) or of the
            values (groups).
        alpha: level of the test; of a family of m tests ``first_step(m)``.

    Raises:
        StatisticsError: fewer than 3, an effect that is not finite, or a level out of range.
    """
    if n < MINIMUM:
        raise StatisticsError(
            N_("a t-test needs at least {minimum} participants a side, not {n}"),
            minimum=MINIMUM,
            n=n,
        )
    if not math.isfinite(effect):
        raise StatisticsError(N_("an effect is a finite number, not {effect}"), effect=effect)
    if method is Method.PAIRED:
        return _power(n - 1, abs(effect) * math.sqrt(n), alpha)
    return _power(2 * n - 2, abs(effect) * math.sqrt(n / 2), alpha)


def _power(df: int, shift: float, alpha: float) -> float:
    """Return P(|T| > t(1 − alpha / 2; df)), T noncentral t with the shift."""
    if not 0 < alpha < 1:
        raise StatisticsError(
            N_("a level lies above 0 and below 1; {alpha:g} does not"), alpha=alpha
        )
    limit = float(special.stdtrit(df, 1 - alpha / 2))
    return 1.0 - noncentral_t_cdf(limit, df, shift) + noncentral_t_cdf(-limit, df, shift)


def first_step(tests: int) -> float:
    """Return the level that the smallest p of a family must reach: 0.05 / m.

    Holm's first step, and of Benjamini and Hochberg's method the level where one difference alone
    is real. A study planned at this level finds its difference though nothing else in the family is
    one; where others are, it finds it more often. Source: Holm 1979.

    Raises:
        StatisticsError: fewer than one test.
    """
    if tests < 1:
        raise StatisticsError(N_("a family has at least 1 test, not {tests}"), tests=tests)
    return ALPHA / tests


def sample_size(
    method: Method, effect: float, power: float = POWER, alpha: float = ALPHA
) -> SampleSize:
    """Return the fewest participants with which the t-test has the power.

    Formula: the smallest n of at least 3 with ``power_of`` ≥ ``power``. A family of tests needs
    more: give the level that decides in it (``first_step``). Source: as ``power_of``.

    Args:
        method: which t-test.
        effect: as in ``power_of``; the smallest that is worth finding, not the one that was
            observed.
        power: above 0.05 and below 1.
        alpha: level of the test.

    Raises:
        StatisticsError: an effect of 0, a power out of range, or more than 10,000 would be needed.
    """
    power_at = partial(power_of, method, effect=effect, alpha=alpha)
    n = _fewest(MINIMUM, power_at, power, effect)
    return SampleSize(method, n, effect, power_at(n))


def _fewest(least: int, power_at: Callable[[int], float], power: float, effect: float) -> int:
    """Return the smallest n from ``least`` on with ``power``, which rises with n."""
    if not ALPHA < power < 1:
        raise StatisticsError(
            N_("a power lies above {alpha:g} and below 1; {power:g} does not"),
            alpha=ALPHA,
            power=power,
        )
    if power_at(MOST) < power:
        raise StatisticsError(
            N_("to find an effect of {effect:g}, more than {most:,} participants would be needed"),
            effect=effect,
            most=MOST,
        )
    return least + bisect_left(range(least, MOST), power, key=power_at)


def still_needed(
    first: Iterable[float],
    second: Iterable[float],
    method: Method,
    difference: float,
    power: float = POWER,
    alpha: float = ALPHA,
) -> RequiredSample:
    """Return how many participants a running study still needs to find a declared difference.

    Formula: ``sample_size`` for difference / s, where s is the standard deviation of the
    differences so far (pairs), or √((s₁² + s₂²) / 2) (groups); less those who are there. Only the
    spread is taken from the data. The difference must not be: the power to find what was observed
    is p in other words (Hoenig & Heisey 2001). The spread of a few people is uncertain itself, so
    ask again as the study grows; doing so without looking at the difference leaves the error rate
    of the final test almost unchanged (Wittes & Brittain 1990). Assumes what the t-test assumes.

    Args:
        first: as in the t-test.
        second: as in the t-test.
        method: which t-test.
        difference: the smallest difference that is worth finding, in the unit of the values.
        power: above 0.05 and below 1.
        alpha: level of the test.

    Raises:
        StatisticsError: as the t-test of ``method`` and as ``sample_size``.
    """
    a, b = pairs(first, second) if method is Method.PAIRED else groups(first, second)
    if method is Method.PAIRED:
        sd = float(np.std(a - b, ddof=1))
    else:
        sd = math.sqrt((float(np.var(a, ddof=1)) + float(np.var(b, ddof=1))) / 2)
    size = sample_size(method, difference / sd, power, alpha)
    return RequiredSample(size, difference, sd, max(0, size.n - len(a)), max(0, size.n - len(b)))


@dataclass(frozen=True, slots=True)
class PlannedDesign:
    """A study as it is planned.

    Attributes:
        method: paired (everybody meets both states) or Welch (two groups).
        effect: the smallest difference worth finding over the standard deviation of the differences
            (paired, d_z) or of the values (groups, d).
        tests: size of the family.
        order: share of the people who meet the first state first, above 0 and below 1; the test at
            equal times in the session is planned for. 0.5 is balanced.
    """

    method: Method
    effect: float
    tests: int = 1
    order: float = 0.5


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """The number of people that a design needs.

    Attributes:
        n: pairs, or people in each of two groups.
        power: what they reach.
        level: level of the test: 0.05 divided by the size of the family.
        n_single: what one test at 0.05 would need.
        curve: number of people and power, rising.
    """

    n: int
    power: float
    level: float
    n_single: int
    curve: tuple[tuple[int, float], ...]


def difference_sd(sd: float, correlation: float) -> float:
    """Return the standard deviation of paired differences: s · √(2 (1 − r)).

    Args:
        sd: standard deviation between people, the same in both states.
        correlation: of a person's two values.

    Raises:
        StatisticsError: a spread that is not above 0, or a correlation outside −1…1.
    """
    if not 0 < sd < math.inf:
        raise StatisticsError(N_("a standard deviation is above 0; {sd:g} is not"), sd=sd)
    if not -1 <= correlation < 1:
        raise StatisticsError(
            N_(
                "a correlation lies from -1 to below 1; {correlation:g} does not. With 1 all "
                "people would change alike."
            ),
            correlation=correlation,
        )
    return sd * math.sqrt(2 * (1 - correlation))


def planned_power(design: PlannedDesign, n: int, alpha: float) -> float:
    """Return how often a planned study finds its difference.

    Formula: P(|T| > t(1 − α/2; df)), T noncentral t. Pairs: the test at equal times in the session,
    δ = d_z · √(n · 4 q (1 − q)) with q the share of one order, df = n − 2, for with times ± g the
    variance of the intercept is σ² / (n · (1 − (2q − 1)²)). Groups: δ = d · √(n / 2), df = 2n − 2.
    Equal to R's ``pt(…, ncp)``, for groups to ``power.t.test(strict = TRUE)``.

    Raises:
        StatisticsError: too few people, or an order, effect or level out of range.
    """
    if n < _FEWEST:
        raise StatisticsError(
            N_("a plan needs at least {fewest} people, not {n}"), fewest=_FEWEST, n=n
        )
    if not math.isfinite(design.effect) or design.effect == 0:
        raise StatisticsError(
            N_("an effect is a finite number other than 0, not {effect:g}"), effect=design.effect
        )
    if not 0 < design.order < 1:
        raise StatisticsError(
            N_(
                "if everybody goes through the states in the same order, no number of people "
                "can separate the state from the time in the session; let some start with the "
                "other state"
            )
        )
    if design.method is Method.PAIRED:
        shift = abs(design.effect) * math.sqrt(4 * n * design.order * (1 - design.order))
        return _power(n - 2, shift, alpha)
    return power_of(design.method, n, design.effect, alpha)


def plan_study(design: PlannedDesign, power: float) -> StudyPlan:
    """Return how many people a design needs by the rule that decides in its family.

    Formula: the smallest n with ``planned_power`` at 0.05 / m of at least ``power``: the level of
    the smallest p, in Holm's first step (Holm 1979). So the difference is found though nothing else
    in the family is one.

    Raises:
        StatisticsError: as ``planned_power`` and ``first_step``, a power out of range, or more than
            10,000 people would be needed.
    """
    level = first_step(design.tests)
    n, n_single = (
        _fewest(_FEWEST, partial(planned_power, design, alpha=alpha), power, design.effect)
        for alpha in (level, ALPHA)
    )
    # Beyond n, too: the curve shows what more people would bring.
    last = max(2 * _FEWEST, round(1.6 * n))
    numbers = sorted({*np.linspace(_FEWEST, last, _POINTS, dtype=int).tolist(), n})
    curve = tuple((number, planned_power(design, number, level)) for number in numbers)
    return StudyPlan(n, planned_power(design, n, level), level, n_single, curve)
