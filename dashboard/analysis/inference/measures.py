"""Measures that are computed from a time of one state, of the heartbeat and of skin conductance, as
tested outcomes. Pure.

A measure has one value for each session and state, which is compared as means of readings are. The
tests of the heartbeat are a family of their own, and those of skin conductance another.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from dashboard.analysis.inference.comparison import Comparison, adjusted_p, compare_family
from dashboard.analysis.question import AnalysisQuery, Correction, HeartMeasure, SkinMeasure
from dashboard.analysis.readings.means import Visits, sides_of
from dashboard.analysis.results import HeartTestModel, SkinTestModel
from dashboard.statistics.heart import ArtefactError, NoBreathError
from dashboard.statistics.samples import NoVariationError, TooShortError
from dashboard.statistics.skin import NoResponseError, TooSlowError
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind

Visit = tuple[str, int, str]
"""Participant, session and state."""
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

    def value(self, measure: _M_contra, /) -> float:
        """Return one measure.

        Raises:
            StatisticsError: there is none; ``REASONS`` has why.
        """


@dataclass(frozen=True, slots=True)
class MeasuredValue(Generic[M]):
    """The value of one measure in one state of one session."""

    measure: M
    participant: str
    session: int
    state: str
    value: float


@dataclass(frozen=True, slots=True)
class MeasuredValues(Generic[M]):
    """All of them, and of each measure how many times of one state give no number, by reason."""

    values: tuple[MeasuredValue[M], ...] = ()
    left_out: Mapping[M, Mapping[str, int]] = field(default_factory=dict)


def measured_values(
    times: Mapping[Visit, MeasuredTime[M]], measures: Iterable[M]
) -> MeasuredValues[M]:
    """Compute each measure of each state of each session.

    Nothing where nothing was recorded that they are computed from.

    Args:
        times: of each session and state.
        measures: those that are asked for.

    Raises:
        StatisticsError: a value is not finite.
    """
    if not times:
        return MeasuredValues()
    values: list[MeasuredValue[M]] = []
    left_out: dict[M, Mapping[str, int]] = {}
    for measure in measures:
        own, reasons = _values(times, measure)
        values += own
        left_out[measure] = reasons
    return MeasuredValues(tuple(values), left_out)


def _values(
    times: Mapping[Visit, MeasuredTime[M]], measure: M
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
            values.append(MeasuredValue(measure, participant, session, state, value))
    return values, dict(left_out)


def compare_heart(
    hearts: MeasuredValues[HeartMeasure], query: AnalysisQuery
) -> tuple[HeartTestModel, ...]:
    """Compare each measure of the heartbeat between each pair of states.

    Args:
        hearts: what each session says of each state; nothing is compared where there is no time of
            any state.
        query: states, design and correction.
    """
    return tuple(
        HeartTestModel(measure=one.measure, **one.figures(query.correction))
        for one in _compare(hearts, query)
    )


def compare_skin(
    skins: MeasuredValues[SkinMeasure], query: AnalysisQuery
) -> tuple[SkinTestModel, ...]:
    """Compare each measure of skin conductance between each pair of states.

    Args:
        skins: as ``hearts`` of ``compare_heart``.
        query: states, design and correction.
    """
    return tuple(
        SkinTestModel(measure=one.measure, **one.figures(query.correction))
        for one in _compare(skins, query)
    )


@dataclass(frozen=True, slots=True)
class _Compared(Generic[M]):
    """A measure between two states."""

    measure: M
    pair: tuple[str, str]
    left_out: Mapping[str, int]
    comparison: Comparison

    def figures(self, correction: Correction) -> dict[str, Any]:
        """Return the fields of its model."""
        tests = self.comparison.tests
        t = tests and tests.t
        return {
            "first": self.pair[0],
            "second": self.pair[1],
            "n_both": self.comparison.n_both,
            "method": self.comparison.method,
            "n_first": len(self.comparison.first),
            "n_second": len(self.comparison.second),
            "difference": self.comparison.difference,
            "low": t and t.interval.low,
            "high": t and t.interval.high,
            "t": t and t.t,
            "df": t and t.df,
            "p": t and t.p,
            "adjusted_p": adjusted_p(tests, correction),
            "g": tests and tests.effect.g,
            "g_interval": tests and tests.effect.interval,
            "left_out": dict(self.left_out),
            "sentence": "",
        }


def _compare(measured: MeasuredValues[M], query: AnalysisQuery) -> list[_Compared[M]]:
    wanted = [
        (measure, pair, left_out)
        for measure, left_out in measured.left_out.items()
        for pair in query.pairs
    ]
    visits = {measure: _visits(measured.values, measure) for measure in measured.left_out}
    sides = [sides_of(visits[measure], _KIND, *pair) for measure, pair, _ in wanted]
    families = [query.family_of(measure, *pair) for measure, pair, _ in wanted]
    compared = compare_family(((one.first, one.second) for one in sides), query.design, families)
    return [_Compared(*one, each) for one, each in zip(wanted, compared, strict=True)]


def _visits(values: Iterable[MeasuredValue[M]], measure: M) -> Visits:
    """Put together what belongs to one session of one participant."""
    people: defaultdict[str, defaultdict[int, dict[str, float]]]
    people = defaultdict(lambda: defaultdict(dict))
    for one in values:
        if one.measure is measure:
            people[one.participant][one.session][one.state] = one.value
    return {_KIND: {code: list(sessions.values()) for code, sessions in people.items()}}
