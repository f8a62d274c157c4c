"""Heart-rate variability of each participant in each state, and as a tested outcome. Pure.

A measure has one value for each session and state, which is compared as means of readings are, in
a family of its own.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from dashboard.analysis.question import TESTED_STATES, AnalysisQuery, HeartMeasure, tested_state
from dashboard.analysis.readings.means import Visits, sides_of
from dashboard.analysis.tests.comparison import Comparison, adjusted_p, compare_family
from dashboard.statistics.distributions import Values
from dashboard.statistics.heart import (
    HIGH_HZ,
    HIGH_S,
    LOW_HZ,
    LOW_S,
    ArtefactError,
    HeartVariability,
    NoBreathError,
    Spectrum,
    TooShortError,
    breaths_per_minute,
    heart_variability,
    spectrum,
)
from dashboard.statistics.samples import NoVariationError
from edge_agent.core.errors import StatisticsError
from edge_agent.core.readings import VitalFlag
from edge_agent.core.texts import N_, text_of
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.observed import Beats

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


@dataclass(frozen=True, slots=True)
class StateVariability:
    """One participant's heart-rate variability in one state.

    Attributes:
        participant: pseudonymous code.
        state: one of those that are compared.
        variability: the measures; ``None`` where there are too few intervals or too many artefacts.
        reason: why there are none; empty where there are.
        contact_lost: intervals that the sensor itself said were without contact; left out before
            anything else.
        simulated: whether any interval is simulated.
        many_artefacts: whether there are no measures because too many beats were corrected.
    """

    participant: str
    state: str
    variability: HeartVariability | None
    reason: str
    contact_lost: int
    simulated: bool
    many_artefacts: bool = False


def variability_by_state(
    parts: Iterable[Beats], states: tuple[str, ...] = TESTED_STATES
) -> tuple[StateVariability, ...]:
    """Compute the variability of every participant in every state, sessions taken together.

    States that no test uses are passed over. The intervals of one participant and state are cut
    into runs where a part ends, contact was lost, or a beat is missing: more than three seconds
    pass, or more than the interval lasted.

    Args:
        parts: intervals between beats, each an unbroken time of one state.
        states: those that are compared.

    Raises:
        StatisticsError: a value is not finite.
    """
    grouped: defaultdict[tuple[str, str], list[Beats]] = defaultdict(list)
    for part in parts:
        state = tested_state(part.state, states)
        if state is not None and len(part.at_ms):
            grouped[part.participant, state].append(part)
    ordered = sorted(grouped.items(), key=lambda item: (item[0][0], states.index(item[0][1])))
    return tuple(_variability(code, state, group) for (code, state), group in ordered)


def _variability(code: str, state: str, group: Sequence[Beats]) -> StateVariability:
    variability = None
    reason = ""
    many = False
    try:
        variability = heart_variability(runs_of(group))
    except (TooShortError, ArtefactError) as error:
        reason = text_of(error)
        many = isinstance(error, ArtefactError)
    lost = int(_lost(group).sum())
    simulated = any(part.simulated for part in group)
    return StateVariability(code, state, variability, reason, lost, simulated, many)


def _lost(group: Sequence[Beats]) -> npt.NDArray[np.bool_]:
    """Tell which intervals were without contact, by their flags."""
    return np.concatenate([one.flagged(VitalFlag.CONTACT_LOST) for one in group])


def runs_of(group: Sequence[Beats]) -> list[Values]:
    """Cut the intervals of one participant and state where a beat may be missing."""
    lost = _lost(group)
    values = np.concatenate([part.values for part in group])
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
    """The value of one heartbeat measure in one state of one session."""

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
        HeartTest(
            measure, *pair, comparison, adjusted_p(comparison.tests, query.correction), left_out
        )
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
        # The ratio takes both bands from the same runs, or it would compare different times.
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
        # The types that are a reason here; any other error is one of the program.
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
