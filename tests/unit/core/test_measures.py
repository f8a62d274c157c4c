"""Measures of an analysis: those of the face are what the chain reads and records."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from dashboard.analysis.query import AnalysisQuery
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.measures import (
    MEASURES,
    ExpressionKind,
    MeasureTable,
    MovementKind,
    RatingKind,
    is_of_face,
    measure_of,
    offered_movements,
    probability_of,
    table_of,
)
from edge_agent.core.movements import NAMES
from edge_agent.core.vitals import VitalKind


def test_each_movement_that_is_recorded_is_a_measure() -> None:
    assert tuple(MovementKind) == NAMES
    assert [measure_of(name) for name in ("yaw", "systolic")] == [
        MovementKind.YAW,
        VitalKind.SYSTOLIC,
    ]


def test_expressions_are_measures_by_the_names_of_the_columns() -> None:
    assert [probability_of(one).value for one in EMOTIONS] == [one.value for one in EMOTIONS]
    assert [kind.label for kind in ExpressionKind if kind.label] == list(EMOTIONS)
    assert [measure_of(kind.value) for kind in MEASURES] == list(MEASURES)
    assert {table_of(kind) for kind in MEASURES if is_of_face(kind)} == {
        MeasureTable.EXPRESSION,
        MeasureTable.MOVEMENT,
    }


@pytest.mark.parametrize(
    "name", [kind.value for kind in MEASURES if is_of_face(kind)] + ["sam_valence", "sam_arousal"]
)
def test_measure_of_the_same_origin_as_its_states_is_refused(name: str) -> None:
    is_rating = name.startswith("sam_")
    circular = "reported" if is_rating else "observed"
    with pytest.raises(ValidationError, match=rf"{name}.*circular.*choose state condition"):
        AnalysisQuery.model_validate({"state": circular, "vital": ["heart_rate", name]})
    AnalysisQuery.model_validate({"state": "condition", "vital": ["heart_rate", name]})
    if is_rating:
        with pytest.raises(ValidationError, match=rf"{name}.*whole stimulus.*state condition"):
            AnalysisQuery.model_validate({"state": "observed", "vital": [name]})
    else:
        asked = AnalysisQuery.model_validate({"state": "reported", "vital": [name, "heart_rate"]})
        assert asked.vital == (VitalKind.HEART_RATE, measure_of(name))


def test_settling_is_that_of_the_measure_and_none_of_a_rating() -> None:
    asked = AnalysisQuery(settling_other=7)
    kinds = (ExpressionKind.ANGER, MovementKind.SMILE, RatingKind.SAM_AROUSAL)
    assert [asked.settling_s(kind) for kind in kinds] == [7.0, 7.0, 0.0]
    assert [AnalysisQuery().settling_s(kind) for kind in kinds] == [1.0, 1.0, 0.0]


def test_withdrawn_movement_is_offered_only_where_it_was_chosen() -> None:
    assert set(MovementKind) - set(offered_movements()) == {
        MovementKind.LIP_PRESS,
        MovementKind.UPPER_LIP_UP,
    }
    chosen = (MovementKind.LIP_PRESS, MovementKind.UPPER_LIP_UP, VitalKind.HEART_RATE)
    assert offered_movements(chosen) == tuple(MovementKind)
