"""Warnings and cautions of a whole analysis: codes, whose texts stand in
``rendering/texts/notices.jinja``. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dashboard.analysis.analyse import Analysis
from dashboard.analysis.conclusions import shows
from dashboard.analysis.inference.checks import too_short
from dashboard.analysis.inference.groups import MissingMeasure, MissingState
from dashboard.analysis.query import TESTED_STATES, Outcome, Sample, StateBy
from dashboard.analysis.results import Notice
from dashboard.statistics import MINIMUM
from edge_agent.core.measures import Measure, MeasureTable, table_of

_MANY_READINGS = 10
_UNEVEN_PEOPLE = 2
_UNEVEN_READINGS = 3
_SAME_ORDER = 0.8
_FEW_MATCHED = 0.5


@dataclass(frozen=True, slots=True)
class Uneven:
    """A vital of which some state has many more people, or readings of each, than another.

    Attributes:
        kind: the vital.
        numbers: of each state that has readings.
    """

    kind: Measure
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class StateOrder:
    """The order of the states that nearly everybody had."""

    states: tuple[str, ...]
    people: int
    total: int


def warnings_of(analysis: Analysis) -> tuple[Notice, ...]:
    """Return what a reader must know before believing any number, gravest first."""
    usual = _asks_the_usual(analysis)
    return _those(
        (Notice.SIMULATED, analysis.answer.simulated_readings),
        (Notice.ESTIMATED, analysis.answer.estimated_readings),
        (Notice.PROGRAMS, len(analysis.programs) > 1),
        (Notice.NO_SESSIONS, not analysis.sessions),
        (Notice.EXAMPLE_SHOWN, _shows_example(analysis)),
        (Notice.MADE_UP_TIMES, any(one.has_made_up_times for one in analysis.sessions)),
        (Notice.ONE_PERSON, len(analysis.participants) == 1),
        (Notice.FEW_MATCHED, _few_matched(analysis)),
        (Notice.SHORT_STATES, too_short(analysis.mixture)),
        (Notice.OWN_NEUTRAL, analysis.answer.own_neutral_sessions),
        (Notice.READING_CHANGED, analysis.reading_changed_ms is not None),
        (Notice.LACKING_DIFFER, any(map(differing, analysis.missing))),
        (Notice.SETTLING_EMPTIES, any(one.emptied for one in analysis.answer.settling)),
        (Notice.CHANGES, analysis.answer.question.outcome is Outcome.CHANGE),
        (Notice.OTHER_STATES, analysis.answer.other_states and usual),
    )


def cautions_of(analysis: Analysis) -> tuple[Notice, ...]:
    """Return what a reader must weigh when concluding from the numbers."""
    usual = _asks_the_usual(analysis)
    matching = analysis.answer.matching
    tables = set(map(table_of, analysis.answer.question.vital))
    return _those(
        (Notice.EXPRESSIONS, MeasureTable.EXPRESSION in tables),
        (Notice.MOVEMENTS, MeasureTable.MOVEMENT in tables),
        (Notice.RATINGS, MeasureTable.SELF_REPORT in tables),
        (Notice.ESTIMATES_LEFT_OUT, analysis.answer.estimated_left_out),
        (Notice.FLAGGED, analysis.answer.flagged),
        (Notice.SEVERAL_SOURCES, analysis.passed_over),
        (Notice.MANY_READINGS, _repeats(analysis)),
        (Notice.PEOPLE_LEFT_OUT, any(test.left_out for test in analysis.answer.comparisons)),
        (Notice.UNEVEN_PEOPLE, any(uneven_people(analysis))),
        (Notice.UNEVEN_READINGS, any(uneven_readings(analysis))),
        (Notice.LACKING_ALIKE, not all(map(differing, analysis.missing))),
        (Notice.SAME_ORDER, common_order(analysis)),
        (Notice.MATCHED, matching and (matching.unmatched or matching.ambiguous)),
        (Notice.MISREAD, any(test.misreading for test in analysis.answer.comparisons)),
        (Notice.UNREPORTED, analysis.answer.unreported),
        (Notice.OTHER_STATES, analysis.answer.other_states and not usual),
        (Notice.OPEN_SESSION, any(session.end_ms is None for session in analysis.sessions)),
        (Notice.LOOKS, analysis.answer.tests_computed),
    )


def _those(*every: tuple[Notice, object]) -> tuple[Notice, ...]:
    return tuple(notice for notice, applies in every if applies)


def _shows_example(analysis: Analysis) -> bool:
    asked_for_any = analysis.answer.question.sample is Sample.AUTO
    return bool(analysis.sessions) and asked_for_any and analysis.answer.sample is Sample.EXAMPLE


def _few_matched(analysis: Analysis) -> bool:
    m = analysis.answer.matching
    if m is None or not m.matched:
        return False
    return m.matched < _FEW_MATCHED * (m.matched + m.unmatched + m.ambiguous)


def _repeats(analysis: Analysis) -> bool:
    means = len(analysis.means)
    return bool(means) and analysis.answer.readings >= _MANY_READINGS * means


def _asks_the_usual(analysis: Analysis) -> bool:
    """Tell whether labels of the study's own may have been forgotten, not passed over by choice."""
    query = analysis.answer.question
    if query.state is not StateBy.CONDITION or query.states != TESTED_STATES or not analysis.means:
        return False
    # A baseline is there to be taken away, not to be compared.
    return any(label.strip().lower() != "baseline" for label in analysis.answer.other_states)


def differing(missing: MissingState) -> list[MissingMeasure]:
    """Return in what those who lack a state differ from the others."""
    return [one for one in missing.measures if shows(one.adjusted_p)]


def uneven_people(analysis: Analysis) -> Iterator[Uneven]:
    """Yield each vital whose states have very different numbers of people."""
    for kind in analysis.answer.question.vital:
        heads = {state: float(n) for state, n, _ in _numbers(analysis, kind)}
        if _ratio(heads.values()) >= _UNEVEN_PEOPLE:
            yield Uneven(kind, heads)


def uneven_readings(analysis: Analysis) -> Iterator[Uneven]:
    """Yield each vital whose states have very different numbers of readings a person."""
    for kind in analysis.answer.question.vital:
        each = {state: readings / n for state, n, readings in _numbers(analysis, kind)}
        if _ratio(each.values()) >= _UNEVEN_READINGS:
            yield Uneven(kind, each)


def _numbers(analysis: Analysis, kind: Measure) -> Iterator[tuple[str, int, int]]:
    """Yield each state that has readings, with its people and readings."""
    for one in analysis.answer.states:
        if one.vital is kind and one.n:
            yield one.state, one.n, one.readings


def _ratio(numbers: Iterable[float]) -> float:
    every = list(numbers)
    # States without readings are left out by the caller, so the smallest is never 0.
    return max(every) / min(every) if every else 1.0


def common_order(analysis: Analysis) -> StateOrder | None:
    """Return the order of the states that nearly everybody had; ``None`` without one."""
    total = sum(analysis.orders.values())
    if total < MINIMUM:
        return None
    # Of orders that are equally frequent the first that was met.
    order, count = max(analysis.orders.items(), key=lambda item: item[1])
    return StateOrder(order, count, total) if count >= _SAME_ORDER * total else None
