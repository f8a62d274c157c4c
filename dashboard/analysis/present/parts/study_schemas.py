"""Mixed model, Bayes factor and flow, as programs get them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dashboard.analysis.present.parts.sensitivity_schemas import IntervalModel
from dashboard.analysis.request import Model
from edge_agent.core.vitals import VitalKind


class BayesFactorModel(Model):
    """How much the data speak for or against a difference: JZS, from the t-test."""

    for_difference: float | None = Field(
        description="BF10: how many times more likely the data are with a difference; null beyond "
        "1e308"
    )
    for_none: float = Field(description="BF01: how many times more likely they are without one")
    log_for_difference: float = Field(description="Natural logarithm of BF10")
    scale: float = Field(
        description="r of the Cauchy distribution of the effect that is supposed; on it the factor "
        "depends"
    )
    sentence: str = Field(description="In words")


class ModelTestModel(Model):
    """Two states by the mixed model, first minus second."""

    difference: float = Field(description="At equal times in the session, where time is in it")
    interval: IntervalModel = Field(description="95 % interval, not adjusted for the family")
    error: float = Field(description="Standard error")
    t: float = Field(description="Test statistic")
    df: float = Field(description="Degrees of freedom by Satterthwaite's method")
    p: float = Field(description="Two-sided, unadjusted")
    adjusted_p: float = Field(description="Adjusted over the tests of the models, as asked for")
    differs: bool = Field(description="Whether the t-test comes to another conclusion")
    sentence: str = Field(description="The result in words, with the reason where they differ")
    apa: str = Field(description="A sentence for a report, in the style of the APA")


class SiteModel(Model):
    """How a site lies from the first one, by the mixed model."""

    site: str
    difference: float = Field(description="This site minus the first one")
    interval: IntervalModel = Field(description="95 %")
    error: float = Field(description="Standard error")
    t: float
    df: float
    p: float = Field(description="Two-sided, unadjusted")


class VitalModelModel(Model):
    """The mixed model of one vital: value ~ state + minutes + site + (1 | participant / session),
    site where people were measured at several.
    """

    vital: VitalKind = Field(description="What was measured")
    participants: int = Field(description="Participants with a mean in one of the states")
    sessions: int = Field(description="Their sessions")
    means: int = Field(description="Means of a state in a session: the values of the model")
    repeated: int = Field(description="Participants with several sessions")
    incomplete: int = Field(description="Sessions that lack a state")
    minute: float | None = Field(
        description="Change with each minute of the session; null where it is not in the model"
    )
    minute_p: float | None = Field(description="Its p, two-sided")
    participant_variance: float | None = Field(description="Between participants")
    session_variance: float | None = Field(
        description="Between sessions of a participant; null where the data cannot tell"
    )
    reaction_variance: float | None = Field(
        description="Between what participants make of a state; null where nobody met one twice"
    )
    residual_variance: float | None = Field(description="Within sessions")
    singular: bool | None = Field(description="Whether a variance was estimated as 0")
    first_site: str = Field("", description="With which sites are compared; empty: there is one")
    sites: tuple[SiteModel, ...] = Field((), description="The others")
    reason: str = Field(description="Why there is no model; empty where there is one")
    sentence: str = Field(description="In words: what went into it")


class LossModel(Model):
    """What one reason costs on the way to a step."""

    reason: str = Field(description="Why, as a word for programs")
    detail: str = Field(description="Which flag or vital; empty for all")
    state: str = Field(description="In which state; empty for all")
    people: int = Field(description="Participants lost altogether; negative: they came in here")
    readings: int | None = Field(description="Readings; null where none are counted yet")
    sentence: str = Field(description="In words")


class StageModel(Model):
    """One step from consent to the tests."""

    step: Literal["consented", "in_sessions", "measured", "usable", "in_state", "tested"] = Field(
        description="Which step"
    )
    title: str = Field(description="What people call it")
    people: int = Field(description="Participants who are there")
    sessions: int = Field(description="Sessions that are there")
    readings: int | None = Field(description="Readings; null where none are counted yet")
    lost: tuple[LossModel, ...] = Field(description="What was lost since the step before")


class MissingModel(Model):
    """Who has a vital in some state, but not in this one."""

    vital: VitalKind = Field(description="What was measured")
    state: str = Field(description="The state that is missing")
    participants: tuple[str, ...] = Field(description="Pseudonymous codes")
    sentence: str = Field(description="In words")


class TestFlowModel(Model):
    """Who is in one t-test, and who is not."""

    vital: VitalKind = Field(description="What was measured")
    first: str = Field(description="First state")
    second: str = Field(description="Second state")
    used: int = Field(description="Participants in the test")
    lacks_first: int = Field(description="Not in it: they have the second state only")
    lacks_second: int = Field(description="Not in it: they have the first state only")
    apart: int = Field(description="Not in it: they have both, but never in one session")
    both: int = Field(description="Not in it: they have both, and groups are compared")


class FamilyModel(Model):
    """Tests whose p values are adjusted together."""

    family: str = Field(description="As it was declared; empty for the tests that no family names")
    tests: tuple[str, ...] = Field(description="Vital or measure and states of each")
    computed: int = Field(description="How many of them have numbers: what p is adjusted for")
    sentence: str = Field(description="In words")


class GroupFlowModel(Model):
    """Who is in the tests of the groups, and who is not."""

    vital: VitalKind = Field(description="What was measured")
    used: dict[str, int] = Field(description="People in the tests, by group")
    no_attribute: int = Field(description="People whose attribute is not known")
    incomplete: int = Field(description="People who lack a state in each of their sessions")
    too_small: int = Field(description="People in groups of fewer than three")


class FlowModel(Model):
    """People and readings from consent to the tests."""

    summary: str = Field(description="First and last step in a sentence")
    stages: tuple[StageModel, ...] = Field(description="The steps in order")
    missing: tuple[MissingModel, ...] = Field(description="States that somebody lacks")
    tests: tuple[TestFlowModel, ...] = Field(description="For each comparison of the family")
    groups: tuple[GroupFlowModel, ...] = Field(
        (), description="With group: who is in the tests of the groups, by vital"
    )
