"""Heart-rate variability of each participant in each state. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from dashboard.analysis.inference.measures import NO_LIMITS, Limits, Visit
from dashboard.analysis.query import TESTED_STATES, HeartMeasure, tested_state
from dashboard.analysis.readings.means import average
from dashboard.analysis.results import VariabilityModel
from dashboard.statistics.distributions import Values
from dashboard.statistics.heart import (
    HIGH_HZ,
    HIGH_S,
    LOW_HZ,
    LOW_S,
    ArtefactError,
    HeartVariability,
    Spectrum,
    breaths_per_minute,
    heart_variability,
    spectrum,
)
from dashboard.statistics.samples import NoVariationError, TooShortError
from edge_agent.core.errors import StatisticsError
from edge_agent.core.readings import VitalFlag
from edge_agent.core.texts import N_, text_of
from edge_agent.core.variability import mean_square_of_errors
from edge_agent.timeline.read.observed import Beats

BREAK_S = 3.0
"""Seconds without an interval after which a beat counts as missing.

A strap speaks every second, and no interval that is taken for a beat is longer than two.
"""

LATE = 0.5
"""Share of an interval by which its end may be later than the end before and the interval itself
say, before a beat counts as missing.
"""

_PACKETS = 10
"""Intervals on each side whose least delay tells how late a source is."""


class StateRecording:
    """One state of one session; what several measures are made of is computed once."""

    def __init__(self, parts: Sequence[Beats]) -> None:
        self.parts = parts

    @property
    def middle_ms(self) -> float:
        """Mean time of the intervals, UTC."""
        return float(np.concatenate([part.at_ms for part in self.parts]).mean())

    def seconds_without(self, doubts: Collection[VitalFlag]) -> tuple[float, float]:
        """Return how long the intervals without flags of doubt last together, and all of them."""
        every = [part.values for part in self.parts]
        sound = [
            part.values[~np.any([part.have_flag(flag) for flag in doubts], axis=0)]
            if doubts
            else part.values
            for part in self.parts
        ]
        return float(sum(map(np.sum, sound))), float(sum(map(np.sum, every)))

    @property
    def error_ms(self) -> float | None:
        """Root of the mean square of the errors that the intervals state, ms; ``None`` where one
        states none.
        """
        if any(part.errors is None or np.isnan(part.errors).any() for part in self.parts):
            return None
        stated = np.concatenate([_errors_of(part) for part in self.parts])
        return 1000 * math.sqrt(mean_square_of_errors(stated.tolist()))

    def value(self, measure: HeartMeasure) -> float:
        """Return one measure.

        Raises:
            StatisticsError: there is none; ``REASONS`` of ``measures.py`` has why.
        """
        match measure:
            case HeartMeasure.LN_RMSSD:
                return self.variability.ln_rmssd
            case HeartMeasure.SDNN:
                return self.variability.own_sdnn_ms
            case HeartMeasure.LN_HF:
                return _logarithm(self._short.power(HIGH_HZ))
            case HeartMeasure.RESPIRATION:
                return breaths_per_minute(self._short)
        # The ratio takes both bands from the same runs, or it would compare different times.
        low = _logarithm(self._long.power(LOW_HZ))
        if measure is HeartMeasure.LN_LF:
            return low
        return low - _logarithm(self._long.power(HIGH_HZ))

    def limits(self, measure: HeartMeasure) -> Limits:
        """Return the 95 % limits of a measure without its sensor's errors, where they are known."""
        if measure is HeartMeasure.SDNN:
            return self.variability.sdnn_limits or NO_LIMITS
        # Other measures have a number where there may be no RMSSD.
        if measure is not HeartMeasure.LN_RMSSD or self.variability.rmssd_limits is None:
            return NO_LIMITS
        low, high = self.variability.rmssd_limits
        return (math.log(low) if low else None), (math.log(high) if high else None)

    @cached_property
    def variability(self) -> HeartVariability:
        """RMSSD and SDNN.

        Raises:
            StatisticsError: there are too few intervals or too many artefacts, or a value is not
                finite.
        """
        errors = None
        if all(part.errors is not None for part in self.parts):
            errors = runs_of(self.parts, [_errors_of(part) for part in self.parts])
        return heart_variability(self._runs, errors)

    @cached_property
    def _runs(self) -> list[Values]:
        return runs_of(self.parts, [part.values for part in self.parts])

    @cached_property
    def _short(self) -> Spectrum:
        return spectrum(self._runs, HIGH_S)

    @cached_property
    def _long(self) -> Spectrum:
        return spectrum(self._runs, LOW_S)


def _mean(values: Sequence[float]) -> float | None:
    return average(values) if values else None


def _mean_limits(every: Sequence[tuple[float, float] | None]) -> Limits:
    """Return the means of lower and upper limits; ``None`` where a session has none.

    What is not known of a sensor's errors is the same in all sessions, so limits of a mean are no
    narrower.
    """
    known = [one for one in every if one is not None]
    if not known or len(known) < len(every):
        return NO_LIMITS
    return average([low for low, _ in known]), average([high for _, high in known])


def _errors_of(part: Beats) -> Values:
    return np.full(len(part.values), np.nan) if part.errors is None else part.errors


def variability_by_state(
    recordings: Mapping[Visit, StateRecording], states: tuple[str, ...] = TESTED_STATES
) -> tuple[VariabilityModel, ...]:
    """Return the variability of every participant in every state, session by session.

    Args:
        recordings: of each session and state.
        states: those that are compared.

    Raises:
        StatisticsError: a value is not finite.
    """
    grouped: defaultdict[tuple[str, str], list[StateRecording]] = defaultdict(list)
    for (participant, _, state), recording in recordings.items():
        grouped[participant, state].append(recording)
    ordered = sorted(grouped.items(), key=lambda item: (item[0][0], states.index(item[0][1])))
    return tuple(_of_state(code, state, own) for (code, state), own in ordered)


def _of_state(code: str, state: str, recordings: Sequence[StateRecording]) -> VariabilityModel:
    sessions: list[HeartVariability] = []
    refused: list[StatisticsError] = []
    for recording in recordings:
        try:
            sessions.append(recording.variability)
        except (TooShortError, ArtefactError) as error:
            refused.append(error)
    corrected = [one.corrections for one in sessions]
    beats = sum(one.beats for one in sessions)
    rmssd_low, rmssd_high = _mean_limits([one.rmssd_limits for one in sessions])
    sdnn_low, sdnn_high = _mean_limits([one.sdnn_limits for one in sessions])
    return VariabilityModel(
        participant=code,
        state=state,
        sessions=len(sessions),
        rmssd_ms=_mean([one.rmssd_ms for one in sessions]),
        # Of the sessions whose intervals change, as the tests take it.
        ln_rmssd=_mean([one.ln_rmssd for one in sessions if one.rmssd_ms]),
        # Over the sessions together it would also hold how they differ.
        sdnn_ms=_mean([one.sdnn_ms for one in sessions]),
        rmssd_low_ms=rmssd_low,
        rmssd_high_ms=rmssd_high,
        sdnn_low_ms=sdnn_low,
        sdnn_high_ms=sdnn_high,
        beats=sum(one.n for one in sessions) if sessions else None,
        seconds=math.fsum(one.seconds for one in sessions) if sessions else None,
        ultra_short=sum(one.ultra_short for one in sessions),
        rejected=sum(one.total for one in corrected) / beats if sessions else None,
        ectopic=sum(one.ectopic for one in corrected) if sessions else None,
        missed=sum(one.missed for one in corrected) if sessions else None,
        extra=sum(one.extra for one in corrected) if sessions else None,
        misplaced=sum(one.misplaced for one in corrected) if sessions else None,
        refused=len(refused),
        many_artefacts=sum(isinstance(error, ArtefactError) for error in refused),
        reasons=tuple(dict.fromkeys(map(text_of, refused))),
        contact_lost=sum(int(_without_contact(recording.parts).sum()) for recording in recordings),
        simulated=any(part.simulated for recording in recordings for part in recording.parts),
        reason="",
    )


def recordings_of(
    parts: Iterable[Beats], states: tuple[str, ...] = TESTED_STATES
) -> dict[Visit, StateRecording]:
    """Put together the intervals of each state of each session, which table and tests share.

    States that no test uses are passed over.

    Args:
        parts: intervals between beats, each an unbroken time of one state of one source.
        states: those that are compared.
    """
    grouped: defaultdict[Visit, list[Beats]] = defaultdict(list)
    for part in parts:
        state = tested_state(part.state, states)
        if state is not None and len(part.at_ms):
            grouped[part.participant, part.session, state].append(part)
    return {visit: StateRecording(own) for visit, own in sorted(grouped.items())}


def _without_contact(group: Sequence[Beats]) -> npt.NDArray[np.bool_]:
    """Tell which intervals were without contact, by their flags."""
    return np.concatenate([one.have_flag(VitalFlag.CONTACT_LOST) for one in group])


def runs_of(group: Sequence[Beats], of_parts: Sequence[Values]) -> list[Values]:
    """Cut what intervals of one state have, such as their lengths or errors, where a beat may be
    missing: where a part ends, contact was lost, more than three seconds pass, or more than the
    interval lasted.
    """
    lost = _without_contact(group)
    values = np.concatenate(of_parts)
    at = np.concatenate([part.at_ms for part in group])
    part = np.repeat(np.arange(len(group)), [len(one.at_ms) for one in group])
    # A break lies between two intervals, so the first has none before it.
    late = np.concatenate([_comes_late(one) for one in group])[1:]
    breaks = (np.diff(part) != 0) | (np.diff(at) > 1000 * BREAK_S) | late | lost[:-1] | lost[1:]
    cuts = np.flatnonzero(breaks) + 1
    first = [0, *cuts.tolist()]  # an interval without contact is a run of its own
    return [
        run for run, start in zip(np.split(values, cuts), first, strict=True) if not lost[start]
    ]


def _comes_late(beats: Beats) -> npt.NDArray[np.bool_]:
    """Tell of each interval whether a beat is missing before it.

    A strap's packet carries the time at which it came: its beats seem late by up to a second, and
    the next ones are not. A missing beat makes all that follow late.
    """
    seconds = beats.at_ms / 1000
    # How much later each beat came than the sum of the intervals before it says.
    late = seconds - np.cumsum(beats.values)
    # Delays of packets only add, so the least of several is the beats' own; ∞ pads both ends.
    padded = np.concatenate([np.full(_PACKETS, np.inf), late, np.full(_PACKETS - 1, np.inf)])
    least = sliding_window_view(padded, _PACKETS).min(axis=1)
    before = least[: len(late)]
    after = least[_PACKETS:]
    allowed = LATE * beats.values
    own = np.diff(late, prepend=late[0])
    is_late: npt.NDArray[np.bool_] = (own > allowed) & (after - before > allowed)
    return is_late


def _logarithm(power: float) -> float:
    if power <= 0:
        raise NoVariationError(N_("the intervals do not vary in this band, so it has no logarithm"))
    return math.log(power)
