"""All that an analysis answers, as pydantic models: ``/api/v1/analysis``, ``analyse --json``, and
the rows of text of the page. They load without SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar, get_args

from pydantic import AliasPath, Field, SkipValidation, computed_field

from dashboard.analysis.conclusions import (
    Caution,
    Concluded,
    Conclusion,
    Derived,
    DoubtedModel,
    LostModel,
    MotionModel,
    StatedErrorsModel,
    conclude,
    shows,
)
from dashboard.analysis.preregistration import PreregisteredModel
from dashboard.analysis.query import (
    AnalysisQuery,
    AnyMeasure,
    HeartMeasure,
    Model,
    Sample,
    SkinMeasure,
)
from dashboard.statistics import MINIMUM
from edge_agent.core.measures import Measure
from edge_agent.core.readings import VitalFlag

Text = Annotated[str, SkipValidation]
"""A text for people. A check would make a plain string of a :class:`Message`, which nobody could
translate any more.
"""
_SHARE = (
    "Share of the time of these sessions, in steps of ten seconds, in which the first has a usable "
    "reading, 0…1; null for what is measured now and then"
)


_OfVital = TypeVar("_OfVital", bound="_OneVital")


class LeftOutModel(Model):
    """Readings of one state that a flag keeps out of means and tests.

    A reading with two such flags is counted under both.
    """

    flag: VitalFlag = Field(description="The flag; count_flagged names those that count")
    state: str = Field(description="The state")
    readings: int = Field(description="How many readings")


class SettlingModel(Model):
    """The readings left out at the beginnings of the stimuli."""

    vital: Measure = Field(description="What was measured")
    seconds: float = Field(description="How much of each stimulus is left out")
    readings: int = Field(description="Readings in the three states that are left out so")
    emptied: int = Field(description="Participants' states in which no reading is left")


class WithAllModel(Model):
    """The result that one test would have if every reading counted, whatever its flags.

    For comparison; it decides nothing.
    """

    n_first: int = Field(description="Participants on the first side; with pairs the pairs")
    n_second: int = Field(description="Participants on the second side; with pairs the same")
    difference: float | None = Field(description="First minus second")
    p: float | None = Field(description="Unadjusted")
    adjusted_p: float | None = Field(description="By the correction that was asked for")
    conclusion: Conclusion = Field(description="At an adjusted p below 0.05")
    changes: bool = Field(description="Whether the result as it stands concludes something else")


class IntervalModel(Model):
    """A 95 % confidence interval."""

    low: float = Field(description="Lower end")
    high: float = Field(description="Upper end")

    @property
    def excludes_none(self) -> bool:
        """True where 0 lies outside."""
        return self.low > 0 or self.high < 0


class By(StrEnum):
    """The analysis whose result is reported of two states."""

    PAIRED = "paired_t"
    WELCH = "welch_t"
    EQUAL_TIMES = "equal_times"
    MIXED_MODEL = "mixed_model"


class Notice(StrEnum):
    """A warning or caution about a whole analysis."""

    SIMULATED = "simulated"
    ESTIMATED = "estimated"
    PROGRAMS = "programs"
    NO_SESSIONS = "no_sessions"
    EXAMPLE_SHOWN = "example_shown"
    MADE_UP_TIMES = "made_up_times"
    ONE_PERSON = "one_person"
    FEW_MATCHED = "few_matched"
    SHORT_STATES = "short_states"
    OWN_NEUTRAL = "own_neutral"
    READING_CHANGED = "reading_changed"
    LACKING_DIFFER = "lacking_differ"
    SETTLING_EMPTIES = "settling_empties"
    CHANGES = "changes"
    OTHER_STATES = "other_states"
    EXPRESSIONS = "expressions"
    MOVEMENTS = "movements"
    RATINGS = "ratings"
    ESTIMATES_LEFT_OUT = "estimates_left_out"
    FLAGGED = "flagged"
    SEVERAL_SOURCES = "several_sources"
    MANY_READINGS = "many_readings"
    PEOPLE_LEFT_OUT = "people_left_out"
    UNEVEN_PEOPLE = "uneven_people"
    UNEVEN_READINGS = "uneven_readings"
    LACKING_ALIKE = "lacking_alike"
    SAME_ORDER = "same_order"
    MATCHED = "matched"
    MISREAD = "misread"
    UNREPORTED = "unreported"
    OPEN_SESSION = "open_session"
    LOOKS = "looks"


class ResultModel(Concluded):
    """The result of two states of one vital, first minus second: what is reported, and by which
    analysis. Who was measured and when decides which one, never the values.
    """

    by: By | None = Field(
        description="paired_t, welch_t: the t-test. equal_times: its estimate at equal times in "
        "the session, where order and state hang together. mixed_model: where that is the main "
        "analysis. null: no test"
    )
    difference: float | None = Field(description="In the unit of the vital; null without a test")
    at_equal_times: bool = Field(
        description="Whether time in the session is accounted for: always with equal_times, with "
        "mixed_model where minutes are in the model, by observed emotion with every analysis of "
        "means that are at equal times within each session"
    )
    interval: IntervalModel | None = Field(description="Its 95 % interval, not adjusted")
    error: float | None = Field(description="Its standard error")
    t: float | None = Field(description="Test statistic")
    df: float | None = Field(description="Degrees of freedom")
    p: float | None = Field(description="Two-sided, unadjusted")
    adjusted_p: float | None = Field(
        description="Adjusted over the tests of the same analysis in its family, as asked for"
    )
    n_first: int = Field(
        description="Participants on the first side; with pairs the pairs, with the mixed model "
        "all of its participants"
    )
    n_second: int = Field(description="Participants on the second side; see n_first")
    sessions: int | None = Field(description="Sessions in the mixed model; null otherwise")
    g: float | None = Field(
        description="The difference standardised as Hedges' g: by the average of both variances "
        "and its small-sample correction"
    )
    g_interval: IntervalModel | None = Field(
        description="Its 95 % interval: of a t-test by the noncentral t distribution, else the "
        "interval of the difference, standardised alike"
    )
    caution_codes: tuple[Caution, ...] = Field(
        description="What the sentence says with it. association: the states were observed. order: "
        "order and state hang together, and nothing could be adjusted. time: the same of observed "
        "states. disagrees: the estimate at equal times concludes otherwise. misread: of observed "
        "states no difference is reported, and misread faces may leave less than half of one. "
        "unequal_loss: readings of the states are in no mean, more in one than in the other, or "
        "many (loss). carry_over: what another state leaves behind may explain it "
        "(carry_over of the period). unequal_errors: the sensor states larger errors of beats in "
        "one state (errors). doubted: their device itself doubts readings, more in one state than "
        "in the other, or many (doubted). motion: that of the wearers differs between the states, "
        "or explains the difference (motion)"
    )

    @property
    def shown_before_adjustment(self) -> bool:
        """True where p shows a difference, and the adjusted p none."""
        return shows(self.p) and not self.shows_difference

    def _conclude(self) -> Conclusion:
        return conclude(self.difference, self.adjusted_p)


class DecisionModel(Model):
    """The result of one comparison under another choice than the declared one, or under that, by
    the analysis that would be reported.
    """

    n_first: int = Field(description="Participants on the first side, as in result")
    n_second: int = Field(description="Participants on the second side")
    difference: float | None = Field(description="First minus second")
    interval: IntervalModel | None = Field(description="95 % interval of the difference")
    p: float | None = Field(description="Unadjusted")
    holm_p: float | None = Field(
        description="Adjusted by Holm's method over the tests of the same analysis and family "
        "under this setting"
    )
    adjusted_p: float | None = Field(description="By the correction that was asked for")
    conclusion: Conclusion = Field(description="At an adjusted p below 0.05")
    changes: bool = Field(description="Whether that differs from the declared setting")


class VariantModel(DecisionModel):
    """One comparison under another window and lag."""

    window: float = Field(description="Seconds of expression before a reading")
    lag: float = Field(description="Seconds by which the compared vital follows the face")
    lag_heart_rate: float = Field(description="Seconds")
    lag_pressure: float = Field(description="Seconds")


class SettlingVariantModel(DecisionModel):
    """One comparison under another settling time."""

    settling: float = Field(
        description="Seconds of each stimulus that are left out for the compared vital"
    )


class _SensitivityModel(Model):
    """The sensitivity of one comparison to a choice."""

    vital: Measure = Field(description="What was measured")
    first: str = Field(description="First state")
    second: str = Field(description="Second state")
    conclusion: Conclusion = Field(description="Of the result, under the declared setting")
    changed: int = Field(description="Under how many settings the conclusion is another")
    sentence: str = Field(description="The result in words")


class SensitivityModel(_SensitivityModel):
    """The sensitivity of one comparison to window and lag."""

    variants: tuple[VariantModel, ...] = Field(
        description="All settings, the declared one among them"
    )


class SettlingSensitivityModel(_SensitivityModel):
    """The sensitivity of one comparison to the settling time."""

    variants: tuple[SettlingVariantModel, ...] = Field(
        description="All settings, the declared one among them"
    )


class NeighbourModel(Model):
    """One comparison under a choice that could have been declared, without its p."""

    settling: float | None = Field(
        description="By condition and self-report: seconds of each stimulus that are left out"
    )
    window: float | None = Field(
        description="By observed emotion: seconds of expression before a reading"
    )
    lag: float | None = Field(
        description="By observed emotion: seconds by which the vital follows the face"
    )
    source: str = Field(description="The source that is preferred; empty: as the question has it")
    declared: bool = Field(description="Whether this is what the question asks for")
    n_first: int = Field(description="Participants on the first side, as in result")
    n_second: int = Field(description="Participants on the second side")
    difference: float | None = Field(
        description="That of the result that would be reported; null without a test"
    )


class NeighboursModel(Model):
    """One comparison under each choice that could have been declared, without any p."""

    vital: Measure = Field(description="What was measured")
    first: str = Field(description="First state")
    second: str = Field(description="Second state")
    computed: int = Field(description="Choices that have a difference")
    low: float | None = Field(description="Smallest difference; null without any")
    high: float | None = Field(description="Largest difference")
    same_sign: int | None = Field(
        description="Choices whose difference has the sign of the declared one; null: that has none"
    )
    sentence: str = Field(description="The range in words")
    choices: tuple[NeighbourModel, ...] = Field(
        description="Settling times, or windows and lags, each with every source that changes "
        "what counts (at most four of a vital)"
    )


class PlainLabelsModel(DecisionModel):
    """One comparison by observed emotions as they were read, without a shift by the participants'
    own neutral.
    """

    vital: Measure = Field(description="What was measured")
    first: str = Field(description="First state")
    second: str = Field(description="Second state")
    sentence: str = Field(description="With and without the shift, in words")


class GroupTestModel(Model):
    """One F test of an analysis of variance with groups between people and states within them.

    It describes; the contrasts decide.
    """

    f: float = Field(description="Test statistic")
    df: tuple[float, float] = Field(
        description="Degrees of freedom of effect and error; of the interaction times epsilon"
    )
    p: float = Field(description="Unadjusted")
    adjusted_p: float = Field(
        description="Adjusted over both F tests of all vitals; no sentence says it"
    )
    partial_eta_squared: float = Field(description="Share of the effect in effect and error, 0…1")
    sentence: str = Field(description="The result in words")
    apa: str = Field(description="A sentence for a report, in the style of the APA")


class GroupContrastModel(Concluded):
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
    adjusted_p: float = Field(
        description="Adjusted over the contrasts of all vitals: below 0.05 the groups differ"
    )
    loss: LostModel | None = Field(
        None, description="Share of the readings that are in no mean; null: not known"
    )
    doubted: DoubtedModel | None = Field(
        None, description="Share of the readings that their device itself doubts; null: none"
    )
    motion: MotionModel | None = Field(
        None, description="How much the wearers moved, of what that can change; null: not known"
    )
    sentence: str = Field(description="The result in words")
    apa: str = Field("", description="A sentence for a report, in the style of the APA")

    def _conclude(self) -> Conclusion:
        return conclude(self.difference, self.adjusted_p)


class VitalGroupsModel(Model):
    """One vital by groups of people."""

    vital: Measure = Field(description="What was measured")
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
        description="Groups two by two, which decides: over all states, then by pair of states"
    )
    uneven: bool = Field(
        description="Whether groups of unequal size spread so differently that F may be wrong; "
        "nothing that is said depends on it"
    )
    reason: Text = Field(description="Why there is no F test; empty where there is one")
    left_out: str = Field(description="Who is in no test, and why, in words; empty for nobody")

    @property
    def compared(self) -> tuple[str, ...]:
        """The groups that are in the tests."""
        return tuple(name for name in self.sizes if name not in self.too_small)


class DriftModel(Model):
    """The drift of a vital while a session lasts, the states aside; with the reason where it is not
    known.
    """

    vital: Measure = Field(description="What was measured")
    slope: float | None = Field(description="Unit of the vital per minute; null where not known")
    interval: IntervalModel | None = Field(description="95 % interval of the slope")
    p: float | None = Field(description="Of no change, two-sided")
    people: int = Field(description="Participants with at least two states")
    reason: Text = Field(description="Why it is not known; empty where it is")
    sentence: str = Field(description="The result in words")


class CarryOverModel(Model):
    """A difference of two states without what another one before them leaves behind."""

    state: str = Field(description="The other state, or another condition")
    before_first: int = Field(description="How many people it came before the first state of")
    before_second: int = Field(description="And before the second")
    difference: float = Field(
        description="Without what it leaves behind: of least squares of the differences on how "
        "much more often it came before the first state than before the second, at equal places "
        "in the order where the result is"
    )
    interval: IntervalModel = Field(description="Its 95 % interval")
    p: float = Field(description="Two-sided, unadjusted")
    moves: bool = Field(
        description="Whether it is a caution of the result: it takes away a quarter of the "
        "difference or more, and p of what is left is 0.05 or more"
    )


class PeriodModel(Model):
    """One paired comparison at equal times in the session: the effect that time may have on it."""

    vital: AnyMeasure = Field(description="What was measured")
    first: str = Field(description="First state")
    second: str = Field(description="Second state")
    people: int = Field(description="Pairs of the test")
    same_way: int = Field(
        description="How many of them met the two states the way round that most did"
    )
    uneven: bool = Field(
        description="Whether order and state hang together: by some place in the order, more than "
        "a fifth more of the people have met the one state than the other; without places, the "
        "mean minutes between the two are more than a fifth of their root mean square. The "
        "difference at equal times is told instead of the t-test then"
    )
    gap_minutes: float = Field(
        description="By how much the first state was met later, mean of the participants"
    )
    one_way: bool = Field(
        description="Everybody met them the same way round: nothing can be adjusted"
    )
    places: int = Field(
        0,
        description="How many places in the order are adjusted for, as a factor; 0 where a line in "
        "time is, because states come back or are observed",
    )
    inseparable: bool = Field(
        False,
        description="The orders cannot separate the two states from their places: nothing can be "
        "adjusted",
    )
    within_sessions: bool = Field(
        False,
        description="By observed emotion: the means of both states are at equal times within each "
        "session already, so the t-test is of equal times",
    )
    by_drift: float | None = Field(
        description="What the change over the session makes of the gap, in the unit of the vital"
    )
    difference: float | None = Field(description="At equal times; null where not computed")
    interval: IntervalModel | None = Field(description="Its 95 % interval")
    interval_90: IntervalModel | None = Field(
        description="Its 90 % interval: within bounds, where two one-sided tests at 0.05 exclude a "
        "difference beyond them"
    )
    error: float | None = Field(description="Its standard error")
    by_time: float | None = Field(
        None, description="What time makes of the difference as measured, by this estimate"
    )
    slope: float | None = Field(
        description="By how much a difference grows with each minute between the states; null with "
        "places"
    )
    t: float | None = Field(description="Test statistic")
    df: float | None = Field(
        description="Participants less 2; with places, less what they need: 3 where there are three"
    )
    p: float | None = Field(description="Two-sided, unadjusted")
    adjusted_p: float | None = Field(description="Adjusted over the family of these tests")
    disagrees: bool = Field(description="Whether the t-test comes to another conclusion")
    carry_over: CarryOverModel | None = Field(
        None,
        description="What the state right before them makes of the difference: of several the one "
        "that takes most from it; null where nothing else ever came right before one of them, or "
        "cannot be separated from them",
    )
    sentence: str = Field(description="The result in words")

    @property
    def at_equal_times(self) -> bool:
        """True where this is told instead of the t-test: order and state hang together."""
        return self.uneven and self.difference is not None


class MeasureTestModel(Model):
    """One measure that is computed from a time of one state, in two states, first minus second."""

    measure: HeartMeasure | SkinMeasure = Field(description="What was compared")
    first: str = Field(description="A state")
    second: str = Field(description="Another")
    n_both: int = Field(description="Participants with both states in a session")
    method: Literal["paired", "welch"] | None = Field(
        None, description="Which t-test the participants allow"
    )
    n_first: int = Field(
        0, description="Participants used on the first side; in a paired test the pairs"
    )
    n_second: int = Field(
        0, description="Participants used on the second side; in a paired test the same pairs"
    )
    difference: float | None = Field(
        description="Mean difference; of a logarithm, so its exponential is a ratio"
    )
    low: float | None = Field(description="Lower end of its 95 % interval")
    high: float | None = Field(description="Upper end")
    t: float | None = Field(description="Of the t-test")
    df: float | None = Field(description="Degrees of freedom")
    p: float | None = Field(description="Unadjusted p")
    adjusted_p: float | None = Field(description="Adjusted over the family of these measures")
    g: float | None = Field(
        None, description="Hedges' g, standardised by the average of both variances"
    )
    g_interval: IntervalModel | None = Field(None, description="95 % interval of g")
    left_out: dict[str, int] = Field(
        description="States of a session that give no number, by reason"
    )
    result: ResultModel = Field(description="What is told of the two states")
    others: tuple[ResultModel, ...] = Field(
        (), description="What the analyses make of them that are not told first"
    )
    period: PeriodModel | None = Field(
        None,
        description="What time in the session has to do with it; null without a paired test, and "
        "where times were made up",
    )
    attenuation_interval: IntervalModel | None = Field(
        None,
        description="With state=observed: share of a difference that misread faces leave, "
        "95 % interval",
    )
    loss: LostModel | None = Field(
        None,
        description="Share of the time without intervals between beats, or of the samples of skin "
        "conductance that are lost or in doubt; null: too few people",
    )
    motion: MotionModel | None = Field(
        None, description="How much the wearers moved in the states; null: too few have it recorded"
    )
    sentence: str = Field(description="The result in words")


class HeartTestModel(MeasureTestModel):
    """One measure of the intervals between beats in two states, first minus second."""

    measure: HeartMeasure = Field(description="What was compared")
    errors: StatedErrorsModel | None = Field(
        None,
        description="What the intervals between beats state of their errors; null where fewer than "
        "three people have them in both states",
    )


class SkinTestModel(MeasureTestModel):
    """One measure of the responses of skin conductance in two states, first minus second."""

    measure: SkinMeasure = Field(description="What was compared")


class Strength(StrEnum):
    """Names of Bayes factors (Jeffreys 1961); one below 3 is no evidence for either side."""

    EXTREME = "extreme"
    VERY_STRONG = "very_strong"
    STRONG = "strong"
    MODERATE = "moderate"
    NONE = "none"

    @classmethod
    def of(cls, times: float) -> Strength:
        """Return what a factor of so many times is called."""
        steps = ((100, cls.EXTREME), (30, cls.VERY_STRONG), (10, cls.STRONG), (3, cls.MODERATE))
        return next((name for least, name in steps if times >= least), cls.NONE)


class BayesFactorModel(Model):
    """The Bayes factor for or against a difference: JZS, from the t-test."""

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
    caution_codes: tuple[Caution, ...] = Field(
        (),
        description="What the sentence says with it: as with the result, and what must be said of "
        "the t-test that the factor is made of",
    )
    sentence: str = Field(description="In words")

    @property
    def speaks_against(self) -> bool:
        """True where the data are likelier without a difference."""
        return self.log_for_difference < 0

    @property
    def times(self) -> float:
        """Number of times that the data are likelier on the side that the factor speaks for."""
        if self.speaks_against:
            return self.for_none
        return math.inf if self.for_difference is None else self.for_difference

    @property
    def strength(self) -> Strength:
        """Name of such a factor."""
        return Strength.of(self.times)


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
    claim: str = Field(description="The result in one sentence")
    sentence: str = Field(description="The result in words, with the reason where they differ")
    apa: str = Field(description="A sentence for a report, in the style of the APA")

    @property
    def shows_difference(self) -> bool:
        """True where its adjusted p shows a difference."""
        return shows(self.adjusted_p)


class SiteModel(Model):
    """The difference of a site from the first one, by the mixed model."""

    site: str
    difference: float = Field(description="This site minus the first one")
    interval: IntervalModel = Field(description="95 %")
    error: float = Field(description="Standard error")
    t: float
    df: float
    p: float = Field(description="Two-sided, unadjusted")


class VitalModelModel(Model):
    """The mixed model of one vital: value ~ state + place + site + (1 | participant / session),
    with minutes for the place where states come back or are observed, and site where people were
    measured at several.
    """

    vital: Measure = Field(description="What was measured")
    participants: int = Field(description="Participants with a mean in one of the states")
    sessions: int = Field(description="Their sessions")
    means: int = Field(description="Means of a state in a session: the values of the model")
    repeated: int = Field(description="Participants with several sessions")
    incomplete: int = Field(
        description="Sessions that lack a state that somebody met; what nobody met, nobody lacks"
    )
    uneven: bool = Field(
        description="Whether the means of one state are of many more readings than those of another"
    )
    minute: float | None = Field(
        description="Change with each minute of the session; null where it is not in the model, "
        "because the place in the order is, all met the states at nearly the same times or times "
        "of sessions are made up"
    )
    minute_p: float | None = Field(description="Its p, two-sided")
    places: int = Field(
        0, description="How many places in the order are in the model, as a factor, for minutes"
    )
    inseparable: bool = Field(
        False,
        description="Whether the orders cannot separate states from places, so that time is not in "
        "the model",
    )
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
    reason: Text = Field(description="Why there is no model; empty where there is one")
    sentence: str = Field(description="In words: what went into it")

    @property
    def is_timed(self) -> bool:
        """True where time in the session is in the model."""
        return self.minute is not None or self.places > 0


class LossModel(Model):
    """The losses for one reason on the way to a step."""

    reason: str = Field(description="Why, as a word for programs")
    detail: str = Field(description="Which flag or vital; empty for all")
    state: str = Field(description="In which state; empty for all")
    people: int = Field(description="Participants lost altogether; negative: they came in here")
    readings: int | None = Field(description="Readings; null where none are counted yet")
    sentence: str = Field(description="In words")


Step = Literal["consented", "in_sessions", "measured", "usable", "in_state", "tested"]


class StageModel(Model):
    """One step from consent to the tests."""

    step: Step = Field(description="Which step")
    title: str = Field(description="What people call it")
    people: int = Field(description="Participants who are there")
    sessions: int = Field(description="Sessions that are there")
    readings: int | None = Field(description="Readings; null where none are counted yet")
    lost: tuple[LossModel, ...] = Field(description="What was lost since the step before")


class MissingModel(Model):
    """The participants who have a vital in some state, but not in this one."""

    vital: Measure = Field(description="What was measured")
    state: str = Field(description="The state that is missing")
    participants: tuple[str, ...] = Field(description="Pseudonymous codes")
    sentence: str = Field(description="In words")


class TestFlowModel(Model):
    """The numbers of participants who are in one t-test, and who are not."""

    vital: Measure = Field(description="What was measured")
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
    """The numbers of people who are in the tests of the groups, and who are not."""

    vital: Measure = Field(description="What was measured")
    used: dict[str, int] = Field(description="People in the tests, by group")
    no_attribute: int = Field(description="People whose attribute is not known")
    incomplete: int = Field(description="People who lack a state in each of their sessions")
    too_small: int = Field(description="People in groups of fewer than three")


class ExcludedModel(Model):
    """A session, or a stretch of one, that somebody left out of the analysis."""

    session: int = Field(description="Its number")
    from_s: float | None = Field(
        description="Start of the stretch, seconds since the start of the session; null: all of it"
    )
    to_s: float | None = Field(description="Its end")
    reason: str = Field(description="Why, as it was given")
    sentence: str = Field(description="In words")


class FlowModel(Model):
    """People and readings from consent to the tests."""

    summary: str = Field(description="First and last step in a sentence")
    stages: tuple[StageModel, ...] = Field(description="The steps in order")
    excluded: tuple[ExcludedModel, ...] = Field(
        description="Sessions and stretches of them that somebody left out of the analysis"
    )
    excluded_sentences: tuple[str, ...] = Field(
        (), description="The same in words, whole sessions with one reason together"
    )
    missing: tuple[MissingModel, ...] = Field(description="States that somebody lacks")
    tests: tuple[TestFlowModel, ...] = Field(description="For each comparison of the family")
    groups: tuple[GroupFlowModel, ...] = Field(
        (), description="With group: who is in the tests of the groups, by vital"
    )


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


class EquivalenceModel(Derived):
    """Two one-sided tests: is every difference beyond the bound excluded?"""

    bound: float = Field(
        validation_alias=AliasPath("bounds", "high"),
        description="Differences from minus this to this count as none; in the unit of the vital",
    )
    p: float = Field(description="Below 0.05: the difference lies within the bound")
    interval: IntervalModel = Field(
        description="90 % interval; it lies within the bound exactly when p is below 0.05"
    )

    @computed_field(description="Whether p is below 0.05")  # type: ignore[prop-decorator]
    @property
    def shown(self) -> bool:
        """Tell whether a difference beyond the bound is excluded, by this test alone."""
        return shows(self.p)


class NeededModel(Model):
    """The number of people that a study needs to find a difference of the size of the bound, with
    the spread so far.
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

    power: float = Field(description="How often such a study finds it, at that level")
    level: float = Field(description="0.05 divided by the number of tests")
    tests: int = Field(description="How many tests of the family were computed")


class RecallModel(Model):
    """The recall of a state by the card of the classifier."""

    share: float = Field(description="Of the pictures that show it, those read as it, 0…1")
    n: int = Field(description="How many pictures show it")


class MisreadingModel(Model):
    """How rightly the classifier reads two observed states."""

    model: str = Field(description="Its name and version; empty without a card")
    first: RecallModel | None = Field(description="Of the first state; null where no card says it")
    second: RecallModel | None = Field(description="Of the second state")


class ComparisonModel(Model):
    """One test of the family: first state minus second.

    Numbers are null where no test could be computed.
    """

    vital: Measure = Field(description="What was measured")
    unit: str = Field(description="UCUM unit of difference and interval")
    first: str = Field(description="First state")
    second: str = Field(description="Second state")
    result: ResultModel = Field(description="What is told of the two states")
    others: tuple[ResultModel, ...] = Field(
        (), description="What the analyses make of them that are not told first"
    )
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
    mean_first: float | None = Field(
        None, description="Mean of the participants used on the first side; null without a method"
    )
    sd_first: float | None = Field(None, description="Their standard deviation")
    mean_second: float | None = Field(None, description="Mean on the second side")
    sd_second: float | None = Field(None, description="Standard deviation there")
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
    adjusted_p: float | None = Field(description="The one of the two that was asked for")
    at_equal_times: bool = Field(
        description="Order and state hang together: where the t-tests are the main analysis, the "
        "estimate of `periods` is the result"
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
    doubt: Text = Field(
        "",
        description="Why no difference is called excluded, whatever p says: time, or misread or "
        "mixed faces may hide one; empty for no reason",
    )
    misreading: MisreadingModel | None = Field(
        None, description="With state=observed: how rightly the two states are read"
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
    claim: str = Field(description="The result in one sentence, with the p that decides")
    remarks: str = Field(description="What equivalence and rank test add to the t-test")
    sentence: str = Field(description="The result in words")
    beside: tuple[str, ...] = Field(
        (),
        description="What the analyses say that were not decided by, where they say it otherwise",
    )
    apa: str = Field(
        "", description="The result as a sentence for a report, in the style of the APA"
    )
    bayes_factor: BayesFactorModel | None = Field(None, description="Evidence for or against")
    by_model: ModelTestModel | None = Field(None, description="The same by the mixed model")
    loss: LostModel | None = Field(
        None, description="Share of the readings that are in no mean; null: too few people"
    )
    doubted: DoubtedModel | None = Field(
        None,
        description="Share of the readings in the means that their device itself doubts; null: "
        "none, or too few people",
    )
    motion: MotionModel | None = Field(
        None,
        description="How much the wearers moved in the states, of what a movement can change; "
        "null: too few have it recorded",
    )

    @property
    def t_test_shows(self) -> bool:
        """True where the adjusted p of the t-test shows a difference."""
        return shows(self.adjusted_p)

    @property
    def t_test_shows_alone(self) -> bool:
        """True where the p of the t-test does, before any adjustment."""
        return shows(self.p)

    @property
    def equivalence_shows(self) -> bool:
        """True where the equivalence test excludes a difference, whatever speaks against that."""
        return shows(self.equivalence_adjusted_p)

    @property
    def departure_p(self) -> float | None:
        """The smallest p of the tests of normality, if the values depart from it."""
        smallest = min((one.p for one in self.shapiro), default=None)
        return smallest if shows(smallest) else None

    @property
    def rank_agrees(self) -> bool:
        """True where rank test and t-test conclude the same."""
        return shows(self.rank_adjusted_p) == self.t_test_shows

    @property
    def model_result(self) -> ResultModel | None:
        """The result by the mixed model; ``None`` where there is none."""
        every = (self.result, *self.others)
        return next((one for one in every if one.by is By.MIXED_MODEL), None)

    @property
    def comparison_result(self) -> ResultModel | None:
        """The result without the mixed model: at equal times, or of the t-test."""
        every = (self.result, *self.others)
        return next((one for one in every if one.by is not By.MIXED_MODEL), None)


class AllStatesModel(Model):
    """All three states of one vital at once: repeated-measures analysis of variance,
    Greenhouse–Geisser corrected.
    """

    vital: Measure = Field(description="What was measured")
    n: int = Field(description="Participants who have all three states")
    left_out: int = Field(description="Participants who lack one")
    f: float | None = Field(description="Test statistic")
    epsilon: float | None = Field(
        description="Greenhouse and Geisser's estimate; both df are multiplied by it"
    )
    df: tuple[float, float] | None = Field(
        description="Degrees of freedom of states and error, corrected"
    )
    p: float | None = Field(description="Corrected, for this vital alone")
    adjusted_p: float | None = Field(
        None, description="The same, adjusted over the vitals by the correction that was asked for"
    )
    uneven: bool = Field(
        False,
        description="Whether order and state hang together, or times are not known: this test "
        "ignores time in the session, so its sentence describes and concludes nothing",
    )
    partial_eta_squared: float | None = Field(
        description="Share of the states in what is not between participants"
    )
    generalized_eta_squared: float | None = Field(description="Share of the states in everything")
    obstacle: Literal["too_few", "no_variation"] | None = Field(
        description="Why there are no numbers"
    )
    sentence: str = Field(description="The result in words")

    @property
    def differs(self) -> bool:
        """True where the vital is said to differ between the states."""
        return shows(self.adjusted_p) and not self.uneven


Source = Literal["condition", "observed", "reported"]
"""Source of the emotion of a stimulus: its label, the face, or the participant."""


class SessionAgreement(Model):
    """Two sources of one vital in one session; first minus second.

    Minutes of one person follow one another, so there is no interval: the numbers describe.
    """

    session: int = Field(description="Number of the session")
    minutes: int = Field(description="Minutes in which both have a usable reading")
    bias: float = Field(description="Mean difference of a minute’s means")
    sd: float | None = Field(description="Of these differences; null below three minutes")
    low: float | None = Field(description="Lower limit of agreement, bias − 1.96 sd")
    high: float | None = Field(description="Upper limit")
    icc: float | None = Field(description="ICC(A,1) of the minutes")
    off_by: float = Field(description="Mean of the differences without their sign")
    first_share: float | None = Field(description=_SHARE)
    second_share: float | None = Field(description="The same of the other")


class SensorComparison(Model):
    """Two sources of one vital over the minutes in which both measured; first minus second.

    A source that gives estimates alone, such as the camera's pulse, stands first.
    """

    vital: Measure = Field(description="What was measured")
    unit: str = Field(description="Unit of bias, sd and limits")
    first: str = Field(description="A source")
    second: str = Field(description="Another")
    people: int = Field(description="Participants whom both measured")
    minutes: int = Field(description="Minutes of sessions in which both have a usable reading")
    doubted: int = Field(
        0, description="Minutes of these with a reading that its device itself doubts"
    )
    simulated: int = Field(0, description="Minutes of these with a simulated reading")
    made_up: int = Field(0, description="Minutes of these whose time was made up")
    bias: float | None = Field(description="Mean difference of a minute’s means")
    sd: float | None = Field(description="Of a single difference, within and between people")
    low: float | None = Field(description="Lower limit of agreement, bias − 1.96 sd")
    high: float | None = Field(description="Upper limit")
    bias_interval: IntervalModel | None = Field(
        default=None, description="95 % interval of the bias, by participant"
    )
    low_interval: IntervalModel | None = Field(
        default=None, description="95 % interval of the lower limit, by participant"
    )
    high_interval: IntervalModel | None = Field(
        default=None, description="95 % interval of the upper limit, by participant"
    )
    icc: float | None = Field(description="ICC(A,1) of the participants’ means")
    icc_low: float | None = Field(description="Lower end of its 95 % interval")
    icc_high: float | None = Field(description="Upper end")
    reasons: tuple[Text, ...] = Field(description="Why numbers are missing")
    excluded: tuple[str, ...] = Field(
        description="Why somebody left out sessions or stretches of them, one reason each"
    )
    sentence: str = Field(description="The result in words")
    estimated: tuple[str, ...] = Field(
        description="Which of the two give estimates alone, such as the camera’s pulse"
    )
    in_short: str = Field(
        description="How far an estimate was off what another measured, in words; empty for two "
        "sensors"
    )
    sessions: int = Field(description="Sessions with such minutes")
    off_by: float = Field(description="Mean of the differences without their sign")
    first_share: float | None = Field(description=_SHARE)
    second_share: float | None = Field(description="The same of the other")
    by_session: tuple[SessionAgreement, ...] = Field(description="Each of these sessions alone")


class AgreementModel(Model):
    """The agreement of two sources about the stimuli called anger, happiness or neutral; one
    judgement is one stimulus of one participant.

    Without a stimulus that has both, or where both always said the same one thing, there is no
    table and no kappa.
    """

    first: Source = Field(description="Gives the rows of the table")
    second: Source = Field(description="Gives the columns of the table")
    labels: tuple[str, ...] = Field(description="Of rows and columns")
    table: tuple[tuple[int, ...], ...] = Field(description="How many stimuli got which two labels")
    n: int = Field(description="Stimuli with an answer from both")
    participants: int = Field(description="Participants whose they are")
    left_out: int = Field(description="Stimuli where one of the two gave no answer")
    observed: float | None = Field(description="Share of stimuli in which both agree, 0…1")
    expected: float | None = Field(
        description="The share to be expected if both spoke independently, each as often as it "
        "named each emotion, 0…1"
    )
    kappa: float | None = Field(description="Cohen's kappa: agreement beyond chance")
    interval: IntervalModel | None = Field(description="95 % interval of kappa, by participant")
    no_interval: Literal["too_few", "perfect", "constant", "no_spread"] | None = Field(
        description="Why kappa has no interval; null where it has one, and where there is no kappa"
    )
    sentence: str = Field(description="The result in words")

    @property
    def always_gave(self) -> tuple[Source, str]:
        """Which source always gave one label, and the label: kappa is 0 then, whatever the other
        one said.
        """
        rows = [label for label, row in zip(self.labels, self.table, strict=True) if any(row)]
        # The first source, unless it used several labels: then it is the second that used one.
        if len(rows) == 1:
            return self.first, rows[0]
        columns = zip(self.labels, zip(*self.table, strict=True), strict=True)
        return self.second, next(label for label, column in columns if any(column))


class VariabilityModel(Model):
    """Heart-rate variability of one participant in one state: of each session, then averaged."""

    participant: str = Field(description="Pseudonymous code")
    state: str = Field(description="The state")
    sessions: int = Field(
        0, description="Sessions that give numbers: what is averaged has one value of each"
    )
    rmssd_ms: float | None = Field(
        description="Root mean square of successive differences, ms; mean of the sessions"
    )
    ln_rmssd: float | None = Field(
        description="Natural logarithm of it less what stated errors add: what to test; mean of "
        "the sessions, which is not the logarithm of their mean; null where RMSSD is 0"
    )
    sdnn_ms: float | None = Field(
        description="Standard deviation of the intervals within a session, ms; mean of the "
        "sessions; grows with the length of each"
    )
    rmssd_low_ms: float | None = Field(
        None,
        description="Lower 95 % limit of the RMSSD that intervals without their sensor's errors "
        "would have, ms; mean of the sessions; null where an interval states no error",
    )
    rmssd_high_ms: float | None = Field(None, description="Upper limit")
    sdnn_low_ms: float | None = Field(None, description="The same of SDNN: lower limit, ms")
    sdnn_high_ms: float | None = Field(None, description="Upper limit")
    beats: int | None = Field(
        description="Measured intervals of all these sessions: those that no corrected beat touches"
    )
    seconds: float | None = Field(description="Their sum, over these sessions")
    ultra_short: int = Field(
        0, description="Of these sessions: those with less than 300 s of measured intervals"
    )
    rejected: float | None = Field(
        description="Share of the beats of these sessions that were corrected as artefacts, 0…1"
    )
    ectopic: int | None = Field(description="Of those: beats that came early or late")
    missed: int | None = Field(description="Of those: beats that were not found")
    extra: int | None = Field(description="Of those: found beats that were none")
    misplaced: int | None = Field(description="Of those: other intervals far too long or short")
    refused: int = Field(
        0, description="Other sessions: too short, or too many corrected beats, for a number"
    )
    many_artefacts: int = Field(
        0, description="Of those: sessions in which more than a fifth of the beats were corrected"
    )
    reasons: tuple[Text, ...] = Field(
        (), description="Why other sessions give no number, each reason once"
    )
    contact_lost: int = Field(
        description="Intervals without contact of all sessions, left out before"
    )
    simulated: bool = Field(description="Whether any interval is simulated")
    reason: str = Field(description="Why there are no numbers at all; empty where there are")


class SkinModel(Model):
    """Responses of one participant's skin conductance in one state: of each session, averaged."""

    participant: str = Field(description="Pseudonymous code")
    state: str = Field(description="The state")
    sessions: int = Field(
        0, description="Sessions that give numbers: what is averaged has one value of each"
    )
    scr_count: float | None = Field(description="Responses a minute; mean of the sessions")
    scr_amplitude: float | None = Field(
        description="Mean amplitude of the responses, µS; mean of the sessions that have any"
    )
    responses: int | None = Field(description="Responses of all these sessions")
    seconds: float | None = Field(description="Seconds in which they could be found")
    clipped_s: float = Field(
        0.0,
        description="Seconds in which the sensor was at its ceiling, which count as not recorded",
    )
    refused: int = Field(
        0, description="Other sessions: too short, or too few samples a second, for a number"
    )
    reasons: tuple[Text, ...] = Field(
        (), description="Why other sessions give no number, each reason once"
    )
    simulated: bool = Field(description="Whether any sample is simulated")
    reason: str = Field(description="Why there are no numbers at all; empty where there are")


class StateModel(Model):
    """One vital in one state, over participants."""

    vital: Measure = Field(description="What was measured")
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
    median: float | None = Field(None, description="Median of the participants' means")
    minimum: float | None = Field(None, description="Smallest of the participants' means")
    maximum: float | None = Field(None, description="Largest of the participants' means")


class MeanModel(Model):
    """One participant's mean in one state, as it is shown."""

    participant: str = Field(description="Pseudonymous code")
    vital: Measure = Field(validation_alias="kind", description="What was measured")
    state: str = Field(description="The state")
    mean: float = Field(
        description="Mean of the means of the participant's sessions; by observed emotion those "
        "are at equal times within each session whose states took turns"
    )
    readings: int = Field(description="How many readings")
    simulated: bool = Field(description="Whether any of them is simulated")
    sessions: int = Field(description="Sessions whose means it averages, each with equal weight")


class MatchModel(Model):
    """The numbers of readings that were matched to an observed emotion, and that were not."""

    matched: int = Field(description="One emotion held the declared share of the window")
    unmatched: int = Field(description="No face was recorded in the window")
    ambiguous: int = Field(description="No emotion held the declared share")


class StimuliCheckModel(Model):
    """Check whether stimuli that are called after an emotion raised it on the face."""

    comparisons: tuple[ComparisonModel, ...] = Field(
        description="Of each such stimulus the probability of its emotion, against neutral: a "
        "family of their own"
    )
    main: Literal["t_tests", "mixed_model"] = Field(
        description="Which analysis is the main one; who was measured decides"
    )
    shown: int = Field(description="In how many of them the probability is higher")
    computed: int = Field(description="How many of them have numbers")
    sentence: str = Field(description="The same in words")
    note: str = Field(description="What it does not say")


class _OneVital(Protocol):
    @property
    def vital(self) -> Measure: ...


class AskedModel(Model):
    """The question, and which sessions it was asked of."""

    question: AnalysisQuery = Field(description="As it was asked, with defaults filled in")
    sample: Sample = Field(description="Which sessions were looked at; auto is resolved")
    sessions: tuple[int, ...] = Field(description="Their ids")


class CountedModel(Model):
    """The numbers of people, readings and windows that the tests stand on."""

    participants: int = Field(description="Participants with a reading in one of the three states")
    readings: int = Field(description="Readings in the three states that went into the means")
    simulated_readings: int = Field(description="How many of them are simulated")
    estimated_readings: int = Field(description="How many of them are estimated and not measured")
    estimated_left_out: int = Field(
        description="Estimated readings in the three states that nobody asked to count"
    )
    flagged: int = Field(
        description="Readings in the three states with a flag of doubt (out_of_range, "
        "contact_lost, clock_differs, poor_signal, artefact), counted or not"
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
    agreements: tuple[AgreementModel, ...] = Field(
        description="Condition, face and self-report, each with each"
    )
    own_neutral_sessions: tuple[int, ...] = Field(
        (),
        description="Sessions whose baseline calibrated the participant's own neutral: it is in no "
        "test, and shifts the observed emotions after it",
    )
    mixed_windows: float | None = Field(
        None, description="With state=observed: share of windows that hold a second emotion, 0…1"
    )


class DecidedModel(Model):
    """The family of tests, and what was decided of each."""

    tests_computed: int = Field(description="How many tests have numbers; see families")
    comparisons: tuple[ComparisonModel, ...] = Field(
        description="The family: three pairs of states for each vital"
    )
    all_states: tuple[AllStatesModel, ...] = Field(
        description="For each vital the test over all three states at once"
    )
    states: tuple[StateModel, ...] = Field(description="Every vital in every state")
    means: tuple[MeanModel, ...] = Field(description="The values that were tested")
    drifts: tuple[DriftModel, ...] = Field(
        (), description="For each vital its change while a session lasts"
    )
    periods: tuple[PeriodModel, ...] = Field(
        (), description="For each paired test the difference at equal times in the session"
    )
    main: Literal["t_tests", "mixed_model"] = Field(
        "t_tests", description="Which analysis is the main one; who was measured decides"
    )
    models: tuple[VitalModelModel, ...] = Field((), description="The mixed model of each vital")


class HeartsModel(Model):
    """The variability of the heart rate."""

    variability: tuple[VariabilityModel, ...] = Field(
        description="By participant and state, from intervals of beats"
    )
    heart_tests: tuple[HeartTestModel, ...] = Field(
        description="Of heart_measure between states, a family of its own"
    )


class SkinsModel(Model):
    """The responses of skin conductance."""

    skin: tuple[SkinModel, ...] = Field(
        description="By participant and state, from the responses of skin conductance"
    )
    skin_tests: tuple[SkinTestModel, ...] = Field(
        description="Of skin_measure between states, a family of its own"
    )


class AroundModel(Model):
    """The family under the choices around the declared one."""

    sensitivity: tuple[SensitivityModel, ...] = Field(
        description="With sensitivity=true and observed emotions: other windows and lags"
    )
    settling_sensitivity: tuple[SettlingSensitivityModel, ...] = Field(
        description="With sensitivity=true and conditions or self-report: other settling times"
    )
    neighbours: tuple[NeighboursModel, ...] = Field(
        (),
        description="With sensitivity=true: the difference under every choice of window and lag, "
        "or settling time, and source, as a description without p",
    )
    without_own_neutral: tuple[PlainLabelsModel, ...] = Field(
        (),
        description="With state=observed and such sessions: each result without the shift; changes "
        "compares it with the result with the shift",
    )


class FollowedModel(Model):
    """People and readings on their way to the tests, and what was not measured."""

    flow: FlowModel | None = Field(None, description="People and readings from consent to tests")
    groups: tuple[VitalGroupsModel, ...] = Field((), description="With group: people by groups")
    not_measured: tuple[Measure, ...] = Field(
        (),
        description="Vitals of which the sessions have no reading at all, but none of a "
        "preregistration or of a declared family: page and command show one sentence in the place "
        "of their comparisons, which no correction counts",
    )


class SaidModel(Model):
    """The sentences, and what is made for them alone."""

    not_measured_sentence: str = Field("", description="That sentence; empty where there are none")
    families: tuple[FamilyModel, ...] = Field((), description="With family: each of them")
    preregistration: PreregisteredModel | None = Field(
        None, description="How the question stands to the newest preregistration; null without one"
    )
    main_reason: str = Field("", description="Why, in words")
    stimuli_check: StimuliCheckModel | None = Field(
        None,
        description="With state=condition: whether stimuli called after an emotion raised its "
        "probability on the face above that in neutral; null without such stimuli, or faces in "
        "them",
    )
    warnings: tuple[str, ...] = Field(
        description="What a reader must know before believing any number"
    )
    warning_codes: tuple[Notice, ...] = Field(description="Their codes, in the same order")
    cautions: tuple[str, ...] = Field(
        description="What a reader must weigh when concluding from the numbers"
    )
    caution_codes: tuple[Notice, ...] = Field(
        description="Their codes, in the same order; a code may have several texts"
    )
    assumptions: tuple[str, ...] = Field(
        description="What the tests take for granted, in sentences"
    )
    method: tuple[str, ...] = Field(description="How the numbers were computed, in sentences")


# The fields of a model stand in the order of its bases from the last to the first.
class ComputedModel(
    FollowedModel, AroundModel, SkinsModel, HeartsModel, DecidedModel, CountedModel, AskedModel
):
    """Every number of an answer; the texts of its tests are empty."""

    @classmethod
    def of(cls, *parts: Model) -> Self:
        """Return the answer that parts make together.

        Raises:
            TypeError: a field stands in several parts, in none, or is not one of the answer's.
        """
        values: dict[str, Any] = {}
        for part in parts:
            for name in type(part).model_fields:
                if name in values:
                    raise TypeError(f"{name}: stands in two parts of {cls.__name__}")
                values[name] = getattr(part, name)
        if wrong := sorted(values.keys() ^ cls.model_fields.keys()):
            raise TypeError(f"{', '.join(wrong)}: not in both {cls.__name__} and its parts")
        return cls(**values)


class AnalysisModel(SaidModel, ComputedModel):
    """The answer."""

    @property
    def has_too_few(self) -> bool:
        """True where there are fewer people than any test needs."""
        return self.participants < MINIMUM

    def for_people(self) -> AnalysisModel:
        """Return the answer for people, without a line for each test of ``not_measured``."""
        if not self.not_measured:
            return self

        def without_absent(values: Iterable[_OfVital]) -> tuple[_OfVital, ...]:
            return tuple(one for one in values if one.vital not in self.not_measured)

        flow = self.flow and self.flow.model_copy(update={"tests": without_absent(self.flow.tests)})
        named = {name: without_absent(getattr(self, name)) for name in _by_vital()}
        return self.model_copy(update={**named, "flow": flow})


def _by_vital() -> Iterator[str]:
    """Yield the fields of an answer whose entries are each of one vital."""
    for name, field in ComputedModel.model_fields.items():
        for entry in get_args(field.annotation):
            if isinstance(entry, type) and "vital" in getattr(entry, "model_fields", ()):
                yield name


@dataclass(frozen=True, slots=True)
class TestRow:
    """One comparison as text; numbers that could not be computed are empty.

    Attributes:
        comparison: the two states, first minus second.
        test: ``paired``, ``Welch`` or ``none``.
        n: people, or both groups as ``5 + 6``.
        left_out: people whom the test does not use; empty for none.
        difference: mean difference.
        interval: its 95 % interval.
        t: test statistic.
        df: degrees of freedom.
        p: unadjusted p.
        adjusted_p: p adjusted by the method that was asked for.
        g: Hedges' g.
        g_interval: its 95 % interval.
        shapiro: p of the Shapiro–Wilk test; of both groups with Welch's test.
        rank: p of the rank test.
        adjusted_rank: the same, adjusted for the family.
        rank_biserial: the effect size of the rank test.
        equivalence: p of the equivalence test.
        adjusted_equivalence: the same, adjusted for the family.
        needed: people that a difference of the bound's size takes at the level of the family; in
            each group with Welch.
        is_shown: whether the adjusted p is below 0.05.
        main_difference: difference of the result, of whichever analysis it is.
        main_interval: its 95 % interval.
        main_n: people in it; both groups as ``5 + 6``.
        main_p: the adjusted p that decides.
        main_g: the same difference standardised as Hedges' g.
        main_g_interval: its 95 % interval.
        main_claim: the result in one sentence.
        main_sentence: the same in full.
        main_is_shown: whether the result is that there is a difference.
        main_sentence_is_tested: whether there is a result.
        model_difference: difference by the mixed model.
        model_interval: its 95 % interval.
        model_df: its degrees of freedom.
        model_adjusted_p: its p, adjusted over the tests of the models.
        model_is_shown: whether that is below 0.05.
        differs: whether model and t-test conclude otherwise.
        bayes_factor: BF10 of the t-test.
    """

    comparison: str
    test: str
    n: str
    left_out: str
    difference: str
    interval: str
    t: str
    df: str
    p: str
    adjusted_p: str
    g: str
    g_interval: str
    shapiro: str
    rank: str
    adjusted_rank: str
    rank_biserial: str
    equivalence: str
    adjusted_equivalence: str
    needed: str
    is_shown: bool
    main_difference: str
    main_interval: str
    main_n: str
    main_p: str
    main_g: str
    main_g_interval: str
    main_claim: str
    main_sentence: str
    main_is_shown: bool
    main_sentence_is_tested: bool
    model_difference: str
    model_interval: str
    model_df: str
    model_adjusted_p: str
    model_is_shown: bool
    differs: bool
    bayes_factor: str


@dataclass(frozen=True, slots=True)
class TestGroup:
    """The comparisons of one vital; ``title`` names it and its unit."""

    title: str
    rows: tuple[TestRow, ...]
