"""Tests of the heart's variability as page, API and command show them."""

from __future__ import annotations

from pydantic import Field

from dashboard.analysis.request import HeartMeasure, Model


class HeartTestModel(Model):
    """One measure of the intervals between beats in two states, first minus second."""

    measure: HeartMeasure = Field(description="What was compared")
    first: str = Field(description="A state")
    second: str = Field(description="Another")
    n_both: int = Field(description="Participants with both states in a session")
    difference: float | None = Field(
        description="Mean difference; of a logarithm, so its exponential is a ratio"
    )
    low: float | None = Field(description="Lower end of its 95 % interval")
    high: float | None = Field(description="Upper end")
    t: float | None = Field(description="Of the t-test")
    df: float | None = Field(description="Degrees of freedom")
    p: float | None = Field(description="Unadjusted p")
    adjusted_p: float | None = Field(description="Adjusted over the family of these measures")
    left_out: dict[str, int] = Field(
        description="States of a session that give no number, by reason"
    )
    sentence: str = Field(description="The result in words")
