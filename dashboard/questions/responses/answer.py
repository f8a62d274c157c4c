"""The question about responses, and the frozen models of its answer. Quick to load."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, field_validator

from dashboard.analysis.conclusions import (
    Conclusion,
    DoubtedModel,
    LostModel,
    MotionModel,
    Told,
    conclude,
    conclude_without_direction,
)
from dashboard.analysis.query import (
    DEFAULT_SCR_THRESHOLD,
    MOST_STATES,
    Label,
    Model,
    Sample,
    SampleQuery,
    same_label,
)
from dashboard.analysis.windows import ResponseWindow
from edge_agent.core.expression import Emotion
from edge_agent.core.measures import TESTABLE, ExpressionKind, Measure, is_of_face
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.events import EventKind

MOST_VITALS = 6
DRAWN: tuple[Measure, ...] = tuple(dict.fromkeys([*TESTABLE, *VitalKind]))
"""All measures that a curve can be drawn of, in the order of the pages."""
ALWAYS_DRAWN: tuple[Measure, ...] = tuple(
    kind
    for kind in DRAWN
    if is_of_face(kind) and not (isinstance(kind, ExpressionKind) and kind.label)
)
"""Measures of the face whose curves stand in a bundle whatever its question is: probabilities,
valence and movements. How long a label was shown follows from the probabilities.
"""


class SkinScale(StrEnum):
    """How the sizes of skin responses to events are given."""

    MICROSIEMENS = "microsiemens"
    LOG = "log"
    RANGE = "range"


class ResponsesQuery(SampleQuery):
    """The question: which measures, around which events."""

    event: tuple[Label, ...] = Field(
        (),
        max_length=MOST_STATES,
        description="Labels of the events, such as anger; empty: the commonest, up to six",
    )
    kind: EventKind = Field(
        EventKind.STIMULUS_START,
        description="stimulus_start, stimulus_end, baseline, note: markers of that kind. response: "
        "when an emotion was reported, which is then the label",
    )
    against: str = Field(
        Emotion.NEUTRAL,
        max_length=200,
        description="Label of the events that the others are compared with; empty: no comparison. "
        "Not given: the first condition where none is called neutral",
    )
    vital: tuple[Measure, ...] = Field(
        (VitalKind.HEART_RATE,),
        min_length=1,
        max_length=MOST_VITALS,
        description="What is drawn; all curves that are tested are one family",
    )
    before: float = Field(
        5.0,
        ge=1,
        le=600,
        description="Seconds before an event, whose mean is the baseline of its curve",
    )
    after: float = Field(30.0, ge=2, le=3600, description="Seconds after an event")
    scr_threshold: float = Field(
        DEFAULT_SCR_THRESHOLD,
        ge=0.01,
        le=1,
        allow_inf_nan=False,
        description="Least amplitude of a skin response to an event, in µS; smaller rises count as "
        "none. Of skin_conductance",
    )
    scr_scale: SkinScale = Field(
        SkinScale.MICROSIEMENS,
        description="How the sizes of skin responses to events are given. microsiemens: as "
        "measured. log: ln(1 + µS). range: divided by the largest response to an event of the same "
        "session. Declare it before you look",
    )
    seed: int = Field(
        1, ge=0, le=2**31, description="Of the random sign flips, with more than 14 people"
    )

    @field_validator("vital")
    @classmethod
    def _in_order(cls, vital: tuple[Measure, ...]) -> tuple[Measure, ...]:
        """Return each measure once, in the order of the tables."""
        return tuple(kind for kind in DRAWN if kind in vital)

    @field_validator("event")
    @classmethod
    def _each_once(cls, event: tuple[str, ...]) -> tuple[str, ...]:
        return tuple({same_label(one): one.strip() for one in event if one.strip()}.values())


class CurveRefusal(StrEnum):
    """The reason why two curves, or a window of them, are not tested."""

    NO_EVENTS = "no_events"
    TOO_FEW = "too_few"
    UNEQUAL_TIMES = "unequal_times"
    NO_READINGS = "no_readings"
    TOO_SHORT = "too_short"
    NO_VARIATION = "no_variation"


class PersonModel(Model):
    """One participant's curve: the mean of their events."""

    participant: str = Field(description="Code; over several devices site/code")
    events: int = Field(description="Events in the mean")
    values: tuple[float | None, ...] = Field(
        description="Less the baseline, bin by bin; null: a gap"
    )
    baseline: float = Field(description="Mean before the events, in the unit of the vital")
    peak: float | None = Field(description="The value after the event farthest from the baseline")
    latency_s: float | None = Field(description="Seconds from the event to the peak")
    area: float | None = Field(description="Sum after the event times the bins' length; null: gap")
    half_s: float | None = Field(description="Seconds from the peak until half of it is left")


class FigureModel(Model):
    """Mean and standard deviation of a figure over the people who have it."""

    mean: float | None
    sd: float | None
    n: int


class ResponseModel(Model):
    """The curve of one vital around the events of one label."""

    vital: Measure
    unit: str
    event: str = Field(description="Label of the events")
    step_s: float = Field(description="Length of a bin, seconds")
    at_s: tuple[float, ...] = Field(description="Middle of each bin, seconds from the event")
    mean: tuple[float | None, ...] = Field(description="Mean of the people, less the baseline")
    low: tuple[float | None, ...] = Field(description="Lower end of its 95 % interval")
    high: tuple[float | None, ...] = Field(description="Upper end")
    n: tuple[int, ...] = Field(description="People with a value in each bin")
    events: int = Field(description="Events in the curves")
    overlapping: int = Field(description="Events left out because another one was too near")
    unmeasured: int = Field(description="Events left out without a baseline or a value after it")
    baseline: FigureModel
    peak: FigureModel
    latency_s: FigureModel
    area: FigureModel
    half_s: FigureModel
    mean_peak: float | None = Field(description="Peak of the mean curve")
    mean_latency_s: float | None = Field(description="When the mean curve has it")
    people: tuple[PersonModel, ...]
    sentence: str = ""


class EffectModel(Model):
    """The mean difference of two sides within people, with 95 % intervals that nothing adjusts."""

    difference: float = Field(description="First minus second, in the unit of the vital")
    low: float
    high: float
    g: float = Field(description="Hedges' g, standardised by the average of both variances")
    g_low: float = Field(description="Lower end of its 95 % interval")
    g_high: float


class ResponseTestModel(Told):
    """The test whether curves around two kinds of event differ, within people.

    It says that they differ and not when: no time of a cluster is told.
    """

    vital: Measure
    first: str
    second: str
    n: int = Field(description="People in the test")
    least: int = Field(description="People that a test needs")
    with_gaps: tuple[str, ...] = Field(description="People left out because a curve has a gap")
    without_both: int = Field(description="People who have only one of the two curves")
    minutes_apart: float | None = Field(
        description="How much later the first came in the session on average"
    )
    p: float | None = Field(description="Adjusted for all curves of the family; null: not tested")
    effect: EffectModel | None = Field(
        None,
        description="How large the difference is over all points after the events, not only where "
        "it is largest; described, not tested. null: not tested, or everybody has the same",
    )
    refused: CurveRefusal | None = Field(description="Why it is not tested")
    loss: LostModel | None = Field(
        None,
        description="Share of the bins after the events that are empty or in doubt, by person; "
        "null: too few people",
    )
    doubted: DoubtedModel | None = Field(
        None,
        description="Share of the readings there that their device itself doubts, by person; "
        "null: none, or too few people",
    )
    motion: MotionModel | None = Field(
        None,
        description="How much the wearers moved there, of what that can change; null: too few "
        "have it recorded",
    )
    sentence: str = ""

    def _conclude(self) -> Conclusion:
        return conclude_without_direction(self.p)


class UnreadVitalModel(Model):
    """A vital of which no curve could be made."""

    vital: Measure
    step_s: float | None = Field(description="The bins that its readings carry; null: no readings")
    sentence: str = ""


class WindowTestModel(Told):
    """The paired comparison of means within a window that was declared before.

    A person's value is the mean of their curve in the window, which is a change from the baseline.
    """

    window: ResponseWindow
    line: str = Field(description="The window as people write it")
    unit: str
    step_s: float | None = Field(description="Length of a bin, seconds; null: no readings")
    n: int = Field(description="People in the test")
    least: int = Field(description="People that a test needs")
    with_gaps: tuple[str, ...] = Field(
        description="People left out because a curve has a gap in the window"
    )
    without_both: int = Field(description="People who have only one of the two curves")
    overlapping: int = Field(description="Events left out because another one was too near")
    unmeasured: int = Field(description="Events left out without a baseline or a value after it")
    minutes_apart: float | None = Field(
        description="How much later the event came in the session than the other one on average"
    )
    first: float | None = Field(description="Mean change of these people after the event")
    second: float | None = Field(
        description="After the event that it is compared with; null without one"
    )
    difference: float | None = Field(description="First minus second, or first")
    low: float | None = Field(description="Lower end of its 95 % interval, not adjusted")
    high: float | None = Field(description="Upper end")
    t: float | None
    df: float | None
    p: float | None = Field(description="Unadjusted; null: not tested")
    adjusted_p: float | None = Field(
        description="By Holm's method over the declared windows that are tested"
    )
    g: float | None = Field(description="Hedges' g; null against the baseline")
    g_low: float | None = Field(None, description="Lower end of its 95 % interval, not adjusted")
    g_high: float | None = Field(None, description="Upper end")
    shapiro_p: float | None = Field(description="Shapiro-Wilk of the differences")
    rank_p: float | None = Field(description="Signed-rank test of the same people, unadjusted")
    refused: CurveRefusal | None = Field(description="Why it is not tested")
    loss: LostModel | None = Field(
        None,
        description="Share of the bins of the window that are empty or in doubt, by person; "
        "without another event, second is that of the baseline; null: too few people",
    )
    doubted: DoubtedModel | None = Field(
        None,
        description="Share of the readings there that their device itself doubts, by person; "
        "null: none, or too few people",
    )
    motion: MotionModel | None = Field(
        None,
        description="How much the wearers moved there, of what that can change; null: too few "
        "have it recorded",
    )
    sentence: str = ""

    def _conclude(self) -> Conclusion:
        return conclude(self.difference, self.adjusted_p)


class SkinEventModel(Model):
    """Response of the skin after one event."""

    participant: str = Field(description="Code; over several devices site/code")
    session: int
    event: str = Field(description="Label of the event")
    at_s: float = Field(description="Of the event, seconds since the session began")
    latency_s: float | None = Field(
        description="Seconds from the event to the beginning of the response; null: no response"
    )
    rise_s: float | None = Field(description="Seconds from its beginning to its peak")
    amplitude_us: float = Field(description="Height of its peak above its beginning, µS; 0: none")
    scaled: float | None = Field(
        description="The same on the scale that is asked for; null: nobody responded in a session "
        "whose largest response it would be divided by"
    )


class SkinPersonModel(Model):
    """One participant's skin responses to the events of one label."""

    participant: str = Field(description="Code; over several devices site/code")
    events: int = Field(description="Events after which responses could be found")
    responses: int = Field(description="Events with a response")
    amplitude: float | None = Field(description="Mean of the events with a response")
    magnitude: float | None = Field(description="Mean of all events; one without a response is 0")
    latency_s: float | None = Field(description="Mean seconds from event to beginning")


class SkinLabelModel(Model):
    """Skin responses to the events of one label."""

    event: str = Field(description="Label of the events")
    events: int = Field(description="Events after which responses could be found")
    responses: int = Field(description="Events with a response")
    overlapping: int = Field(description="Events left out because another one was too near")
    unmeasured: int = Field(description="Events left out because the skin was not measured")
    amplitude: FigureModel
    magnitude: FigureModel
    latency_s: FigureModel
    people: tuple[SkinPersonModel, ...]
    sentence: str = ""


class SkinResponsesModel(Model):
    """Skin responses that begin some seconds after events, described and not tested."""

    scale: SkinScale
    unit: str = Field(description="Of amplitude and magnitude; empty: a share of the largest")
    threshold_us: float = Field(description="Least amplitude of a response, µS")
    from_s: float = Field(description="A response begins from here after the event")
    to_s: float = Field(description="To here; the first one counts")
    measured_s: float = Field(description="Seconds after an event that must be recorded unbroken")
    labels: tuple[SkinLabelModel, ...]
    people: int = Field(description="People with an event after which responses could be found")
    non_responders: tuple[str, ...] = Field(
        description="Who of them has no response to any event of this kind"
    )
    too_slow: int = Field(description="Sessions with too few samples a second")
    too_short: int = Field(description="Sessions without a time that is long enough")
    events: tuple[SkinEventModel, ...] = Field(description="Of the labels, in order of time")
    notes: tuple[str, ...] = ()


class DeclaredModel(Model):
    """The preregistration that declares the windows: the newest one."""

    id: int = Field(description="Its number")
    at_ms: int = Field(description="When it was frozen, UTC in milliseconds")
    sha256: str = Field(description="Its SHA-256")
    intact: bool = Field(
        description="Whether the SHA-256 is still that of time and document; else nothing is tested"
    )
    sessions: int = Field(
        description="Sessions with events of the windows that began after it was frozen"
    )
    sessions_before: int = Field(
        description="Sessions with such events that began before, and are in no test of a window"
    )
    differences: tuple[str, ...] = Field(
        (), description="How sessions and readings differ from what was preregistered"
    )
    sentence: str = ""


class TooNearModel(Model):
    """All events are left out because each has another one within the seconds around it."""

    events: int = Field(description="How many are left out")
    within_s: float = Field(description="Seconds before and after an event together")
    nearest_s: float = Field(description="Smallest distance of two events of a session")
    before: float | None = Field(description="Seconds before them to ask for; null: none")
    after: float | None = Field(description="Seconds after them to ask for; null: none")
    sentence: str = ""


class ResponsesModel(Model):
    """The curves of a study around events, and the tests between them."""

    question: ResponsesQuery
    sample: Sample
    sessions: int = Field(description="Sessions looked at")
    without_times: int = Field(description="Sessions left out because their times are made up")
    participants: tuple[str, ...] = Field(description="Who has a curve")
    simulated: bool = Field(description="Whether any value is simulated")
    reading_changed_ms: int | None = Field(
        None,
        description="When another model or prior began to read the faces that curves or windows "
        "are of, UTC in milliseconds; null: none did",
    )
    labels: dict[str, int] = Field(description="Labels of events of this kind, with their number")
    curves: tuple[ResponseModel, ...]
    tests: tuple[ResponseTestModel, ...]
    unread: tuple[UnreadVitalModel, ...] = ()
    too_near: TooNearModel | None = Field(
        None, description="Why there is no curve although there are events; null: not for this"
    )
    declared: DeclaredModel | None = Field(
        None, description="The preregistration that declares windows; null: none does"
    )
    windows: tuple[WindowTestModel, ...] = Field(
        (), description="Tests in the declared windows, whatever the question; empty: none declared"
    )
    skin: SkinResponsesModel | None = Field(
        None,
        description="Skin responses to the events, where skin_conductance is asked for and was "
        "recorded",
    )
    flips: int | None = Field(description="Sign flips computed; null: nothing tested")
    is_exact: bool = Field(description="Whether these are all there are")
    notes: tuple[str, ...] = ()
