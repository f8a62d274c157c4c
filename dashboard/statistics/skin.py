"""Responses of the skin's conductance: short rises on its slowly changing level. Pure.

A response is a rise of the conductance from a trough to the next peak, as laboratories measure it
(Boucsein et al. 2012, Psychophysiology 49:1017–1034):

1. the conductance becomes the mean of each quarter of a second, whatever its rate, and a quarter
   counts twice what its neighbours do, so that the number of responses does not depend on the rate.
   Faster samples have ripples of noise on each rise, and the trough before a peak would be the last
   ripple; and without the neighbours, whether a small dip parts two responses depends on where the
   samples fall;
2. a response rises, and faster than the level around it: than the median change of the 10 s before
   and after. Its trough is where that begins and its peak where it ends, and no more than the last
   5 s of it count (a response rises for 1 to 3 s). It begins where a twentieth of the height above
   the level is reached, for a level that rises before it moves the trough;
3. its amplitude is the height of the peak above its trough, less what the level by itself changes
   meanwhile, by the median change of the times around without responses, or where these are few
   by the line through the troughs around: on a level that climbs by 0.05 µS a second a rise of two
   seconds has 0.1 µS of it. Both height and amplitude reach the threshold that the question
   declares (0.01 to 0.05 µS). Without one there are a hundred responses a minute in the noise of a
   recording that has none;
4. half of it or more is faster than the level around. A level that climbs for half a minute is no
   response.

So the size of one response decides as little as can be which others are found. NeuroKit2 0.3
(``eda_process``; Makowski et al. 2021, Behavior Research Methods 53:1689–1696) finds peaks of the
part above 0.05 Hz, and keeps those of a tenth of the largest or more: a start of 5 µS hides by the
tenth the small ones of its unbroken recording, and by the swing of the filter those of 16 s around
it. Here it hides them while it falls faster than they rise, for some 8 s.

It is called for measured times only: ``scipy.ndimage`` is twenty megabytes.
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

Of 450 made responses that rise in 1.2 s and have half recovered 2.2 s later all are found at 4, 20
and 100 samples a second, with 97 % of their height. The faster rises of NeuroKit2's
``eda_simulate`` have 5 % less of it at 4 a second than at 100.
"""
LONGEST_GAP_S = 1.0
"""Seconds between two samples up to which a line joins them; a longer gap parts two recordings.

A response rises for 1 to 3 s (Dawson, Schell & Filion 2007), so a longer gap may hide one.
"""
LEAST_RUN_S = 20.0
"""Unbroken seconds below which nothing is computed: those whose median is the level's change."""
LEAST_CEILING_S = 2.0
"""Seconds for which a sensor gives its largest value again and again where it is at its ceiling."""
_TOLERANCE = 0.05  # of the rate: clocks differ, and times are whole milliseconds
_LEAST_FAST = 0.5
_LONGEST_RISE_S = 5.0
_FALLEN_S = 10.0
"""Seconds after a peak in which a response falls: it has half recovered after 2 to 10 s."""
_AROUND_S = (30.0, 60.0)
"""Seconds before and after a response in which the level’s own change is looked for, first near."""
_QUIET_S = (10.0, 5.0)
"""Seconds without responses that tell it there."""
_LEAST_TROUGHS = 5
"""Troughs near whose line tells it where responses leave hardly any quiet."""
_BEGUN = 0.05
"""Share of its height above the level around at which a response has begun.

Its trough is no beginning: on a level that rises by 0.06 µS a minute or more the rise of the level
runs into that of the response, and the trough lies seconds earlier.
"""
_EARLY_S = 0.2
"""By how much the means of quarters and their smoothing let a response begin too early.

Of 4,050 made responses of 0.1 to 1 µS at 4, 20 and 100 samples a second, on levels that fall, stay
and rise by up to 0.6 µS a minute, the median is 0.20 s, without noise and with noise of 0.003 and
0.01 µS; standard deviation 0.01 to 0.22 s, and 0.4 % are off by more than a second. Their peaks
are 0.03 s late.
"""


class TooSlowError(StatisticsError):
    """There are fewer samples a second than responses need."""


class NoResponseError(StatisticsError):
    """There is no response, so none has an amplitude."""


@dataclass(frozen=True, slots=True)
class Responses:
    """The responses of one recording, and the times in which they could be found.

    Attributes:
        at_s: peak of each, rising, in seconds, as the times of the samples.
        began_s: beginning of each, where a twentieth of its height is reached, without the time by
            which the smoothing makes it early.
        amplitude: of each, µS.
        drift: what the level around adds to each, so that its peak is so much higher above its
            trough, µS.
        spans: first and last second of each unbroken time.
    """

    at_s: Values
    began_s: Values
    amplitude: Values
    drift: Values
    spans: tuple[tuple[float, float], ...]


def find_responses(at_s: Values, values: Values, least_us: float) -> Responses:
    """Return the responses of one sensor's recording.

    Each unbroken time of it is computed by itself.

    Args:
        at_s: time of each sample, rising, seconds.
        values: conductance, µS.
        least_us: least amplitude of a response, µS.

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
    parts = [_of_run(at, own, least_us) for at, own in long]
    return Responses(
        at_s=np.concatenate([one.at_s for one in parts]),
        began_s=np.concatenate([one.began_s for one in parts]),
        amplitude=np.concatenate([one.amplitude for one in parts]),
        drift=np.concatenate([one.drift for one in parts]),
        spans=tuple(span for one in parts for span in one.spans),
    )


def at_ceiling(at_s: Values, values: Values) -> npt.NDArray[np.bool_]:
    """Return for each sample whether the sensor was at its ceiling, so that the value is not known.

    There a recording has its largest value for two seconds or more without the least change.
    """
    if not len(values) or values.min() == values.max():
        return np.zeros(len(values), dtype=np.bool_)
    is_top: npt.NDArray[np.bool_] = values == values.max()
    turns = np.diff(np.concatenate([[0], is_top.astype(np.int64), [0]]))
    first, last = np.flatnonzero(turns == 1), np.flatnonzero(turns == -1) - 1
    for begins, ends in zip(first, last, strict=True):
        if at_s[ends] - at_s[begins] < LEAST_CEILING_S:
            is_top[begins : ends + 1] = False
    return is_top


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


def _of_run(at_s: Values, values: Values, least_us: float) -> Responses:
    """Return the responses of an unbroken recording."""
    even, level = quarters(at_s, values)
    fast = fast_changes(level)
    troughs, peaks = find_rises(level, fast)
    rise = level[peaks] - level[troughs]
    above = np.concatenate([[0.0], np.cumsum(fast)])
    counted = (rise >= least_us) & (above[peaks] - above[troughs] >= _LEAST_FAST * rise)
    drift = np.zeros(len(rise))
    drift[counted] = _drifts(level, troughs[counted], peaks[counted])
    counted &= rise - drift >= least_us
    troughs, peaks = troughs[counted], peaks[counted]
    return Responses(
        at_s=even[peaks],
        began_s=np.minimum(_beginnings(even, above, troughs, peaks) + _EARLY_S, even[peaks]),
        amplitude=(rise - drift)[counted],
        drift=drift[counted],
        spans=((float(at_s[0]), float(at_s[-1])),),
    )


def _drifts(level: Values, troughs: Integers, peaks: Integers) -> Values:
    """Return what the level by itself changes during each response."""
    is_quiet = np.ones(len(level) - 1, dtype=np.bool_)
    after = round(_FALLEN_S * LEAST_HZ)
    for trough, peak in zip(troughs, peaks, strict=True):
        is_quiet[trough : peak + after] = False
    quiet = np.flatnonzero(is_quiet)
    slopes = [_slope_at(middle, level, quiet, troughs) for middle in (troughs + peaks) / 2]
    return np.array(slopes, dtype=np.float64) * (peaks - troughs)


def _slope_at(middle: float, level: Values, quiet: Integers, troughs: Integers) -> float:
    """Return the change of the level by itself from one quarter to the next: the median one in the
    quiet near, or that of the troughs near, or in the quiet around or anywhere; 0 where there is
    hardly any.
    """
    near, around = (quiet[np.abs(quiet - middle) <= reach * LEAST_HZ] for reach in _AROUND_S)
    enough, least = (seconds * LEAST_HZ for seconds in _QUIET_S)
    if len(near) < enough:
        own = troughs[np.abs(troughs - middle) <= _AROUND_S[0] * LEAST_HZ]
        if len(own) >= _LEAST_TROUGHS:
            return float(np.polyfit(own, level[own], 1)[0])
        near = around if len(around) >= least else quiet
    return float(np.median(np.diff(level)[near])) if len(near) >= least else 0.0


def _beginnings(even: Values, above: Values, troughs: Integers, peaks: Integers) -> Values:
    """Return when each response has risen by a share of its height above the level around."""
    began = [
        np.interp(
            (1 - _BEGUN) * above[trough] + _BEGUN * above[peak],
            above[trough : peak + 1],
            even[trough : peak + 1],
        )
        for trough, peak in zip(troughs, peaks, strict=True)
    ]
    return np.array(began, dtype=np.float64)


def quarters(at_s: Values, values: Values) -> tuple[Values, Values]:
    """Return the middle of each quarter of a second of an unbroken recording, and the mean there,
    in which the neighbouring quarters count half.

    The mean is that of the line through the samples, so that uneven times and lost samples need
    nothing else, and a recording with four samples a second is smoothed as one with a hundred is.
    The quarters are those of the clock: two rates of one recording are averaged over the same ones.
    """
    step = 1 / LEAST_HZ
    # sums of times since 1970 would round to a tenth of a microsecond
    origin = math.floor(at_s[0])
    at = at_s - origin
    edges = step * np.arange(math.ceil(at[0] / step), math.floor(at[-1] / step) + 1)
    times = np.union1d(at, edges)
    line = np.interp(times, at, values)
    areas = np.diff(times) * (line[1:] + line[:-1]) / 2
    area = np.concatenate([[0.0], np.cumsum(areas)])[np.searchsorted(times, edges)]
    means = np.diff(area) / step
    smoothed = (means[:-2] + 2 * means[1:-1] + means[2:]) / 4
    return origin + edges[1:-2] + step / 2, smoothed


def fast_changes(level: Values) -> Values:
    """Return each change of the conductance less that of the level, the median of those around."""
    from scipy import ndimage  # only where skin conductance is there

    change = np.diff(level)
    around = 2 * round(LEAST_RUN_S / 2 * LEAST_HZ) + 1
    slow: Values = ndimage.median_filter(change, around, mode="reflect")
    return change - slow


def find_rises(level: Values, fast: Values) -> tuple[Integers, Integers]:
    """Return the samples in which each rise begins and ends: its last seconds, if it is long.

    A rise that the recording begins or ends on has no known height and is left out.

    Args:
        level: conductance, four samples a second.
        fast: ``fast_changes`` of it.
    """
    is_up = (np.diff(level) >= 0) & (fast > 0)
    turns = np.diff(np.concatenate([[0], is_up.astype(np.int64), [0]]))
    begins, peaks = np.flatnonzero(turns == 1), np.flatnonzero(turns == -1)
    is_known = (begins > 0) & (peaks < len(level) - 1)
    begins, peaks = begins[is_known], peaks[is_known]
    return np.maximum(begins, peaks - round(_LONGEST_RISE_S * LEAST_HZ)), peaks
