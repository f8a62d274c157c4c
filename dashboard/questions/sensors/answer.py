"""The question how far sources agree that measured the same, and its answer. Quick to load."""

from __future__ import annotations

from pydantic import Field, RootModel

from dashboard.analysis.query import Model
from dashboard.analysis.results import SensorComparison
from edge_agent.core.vitals import VitalKind

COMPARED = tuple(kind for kind in VitalKind if kind is not VitalKind.RR_INTERVAL)
"""Vitals whose sources are compared, minute by minute."""


class SensorsQuery(Model):
    """The question: which sessions, and which vitals."""

    session: tuple[int, ...] = Field((), description="Only these sessions; empty: all")
    vital: tuple[VitalKind, ...] = Field((), description="Only these vitals; empty: all")


class SensorsModel(RootModel[tuple[SensorComparison, ...]]):
    """Each two sources that measured the same vital in the same minutes."""
