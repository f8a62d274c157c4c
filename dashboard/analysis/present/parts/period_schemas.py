"""Time in the session, as programs see them."""

from __future__ import annotations

from pydantic import Field

from dashboard.analysis.present.parts.sensitivity_schemas import IntervalModel
from dashboard.analysis.request import Model
from edge_agent.core.vitals import VitalKind


class DriftModel(Model):
    """How a vital changes while a session lasts, the states aside."""

    vital: VitalKind = Field(description="What was measured")
    slope: float | None = Field(description="Unit of the vital per minute; null where not known")
    interval: IntervalModel | None = Field(description="95 % interval of the slope")
    p: float | None = Field(description="Of no change, two-sided")
    people: int = Field(description="Participants with at least two states")
    sentence: str = Field(description="The result in words")


class PeriodModel(Model):
    """One paired comparison at equal times in the session."""

    vital: VitalKind = Field(description="What was measured")
    first: str = Field(description="First state")
    second: str = Field(description="Second state")
    gap_minutes: float = Field(
        description="By how much the first state was met later, mean of the participants"
    )
    one_way: bool = Field(
        description="Everybody met them the same way round: nothing can be adjusted"
    )
    by_drift: float | None = Field(
        description="What the change over the session makes of the gap, in the unit of the vital"
    )
    difference: float | None = Field(description="At equal times; null where not computed")
    interval: IntervalModel | None = Field(description="Its 95 % interval")
    t: float | None = Field(description="Test statistic")
    df: float | None = Field(description="Participants less 2")
    p: float | None = Field(description="Two-sided, unadjusted")
    adjusted_p: float | None = Field(description="Adjusted over the family of these tests")
    disagrees: bool = Field(description="Whether the t-test comes to another conclusion")
    sentence: str = Field(description="The result in words")
