"""What an analysis is asked and what it answers, as programs see it: ``/api/v1/analysis`` and ``analyse --json``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.domain import VitalKind
from edge_agent.store.matching import DEFAULT_LAG_S, DEFAULT_SHARE, DEFAULT_WINDOW_S


class StateBy(StrEnum):
    """What makes the state of a reading."""

    CONDITION = "condition"
    OBSERVED = "observed"


class Sample(StrEnum):
    """Which sessions are looked at."""

    AUTO = "auto"
    MEASURED = "measured"
    EXAMPLE = "example"
    SELECTED = "selected"


class Model(BaseModel):
    """Base of all: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Seconds = Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)]


class AnalysisQuery(Model):
    """The question: which readings count, and what state they belong to."""

    state: StateBy = Field(
        StateBy.CONDITION,
        description="condition: the stimulus that went on. observed: the emotion seen on the face before the reading",
    )
    sample: Sample = Field(
        Sample.AUTO,
        description="measured: all sessions that are not simulated. example: all simulated ones. selected: those in "
        "session. auto: measured, or the example while no measured session has readings in a state",
    )
    session: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), max_length=10_000, description="Session ids, with sample=selected"
    )
    window: float = Field(
        DEFAULT_WINDOW_S, gt=0, le=600, description="Observed: seconds of expression before a reading, less the lag"
    )
    lag_heart_rate: Seconds = Field(
        DEFAULT_LAG_S[VitalKind.HEART_RATE], description="Observed: seconds by which heart rate follows the face"
    )
    lag_pressure: Seconds = Field(
        DEFAULT_LAG_S[VitalKind.SYSTOLIC], description="Observed: seconds by which a cuff's reading follows the face"
    )
    share: float = Field(
        DEFAULT_SHARE, ge=0.5, le=1, description="Observed: least share of the window that one emotion must hold"
    )
    leave_out_flagged: bool = Field(
        False, description="Whether readings flagged out_of_range or contact_lost are left out of the means"
    )


class IntervalModel(Model):
    """A 95 % confidence interval."""

    low: float = Field(description="Lower end")
    high: float = Field(description="Upper end")


class ShapiroModel(Model):
    """A Shapiro–Wilk test of normality."""

    of: str = Field(description="differences, or the state whose means were tested")
    w: float = Field(description="The statistic, 0…1")
    p: float = Field(description="Small: the values are hardly from a normal distribution")


class RankModel(Model):
    """The rank test beside the t-test."""

    name: Literal["wilcoxon_signed_rank", "mann_whitney"] = Field(description="Which test")
    statistic: float = Field(description="The smaller signed rank sum, or U of the first state")
    p: float = Field(description="Two-sided, unadjusted")
    exact: bool = Field(description="Whether p is from the exact distribution or the normal approximation")


class ComparisonModel(Model):
    """One test of the family: first state minus second. Numbers are null where no test could be computed."""

    vital: VitalKind = Field(description="What was measured")
    unit: str = Field(description="UCUM unit of difference and interval")
    first: str = Field(description="First state")
    second: str = Field(description="Second state")
    method: Literal["paired", "welch"] | None = Field(description="Which t-test the participants allow")
    n_first: int = Field(description="Participants used on the first side; in a paired test the pairs")
    n_second: int = Field(description="Participants used on the second side; in a paired test the same pairs")
    n_both: int = Field(description="Participants with readings in both states")
    n_first_only: int = Field(description="Participants with readings in the first state only")
    n_second_only: int = Field(description="Participants with readings in the second state only")
    left_out: int = Field(description="Participants whom the test does not use")
    difference: float | None = Field(description="Mean difference")
    interval: IntervalModel | None = Field(description="95 % interval of the difference, not adjusted for the family")
    t: float | None = Field(description="Test statistic")
    df: float | None = Field(description="Degrees of freedom")
    p: float | None = Field(description="Two-sided, unadjusted")
    holm_p: float | None = Field(description="p adjusted by Holm's method for the tests that were computed")
    g: float | None = Field(description="Hedges' g, standardised by the average of both variances")
    g_interval: IntervalModel | None = Field(description="95 % interval of g")
    shapiro: tuple[ShapiroModel, ...] = Field(description="Of the differences, or of each group that varies")
    rank: RankModel | None = Field(description="The rank test of the same participants")
    obstacle: Literal["too_few", "no_variation"] | None = Field(description="Why there are no numbers")
    sentence: str = Field(description="The result in words")


class StateModel(Model):
    """One vital in one state, over participants."""

    vital: VitalKind = Field(description="What was measured")
    state: str = Field(description="The state")
    n: int = Field(description="Participants")
    readings: int = Field(description="Readings behind their means")
    mean: float | None = Field(description="Mean of the participants' means; null without any")
    sd: float | None = Field(description="Standard deviation between participants; null for fewer than two")
    interval: IntervalModel | None = Field(description="95 % interval of the mean; null for fewer than three")


class MeanModel(Model):
    """The unit of all tests: one participant's mean in one state."""

    participant: str = Field(description="Pseudonymous code")
    vital: VitalKind = Field(description="What was measured")
    state: str = Field(description="The state")
    mean: float = Field(description="Mean of the readings")
    readings: int = Field(description="How many readings")
    simulated: bool = Field(description="Whether any of them is simulated")


class MatchModel(Model):
    """What became of the readings that were to be matched to an observed emotion."""

    matched: int = Field(description="One emotion held the declared share of the window")
    unmatched: int = Field(description="No face was recorded in the window")
    ambiguous: int = Field(description="No emotion held the declared share")


class AnalysisModel(Model):
    """The answer."""

    question: AnalysisQuery = Field(description="As it was asked, with defaults filled in")
    sample: Sample = Field(description="Which sessions were looked at; auto is resolved")
    sessions: tuple[int, ...] = Field(description="Their ids")
    participants: int = Field(description="Participants with a reading in one of the three states")
    readings: int = Field(description="Readings in the three states that went into the means")
    simulated_readings: int = Field(description="How many of them are simulated")
    flagged: int = Field(description="Readings in the three states flagged out_of_range or contact_lost")
    other_states: dict[str, int] = Field(description="Readings in states that no test uses, by state")
    matching: MatchModel | None = Field(description="With state=observed: how the readings were matched")
    tests_computed: int = Field(description="Size of the family that Holm's method adjusts for")
    comparisons: tuple[ComparisonModel, ...] = Field(description="The family: three pairs of states for three vitals")
    states: tuple[StateModel, ...] = Field(description="Every vital in every state")
    means: tuple[MeanModel, ...] = Field(description="The values that were tested")
    warnings: tuple[str, ...] = Field(description="What a reader must know before believing the numbers")
    method: tuple[str, ...] = Field(description="How the numbers were computed, in sentences")
