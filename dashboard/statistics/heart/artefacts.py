"""Beats that are not of the rhythm around them: found, classified and corrected. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from dashboard.statistics.distributions import Values
from dashboard.statistics.samples import checked

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_Scalar = TypeVar("_Scalar", np.bool_, np.float64)

SURROUNDINGS = 91
"""Intervals, the own one in the middle, whose spread makes the thresholds of an interval."""

NEIGHBOURS = 5
"""Intervals on each side whose median is the usual length about an interval."""

SPREADS = 5.2
"""Quartile deviations to the threshold."""

LEAST_THRESHOLD = 0.04
MOST_THRESHOLD = 0.2
"""Bounds of the thresholds, as shares of the usual length; ours. Without the first, the smallest
change in a heart like a clock is an artefact; without the second, many ectopic beats raise the
threshold until they all pass.
"""

REACH = 5
"""Intervals on each side from which the slow rhythm of an interval is foretold; ours."""

SMOOTH = 0.5
"""Most that is left of the changes once the slow rhythm is taken away, where there is one; ours."""

_DEGREE = 3
_ECTOPIC_SLOPE = 0.13
_ECTOPIC_OFFSET = 0.17
_FAR = 3.0  # thresholds from the usual length beyond which an interval is long or short
_PASSES = 20


@dataclass(frozen=True, slots=True)
class Corrections:
    """How many beats were corrected, by kind.

    Attributes:
        ectopic: beats that came early with a pause after them, or late with a short interval after.
        missed: beats that were not found; one interval was two.
        extra: beats that were none; two intervals were one.
        misplaced: other intervals that are far too long or too short.
    """

    ectopic: int
    missed: int
    extra: int
    misplaced: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.ectopic + self.missed + self.extra + self.misplaced


@dataclass(frozen=True, slots=True)
class CorrectedBeats:
    """Intervals after correction.

    Attributes:
        intervals: in the unit given.
        run: number of the unbroken run of each, rising.
        measured: whether an interval is between two beats that were found as they are; those of
            two intervals made one by deleting an extra beat are.
        corrections: what was corrected.
    """

    intervals: Values
    run: Integers
    measured: Flags
    corrections: Corrections


@dataclass(frozen=True, slots=True)
class _Classes:
    """Which intervals are artefacts, by kind.

    ``ectopic`` are those that begin with such a beat, ``missed`` hold one, ``extra`` end with one.
    """

    ectopic: Flags
    missed: Flags
    extra: Flags
    misplaced: Flags

    @property
    def counts(self) -> Corrections:
        return Corrections(
            *(int(kind.sum()) for kind in (self.ectopic, self.missed, self.extra, self.misplaced))
        )


def corrected(runs: Iterable[Sequence[float] | Values]) -> CorrectedBeats:
    """Find and correct beats that are not of the rhythm around them.

    Formula: d = change from the interval before, m = interval less the median of it and its five
    neighbours on each side (doubled below 0); each is divided by its threshold, 5.2 times the
    quartile deviation of d, or m, in the 91 intervals around, kept between 4 and 20 % of that
    median. Ectopic: d > 1 and the larger d beside it < −0.13 d − 0.17, or the same with all signs
    turned. Long: d > 1 and a following d (of two) < −1, or m > 3; short: the same with signs
    turned. A long one whose half lies within the threshold of m from the median holds a missed
    beat; a short one that makes the median with the next ends with an extra one; the others are
    misplaced beats. Missed beats are inserted in the middle, extra ones deleted, the others
    interpolated; this is repeated while it finds fewer. Source: Lipponen & Tarvainen 2019.

    Ours is a second search where the rhythm is slow, since an early beat drowns in a deep slow
    breath: each interval is foretold from five measured ones on each side (weighted cubic), and
    where that takes away half of the changes or more, the same rules judge what is left. Ours are
    also the bounds of the thresholds, the borders between runs, that interpolated intervals and
    their neighbours are marked as not measured, and the spread of d and m themselves. Of their
    sizes, as published, 5.2 quartile deviations are 2.2 standard deviations of normal changes
    instead of 3.5: 2 % of the beats of a clean rhythm were removed. Assumes mostly sinus rhythm: in
    atrial fibrillation every interval is what it should not be.

    Args:
        runs: unbroken runs of intervals; a run ends where a beat may be missing.

    Raises:
        StatisticsError: a value is not finite.
    """
    every = [checked(run) for run in runs]
    intervals = np.concatenate([np.empty(0), *every])
    run = np.repeat(np.arange(len(every)), [len(one) for one in every])
    present = CorrectedBeats(
        intervals, run, np.ones(len(run), dtype=np.bool_), Corrections(0, 0, 0, 0)
    )
    return _searched(_searched(present, slow=False), slow=True)


def _searched(beats: CorrectedBeats, *, slow: bool) -> CorrectedBeats:
    """Correct what is found, again and again while fewer are found; ``slow``: beside the slow
    rhythm, if there is one.
    """
    before = len(beats.run) + 1
    for _ in range(_PASSES):
        rhythm = _slow_rhythm(beats) if slow else None
        if slow and rhythm is None:
            break
        if rhythm is not None:  # what is known to be no measured interval is not found again
            known = np.where(beats.measured, beats.intervals, rhythm)
            beats = replace(beats, intervals=known)
        classes = _classes(beats.intervals, beats.run, rhythm)
        odd = classes.counts.total
        if not 0 < odd < before:
            break
        before = odd
        beats = _once_corrected(beats, classes)
    return beats


def _slow_rhythm(beats: CorrectedBeats) -> Values | None:
    """Foretell each interval from measured ones around it, without itself; ``None`` where the
    rhythm is not slow enough for that.
    """
    x = beats.intervals
    if len(x) < 2:
        return None
    offsets = np.arange(-REACH, REACH + 1)
    near = (1 - (np.abs(offsets) / (REACH + 1)) ** 3) ** 3 * (offsets != 0)
    width = len(offsets)
    own = sliding_window_view(np.pad(beats.run, REACH, constant_values=-1), width)
    used = sliding_window_view(np.pad(beats.measured, REACH), width)
    weights = near * used * (own == beats.run[:, np.newaxis])
    powers = np.vander(offsets / REACH, _DEGREE + 1, increasing=True)
    around = sliding_window_view(np.pad(x, REACH), width)
    left = np.einsum("nj,ja,jb->nab", weights, powers, powers)
    right = np.einsum("nj,nj,ja->na", weights, around, powers)
    enough = np.count_nonzero(weights, axis=1) > _DEGREE + 1
    rhythm = _usual(x, beats.run)
    rhythm[enough] = np.linalg.solve(left[enough], right[enough][..., np.newaxis])[:, 0, 0]
    changes = np.diff(beats.run) == 0
    rest = np.abs(np.diff(x - rhythm)[changes])
    whole = np.abs(np.diff(x)[changes])
    if not len(whole) or np.median(rest) > SMOOTH * np.median(whole):
        return None
    return rhythm


def _classes(x: Values, run: Integers, rhythm: Values | None = None) -> _Classes:
    """Classify each interval; an ectopic beat owns both of its intervals, an extra one the next.

    Without a rhythm the usual length is the median around, and changes are what they are.
    """
    if len(x) < 2:
        none = np.zeros(len(x), dtype=np.bool_)
        return _Classes(none, none, none, none)
    usual = _usual(x, run)
    first = np.diff(run, prepend=-1) != 0
    if rhythm is None:
        change = np.where(first, 0.0, np.diff(x, prepend=x[0]))
    else:
        usual = rhythm
        rest = x - rhythm
        change = np.where(first, 0.0, np.diff(rest, prepend=rest[0]))
    off = x - usual
    off = np.where(off < 0, 2 * off, off)
    least = LEAST_THRESHOLD * np.abs(usual)
    most = MOST_THRESHOLD * np.abs(usual)
    d = change / np.clip(_threshold(change, ~first), least, most)
    limit = np.clip(_threshold(off, np.ones_like(first)), least, most)
    return _judged(x, usual, first, d, off / limit, limit)


def _judged(
    x: Values, usual: Values, first: Flags, d: Values, m: Values, limit: Values
) -> _Classes:
    """Apply the rules to changes and distances, both in thresholds."""
    signs = np.where(d < 0, -1.0, 1.0)
    last = _later(first, True)
    before = np.where(first, 0.0, np.roll(d, 1))
    after = np.where(last, 0.0, _later(d, 0.0))
    beyond = np.where(last | _later(last, True), 0.0, _later(_later(d, 0.0), 0.0))
    beside = np.maximum(signs * before, signs * after)
    following = np.minimum(signs * after, signs * beyond)
    size = np.abs(d)
    ectopic = ~first & (size > 1) & (beside < -_ECTOPIC_SLOPE * size - _ECTOPIC_OFFSET)
    free = ~(ectopic | _later(ectopic, False))
    turned = (size > 1) & (following < -1)
    long = free & ((turned & (d > 0)) | (m > _FAR))
    short = free & ((turned & (d < 0)) | (m < -_FAR))
    missed = long & (np.abs(x / 2 - usual) < limit)
    extra = short & ~last & free & (np.abs(x + _later(x, 0.0) - usual) < limit)
    extra &= ~np.append(False, extra[:-1])
    joined = np.append(False, extra[:-1])
    other = (long | short) & ~missed & ~extra & ~joined
    return _Classes(ectopic & ~joined, missed & ~joined, extra, other)


def _later(row: npt.NDArray[_Scalar], end: float | bool) -> npt.NDArray[_Scalar]:
    """Return for each place what stands at the next one."""
    return np.append(row[1:], np.array([end], dtype=row.dtype))


def _usual(x: Values, run: Integers) -> Values:
    """Return the median of each interval and up to five neighbours on each side in its run."""
    width = 2 * NEIGHBOURS + 1
    around = sliding_window_view(np.pad(x, NEIGHBOURS), width)
    own = sliding_window_view(np.pad(run, NEIGHBOURS, constant_values=-1), width)
    inside = own == run[:, np.newaxis]
    ranked = np.sort(np.where(inside, around, np.inf), axis=1)
    n = inside.sum(axis=1)
    places = np.arange(len(x))
    medians: Values = (ranked[places, (n - 1) // 2] + ranked[places, n // 2]) / 2
    return medians


def _threshold(values: Values, used: Flags) -> Values:
    """Return 5.2 quartile deviations of the used values around each place."""
    sizes = values[used]
    if not len(sizes):
        return np.zeros(len(values))
    width = min(SURROUNDINGS, len(sizes))
    ranked = np.sort(sliding_window_view(sizes, width), axis=1)
    low, high = (_quantile(ranked, share) for share in (0.25, 0.75))
    place = np.clip(np.cumsum(used) - 1 - width // 2, 0, len(sizes) - width)
    thresholds: Values = SPREADS * (high - low)[place] / 2
    return thresholds


def _quantile(ranked: Values, share: float) -> Values:
    """Return the quantile of each sorted row, interpolated as ``numpy.percentile`` does.

    Rows as short as these are sorted in a seventh of the time that it takes to part them.
    """
    place = share * (ranked.shape[1] - 1)
    below = int(place)
    part = place - below
    first = ranked[:, below]
    last = ranked[:, min(below + 1, ranked.shape[1] - 1)]
    quantiles: Values = (
        first + (last - first) * part if part < 0.5 else last - (last - first) * (1 - part)
    )
    return quantiles


def _once_corrected(beats: CorrectedBeats, classes: _Classes) -> CorrectedBeats:
    """Return the beats after one pass."""
    x = beats.intervals.copy()
    early = classes.ectopic
    moved = early | _later(early, False) | classes.misplaced
    same_run = np.diff(beats.run, prepend=-1) == 0
    touched = moved | (np.append(False, classes.misplaced[:-1]) & same_run) | classes.missed
    joined = np.append(False, classes.extra[:-1])
    good = ~(moved | classes.missed | classes.extra | joined)
    if good.any():
        places = np.arange(len(x))
        x[moved] = np.interp(places[moved], places[good], x[good])
    x[classes.missed] /= 2
    x[classes.extra] += beats.intervals[joined]
    both = beats.measured & _later(beats.measured, False)
    measured = np.where(classes.extra, both, beats.measured) & ~touched
    times = np.where(classes.missed, 2, np.where(joined, 0, 1))
    now = classes.counts
    before = beats.corrections
    return CorrectedBeats(
        intervals=np.repeat(x, times),
        run=np.repeat(beats.run, times),
        measured=np.repeat(measured, times),
        corrections=Corrections(
            before.ectopic + now.ectopic,
            before.missed + now.missed,
            before.extra + now.extra,
            before.misplaced + now.misplaced,
        ),
    )
