"""The question whether two measures go together in people more than with others at the same
stimuli, and its answer. Quick to load.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, field_validator, model_validator

from dashboard.analysis.conclusions import Conclusion, Told, conclude_without_direction, shows
from dashboard.analysis.query import Model, Sample, SampleQuery
from edge_agent.core.measures import MEASURES, ExpressionKind, Measure, MovementKind, is_of_face
from edge_agent.core.texts import N_, Message
from edge_agent.core.vitals import VitalKind

OF_FACE: tuple[Measure, ...] = tuple(kind for kind in MEASURES if is_of_face(kind))
"""Measures of the face that a vital can go together with."""
STREAMED: tuple[VitalKind, ...] = tuple(
    kind for kind in VitalKind if kind.spec.stream and kind is not VitalKind.RR_INTERVAL
)
"""Vitals that come all the time."""
POSE: tuple[Measure, ...] = (MovementKind.YAW, MovementKind.PITCH, MovementKind.ROLL)
"""Measures of the face that are movements of the head, beside which no other is looked for."""
LEAST_PAIRS = 30
"""Pairs that a person needs."""


class CouplingQuery(SampleQuery):
    """The question: which measure of the face, which vital, how many seconds later."""

    measure: Measure = Field(
        ExpressionKind.VALENCE, description="A measure of the face, such as valence or happiness"
    )
    vital: VitalKind = Field(
        VitalKind.HEART_RATE, description="A vital that comes all the time, such as heart_rate"
    )
    lag: float | None = Field(
        None,
        ge=-60,
        le=60,
        description="Seconds by which the vital follows the face, declared before looking; rounded "
        "to the grid. null: what the analysis takes for the vital",
    )
    lags: float = Field(
        0.0,
        ge=0,
        le=120,
        description="Also all lags from minus to plus so many seconds, judged by the largest; 0: "
        "none",
    )
    seed: int = Field(
        1, ge=0, le=2**31, description="Of the random sign flips, with more than 14 people"
    )

    @field_validator("measure")
    @classmethod
    def _is_of_face(cls, measure: Measure) -> Measure:
        if not is_of_face(measure):
            refused = N_("{measure} is no measure of the face, such as valence")
            raise ValueError(Message(refused, measure=measure.value))
        return measure

    @field_validator("vital")
    @classmethod
    def _is_streamed(cls, vital: VitalKind) -> VitalKind:
        if vital not in STREAMED:
            names = ", ".join(kind.value for kind in STREAMED)
            refused = N_("{vital} does not come all the time; these do: {names}")
            raise ValueError(Message(refused, vital=vital.value, names=names))
        return vital

    @model_validator(mode="after")
    def _names_its_sessions(self) -> CouplingQuery:
        if (self.sample is Sample.SELECTED) != bool(self.session):
            raise ValueError(
                Message(N_("choose sessions (session) with sample=selected, and only then"))
            )
        return self

    @property
    def lag_s(self) -> float:
        """The declared lag in seconds."""
        return self.vital.spec.lag_s if self.lag is None else self.lag


class NotTested(StrEnum):
    """The reason why an association is not tested."""

    NO_PAIRS = "no_pairs"
    TOO_FEW = "too_few"
    NO_VARIATION = "no_variation"
    NO_OTHERS = "no_others"
    MOVEMENT = "movement"


class Disturbance(StrEnum):
    """A disturbance of face and sensor together, as far as the timeline holds it."""

    HEAD_MOVEMENT = "head_movement"
    HEAD_POSE = "head_pose"
    BODY_MOTION = "body_motion"
    DOUBTFUL_READINGS = "doubtful_readings"


class PersonCouplingModel(Model):
    """One participant's association."""

    participant: str = Field(description="Code; over several devices site/code")
    sessions: int = Field(description="Sessions with enough pairs")
    pairs: int = Field(description="Bins with both values")
    r: float = Field(description="Correlation at the declared lag, without linear drifts")
    others: int = Field(0, description="Other people at the same stimuli; 0: over whole sessions")
    r_others: float | None = Field(
        None, description="Mean correlation with the others' vital, by Fisher's z"
    )
    difference: float | None = Field(
        None, description="Fisher's z less the mean of those with others, at the shared stimuli"
    )


class LagModel(Model):
    """All people at one lag."""

    lag_s: float = Field(description="Seconds by which the vital follows the face")
    r: float = Field(description="Mean of the people, by Fisher's z")
    low: float | None = Field(
        None, description="Lower end of its 95 % interval at this lag by itself; null: fewer than 3"
    )
    high: float | None = Field(None, description="Upper end")
    p: float | None = Field(description="Of difference, adjusted for all lags; null: not tested")
    r_others: float | None = Field(
        None, description="Mean correlation with others' vital; null: no others at the stimuli"
    )
    difference: float | None = Field(
        None, description="Fisher's z less that with others: mean of the people"
    )
    difference_low: float | None = Field(
        None, description="Lower end of its 95 % interval at this lag by itself"
    )
    difference_high: float | None = Field(None, description="Upper end")


class DisturbanceModel(Model):
    """The test whether a recorded disturbance goes with the face and with the vital."""

    kind: Disturbance = Field(
        description="head_movement: degrees a second. head_pose: degrees from the usual pose. "
        "body_motion: of the wearer, mg, each value for the five seconds that it is of. "
        "doubtful_readings: within 5 s of a reading of the vital that is left out by its flags"
    )
    people: int = Field(description="People in whom it varies")
    face: float = Field(
        description="How it goes with the face beyond others at the same stimuli, Fisher's z"
    )
    face_p: float = Field(description="Two-sided")
    vital: float = Field(
        description="The same with the vital, at once or at the declared lag, whichever is clearer"
    )
    vital_p: float = Field(description="Two-sided")
    vital_lag_s: float = Field(description="Which of the two, seconds")
    explains: bool = Field(description="Whether it goes with both, so that nothing is tested")


class CouplingModel(Told):
    """The association of a measure of the face and a vital in people, beside that with others at
    the same stimuli, which is no cause.
    """

    question: CouplingQuery
    sample: Sample
    sessions: int = Field(description="Sessions looked at")
    without_times: int = Field(description="Sessions left out because their times are made up")
    step_s: float | None = Field(description="Length of a bin, seconds; null: no session has both")
    lag_s: float = Field(description="The lag that was tested, seconds")
    people: tuple[PersonCouplingModel, ...]
    left_out: tuple[str, ...] = Field(
        description="People with both measures, but fewer than 30 pairs, or one of the two never "
        "varied, or nobody else was at their stimuli"
    )
    stimuli: int = Field(
        0,
        description="Stimuli that several people were at, by label and number of that label in the "
        "session; 0: the values are of whole sessions",
    )
    pairs: int = Field(description="Pairs of these people")
    repeated_r: float | None = Field(description="Repeated-measures correlation of these pairs")
    r: float | None = Field(description="Mean of the people's r, by Fisher's z")
    low: float | None = Field(description="Lower end of its 95 % interval; null: nothing is tested")
    high: float | None = Field(description="Upper end")
    r_others: float | None = Field(
        None, description="Mean correlation with other people's vital at the same stimuli"
    )
    difference: float | None = Field(
        None, description="Mean of the people's Fisher's z less that with others: what is tested"
    )
    difference_low: float | None = Field(None, description="Lower end of its 95 % interval")
    difference_high: float | None = Field(None, description="Upper end")
    t: float | None = Field(description="Of the difference, one value a person")
    df: int | None
    p: float | None = Field(description="Two-sided; null: not tested")
    refused: NotTested | None = Field(
        description="Why it is not tested. no_others: fewer than three people were at stimuli of "
        "others. movement: one of the disturbances goes with both"
    )
    disturbances: tuple[DisturbanceModel, ...] = Field(
        (), description="What was recorded that may disturb both; empty: nothing, or no test"
    )
    lags: tuple[LagModel, ...] = Field(description="Empty: not asked for, or nobody has all")
    lags_people: int = Field(description="People with a value at every lag")
    flips: int | None = Field(description="Sign flips computed; null: the lags are not tested")
    is_exact: bool = Field(description="Whether these are all there are")
    simulated: bool = Field(description="Whether any value is simulated")
    reading_changed_ms: int | None = Field(
        None,
        description="When another model or prior began to read these faces, UTC in milliseconds; "
        "null: none did",
    )
    sentences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def knows_motion(self) -> bool:
        """True where the motion of everybody was recorded."""
        watched = {one.kind: one.people for one in self.disturbances}
        is_all = watched.get(Disturbance.BODY_MOTION, 0) >= len(self.people)
        return is_all or self.question.vital is VitalKind.BODY_MOTION

    @property
    def lags_p(self) -> float | None:
        """The least p of the lags, which decides over all; ``None``: none is tested."""
        return min((one.p for one in self.lags if one.p is not None), default=None)

    @property
    def lags_show(self) -> bool:
        """True where more than with others is shown at any lag."""
        return shows(self.lags_p)

    @property
    def best_lag(self) -> LagModel:
        """The lag that stands out: farthest from others where lags are tested, else from 0."""
        if self.lags_p is None:
            return max(self.lags, key=lambda one: abs(one.r))
        return max(self.lags, key=lambda one: abs(one.difference or 0.0))

    def _conclude(self) -> Conclusion:
        return conclude_without_direction(self.p)
