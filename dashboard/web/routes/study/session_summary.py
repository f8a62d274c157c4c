"""A session by condition, as recorded or relative to the participant's own baseline."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response

from dashboard.accounts.roles import Permission
from dashboard.web.api.description import may_refuse
from dashboard.web.chosen_study import ChosenStudyDep
from dashboard.web.guards.permissions import needs
from dashboard.web.login_guard import AccountDep
from dashboard.web.rendering import render
from dashboard.web.services import ServicesDep
from edge_agent.core.errors import StudyError
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.sessions.summary import SessionSummary

router = APIRouter(tags=["study"], dependencies=[needs(Permission.RUN)])

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
    try:
        return reader.session_summary(number, relative=relative)
    except StudyError as error:
        raise HTTPException(404, str(error)) from error
