"""Heart-rate variability and frequency bands of the intervals between beats, with the breath that
they follow; beats that are not of the rhythm around them are found, classified and corrected. Pure.

Source of bands and lengths: Task Force of the ESC and the NASPE 1996, Circulation 93:1043–1065. A
band needs ten waves of its lowest frequency without a break.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from dashboard.statistics import MINIMUM_S
from dashboard.statistics.distributions import Values
from dashboard.statistics.samples import NoVariationError, TooShortError, check_values
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_
from edge_agent.core.variability import limits_of_rmssd, limits_of_sdnn, rms_without_errors

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Limits = tuple[float, float]
"""Lower and upper."""
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
# The line that parts ectopic beats from other changes, as published (see ``correct_beats``).
_ECTOPIC_SLOPE = 0.13
_ECTOPIC_OFFSET = 0.17
_FAR = 3.0  # thresholds from the usual length beyond which an interval is long or short
# Only a bound: a pass must find fewer than the one before, or the search ends.
_PASSES = 20
STANDARD_S = 300.0
"""Length of the standard short recording (Task Force 1996); shorter ones are called ultra-short."""
MOST_CORRECTED = 0.2
"""Share of corrected beats above which there is no number."""
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


@dataclass(frozen=True, slots=True)
class Corrections:
    """The numbers of corrected beats, by kind.

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
        errors: expected absolute error of each, in the same unit; NaN: not stated.
    """

    intervals: Values
    run: Integers
    measured: Flags
    corrections: Corrections
    errors: Values


@dataclass(frozen=True, slots=True)
class _Classes:
    """The intervals that are artefacts, as flags by kind.

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


def correct_beats(
    runs: Iterable[Sequence[float] | Values], errors: Iterable[Values] | None = None
) -> CorrectedBeats:
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
        errors: expected absolute error of each interval, run by run; ``None``: none is stated.

    Raises:
        StatisticsError: a value is not finite.
    """
    every = [check_values(run) for run in runs]
    # The empty array in front: numpy cannot concatenate an empty list.
    intervals = np.concatenate([np.empty(0), *every])
    run = np.repeat(np.arange(len(every)), [len(one) for one in every])
    stated = np.full(len(run), np.nan)
    if errors is not None:
        stated = np.concatenate([np.empty(0), *errors])
    present = CorrectedBeats(
        intervals, run, np.ones(len(run), dtype=np.bool_), Corrections(0, 0, 0, 0), stated
    )
    # The second search foretells intervals from measured ones, so
    # the first must have marked the gross artefacts.
    return _correct_repeatedly(_correct_repeatedly(present, slow=False), slow=True)


def _correct_repeatedly(beats: CorrectedBeats, *, slow: bool) -> CorrectedBeats:
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
        # More than before means that a correction made new artefacts: the beats stay as they were.
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
    # Tricube weights, and none for the interval itself, which must not foretell itself.
    near = (1 - (np.abs(offsets) / (REACH + 1)) ** 3) ** 3 * (offsets != 0)
    width = len(offsets)
    # No run has the number −1, so the padding at both ends never counts as a neighbour.
    own = sliding_window_view(np.pad(beats.run, REACH, constant_values=-1), width)
    used = sliding_window_view(np.pad(beats.measured, REACH), width)
    weights = near * used * (own == beats.run[:, np.newaxis])
    powers = np.vander(offsets / REACH, _DEGREE + 1, increasing=True)
    around = sliding_window_view(np.pad(x, REACH), width)
    left = np.einsum("nj,ja,jb->nab", weights, powers, powers)
    right = np.einsum("nj,nj,ja->na", weights, around, powers)
    # A cubic goes through any four points; only with more does it foretell anything.
    enough = np.count_nonzero(weights, axis=1) > _DEGREE + 1
    rhythm = _usual(x, beats.run)
    # The constant term is the curve at offset 0, where the interval itself lies.
    rhythm[enough] = np.linalg.solve(left[enough], right[enough][..., np.newaxis])[:, 0, 0]
    changes = np.diff(beats.run) == 0
    rest = np.abs(np.diff(x - rhythm)[changes])
    whole = np.abs(np.diff(x)[changes])
    # Medians: the artefacts that are searched for must not decide whether the rhythm is slow.
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
        # The first interval of a run has none before it: a change across a gap says nothing.
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
    return _classify(x, usual, first, d, off / limit, limit)


def _classify(
    x: Values, usual: Values, first: Flags, d: Values, m: Values, limit: Values
) -> _Classes:
    """Apply the rules to changes and distances, both in thresholds."""
    # With the signs turned, one set of rules serves early and late beats.
    signs = np.where(d < 0, -1.0, 1.0)
    last = _later(first, True)
    before = np.where(first, 0.0, np.roll(d, 1))
    after = np.where(last, 0.0, _later(d, 0.0))
    # Two places on must still lie in the same run.
    beyond = np.where(last | _later(last, True), 0.0, _later(_later(d, 0.0), 0.0))
    beside = np.maximum(signs * before, signs * after)
    following = np.minimum(signs * after, signs * beyond)
    size = np.abs(d)
    ectopic = ~first & (size > 1) & (beside < -_ECTOPIC_SLOPE * size - _ECTOPIC_OFFSET)
    # An ectopic beat owns the interval after it, which must not be classified once more.
    free = ~(ectopic | _later(ectopic, False))
    turned = (size > 1) & (following < -1)
    long = free & ((turned & (d > 0)) | (m > _FAR))
    short = free & ((turned & (d < 0)) | (m < -_FAR))
    missed = long & (np.abs(x / 2 - usual) < limit)
    extra = short & ~last & free & (np.abs(x + _later(x, 0.0) - usual) < limit)
    # Of extra beats in a row only the first is joined; the next pass looks at the others again.
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
    # Intervals of other runs sort to the end as ∞, behind the n that count.
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
    # Near the ends the window stays whole, and the interval leaves its middle.
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
        # From the nearer end, as NumPy does it, or the last bit would differ.
        first + (last - first) * part if part < 0.5 else last - (last - first) * (1 - part)
    )
    return quantiles


def _once_corrected(beats: CorrectedBeats, classes: _Classes) -> CorrectedBeats:
    """Return the beats after one pass."""
    x = beats.intervals.copy()
    early = classes.ectopic
    moved = early | _later(early, False) | classes.misplaced
    same_run = np.diff(beats.run, prepend=-1) == 0
    # The beat that is misplaced ends one interval and begins the next, so neither was measured.
    touched = moved | (np.append(False, classes.misplaced[:-1]) & same_run) | classes.missed
    joined = np.append(False, classes.extra[:-1])
    good = ~(moved | classes.missed | classes.extra | joined)
    if good.any():
        places = np.arange(len(x))
        x[moved] = np.interp(places[moved], places[good], x[good])
    x[classes.missed] /= 2
    # An extra beat is never the last of its run: each sum has exactly one interval to swallow.
    x[classes.extra] += beats.intervals[joined]
    # A joined interval counts as measured only if both of its parts were.
    both = beats.measured & _later(beats.measured, False)
    measured = np.where(classes.extra, both, beats.measured) & ~touched
    times = np.where(classes.missed, 2, np.where(joined, 0, 1))
    errors = beats.errors.copy()
    errors[classes.extra] = np.hypot(errors[classes.extra], errors[joined])
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
        errors=np.repeat(errors, times),
    )


class ArtefactError(StatisticsError):
    """Too many of the beats had to be corrected; the text says how many, and of what kind."""


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
        rmssd_limits: 95 % limits of the true RMSSD, ms; ``None``: an interval states no error.
        sdnn_limits: the same of SDNN.
        own_rmssd_ms: RMSSD less what the errors add that the intervals state, or the middle of its
            limits where they state more than was measured; else as measured. What to test.
        own_sdnn_ms: the same of SDNN.
    """

    n: int
    successive: int
    beats: int
    corrections: Corrections
    seconds: float
    rmssd_ms: float
    sdnn_ms: float
    rmssd_limits: Limits | None = None
    sdnn_limits: Limits | None = None
    own_rmssd_ms: float = field(kw_only=True)
    own_sdnn_ms: float = field(kw_only=True)

    @property
    def share_corrected(self) -> float:
        """Share of the beats that were corrected, 0…1."""
        return self.corrections.total / self.beats

    @property
    def ultra_short(self) -> bool:
        """Tell whether the recording is shorter than the standard five minutes."""
        return self.seconds < STANDARD_S

    @property
    def ln_rmssd(self) -> float:
        """Natural logarithm of the own RMSSD in ms, which is nearer to normal between people: what
        to test.

        Raises:
            NoVariationError: all successive intervals are equal.
        """
        return ln_rmssd(self.own_rmssd_ms)


def ln_rmssd(rmssd_ms: float) -> float:
    """Return the natural logarithm of RMSSD in ms: the value to test between states.

    Raises:
        NoVariationError: RMSSD is 0.
    """
    if rmssd_ms == 0:
        raise NoVariationError(
            N_("successive intervals do not differ at all, so RMSSD has no logarithm")
        )
    return math.log(rmssd_ms)


def heart_variability(
    runs: Iterable[Sequence[float] | Values], errors: Iterable[Values] | None = None
) -> HeartVariability:
    """Compute RMSSD and SDNN of a recording, artefacts corrected as ``correct_beats`` does.

    Formula, over measured intervals x in ms: RMSSD = √(mean of (xᵢ₊₁ − xᵢ)²) over neighbours that
    were both measured (never across a corrected beat or the border of two runs); SDNN = √(Σ (x −
    mean)² / (n − 1)). Corrected intervals only serve to find further artefacts: counted, they would
    make a heart look steadier. Assumes sinus rhythm and a roughly constant mean. SDNN grows with
    the length, so compare only recordings of similar length. Needs 60 s of measured intervals, and
    80 % of the beats as they are. Source: Task Force of the ESC and the NASPE 1996, which asks for
    five minutes; shorter ones are ``ultra_short``. In 3,387 people at rest, RMSSD of 120 s
    correlated by 0.986 with that of 240 to 300 s, SDNN by 0.956; of 10 s by 0.86 and 0.76 (Munoz et
    al. 2015). Few other studies judged the agreement so strictly (Shaffer et al. 2020).

    Where each measured interval states its error, both have limits between which those of intervals
    without errors lie (``limits_of_rmssd``, ``limits_of_sdnn``), and a value less what the errors
    add (``rms_without_errors``).

    Args:
        runs: unbroken runs of intervals in seconds; a run ends where a beat may be missing.
        errors: expected absolute error of each interval, seconds, run by run; NaN, or ``None`` for
            all: not stated.

    Raises:
        ArtefactError: more than a fifth of the beats were corrected.
        TooShortError: fewer than 60 s of intervals were measured.
        StatisticsError: a value is not finite.
    """
    given = [check_values(run) for run in runs]
    beats = sum(len(run) for run in given)
    beats_used = correct_beats(given, errors)
    _require(beats, beats_used)
    in_ms = 1000 * beats_used.intervals
    x = in_ms[beats_used.measured]
    measured = beats_used.measured
    pairs = measured[1:] & measured[:-1] & (np.diff(beats_used.run) == 0)
    d = np.diff(in_ms)[pairs]
    rmssd_limits = sdnn_limits = None
    rmssd_ms, sdnn_ms = math.sqrt(float(np.mean(d**2))), float(np.std(x, ddof=1))
    own_rmssd_ms, own_sdnn_ms = rmssd_ms, sdnn_ms
    errors_ms = 1000 * beats_used.errors
    if not np.isnan(errors_ms[measured]).any():
        of_pairs = np.hypot(errors_ms[1:], errors_ms[:-1]) / math.sqrt(2)
        rmssd_limits = limits_of_rmssd(_parts(np.diff(in_ms), pairs), _parts(of_pairs, pairs))
        off, follows = in_ms - x.mean(), np.diff(beats_used.run) == 0
        sdnn_limits = limits_of_sdnn(
            _parts(off, measured, follows), _parts(errors_ms, measured, follows)
        )
        own = rms_without_errors(d.tolist(), of_pairs[pairs].tolist(), of_differences=True)
        own_rmssd_ms = own or fmean(rmssd_limits)
        own = rms_without_errors(
            off[measured].tolist(), errors_ms[measured].tolist(), of_differences=False
        )
        own_sdnn_ms = own * math.sqrt(len(x) / (len(x) - 1)) if own else fmean(sdnn_limits)
    return HeartVariability(
        n=len(x),
        successive=len(d),
        beats=beats,
        corrections=beats_used.corrections,
        seconds=float(x.sum()) / 1000,
        rmssd_ms=rmssd_ms,
        sdnn_ms=sdnn_ms,
        rmssd_limits=rmssd_limits,
        sdnn_limits=sdnn_limits,
        own_rmssd_ms=own_rmssd_ms,
        own_sdnn_ms=own_sdnn_ms,
    )


def _parts(values: Values, used: Flags, follows: Flags | None = None) -> list[list[float]]:
    """Return the values that are used, each unbroken part by itself; ``follows`` says of each but
    the last whether the next one belongs to its run.
    """
    whole = used[:-1] & used[1:] if follows is None else used[:-1] & used[1:] & follows
    cuts = np.flatnonzero(~whole) + 1
    parts = zip(np.split(values, cuts), np.split(used, cuts), strict=True)
    return [part.tolist() for part, is_used in parts if is_used[0]]


def require_few_artefacts(beats: int, kinds: Corrections) -> None:
    """Refuse recordings of which more than a fifth was corrected.

    Raises:
        ArtefactError: it was.
    """
    if kinds.total > MOST_CORRECTED * beats:
        raise ArtefactError(
            N_(
                "{total} of {beats} beats do not fit the rhythm around them ({ectopic} early "
                "or late, {missed} missed, {extra} extra, {misplaced} misplaced); heart-rate "
                "variability is computed with up to {most_corrected:.0%} of them. It "
                "describes sinus rhythm: the cause can be the heart's own rhythm as well as "
                "how the beats were found"
            ),
            total=kinds.total,
            beats=beats,
            ectopic=kinds.ectopic,
            missed=kinds.missed,
            extra=kinds.extra,
            misplaced=kinds.misplaced,
            most_corrected=MOST_CORRECTED,
        )


def _require(beats: int, beats_used: CorrectedBeats) -> None:
    """Refuse what the measures would say nothing about."""
    require_few_artefacts(beats, beats_used.corrections)
    seconds = float(beats_used.intervals[beats_used.measured].sum())
    if seconds < MINIMUM_S:
        raise TooShortError(
            N_(
                "heart-rate variability needs at least {minimum_s:g} s of intervals between "
                "beats; there are {seconds:.0f}"
            ),
            minimum_s=MINIMUM_S,
            seconds=seconds,
        )


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
        # Half open, so that 0.15 Hz is not counted in both bands.
        inside = (self.hz >= band[0]) & (self.hz < band[1])
        return float(self.density[inside].sum() * (self.hz[1] - self.hz[0]))


def spectrum(runs: Iterable[Sequence[float] | Values], least_s: float = LOW_S) -> Spectrum:
    """Return the power of the intervals between beats by frequency.

    Formula: artefacts corrected as by ``correct_beats``, corrected intervals kept in place; of
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
    every = [check_values(run) for run in runs]
    beats = correct_beats(every)
    require_few_artefacts(sum(len(run) for run in every), beats.corrections)
    parts = [beats.intervals[beats.run == number] for number in range(len(every))]
    long = [part for part in parts if len(part) and part.sum() >= least_s]
    if not long:
        most = max((float(part.sum()) for part in parts), default=0.0)
        raise TooShortError(
            N_(
                "a frequency band needs at least {least_s:g} s of intervals without a break; "
                "the longest time has {most:.0f}"
            ),
            least_s=least_s,
            most=most,
        )
    # Segments of short runs have coarser frequencies; the mean of runs needs a common grid.
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
    # Welch's periodogram needs even steps in time, which beats are not.
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
    # Beats sample the breath: above half the heart rate it would show as a slower one.
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
