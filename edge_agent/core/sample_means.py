"""Means of samples that come faster than they are kept. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from statistics import median
from typing import NamedTuple

_FIRST = 20
_JITTER = 0.95
"""Samples are faster than they are kept where their distance is below this share of it."""


class TimedSample(NamedTuple):
    """A value at a time.

    Attributes:
        at_s: seconds since any start.
        value: in any unit.
        is_doubtful: whether it is implausible; of a mean: whether one of its samples is.
    """

    at_s: float
    value: float
    is_doubtful: bool = False


class SampleMeans:
    """Averages the samples of one channel if they come faster than they are kept.

    The first 20 tell the rate, by the median of their distances: a gap does not change it. Samples
    of that rate or below it are passed on as they are.

    Args:
        per_second: means a second.

    Example:
        >>> means = SampleMeans(4.0)
        >>> samples = [TimedSample(place / 128, place) for place in range(64)]
        >>> [*(done for one in samples for done in means.add(one)), *means.finish()]
        [TimedSample(at_s=0.12109375, value=15.5, is_doubtful=False), \
TimedSample(at_s=0.37109375, value=47.5, is_doubtful=False)]
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._waiting: list[TimedSample] | None = []
        self._is_averaged = False
        self._slot = 0
        self._samples: list[TimedSample] = []

    def add(self, sample: TimedSample) -> Iterator[TimedSample]:
        """Add a sample; yield those that are complete."""
        if self._waiting is None:
            yield from self._pass_on(sample)
            return
        self._waiting.append(sample)
        if len(self._waiting) == _FIRST:
            yield from self._find_rate()

    def finish(self) -> Iterator[TimedSample]:
        """Yield the last ones."""
        if self._waiting is not None:
            yield from self._find_rate()
        yield from self._mean()

    def _find_rate(self) -> Iterator[TimedSample]:
        """Find out how fast the first samples come; yield what is complete of them."""
        waiting = self._waiting or []
        times = [sample.at_s for sample in waiting]
        distances = [abs(later - sooner) for sooner, later in pairwise(times)]
        self._is_averaged = bool(distances) and median(distances) * self._per_second < _JITTER
        self._waiting = None
        for sample in waiting:
            yield from self._pass_on(sample)

    def _pass_on(self, sample: TimedSample) -> Iterator[TimedSample]:
        if not self._is_averaged:
            yield sample
            return
        slot = math.floor(sample.at_s * self._per_second)
        if slot != self._slot:
            yield from self._mean()
            self._slot = slot
        self._samples.append(sample)

    def _mean(self) -> Iterator[TimedSample]:
        """Yield the mean of the samples of a slot, at the mean of their times."""
        if self._samples:
            # fsum: a mean of equal values is that value
            count = len(self._samples)
            at_s = math.fsum(sample.at_s for sample in self._samples) / count
            value = math.fsum(sample.value for sample in self._samples) / count
            yield TimedSample(at_s, value, any(sample.is_doubtful for sample in self._samples))
        self._samples = []
