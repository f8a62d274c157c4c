"""A session as a report on one time axis, by condition, and by its quality."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response

from dashboard.accounts.roles import Permission
from dashboard.analysis.minutes import has_pairs
from dashboard.charts.session import (
    Recording,
    Timeline,
    description,
    named_markers,
    session_timeline,
    side_by_side,
    since_start,
)
from dashboard.computing.answers import sensor_sentences
from dashboard.languages.current import gettext
from dashboard.web.errors import may_refuse
from dashboard.web.guards.permissions import needs
from dashboard.web.login import AccountDep
from dashboard.web.rendering import render
from dashboard.web.services import ComputingDep, ServicesDep, services
from dashboard.web.study import PARAMETER, ChosenStudyDep, Device
from edge_agent.core.errors import StudyError
from edge_agent.core.study import Marker, Session
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.quality import SessionQuality
from edge_agent.store.read.quality_checks import session_quality
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.sessions import SessionSummary
from edge_agent.store.read.study import SessionRecord, read_record

router = APIRouter(tags=["study"], dependencies=[needs(Permission.RUN)])
_WIDE = 860.0
_NARROW = 330.0
_BUCKETS = 160
_BUCKETS_OF_TWO = 90
_OFFERED = 30
_EDGE_MS = 1_000
"""A reading at the very end, and the marker that ends the session."""


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
    """

    session: Session
    end_ms: int
    record: SessionRecord
    quality: SessionQuality
    summary: SessionSummary
    kinds: tuple[VitalKind, ...]
    markers: list[Marker]
    recording: Recording

    @property
    def title(self) -> str:
        """The name of the session, or its number."""
        return self.session.name or gettext("Session {number}").format(number=self.session.id)

    @property
    def numbers(self) -> dict[int | None, int]:
        """The number in the picture of each note and baseline, by the id of its marker."""
        return {marker.id: n for n, marker in enumerate(named_markers(self.markers), 1)}

    def has_data(self) -> bool:
        """Tell whether anything was recorded."""
        return any(self.recording.trend.rows) or any(
            any(trend.n) for trend in self.recording.vitals.values()
        )


@router.get("/study/sessions/{number}", include_in_schema=False)
def session_page(
    request: Request,
    account: AccountDep,
    study: ChosenStudyDep,
    number: int,
    over: Annotated[int | None, Query(alias="with", ge=0)] = None,
    align: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Show a session as a report; ``with`` lays a second one over it, from start to start.

    ``align`` is a condition that both have: then they lie over each other from its start in each.
    """
    views = services(request).views
    reader = study.reader
    if over is None or over == number:
        report = _report(reader, number)
        views.note(account, "session_view", study.named(str(number)))
        return _render_report(request, reader, report)
    report = _report(reader, number, _BUCKETS_OF_TWO)
    second = _report(reader, over, _BUCKETS_OF_TWO)
    views.note(account, "session_view", study.named(f"{number} {over}"))
    return _render_report(request, reader, report, second, align)


@router.get("/study/compare", include_in_schema=False)
def compare(
    first: Annotated[int, Query(ge=0)],
    over: Annotated[int, Query(alias="with", ge=0)],
    device: Device = "",
) -> Response:
    """Redirect to the comparison of the two sessions chosen on a participant's page."""
    of_device = f"&{urlencode({PARAMETER: device})}" if device else ""
    return RedirectResponse(f"/study/sessions/{first}?with={over}{of_device}", 303)


def _render_report(
    request: Request,
    reader: Reader,
    report: SessionReport,
    second: SessionReport | None = None,
    align: str = "",
) -> Response:
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
    return render(
        request,
        "session.html",
        report=report,
        second=second,
        pictures=_pictures(report, second),
        offered=_offered(reader, report.session),
        since_start=since_start,
        shared=shared,
        align=align,
        rows=rows,
        described=list(description(rows)),
    )


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
    others.sort(key=lambda one: one.participant != session.participant)
    return others[:_OFFERED]


@contextmanager
def _not_found() -> Iterator[None]:
    """Answer 404 where there is no such session."""
    try:
        yield
    except StudyError as error:
        raise HTTPException(404, str(error)) from error


def _report(reader: Reader, number: int, buckets: int = _BUCKETS) -> SessionReport:
    with _not_found():
        session, end_ms = reader.session(number)
        quality = session_quality(reader, number)
        summary = reader.session_summary(number)
    with reader.connect() as connection:
        record = read_record(connection, session)
    measured = {kind for condition in summary.conditions for kind in condition.vitals}
    inside = reader.markers(session.start_ms, end_ms + _EDGE_MS)
    markers = [marker for marker in inside if marker.session == number]
    return SessionReport(
        session=session,
        end_ms=end_ms,
        record=record,
        quality=quality,
        summary=summary,
        kinds=tuple(kind for kind in VitalKind if kind in measured),
        markers=markers,
        recording=_recording(reader, (session, end_ms), markers, buckets),
    )


def _recording(
    reader: Reader, of: tuple[Session, int], markers: list[Marker], buckets: int
) -> Recording:
    """Read the data from which a session's timeline is drawn; ``of`` is the session and its end."""
    session, end_ms = of
    start_ms = session.start_ms
    end_ms = max(end_ms, start_ms + _EDGE_MS)
    drawn = [kind for kind in VitalKind if kind.spec.panel and kind in reader.recorded_kinds()]
    conditions = [
        one for one in reader.conditions(start_ms, end_ms + 1) if one.session == session.id
    ]
    return Recording(
        start_ms=start_ms,
        end_ms=end_ms,
        trend=reader.trend(start_ms, end_ms, buckets),
        vitals={kind: reader.vital_trend(kind, start_ms, end_ms, buckets) for kind in drawn},
        conditions=conditions,
        markers=markers,
    )


Relative = Annotated[
    bool, Query(description="Correct by the neutral face, and take the vitals at rest away")
]


@router.get("/study/sessions/{number}/course", include_in_schema=False)
def course_page(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    study: ChosenStudyDep,
    number: int,
    relative: Relative = False,
) -> Response:
    """Show a session by condition, and the baseline that it can be measured by."""
    course = _course(study.reader, number, relative)
    services.views.note(account, "session_view", study.named(str(number)))
    kinds = list(
        dict.fromkeys(kind for condition in course.conditions for kind in condition.vitals)
    )
    return render(request, "course.html", course=course, kinds=kinds)


@router.get(
    "/api/v1/sessions/{number}/course",
    operation_id="get_session_summary",
    responses=may_refuse(404),
)
def get_course(
    services: ServicesDep,
    account: AccountDep,
    study: ChosenStudyDep,
    number: int,
    relative: Relative = False,
) -> SessionSummary:
    """Return a session by condition, as recorded or relative to the participant's own baseline."""
    course = _course(study.reader, number, relative)
    services.views.note(account, "session_view", study.named(str(number)))
    return course


def _course(reader: Reader, number: int, relative: bool) -> SessionSummary:
    with _not_found():
        return reader.session_summary(number, relative=relative)


@router.get("/study/sessions/{number}/quality", include_in_schema=False)
def quality_page(
    request: Request, study: ChosenStudyDep, computing: ComputingDep, number: int
) -> Response:
    """Show the quality report of a session."""
    reader = study.reader
    with _not_found():
        report = session_quality(reader, number)
    sensors = []
    if has_pairs(reader, number):
        sensors = computing.call(sensor_sentences, study.database, number)
    return render(request, "quality.html", report=report, sensors=sensors)


@router.get(
    "/api/v1/sessions/{number}/quality",
    operation_id="get_session_quality",
    responses=may_refuse(404),
)
def get_quality(study: ChosenStudyDep, number: int) -> SessionQuality:
    """Return the quality report of a session: what was recorded, and whether it is fit for
    analysis.
    """
    with _not_found():
        return session_quality(study.reader, number)
