"""Measures of an analysis: the movements among them are those that the chain reads."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from dashboard.analysis.question import AnalysisQuery, StateBy
from edge_agent.core.measures import MovementKind, measure_of
from edge_agent.core.movements import NAMES
from edge_agent.core.vitals import VitalKind


def test_each_movement_that_is_recorded_is_a_measure() -> None:
    assert tuple(MovementKind) == NAMES
    assert [measure_of(name) for name in ("yaw", "systolic")] == [
        MovementKind.YAW,
        VitalKind.SYSTOLIC,
    ]


def test_movements_are_refused_by_the_emotion_of_the_same_face() -> None:
    with pytest.raises(ValidationError, match=r"smile.*state condition or reported"):
        AnalysisQuery.model_validate({"state": "observed", "vital": ["heart_rate", "smile"]})
    asked = AnalysisQuery(vital=(MovementKind.SMILE, VitalKind.HEART_RATE), state=StateBy.REPORTED)
    assert asked.vital == (VitalKind.HEART_RATE, MovementKind.SMILE)
