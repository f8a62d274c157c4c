"""The first account of an appliance, which the code in its terminal creates."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from dashboard.accounts.passwords import PASSWORD_MAX, PASSWORD_MIN
from dashboard.accounts.roles import Permission
from dashboard.web.entering import TextField, asker, checked_form, enter
from dashboard.web.forms import NOTHING_REFUSED, Refused
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import render
from dashboard.web.routes.first_steps import FIRST_STEPS
from dashboard.web.services import ServicesDep
from edge_agent.core.errors import AffectEdgeError

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OPEN)])


@router.get("/setup")
def setup_page(request: Request, services: ServicesDep) -> Response:
    """Show the form that creates the first account; the page does not exist afterwards."""
    if not services.accounts.needs_setup():
        raise HTTPException(404)
    return _setup_form(request)


@router.post("/setup")
async def set_up(
    request: Request,
    services: ServicesDep,
    code: TextField = "",
    name: TextField = "",
    password: TextField = "",
) -> Response:
    """Create the first account with the code shown in the terminal, log it in, and redirect."""

    def make() -> Response:
        account = services.accounts.set_up(code, name, password)
        log.info("setup is done")
        services.first_steps.begin()
        return enter(request, services, account, FIRST_STEPS)

    page = partial(_setup_form, request, {"code": code, "name": name, "password": ""})
    return await checked_form(asker(request, services), services, make, page)


def _setup_form(
    request: Request,
    typed: Mapping[str, str] | None = None,
    error: AffectEdgeError | None = None,
    status: int = 200,
) -> Response:
    return render(
        request,
        "setup.html",
        status,
        refused=Refused.by(request, error, typed or {}) if error else NOTHING_REFUSED,
        least=PASSWORD_MIN,
        most=PASSWORD_MAX,
    )
