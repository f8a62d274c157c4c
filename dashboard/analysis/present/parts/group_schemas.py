"""Groups of people as page, API and command show them."""

from __future__ import annotations

from pydantic import Field

from dashboard.analysis.present.parts.sensitivity_schemas import IntervalModel
from dashboard.analysis.request import Model
from edge_agent.core.vitals import VitalKind


class GroupTestModel(Model):
    """One F test of an analysis of variance with groups between people and states within them."""

    f: float = Field(description="Test statistic")
    df: tuple[float, float] = Field(
        description="Degrees of freedom of effect and error; of the interaction times epsilon"
    )
    p: float = Field(description="Unadjusted")
    adjusted_p: float = Field(description="Adjusted over both F tests of all vitals")
    partial_eta_squared: float = Field(description="Share of the effect in effect and error, 0…1")
    sentence: str = Field(description="The result in words")
    apa: str = Field(description="A sentence for a report, in the style of the APA")


class GroupContrastModel(Model):
    """Two groups compared by Welch's test, first minus second."""

    first: str = Field(description="Value of the attribute")
    second: str = Field(description="Another value of it")
    first_state: str | None = Field(
        description="With second_state: the difference of these two states is compared; null: the "
        "mean of all states"
    )
    second_state: str | None = Field(description="See first_state")
    n_first: int = Field(description="People of the first group")
    n_second: int = Field(description="People of the second group")
    difference: float = Field(description="In the unit of the vital")
    interval: IntervalModel = Field(description="95 % interval, not adjusted")
    t: float = Field(description="Test statistic")
    df: float = Field(description="Degrees of freedom, by Welch and Satterthwaite")
    p: float = Field(description="Unadjusted")
    adjusted_p: float = Field(description="Adjusted over the contrasts of all vitals")
    sentence: str = Field(description="The result in words")


class VitalGroupsModel(Model):
    """One vital by groups of people."""

    vital: VitalKind = Field(description="What was measured")
    attribute: str = Field(description="What makes the groups")
    sizes: dict[str, int] = Field(
        description="People with all states in one session, by group; only they are in the tests"
    )
    too_small: tuple[str, ...] = Field(
        description="Groups of fewer than three such people, which are in no test"
    )
    no_attribute: int = Field(description="People left out because the attribute is not known")
    incomplete: dict[str, int] = Field(
        description="People left out because they lack a state, by group"
    )
    epsilon: float | None = Field(description="Greenhouse and Geisser's, within the groups")
    groups: GroupTestModel | None = Field(description="Whether the groups differ over all states")
    interaction: GroupTestModel | None = Field(
        description="Whether the states differ otherwise in one group than in another"
    )
    contrasts: tuple[GroupContrastModel, ...] = Field(
        description="Groups two by two: over all states, then by pair of states"
    )
    uneven: bool = Field(
        description="Whether groups of unequal size spread so differently that F may be wrong"
    )
    reason: str = Field(description="Why there is no F test; empty where there is one")
    left_out: str = Field(description="Who is in no test, and why, in words; empty for nobody")
