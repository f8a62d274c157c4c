"""Whether a session is fit for analysis: its quality report."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from dashboard.accounts.roles import Permission
from dashboard.analysis.sensors.minutes import has_pairs
from dashboard.computing.answers import sensor_sentences
from dashboard.web.api.description import may_refuse
from dashboard.web.chosen_study import ChosenStudyDep
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import render
from dashboard.web.services import ComputingDep
from edge_agent.core.errors import StudyError
from edge_agent.store.quality.report import SessionQuality
from edge_agent.store.quality.session_quality import session_quality
from edge_agent.store.read.reader import Reader

router = APIRouter(tags=["study"], dependencies=[needs(Permission.RUN)])


@router.get("/study/sessions/{number}/quality", include_in_schema=False)
def quality_page(
    request: Request,
    study: ChosenStudyDep,
    computing: ComputingDep,
    number: int,
) -> Response:
    """Show the quality report of a session."""
    reader = study.reader
    report = _report(reader, number)
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
    return _report(study.reader, number)


def _report(reader: Reader, number: int) -> SessionQuality:
    try:
        return session_quality(reader, number)
    except StudyError as error:
        raise HTTPException(404, str(error)) from error
