"""Heart-rate variability from the intervals between beats, artefacts corrected. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dashboard.statistics.distributions import Values
from dashboard.statistics.heart.artefacts import CorrectedBeats, Corrections, corrected
from dashboard.statistics.samples import NoVariationError, checked
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_, Message

MINIMUM_S = 60.0
"""Seconds of measured intervals below which there is no number."""

STANDARD_S = 300.0
"""Length of the standard short recording (Task Force 1996); shorter ones are called ultra-short."""

MOST_CORRECTED = 0.2
"""Share of corrected beats above which there is no number."""


class TooShortError(StatisticsError):
    """There are fewer seconds of measured intervals than the measures need.

    The text says how many it needs.
    """


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


def require_few_artefacts(beats: int, kinds: Corrections) -> None:
    """Refuse recordings of which more than a fifth was corrected.

    Raises:
        ArtefactError: it was.
    """
    if kinds.total > MOST_CORRECTED * beats:
        raise ArtefactError(
            Message(
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
        )


def _require(beats: int, beats_used: CorrectedBeats) -> None:
    """Refuse what the measures would say nothing about."""
    require_few_artefacts(beats, beats_used.corrections)
    seconds = float(beats_used.intervals[beats_used.measured].sum())
    if seconds < MINIMUM_S:
        raise TooShortError(
            Message(
                N_(
                    "heart-rate variability needs at least {minimum_s:g} s of intervals between "
                    "beats; there are {seconds:.0f}"
                ),
                minimum_s=MINIMUM_S,
                seconds=seconds,
            )
        )
