"""Variability of the heart while it is measured: RMSSD of the last five minutes, with the limits
between which the true one lies where the sensor states the errors of its intervals. Pure.

Source of RMSSD and of five minutes: Task Force of the ESC and the NASPE 1996, Circulation
93:1043-1065. The limits are ours, see ``limits_of_rmssd``.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Any

from edge_agent.core.clock import iso_utc
from edge_agent.core.readings import UNUSABLE, VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind

WINDOW_S = 300.0
LEAST_SHARE = 0.8
"""Share of the five minutes that good beats must fill, below which there is no number."""
NEIGHBOURS = 5
"""Intervals on each side whose median an interval is compared with."""
MOST_CHANGE = 0.2
"""A good interval differs from that median by at most this share of it."""
LATE_S = 1.0
"""An interval that ends later than the one before and itself say, by more than a packet of a strap
may be late, follows a break."""
_MOST_BEATS = 1500  # of five minutes at the shortest plausible interval
_MOST_OF_SENDER = 4
"""Sources of one sender over MQTT, or of one token, that are followed: nobody who sends readings
under ever other names keeps a sensor out. Sensors that this machine listens to are configured."""
_SENDERS = {"mqtt": 1, "http": 2}
"""First part of a source → parts that name its sender."""
_Z = 1.959964  # of 95 %
_SD_OF_MEAN_ABSOLUTE = math.sqrt(math.pi / 2)  # of a normal distribution
# Covariances of errors, in variances of one interval, with the same, the next and the next but one
# value: of errors of intervals that are independent of each other, and of errors of beats, which
# lengthen one interval and shorten the next. A sensor does not state which it is.
_OF_DIFFERENCES = ((2.0, -1.0), (3.0, -2.0, 0.5))
_OF_INTERVALS = ((1.0,), (1.0, -0.5))


@dataclass(frozen=True, slots=True)
class Variability:
    """RMSSD of the last five minutes of one source.

    Attributes:
        source: of the intervals.
        at_ms: end of the last interval, UTC.
        share: share of the five minutes that good beats fill, 0…1.
        beats: good intervals.
        rmssd_ms: root mean square of successive differences, ms; ``None``: too few good beats.
        low_ms, high_ms: 95 % limits of the true one; ``None``: the sensor states no errors.
        simulated: whether any interval is simulated.
    """

    source: str
    at_ms: int
    share: float
    beats: int
    rmssd_ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None
    simulated: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as messages have it, numbers rounded to what they can tell."""
        return {
            "at": iso_utc(self.at_ms),
            "source": self.source,
            "share": round(self.share, 3),
            "beats": self.beats,
            "rmssd_ms": _tenth(self.rmssd_ms),
            "low_ms": _tenth(self.low_ms),
            "high_ms": _tenth(self.high_ms),
            "simulated": self.simulated,
        }


def _tenth(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def limits_of_rmssd(
    differences: Sequence[Sequence[float]], errors: Sequence[Sequence[float]]
) -> tuple[float, float]:
    """Return the 95 % limits of the RMSSD that intervals without errors would have.

    Errors make differences larger: their mean square minus the expected share of the errors is an
    estimate of the true mean square. Its variance, with Σ the covariances of the errors of the
    differences d, is (4 dᵀΣd − 2 tr Σ²) / n², at least 2 tr Σ² / n². Whether neighbouring errors
    are independent is not known, so the limits are the outer ones of both cases: an interval that
    holds whichever is true (Imbens & Manski 2004, Econometrica 72:1845-1857). Assumes normal
    errors. Where the errors as stated exceed what was measured, the upper limit is at least the
    measured value.

    Args:
        differences: of each unbroken run of intervals, in any unit; at least one in all.
        errors: expected absolute error of each difference's two intervals together, as the root of
            half the sum of their squares, in the same unit.
    """
    return _outer_limits(differences, errors, _OF_DIFFERENCES)


def rms_without_errors(
    values: Sequence[float], errors: Sequence[float], *, of_differences: bool
) -> float | None:
    """Return the root mean square that values without errors would have; ``None`` where the errors
    as stated exceed what was measured.

    Formula: √(mean of v² − mean of w e² π / 2), w = 2 for differences of neighbours, 1 for
    intervals. Assumes normal errors, independent of each other: what else they may be is in
    ``limits_of_rmssd``.

    Args:
        values: in any unit; at least one.
        errors: of each, as in ``limits_of_rmssd`` or ``limits_of_sdnn``.
        of_differences: whether the values are differences of neighbouring intervals.
    """
    weight = (_OF_DIFFERENCES if of_differences else _OF_INTERVALS)[0][0]
    share = weight * mean_square_of_errors(errors)
    left = math.fsum(one * one for one in values) / len(values) - share
    return math.sqrt(left) if left > 0 else None


def mean_square_of_errors(errors: Sequence[float]) -> float:
    """Return the mean square of normal errors whose expected absolute values these are."""
    return math.fsum((_SD_OF_MEAN_ABSOLUTE * one) ** 2 for one in errors) / len(errors)


def limits_of_sdnn(
    deviations: Sequence[Sequence[float]], errors: Sequence[Sequence[float]]
) -> tuple[float, float]:
    """Return the 95 % limits of the SDNN that intervals without errors would have.

    As ``limits_of_rmssd``, of the intervals less their mean.

    Args:
        deviations: of each unbroken run of intervals, in any unit; at least two in all.
        errors: expected absolute error of each, in the same unit.
    """
    n = sum(map(len, deviations))
    low, high = _outer_limits(deviations, errors, _OF_INTERVALS)
    of_sample = math.sqrt(n / (n - 1))
    return of_sample * low, of_sample * high


def _outer_limits(
    values: Sequence[Sequence[float]],
    errors: Sequence[Sequence[float]],
    cases: Sequence[Sequence[float]],
) -> tuple[float, float]:
    """Return the lowest and the highest limit over all cases of covariances."""
    limits = [_limits_of_root(values, errors, weights) for weights in cases]
    return min(low for low, _ in limits), max(high for _, high in limits)


def _limits_of_root(
    values: Sequence[Sequence[float]], errors: Sequence[Sequence[float]], weights: Sequence[float]
) -> tuple[float, float]:
    """Return the limits of a root mean square of values without their errors.

    Args:
        values: of each unbroken run.
        errors: expected absolute error of each.
        weights: covariances of the errors of the same, the next, … value, in their variance.
    """
    n = sum(map(len, values))
    square = excess = spread = of_errors = 0.0
    for run, own in zip(values, errors, strict=True):
        variances = [(_SD_OF_MEAN_ABSOLUTE * error) ** 2 for error in own]
        for lag, weight in enumerate(weights):
            times = 1 if lag == 0 else 2
            for place in range(len(run) - lag):
                covariance = weight * math.sqrt(variances[place] * variances[place + lag])
                spread += times * run[place] * run[place + lag] * covariance
                of_errors += times * covariance**2
        square += math.fsum(one * one for one in run)
        excess += weights[0] * sum(variances)
    variance = max(4 * spread - 2 * of_errors, 2 * of_errors) / n**2
    middle, reach = (square - excess) / n, _Z * math.sqrt(variance)
    # Errors that would make larger differences than there are were stated too large. Without any
    # error the true value is the measured one.
    highest = middle + reach if middle >= 0 else max(middle + reach, square / n)
    return math.sqrt(max(0.0, middle - reach)), math.sqrt(highest)


@dataclass(frozen=True, slots=True)
class _Beat:
    """One interval; ``sound``: without a flag of doubt."""

    ended_ms: int
    seconds: float
    error_s: float | None
    sound: bool
    simulated: bool


class LiveVariability:
    """Keeps the intervals of the last five minutes of each source; safe between threads.

    Example:
        >>> LiveVariability().now(1_790_000_000_000) is None
        True
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._beats: dict[str, deque[_Beat]] = {}

    def add(self, reading: VitalReading) -> None:
        """Add a reading of now; those of another kind, or before the last of its source, are not
        used.
        """
        if reading.kind is not VitalKind.RR_INTERVAL:
            return
        low, high = reading.kind.plausible
        beat = _Beat(
            reading.at.wall_ms,
            reading.value,
            reading.error,
            low <= reading.value <= high and not reading.flags & UNUSABLE,
            VitalFlag.SIMULATED in reading.flags,
        )
        with self._lock:
            self._forget(beat.ended_ms)
            if reading.source not in self._beats and self._is_full(reading.source):
                return
            beats = self._beats.setdefault(reading.source, deque(maxlen=_MOST_BEATS))
            if not beats or beats[-1].ended_ms < beat.ended_ms:
                beats.append(beat)

    def now(self, at_ms: int) -> Variability | None:
        """Return the variability of the source with most good beats; ``None``: nothing came."""
        with self._lock:
            self._forget(at_ms)
            of_sources = {source: list(beats) for source, beats in self._beats.items()}
        variability = [_variability(source, beats) for source, beats in sorted(of_sources.items())]
        return max(variability, key=lambda one: one.share, default=None)

    def _is_full(self, source: str) -> bool:
        """Tell whether as many sources of the same sender are followed as may be."""
        sender = _sender(source)
        same = sum(_sender(one) == sender for one in self._beats)
        return bool(sender) and same >= _MOST_OF_SENDER

    def _forget(self, at_ms: int) -> None:
        """Forget what ended five minutes before a moment, or is of another clock."""
        first_ms = at_ms - 1000 * WINDOW_S
        for source, beats in list(self._beats.items()):
            while beats and beats[-1].ended_ms > at_ms + 1000 * WINDOW_S:
                beats.pop()  # the clock was set back
            while beats and beats[0].ended_ms <= first_ms:
                beats.popleft()
            if not beats:
                del self._beats[source]


def _variability(source: str, beats: Sequence[_Beat]) -> Variability:
    good = _good(beats)
    seconds = math.fsum(one.seconds for one, is_good in zip(beats, good, strict=True) if is_good)
    share = min(1.0, seconds / WINDOW_S)
    variability = Variability(
        source, beats[-1].ended_ms, share, sum(good), simulated=any(one.simulated for one in beats)
    )
    runs = _runs(beats, good)
    differences = [[1000 * (b.seconds - a.seconds) for a, b in pairwise(run)] for run in runs]
    n = sum(map(len, differences))
    if share < LEAST_SHARE or not n:
        return variability
    square = math.fsum(one * one for own in differences for one in own) / n
    low = high = None
    if all(one.error_s is not None for run in runs for one in run):
        errors = [[_error_ms(a, b) for a, b in pairwise(run)] for run in runs]
        low, high = limits_of_rmssd(differences, errors)
    return replace(variability, rmssd_ms=math.sqrt(square), low_ms=low, high_ms=high)


def _sender(source: str) -> tuple[str, ...]:
    """Return who sends readings of a source; empty: this machine listens to it itself."""
    parts = source.split(":")
    return tuple(parts[: _SENDERS.get(parts[0], 0)])


def _error_ms(first: _Beat, second: _Beat) -> float:
    """Return the root of half the sum of the squares of two errors, ms."""
    return 1000 * math.hypot(first.error_s or 0.0, second.error_s or 0.0) / math.sqrt(2)


def _good(beats: Sequence[_Beat]) -> list[bool]:
    """Tell which intervals are sound and near the usual length around them."""
    good: list[bool] = []
    for place, beat in enumerate(beats):
        around = beats[max(0, place - NEIGHBOURS) : place + NEIGHBOURS + 1]
        usual = median([one.seconds for one in around if one.sound] or [0.0])
        good.append(beat.sound and abs(beat.seconds - usual) <= MOST_CHANGE * usual)
    return good


def _runs(beats: Sequence[_Beat], good: Sequence[bool]) -> list[list[_Beat]]:
    """Return runs of good intervals, each following the one before without a break."""
    runs: list[list[_Beat]] = []
    last: _Beat | None = None
    for beat, is_good in zip(beats, good, strict=True):
        if is_good:
            late_s = 0.0 if last is None else (beat.ended_ms - last.ended_ms) / 1000 - beat.seconds
            if last is None or late_s > LATE_S:
                runs.append([])
            runs[-1].append(beat)
        last = beat if is_good else None
    return runs
