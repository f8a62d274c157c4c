"""Logging in with a passkey: instead of a password, or after it."""

from __future__ import annotations

import json
import logging
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.passkeys.ceremonies import (
    ANSWER_MAX,
    LOGIN_S,
    Answer,
    RelyingParty,
    login_options,
)
from dashboard.accounts.passkeys.challenges import LOGIN
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import Permission
from dashboard.languages.current import gettext
from dashboard.languages.names import said_of
from dashboard.web.attempt_limiter import address_of
from dashboard.web.guards.cookies import HALF_LOGIN_COOKIE, cookie_of, drop_cookie
from dashboard.web.guards.login_gate import HeldUpError
from dashboard.web.guards.permissions import needs
from dashboard.web.guards.relying_party import relying_party
from dashboard.web.routes.login import HOME, NextField, asker, came_from, enter, login_form
from dashboard.web.routes.second_factor.passkeys import NO_NAME
from dashboard.web.security import safe_next
from dashboard.web.services import Services, ServicesDep

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OPEN)])
PAGE = "/login/passkey"
STEP = "passkey"
"""Under which name refused passkeys are counted: apart from passwords."""


@router.post(f"{PAGE}/options")
def options(request: Request, services: ServicesDep) -> Response:
    """Return what a browser has to know to log in; after the password: with which passkeys."""
    party = relying_party(request, services.options)
    if party is None:
        raise HTTPException(409, gettext(NO_NAME))
    key = cookie_of(request, HALF_LOGIN_COOKIE, services.options)
    half = services.half_logins.of(key)
    kept = services.passkeys.of(half.account) if half else []
    challenge = services.challenges.new(LOGIN, LOGIN_S)
    here = [one for one in kept if one.host == party.host]
    return JSONResponse(json.loads(login_options(party, challenge, here)))


@router.post(PAGE)
async def log_in(
    request: Request,
    services: ServicesDep,
    answer: Annotated[str, Form(max_length=ANSWER_MAX)] = "",
    target: NextField = "",
) -> Response:
    """Check what the browser answered and open the login."""
    party = relying_party(request, services.options)

    def check() -> Response:
        if party is None:
            raise AccountError(NO_NAME)
        return _entered(request, services, party, answer, target)

    try:
        return await services.gate.checked(asker(request, services, "", STEP), check)
    except HeldUpError as error:
        status = error.status
        wait = error.wait
        problem = said_of(error)
    except AccountError as error:
        log.warning("passkey refused from %s", address_of(request))
        status = 401
        wait = 0
        problem = said_of(error)
    return await run_in_threadpool(login_form, request, target, "", problem, status, wait)


def _entered(
    request: Request, services: Services, party: RelyingParty, answer: str, target: str
) -> Response:
    read = Answer.read(answer)
    try:
        account = services.passkeys.log_in(read, party, services.challenges)
    except AccountError:
        owner = services.passkeys.owner_of(read.id)
        if owner is not None:
            told = str(came_from(request))
            services.accounts.record(owner.name, "passkey_failed", told)
        raise
    key = cookie_of(request, HALF_LOGIN_COOKIE, services.options)
    half = services.half_logins.of(key)
    asked = half.target if half is not None and half.account.id == account.id else target
    response = enter(request, services, account, safe_next(asked, HOME))
    services.half_logins.end(key)
    drop_cookie(response, HALF_LOGIN_COOKIE, services.options)
    return response
