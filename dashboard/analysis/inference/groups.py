"""Groups of people by an attribute, and people who lack a state beside those who have it. Pure.

Each is a family of tests of its own.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

from dashboard.analysis.conclusions import Beside, U
from dashboard.analysis.inference.family import adjusted_by
from dashboard.analysis.query import AnalysisQuery, Correction, same_label
from dashboard.analysis.readings.means import StateMean, Visits, states_together
from dashboard.analysis.results import (
    GroupContrastModel,
    GroupFlowModel,
    GroupTestModel,
    MissingModel,
    VitalGroupsModel,
)
from dashboard.statistics import MINIMUM
from dashboard.statistics.anova import FTest, mixed_anova
from dashboard.statistics.corrections import holm
from dashboard.statistics.samples import NoVariationError
from dashboard.statistics.t_tests import welch_t
from edge_agent.core.errors import StatisticsError
from edge_agent.core.measures import Measure
from edge_agent.core.texts import N_, Message, text_of

MOST_GROUPS = 6
UNEVEN_SPREAD = 2.0
"""From this ratio of the groups' standard deviations on, F is not to be believed where the groups
have unequal numbers of people. Nothing is chosen by it: a choice by the spread would be a pretest.
"""

Person = tuple[float, ...]
"""The values of one person, one for each state."""

T = TypeVar("T", GroupTestModel, GroupContrastModel)
V = TypeVar("V")
REST = "baseline"
"""Name of the time at rest, among the states that are compared."""


def compare_groups(
    visits: Visits, values: Mapping[str, str], query: AnalysisQuery
) -> tuple[VitalGroupsModel, ...]:
    """Compare the groups of each vital two by two, which decides, and describe them by F; p is
    adjusted over the contrasts of all vitals, and over their F tests.

    Args:
        visits: of each vital and person the mean of each state of each session.
        values: of each person the attribute that makes the groups; whoever is not in it is left
            out.
        query: states, vitals and correction.
    """
    vitals = [_compare_groups_of(kind, visits, values, query) for kind in query.vital]
    return _adjust(vitals, query.correction)


def attribute_of(attributes: Mapping[str, Mapping[str, str]], name: str) -> dict[str, str]:
    """Return one attribute of those who have it, by code."""
    wanted = same_label(name)
    return {code: own[wanted] for code, own in attributes.items() if wanted in own}


def _compare_groups_of(
    kind: Measure, visits: Visits, values: Mapping[str, str], query: AnalysisQuery
) -> VitalGroupsModel:
    everybody = visits.get(kind, {})
    together = states_together(visits, kind, query.states)
    whole = sorted(together.columns[0])
    people: dict[str, list[Person]] = {}
    for code in whole:
        if code in values:
            row = tuple(column[code] for column in together.columns)
            people.setdefault(values[code], []).append(row)
    lacking = Counter(
        values[code] for code in everybody if code in values and code not in together.columns[0]
    )
    names = sorted(set(people) | set(lacking))
    blank = VitalGroupsModel(
        vital=kind,
        attribute=query.group or "",
        sizes={name: len(people.get(name, ())) for name in names},
        too_small=tuple(name for name in names if len(people.get(name, ())) < MINIMUM),
        no_attribute=sum(code not in values for code in everybody),
        incomplete=dict(sorted(lacking.items())),
        epsilon=None,
        groups=None,
        interaction=None,
        contrasts=(),
        uneven=False,
        reason="",
        left_out="",
    )
    return _with_tests(blank, people, query.pairs, query.states)


def _with_tests(
    blank: VitalGroupsModel,
    people: Mapping[str, Sequence[Person]],
    pairs: Sequence[tuple[str, str]],
    states: Sequence[str],
) -> VitalGroupsModel:
    """Return the groups with their tests, or with the reason why there are none."""
    names = blank.compared
    if len(names) < 2:
        reason = Message(
            N_("it needs at least 2 groups of {minimum} people with all states in one session"),
            minimum=MINIMUM,
        )
        return blank.model_copy(update={"reason": reason})
    if len(names) > MOST_GROUPS:
        reason = Message(
            N_(
                "the attribute has {n} values with {minimum} people or more; put them into at most "
                "{most} groups"
            ),
            n=len(names),
            minimum=MINIMUM,
            most=MOST_GROUPS,
        )
        return blank.model_copy(update={"reason": reason})
    tables = [people[name] for name in names]
    contrasts = tuple(_contrasts(people, names, pairs, states))
    try:
        anova = mixed_anova(tables)
    except StatisticsError as error:
        return blank.model_copy(update={"reason": text_of(error), "contrasts": contrasts})
    return blank.model_copy(
        update={
            "epsilon": anova.epsilon,
            "groups": _f_test(anova.groups),
            "interaction": _f_test(anova.interaction),
            "contrasts": contrasts,
            "uneven": _is_uneven(tables),
        }
    )


def beside_groups(
    by_state: Mapping[str, Mapping[str, V]],
    group_of: Mapping[str, str],
    states: Sequence[str],
    compare: Callable[[Sequence[tuple[Mapping[str, V], Mapping[str, V]]]], Sequence[U | None]],
) -> Beside[GroupContrastModel, U]:
    """Return what compares readings of two groups in each state of a contrast, of which the least
    alike counts; all groups and states are one family.

    Args:
        by_state: of each state what is remarked on the readings of each person.
        group_of: the group of each person in the tests.
        states: those that are compared.
        compare: compares two sides of each pair.
    """

    def states_of(one: GroupContrastModel) -> Sequence[str]:
        pair = (one.first_state, one.second_state)
        return [state for state in states if one.first_state is None or state in pair]

    def side(group: str, state: str) -> dict[str, V]:
        own = by_state.get(state, {})
        return {code: value for code, value in own.items() if group_of.get(code) == group}

    def look(contrasts: Sequence[GroupContrastModel]) -> list[U | None]:
        every = [[(one.first, one.second, state) for state in states_of(one)] for one in contrasts]
        places = list(dict.fromkeys(place for own in every for place in own))
        sides = [(side(first, state), side(second, state)) for first, second, state in places]
        remarks = dict(zip(places, compare(sides), strict=True))
        return [
            _least_alike({state: remarks[first, second, state] for first, second, state in own})
            for own in every
        ]

    return look


def _least_alike(by_state: Mapping[str, U | None]) -> U | None:
    """Return the remark that is a caution, or differs most, with its state."""
    known = [(state, one) for state, one in by_state.items() if one is not None]
    if not known:
        return None
    state, least = max(
        known, key=lambda one: (one[1].is_unequal, abs(one[1].first - one[1].second))
    )
    return least.model_copy(update={"state": state})


def _f_test(test: FTest) -> GroupTestModel:
    return GroupTestModel(
        f=test.f,
        df=test.df,
        p=test.p,
        adjusted_p=test.p,
        partial_eta_squared=test.partial_eta_squared,
        sentence="",
        apa="",
    )


def _contrasts(
    people: Mapping[str, Sequence[Person]],
    names: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    states: Sequence[str],
) -> Iterator[GroupContrastModel]:
    """Compare each two groups: over all states, then each difference between two states."""
    # Later minus earlier, as pairs of states are.
    for second, first in combinations(names, 2):
        for pair in (None, *pairs):
            places = None if pair is None else (states.index(pair[0]), states.index(pair[1]))
            one = [_value(person, places) for person in people[first]]
            other = [_value(person, places) for person in people[second]]
            try:
                test = welch_t(one, other)
            except NoVariationError:  # nobody differs from anybody: nothing to judge by
                continue
            yield GroupContrastModel(
                first=first,
                second=second,
                first_state=pair[0] if pair else None,
                second_state=pair[1] if pair else None,
                n_first=test.n_first,
                n_second=test.n_second,
                difference=test.difference,
                interval=test.interval,
                t=test.t,
                df=test.df,
                p=test.p,
                adjusted_p=test.p,
                sentence="",
            )


def _value(person: Person, places: tuple[int, int] | None) -> float:
    if places is None:
        return statistics.fmean(person)
    return person[places[0]] - person[places[1]]


def _is_uneven(tables: Sequence[Sequence[Person]]) -> bool:
    """Tell whether groups of unequal size spread very differently, in level or in reaction."""
    sizes = [len(table) for table in tables]
    # With groups of equal size F bears unequal spreads.
    if max(sizes) == min(sizes):
        return False
    levels = [statistics.stdev(map(statistics.fmean, table)) for table in tables]
    # The level decides the groups' F, and the changes between states that of the interaction.
    spreads = [levels]
    for place in range(1, len(tables[0][0])):
        changes = [[person[place] - person[0] for person in table] for table in tables]
        spreads.append([statistics.stdev(change) for change in changes])
    return any(max(one) >= UNEVEN_SPREAD * min(one) for one in spreads)


def _adjust(
    vitals: Sequence[VitalGroupsModel], correction: Correction
) -> tuple[VitalGroupsModel, ...]:
    """Adjust the F tests of all vitals as one family, and the contrasts as another."""
    # The iterators below are used up in exactly this order.
    f_tests = [test for one in vitals for test in (one.groups, one.interaction) if test is not None]
    of_f = iter(adjusted_by(correction, [test.p for test in f_tests]))
    of_t = iter(adjusted_by(correction, [c.p for one in vitals for c in one.contrasts]))
    return tuple(
        one.model_copy(
            update={
                "groups": one.groups and _with_p(one.groups, next(of_f)),
                "interaction": one.interaction and _with_p(one.interaction, next(of_f)),
                "contrasts": tuple(_with_p(c, next(of_t)) for c in one.contrasts),
            }
        )
        for one in vitals
    )


def _with_p(test: T, adjusted_p: float) -> T:
    return test.model_copy(update={"adjusted_p": adjusted_p})


def in_group_tests(one: VitalGroupsModel) -> GroupFlowModel:
    """Count who is in the tests of the groups of a vital, and who is not."""
    return GroupFlowModel(
        vital=one.vital,
        used={name: one.sizes[name] for name in one.compared},
        no_attribute=one.no_attribute,
        incomplete=sum(one.incomplete.values()),
        too_small=sum(one.sizes[name] for name in one.too_small),
    )


@dataclass(frozen=True, slots=True)
class MissingMeasure:
    """One measure in which those who lack a state are compared with the others.

    Attributes:
        state: a state, or ``REST``.
        less: the state that it is taken less, where it is a reaction; else empty.
        difference: mean of those who lack the state less that of the others.
        adjusted_p: of Welch's t-test, by Holm over the measures.
    """

    state: str
    less: str
    difference: float
    adjusted_p: float


@dataclass(frozen=True, slots=True)
class MissingState:
    """A state of a vital that some people lack, and in what they differ from the others."""

    kind: Measure
    state: str
    lacking: int
    others: int
    measures: tuple[MissingMeasure, ...]


def compare_missing(
    missing: Iterable[MissingModel],
    means: Sequence[StateMean],
    at_rest: Mapping[tuple[Measure, str], float],
    *,
    changes: bool,
) -> tuple[MissingState, ...]:
    """Compare who lacks a state with who has it, where there are three or more of both.

    Args:
        missing: who lacks which state.
        means: of each person and state.
        at_rest: of a vital and a person, where there is a baseline.
        changes: whether the means are changes from baseline, so that each is a reaction itself.
    """
    every = []
    for one in missing:
        values: defaultdict[str, dict[str, float]] = defaultdict(dict)
        for mean in means:
            if mean.kind is one.vital:
                values[mean.state][mean.participant] = mean.mean
        # Taken out: who lacks a state has no value of it to compare.
        having = values.pop(one.state, {})
        rest = {code: value for (kind, code), value in at_rest.items() if kind is one.vital}
        others = [(state, "", own) for state, own in values.items()]
        reference, of_reference = (REST, rest) if rest else next(iter(values.items()), ("", {}))
        reactions = [
            (
                state,
                reference,
                {code: own[code] - of_reference[code] for code in own.keys() & of_reference.keys()},
            )
            for state, own in values.items()
            # A change is less the time at rest already.
            if state != reference and not changes
        ]
        measures = _compared_missing(
            [(REST, "", rest), *others, *reactions], set(one.participants), set(having)
        )
        if any(measure.state != REST for measure in measures):  # else groups of different people
            lacking = len(one.participants)
            every.append(MissingState(one.vital, one.state, lacking, len(having), measures))
    return tuple(every)


def _compared_missing(
    measures: Iterable[tuple[str, str, Mapping[str, float]]], lacking: set[str], having: set[str]
) -> tuple[MissingMeasure, ...]:
    tests = []
    for state, less, values in measures:
        first = [values[code] for code in sorted(lacking & values.keys())]
        second = [values[code] for code in sorted(having & values.keys())]
        if min(len(first), len(second)) < MINIMUM:
            continue
        try:
            tests.append((state, less, welch_t(first, second)))
        except StatisticsError:  # nobody differs from anybody else
            continue
    adjusted = holm([test.p for _, _, test in tests])
    return tuple(
        MissingMeasure(state, less, test.difference, p)
        for (state, less, test), p in zip(tests, adjusted, strict=True)
    )
