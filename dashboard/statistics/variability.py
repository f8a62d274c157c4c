"""Heart-rate variability from the intervals between beats, with a stated rule for artefacts.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from dashboard.statistics.distributions import Values
from dashboard.statistics.samples import NoVariationError, checked
from edge_agent.core.errors import StatisticsError

Integers = npt.NDArray[np.int64]
_Number = TypeVar("_Number", np.int64, np.float64)

SHORTEST_S = 0.3
LONGEST_S = 2.0
"""Intervals outside are no beats of a sitting person: 200 and 30 /min."""

DEVIATION = 0.2
"""By which share an interval may differ from the median of its neighbours."""

NEIGHBOURS = 5
"""Intervals on each side that an interval is compared with."""

MINIMUM_S = 60.0
"""Seconds of accepted intervals below which there is no number."""

STANDARD_S = 300.0
"""Length of the standard short recording (Task Force 1996); shorter ones are called ultra-short."""

MOST_REJECTED = 0.2
"""Share of rejected intervals above which there is no number."""


class TooShortError(StatisticsError):
    """There are fewer seconds of accepted intervals than the measures need.

    The text says how many it needs.
    """


class ArtefactError(StatisticsError):
    """Too many of the intervals are artefacts; the text says how many."""


@dataclass(frozen=True, slots=True)
class HeartVariability:
    """Variability of one participant in one state.

    Attributes:
        n: accepted intervals.
        successive: pairs of accepted intervals that follow each other: what RMSSD is computed from.
        rejected: intervals that the artefact rule left out.
        seconds: sum of the accepted intervals.
        rmssd_ms: root mean square of successive differences in ms; beat-to-beat, mostly vagal.
        sdnn_ms: standard deviation of the intervals in ms; grows with the length of the recording.
    """

    n: int
    successive: int
    rejected: int
    seconds: float
    rmssd_ms: float
    sdnn_ms: float

    @property
    def share_rejected(self) -> float:
        """Share of the intervals that were rejected, 0…1."""
        return self.rejected / (self.n + self.rejected)

    @property
    def ultra_short(self) -> bool:
        """Whether the recording is shorter than the standard five minutes."""
        return self.seconds < STANDARD_S

    @property
    def ln_rmssd(self) -> float:
        """Natural logarithm of RMSSD in ms, which is nearer to normal between people: what to test.

        Raises:
            NoVariationError: all successive intervals are equal.
        """
        if self.rmssd_ms == 0:
            raise NoVariationError(
                "successive intervals do not differ at all, so RMSSD has no logarithm"
            )
        return math.log(self.rmssd_ms)


def accepted(intervals: Sequence[float] | Values) -> npt.NDArray[np.bool_]:
    """Tell which intervals of an unbroken run are taken for beats.

    Rule: an interval is rejected when it lies outside 0.3…2.0 s, and when it differs by more than
    20 % from the median of the up to five intervals on each side that lie within that range; an
    interval without such neighbours is rejected, because nothing vouches for it. One pass; nothing
    is interpolated. A missed beat (one double interval) and an extra one (two short ones) go; six
    or more artefacts in a row can pass. 20 % is the limit of Malik et al. 1989 against the interval
    before; the median of the surrounding ones as in Xu & Schuckers 2001 does not move with the
    artefact itself. Very strong breathing arrhythmia may exceed 20 %: look at the share that was
    rejected.

    Args:
        intervals: seconds between beats, in order, with no beat missing between two of them.

    Raises:
        StatisticsError: a value is not finite.
    """
    return _accepted(checked(intervals), np.zeros(len(intervals), dtype=np.int64))


def _accepted(intervals: Values, run: Integers) -> npt.NDArray[np.bool_]:
    """Tell which intervals are taken for beats.

    ``run`` numbers the unbroken run of each, rising.
    """
    kept = (intervals >= SHORTEST_S) & (intervals <= LONGEST_S)
    possible = intervals[kept]
    usual = _medians_around(possible, run[kept])
    kept[kept] = np.abs(possible - usual) <= DEVIATION * usual
    return kept


def _medians_around(values: Values, run: Integers) -> Values:
    """Return for each value the median of up to five neighbours on each side in its run.

    0 where there is none.
    """
    if not len(values):
        return values
    own = _around(run, -1) == run[:, np.newaxis]
    # those of other runs go to the end
    around = np.sort(np.where(own, _around(values, np.inf), np.inf), axis=1)
    n = np.count_nonzero(own, axis=1)
    places = np.arange(len(values))
    medians: Values = (around[places, np.maximum(n - 1, 0) // 2] + around[places, n // 2]) / 2
    return np.where(n == 0, 0.0, medians)


def _around(row: npt.NDArray[_Number], beyond: float) -> npt.NDArray[_Number]:
    """Return for each value its neighbours, five on each side.

    ``beyond`` where the row has ended.
    """
    padded = np.pad(row, NEIGHBOURS, constant_values=beyond)
    return np.delete(sliding_window_view(padded, 2 * NEIGHBOURS + 1), NEIGHBOURS, axis=1)


def heart_variability(runs: Iterable[Sequence[float] | Values]) -> HeartVariability:
    """Compute RMSSD and SDNN of a recording.

    Formula, over accepted intervals x in ms: RMSSD = √(mean of (xᵢ₊₁ − xᵢ)²) over neighbours that
    were both accepted (never across a rejected interval or the border of two runs); SDNN = √(Σ (x −
    mean)² / (n − 1)). Assumes sinus rhythm and a roughly constant mean. SDNN grows with the length,
    so compare only recordings of similar length. Needs 60 s of accepted intervals, and 80 % of the
    intervals accepted. Source: Task Force of the ESC and the NASPE 1996, which asks for five
    minutes; shorter ones are ``ultra_short``. In 3,387 people at rest, RMSSD of 120 s correlated by
    0.986 with that of 240 to 300 s, SDNN by 0.956; of 10 s by 0.86 and 0.76 (Munoz et al. 2015).
    Few other studies judged the agreement so strictly (Shaffer et al. 2020).

    Args:
        runs: unbroken runs of intervals in seconds; a run ends where a beat may be missing.

    Raises:
        ArtefactError: more than a fifth of the intervals were rejected.
        TooShortError: fewer than 60 s of intervals were accepted.
        StatisticsError: a value is not finite.
    """
    every = [checked(run) for run in runs]
    intervals = np.concatenate([np.empty(0), *every])
    run = np.repeat(np.arange(len(every)), [len(one) for one in every])
    kept = _accepted(intervals, run)
    in_ms = 1000 * intervals
    rejected = int(np.sum(~kept))
    x = in_ms[kept]
    d = np.diff(in_ms)[kept[1:] & kept[:-1] & (run[1:] == run[:-1])]
    _require(len(x), rejected, float(x.sum()) / 1000)
    return HeartVariability(
        n=len(x),
        successive=len(d),
        rejected=rejected,
        seconds=float(x.sum()) / 1000,
        rmssd_ms=math.sqrt(float(np.mean(d**2))),
        sdnn_ms=float(np.std(x, ddof=1)),
    )


def _require(n: int, rejected: int, seconds: float) -> None:
    """Refuse what the measures would say nothing about."""
    if rejected > MOST_REJECTED * (n + rejected):
        raise ArtefactError(
            f"{rejected} of {n + rejected} intervals between beats are artefacts; heart-rate "
            f"variability is computed with up to {MOST_REJECTED:.0%} of them. Check the sensor's "
            "contact."
        )
    if seconds < MINIMUM_S:
        raise TooShortError(
            f"heart-rate variability needs at least {MINIMUM_S:g} s of intervals between beats; "
            f"there are {seconds:.0f}"
        )
