"""The second half of a login: the code of the second factor."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import Permission
from dashboard.languages.names import said_of
from dashboard.web.attempt_limiter import address_of, with_wait
from dashboard.web.guards.cookies import HALF_LOGIN_COOKIE, cookie_of, drop_cookie
from dashboard.web.guards.login_gate import HeldUpError
from dashboard.web.guards.permissions import needs
from dashboard.web.guards.short_lived import HalfLogin
from dashboard.web.rendering import render
from dashboard.web.routes.login import CODE_PAGE, asker, came_from, enter
from dashboard.web.services import Services, ServicesDep

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OPEN)])
STEP = "second factor"
"""Under which name wrong codes are counted: apart from passwords, which a right one forgives."""


@router.get(CODE_PAGE)
def code_page(request: Request, services: ServicesDep) -> Response:
    """Show the form for the code; without the right password before, lead to the login."""
    if services.half_logins.of(_key(request, services)) is None:
        return RedirectResponse("/login", 303)
    return _form(request)


@router.post(CODE_PAGE)
async def give_code(
    request: Request,
    services: ServicesDep,
    code: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Check the code and open the login."""
    key = _key(request, services)
    half = services.half_logins.of(key)
    if half is None:
        return RedirectResponse("/login", 303)
    account = half.account

    def check() -> Response:
        _refuse_old(services, half)
        services.second_factors.check(account, code)
        response = enter(request, services, account, half.target)
        services.half_logins.end(key)
        drop_cookie(response, HALF_LOGIN_COOKIE, services.options)
        return response

    try:
        return await services.gate.checked(asker(request, services, account.name, STEP), check)
    except HeldUpError as error:
        form = await run_in_threadpool(_form, request, said_of(error), error.status)
        return with_wait(form, error.wait)
    except _StaleError:
        services.half_logins.end(key)
        return RedirectResponse("/login", 303)
    except AccountError as error:
        log.warning("code refused from %s", address_of(request))
        await run_in_threadpool(
            services.commands.note, account.name, "second_factor_failed", str(came_from(request))
        )
        return await run_in_threadpool(_form, request, said_of(error), 401)


class _StaleError(AccountError):
    """Password, account or second factor changed meanwhile."""


def _refuse_old(services: Services, half: HalfLogin) -> None:
    if services.second_factors.stamp_of(half.account) != half.stamp:
        raise _StaleError


def _key(request: Request, services: Services) -> str:
    return cookie_of(request, HALF_LOGIN_COOKIE, services.options)


def _form(request: Request, problem: str = "", status: int = 200) -> Response:
    return render(request, "login_code.html", status, problem=problem)
