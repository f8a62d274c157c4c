"""Erasing a participant, after their code was typed once more."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import Response

from dashboard.accounts.roles import Permission
from dashboard.languages.current import gettext
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.guards.permissions import needs
from dashboard.web.login_guard import AccountDep
from dashboard.web.rendering import render
from dashboard.web.services import Services, ServicesDep
from edge_agent.core.errors import StudyError
from edge_agent.store.read.overview import consents, session_counts
from edge_agent.store.upkeep.erasure import is_erasable

router = APIRouter(tags=["study"], dependencies=[needs(Permission.STUDY), APPLIANCE_ONLY])


@router.get("/study/participants/{code}/erase", include_in_schema=False)
def erase_page(request: Request, services: ServicesDep, code: str) -> Response:
    """Show what would be erased, and ask for the code."""
    return _page(request, services, code)


@router.post("/study/participants/{code}/erase", include_in_schema=False)
def erase(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    code: str,
    typed: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Erase the participant whose code was typed, and say what was erased.

    The answer's text names nobody.
    """
    if typed.strip().casefold() != code.casefold():
        problem = gettext("{typed} was typed, which is not {code}. Nothing was erased.").format(
            typed=typed.strip() or gettext("Nothing"), code=code
        )
        return _page(request, services, code, problem)
    database = services.options.database
    try:
        if is_erasable(database, code):
            # they may hold the participant, and one that is being written reads the old rows
            services.exports.forget_all()
        done = services.commands.erase_participant(code, actor=account.name)
    except StudyError as error:
        return _page(request, services, code, str(error))
    services.protocol_runner.forget(code)
    return render(request, "erased.html", done=done)


def _page(request: Request, services: Services, code: str, problem: str = "") -> Response:
    person = next(
        (one for one in services.study.participants() if one.code.casefold() == code.casefold()),
        None,
    )
    if person is None:
        raise HTTPException(404)
    database = services.options.database
    sessions = [
        session for session in services.study.sessions() if session.participant == person.code
    ]
    counts = session_counts(database)
    return render(
        request,
        "erase.html",
        status_code=409 if problem else 200,
        problem=problem,
        code=person.code,
        consent=consents(database).get(person.code),
        is_open=any(session.end_ms is None for session in sessions),
        sessions=len(sessions),
        expressions=sum(counts[session.id].expressions for session in sessions),
        readings=sum(counts[session.id].vitals for session in sessions),
    )
