"""Responses of the skin's conductance: short rises on its slowly changing level. Pure.

Computed as NeuroKit2 0.3 does by default (``eda_process``; Makowski et al. 2021, Behavior Research
Methods 53:1689–1696), to which a least rise is added:

1. noise is filtered out by a low-pass at 3 Hz (Butterworth, order 4, forth and back), where there
   are more than 6 samples a second;
2. the phasic part is what a high-pass at 0.05 Hz lets through (Butterworth, order 2, forth and
   back), as BIOPAC's AcqKnowledge does;
3. a response is a peak of the phasic part that rises above the troughs beside it by a tenth of the
   largest such rise or more (``scipy.signal.peak_prominences``); it begins in the last trough
   before the peak, and its amplitude is the height of the peak above that trough;
4. its amplitude is 0.05 µS or more, and so much the conductance itself rises from trough to peak
   (Boucsein et al. 2012, Psychophysiology 49:1017–1034: 0.01 to 0.05 µS). NeuroKit2 has no such
   bound. Without it there are a hundred responses a minute in the noise of a recording that has
   none; and a high-pass swings back, so that a single response has an echo of 15 % of its
   amplitude 17 s later, where the conductance falls.

It is called for measured times only: ``scipy.signal`` is twenty megabytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dashboard.statistics.distributions import Values
from dashboard.statistics.samples import TooShortError, check_values
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_

Integers = npt.NDArray[np.int64]

LEAST_HZ = 4.0
"""Samples a second below which responses are not computed: what wristbands have.

Of 450 made responses (rise 1.2 s, half recovered 2.2 s later; ``tests/unit/dashboard/statistics/
test_skin.py`` has a part of them) 97 to 100 % are found with the mean of each quarter of a second,
with 98 % of the amplitude that 100 samples a second give. The faster rises of NeuroKit2's
``eda_simulate`` lose 17 % of it at 4 a second, and at 1 a second half, with two counts for three.
"""
LEAST_US = 0.05
"""Least amplitude of a response."""
LEAST_SHARE = 0.1
"""Least rise of a response, as a share of the largest rise in the same unbroken recording."""
LONGEST_GAP_S = 1.0
"""Seconds between two samples up to which a line joins them; a longer gap parts two recordings.

A response rises for 1 to 3 s (Dawson, Schell & Filion 2007), so a longer gap may hide one.
"""
LEAST_RUN_S = 20.0
"""Unbroken seconds below which nothing is computed: one wave of the high-pass."""
MINIMUM_S = 60.0
"""Seconds of a state in a session below which there is no number: a count a minute would be told of
less than a minute.
"""
_TOLERANCE = 0.05  # of the rate: clocks differ, and times are whole milliseconds
_CUTOFF_HZ = 0.05
_NOISE_HZ = 3.0
_LEAST_NOISE_HZ = 6.0  # samples a second above which there is noise to filter


class TooSlowError(StatisticsError):
    """There are fewer samples a second than responses need."""


class NoResponseError(StatisticsError):
    """There is no response, so none has an amplitude."""


@dataclass(frozen=True, slots=True)
class Peaks:
    """Peaks of the phasic part of one recording, by NeuroKit2's rule alone.

    Attributes:
        at: sample of each, rising.
        begins: sample of the trough before it; -1 where the recording begins on the rise.
        amplitude: µS above that trough; NaN where there is none.
    """

    at: Integers
    begins: Integers
    amplitude: Values


@dataclass(frozen=True, slots=True)
class Responses:
    """The responses of one recording, and the times in which they could be found.

    Attributes:
        at_s: peak of each, rising, in seconds, as the times of the samples.
        amplitude: of each, µS.
        spans: first and last second of each unbroken time.
    """

    at_s: Values
    amplitude: Values
    spans: tuple[tuple[float, float], ...]


def find_responses(at_s: Values, values: Values) -> Responses:
    """Return the responses of one sensor's recording.

    Each unbroken time of it is computed by itself. Its samples are put on even steps by lines
    between them, since filters need those.

    Args:
        at_s: time of each sample, rising, seconds.
        values: conductance, µS.

    Raises:
        TooSlowError: no time has enough samples a second.
        TooShortError: none with enough samples lasts long enough without a break.
        StatisticsError: a value is not finite.
    """
    sample = check_values(values)
    cuts = np.flatnonzero(np.diff(at_s) > LONGEST_GAP_S) + 1
    runs = [
        (at, own)
        for at, own in zip(np.split(at_s, cuts), np.split(sample, cuts), strict=True)
        if len(at) > 1
    ]
    _require_rate([at for at, _ in runs])
    long = [(at, own) for at, own in runs if at[-1] - at[0] >= LEAST_RUN_S and _is_fast(at)]
    if not long:
        raise TooShortError(
            N_(
                "responses need at least {least_s:g} s of skin conductance without a break; "
                "the longest time has {most:.0f}"
            ),
            least_s=LEAST_RUN_S,
            most=max((float(at[-1] - at[0]) for at, _ in runs), default=0.0),
        )
    parts = [_of_run(at, own) for at, own in long]
    return Responses(
        at_s=np.concatenate([at for at, _ in parts]),
        amplitude=np.concatenate([amplitude for _, amplitude in parts]),
        spans=tuple((float(at[0]), float(at[-1])) for at, _ in long),
    )


def _require_rate(runs: list[Values]) -> None:
    if any(map(_is_fast, runs)):
        return
    raise TooSlowError(
        N_(
            "responses need at least {least_hz:g} samples of skin conductance a second; "
            "there are {most:.1f}"
        ),
        least_hz=LEAST_HZ,
        most=max(map(_rate, runs), default=0.0),
    )


def _is_fast(at_s: Values) -> bool:
    return _rate(at_s) >= LEAST_HZ * (1 - _TOLERANCE)


def _rate(at_s: Values) -> float:
    """Return the samples a second; the median, so that lost ones do not count."""
    return 1 / float(np.median(np.diff(at_s)))


def _of_run(at_s: Values, values: Values) -> tuple[Values, Values]:
    """Return the time of each response of an unbroken recording, and its amplitude."""
    steps = round(float(at_s[-1] - at_s[0]) * _rate(at_s))
    even = np.linspace(at_s[0], at_s[-1], steps + 1)
    rate_hz = steps / float(at_s[-1] - at_s[0])
    clean = without_noise(np.interp(even, at_s, values), rate_hz)
    peaks = find_peaks(phasic(clean, rate_hz))
    # Not a number where the recording begins on the rise: how far it rose is not known.
    counted = peaks.amplitude >= LEAST_US
    counted &= clean[peaks.at] - clean[peaks.begins] >= LEAST_US
    return even[peaks.at[counted]], peaks.amplitude[counted]


def without_noise(values: Values, rate_hz: float) -> Values:
    """Return skin conductance without noise, or as it is where it has too few samples for noise.

    Args:
        values: conductance in even steps, µS.
        rate_hz: samples a second.
    """
    from scipy import signal  # only where skin conductance is there

    if rate_hz <= _LEAST_NOISE_HZ:
        return values
    noise = signal.butter(4, _NOISE_HZ, btype="lowpass", output="sos", fs=rate_hz)
    clean: Values = signal.sosfiltfilt(noise, values)
    return clean


def phasic(clean: Values, rate_hz: float) -> Values:
    """Return the phasic part of skin conductance without noise, as in ``without_noise``."""
    from scipy import signal  # only where skin conductance is there

    slow = signal.butter(2, _CUTOFF_HZ, btype="highpass", output="sos", fs=rate_hz)
    part: Values = signal.sosfiltfilt(slow, clean)
    return part


def find_peaks(phasic_part: Values) -> Peaks:
    """Return the peaks of a phasic part, with their amplitudes."""
    from scipy import signal  # only where skin conductance is there

    peaks, _ = signal.find_peaks(phasic_part)
    rise = signal.peak_prominences(phasic_part, peaks)[0]
    at = peaks[rise >= LEAST_SHARE * rise.max(initial=0.0)]
    troughs, _ = signal.find_peaks(-phasic_part)
    begins = np.concatenate([[-1], troughs])[np.searchsorted(troughs, at)]
    amplitude = np.where(begins < 0, math.nan, phasic_part[at] - phasic_part[begins])
    return Peaks(at.astype(np.int64), begins.astype(np.int64), amplitude)
