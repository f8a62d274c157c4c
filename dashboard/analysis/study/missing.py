"""Comparison of people who lack a state with those who have it: at rest, in the other states, and
in their reactions. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dashboard.analysis.means import StateMean
from dashboard.analysis.study.flow import LackingState
from dashboard.statistics import MINIMUM, holm, welch_t
from edge_agent.core.errors import StatisticsError
from edge_agent.core.vitals import VitalKind

REST = "baseline"
"""Name of the time at rest, among the states that are compared."""


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

    kind: VitalKind
    state: str
    lacking: int
    others: int
    measures: tuple[MissingMeasure, ...]


def compare_missing(
    missing: Iterable[LackingState],
    means: Sequence[StateMean],
    at_rest: Mapping[tuple[VitalKind, str], float],
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
            if mean.kind is one.kind:
                values[mean.state][mean.participant] = mean.mean
        having = values.pop(one.state, {})
        rest = {code: value for (kind, code), value in at_rest.items() if kind is one.kind}
        others = [(state, "", own) for state, own in values.items()]
        reference, of_reference = (REST, rest) if rest else next(iter(values.items()), ("", {}))
        reactions = [
            (
                state,
                reference,
                {code: own[code] - of_reference[code] for code in own.keys() & of_reference.keys()},
            )
            for state, own in values.items()
            if state != reference and not changes
        ]
        measures = _compared([(REST, "", rest), *others, *reactions], set(one.codes), set(having))
        if any(measure.state != REST for measure in measures):  # else groups of different people
            every.append(MissingState(one.kind, one.state, len(one.codes), len(having), measures))
    return tuple(every)


def _compared(
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
