"""The tests of a question as one family, from the readings that count. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dashboard.analysis.comparison import (
    Comparison,
    Decision,
    StatesComparison,
    compare_family,
    compare_states,
    decide_family,
)
from dashboard.analysis.means import (
    Sides,
    Visits,
    session_means,
    sides_of,
    states_together,
    visits_of,
)
from dashboard.analysis.readings import ReadingGroup
from dashboard.analysis.request import AnalysisQuery
from dashboard.analysis.states import PAIRS
from edge_agent.core.vitals import VitalKind


def compare_visits(visits: Visits, query: AnalysisQuery) -> tuple[Comparison, ...]:
    """Compare every pair of states of every vital that is asked for, in that order."""
    every = _sides(visits, query)
    compared = compare_family(((sides.first, sides.second) for sides in every), query.design)
    return tuple(
        _with_apart(comparison, len(sides.apart))
        for comparison, sides in zip(compared, every, strict=True)
    )


def decide_groups(groups: Iterable[ReadingGroup], query: AnalysisQuery) -> tuple[Decision, ...]:
    """Decide the same family by its tests alone, from sums of readings."""
    every = _sides(visits_of(session_means(groups)), query)
    return decide_family(((sides.first, sides.second) for sides in every), query.design)


def compare_all_states(visits: Visits, kind: VitalKind) -> StatesComparison:
    """Compare all states of a vital at once, over the people who have all of them in a session."""
    together = states_together(visits, kind)
    return replace(compare_states(together.columns), left_out=together.left_out)


def _sides(visits: Visits, query: AnalysisQuery) -> list[Sides]:
    return [sides_of(visits, kind, *pair) for kind in query.vital for pair in PAIRS]


def _with_apart(comparison: Comparison, apart: int) -> Comparison:
    """Count those who have both states in different sessions among those who are left out."""
    if comparison.method is None:
        return replace(comparison, n_apart=apart)
    return replace(comparison, n_apart=apart, left_out=comparison.left_out + apart)
