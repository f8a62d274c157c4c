"""A multiverse as programs see it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dashboard.analysis.present.parts.sensitivity_schemas import IntervalModel
from dashboard.analysis.request import AnalysisQuery, Model, Sample
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind

Conclusion = Literal["higher", "lower", "not_shown", "no_test"]


class ChoiceModel(Model):
    """One of the choices of a set, as people read it."""

    name: str = Field(description="What is chosen")
    value: str = Field(description="How")


class EstimateModel(Model):
    """One comparison under one set of choices."""

    specification: int = Field(description="Number of the set of choices; 1 is the declared one")
    declared: bool = Field(description="Whether this is the declared set")
    way: Literal["t_test", "equal_times", "mixed_model"] = Field(
        description="t_test; equal_times: the t-test of what is left at equal times in the "
        "session; mixed_model"
    )
    sessions: Literal["all", "first"] = Field(
        description="all: differences within sessions, averaged over a person's sessions. first: "
        "of each person the first session alone"
    )
    counted: tuple[VitalFlag, ...] = Field(
        description="Flags of doubt whose readings count all the same"
    )
    settling: float | None = Field(
        description="By condition or self-report: seconds left out at the start of each stimulus"
    )
    window: float | None = Field(description="Observed: seconds of expression before a reading")
    lag: float | None = Field(description="Observed: seconds by which the vital follows the face")
    choices: tuple[ChoiceModel, ...] = Field(description="The same, as far as sets differ in it")
    n: int = Field(description="Participants that the test uses")
    difference: float | None = Field(description="First state minus second; null without a test")
    interval: IntervalModel | None = Field(description="95 % interval of the difference")
    p: float | None = Field(description="Unadjusted")
    adjusted_p: float | None = Field(
        description="Adjusted for the family of tests under these choices, as the question asks"
    )
    conclusion: Conclusion = Field(description="At an adjusted p below 0.05")


class ShareModel(Model):
    """What the sets with one value of one choice come to."""

    name: str = Field(description="What is chosen")
    value: str = Field(description="How")
    sets: int = Field(description="Sets of choices with a test that have it")
    same: int = Field(description="How many of them conclude as the declared one does")
    median: float = Field(description="Median of their differences")


class CurveModel(Model):
    """One comparison under all sets of choices: a specification curve."""

    vital: VitalKind = Field(description="What was measured")
    unit: str = Field(description="Unit of the differences")
    first: str = Field(description="First state")
    second: str = Field(description="Second state")
    computed: int = Field(description="Sets of choices that give a test")
    same_direction: int = Field(description="How many differ in the direction of the declared one")
    same_conclusion: int = Field(description="How many conclude as the declared one does")
    lowest: float | None = Field(description="Smallest difference")
    median: float | None = Field(description="Median of the differences")
    highest: float | None = Field(description="Largest difference")
    sentence: str = Field(description="The result in words")
    by_choice: tuple[ShareModel, ...] = Field(description="The same for each value of each choice")
    estimates: tuple[EstimateModel, ...] = Field(
        description="One for each set of choices, the declared one first"
    )


class MultiverseModel(Model):
    """A question under every set of defensible choices."""

    question: AnalysisQuery = Field(description="The declared question")
    sample: Sample = Field(description="Which sessions were looked at")
    planned: int = Field(description="How many sets of choices there are")
    computed: int = Field(description="How many of them were computed, in a fixed order")
    complete: bool = Field(description="Whether that is all of them")
    summary: str = Field(description="How many sets there are, of which choices, in words")
    caution: str = Field(description="What this is, and what it is not")
    comparisons: tuple[CurveModel, ...] = Field(description="In order of the tests of the analysis")
