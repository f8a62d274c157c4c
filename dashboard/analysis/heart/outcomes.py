"""Variability of the heart rate as a tested outcome: a value for each session and state, compared
like means of readings, in a family of its own. Pure.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from dashboard.analysis.comparison import Comparison, compare_family
from dashboard.analysis.heart.variability import runs_of
from dashboard.analysis.means import Visits, sides_of
from dashboard.analysis.request import AnalysisQuery, Correction, HeartMeasure
from dashboard.statistics import (
    HIGH_HZ,
    HIGH_S,
    LOW_HZ,
    LOW_S,
    ArtefactError,
    HeartVariability,
    NoBreathError,
    NoVariationError,
    Spectrum,
    TooShortError,
    breaths_per_minute,
    heart_variability,
    spectrum,
)
from dashboard.statistics.distributions import Values
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.beats import Beats

RR = VitalKind.RR_INTERVAL
REASONS: Mapping[type[StatisticsError], str] = {
    TooShortError: N_("too short"),
    ArtefactError: N_("too many corrected beats"),
    NoBreathError: N_("no clear breath"),
    NoVariationError: N_("no variation"),
}
"""Why a time of one state gives no number."""


@dataclass(frozen=True, slots=True)
class HeartTest:
    """One measure in two states, first minus second.

    Attributes:
        measure: what was compared.
        first: a state.
        second: another.
        comparison: its tests; p adjusted over all measures asked for,
            or within the families declared.
        adjusted_p: by the correction that was asked for; ``None`` without a test.
        left_out: times of one state in a session that give no number, by reason.
    """

    measure: HeartMeasure
    first: str
    second: str
    comparison: Comparison
    adjusted_p: float | None
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class HeartValue:
    """What one measure says of one state in one session."""

    measure: HeartMeasure
    participant: str
    session: int
    state: str
    value: float


@dataclass(frozen=True, slots=True)
class HeartValues:
    """All of them, and of each measure how many times of one state give no number, by reason."""

    values: tuple[HeartValue, ...] = ()
    left_out: Mapping[HeartMeasure, Mapping[str, int]] = field(default_factory=dict)


def heart_values(parts: Iterable[Beats], query: AnalysisQuery) -> HeartValues:
    """Compute each measure asked for, of each state of each session.

    Nothing where there are no intervals between beats.

    Args:
        parts: intervals between beats, each an unbroken time of one state of one source.
        query: measures and states.

    Raises:
        StatisticsError: a value is not finite.
    """
    grouped: defaultdict[tuple[str, int, str], list[Beats]] = defaultdict(list)
    for part in parts:
        state = query.state_of(part.state)
        if state is not None:
            grouped[part.participant, part.session, state].append(part)
    if not grouped:
        return HeartValues()
    recordings = {place: _Recording(runs_of(group)) for place, group in sorted(grouped.items())}
    values: list[HeartValue] = []
    left_out: dict[HeartMeasure, Mapping[str, int]] = {}
    for measure in query.heart_measure:
        own, reasons = _values(recordings, measure)
        values += own
        left_out[measure] = reasons
    return HeartValues(tuple(values), left_out)


def compare_heart(hearts: HeartValues, query: AnalysisQuery) -> tuple[HeartTest, ...]:
    """Compare each measure between each pair of states.

    Args:
        hearts: what each session says of each state; nothing is compared where there is no time of
            any state.
        query: measures, states, design and correction.
    """
    if not hearts.left_out:
        return ()
    wanted = [
        (measure, left_out, pair)
        for measure, left_out in hearts.left_out.items()
        for pair in query.pairs
    ]
    visits = {measure: _visits(hearts.values, measure) for measure in hearts.left_out}
    sides = [sides_of(visits[measure], RR, *pair) for measure, _, pair in wanted]
    families = [query.family_of(measure, *pair) for measure, _, pair in wanted]
    compared = compare_family(((one.first, one.second) for one in sides), query.design, families)
    return tuple(
        HeartTest(measure, *pair, comparison, _adjusted(comparison, query.correction), left_out)
        for (measure, left_out, pair), comparison in zip(wanted, compared, strict=True)
    )


class _Recording:
    """One state of one session; what several measures are made of is computed once."""

    def __init__(self, runs: Sequence[Values]) -> None:
        self._runs = runs

    def value(self, measure: HeartMeasure) -> float:
        match measure:
            case HeartMeasure.LN_RMSSD:
                return self._variability.ln_rmssd
            case HeartMeasure.SDNN:
                return self._variability.sdnn_ms
            case HeartMeasure.LN_HF:
                return _logarithm(self._short.power(HIGH_HZ))
            case HeartMeasure.RESPIRATION:
                return breaths_per_minute(self._short)
        low = _logarithm(self._long.power(LOW_HZ))
        if measure is HeartMeasure.LN_LF:
            return low
        return low - _logarithm(self._long.power(HIGH_HZ))

    @cached_property
    def _variability(self) -> HeartVariability:
        return heart_variability(self._runs)

    @cached_property
    def _short(self) -> Spectrum:
        return spectrum(self._runs, HIGH_S)

    @cached_property
    def _long(self) -> Spectrum:
        return spectrum(self._runs, LOW_S)


def _values(
    recordings: Mapping[tuple[str, int, str], _Recording], measure: HeartMeasure
) -> tuple[list[HeartValue], Mapping[str, int]]:
    """Return what each session says of each state, and why others say nothing."""
    values = []
    left_out: Counter[str] = Counter()
    for (participant, session, state), recording in recordings.items():
        try:
            value = recording.value(measure)
        except tuple(REASONS) as error:
            left_out[REASONS[type(error)]] += 1
        else:
            values.append(HeartValue(measure, participant, session, state, value))
    return values, dict(left_out)


def _visits(values: Iterable[HeartValue], measure: HeartMeasure) -> Visits:
    """Put together what belongs to one session of one participant."""
    people: defaultdict[str, defaultdict[int, dict[str, float]]]
    people = defaultdict(lambda: defaultdict(dict))
    for one in values:
        if one.measure is measure:
            people[one.participant][one.session][one.state] = one.value
    return {RR: {code: list(sessions.values()) for code, sessions in people.items()}}


def _logarithm(power: float) -> float:
    if power <= 0:
        raise NoVariationError(N_("the intervals do not vary in this band, so it has no logarithm"))
    return math.log(power)


def _adjusted(comparison: Comparison, correction: Correction) -> float | None:
    if comparison.tests is None:
        return None
    if correction is Correction.HOLM:
        return comparison.tests.holm_p
    return comparison.tests.bh_p
