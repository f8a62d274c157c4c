"""Readings in doubt that count in no mean: how many, and whether they would matter. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.analysis.comparison import Comparison, Decision
from dashboard.analysis.family import decide_groups
from dashboard.analysis.readings import StateReadings
from dashboard.analysis.request import DOUBTS, AnalysisQuery, Correction
from dashboard.analysis.sensitivity import Conclusion, conclude
from edge_agent.core.readings import VitalFlag


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many readings of a state a flag keeps out of the means.

    A reading with two such flags is counted under both.
    """

    flag: VitalFlag
    state: str
    readings: int


@dataclass(frozen=True, slots=True)
class WithAll:
    """What a test would come to if every reading counted, whatever its flags.

    Attributes:
        decision: in numbers.
        adjusted_p: the p that would decide, by the correction that was asked for.
        conclusion: what it would come to.
        changes: whether that is another conclusion than the one without the readings in doubt.
    """

    decision: Decision
    adjusted_p: float | None
    conclusion: Conclusion
    changes: bool


def count_left_out(readings: StateReadings, query: AnalysisQuery) -> tuple[LeftOut, ...]:
    """Count the readings that are left out, by flag and state."""
    counts: Counter[tuple[VitalFlag, str]] = Counter()
    for group in readings.in_states():
        state = query.state_of(group.state)
        for flag in group.doubts(query.counted):
            if state is not None:
                counts[flag, state] += group.n
    return tuple(
        LeftOut(flag, state, counts[flag, state])
        for flag in DOUBTS
        for state in query.states
        if counts[flag, state]
    )


def tests_with_all(
    readings: StateReadings, query: AnalysisQuery, family: Sequence[Comparison]
) -> tuple[WithAll, ...]:
    """Decide the family again with every reading, for comparison; it decides nothing.

    Args:
        readings: of the question.
        query: what was asked.
        family: the comparisons without what is left out.

    Returns:
        For each comparison what it would come to; empty where nothing is left out.
    """
    if not any(group.doubts(query.counted) for group in readings.in_states()):
        return ()
    decisions = decide_groups(readings.groups, query)
    return tuple(
        _with_all(decision, comparison, query.correction)
        for decision, comparison in zip(decisions, family, strict=True)
    )


def _with_all(decision: Decision, comparison: Comparison, correction: Correction) -> WithAll:
    strict = correction is Correction.HOLM
    adjusted = decision.holm_p if strict else decision.bh_p
    usual = None
    if comparison.tests is not None:
        usual = comparison.tests.holm_p if strict else comparison.tests.bh_p
    conclusion = conclude(decision.difference, adjusted)
    changes = conclusion is not conclude(comparison.difference, usual)
    return WithAll(decision, adjusted, conclusion, changes)
