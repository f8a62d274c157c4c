"""What an analysis answers, as programs see it: ``/api/v1/analysis`` and ``analyse --json``."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasPath, Field

from dashboard.analysis.planning.preregistration import PreregisteredModel
from dashboard.analysis.present.parts.exclusion_schemas import (
    LeftOutModel,
    SettlingModel,
    WithAllModel,
)
from dashboard.analysis.present.parts.group_schemas import VitalGroupsModel
from dashboard.analysis.present.parts.heart_schemas import HeartTestModel
from dashboard.analysis.present.parts.period_schemas import DriftModel, PeriodModel
from dashboard.analysis.present.parts.sensitivity_schemas import (
    IntervalModel,
    SensitivityModel,
    SettlingSensitivityModel,
)
from dashboard.analysis.present.parts.study_schemas import (
    BayesFactorModel,
    FamilyModel,
    FlowModel,
    ModelTestModel,
    VitalModelModel,
)
from dashboard.analysis.request import AnalysisQuery, Model, Sample
from edge_agent.core.vitals import VitalKind


class ShapiroModel(Model):
    """A Shapiro–Wilk test of normality."""

    of: str = Field(description="differences, or the state whose means were tested")
    w: float = Field(description="The statistic, 0…1")
    p: float = Field(description="Small: the values depart from normality")


class RankModel(Model):
    """The rank test beside the t-test."""

    name: Literal["wilcoxon_signed_rank", "mann_whitney"] = Field(description="Which test")
    statistic: float = Field(description="The smaller signed rank sum, or U of the first state")
    p: float = Field(description="Two-sided, unadjusted")
    exact: bool = Field(
        description="Whether p is from the exact distribution or the normal approximation"
    )
    rank_biserial: float = Field(
        description="Effect size of the rank test, −1…1 (Kerby 2014); above 0: the first is larger"
    )


class EquivalenceModel(Model):
    """Two one-sided tests: is every difference beyond the bound excluded?"""

    bound: float = Field(
        validation_alias=AliasPath("bounds", "high"),
        description="Differences from minus this to this count as none; in the unit of the vital",
    )
    p: float = Field(description="Below 0.05: the difference lies within the bound")
    interval: IntervalModel = Field(
        description="90 % interval; it lies within the bound exactly when p is below 0.05"
    )
    shown: bool = Field(description="Whether p is below 0.05")


class NeededModel(Model):
    """How many people a study needs to find a difference of the size of the bound, with the spread
    so far.
    """

    difference: float = Field(description="That difference, in the unit of the vital")
    sd: float = Field(
        description="Standard deviation so far: of the differences, or the average "
        "of the two groups"
    )
    n: int = Field(
        validation_alias=AliasPath("size", "n"),
        description="Pairs, or people in each group, for the power",
    )
    power: float = Field(
        validation_alias=AliasPath("size", "power"),
        description="How often such a study finds it, at 0.05 and without adjustment",
    )
    more_first: int = Field(
        description="How many more people that is, on the first side; with pairs the same people"
    )
    more_second: int = Field(description="How many more people that is, on the second side")


class NeededInFamilyModel(NeededModel):
    """The same at the level that the smallest p of the family must reach: what is said."""

    power: float = Field(
        validation_alias=AliasPath("size", "power"),
        description="How often such a study finds it, at that level",
    )
    level: float = Field(description="0.05 divided by the number of tests")
    tests: int = Field(description="How many tests of the family were computed")


class ComparisonModel(Model):
    """One test of the family: first state minus second.

    Numbers are null where no test could be computed.
    """

    vital: VitalKind = Field(description="What was measured")
    unit: str = Field(description="UCUM unit of difference and interval")
    first: str = Field(description="First state")
    second: str = Field(description="Second state")
    method: Literal["paired", "welch"] | None = Field(
        description="Which t-test the participants allow"
    )
    n_first: int = Field(
        description="Participants used on the first side; in a paired test the pairs"
    )
    n_second: int = Field(
        description="Participants used on the second side; in a paired test the same pairs"
    )
    n_both: int = Field(description="Participants with readings in both states, in one session")
    n_apart: int = Field(
        description="Participants with readings in both states, but never in one session"
    )
    n_first_only: int = Field(description="Participants with readings in the first state only")
    n_second_only: int = Field(description="Participants with readings in the second state only")
    left_out: int = Field(description="Participants whom the test does not use")
    difference: float | None = Field(description="Mean difference")
    interval: IntervalModel | None = Field(
        description="95 % interval of the difference, not adjusted for the family"
    )
    t: float | None = Field(description="Test statistic")
    df: float | None = Field(description="Degrees of freedom")
    p: float | None = Field(description="Two-sided, unadjusted")
    holm_p: float | None = Field(
        description="p adjusted by Holm's method for the tests that were computed"
    )
    bh_p: float | None = Field(
        description="p adjusted by the method of Benjamini and Hochberg for the same tests"
    )
    adjusted_p: float | None = Field(
        description="The one of the two that was asked for, and that the sentence speaks of"
    )
    at_equal_times: bool = Field(
        description="Order and state hang together: the sentence tells the estimate of `periods` "
        "first"
    )
    g: float | None = Field(description="Hedges' g, standardised by the average of both variances")
    g_interval: IntervalModel | None = Field(description="95 % interval of g")
    shapiro: tuple[ShapiroModel, ...] = Field(
        description="Of the differences, or of each group that varies"
    )
    rank: RankModel | None = Field(description="The rank test of the same participants")
    equivalence: EquivalenceModel | None = Field(
        description="Whether a difference beyond the bound is excluded"
    )
    needed: NeededModel | None = Field(
        description="People that a difference of the bound's size needs; null where no study could "
        "have so many"
    )
    rank_adjusted_p: float | None = Field(
        None, description="p of the rank test, adjusted over the family by the method asked for"
    )
    equivalence_adjusted_p: float | None = Field(
        None,
        description="p of the equivalence test, adjusted over those of the family: what the "
        "sentence speaks of",
    )
    equivalent: bool | None = Field(
        None, description="Whether a difference of the bound or more is said to be excluded"
    )
    attenuation: float | None = Field(
        None,
        description="With state=observed: what misreading leaves of a difference at the worst, by "
        "the card of the classifier",
    )
    attenuation_interval: IntervalModel | None = Field(
        None, description="Its 95 % interval; bounds of the equivalence test shrink by the lower"
    )
    needed_in_family: NeededInFamilyModel | None = Field(
        None, description="People needed by the rule that decides in the family"
    )
    obstacle: Literal["too_few", "no_variation"] | None = Field(
        description="Why there are no numbers"
    )
    with_all: WithAllModel | None = Field(
        description="The same with the readings that are left out for their flags; null: none are"
    )
    sentence: str = Field(description="The result in words")
    apa: str = Field("", description="A sentence for a report, in the style of the APA")
    bayes_factor: BayesFactorModel | None = Field(None, description="Evidence for or against")
    by_model: ModelTestModel | None = Field(None, description="The same by the mixed model")


class AllStatesModel(Model):
    """All three states of one vital at once: repeated-measures analysis of variance,
    Greenhouse–Geisser corrected.
    """

    vital: VitalKind = Field(description="What was measured")
    n: int = Field(description="Participants who have all three states")
    left_out: int = Field(description="Participants who lack one")
    f: float | None = Field(description="Test statistic")
    epsilon: float | None = Field(
        description="Greenhouse and Geisser's estimate; both df are multiplied by it"
    )
    df: tuple[float, float] | None = Field(
        description="Degrees of freedom of states and error, corrected"
    )
    p: float | None = Field(description="Corrected")
    partial_eta_squared: float | None = Field(
        description="Share of the states in what is not between participants"
    )
    generalized_eta_squared: float | None = Field(description="Share of the states in everything")
    obstacle: Literal["too_few", "no_variation"] | None = Field(
        description="Why there are no numbers"
    )
    sentence: str = Field(description="The result in words")


class AgreementModel(Model):
    """How far two sources agree about the stimuli called anger, happiness or neutral."""

    first: Literal["condition", "observed", "reported"] = Field(
        description="Gives the rows of the table"
    )
    second: Literal["condition", "observed", "reported"] = Field(
        description="Gives the columns of the table"
    )
    labels: tuple[str, ...] = Field(description="Of rows and columns")
    table: tuple[tuple[int, ...], ...] = Field(description="How many stimuli got which two labels")
    n: int = Field(description="Stimuli with an answer from both")
    participants: int = Field(description="Participants whose they are")
    left_out: int = Field(description="Stimuli where one of the two gave no answer")
    observed: float | None = Field(description="Share of stimuli in which both agree, 0…1")
    kappa: float | None = Field(description="Cohen's kappa: agreement beyond chance")
    interval: IntervalModel | None = Field(description="95 % interval of kappa, by participant")
    no_interval: Literal["too_few", "perfect", "constant", "no_spread"] | None = Field(
        description="Why kappa has no interval; null where it has one, and where there is no kappa"
    )
    sentence: str = Field(description="The result in words")


class VariabilityModel(Model):
    """Heart-rate variability of one participant in one state."""

    participant: str = Field(description="Pseudonymous code")
    state: str = Field(description="The state")
    rmssd_ms: float | None = Field(description="Root mean square of successive differences, ms")
    ln_rmssd: float | None = Field(
        description="Its natural logarithm: what to test; null where RMSSD is 0"
    )
    sdnn_ms: float | None = Field(
        description="Standard deviation of the intervals, ms; grows with the length"
    )
    beats: int | None = Field(
        description="Measured intervals: those that no corrected beat touches"
    )
    seconds: float | None = Field(
        description="Their sum; below 300 the recording is called ultra-short"
    )
    rejected: float | None = Field(
        description="Share of beats that were corrected as artefacts, 0…1"
    )
    ectopic: int | None = Field(description="Of those: beats that came early or late")
    missed: int | None = Field(description="Of those: beats that were not found")
    extra: int | None = Field(description="Of those: found beats that were none")
    misplaced: int | None = Field(description="Of those: other intervals far too long or short")
    contact_lost: int = Field(description="Intervals without contact, left out before")
    simulated: bool = Field(description="Whether any interval is simulated")
    reason: str = Field(description="Why there are no numbers; empty where there are")


class StateModel(Model):
    """One vital in one state, over participants."""

    vital: VitalKind = Field(description="What was measured")
    state: str = Field(description="The state")
    n: int = Field(description="Participants")
    readings: int = Field(description="Readings behind their means")
    mean: float | None = Field(description="Mean of the participants' means; null without any")
    sd: float | None = Field(
        description="Standard deviation between participants; null for fewer than two"
    )
    interval: IntervalModel | None = Field(
        description="95 % interval of the mean; null for fewer than three"
    )


class MeanModel(Model):
    """One participant's mean in one state, as it is shown."""

    participant: str = Field(description="Pseudonymous code")
    vital: VitalKind = Field(validation_alias="kind", description="What was measured")
    state: str = Field(description="The state")
    mean: float = Field(description="Mean of the means of the participant's sessions")
    readings: int = Field(description="How many readings")
    simulated: bool = Field(description="Whether any of them is simulated")
    sessions: int = Field(description="Sessions whose means it averages, each with equal weight")


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
    estimated_readings: int = Field(description="How many of them are estimated and not measured")
    estimated_left_out: int = Field(
        description="Estimated readings in the three states that nobody asked to count"
    )
    flagged: int = Field(
        description="Readings in the three states with a flag of doubt (out_of_range, "
        "contact_lost, clock_differs, poor_signal), counted or not"
    )
    flagged_left_out: int = Field(description="How many of them are in no mean and no test")
    left_out: tuple[LeftOutModel, ...] = Field(
        description="Readings in no mean and no test, by flag (estimated, too) and state"
    )
    settling: tuple[SettlingModel, ...] = Field(
        description="By condition or self-report: what the beginnings of the stimuli held, which "
        "are left out"
    )
    other_states: dict[str, int] = Field(
        description="Readings in states that no test uses, by state"
    )
    matching: MatchModel | None = Field(
        description="With state=observed: how the readings were matched"
    )
    unreported: int = Field(
        description="With state=reported: stimuli of which nothing was reported"
    )
    orders: dict[str, int] = Field(
        description="Participants by the order in which they met the states, such as a-b-c"
    )
    tests_computed: int = Field(description="How many tests have numbers; see families")
    comparisons: tuple[ComparisonModel, ...] = Field(
        description="The family: three pairs of states for each vital"
    )
    all_states: tuple[AllStatesModel, ...] = Field(
        description="For each vital the test over all three states at once"
    )
    states: tuple[StateModel, ...] = Field(description="Every vital in every state")
    means: tuple[MeanModel, ...] = Field(description="The values that were tested")
    agreements: tuple[AgreementModel, ...] = Field(
        description="Condition, face and self-report, each with each"
    )
    variability: tuple[VariabilityModel, ...] = Field(
        description="By participant and state, from intervals of beats"
    )
    heart_tests: tuple[HeartTestModel, ...] = Field(
        description="Of heart_measure between states, a family of its own"
    )
    sensitivity: tuple[SensitivityModel, ...] = Field(
        description="With sensitivity=true and observed emotions: other windows and lags"
    )
    settling_sensitivity: tuple[SettlingSensitivityModel, ...] = Field(
        description="With sensitivity=true and conditions or self-report: other settling times"
    )
    families: tuple[FamilyModel, ...] = Field((), description="With family: each of them")
    groups: tuple[VitalGroupsModel, ...] = Field((), description="With group: people by groups")
    preregistration: PreregisteredModel | None = Field(
        None, description="How the question stands to the newest preregistration; null without one"
    )
    mixed_windows: float | None = Field(
        None, description="With state=observed: share of windows that hold a second emotion, 0…1"
    )
    drifts: tuple[DriftModel, ...] = Field(
        (), description="For each vital its change while a session lasts"
    )
    periods: tuple[PeriodModel, ...] = Field(
        (), description="For each paired test the difference at equal times in the session"
    )
    main: Literal["t_tests", "mixed_model"] = Field(
        "t_tests", description="Which analysis is the main one; who was measured decides"
    )
    main_reason: str = Field("", description="Why, in words")
    models: tuple[VitalModelModel, ...] = Field((), description="The mixed model of each vital")
    flow: FlowModel | None = Field(None, description="People and readings from consent to tests")
    warnings: tuple[str, ...] = Field(
        description="What a reader must know before believing any number"
    )
    cautions: tuple[str, ...] = Field(
        description="What a reader must weigh when concluding from the numbers"
    )
    assumptions: tuple[str, ...] = Field(
        description="What the tests take for granted, in sentences"
    )
    method: tuple[str, ...] = Field(description="How the numbers were computed, in sentences")
