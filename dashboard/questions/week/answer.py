"""The question how one participant's week went, and its answer. Quick to load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum

from pydantic import Field

from dashboard.analysis.query import Model
from edge_agent.core.expression import Emotion
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.faces_in_view import FacesInView

DAYS = 7
DISTRESS = (Emotion.SADNESS, Emotion.ANGER, Emotion.FEAR)
"""The expressions that the pages call distress; a face does not prove what somebody feels."""
UNCERTAIN = "uncertain"
USUAL_WEEKS = 8
"""So many weeks are compared with; with fewer there is no comparison."""
PARTS = (1, 4, 7, 10, 13, 16, 19, 22)
"""Hours at which the parts of a day begin that are compared with each other."""
LOOK_BACK = 12
"""Within so many weeks before: a holiday does not end the comparison."""


class WeekQuery(Model):
    """The question: whose week, and which."""

    participant: str = Field(description="Pseudonymous code")
    to: date | None = Field(None, description="The last day; left out: today")
    zone: str = Field(
        "",
        max_length=64,
        description="Time zone of the days, such as Europe/Berlin; empty: that of this machine",
    )


class PlainMeanModel(Model):
    """The mean of the usable readings of a kind, in its unit."""

    mean: float = Field(description="Mean")
    n: int = Field(description="Readings that it is of")


class PartOfDay(PlainMeanModel):
    """The readings of a kind in one part of the day, of all days of a week."""

    open_ms: int = Field(description="How long sessions were open in it, on days with readings")
    doubted: int = Field(0, description="Readings of these that their device itself doubts")
    unreliable: PlainMeanModel = Field(
        PlainMeanModel(mean=0.0, n=0),
        description="Those of them whose flag makes the value unreliable",
    )


Sources = Mapping[VitalKind, Mapping[str, int]]
"""Of each kind how many readings of some minutes of a week each source gave."""
Parts = Mapping[VitalKind, Sequence[PartOfDay]]
"""The readings of a week in each part of the day, in the order of ``PARTS``."""


class DayModel(Model):
    """The data of one participant over one day, or several."""

    first: date = Field(description="The first day")
    last: date = Field(description="The last day")
    start: int = Field(description="Midnight at which the first day begins, UTC milliseconds")
    end: int = Field(description="Midnight at which the last day ends")
    recorded_days: int = Field(description="Days on which a session was open")
    session_ms: int = Field(description="How long sessions were open, milliseconds")
    face_ms: int = Field(description="How long a face was read in them")
    emotions: dict[str, int] = Field(
        description="How long the face showed each emotion, or uncertain, in milliseconds"
    )
    vitals: dict[VitalKind, PlainMeanModel] = Field(description="By kind, only kinds with readings")
    simulated: bool = Field(description="Whether any of it is simulated")

    @property
    def distress_ms(self) -> int:
        """Time in which the face showed sadness, anger or fear."""
        return sum(self.emotions[emotion.value] for emotion in DISTRESS)


class WeekModel(DayModel):
    """Seven days."""

    sentence: str = Field(description="The week in words, compared with the week before")
    days: list[DayModel] = Field(description="Each day")


class EmotionModel(Model):
    """The readings taken while the face showed one emotion, or one of several."""

    emotions: list[Emotion] = Field(description="The emotion, or those of distress together")
    ms: int = Field(description="How long the face showed it")
    vitals: dict[VitalKind, PlainMeanModel] = Field(description="By kind, only kinds with readings")


class DaysModel(Model):
    """One participant by day and week, described and not tested."""

    participant: str = Field(description="Pseudonymous code")
    zone: str = Field(description="Time zone of the days; empty: that of this machine")
    simulated: bool = Field(description="Whether any of it is simulated")
    before: DayModel = Field(description="The week before the first one")
    weeks: list[WeekModel] = Field(description="The weeks, the earliest first")
    by_emotion: list[EmotionModel] = Field(
        description="Over all weeks by the emotion observed before each reading, as an analysis by "
        "observed emotion matches it: by category, and distress at the end"
    )
    distress: str = Field(description="Readings in distress, in words")
    matched: int = Field(description="Readings with an observed emotion")
    ambiguous: int = Field(description="Readings before which no emotion prevailed")
    unmatched: int = Field(description="Readings before which no face was read")
    rows_kept_since: int | None = Field(
        description="Rows of expressions from before this are deleted, UTC milliseconds: earlier "
        "times of emotions are too short; null: nothing is missing"
    )
    reading_changed: int | None = Field(
        description="Since when faces in the sessions of these weeks are read by another model, or "
        "with another prior, UTC milliseconds; where it changed between two sessions, the start of "
        "the later one: expressions before and after cannot be compared; null: it did not change"
    )
    own_neutral_sessions: int = Field(
        0,
        description="Sessions in these weeks whose labels are shifted by the participant's own "
        "neutral: their times of emotions cannot be compared with other days; readings by emotion "
        "are matched without the shift",
    )
    latest: int | None = Field(description="Start of the latest session; null: there is none")
    faces: FacesInView = Field(
        description="How often the followed face was out of view in the sessions of these weeks, "
        "and who else was in view"
    )
    faces_sentence: str = Field(
        description="Whether it was always the same person, as far as that is known; empty "
        "without a face"
    )


class WeekFigure(StrEnum):
    """The three numbers of a week, in the order in which they are shown."""

    DISTRESS = "distress"
    HEART_RATE = "heart_rate"
    PRESSURE = "pressure"


class WeekChange(StrEnum):
    """How a number of the week compares with this person's usual ones."""

    HIGHER = "higher"
    USUAL = "usual"
    LOWER = "lower"


class Uncompared(StrEnum):
    """Reasons why a number is not compared."""

    NOT_MEASURED = "not_measured"
    FEW_WEEKS = "few_weeks"
    READING_CHANGED = "reading_changed"
    OWN_NEUTRAL = "own_neutral"
    ROWS_DELETED = "rows_deleted"
    RECORDED_TIME = "recorded_time"
    TIMES_OF_DAY = "times_of_day"


class WeekFigureModel(Model):
    """One number of a week beside its usual value."""

    name: WeekFigure = Field(description="Which number")
    value: float | None = Field(
        description="Mean heart rate in 1/min, mean systolic pressure in mmHg, or milliseconds of "
        "distress: sadness, anger and fear; null: not measured"
    )
    second: float | None = Field(None, description="Mean diastolic pressure in mmHg")
    compared: float | None = Field(
        None,
        description="What is compared with the usual: of a vital the mean over the parts of the "
        "day that are compared, each with its usual weight; null: not compared",
    )
    hours_left_out: list[tuple[int, int]] = Field(
        default_factory=list,
        description="Hours of the day, from and to, in which the vital was measured for less than "
        "half or more than twice the usual time, or in too few weeks before: not compared",
    )
    usual: float | None = Field(
        None, description="Median of the weeks that it is compared with; null: not compared"
    )
    usual_second: float | None = Field(None, description="The same of the diastolic pressure")
    usual_from: float | None = Field(
        None, description="From here on it is as usual; null: not compared"
    )
    usual_to: float | None = Field(None, description="Up to here it is as usual")
    least: float | None = Field(None, description="Lowest of these weeks")
    most: float | None = Field(None, description="Highest of these weeks")
    weeks: int = Field(description=f"Weeks before that can be compared; {USUAL_WEEKS} are needed")
    change: WeekChange | None = Field(
        None,
        description="higher or lower: outside of usual_from to usual_to, of distress in its share "
        "of the time with a face as well; usual: not so; null: not compared",
    )
    uncompared: Uncompared | None = Field(None, description="Why it is not compared; null: it is")
    title: str = Field(description="Its name, in the language asked for")
    shown: str = Field(description="The number as it is written, without its unit")
    unit: str = Field(description="Its unit as it is written; empty for a time")
    note: str = Field(description="The comparison in a few words, or why there is none")

    readings: int = Field(0, description="Readings of a vital in the week; 0: not known")
    doubted: int = Field(0, description="Those of them that their device itself doubts")
    left_out: int = Field(
        0,
        description="Those of the doubted ones that compared is without: unreliable by their flags",
    )
    motion: WeekChange | None = Field(
        None,
        description="Of a vital that is higher or lower: how the wearer’s motion compares with the "
        "usual one, at like times; null: alike, or not recorded",
    )
    other_sources: tuple[str, ...] = Field(
        (),
        description="Sources that gave more of the week than usual, most first, where half of it "
        "or more is by other sources than usual, or a tenth where it is higher or lower; empty: "
        "not so, or not known",
    )

    @property
    def difference(self) -> float:
        """Distance from the usual value; 0 where it is not compared."""
        return 0.0 if self.compared is None or self.usual is None else self.compared - self.usual

    @property
    def is_within(self) -> bool:
        """True where it lies within the usual values."""
        if self.compared is None or self.usual_from is None or self.usual_to is None:
            return False
        return self.usual_from <= self.compared <= self.usual_to


class WeekVariabilityModel(Model):
    """RMSSD of the stretches of five minutes of a week, described and not compared."""

    median_ms: float = Field(description="Median of the stretches, ms")
    low_ms: float = Field(description="Their lower quartile")
    high_ms: float = Field(description="Their upper quartile")
    stretches: int = Field(
        description="Stretches of five minutes of which good beats fill 80 % or more"
    )
    without_errors_ms: float | None = Field(
        None,
        description="Median less what the errors add that the sensor states; null: it states none",
    )


class MostDistressModel(Model):
    """The day of a week with the longest time of distress."""

    day: date = Field(description="Which day")
    ms: int = Field(description="Time of distress, milliseconds")
    face_ms: int = Field(description="How long a face was read on it")


class WeekSummaryModel(Model):
    """One participant's week at a glance, described and not tested."""

    participant: str = Field(description="Pseudonymous code")
    zone: str = Field(description="Time zone of the days; empty: that of this machine")
    first: date = Field(description="The first day")
    last: date = Field(description="The last day")
    start: int = Field(description="Midnight at which the first day begins, UTC milliseconds")
    end: int = Field(description="Midnight at which the last day ends")
    simulated: bool = Field(description="Whether any of it is simulated")
    recorded_days: int = Field(description="Days on which a session was open")
    faceless_days: int = Field(description="Of these, days on which no face was read")
    is_over: bool = Field(description="Whether the last day is over")
    without_times: int = Field(
        0, description="Sessions of these weeks left out because their times are made up"
    )
    face_ms: int = Field(description="How long a face was read, milliseconds")
    figures: list[WeekFigureModel] = Field(
        description="Distress, heart rate and pressure, in this order"
    )
    most_distress: MostDistressModel | None = Field(
        None,
        description="The day with the longest time of distress; null: no minute of it, a face on "
        "fewer than two days, or faces were read in different ways",
    )
    variability: WeekVariabilityModel | None = Field(
        None, description="Variability of the heart; null: no five minutes have enough good beats"
    )
    variability_sentence: str = Field("", description="It in words; empty without")
    faces: FacesInView = Field(
        description="How often the followed face was out of view in the sessions of the week, and "
        "who else was in view"
    )
    sentence: str = Field(description="The week in one sentence, in the language asked for")
    faces_sentence: str = Field(
        description="Whether it was always the same person, as far as that is known; empty "
        "without a face"
    )
    days_sentence: str = Field(description="Days recorded, and days without a face, in words")
