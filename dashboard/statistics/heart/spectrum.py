"""Frequency bands of the intervals between beats, and the breath that they follow. Pure.

Source of bands and lengths: Task Force of the ESC and the NASPE 1996, Circulation 93:1043–1065. A
band needs ten waves of its lowest frequency without a break.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dashboard.statistics.distributions import Values
from dashboard.statistics.heart.artefacts import corrected
from dashboard.statistics.heart.variability import TooShortError, require_few_artefacts
from dashboard.statistics.samples import checked
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_, Message

LOW_HZ = (0.04, 0.15)
HIGH_HZ = (0.15, 0.40)
HIGH_S = 60.0
"""Unbroken seconds that the high band needs: ten waves of 0.15 Hz are 67 s, said to be a minute."""

LOW_S = 120.0
"""Unbroken seconds that the low band needs, as the Task Force says; ten waves are 250 s."""

_RATE_HZ = 4.0
_SEGMENT_S = 300.0
_PEAK_HZ = 0.03  # on each side of the breath's frequency
_PEAK_SHARE = 0.5
_LEAST_HIGH_TO_LOW = 0.25


class NoBreathError(StatisticsError):
    """The rhythm does not show the breath; the text says why."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Power of the intervals by frequency.

    Attributes:
        hz: frequencies, rising.
        density: ms²/Hz at each.
        seconds: of the unbroken runs that it is taken from.
        mean_s: mean interval.
    """

    hz: Values
    density: Values
    seconds: float
    mean_s: float

    def power(self, band: tuple[float, float]) -> float:
        """Return the power of a band in ms²."""
        inside = (self.hz >= band[0]) & (self.hz < band[1])
        return float(self.density[inside].sum() * (self.hz[1] - self.hz[0]))


def spectrum(runs: Iterable[Sequence[float] | Values], least_s: float = LOW_S) -> Spectrum:
    """Return the power of the intervals between beats by frequency.

    Formula: artefacts corrected as ``corrected`` does, corrected intervals kept in their place; of
    each unbroken run of at least ``least_s`` a cubic spline at 4 Hz, its line taken away, Welch's
    periodogram (Hann, segments of 300 s or the whole run, half overlapping); runs averaged by their
    length. Corrected beats lower the high band a little; see the share of corrected beats.

    Args:
        runs: unbroken runs of intervals in seconds.
        least_s: seconds that a run must last: ``LOW_S`` for the low band and the ratio, ``HIGH_S``
            for the high one.

    Raises:
        ArtefactError: more than a fifth of the beats were corrected.
        TooShortError: no run is long enough.
        StatisticsError: a value is not finite.
    """
    every = [checked(run) for run in runs]
    beats = corrected(every)
    require_few_artefacts(sum(len(run) for run in every), beats.corrections)
    parts = [beats.intervals[beats.run == number] for number in range(len(every))]
    long = [part for part in parts if len(part) and part.sum() >= least_s]
    if not long:
        most = max((float(part.sum()) for part in parts), default=0.0)
        raise TooShortError(
            Message(
                N_(
                    "a frequency band needs at least {least_s:g} s of intervals without a break; "
                    "the longest time has {most:.0f}"
                ),
                least_s=least_s,
                most=most,
            )
        )
    hz = np.arange(0.0, 0.5, 1 / _SEGMENT_S)
    seconds = np.array([float(part.sum()) for part in long])
    densities = [np.interp(hz, *_density(part)) for part in long]
    return Spectrum(
        hz=hz,
        density=np.average(densities, axis=0, weights=seconds),
        seconds=float(seconds.sum()),
        mean_s=float(np.concatenate(long).mean()),
    )


def _density(intervals: Values) -> tuple[Values, Values]:
    """Return frequencies and ms²/Hz of one unbroken run."""
    from scipy import interpolate, signal  # they bring scipy.stats: only where beats are there

    at = np.cumsum(intervals)
    even = np.arange(at[0], at[-1], 1 / _RATE_HZ)
    curve = interpolate.CubicSpline(at, 1000 * intervals)(even)
    length = min(len(even), round(_SEGMENT_S * _RATE_HZ))
    hz, density = signal.welch(signal.detrend(curve), fs=_RATE_HZ, nperseg=length)
    return hz, density


def breaths_per_minute(power: Spectrum) -> float:
    """Return the respiration rate that the rhythm follows, in 1/min.

    Formula: 60 · the frequency of the largest density in 0.15 to 0.40 Hz (9 to 24 /min). It is an
    estimate by the respiratory sinus arrhythmia, and silent where that does not stand out: half of
    the power from 0.12 to 0.5 Hz must lie within 0.03 Hz of it, and the high band must have a
    quarter of the low band's power or more (else it may be an overtone of a slow breath). The
    bounds are ours. A breath faster than half the heart rate looks like a slower one.

    Raises:
        NoBreathError: one of these does not hold.
    """
    fastest = min(HIGH_HZ[1], 0.5 / power.mean_s)
    inside = (power.hz >= HIGH_HZ[0]) & (power.hz < fastest)
    peak = float(power.hz[inside][np.argmax(power.density[inside])])
    near = power.power((peak - _PEAK_HZ, peak + _PEAK_HZ))
    around = power.power((0.12, 0.5))
    if not around or near < _PEAK_SHARE * around:
        raise NoBreathError(
            N_("no frequency of 9 to 24 breaths a minute stands out in the intervals")
        )
    if power.power(HIGH_HZ) < _LEAST_HIGH_TO_LOW * power.power(LOW_HZ):
        raise NoBreathError(
            N_("slow waves outweigh the breath in the intervals; it may be slower than 9 a minute")
        )
    return 60 * peak
