"""Heart-rate variability from the intervals between beats, artefacts corrected. Pure."""

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
Flags = npt.NDArray[np.bool_]
_Scalar = TypeVar("_Scalar", np.bool_, np.float64)

SURROUNDINGS = 91
"""Intervals, the own one in the middle, whose spread makes the thresholds of an interval."""

NEIGHBOURS = 5
"""Intervals on each side whose median is the usual length about an interval."""

SPREADS = 5.2
"""Quartile deviations to the threshold, which lies at 3.32 standard deviations of normal ones."""

LEAST_THRESHOLD = 0.04
MOST_THRESHOLD = 0.25
"""Bounds of the thresholds, as shares of the usual length; ours. Without the first, the smallest
change in a heart like a clock is an artefact; without the second, many ectopic beats raise the
threshold until they all pass.
"""

MINIMUM_S = 60.0
"""Seconds of measured intervals below which there is no number."""

STANDARD_S = 300.0
"""Length of the standard short recording (Task Force 1996); shorter ones are called ultra-short."""

MOST_CORRECTED = 0.2
"""Share of corrected beats above which there is no number."""

_ECTOPIC_SLOPE = 0.13
_ECTOPIC_OFFSET = 0.17
_FAR = 3.0  # thresholds from the usual length beyond which an interval is long or short
_PASSES = 20


class TooShortError(StatisticsError):
    """There are fewer seconds of measured intervals than the measures need.

    The text says how many it needs.
    """


class ArtefactError(StatisticsError):
    """Too many of the beats had to be corrected; the text says how many, and of what kind."""


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
class HeartVariability:
    """Variability of one participant in one state.

    Attributes:
        n: measured intervals: those that no corrected beat touches.
        successive: pairs of measured intervals that follow each other: what RMSSD is computed from.
        beats: intervals that were given, corrected or not.
        corrections: beats that were corrected.
        seconds: sum of the measured intervals.
        rmssd_ms: root mean square of successive differences in ms; beat-to-beat, mostly vagal.
        sdnn_ms: standard deviation of the intervals in ms; grows with the length of the recording.
    """

    n: int
    successive: int
    beats: int
    corrections: Corrections
    seconds: float
    rmssd_ms: float
    sdnn_ms: float

    @property
    def share_corrected(self) -> float:
        """Share of the beats that were corrected, 0…1."""
        return self.corrections.total / self.beats

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
        return ln_rmssd(self.rmssd_ms)


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


def ln_rmssd(rmssd_ms: float) -> float:
    """Return the natural logarithm of RMSSD in ms: the value to test between states.

    Raises:
        NoVariationError: RMSSD is 0.
    """
    if rmssd_ms == 0:
        raise NoVariationError(
            "successive intervals do not differ at all, so RMSSD has no logarithm"
        )
    return math.log(rmssd_ms)


def corrected(runs: Iterable[Sequence[float] | Values]) -> CorrectedBeats:
    """Find and correct beats that are not of the rhythm around them.

    Formula: d = change from the interval before, m = interval less the median of it and its five
    neighbours on each side (doubled below 0); each is divided by its threshold, 5.2 times the
    quartile deviation of |d|, or |m|, in the 91 intervals around, kept between 4 and 25 % of that
    median. Ectopic: d > 1 and the larger d beside it < −0.13 d − 0.17, or the same with all signs
    turned. Long: d > 1 and a following d (of two) < −1, or m > 3; short: the same with signs
    turned. A long one whose half lies within the threshold of m from the median holds a missed
    beat; a short one that makes the median with the next ends with an extra one; the others are
    misplaced beats. Missed beats are inserted in the middle, extra ones deleted, the others
    interpolated; this is repeated while it finds fewer. Assumes mostly sinus rhythm: in atrial
    fibrillation every interval is what it should not be. Source: Lipponen & Tarvainen 2019; ours
    are the bounds of the thresholds, the borders between runs, and that interpolated intervals and
    their neighbours are marked as not measured.

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
    before = len(run) + 1
    for _ in range(_PASSES):
        classes = _classes(present.intervals, present.run)
        odd = classes.counts.total
        if not 0 < odd < before:
            break
        before = odd
        present = _once_corrected(present, classes)
    return present


def _classes(x: Values, run: Integers) -> _Classes:
    """Classify each interval; an ectopic beat owns both of its intervals, an extra one the next."""
    if len(x) < 2:
        none = np.zeros(len(x), dtype=np.bool_)
        return _Classes(none, none, none, none)
    usual = _usual(x, run)
    first = np.diff(run, prepend=-1) != 0
    change = np.where(first, 0.0, np.diff(x, prepend=x[0]))
    off = x - usual
    off = np.where(off < 0, 2 * off, off)
    least = LEAST_THRESHOLD * np.abs(usual)
    most = MOST_THRESHOLD * np.abs(usual)
    d = change / np.clip(_threshold(change, ~first), least, most)
    limit = np.clip(_threshold(off, np.ones_like(first)), least, most)
    m = off / limit
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
    """Return 5.2 quartile deviations of the sizes of the used values around each place."""
    sizes = np.abs(values[used])
    if not len(sizes):
        return np.zeros(len(values))
    width = min(SURROUNDINGS, len(sizes))
    low, high = np.percentile(sliding_window_view(sizes, width), [25, 75], axis=1)
    place = np.clip(np.cumsum(used) - 1 - width // 2, 0, len(sizes) - width)
    thresholds: Values = SPREADS * (high - low)[place] / 2
    return thresholds


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


def heart_variability(runs: Iterable[Sequence[float] | Values]) -> HeartVariability:
    """Compute RMSSD and SDNN of a recording, artefacts corrected as ``corrected`` does.

    Formula, over measured intervals x in ms: RMSSD = √(mean of (xᵢ₊₁ − xᵢ)²) over neighbours that
    were both measured (never across a corrected beat or the border of two runs); SDNN = √(Σ (x −
    mean)² / (n − 1)). Corrected intervals only serve to find further artefacts: counted, they would
    make a heart look steadier. Assumes sinus rhythm and a roughly constant mean. SDNN grows with
    the length, so compare only recordings of similar length. Needs 60 s of measured intervals, and
    80 % of the beats as they are. Source: Task Force of the ESC and the NASPE 1996, which asks for
    five minutes; shorter ones are ``ultra_short``. In 3,387 people at rest, RMSSD of 120 s
    correlated by 0.986 with that of 240 to 300 s, SDNN by 0.956; of 10 s by 0.86 and 0.76 (Munoz et
    al. 2015). Few other studies judged the agreement so strictly (Shaffer et al. 2020).

    Args:
        runs: unbroken runs of intervals in seconds; a run ends where a beat may be missing.

    Raises:
        ArtefactError: more than a fifth of the beats were corrected.
        TooShortError: fewer than 60 s of intervals were measured.
        StatisticsError: a value is not finite.
    """
    given = [checked(run) for run in runs]
    beats = sum(len(run) for run in given)
    beats_used = corrected(given)
    _require(beats, beats_used)
    in_ms = 1000 * beats_used.intervals
    x = in_ms[beats_used.measured]
    measured = beats_used.measured
    pairs = measured[1:] & measured[:-1] & (np.diff(beats_used.run) == 0)
    d = np.diff(in_ms)[pairs]
    return HeartVariability(
        n=len(x),
        successive=len(d),
        beats=beats,
        corrections=beats_used.corrections,
        seconds=float(x.sum()) / 1000,
        rmssd_ms=math.sqrt(float(np.mean(d**2))),
        sdnn_ms=float(np.std(x, ddof=1)),
    )


def _require(beats: int, beats_used: CorrectedBeats) -> None:
    """Refuse what the measures would say nothing about."""
    kinds = beats_used.corrections
    if kinds.total > MOST_CORRECTED * beats:
        raise ArtefactError(
            f"{kinds.total} of {beats} beats do not fit the rhythm around them ({kinds.ectopic} "
            f"early or late, {kinds.missed} missed, {kinds.extra} extra, {kinds.misplaced} "
            f"misplaced); heart-rate variability is computed with up to {MOST_CORRECTED:.0%} of "
            "them. It describes sinus rhythm: the cause can be the heart's own rhythm as well as "
            "how the beats were found"
        )
    seconds = float(beats_used.intervals[beats_used.measured].sum())
    if seconds < MINIMUM_S:
        raise TooShortError(
            f"heart-rate variability needs at least {MINIMUM_S:g} s of intervals between beats; "
            f"there are {seconds:.0f}"
        )
