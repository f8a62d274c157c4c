"""The responses of skin conductance in each state, and their tests."""

from __future__ import annotations

from dashboard.analysis.decision import decide_measures, with_cautions
from dashboard.analysis.inference.checks import ClassifierByCard
from dashboard.analysis.inference.loss import beside_by_measure, compare_losses, losses_of_skin
from dashboard.analysis.inference.measures import (
    MeasuredValue,
    compare_measures,
    measured_values,
    sides_of_measure,
)
from dashboard.analysis.inference.motion import motion_beside
from dashboard.analysis.inference.skin import skin_by_state, skin_times
from dashboard.analysis.query import SkinMeasure
from dashboard.analysis.readings.states import find_skin_conductance
from dashboard.analysis.results import SkinsModel, SkinTestModel
from dashboard.analysis.steps.material import Material
from edge_agent.timeline.read.reader import Reader

SkinValues = tuple[MeasuredValue[SkinMeasure], ...]


def skins_of(
    reader: Reader, material: Material, face: ClassifierByCard | None
) -> tuple[SkinsModel, SkinValues]:
    """Return the responses of skin conductance with their tests, and the values that were tested.

    Raises:
        StatisticsError: a reading cannot be computed with.
        StoreError: the database cannot be read.
    """
    query = material.query
    series = find_skin_conductance(
        reader, query, material.sessions, material.stimuli, material.shown
    )
    skin = skin_times(series, query)
    values = measured_values(skin, query.skin_measure, material.starts)
    compared = compare_measures(
        values, query, material.places, material.after, is_timed=material.is_timed
    )
    lost = losses_of_skin(skin, query)
    return SkinsModel(
        skin=skin_by_state(skin, query.states),
        skin_tests=with_cautions(
            decide_measures(SkinTestModel, compared, query, face),
            {
                "loss": beside_by_measure(lambda _: lost, compare_losses),
                "motion": motion_beside(
                    material.moved,
                    lambda one: sides_of_measure(
                        values.values, one.measure, (one.first, one.second)
                    ),
                ),
            },
        ),
    ), values.values
