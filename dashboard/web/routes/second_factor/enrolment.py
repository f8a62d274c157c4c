"""Turning the own second factor on and off, and new recovery codes; each asks for the password."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import Permission
from dashboard.accounts.second_factors import address_for_app, new_secret
from dashboard.languages.names import said_of
from dashboard.web.attempt_limiter import with_wait
from dashboard.web.delivery.qr_codes import qr_code
from dashboard.web.guards.login_gate import HeldUpError
from dashboard.web.guards.permissions import needs
from dashboard.web.guards.short_lived import Enrolment
from dashboard.web.login_guard import AccountDep, login_token
from dashboard.web.rendering import render
from dashboard.web.routes.account import PAGE as ACCOUNT
from dashboard.web.routes.account import Notices, account_answer
from dashboard.web.routes.login import asker
from dashboard.web.routes.second_factor.code import STEP
from dashboard.web.services import Services, ServicesDep
from dashboard.web.services import services as services_of
from edge_agent.core.texts import N_

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OWN)])
PAGE = f"{ACCOUNT}/second-factor"
SECTION = f"{ACCOUNT}#second-factor"

PasswordField = Annotated[str, Form(max_length=1000)]
TextField = Annotated[str, Form(max_length=100)]


@router.post(PAGE)
async def begin(
    request: Request, services: ServicesDep, account: AccountDep, password: PasswordField = ""
) -> Response:
    """Show the secret as a picture and as text, to who knows the password."""

    def show() -> Response:
        if account.has_second_factor:
            return RedirectResponse(SECTION, 303)
        secret = new_secret()
        key = services.enrolments.keep(Enrolment(account.id, secret))
        return _enrolment_page(request, account, key, secret)

    return await _with_password(request, services, account, password, show)


@router.post(f"{PAGE}/on")
async def turn_on(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    key: TextField = "",
    code: TextField = "",
) -> Response:
    """Turn it on with the first code of the app, and show the recovery codes, this once."""
    enrolment = services.enrolments.of(key)
    if enrolment is None or enrolment.account != account.id:
        return await run_in_threadpool(
            account_answer, request, services, account, Notices(factor=_TOO_LATE), 400
        )
    secret = enrolment.secret

    def turn() -> list[str]:
        return services.second_factors.turn_on(account, secret, code, login_token(request))

    try:
        codes = await services.gate.checked(asker(request, services, account.name, STEP), turn)
    except (HeldUpError, AccountError) as error:
        status, wait = _status_of(error)
        page = await run_in_threadpool(
            _enrolment_page, request, account, key, secret, said_of(error), status
        )
        return with_wait(page, wait)
    services.enrolments.end(key)
    log.info("a second factor was turned on")
    return await run_in_threadpool(_codes_page, request, codes)


@router.post(f"{PAGE}/off")
async def turn_off(
    request: Request, services: ServicesDep, account: AccountDep, password: PasswordField = ""
) -> Response:
    """Turn it off; all other logins of who is logged in end."""

    def turn() -> Response:
        services.second_factors.turn_off(account, login_token(request))
        log.info("a second factor was turned off")
        return RedirectResponse(SECTION, 303)

    return await _with_password(request, services, account, password, turn)


@router.post(f"{PAGE}/codes")
async def renew_codes(
    request: Request, services: ServicesDep, account: AccountDep, password: PasswordField = ""
) -> Response:
    """Show new recovery codes, this once; the old ones open nothing any more."""

    def renew() -> Response:
        return _codes_page(request, services.second_factors.renew_recovery_codes(account))

    return await _with_password(request, services, account, password, renew)


async def _with_password(
    request: Request,
    services: Services,
    account: AccountDep,
    password: str,
    do: Callable[[], Response],
) -> Response:
    """Do it for who knows the password of the account, counted as a login is."""

    def check() -> Response:
        services.accounts.check_own_password(account, password)
        return do()

    try:
        return await services.gate.checked(asker(request, services, account.name), check)
    except (HeldUpError, AccountError) as error:
        status, wait = _status_of(error)
        page = await run_in_threadpool(
            account_answer, request, services, account, Notices(factor=said_of(error)), status
        )
        return with_wait(page, wait)


def _status_of(error: HeldUpError | AccountError) -> tuple[int, int]:
    if isinstance(error, HeldUpError):
        return error.status, error.wait
    return 400, 0


def _enrolment_page(
    request: Request,
    account: AccountDep,
    key: str,
    secret: str,
    problem: str = "",
    status: int = 200,
) -> Response:
    address = address_for_app(secret, account, services_of(request).options.device)
    return render(
        request,
        "second_factor.html",
        status,
        key=key,
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        picture=qr_code(address),
        problem=problem,
    )


def _codes_page(request: Request, codes: list[str]) -> Response:
    return render(request, "recovery_codes.html", codes=codes)


_TOO_LATE = N_("That took more than fifteen minutes. Begin again; nothing was changed.")
