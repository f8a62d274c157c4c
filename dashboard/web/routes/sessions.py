"""A session as a report on one time axis, by condition, and by its quality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Depends, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import AliasPath, BaseModel, Field

from dashboard.accounts.roles import Permission, Scope
from dashboard.analysis.query import Sample
from dashboard.analysis.readings.minutes import has_pairs
from dashboard.analysis.results import SensorComparison
from dashboard.charts.session import (
    ConditionRow,
    SessionRecording,
    Timeline,
    description,
    named_markers,
    session_timeline,
    side_by_side,
    since_start,
)
from dashboard.charts.trends import shares_caption
from dashboard.computing.answers import quality_of
from dashboard.computing.processes import Computing
from dashboard.languages.figures import whole_duration
from dashboard.languages.names import (
    LOOK_NAMES,
    MOVEMENT_NAMES,
    POSE_NAMES,
    said_of,
    session_name,
    with_and,
)
from dashboard.languages.templates import PageRecord
from dashboard.questions.basis import faces_read_by, read_by_text, simulated_text
from dashboard.questions.entry import Inquiry
from dashboard.questions.responses.answer import ResponsesQuery
from dashboard.questions.responses.question import session_curves
from dashboard.questions.responses.words import SessionCurves
from dashboard.questions.sensors.asking import of_session
from dashboard.web.authentication import AccountDep
from dashboard.web.chosen_study import (
    APPLIANCE_ONLY,
    PARAMETER,
    ChosenStudy,
    ChosenStudyDep,
    Device,
)
from dashboard.web.errors import may_refuse
from dashboard.web.forms import form_of
from dashboard.web.guards.permissions import needs
from dashboard.web.options import DashboardOptions
from dashboard.web.rendering import render
from dashboard.web.schemas import ApiModel, GivenMarker, GivenMs, Number, NumberedMarker, ShownMs
from dashboard.web.services import ComputingDep, OptionsDep, ServicesDep, services
from edge_agent.core import clock
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import Emotion
from edge_agent.core.given_sessions import GivenLabel
from edge_agent.core.measures import Measure, MovementKind, offered_movements, probability_of
from edge_agent.core.study import Marker, MarkerKind, Session, exact_since_start, since_start_ms
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.base import VitalTrend
from edge_agent.timeline.read.faces_in_view import UnknownStretch, in_words, unknown_stretches
from edge_agent.timeline.read.quality import SessionQuality
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.session_reader import SessionRecord, read_record
from edge_agent.timeline.read.sessions import SessionSummary
from edge_agent.timeline.study import declarations
from edge_agent.timeline.study.exclusions import Exclusion, check_order, exclusions
from edge_agent.timeline.study.marker_changes import REASON_LENGTH, check_inside, marker_changes
from edge_agent.timeline.study.past import PastMarker

router = APIRouter(tags=["study"], dependencies=[needs(Permission.RUN)])
SESSION_PAGE = "/study/sessions/{number}"
MARKERS_PAGE = f"{SESSION_PAGE}/markers"
_WIDE = 780.0
_NARROW = 330.0
_BUCKETS = 160
_BUCKETS_OF_TWO = 90
_OFFERED = 30
_LISTED = 40
_MOST_MARKERS = 10_000
_EDGE_MS = 1_000
"""A reading at the very end, and the marker that ends the session."""
_BOTH_OR_NEITHER = N_("Give both ends of the stretch, or neither for the whole session.")


@dataclass(frozen=True, slots=True)
class SessionReport:
    """All data of the report of one session.

    Attributes:
        session: the session.
        end_ms: its end, or the present while it is open.
        record: consent, protocol, operator, answers.
        quality: whether it is fit for analysis.
        summary: means by condition.
        kinds: what was measured under a condition.
        markers: in order of time.
        recording: what the timeline is drawn from.
        has_moved: whether movements of the face were recorded.
        sensors: how far estimates, such as the camera's pulse, were off what was measured.
    """

    session: Session
    end_ms: int
    record: SessionRecord
    quality: SessionQuality
    summary: SessionSummary
    kinds: tuple[VitalKind, ...]
    markers: list[Marker]
    recording: SessionRecording
    has_moved: bool = False
    sensors: tuple[SensorComparison, ...] = ()

    @property
    def title(self) -> str:
        """The name of the session, or its number."""
        return session_name(self.session.name, self.session.id)

    @property
    def numbers(self) -> dict[int | None, int]:
        """The number in the picture of each note and baseline, by the id of its marker."""
        return {marker.id: n for n, marker in enumerate(named_markers(self.markers), 1)}

    def has_data(self) -> bool:
        """Tell whether anything was recorded."""
        # A table of another program may bring movements alone.
        return (
            self.has_moved
            or any(self.recording.trend.rows)
            or any(any(trend.n) for trend in self.recording.vitals.values())
        )


@router.get(SESSION_PAGE, include_in_schema=False)
def session_page(
    request: Request,
    account: AccountDep,
    study: ChosenStudyDep,
    computing: ComputingDep,
    options: OptionsDep,
    number: Number,
    over: Annotated[int | None, Query(alias="with", ge=0)] = None,
    align: Annotated[str, Query(max_length=200)] = "",
    movement: Annotated[list[MovementKind] | None, Query()] = None,
    whole: Annotated[Literal["", "yes"], Query()] = "",
) -> Response:
    """Show a session as a report; ``with`` lays a second one over it, from start to start.

    ``align`` is a condition that both have: then they lie over each other from its start in each.
    ``movement`` adds a movement of the face to the timeline. ``whole`` puts in the curves around
    events as well, which the page fetches when they are looked for.
    """
    moved = tuple(dict.fromkeys(movement or ()))
    views = services(request).views
    if over is None or over == number:
        report = _report(computing, study, number, moved=moved)
        views.note(account, "session_view", study.named(str(number)))
        curves = _curves(computing, study, report, options) if whole else None
        return _render_report(request, study, report, moved=moved, curves=curves)
    report = _report(computing, study, number, _BUCKETS_OF_TWO, moved)
    second = _report(computing, study, over, _BUCKETS_OF_TWO, moved)
    views.note(account, "session_view", study.named(f"{number} {over}"))
    return _render_report(request, study, report, second, align, moved)


@router.get("/study/compare", include_in_schema=False)
def compare(
    first: Annotated[int, Query(ge=0)],
    over: Annotated[int, Query(alias="with", ge=0)],
    device: Device = "",
) -> Response:
    """Redirect to the comparison of the two sessions chosen on a participant's page."""
    of_device = f"&{urlencode({PARAMETER: device})}" if device else ""
    return RedirectResponse(f"/study/sessions/{first}?with={over}{of_device}", 303)


@dataclass(frozen=True, slots=True)
class SessionPage(PageRecord):
    """The names of the page of a session.

    Attributes:
        exclusions: what was ever left out of it.
        reason_length: most letters of a reason for leaving out.
        exact_since_start: writes a time since the start with its milliseconds.
        declared: what of it was declared afterwards.
        declaration_length: most letters of a reason for declaring.
        not_known: the longest stretches in which it is not known whose face it was.
        report: the session.
        second: the one that is laid over it; ``None`` where none is.
        pictures: the timeline for a screen, and for a phone.
        has_left_out: whether either has a stretch that is left out.
        has_not_known: whether either has a stretch in which nobody knows whose face it was.
        offered: sessions that can be laid over this one.
        since_start: writes a time since the start.
        shared: conditions that both have.
        align: the condition from whose start they lie over each other; empty: their own start.
        rows: of two sessions, one by condition.
        described: the same in words.
        moved: the movements that the timeline shows.
        movements: those that it offers.
        kept: fields of the address that forms repeat.
        source: which models read the faces.
        simulated_text: how much is simulated.
        lines_length: over how long the points of the lines are means.
        shares_caption: what the bars are.
        curves: around events; ``None`` until they are asked for.
        whole: whether they are.
        whole_address: where they are.
    """

    template = "session.html"

    exclusions: list[Exclusion]
    reason_length: int
    exact_since_start: Callable[[int], str]
    declared: list[declarations.Declaration]
    declaration_length: int
    not_known: list[UnknownStretch]
    report: SessionReport
    second: SessionReport | None
    pictures: dict[str, Timeline]
    has_left_out: bool
    has_not_known: bool
    offered: list[Session]
    since_start: Callable[[int], str]
    shared: list[str]
    align: str
    rows: list[ConditionRow]
    described: list[str]
    moved: tuple[MovementKind, ...]
    movements: tuple[MovementKind, ...]
    kept: list[tuple[str, str]]
    source: str
    simulated_text: str
    lines_length: str
    shares_caption: str
    curves: SessionCurves | None
    whole: bool
    whole_address: str


def _render_report(
    request: Request,
    study: ChosenStudy,
    report: SessionReport,
    second: SessionReport | None = None,
    align: str = "",
    moved: tuple[MovementKind, ...] = (),
    curves: SessionCurves | None = None,
) -> Response:
    reader = study.reader
    kept = [("device", one) for one in study.chosen]
    if second is not None:
        kept += [("with", str(second.session.id)), ("align", align)]
    shared: list[str] = []
    rows = []
    if second is not None:
        shared = _shared_conditions(report, second)
        if align not in shared:
            align = ""
        if align:
            report = _from_condition(report, align)
            second = _from_condition(second, align)
        measured = (*report.kinds, *second.kinds)
        kinds = tuple(kind for kind in VitalKind if kind in measured)
        rows = side_by_side(report.summary, second.summary, kinds)
    page = SessionPage(
        exclusions=exclusions(study.database, report.session.id),
        reason_length=REASON_LENGTH,
        exact_since_start=exact_since_start,
        declared=declarations.declarations(study.database, report.session.id),
        declaration_length=declarations.REASON_LENGTH,
        not_known=_longest(report.recording.not_known),
        report=report,
        second=second,
        pictures=_pictures(report, second),
        has_left_out=bool(report.recording.left_out or (second and second.recording.left_out)),
        has_not_known=bool(report.recording.not_known or (second and second.recording.not_known)),
        offered=_offered(reader, report.session),
        since_start=since_start,
        shared=shared,
        align=align,
        rows=rows,
        described=list(description(rows)),
        moved=moved,
        movements=offered_movements(moved) if reader.has_movements() else (),
        kept=kept,
        source=_source_of(reader, report),
        simulated_text=simulated_text([one.session for one in (report, second) if one]),
        lines_length=_lines_length(report, second),
        shares_caption=shares_caption(
            *(one.recording.trend for one in (report, second) if one is not None)
        ),
        curves=curves,
        whole=curves is not None,
        whole_address=_whole_address(request),
    )
    return render(request, page.template, **page.names())


def _longest(stretches: Sequence[UnknownStretch]) -> list[UnknownStretch]:
    """Return the longest stretches in order of time, as many as a page lists."""
    longest = sorted(stretches, key=lambda one: one.start_ms - one.end_ms)[:_LISTED]
    return sorted(longest, key=lambda one: one.start_ms)


def _lines_length(*reports: SessionReport | None) -> str:
    """Return over how long the points of the lines are means."""
    lengths = {vital.bucket_ms for one in reports if one for vital in one.recording.vitals.values()}
    return with_and([whole_duration(ms) for ms in sorted(lengths)])


def _whole_address(request: Request) -> str:
    fields = [one for one in request.query_params.multi_items() if one[0] != "whole"]
    return f"{request.url.path}?{urlencode([*fields, ('whole', 'yes')])}"


def _source_of(reader: Reader, report: SessionReport) -> str:
    """Say which models read the faces of the session, below a figure that is taken from it."""
    models = faces_read_by(reader, (report.session.start_ms, report.end_ms))
    if not models:
        return ""
    return read_by_text(models)


def _curves(
    computing: Computing, study: ChosenStudy, report: SessionReport, options: DashboardOptions
) -> SessionCurves:
    """Return the session's curves around the starts of its stimuli."""
    query = ResponsesQuery(
        vital=_measures_drawn(report),
        against=Emotion.NEUTRAL,
        sample=Sample.SELECTED,
        session=(report.session.id,),
    )
    inquiry = Inquiry(study.sites, query, prefer_sources=options.prefer_sources)
    return computing.call(session_curves, inquiry)


def _measures_drawn(report: SessionReport) -> tuple[Measure, ...]:
    """Return what the curves are of: heart rate, or what was measured instead, and the strongest
    expression but neutral.
    """
    shares: Counter[Emotion] = Counter()
    for condition in report.summary.conditions:
        shares.update(condition.expression or {})
    del shares[Emotion.NEUTRAL]
    faces = [probability_of(emotion) for emotion, _ in shares.most_common(1)]
    has_rate = VitalKind.HEART_RATE in report.kinds or not report.kinds
    return (VitalKind.HEART_RATE if has_rate else report.kinds[0], *faces)


def _shared_conditions(first: SessionReport, second: SessionReport) -> list[str]:
    """Return the conditions that both sessions have, in the order of the first."""
    theirs = {one.label for one in second.recording.conditions}
    labels = dict.fromkeys(one.label for one in first.recording.conditions)
    return [label for label in labels if label in theirs]


def _from_condition(report: SessionReport, label: str) -> SessionReport:
    """Return the report with an axis that counts from the first start of a condition."""
    starts = [one.start_ms for one in report.recording.conditions if one.label == label]
    return replace(report, recording=replace(report.recording, zero_ms=min(starts)))


def _pictures(report: SessionReport, second: SessionReport | None) -> dict[str, Timeline]:
    """Return the timeline for a screen or a sheet, and the one for a phone."""
    recordings = [("", report.recording)]
    if second is not None:
        recordings = [
            (f"{one.session.participant}, {one.title}", one.recording) for one in (report, second)
        ]
    return {
        "wide": session_timeline(recordings, _WIDE),
        "narrow": session_timeline(recordings, _NARROW),
    }


def _offered(reader: Reader, session: Session) -> list[Session]:
    """Return the sessions that can be laid over this one: of the same participant first."""
    others = [one for one in reader.session_list() if one.id != session.id]
    # Sorting is stable: within both parts the newest stay first.
    others.sort(key=lambda one: one.participant != session.participant)
    return others[:_OFFERED]


@contextmanager
def _not_found() -> Iterator[None]:
    """Answer 404 where there is no such session."""
    try:
        yield
    except StudyError as error:
        raise HTTPException(404, said_of(error)) from error


def _report(
    computing: Computing,
    study: ChosenStudy,
    number: int,
    buckets: int = _BUCKETS,
    moved: tuple[MovementKind, ...] = (),
) -> SessionReport:
    reader = study.reader
    with _not_found(), reader.at_one_moment():
        session, end_ms = reader.session(number)
        quality = computing.call(quality_of, study.database, number)
        summary = reader.session_summary(number)
        with reader.connect() as connection:
            record = read_record(connection, session)
            not_known = unknown_stretches(connection, session.start_ms, end_ms)
        measured = {kind for condition in summary.conditions for kind in condition.vitals}
        inside = reader.markers(session.start_ms, end_ms + _EDGE_MS)
        markers = [marker for marker in inside if marker.session == number]
        sensors = _sensors(computing, study, number) if quality.measures.estimates else []
        return SessionReport(
            session=session,
            end_ms=end_ms,
            record=record,
            quality=quality,
            summary=summary,
            kinds=tuple(kind for kind in VitalKind if kind in measured),
            markers=markers,
            recording=replace(
                _recording(reader, (session, end_ms), markers, buckets, moved),
                left_out=[
                    one for one in exclusions(study.database, number) if one.taken_back_ms is None
                ],
                not_known=not_known,
            ),
            has_moved=reader.has_movements(session.start_ms, end_ms),
            sensors=tuple(one for one in sensors if one.in_short),
        )


def _recording(
    reader: Reader,
    of: tuple[Session, int],
    markers: list[Marker],
    buckets: int,
    moved: tuple[MovementKind, ...],
) -> SessionRecording:
    """Read the data from which a session's timeline is drawn; ``of`` is the session and its end."""
    session, end_ms = of
    start_ms = session.start_ms
    end_ms = max(end_ms, start_ms + _EDGE_MS)
    recorded = reader.recorded_kinds()
    drawn = [kind for kind in VitalKind if kind.spec.panel and kind in recorded]
    trends: dict[Measure, VitalTrend] = {
        kind: reader.vital_trend(kind, start_ms, end_ms, buckets) for kind in drawn
    }
    trends |= {kind: reader.movement_trend(kind, start_ms, end_ms, buckets) for kind in moved}
    return SessionRecording(
        start_ms=start_ms,
        end_ms=end_ms,
        trend=reader.trend(start_ms, end_ms, buckets),
        vitals=trends,
        conditions=reader.conditions_of(session),
        markers=markers,
    )


Relative = Annotated[
    bool, Query(description="Correct by the neutral face, and take the vitals at rest away")
]


@router.get(
    "/api/v1/sessions/{number}/course",
    operation_id="get_session_summary",
    responses=may_refuse(404),
)
def get_course(
    services: ServicesDep,
    account: AccountDep,
    study: ChosenStudyDep,
    number: Number,
    relative: Relative = False,
) -> SessionSummary:
    """Return a session by condition, as recorded or relative to the participant's own baseline."""
    with _not_found():
        course = study.reader.session_summary(number, relative=relative)
    services.views.note(account, "session_view", study.named(str(number)))
    return course


@router.get("/study/sessions/{number}/course", include_in_schema=False)
def course_page(
    request: Request, course: Annotated[SessionSummary, Depends(get_course)]
) -> Response:
    """Show a session by condition, and the baseline that it can be measured by."""
    kinds = list(
        dict.fromkeys(kind for condition in course.conditions for kind in condition.vitals)
    )
    moved = {name for condition in course.conditions for name in condition.movements or {}}
    return render(
        request,
        "course.html",
        course=course,
        faces_sentence=in_words(course.faces),
        kinds=kinds,
        movement_names={name: text for name, text in MOVEMENT_NAMES.items() if name in moved},
        pose_names=POSE_NAMES,
        look_names=LOOK_NAMES,
    )


@router.get(
    "/api/v1/sessions/{number}/quality",
    operation_id="get_session_quality",
    responses=may_refuse(404),
)
def get_quality(study: ChosenStudyDep, computing: ComputingDep, number: Number) -> SessionQuality:
    """Return the quality report of a session: what was recorded, and whether it is fit for
    analysis.
    """
    with _not_found():
        return computing.call(quality_of, study.database, number)


@router.get("/study/sessions/{number}/quality", include_in_schema=False)
def quality_page(
    request: Request,
    study: ChosenStudyDep,
    computing: ComputingDep,
    report: Annotated[SessionQuality, Depends(get_quality)],
) -> Response:
    """Show the quality report of a session."""
    sensors = _sensors(computing, study, report.session)
    return render(
        request, "quality.html", report=report, sensors=sensors, since_start=exact_since_start
    )


def _sensors(computing: Computing, study: ChosenStudy, number: int) -> list[SensorComparison]:
    """Compare the sources that measured the same in a session; most have no such pair."""
    if not has_pairs(study.reader, number):
        return []
    return computing.call(of_session, study.database, number)


@router.get(
    "/api/v1/sessions/{number}/sensors",
    operation_id="get_session_sensors",
    responses=may_refuse(404),
)
def get_sensors(
    study: ChosenStudyDep, computing: ComputingDep, number: Number
) -> list[SensorComparison]:
    """Return how far sources agree that measured the same in a session, such as the camera's pulse
    and a strap: over all sessions of its nature, and in each of them.
    """
    with _not_found():
        return _sensors(computing, study, number)


markers_router = APIRouter(tags=["study"], dependencies=[needs(Permission.RUN), APPLIANCE_ONLY])


class MarkerChangeModel(ApiModel):
    """A marker as it was before a correction."""

    marker: int
    at: ShownMs = Field(validation_alias="at_ms")
    kind: MarkerKind
    label: str
    removed: bool = Field(description="Whether it was left out, and not changed")
    reason: str
    changed: ShownMs = Field(validation_alias="changed_ms")
    actor: str = Field(description="Who corrected it")


class MarkersWithChanges(ApiModel):
    """The markers of a session, and what they were before they were corrected."""

    markers: list[NumberedMarker] = Field(description="In order of time")
    changes: list[MarkerChangeModel] = Field(description="The first one first")


class TimedMarker(GivenMarker):
    """A marker with the time at which it happened."""

    at: GivenMs


class AddedMarkers(ApiModel):
    """The result of adding markers."""

    added: int = Field(description="How many were new")
    duplicates: int = Field(description="How many were there already")


class CorrectedMarker(TimedMarker):
    """A marker as it shall be."""

    label: GivenLabel
    reason: str = Field("", max_length=REASON_LENGTH, description="Why it is corrected")


Markers = Annotated[list[TimedMarker], Body(min_length=1, max_length=_MOST_MARKERS)]


@markers_router.get(
    "/api/v1/sessions/{number}/markers",
    operation_id="list_session_markers",
    responses=may_refuse(404),
)
def get_markers(services: ServicesDep, number: Number) -> MarkersWithChanges:
    """Return the markers of a session, and what they were before they were corrected."""
    with _not_found():
        markers = services.study.markers(number)
    changes = marker_changes(services.options.database, number)
    return MarkersWithChanges.model_validate({"markers": markers, "changes": changes})


@markers_router.post(
    "/api/v1/sessions/{number}/markers",
    operation_id="add_past_markers",
    status_code=201,
    responses=may_refuse(409),
    dependencies=[needs(Permission.STUDY, Scope.MARKERS)],
)
def create_markers(
    number: Number, new: Markers, services: ServicesDep, account: AccountDep
) -> AddedMarkers:
    """Add markers to a session that has taken place: all of them, or none."""
    markers = [PastMarker(one.at, one.kind, one.label, number) for one in new]
    added, duplicates = services.commands.add_past_markers(markers, actor=account.name)
    return AddedMarkers(added=added, duplicates=duplicates)


@markers_router.put(
    "/api/v1/sessions/{number}/markers/{marker}",
    operation_id="correct_marker",
    responses=may_refuse(409),
)
def put_marker(
    number: Number, marker: Number, new: CorrectedMarker, services: ServicesDep, account: AccountDep
) -> NumberedMarker:
    """Change a marker of a session; its old values are kept."""
    wanted = PastMarker(new.at, new.kind, new.label, number)
    made = services.commands.correct_marker(marker, wanted, reason=new.reason, actor=account.name)
    return NumberedMarker.model_validate(made)


@markers_router.delete(
    "/api/v1/sessions/{number}/markers/{marker}",
    operation_id="remove_marker",
    responses=may_refuse(409),
    status_code=204,
)
def delete_marker(
    number: Number,
    marker: Number,
    services: ServicesDep,
    account: AccountDep,
    reason: Annotated[
        str, Query(min_length=1, max_length=REASON_LENGTH, description="Why it is left out")
    ],
) -> None:
    """Leave a marker out; its values are kept."""
    services.commands.remove_marker(number, marker, reason=reason, actor=account.name)


class MarkerForm(BaseModel):
    """A marker as a person typed it.

    Attributes:
        after: its time since the start of the session: ``90``, ``1:30`` or ``0:01:30.250``.
        kind: its kind.
        label: its label.
        reason: why it is changed.
        remove: not empty: it is left out.
    """

    after: str = Field("", max_length=40)
    kind: str = Field("", max_length=40)
    label: str = Field("", max_length=200)
    reason: str = Field("", max_length=400)
    remove: str = Field("", max_length=10)

    def marker(self, session: Session) -> dict[str, object]:
        """Return the marker for the models of the API.

        Raises:
            StudyError: the time cannot be read or lies outside the session, or the kind is not
                known.
        """
        at_ms = session.start_ms + since_start_ms(self.after, "after")
        _check_inside(session, at_ms, "after")
        if self.kind not in list(MarkerKind):
            raise StudyError(
                N_("{text!r} is no kind of marker. Choose one of: {names}."),
                text=self.kind[:40],
                names=", ".join(MarkerKind),
                field="kind",
            )
        return {"at": at_ms, "kind": self.kind, "label": self.label}


def _check_inside(session: Session, at_ms: int, field: str) -> None:
    """Refuse a time outside the session in the words of the form: since the start."""

    def written(ms: int) -> str:
        return exact_since_start(ms - session.start_ms)

    check_inside(session, at_ms, clock.now().wall_ms, field=field, written=written)


MarkerFormDep = Annotated[MarkerForm, Form()]


def _session_of_form(services: ServicesDep, number: Number) -> Session:
    with _not_found():
        session, _ = services.reader.session(number)
    return session


FormSessionDep = Annotated[Session, Depends(_session_of_form)]


@markers_router.get(MARKERS_PAGE, include_in_schema=False)
def markers_page(
    request: Request,
    services: ServicesDep,
    number: Number,
    kept: Annotated[MarkersWithChanges, Depends(get_markers)],
) -> Response:
    """Show the markers of a session, which can be corrected, left out and added."""
    session, end_ms = services.reader.session(number)
    return render(
        request,
        "markers.html",
        session=session,
        length=exact_since_start(end_ms - session.start_ms),
        markers=kept.markers,
        kinds=tuple(MarkerKind),
        ending=MarkerKind.STIMULUS_END,
        changes=kept.changes,
        since_start=exact_since_start,
        reason_length=REASON_LENGTH,
    )


@markers_router.post(
    MARKERS_PAGE, include_in_schema=False, dependencies=[form_of(MARKERS_PAGE, MarkerForm)]
)
def add_marker(
    services: ServicesDep,
    account: AccountDep,
    number: Number,
    session: FormSessionDep,
    form: MarkerFormDep,
) -> Response:
    """Add a marker that was not set in time, such as the end of a condition."""
    new = TimedMarker.model_validate(form.marker(session))
    create_markers(number, [new], services, account)
    return RedirectResponse(MARKERS_PAGE.format(number=number), 303)


@markers_router.post(
    f"{MARKERS_PAGE}/{{marker}}",
    include_in_schema=False,
    dependencies=[form_of(MARKERS_PAGE, MarkerForm)],
)
def change_marker(
    services: ServicesDep,
    account: AccountDep,
    number: Number,
    marker: Number,
    session: FormSessionDep,
    form: MarkerFormDep,
) -> Response:
    """Change a marker, or leave it out; its old values are kept."""
    if form.remove:
        delete_marker(number, marker, services, account, form.reason)
    else:
        given = form.marker(session) | {"reason": form.reason}
        new = CorrectedMarker.model_validate(given)
        put_marker(number, marker, new, services, account)
    return RedirectResponse(MARKERS_PAGE.format(number=number), 303)


exclusions_router = APIRouter(
    tags=["study"], dependencies=[needs(Permission.STUDY), APPLIANCE_ONLY]
)


class ExclusionModel(ApiModel):
    """A session, or a stretch of it, that is left out of the analysis."""

    number: int = Field(validation_alias="id", description="Names it in its session")
    start: ShownMs | None = Field(
        None,
        validation_alias=AliasPath("span", 0),
        description="Of the stretch; null: the whole session",
    )
    end: ShownMs | None = Field(None, validation_alias=AliasPath("span", 1))
    reason: str
    made: ShownMs = Field(validation_alias="made_ms", description="When it was left out")
    actor: str = Field(description="Who left it out")
    taken_back: ShownMs | None = Field(
        validation_alias="taken_back_ms", description="When it was taken back; null: it stands"
    )
    taken_back_by: str | None


class NewExclusion(ApiModel):
    """A session or stretch to leave out of the analysis."""

    start: GivenMs | None = Field(None, description="Of a stretch; without both: the whole session")
    end: GivenMs | None = None
    reason: str = Field(min_length=1, max_length=REASON_LENGTH, description="Why")


@exclusions_router.get(
    "/api/v1/sessions/{number}/exclusions",
    operation_id="list_exclusions",
    responses=may_refuse(404),
)
def get_exclusions(services: ServicesDep, number: Number) -> list[ExclusionModel]:
    """Return what was ever left out of a session, also what was taken back."""
    with _not_found():
        every = exclusions(services.options.database, number)
    return [ExclusionModel.model_validate(one) for one in every]


@exclusions_router.post(
    "/api/v1/sessions/{number}/exclusions",
    operation_id="leave_out",
    responses=may_refuse(409),
    status_code=201,
)
def post_exclusion(
    number: Number, new: NewExclusion, services: ServicesDep, account: AccountDep
) -> ExclusionModel:
    """Leave a session, or a stretch of it, out of the analysis; nothing is deleted."""
    span = None
    if new.start is not None and new.end is not None:
        span = new.start, new.end
    elif new.start != new.end:
        raise StudyError(_BOTH_OR_NEITHER)
    made = services.commands.leave_out(number, span, reason=new.reason, actor=account.name)
    return ExclusionModel.model_validate(made)


@exclusions_router.delete(
    "/api/v1/sessions/{number}/exclusions/{exclusion}",
    operation_id="take_back",
    responses=may_refuse(409),
    status_code=204,
)
def delete_exclusion(
    number: Number, exclusion: Number, services: ServicesDep, account: AccountDep
) -> None:
    """Use again in the analysis what was left out; that it was stays in the trail."""
    services.commands.take_back(number, exclusion, actor=account.name)


class ExclusionForm(BaseModel):
    """A session or stretch to leave out of the analysis, as a person typed it.

    Attributes:
        start: start of the stretch since the start of the session; empty with ``end``: all of it.
        end: its end.
        reason: why it is left out.
    """

    start: str = Field("", max_length=40)
    end: str = Field("", max_length=40)
    reason: str = Field("", max_length=400)

    def exclusion(self, session: Session) -> NewExclusion:
        """Return what is left out.

        Raises:
            StudyError: a time cannot be read or lies outside the session, or the end does not
                follow the start.
        """
        span = {
            name: session.start_ms + since_start_ms(text, name)
            for name, text in (("start", self.start), ("end", self.end))
            if text.strip()
        }
        if len(span) == 2:
            check_order((span["start"], span["end"]), self.start, self.end)
        for name, at_ms in span.items():
            _check_inside(session, at_ms, name)
        return NewExclusion.model_construct(
            start=span.get("start"), end=span.get("end"), reason=self.reason
        )


@exclusions_router.post(
    "/study/sessions/{number}/exclusions",
    include_in_schema=False,
    dependencies=[form_of(SESSION_PAGE, ExclusionForm)],
)
def leave_out_of_page(
    services: ServicesDep,
    account: AccountDep,
    number: Number,
    session: FormSessionDep,
    form: Annotated[ExclusionForm, Form()],
) -> Response:
    """Leave the session, or a stretch of it, out of the analysis."""
    post_exclusion(number, form.exclusion(session), services, account)
    return RedirectResponse(f"{SESSION_PAGE.format(number=number)}#left-out-title", 303)


@exclusions_router.post(
    "/study/sessions/{number}/exclusions/{exclusion}/take-back",
    include_in_schema=False,
    dependencies=[form_of(SESSION_PAGE)],
)
def take_back_of_page(
    services: ServicesDep,
    account: AccountDep,
    number: Number,
    session: FormSessionDep,
    exclusion: Number,
) -> Response:
    """Use again in the analysis what was left out; twice is as good as once."""
    left_out = exclusions(services.options.database, session.id)
    if any(one.id == exclusion and one.taken_back_ms is None for one in left_out):
        delete_exclusion(number, exclusion, services, account)
    return RedirectResponse(f"{SESSION_PAGE.format(number=number)}#left-out-title", 303)
