"""What was left out of an analysis, as programs see it."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasPath, Field

from dashboard.analysis.request import Model
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind


class LeftOutModel(Model):
    """Readings of one state that a flag keeps out of means and tests.

    A reading with two such flags is counted under both.
    """

    flag: VitalFlag = Field(description="The flag; count_flagged names those that count")
    state: str = Field(description="The state")
    readings: int = Field(description="How many readings")


class SettlingModel(Model):
    """What the beginnings of the stimuli held, which are left out."""

    vital: VitalKind = Field(validation_alias="kind", description="What was measured")
    seconds: float = Field(description="How much of each stimulus is left out")
    readings: int = Field(description="Readings in the three states that are left out so")
    emptied: int = Field(description="Participants' states in which no reading is left")


class WithAllModel(Model):
    """What one test would come to if every reading counted, whatever its flags.

    For comparison; it decides nothing.
    """

    n_first: int = Field(
        validation_alias=AliasPath("decision", "n_first"),
        description="Participants on the first side; with pairs the pairs",
    )
    n_second: int = Field(
        validation_alias=AliasPath("decision", "n_second"),
        description="Participants on the second side; with pairs the same",
    )
    difference: float | None = Field(
        validation_alias=AliasPath("decision", "difference"), description="Mean difference"
    )
    p: float | None = Field(validation_alias=AliasPath("decision", "p"), description="Unadjusted")
    adjusted_p: float | None = Field(description="By the correction that was asked for")
    conclusion: Literal["higher", "lower", "not_shown", "no_test"] = Field(
        description="At an adjusted p below 0.05"
    )
    changes: bool = Field(description="Whether the tests as they stand conclude something else")
