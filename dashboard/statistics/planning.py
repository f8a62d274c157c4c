"""How many people a study needs before there are any data. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special

from dashboard.statistics.distributions import noncentral_t_cdf
from dashboard.statistics.sample_size import ALPHA, MOST, first_step
from dashboard.statistics.t_tests import Method
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_, Message

_FEWEST = 4
_POINTS = 25


@dataclass(frozen=True, slots=True)
class Design:
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
    """What a design needs.

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
        raise StatisticsError(Message(N_("a standard deviation is above 0; {sd:g} is not"), sd=sd))
    if not -1 <= correlation < 1:
        raise StatisticsError(
            Message(
                N_(
                    "a correlation lies from -1 to below 1; {correlation:g} does not. With 1 all "
                    "people would change alike."
                ),
                correlation=correlation,
            )
        )
    return sd * math.sqrt(2 * (1 - correlation))


def planned_power(design: Design, n: int, alpha: float) -> float:
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
            Message(N_("a plan needs at least {fewest} people, not {n}"), fewest=_FEWEST, n=n)
        )
    if not math.isfinite(design.effect) or design.effect == 0:
        raise StatisticsError(
            Message(
                N_("an effect is a finite number other than 0, not {effect:g}"),
                effect=design.effect,
            )
        )
    if not 0 < design.order < 1:
        raise StatisticsError(
            N_(
                "where everybody meets the states in the same order, no number of people can "
                "tell the state from the time in the session; let some of them meet the "
                "other one first"
            )
        )
    if not 0 < alpha < 1:
        raise StatisticsError(
            Message(N_("a level lies above 0 and below 1; {alpha:g} does not"), alpha=alpha)
        )
    if design.method is Method.PAIRED:
        df = n - 2
        shift = abs(design.effect) * math.sqrt(4 * n * design.order * (1 - design.order))
    else:
        df = 2 * n - 2
        shift = abs(design.effect) * math.sqrt(n / 2)
    limit = float(special.stdtrit(df, 1 - alpha / 2))
    return 1.0 - noncentral_t_cdf(limit, df, shift) + noncentral_t_cdf(-limit, df, shift)


def plan_study(design: Design, power: float) -> StudyPlan:
    """Return how many people a design needs by the rule that decides in its family.

    Formula: the smallest n with ``planned_power`` at 0.05 / m of at least ``power``: the level of
    the smallest p, in Holm's first step (Holm 1979). So the difference is found though nothing else
    in the family is one.

    Raises:
        StatisticsError: as ``planned_power`` and ``first_step``, a power out of range, or more than
            10,000 people would be needed.
    """
    if not ALPHA < power < 1:
        raise StatisticsError(
            Message(
                N_("a power lies above {alpha:g} and below 1; {power:g} does not"),
                alpha=ALPHA,
                power=power,
            )
        )
    level = first_step(design.tests)
    n = _fewest(design, power, level)
    step = max(1, math.ceil(1.6 * n / _POINTS))
    numbers = sorted({*range(_FEWEST, max(2 * _FEWEST, round(1.6 * n)) + 1, step), n})
    curve = tuple((number, planned_power(design, number, level)) for number in numbers)
    return StudyPlan(
        n, planned_power(design, n, level), level, _fewest(design, power, ALPHA), curve
    )


def _fewest(design: Design, power: float, level: float) -> int:
    if planned_power(design, MOST, level) < power:
        raise StatisticsError(
            Message(
                N_("to find an effect of {effect:g}, more than {most:,} people would be needed"),
                effect=design.effect,
                most=MOST,
            )
        )
    low = _FEWEST - 1
    high = MOST
    while high - low > 1:
        middle = (low + high) // 2
        if planned_power(design, middle, level) < power:
            low = middle
        else:
            high = middle
    return high
