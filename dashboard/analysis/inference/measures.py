"""Measures that are computed from a time of one state, of the heartbeat and of skin conductance, as
tested outcomes. Pure.

A measure has one value for each session and state, which is compared as means of readings are. The
tests of the heartbeat are a family of their own, and those of skin conductance another.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from dashboard.analysis.inference.checks import InOrder, adjust_periods, period_of
from dashboard.analysis.inference.comparison import Comparison, adjusted_p, compare_family
from dashboard.analysis.query import AnalysisQuery, HeartMeasure, SkinMeasure
from dashboard.analysis.readings.means import Sides, Visits, sides_of
from dashboard.analysis.readings.places import Places, Predecessors, differences_in_place
from dashboard.analysis.results import PeriodModel
from dashboard.statistics.heart import ArtefactError, NoBreathError
from dashboard.statistics.samples import NoVariationError, TooShortError
from dashboard.statistics.skin import NoResponseError, TooSlowError
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind

_MINUTE_MS = 60_000
Visit = tuple[str, int, str]
"""Participant, session and state."""
Limits = tuple[float | None, float | None]
"""Lower and upper; ``None``: not known."""
NO_LIMITS: Limits = (None, None)
_KIND = VitalKind.RR_INTERVAL  # any kind: values are put in order by it, and there is one
REASONS: Mapping[type[StatisticsError], str] = {
    TooShortError: N_("too short"),
    ArtefactError: N_("too many corrected beats"),
    NoBreathError: N_("no clear breath"),
    NoVariationError: N_("no variation"),
    TooSlowError: N_("too few samples a second"),
    NoResponseError: N_("no response"),
}
"""Why a time of one state gives no number."""
M = TypeVar("M", HeartMeasure, SkinMeasure)
_M_contra = TypeVar("_M_contra", HeartMeasure, SkinMeasure, contravariant=True)


class MeasuredTime(Protocol[_M_contra]):
    """The recording of one state of one session."""

    @property
    def middle_ms(self) -> float:
        """Mean time of what the measures are computed from, UTC."""

    def value(self, measure: _M_contra, /) -> float:
        """Return one measure.

        Raises:
            StatisticsError: there is none; ``REASONS`` has why.
        """

    def limits(self, measure: _M_contra, /) -> Limits:
        """Return the 95 % limits of a measure without the errors that its sensor states."""


@dataclass(frozen=True, slots=True)
class MeasuredValue(Generic[M]):
    """The value of one measure in one state of one session; ``minutes`` is when it was measured,
    since the start of the session. ``limits`` are the 95 % ones of the value without the errors
    that its sensor states.
    """

    measure: M
    participant: str
    session: int
    state: str
    value: float
    minutes: float
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class MeasuredValues(Generic[M]):
    """All of them, and of each measure how many times of one state give no number, by reason."""

    values: tuple[MeasuredValue[M], ...] = ()
    left_out: Mapping[M, Mapping[str, int]] = field(default_factory=dict)


def measured_values(
    times: Mapping[Visit, MeasuredTime[M]], measures: Iterable[M], starts_ms: Mapping[int, int]
) -> MeasuredValues[M]:
    """Compute each measure of each state of each session.

    Nothing where nothing was recorded that they are computed from.

    Args:
        times: of each session and state.
        measures: those that are asked for.
        starts_ms: when each session began, UTC.

    Raises:
        StatisticsError: a value is not finite.
    """
    if not times:
        return MeasuredValues()
    values: list[MeasuredValue[M]] = []
    left_out: dict[M, Mapping[str, int]] = {}
    for measure in measures:
        own, reasons = _values(times, measure, starts_ms)
        values += own
        left_out[measure] = reasons
    return MeasuredValues(tuple(values), left_out)


def _values(
    times: Mapping[Visit, MeasuredTime[M]], measure: M, starts_ms: Mapping[int, int]
) -> tuple[list[MeasuredValue[M]], Mapping[str, int]]:
    """Return what each session says of each state, and why others say nothing."""
    values = []
    left_out: Counter[str] = Counter()
    for (participant, session, state), time in times.items():
        try:
            value = time.value(measure)
        # The types that are a reason here; any other error is one of the program.
        except tuple(REASONS) as error:
            left_out[REASONS[type(error)]] += 1
        else:
            minutes = (time.middle_ms - starts_ms[session]) / _MINUTE_MS
            values.append(
                MeasuredValue(
                    measure, participant, session, state, value, minutes, time.limits(measure)
                )
            )
    return values, dict(left_out)


@dataclass(frozen=True, slots=True)
class ComparedMeasure(Generic[M]):
    """A measure between two states, before anything is decided of it.

    Attributes:
        measure: which.
        pair: the two states.
        left_out: times of one state that give no number, by reason.
        comparison: the t-test, and who is in it.
        period: what time in the session has to do with it; ``None`` without a paired test.
    """

    measure: M
    pair: tuple[str, str]
    left_out: Mapping[str, int]
    comparison: Comparison
    period: PeriodModel | None


def compare_measures(
    measured: MeasuredValues[M],
    query: AnalysisQuery,
    places: Places,
    after: Predecessors | None = None,
    *,
    is_timed: bool = True,
) -> tuple[ComparedMeasure[M], ...]:
    """Compare each measure between each pair of states, as a family of their own.

    Args:
        measured: what each session says of each state; nothing is compared where there is no time
            of any state.
        query: states, design and correction.
        places: at which place in the order of each session each state came.
        after: what came right before it.
        is_timed: whether the times of the sessions were measured, not made up.
    """
    wanted = [
        (measure, pair, left_out)
        for measure, left_out in measured.left_out.items()
        for pair in query.pairs
    ]
    visits = {one: _visits(measured.values, one, lambda of: of.value) for one in measured.left_out}
    times = {one: _visits(measured.values, one, lambda of: of.minutes) for one in measured.left_out}
    met = {
        one: _visits(measured.values, one, lambda of: places.get((of.session, of.state), 0))
        for one in measured.left_out
    }
    after = after or Predecessors({}, ())
    numbers = after.numbers
    before = {
        one: _visits(measured.values, one, lambda of: numbers.get((of.session, of.state), 0))
        for one in measured.left_out
    }
    sides = [sides_of(visits[measure], _KIND, *pair) for measure, pair, _ in wanted]
    families = [query.family_of(measure, *pair) for measure, pair, _ in wanted]
    compared = compare_family(((one.first, one.second) for one in sides), query.design, families)
    effects: list[PeriodModel | None] = []
    for (measure, pair, _), each in zip(wanted, compared, strict=True):
        names: tuple[str, str] = pair
        at = sides_of(times[measure], _KIND, *names)
        order = InOrder(
            differences_in_place(met[measure], _KIND, *names),
            differences_in_place(before[measure], _KIND, *names),
            after,
        )
        effect = period_of((measure, *names), each, at, order, None, query)
        effects.append(effect if is_timed else None)
    decides = [adjusted_p(each.tests, query.correction) for each in compared]
    periods = adjust_periods(effects, decides, query.correction, families)
    return tuple(
        ComparedMeasure(*one, each, period)
        for one, each, period in zip(wanted, compared, periods, strict=True)
    )


def sides_of_measure(
    values: Iterable[MeasuredValue[M]], measure: M, pair: tuple[str, str]
) -> Sides:
    """Return the values of a measure in two states."""
    return sides_of(_visits(values, measure, lambda of: of.value), _KIND, *pair)


def _visits(
    values: Iterable[MeasuredValue[M]], measure: M, number: Callable[[MeasuredValue[M]], float]
) -> Visits:
    """Put together what belongs to one session of one participant."""
    people: defaultdict[str, defaultdict[int, dict[str, float]]]
    people = defaultdict(lambda: defaultdict(dict))
    for one in values:
        if one.measure is measure:
            people[one.participant][one.session][one.state] = number(one)
    return {_KIND: {code: list(sessions.values()) for code, sessions in people.items()}}
