"""The account of who is logged in: another password, and where else it is logged in."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.languages import choose_language, language_of_account
from dashboard.accounts.passwords import PASSWORD_MAX, PASSWORD_MIN, AccountError
from dashboard.accounts.roles import ABOUT, Permission
from dashboard.languages.choice import own_name
from dashboard.languages.current import available, gettext
from dashboard.languages.names import said_of
from dashboard.web.attempt_limiter import address_of, with_wait
from dashboard.web.guards.cookies import DEVICE_COOKIE, cookie_of
from dashboard.web.guards.languages import keep_choice
from dashboard.web.guards.login_gate import Asker, HeldUpError
from dashboard.web.guards.permissions import needs
from dashboard.web.login_guard import AccountDep, login_token
from dashboard.web.rendering import render
from dashboard.web.services import ServicesDep
from edge_agent.core.texts import N_

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OWN)])
PAGE = "/account"

TextField = Annotated[str, Form(max_length=1000)]


@router.get(PAGE)
def account_page(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    changed: Annotated[bool, Query()] = False,
) -> Response:
    """Show who is logged in, and where else; the form for another password."""
    if changed:
        message = N_("The password was changed. Every other device has to log in again.")
    else:
        message = ""
    return _page(request, services, account, message=message)


@router.post(f"{PAGE}/password")
async def change_password(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    old: TextField = "",
    new: TextField = "",
    again: TextField = "",
) -> Response:
    """Change the password of who is logged in; all other logins of theirs end."""

    def change() -> None:
        if new != again:
            raise AccountError(N_("The two new passwords differ. Nothing was changed."))
        services.accounts.change_password(account, old, new, login_token(request))

    cookie = cookie_of(request, DEVICE_COOKIE, services.options)
    try:
        await services.gate.checked(Asker(address_of(request), account.name, cookie), change)
    except HeldUpError as error:
        page = await run_in_threadpool(
            _page, request, services, account, problem=said_of(error), status=error.status
        )
        return with_wait(page, error.wait)
    except AccountError as error:
        return await run_in_threadpool(
            _page, request, services, account, problem=said_of(error), status=400
        )
    log.info("a password was changed")
    return RedirectResponse(f"{PAGE}?changed=1", 303)


@router.post(f"{PAGE}/language")
def choose_own_language(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    language: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Keep in which language who is logged in reads; empty: as their browser asks for."""
    if language and language not in available():
        raise AccountError(
            gettext("There is no language {name!r} here. Choose one of: {known}.").format(
                name=language, known=", ".join(available())
            )
        )
    choose_language(services.options.database, account.id, language)
    response = RedirectResponse(PAGE, 303)
    keep_choice(request, response, language, services.options)
    return response


@router.post(f"{PAGE}/logins/end-others")
def end_others(request: Request, services: ServicesDep, account: AccountDep) -> Response:
    """End all logins of who is logged in but this one."""
    services.logins.end_others(account, login_token(request))
    return RedirectResponse(PAGE, 303)


@router.post(f"{PAGE}/logins/{{key}}/end")
def end_login(services: ServicesDep, account: AccountDep, key: str) -> Response:
    """End one login of who is logged in; it may be this one."""
    services.logins.end(account, key)
    return RedirectResponse(PAGE, 303)


def _page(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    *,
    message: str = "",
    problem: str = "",
    status: int = 200,
) -> Response:
    accounts = services.accounts
    return render(
        request,
        "account.html",
        status,
        message=message,
        problem=problem,
        has_password=accounts.has_password(account),
        elsewhere=accounts.other_logins(account, login_token(request)),
        logins=services.logins.of(account, login_token(request)),
        about=ABOUT[account.role],
        languages=[(code, own_name(code)) for code in available()],
        chosen_language=language_of_account(services.options.database, account.id),
        least=PASSWORD_MIN,
        most=PASSWORD_MAX,
    )
