"""The question about responses, and the frozen models of its answer. Quick to load."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator

from dashboard.analysis.question import DOUBTS, MOST_STATES, Model, Sample, same_label
from edge_agent.core.expression import Emotion
from edge_agent.core.measures import TESTABLE, ExpressionKind, Measure, is_of_face
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.events import EventKind

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
Label = Annotated[str, Field(min_length=1, max_length=200)]


class ResponsesQuery(Model):
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
        description="Label of the events that the others are compared with; empty: no comparison",
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
    sample: Sample = Field(
        Sample.AUTO,
        description="measured: all sessions that are not simulated. example: all simulated ones. "
        "selected: those in session. auto: measured, or the example while no measured session has "
        "a curve",
    )
    session: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), max_length=10_000, description="Session ids, with sample=selected"
    )
    estimated: bool = Field(
        False, description="The same as count_flagged=estimated, such as the camera's pulse"
    )
    count_flagged: tuple[VitalFlag, ...] = Field(
        (), description=f"Which readings in doubt count all the same, by flag: {', '.join(DOUBTS)}"
    )
    prefer_source: tuple[Label, ...] = Field(
        (),
        max_length=20,
        description="Which source counts where several measured a vital in a session; empty: "
        "vitals.prefer_sources of the configuration",
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

    @property
    def counted(self) -> frozenset[VitalFlag]:
        """The flags of doubt whose readings count all the same."""
        return frozenset(self.count_flagged) | ({VitalFlag.ESTIMATED} if self.estimated else set())


class Refusal(StrEnum):
    """The reason why two curves are not tested."""

    NO_EVENTS = "no_events"
    TOO_FEW = "too_few"
    UNEQUAL_TIMES = "unequal_times"


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


class ResponseTestModel(Model):
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
    refused: Refusal | None = Field(description="Why it is not tested")
    shown: bool = Field(description="Whether a difference is shown, p below .05")
    sentence: str = ""


class UnreadVitalModel(Model):
    """A vital of which no curve could be made."""

    vital: Measure
    step_s: float | None = Field(description="The bins that its readings carry; null: no readings")
    sentence: str = ""


class ResponsesModel(Model):
    """The curves of a study around events, and the tests between them."""

    question: ResponsesQuery
    sample: Sample
    sessions: int = Field(description="Sessions looked at")
    without_times: int = Field(description="Sessions left out because their times are made up")
    participants: tuple[str, ...] = Field(description="Who has a curve")
    simulated: bool = Field(description="Whether any value is simulated")
    labels: dict[str, int] = Field(description="Labels of events of this kind, with their number")
    curves: tuple[ResponseModel, ...]
    tests: tuple[ResponseTestModel, ...]
    unread: tuple[UnreadVitalModel, ...] = ()
    flips: int | None = Field(description="Sign flips computed; null: nothing tested")
    is_exact: bool = Field(description="Whether these are all there are")
    notes: tuple[str, ...] = ()
