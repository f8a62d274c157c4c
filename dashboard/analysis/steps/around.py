"""The family of tests under the choices around the declared one: each choice is tested and decided
as if it had been declared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from dashboard.analysis.choices import (
    MatchingChoice,
    SettlingChoice,
    choices_around,
    matchings_of,
    settling_choices,
)
from dashboard.analysis.inference.neighbours import neighbours
from dashboard.analysis.inference.sensitivity import (
    C,
    ChosenResult,
    S,
    sensitivity,
    without_own_neutral,
)
from dashboard.analysis.query import Outcome, StateBy
from dashboard.analysis.readings.means import less_baseline
from dashboard.analysis.readings.states import StateReadings, find_observed
from dashboard.analysis.results import (
    AroundModel,
    NeighboursModel,
    PlainLabelsModel,
    ResultModel,
    SensitivityModel,
    SettlingSensitivityModel,
)
from dashboard.analysis.steps.decided import decide_readings, with_holm
from dashboard.analysis.steps.material import Material
from dashboard.analysis.steps.tested import Tested
from edge_agent.timeline.read.reader import Reader

_Tried = Mapping[MatchingChoice | SettlingChoice, Sequence[ChosenResult]]


def around_of(
    reader: Reader, material: Material, tested: Tested, results: Sequence[ResultModel]
) -> AroundModel:
    """Decide the family under the other choices, and by observed emotion without the own neutrals.

    Args:
        reader: the timeline, for the labels as they were recognized.
        material: what was read.
        tested: its tests under the declared choice.
        results: of each comparison what was decided under it.

    Raises:
        StatisticsError: a reading cannot be computed with.
        StoreError: the database cannot be read.
    """
    plain = _without_own_neutral(reader, material, results)
    around = tables_around(material, tested, results)
    return around.model_copy(update={"without_own_neutral": plain})


def tables_around(
    material: Material, tested: Tested, results: Sequence[ResultModel]
) -> AroundModel:
    """Return what ``around_of`` decides from the material alone: the tables of other choices."""
    query, choices = material.query, material.choices
    tried: _Tried = {}
    if query.sensitivity:
        tried = _try(material, with_holm(query, tested, results))
    settled = choices.settled if material.is_timed else {}
    return AroundModel(
        sensitivity=_sensitivity(
            SensitivityModel, material, choices.matched, tried, choices_around
        ),
        settling_sensitivity=_sensitivity(
            SettlingSensitivityModel, material, settled, tried, settling_choices
        ),
        neighbours=_neighbours(material, tried) if tried else (),
    )


def neighbours_of(material: Material) -> tuple[NeighboursModel, ...]:
    """Return each comparison under all choices and sources, and nothing else."""
    declared = decide_readings(material, material.counted)
    return _neighbours(material, _try(material, declared))


def _try(material: Material, declared: Sequence[ChosenResult]) -> _Tried:
    """Return the results under each choice that was read, the declared ones first; nothing settles
    where all times are made up.
    """
    choices, counted = material.choices, material.query.counted
    every: dict[MatchingChoice | SettlingChoice, StateReadings] = {}
    for matching, readings in choices.matched.items():
        every[matching] = readings
    for settling, readings in choices.settled.items():
        every[settling] = readings
    first, *others = every
    tried: dict[MatchingChoice | SettlingChoice, Sequence[ChosenResult]] = {first: declared}
    for choice in others if material.is_timed or choices.matched else ():
        readings = every[choice]
        tried[choice] = decide_readings(material, readings.counting(counted))
    return tried


def _sensitivity(
    table: type[S],
    material: Material,
    readings: Mapping[C, StateReadings],
    tried: _Tried,
    around: Callable[[C], Iterable[C]],
) -> tuple[S, ...]:
    """Return the tables of one kind of choices, the first of which is the declared one; none where
    there are no others.
    """
    if not (tried and readings):
        return ()
    chosen = next(iter(readings))
    of_kind = {choice: tried[choice] for choice in around(chosen)}
    return sensitivity(table, material.query.tested_pairs, chosen, of_kind)


def _neighbours(material: Material, tried: _Tried) -> tuple[NeighboursModel, ...]:
    query, choices = material.query, material.choices
    read = list(zip(tried, choices.levels, strict=False))
    return neighbours(
        query,
        # Of made-up times nothing else settles or is matched: only sources differ.
        read if material.is_timed else read[:1],
        choices.baselines,
        lambda readings: decide_readings(material, readings.counting(query.counted)),
        tried,
    )


def _without_own_neutral(
    reader: Reader, material: Material, results: Sequence[ResultModel]
) -> tuple[PlainLabelsModel, ...]:
    """Decide the family by observed emotions with the labels as they were read."""
    query, sessions = material.query, material.sessions
    if query.state is not StateBy.OBSERVED or not material.calibrated:
        return ()
    plain = reader.face_labels(sessions, plain=True)
    (readings,) = find_observed(reader, query, sessions, plain, matchings_of(query)[:1])
    if query.outcome is Outcome.CHANGE:
        readings = less_baseline(readings, material.choices.baselines)
    decided = decide_readings(material, readings.counting(query.counted))
    return without_own_neutral(query.tested_pairs, results, decided)
