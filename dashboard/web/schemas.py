"""The shapes of ``/api/v1``: what programs get and send. They make the OpenAPI description."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import AliasPath, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt

from dashboard.languages.refused import OF_JSON
from edge_agent.core.errors import ReadingError
from edge_agent.core.given_sessions import GivenLabel, session_field
from edge_agent.core.own_neutral import OwnNeutralState
from edge_agent.core.readings import time_ms
from edge_agent.core.study import SESSION_FIELDS, MarkerKind, NewSession, Purpose, SessionSetting

SESSIONS_IN_ADDRESS = 1_000
"""Session ids that an address may name: the server reads 16 KiB of address and headers."""
_LAST_MS = 32_503_680_000_000
EpochMs = Annotated[int, Field(ge=0, le=_LAST_MS, description="UTC, milliseconds since 1970")]
GivenMs = Annotated[EpochMs, OF_JSON]


def _within(value: Any) -> Any:
    """Return the first or the last time of the API for a stored one that lies beyond it."""
    return min(max(value, 0), _LAST_MS) if isinstance(value, int) else value


ShownMs = Annotated[EpochMs, BeforeValidator(_within)]
"""A stored time: a wrong row must not stop the page that lists it."""


def _ms_of_field(given: object) -> object:
    """Return what a field of a time sends without JavaScript, UTC text or nothing, as
    milliseconds.
    """
    if isinstance(given, str) and "T" in given:
        with suppress(ReadingError):
            return time_ms(given, UTC)
    return None if given == "" else given


FieldMs = Annotated[EpochMs | None, BeforeValidator(_ms_of_field)]
"""Of a form."""
Moment = Annotated[
    Annotated[int, Field(ge=0, le=2**53)] | None, BeforeValidator(_ms_of_field), Query()
]
"""Of a filter in an address, whose empty fields mean nothing."""
PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
Number = Annotated[int, Path(ge=1, le=2**53)]
"""Of a row, in a path: those beyond SQLite's integers would end in an OverflowError."""


def given(**fields: object) -> dict[str, object]:
    """Return the non-empty fields of a filter, for a query string."""
    return {name: value for name, value in fields.items() if value not in {None, ""}}


class ApiModel(BaseModel):
    """Base of all: unknown keys are refused.

    A model can be made from the value that it shows (``from_attributes``). Where a name differs,
    ``validation_alias`` says where it stands there.
    """

    model_config = ConfigDict(extra="forbid", from_attributes=True, populate_by_name=True)


class Problem(ApiModel):
    """The body of every error response (RFC 9457)."""

    type: str = Field(description="Kind of error, which never changes: urn:affect-edge:problem:…")
    title: str = Field(description="The kind in a few words, in the language of the request")
    status: int = Field(description="Status of the answer")
    detail: str = Field(description="What is wrong with this request and what to do about it")
    instance: str = Field(description="Address that was asked")
    what_to_do: str = Field(description="What helps with any error of the kind")


class SessionModel(ApiModel):
    """A named interval of the timeline with one participant."""

    id: int
    participant: str = Field(description="Pseudonymous code")
    purpose: Purpose
    setting: SessionSetting = Field(description="Where it takes place")
    name: str
    start: ShownMs = Field(validation_alias="start_ms")
    end: ShownMs | None = Field(
        validation_alias="end_ms", description="null while the session is open"
    )
    simulated: bool = Field(
        description="Whether it belongs to the example study, or was added as made up"
    )
    left_out: Literal["", "part", "whole"] = Field(
        description="How much of it is left out of the analysis; empty: nothing"
    )
    instruments: str = Field(
        description="What was stated of its sensors, electrodes, sites and rates; empty: nothing"
    )


class MarkerModel(ApiModel):
    """An instant in a session."""

    at: ShownMs = Field(validation_alias=AliasPath("at", "wall_ms"))
    kind: MarkerKind
    label: str


class NumberedMarker(MarkerModel):
    """A marker of a session that can be corrected."""

    number: int = Field(validation_alias="id", description="Names it in its session")


class StandingNow(ApiModel):
    """The standing session that goes on, or else the one whose hours are next."""

    participant: str = Field(description="Pseudonymous code")
    start: ShownMs = Field(
        validation_alias="start_ms",
        description="When its hours began, or begin; past ones wait for the open session to end, "
        "or for the camera to be switched on",
    )
    end: ShownMs = Field(validation_alias="end_ms", description="When these hours end")
    session: int | None = Field(
        description="Number of the open session that began by itself; null: none is open"
    )


class SessionState(ApiModel):
    """The open session, with its condition and markers."""

    session: SessionModel | None = Field(description="The open session")
    condition: str | None = Field(description="The stimulus that is going on")
    markers: list[MarkerModel] = Field(description="Markers of the open session, in order of time")
    own_neutral: OwnNeutralState | None = Field(
        None,
        description="The participant's own neutral. asked: no baseline has ended; off: declined; "
        "calibrated; refused: the baseline was not good enough; null: nothing asked for it",
    )
    standing: StandingNow | None = Field(
        None, description="The standing session; null: nobody has one"
    )


class Rest(ApiModel):
    """The heart rate of the open session at rest."""

    session: int = Field(description="Number of the session")
    label: str = Field(description="The condition that it is; empty: the 20 s after a marker")
    start: ShownMs = Field(description="Start of the rest")
    end: ShownMs = Field(description="Its end")
    heart_rate: dict[str, float] = Field(
        description="Mean of each source that measured then, /min; an estimate is no measurement"
    )


class GivenMarker(ApiModel):
    """A marker without its time."""

    kind: MarkerKind
    label: GivenLabel = ""


class PressedMarker(GivenMarker):
    """A marker to add to the open session: now, or when it was pressed."""

    at: Annotated[EpochMs, OF_JSON] | None = Field(
        None,
        description="When it was pressed; null: now. One of the same time, kind and label that is "
        "there already is not added again",
    )
    session: Annotated[int, Field(ge=0), OF_JSON] | None = Field(
        None, description="Session that it is for, even if that has ended; null: the open one"
    )
    sent_ms: float | None = Field(
        None,
        strict=True,  # false is no time
        allow_inf_nan=False,
        description="Instead of at: when it happened by the program's own clock, milliseconds "
        "since whenever it likes. The way of the request is taken off by it",
    )
    sender: str = Field("", max_length=80, description="Whose clock sent_ms is")


class EndedSession(ApiModel):
    """A session to close, now."""

    session: Annotated[int, Field(ge=0), OF_JSON] | None = Field(
        None,
        description="Number of the session; one that has ended already is no error. null: the open "
        "one",
    )


class SessionFields(ApiModel):
    """Fields of any session."""

    participant: str = session_field("participant")
    purpose: Purpose = session_field("purpose")
    name: str = session_field("name")
    setting: SessionSetting = session_field("setting")
    instruments: str = session_field("instruments")

    def new_session(self) -> NewSession:
        """Return the session that is wanted."""
        names = {one.name for one in SESSION_FIELDS}
        return NewSession(**self.model_dump(include=names))


class SessionToStart(SessionFields):
    """A session to open, now."""

    own_neutral: bool | None = session_field("own_neutral")
    protocol: str | None = Field(
        None, max_length=64, description="Name of a protocol that is run in it"
    )


class PastSessionModel(SessionFields):
    """A session that has taken place, when the consent of its participant stood."""

    start: GivenMs
    end: GivenMs
    simulated: StrictBool = Field(False, description="Whether its data are made up")


class ProtocolEntry(ApiModel):
    """A protocol file."""

    name: str
    title: str
    problem: str | None = Field(description="Why it cannot be used; null when it can")
    origin: Literal["own", "configured", "shipped"] = Field(
        description="own: made or brought in the browser; configured: of the configured folder"
    )


class UploadedFileModel(ApiModel):
    """A file that was kept."""

    name: str = Field(description="Its name here, of a protocol without its ending")
    notices: list[str] = Field(
        description="Of experiments: what their frame forbids, and what their page names that does "
        "not load there"
    )


class ScreenModel(ApiModel):
    """A screen of a protocol."""

    title: str
    kind: str = Field(description="baseline, stimulus, rest, pressure or scale")
    seconds: float | None = Field(
        description="null: until the medium has ended or the question is answered"
    )
    condition: str | None


class ProtocolStateModel(ApiModel):
    """The state of a protocol."""

    session: SessionModel
    title: str
    state: str = Field(description="running, paused, finished or ended")
    reason: str = Field(description="Why it stands still or ended; empty otherwise")
    begun: bool
    step: int = Field(description="Number of the present screen from 0")
    screens: list[ScreenModel]
    remaining_ms: int | None = Field(description="Of the present screen; null where nobody knows")
    participant_present: bool = Field(description="Whether the participant's page is open")
    participant_ready: bool
    participant_path: str = Field(
        description="Address of the participant's page; whoever has it can open it"
    )
    answers: int
    problem: str = Field(
        description="Why nothing can be written down at the moment; empty when all is well"
    )
    reports: list[str] = Field(
        description="What of an experiment was not stored, or was refused, each once"
    )


class Answer(ApiModel):
    """An answer that a participant gave on a screen."""

    step: Annotated[int, Field(ge=0, le=100_000), OF_JSON] = Field(
        description="Number of the screen that it is about"
    )
    value: StrictInt | Annotated[str, Field(max_length=10_000)] | None = Field(
        None, description="Answer to its question; null: they would rather not say"
    )


class Frame(ApiModel):
    """When a participant's page showed the first frame of a screen."""

    turn: Annotated[int, Field(ge=1, le=1_000_000), OF_JSON] | None = Field(
        None, description="Which screen of the session; null: a break or the end"
    )
    at_ms: Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)] = Field(
        description="When, by the appliance's boot clock"
    )
    within_ms: Annotated[float, Field(ge=0, le=60_000, allow_inf_nan=False)] = Field(
        description="How wrong that may be"
    )
    page_ms: Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)] = Field(
        description="When, by the page's own clock"
    )
    frame_ms: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] | None = Field(
        None, description="Time between two frames; null: not known"
    )


class ExperimentMessage(ApiModel):
    """A marker of an experiment, or the values of one of its trials."""

    step: Annotated[int, Field(ge=0, le=100_000), OF_JSON] = Field(
        description="Number of the screen that shows it"
    )
    at_ms: Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)] | None = Field(
        None, description="When, by the appliance's boot clock; null: now"
    )
    marker: str = Field("", max_length=80, description="Label of the marker; empty: none")
    trial: str = Field("", max_length=80, description="Number and kind of the trial")
    lasted_ms: Annotated[int, Field(ge=0, le=86_400_000), OF_JSON] = 0
    data: dict[
        Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,59}$")],
        Annotated[str, Field(max_length=2000)] | None,
    ] = Field({}, max_length=100, description="Values by name; null: no answer")
    lost: list[Annotated[str, Field(max_length=60)]] = Field(
        [], max_length=100, description="Names of values that are not in `data`, or not whole"
    )
    trouble: str = Field(
        "", max_length=200, description="What its frame refused, or where it failed; empty: nothing"
    )


class ClockModel(ApiModel):
    """The clock by which screens of a protocol are due."""

    boot_ms: float = Field(description="Milliseconds since the appliance started")


class VitalModel(ApiModel):
    """One physiological value."""

    at: ShownMs = Field(validation_alias=AliasPath("at", "wall_ms"))
    kind: str
    value: float
    unit: str = Field(validation_alias=AliasPath("kind", "unit"), description="UCUM")
    source: str
    flags: Annotated[list[str], BeforeValidator(sorted)]


class RecentSecond(ApiModel):
    """A second in which the participant's face was read."""

    at: ShownMs
    probabilities: dict[str, float] = Field(description="Mean, by category")
    label: str = Field(description="Category, or uncertain")


class ExpressionTrend(ApiModel):
    """The expressions of the primary face over time.

    Lists hold one value for each bucket, null for a bucket without rows.
    """

    resolution: str = Field(description="What was read: row, minute, hour or day")
    bucket_ms: int
    starts: list[ShownMs]
    shares: dict[str, list[float | None]] = Field(
        description="Share of rows by smoothed label, with uncertain: sum 1"
    )
    rows: list[int]
    frames: list[int]
    simulated: bool = Field(description="Whether rows of a demonstration are among them")


class VitalTrendModel(ApiModel):
    """The readings of one kind over time; flagged readings are in no mean."""

    unit: str = Field(validation_alias=AliasPath("kind", "unit"), description="UCUM")
    resolution: str
    bucket_ms: int
    starts: list[ShownMs]
    mean: list[float | None]
    min: list[float | None] = Field(validation_alias="least")
    max: list[float | None] = Field(validation_alias="most")
    n: list[int]
    flagged: list[int]
    simulated: bool


class ClockOffModel(ApiModel):
    """A device whose times are corrected, because no time server has set its clock."""

    device: str
    ahead_ms: int = Field(
        description="How far its clock was ahead of the collector's, at least; below 0: behind"
    )
    doubt_ms: int = Field(description="How closely two messages agree on that")


class TrendsModel(ApiModel):
    """A range of the timeline in buckets."""

    start: ShownMs
    end: ShownMs
    participant: str | None = Field(description="Whose sessions alone these are; null: everybody’s")
    session: int | None = Field(description="The session that these are; null: all")
    rows_kept_since: ShownMs | None = Field(
        description="Rows before this are deleted, and of earlier sessions of the participant only "
        "whole minutes, hours or days are counted; null: nothing is missing"
    )
    expression: ExpressionTrend
    vitals: dict[str, VitalTrendModel] = Field(description="By kind")
    movements: dict[str, VitalTrendModel] = Field(
        description="The movements that were asked for, by name; strengths and looks in points"
    )
    clocks_off: list[ClockOffModel] = Field(
        description="With dashboard.source, of all devices together: whose times are moved here to "
        "where they belong, by whole minutes, hours or days, by what the range is read from"
    )


class ChartFigureModel(ApiModel):
    """A number beside a chart, written for people."""

    name: str
    value: str = Field(description="A dash where there is none")
    unit: str
    note: str = Field(description="More about it, such as from where to where")


class ChartModel(ApiModel):
    """A chart as the pages draw it."""

    id: str
    title: str
    sentence: str = Field(description="What the chart shows, in words")
    figure: dict[str, Any] = Field(
        description="In the form of Plotly’s JSON; colours are names of CSS variables"
    )
    columns: list[str]
    rows: list[list[str]]
    time_axis: bool
    height: str
    axes: list[str] = Field(
        description="Titles of the horizontal and the vertical axis, where the figure has none"
    )
    caption: str = Field(description="What a picture says below itself; empty: the sentence")
    figures: list[ChartFigureModel] = Field(description="The sentence in numbers")


class FailedLetter(ApiModel):
    """Letters about a participant that were not taken, or nobody knows whether they were."""

    participant: str = Field(description="Pseudonymous code")
    addresses: int = Field(description="Of how many addresses it is so")
    at: ShownMs = Field(description="When it was last tried, or since when it waits")
    error: str = Field(description="Why, of one of them; empty: perhaps_sent")
    perhaps_sent: bool = Field(
        default=False,
        description="Whether it was perhaps taken, and so is not sent again: the dashboard ended, "
        "or the mail server did not answer, before it was known",
    )


class HealthModel(ApiModel):
    """The health of the appliance."""

    device: str
    version: str
    database_bytes: int
    counts: dict[str, int] = Field(description="Rows by table")
    first: ShownMs | None = Field(description="First thing on the timeline")
    last: ShownMs | None = Field(description="Last thing on the timeline")
    models: list[ModelInUse]
    agent: dict[str, Any] | None = Field(
        description="The agent's last health message; null while it is not running"
    )
    letters_failed: list[FailedLetter] = Field(
        description="Letters about people that were not taken and are tried again, that wait "
        "because it cannot be written down that they are sent, or that were perhaps sent"
    )
    support_contact: str = Field(description="Address for reports of weaknesses; empty: none")
    support_until: date | None = Field(description="Last day on which weaknesses are mended")


class ModelInUse(ApiModel):
    """A model file that the agent uses."""

    kind: str
    name: str
    version: str
    sha256: str
    since: ShownMs = Field(validation_alias="since_ms")
    prior: str = Field(
        description="Prior of a classifier: data, balanced or fitted; none: it classifies nothing; "
        "unknown: recorded before schema 35"
    )


HealthModel.model_rebuild()
