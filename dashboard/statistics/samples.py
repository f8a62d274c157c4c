"""Parts that every test here shares: checks of the values, errors, the interval. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dashboard.statistics import MINIMUM
from dashboard.statistics.distributions import Values
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_

# beyond these, fourth powers (Welch's df) leave the range of a double
_SMALLEST = 1e-60
_LARGEST = 1e60
# a range below this share of the values is rounding error
_CONSTANT = 64 * float(np.finfo(np.float64).eps)


class TooFewError(StatisticsError):
    """There are fewer participants than the test needs.

    The text says how many it needs and how many there are.
    """


class NoVariationError(StatisticsError):
    """The values do not vary, so that t would be a division by zero."""


class TooShortError(StatisticsError):
    """There are fewer measured seconds than the measures need.

    The text says how many they need.
    """


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, of 95 % where nothing else is said.

    Both ends in the unit of what it is about.
    """

    low: float
    high: float


def check_values(values: Iterable[float]) -> Values:
    """Return the values as an array after refusing what cannot be computed with."""
    sample = np.asarray(tuple(values), dtype=np.float64)
    # Raises at the first: one value to correct is enough to name.
    for value in sample[~np.isfinite(sample)]:
        raise StatisticsError(
            N_("{value} is not a finite number; leave the participant out or correct the reading"),
            value=value,
        )
    largest = float(np.max(np.abs(sample), initial=0.0))
    if largest > _LARGEST or 0 < largest < _SMALLEST:
        raise StatisticsError(
            N_(
                "the largest value is {largest:g}; it must be between {smallest:g} and "
                "{largest_2:g}. Choose another unit."
            ),
            largest=largest,
            smallest=_SMALLEST,
            largest_2=_LARGEST,
        )
    return sample


def pairs(first: Iterable[float], second: Iterable[float]) -> tuple[Values, Values]:
    """Return both sides of a paired test, checked."""
    a = check_values(first)
    b = check_values(second)
    if len(a) != len(b):
        raise StatisticsError(
            N_("pairs need equally many values on both sides, not {n} and {n_2}"),
            n=len(a),
            n_2=len(b),
        )
    if len(a) < MINIMUM:
        raise TooFewError(
            N_(
                "a paired test needs at least {minimum} participants with both states; there "
                "are {n}"
            ),
            minimum=MINIMUM,
            n=len(a),
        )
    if is_constant(a - b, np.concatenate([a, b])):
        raise NoVariationError(
            N_("the difference is the same for all {n} participants, so t has no denominator"),
            n=len(a),
        )
    return a, b


def groups(first: Iterable[float], second: Iterable[float]) -> tuple[Values, Values]:
    """Return both sides of an independent test, checked."""
    a = check_values(first)
    b = check_values(second)
    if min(len(a), len(b)) < MINIMUM:
        raise TooFewError(
            N_(
                "Welch's test needs at least {minimum} participants in each state; there are "
                "{n} and {n_2}"
            ),
            minimum=MINIMUM,
            n=len(a),
            n_2=len(b),
        )
    # One group that varies is enough for a standard error.
    if is_constant(a, a) and is_constant(b, b):
        raise NoVariationError(
            N_("no participant differs from another within either state, so t has no denominator")
        )
    return a, b


def is_constant(values: Values, scale: Values) -> bool:
    """Tell whether values spread by no more than rounding, given the size of what they were
    computed from.
    """
    return float(np.ptp(values)) <= _CONSTANT * float(np.max(np.abs(scale)))
