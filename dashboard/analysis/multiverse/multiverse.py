"""Every set of defensible choices, computed one after the other within a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dashboard.analysis.analyse import Choices, analyse, read_choices
from dashboard.analysis.comparison import Comparison, Decision, decide_family
from dashboard.analysis.means import (
    SessionMean,
    Sides,
    session_means,
    sides_of,
    times_of,
    visits_of,
)
from dashboard.analysis.misreading import FaceReading
from dashboard.analysis.multiverse.specifications import (
    Choice,
    Plan,
    Specification,
    Visit,
    Way,
    plan_of,
)
from dashboard.analysis.period import PeriodEffect, adjust_periods, effect_of
from dashboard.analysis.readings import ReadingGroup, StateReadings
from dashboard.analysis.request import AnalysisQuery, Correction
from dashboard.analysis.results import Analysis
from dashboard.analysis.sensitivity import Conclusion, conclude
from dashboard.analysis.states import tested_state
from dashboard.analysis.study.mixed import ModelTest, models_of, takes_for_independent
from dashboard.statistics import Interval, Method
from edge_agent.core.clock import boot_seconds
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.reader import Reader

BUDGET_S = 20.0
"""Seconds after which no further set of choices is begun, unless another time is given."""

OnProgress = Callable[[int, int], None]
"""Is told how many sets of choices are computed, and how many there are."""

Compared = tuple[VitalKind, str, str]


@dataclass(frozen=True, slots=True)
class Estimate:
    """One comparison under one set of choices.

    Numbers are ``None`` where there is no test.

    Attributes:
        n: participants that the test uses.
        difference: first minus second, in the unit of the vital.
        interval: its 95 % interval.
        p: unadjusted.
        adjusted_p: adjusted over the family under these choices, by the declared correction.
        conclusion: what it comes to.
    """

    n: int
    difference: float | None
    interval: Interval | None
    p: float | None
    adjusted_p: float | None
    conclusion: Conclusion


@dataclass(frozen=True, slots=True)
class Result:
    """A family under one set of choices; the estimates are in order of the comparisons."""

    specification: Specification
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True, slots=True)
class Multiverse:
    """A family under all sets of choices.

    Attributes:
        question: the declared one.
        declared: what it comes to.
        compared: vital and states of each comparison.
        planned: how many sets of choices there are.
        results: those computed, the declared one first; fewer than planned where time ran out.
    """

    question: AnalysisQuery
    declared: Analysis
    compared: tuple[Compared, ...]
    planned: int
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """How long may be computed.

    Attributes:
        seconds: no set of choices is begun later than this.
        clock: tells the seconds.
    """

    seconds: float = BUDGET_S
    clock: Callable[[], float] = boot_seconds


def multiverse(
    reader: Reader,
    query: AnalysisQuery,
    face: FaceReading | None = None,
    prefer_sources: Sequence[str] = (),
    budget: Budget | None = None,
    on_progress: OnProgress = lambda _done, _planned: None,
) -> Multiverse:
    """Compute a question under every set of defensible choices, in a fixed order, the declared one
    first, until the time is over.

    A multiverse analysis (Steegen et al. 2016) for a specification curve (Simonsohn et al. 2020),
    without that paper's permutation test: it describes how far a result depends on choices that the
    data do not make, and is no further family of tests.

    Args:
        reader: the timeline.
        query: the question.
        face: as in ``analyse``.
        prefer_sources: as in ``analyse``.
        budget: how long may be computed; the declared set is computed whatever it says.
        on_progress: is told after each set.

    Raises:
        StatisticsError: as ``analyse``.
        StoreError: as ``analyse``.
    """
    budget = budget or Budget()
    until = budget.clock() + budget.seconds
    single = query.model_copy(update={"sensitivity": False})
    declared = analyse(reader, single, face, prefer_sources, heart=False)
    varied = declared.query.model_copy(update={"sensitivity": True})
    compared = tuple((test.kind, test.first, test.second) for test in declared.family)
    read = _read(reader, varied, declared)
    by_choice: dict[Choice, StateReadings] = {}
    for part in (read.matched, read.settled):
        by_choice.update(part.items())
    plan = plan_of(declared, {choice: one.in_states() for choice, one in by_choice.items()})
    results: list[Result] = []
    for result in _results(plan, by_choice, declared, compared):
        results.append(result)
        on_progress(len(results), plan.size)
        if budget.clock() >= until:
            break
    return Multiverse(query, declared, compared, plan.size, tuple(results))


def _read(reader: Reader, query: AnalysisQuery, declared: Analysis) -> Choices:
    sessions = declared.sessions
    stimuli = reader.stimuli([session.id for session in sessions])
    return read_choices(reader, query, sessions, stimuli, reader.face_labels(sessions))


def _results(
    plan: Plan,
    by_choice: Mapping[Choice, StateReadings],
    declared: Analysis,
    compared: Sequence[Compared],
) -> Iterator[Result]:
    """Yield one set of choices after the other; nothing is computed that nobody takes."""
    order = {session.id: place for place, session in enumerate(declared.sessions)}
    for data in plan.data:
        groups: Iterable[ReadingGroup] = by_choice[data.choice].counting(data.counted)
        if data.visit is Visit.FIRST:
            groups = _of_first_sessions(list(groups), order, declared.query.states)
        means = session_means(groups, declared.query.states)
        for way in plan.ways:
            estimates = _estimates(way, means, compared, declared)
            yield Result(Specification(data, way), estimates)


def _of_first_sessions(
    groups: Sequence[ReadingGroup], order: Mapping[int, int], states: tuple[str, ...]
) -> list[ReadingGroup]:
    """Return the readings of each person's first session that has any in the states."""
    first: dict[str, int] = {}
    for group in groups:
        if tested_state(group.state, states) is not None:
            known = first.setdefault(group.participant, group.session)
            first[group.participant] = min(known, group.session, key=order.__getitem__)
    return [group for group in groups if first.get(group.participant) == group.session]


def _estimates(
    way: Way, means: Sequence[SessionMean], compared: Sequence[Compared], declared: Analysis
) -> tuple[Estimate, ...]:
    """Compare the means in one way."""
    query = declared.query
    visits = visits_of(means)
    sides = [sides_of(visits, *names) for names in compared]
    if way is Way.MIXED_MODEL:
        return _by_model(means, compared, sides, declared)
    decisions = decide_family(
        ((one.first, one.second) for one in sides), query.design, query.families
    )
    if way is Way.T_TEST:
        return tuple(_of_decision(one, query.correction) for one in decisions)
    times = times_of(means)
    effects = [
        _at_equal_times(own, sides_of(times, *names), decision)
        for own, names, decision in zip(sides, compared, decisions, strict=True)
    ]
    return tuple(
        _of_effect(one) for one in adjust_periods(effects, query.correction, query.families)
    )


def _of_decision(decision: Decision, correction: Correction) -> Estimate:
    adjusted = decision.bh_p
    if correction is Correction.HOLM:
        adjusted = decision.holm_p
    n = decision.n_first
    if decision.method is Method.WELCH:
        n += decision.n_second
    return Estimate(
        n,
        decision.difference,
        decision.interval,
        decision.p,
        adjusted,
        conclude(decision.difference, adjusted),
    )


def _at_equal_times(own: Sides, times: Sides, decision: Decision) -> PeriodEffect | None:
    if decision.method is not Method.PAIRED or decision.p is None:
        return None
    both = sorted(own.first.keys() & own.second.keys())
    return effect_of(
        [own.first[code] for code in both],
        [own.second[code] for code in both],
        [times.first[code] - times.second[code] for code in both],
        None,
    )


def _of_effect(effect: PeriodEffect | None) -> Estimate:
    if effect is None or effect.adjusted is None:
        return _nothing(0 if effect is None else effect.people)
    one = effect.adjusted
    verdict = conclude(one.difference, effect.adjusted_p)
    return Estimate(effect.people, one.difference, one.interval, one.p, effect.adjusted_p, verdict)


def _by_model(
    means: Sequence[SessionMean],
    compared: Sequence[Compared],
    sides: Sequence[Sides],
    declared: Analysis,
) -> tuple[Estimate, ...]:
    blank = [_blank(len(one.first.keys() & one.second.keys())) for one in sides]
    models = models_of(means, blank, declared.query, declared.sites)
    tests = {
        (test.kind, test.first, test.second): _of_model(test, one.design.participants)
        for one in models
        if one.model is not None and not takes_for_independent(one.model)
        for test in one.tests
    }
    return tuple(tests.get(names, _nothing(0)) for names in compared)


def _of_model(test: ModelTest, people: int) -> Estimate:
    effect = test.effect
    verdict = conclude(effect.estimate, test.adjusted_p)
    return Estimate(people, effect.estimate, effect.interval, effect.p, test.adjusted_p, verdict)


def _blank(both: int) -> Comparison:
    return Comparison(both, 0, 0, None, 0, None, None, None)


def _nothing(n: int) -> Estimate:
    return Estimate(n, None, None, None, None, Conclusion.NO_TEST)
