"""The second half of a log-in: the code of the second factor."""

from __future__ import annotations

import logging
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.passwords import WRONG, AccountError
from dashboard.accounts.roles import Permission, StaleError
from dashboard.web.authentication import HALF_LOGIN_COOKIE, cookie_of, drop_cookie
from dashboard.web.entering import CODE_PAGE, STEP, asker, came_from, enter
from dashboard.web.forms import NOTHING_REFUSED, Refused
from dashboard.web.guards.addresses import address_of
from dashboard.web.guards.login_throttle import HeldUpError, refused_page
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import render
from dashboard.web.services import HalfLogin, Services, ServicesDep
from edge_agent.core.errors import AffectEdgeError

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OPEN)])


@router.get(CODE_PAGE)
def code_page(request: Request, services: ServicesDep) -> Response:
    """Show the form for the code; redirect to the login if no right password came before."""
    if services.half_logins.of(_half_login_key(request, services)) is None:
        return RedirectResponse("/login", 303)
    return _code_form(request)


@router.post(CODE_PAGE)
async def give_code(
    request: Request, services: ServicesDep, code: Annotated[str, Form(max_length=100)] = ""
) -> Response:
    """Check the code and open the login."""
    key = _half_login_key(request, services)
    half = services.half_logins.of(key)
    if half is None:
        return RedirectResponse("/login", 303)
    account = half.account

    def check() -> Response:
        # Between the two halves of a login the password may have been changed.
        _refuse_old(services, half)
        services.second_factors.check(account, code)
        response = enter(request, services, account, half.target)
        services.half_logins.end(key)
        drop_cookie(response, HALF_LOGIN_COOKIE, services.options)
        return response

    try:
        return await services.login_throttle.checked(
            asker(request, services, account.name, STEP), check
        )
    except StaleError:
        services.half_logins.end(key)
        return RedirectResponse("/login", 303)
    except (HeldUpError, AccountError) as error:
        if isinstance(error, AccountError):
            log.warning("code refused from %s", address_of(request))
            whence = str(came_from(request))
            note = services.notes.note
            await run_in_threadpool(note, account.name, "second_factor_failed", whence)
        return await refused_page(partial(_code_form, request), error, 401)


def _refuse_old(services: Services, half: HalfLogin) -> None:
    if services.second_factors.stamp_of(half.account) != half.stamp:
        raise StaleError(WRONG)


def _half_login_key(request: Request, services: Services) -> str:
    return cookie_of(request, HALF_LOGIN_COOKIE, services.options)


def _code_form(
    request: Request, error: AffectEdgeError | None = None, status: int = 200
) -> Response:
    refused = Refused.by(request, error, {"code": ""}) if error else NOTHING_REFUSED
    return render(request, "login_code.html", status, refused=refused)
