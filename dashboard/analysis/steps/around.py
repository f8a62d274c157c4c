"""The family of tests under the choices around the declared one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from dashboard.analysis.choices import choices_around, matchings_of, settling_choices
from dashboard.analysis.inference.comparison import Comparison, Decision, decision_of
from dashboard.analysis.inference.family import decide_groups
from dashboard.analysis.inference.sensitivity import C, S, sensitivity, without_own_neutral
from dashboard.analysis.query import AnalysisQuery, Outcome, StateBy
from dashboard.analysis.readings.means import less_baseline
from dashboard.analysis.readings.states import StateReadings, find_observed
from dashboard.analysis.results import (
    AroundModel,
    PlainLabelsModel,
    SensitivityModel,
    SettlingSensitivityModel,
)
from dashboard.analysis.steps.material import Material
from edge_agent.timeline.read.reader import Reader


def around_of(reader: Reader, material: Material, compared: Sequence[Comparison]) -> AroundModel:
    """Repeat the tests under the other choices, and without the own neutrals.

    Args:
        reader: the timeline, for the labels as they were read.
        material: what was read.
        compared: the tests under the declared choice.

    Raises:
        StatisticsError: a reading cannot be computed with.
        StoreError: the database cannot be read.
    """
    query, choices = material.query, material.choices
    settled = choices.settled if material.is_timed else {}
    return AroundModel(
        sensitivity=_sensitivity(
            SensitivityModel, query, compared, choices.matched, choices_around
        ),
        settling_sensitivity=_sensitivity(
            SettlingSensitivityModel, query, compared, settled, settling_choices
        ),
        neighbours=choices.neighbours(query, material.sessions) if query.sensitivity else (),
        without_own_neutral=_without_own_neutral(reader, material, compared),
    )


def _sensitivity(
    table: type[S],
    query: AnalysisQuery,
    declared: Sequence[Comparison],
    readings: Mapping[C, StateReadings],
    around: Callable[[C], Iterable[C]],
) -> tuple[S, ...]:
    """Repeat the family under the other choices; the first of the readings are the declared ones'.

    None where there are no others.
    """
    if not (query.sensitivity and readings):
        return ()
    chosen = next(iter(readings))

    def family(choice: C) -> tuple[Decision, ...]:
        # The declared choice was tested in full already, with the same numbers.
        if choice == chosen:
            return tuple(decision_of(comparison) for comparison in declared)
        return decide_groups(readings[choice].counting(query.counted), query)

    pairs = query.tested_pairs
    return sensitivity(table, pairs, chosen, around(chosen), family, query.correction)


def _without_own_neutral(
    reader: Reader, material: Material, compared: Sequence[Comparison]
) -> tuple[PlainLabelsModel, ...]:
    """Repeat the t-tests by observed emotions with the labels as they were read."""
    query, sessions = material.query, material.sessions
    if query.state is not StateBy.OBSERVED or not material.calibrated:
        return ()
    plain = reader.face_labels(sessions, plain=True)
    (readings,) = find_observed(reader, query, sessions, plain, matchings_of(query)[:1])
    if query.outcome is Outcome.CHANGE:
        readings = less_baseline(readings, material.choices.baselines)
    return without_own_neutral(
        query.tested_pairs,
        [decision_of(comparison) for comparison in compared],
        decide_groups(readings.counting(query.counted), query),
        query.correction,
    )
