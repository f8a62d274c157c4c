"""The variability of the heart rate in each state, and its tests."""

from __future__ import annotations

from dashboard.analysis.decision import decide_measures, with_cautions
from dashboard.analysis.inference.checks import ClassifierByCard
from dashboard.analysis.inference.heart import recordings_of, variability_by_state
from dashboard.analysis.inference.loss import (
    beside_by_measure,
    compare_losses,
    errors_beside,
    losses_of_beats,
)
from dashboard.analysis.inference.measures import (
    MeasuredValue,
    compare_measures,
    measured_values,
    sides_of_measure,
)
from dashboard.analysis.inference.motion import motion_beside
from dashboard.analysis.query import HeartMeasure
from dashboard.analysis.readings.states import find_beats
from dashboard.analysis.results import HeartsModel, HeartTestModel
from dashboard.analysis.steps.material import Material
from edge_agent.timeline.read.reader import Reader

HeartValues = tuple[MeasuredValue[HeartMeasure], ...]


def hearts_of(
    reader: Reader, material: Material, face: ClassifierByCard | None
) -> tuple[HeartsModel, HeartValues]:
    """Return the variability of the heart rate with its tests, and the values that were tested.

    Raises:
        StatisticsError: a reading cannot be computed with.
        StoreError: the database cannot be read.
    """
    query = material.query
    recordings = find_beats(reader, query, material.sessions, material.stimuli, material.shown)
    beats = recordings_of(recordings, query.states)
    values = measured_values(beats, query.heart_measure, material.starts)
    compared = compare_measures(
        values, query, material.places, material.after, is_timed=material.is_timed
    )
    tests = decide_measures(HeartTestModel, compared, query, face)
    lost = losses_of_beats(beats, query, material.lasted)
    return HeartsModel(
        variability=variability_by_state(beats, query.states),
        heart_tests=with_cautions(
            tests,
            {
                "loss": beside_by_measure(lambda _: lost, compare_losses),
                "errors": errors_beside(beats),
                "motion": motion_beside(
                    material.moved,
                    lambda one: sides_of_measure(
                        values.values, one.measure, (one.first, one.second)
                    ),
                ),
            },
        ),
    ), values.values
