"""Spread of the values of people in one state: quartiles and ends of whiskers. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

_REACH = 1.5  # boxes, as Tukey drew them


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of one state with what a box of them shows.

    Attributes:
        values: from the least to the most.
        lower: the lower quartile, of the inclusive method.
        median: the middle one.
        upper: the upper quartile.
        bottom: the least value within one and a half boxes of the box, where a whisker ends.
        top: the largest such value.
    """

    values: tuple[float, ...]
    lower: float
    median: float
    upper: float
    bottom: float
    top: float

    @property
    def five(self) -> tuple[float, float, float, float, float]:
        """Least, lower quartile, median, upper quartile and most."""
        return self.values[0], self.lower, self.median, self.upper, self.values[-1]


def spread_of(values: Iterable[float]) -> Spread | None:
    """Return the spread of values; ``None`` where there is none."""
    own = tuple(sorted(values))
    if not own:
        return None
    # ``statistics.quantiles`` refuses a single value.
    cuts = statistics.quantiles(own, method="inclusive") if len(own) > 1 else own * 3
    lower, median, upper = cuts
    reach = _REACH * (upper - lower)
    bottom = min(value for value in own if value >= lower - reach)
    top = max(value for value in own if value <= upper + reach)
    return Spread(own, lower, median, upper, bottom, top)
