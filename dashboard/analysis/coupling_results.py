"""The question how two measures go together within people, and its answer. Quick to load."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, field_validator, model_validator

from dashboard.analysis.conclusions import Conclusion, Told, conclude_without_direction
from dashboard.analysis.question import Model, Sample, SampleQuery
from edge_agent.core.measures import MEASURES, ExpressionKind, Measure, is_of_face
from edge_agent.core.vitals import VitalKind

OF_FACE: tuple[Measure, ...] = tuple(kind for kind in MEASURES if is_of_face(kind))
"""Measures of the face that a vital can go together with."""
STREAMED: tuple[VitalKind, ...] = tuple(
    kind for kind in VitalKind if kind.spec.stream and kind is not VitalKind.RR_INTERVAL
)
"""Vitals that come all the time."""


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
            raise ValueError(f"{measure.value} is no measure of the face, such as valence")
        return measure

    @field_validator("vital")
    @classmethod
    def _is_streamed(cls, vital: VitalKind) -> VitalKind:
        if vital not in STREAMED:
            names = ", ".join(kind.value for kind in STREAMED)
            raise ValueError(f"{vital.value} does not come all the time; these do: {names}")
        return vital

    @model_validator(mode="after")
    def _names_its_sessions(self) -> CouplingQuery:
        if (self.sample is Sample.SELECTED) != bool(self.session):
            raise ValueError("sample=selected and session go together")
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


class PersonCouplingModel(Model):
    """One participant's association."""

    participant: str = Field(description="Code; over several devices site/code")
    sessions: int = Field(description="Sessions with enough pairs")
    pairs: int = Field(description="Bins with both values")
    r: float = Field(description="Correlation at the declared lag, without linear drifts")


class LagModel(Model):
    """All people at one lag."""

    lag_s: float = Field(description="Seconds by which the vital follows the face")
    r: float = Field(description="Mean of the people, by Fisher's z")
    low: float | None = Field(
        None, description="Lower end of its 95 % interval at this lag by itself; null: fewer than 3"
    )
    high: float | None = Field(None, description="Upper end")
    p: float | None = Field(description="Adjusted for all lags; null: not tested")


class CouplingModel(Told):
    """The association of a measure of the face and a vital within people, which is no cause."""

    question: CouplingQuery
    sample: Sample
    sessions: int = Field(description="Sessions looked at")
    without_times: int = Field(description="Sessions left out because their times are made up")
    step_s: float | None = Field(description="Length of a bin, seconds; null: no session has both")
    lag_s: float = Field(description="The lag that was tested, seconds")
    people: tuple[PersonCouplingModel, ...]
    left_out: tuple[str, ...] = Field(
        description="People with both measures, but fewer than 30 pairs in each session, or one "
        "of the two never varied"
    )
    pairs: int = Field(description="Pairs of these people")
    repeated_r: float | None = Field(description="Repeated-measures correlation of these pairs")
    r: float | None = Field(description="Mean of the people's r, by Fisher's z")
    low: float | None = Field(description="Lower end of its 95 % interval")
    high: float | None = Field(description="Upper end")
    t: float | None = Field(description="Of the mean z, one value a person")
    df: int | None
    p: float | None = Field(description="Two-sided; null: not tested")
    refused: NotTested | None = Field(description="Why it is not tested")
    lags: tuple[LagModel, ...] = Field(description="Empty: not asked for")
    lags_people: int = Field(description="People with a value at every lag")
    flips: int | None = Field(description="Sign flips computed; null: the lags are not tested")
    is_exact: bool = Field(description="Whether these are all there are")
    simulated: bool = Field(description="Whether any value is simulated")
    sentences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def _conclude(self) -> Conclusion:
        return conclude_without_direction(self.p)
