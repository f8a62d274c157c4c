"""Responses of skin conductance of each participant in each state. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dashboard.analysis.inference.measures import NO_LIMITS, Limits, Visit
from dashboard.analysis.query import AnalysisQuery, SkinMeasure
from dashboard.analysis.readings.means import average
from dashboard.analysis.results import SkinModel
from dashboard.statistics import MINIMUM_S
from dashboard.statistics.distributions import Values
from dashboard.statistics.samples import TooShortError
from dashboard.statistics.skin import (
    NoResponseError,
    Responses,
    TooSlowError,
    at_ceiling,
    find_responses,
)
from edge_agent.core.readings import UNUSABLE, VitalFlag
from edge_agent.core.texts import N_, text_of
from edge_agent.timeline.read.observed import SkinConductance

_SECOND_MS = 1000.0
Span = tuple[float, float]
"""First and last second."""


class Course:
    """The skin conductance of one session; all of its states share what is computed of it.

    Args:
        recorded: as read.
        counted: flags of doubt whose samples count all the same.
        least_us: least amplitude of a response, µS.
    """

    def __init__(
        self, recorded: SkinConductance, counted: Collection[VitalFlag], least_us: float
    ) -> None:
        self.recorded = recorded
        self._counted = counted
        self._least_us = least_us

    @cached_property
    def responses(self) -> Responses:
        """The responses of the whole session.

        Raises:
            StatisticsError: there are too few samples a second, or no time is long enough.
        """
        at_s, values, is_clipped = self._samples
        return find_responses(at_s[~is_clipped], values[~is_clipped], self._least_us)

    @cached_property
    def _samples(self) -> tuple[Values, Values, npt.NDArray[np.bool_]]:
        """The times and values that count, and whether the sensor was at its ceiling."""
        kept = self.kept
        at_s, values = self.recorded.at_ms[kept] / _SECOND_MS, self.recorded.values[kept]
        return at_s, values, at_ceiling(at_s, values)

    def clipped_s(self, spans: Sequence[Span]) -> float:
        """Return how many seconds of some spans the sensor was at its ceiling."""
        at_s, _, is_clipped = self._samples
        if not is_clipped.any():
            return 0.0
        of = at_s[is_clipped]
        inside = sum(int(((of >= first) & (of < last)).sum()) for first, last in spans)
        return inside * float(np.median(np.diff(at_s)))

    @cached_property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Whether each sample is usable."""
        return ~self.recorded.have_any(UNUSABLE - frozenset(self._counted))


class SkinTime:
    """One state of one session.

    Args:
        course: of the session.
        spans: when the state was.
    """

    def __init__(self, course: Course, spans: Sequence[Span]) -> None:
        self._course = course
        self._spans = spans

    @property
    def simulated(self) -> bool:
        """Tell whether any sample is simulated."""
        return self._course.recorded.simulated

    @property
    def middle_ms(self) -> float:
        """Mean time of the state, UTC."""
        lasted = [last - first for first, last in self._spans]
        middles = math.fsum(
            own * (first + last) / 2 for own, (first, last) in zip(lasted, self._spans, strict=True)
        )
        return _SECOND_MS * middles / math.fsum(lasted)

    @property
    def lasted(self) -> float:
        """Seconds of the state."""
        return math.fsum(last - first for first, last in self._spans)

    @property
    def samples(self) -> tuple[float, float]:
        """Number of the usable samples in the state, and of all of them."""
        recorded = self._course.recorded
        at_s = recorded.at_ms / _SECOND_MS
        inside = np.zeros(len(at_s), dtype=np.bool_)
        for first, last in self._spans:
            inside |= (at_s >= first) & (at_s < last)
        return float(np.count_nonzero(inside & self._course.kept)), float(np.count_nonzero(inside))

    @property
    def clipped_s(self) -> float:
        """Seconds in which the sensor was at its ceiling; they count as not recorded."""
        return self._course.clipped_s(self._spans)

    @cached_property
    def seconds(self) -> float:
        """Seconds of the state in which responses could be found.

        Raises:
            TooShortError: they are fewer than a minute.
            StatisticsError: as ``Course.responses``.
        """
        times = self._course.responses.spans
        seconds = math.fsum(
            max(0.0, min(last, end) - max(first, start))
            for first, last in self._spans
            for start, end in times
        )
        if seconds < MINIMUM_S:
            raise TooShortError(
                N_(
                    "responses need at least {least_s:g} s of skin conductance in a state; there "
                    "are {seconds:.0f}"
                ),
                least_s=MINIMUM_S,
                seconds=seconds,
            )
        return seconds

    @cached_property
    def amplitudes(self) -> Values:
        """The amplitude of each response whose peak is in the state, µS."""
        every = self._course.responses
        inside = np.zeros(len(every.at_s), dtype=np.bool_)
        for first, last in self._spans:
            inside |= (every.at_s >= first) & (every.at_s < last)
        return every.amplitude[inside]

    def limits(self, _measure: SkinMeasure) -> Limits:
        """Return no limits: no sensor of the skin states its errors."""
        return NO_LIMITS

    def value(self, measure: SkinMeasure) -> float:
        """Return one measure.

        Raises:
            StatisticsError: there is none; ``REASONS`` of ``measures.py`` has why.
        """
        minutes = self.seconds / 60
        if measure is SkinMeasure.SCR_COUNT:
            return len(self.amplitudes) / minutes
        if not len(self.amplitudes):
            raise NoResponseError(N_("there is no response, so none has an amplitude"))
        return float(self.amplitudes.mean())


def skin_times(recorded: Iterable[SkinConductance], query: AnalysisQuery) -> dict[Visit, SkinTime]:
    """Return each state of each session, which table and tests share.

    Args:
        recorded: of each session, by one source.
        query: states, and what counts.
    """
    times: dict[Visit, SkinTime] = {}
    for own in recorded:
        course = Course(own, query.counted, query.scr_threshold)
        spans: defaultdict[str, list[Span]] = defaultdict(list)
        for span in own.spans:
            state = query.state_of(span.state)
            if state is not None:
                spans[state].append((span.start_ms / _SECOND_MS, span.end_ms / _SECOND_MS))
        for state, those in spans.items():
            times[own.participant, own.session, state] = SkinTime(course, those)
    return dict(sorted(times.items()))


def skin_by_state(
    times: Mapping[Visit, SkinTime], states: tuple[str, ...]
) -> tuple[SkinModel, ...]:
    """Return the responses of every participant in every state, session by session.

    Args:
        times: of each session and state.
        states: those that are compared.

    Raises:
        StatisticsError: a value is not finite.
    """
    grouped: defaultdict[tuple[str, str], list[SkinTime]] = defaultdict(list)
    for (participant, _, state), time in times.items():
        grouped[participant, state].append(time)
    ordered = sorted(grouped.items(), key=lambda item: (item[0][0], states.index(item[0][1])))
    return tuple(_of_state(code, state, own) for (code, state), own in ordered)


def _of_state(code: str, state: str, times: Sequence[SkinTime]) -> SkinModel:
    counts: list[float] = []
    counted: list[SkinTime] = []
    refused: list[str] = []
    for time in times:
        try:
            counts.append(time.value(SkinMeasure.SCR_COUNT))
        except (TooShortError, TooSlowError) as error:
            refused.append(text_of(error))
        else:
            counted.append(time)
    amplitudes = [float(one.amplitudes.mean()) for one in counted if len(one.amplitudes)]
    return SkinModel(
        participant=code,
        state=state,
        sessions=len(counted),
        scr_count=average(counts) if counts else None,
        scr_amplitude=average(amplitudes) if amplitudes else None,
        responses=sum(len(one.amplitudes) for one in counted) if counted else None,
        seconds=math.fsum(one.seconds for one in counted) if counted else None,
        clipped_s=math.fsum(one.clipped_s for one in times),
        refused=len(refused),
        reasons=tuple(dict.fromkeys(refused)),
        simulated=any(one.simulated for one in times),
        reason="",
    )
