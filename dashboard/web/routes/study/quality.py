"""Whether a session is fit for analysis: its quality report."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from dashboard.accounts.roles import Permission
from dashboard.languages.names import said_of
from dashboard.web.api.description import may_refuse
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import render
from dashboard.web.services import ReaderDep
from edge_agent.core.errors import StudyError
from edge_agent.core.vitals import VitalKind
from edge_agent.store.quality.report import SessionQuality
from edge_agent.store.quality.session_quality import session_quality
from edge_agent.store.read.reader import Reader

router = APIRouter(tags=["study"], dependencies=[needs(Permission.RUN)])


@router.get("/study/sessions/{number}/quality", include_in_schema=False)
def quality_page(request: Request, reader: ReaderDep, number: int) -> Response:
    """Show the quality report of a session."""
    report = _report(reader, number)
    return render(request, "quality.html", report=report, sensors=_sensors(reader, number))


@router.get(
    "/api/v1/sessions/{number}/quality",
    operation_id="get_session_quality",
    responses=may_refuse(404),
)
def get_quality(reader: ReaderDep, number: int) -> SessionQuality:
    """Return the quality report of a session: what was recorded, and whether it is fit for
    analysis.
    """
    return _report(reader, number)


def _sensors(reader: Reader, number: int) -> list[str]:
    """Say how far sources agree that measured the same in this session, over all sessions."""
    # loads SciPy, which the rest of the page does not need
    from dashboard.analysis.sensors.comparison import compare_sensors

    kinds = [kind for kind in reader.recorded_kinds() if kind is not VitalKind.RR_INTERVAL]
    here = compare_sensors(reader, kinds, [number])
    pairs = {(one.vital, one.first, one.second) for one in here}
    if not pairs:
        return []
    every = compare_sensors(reader, sorted({one.vital for one in here}))
    return [one.sentence for one in every if (one.vital, one.first, one.second) in pairs]


def _report(reader: Reader, number: int) -> SessionQuality:
    try:
        return session_quality(reader, number)
    except StudyError as error:
        raise HTTPException(404, said_of(error)) from error
