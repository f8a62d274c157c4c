"""The account of who is logged in: another password, and where else it is logged in."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.account_rows import Account
from dashboard.accounts.languages import choose_language, language_of_account
from dashboard.accounts.passwords import PASSWORD_MAX, PASSWORD_MIN, AccountError
from dashboard.accounts.roles import ABOUT, Permission
from dashboard.languages.choice import own_name
from dashboard.languages.current import available, gettext
from dashboard.languages.names import said_of
from dashboard.web.attempt_limiter import with_wait
from dashboard.web.guards.languages import keep_choice
from dashboard.web.guards.login_gate import HeldUpError
from dashboard.web.guards.permissions import lacks_second_factor, needs
from dashboard.web.login_guard import AccountDep, login_token
from dashboard.web.rendering import render
from dashboard.web.routes.login import asker
from dashboard.web.services import Services, ServicesDep
from edge_agent.core.errors import StoreError
from edge_agent.core.texts import N_

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OWN)])
PAGE = "/account"

TextField = Annotated[str, Form(max_length=1000)]


@dataclass(frozen=True, slots=True)
class Notices:
    """What the page has to say.

    Attributes:
        message: what was done; ``""``: nothing.
        password: why the password was not changed.
        factor: why the second factor was not changed.
    """

    message: str = ""
    password: str = ""
    factor: str = ""


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
    return account_answer(request, services, account, Notices(message))


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

    try:
        await services.gate.checked(asker(request, services, account.name), change)
    except HeldUpError as error:
        page = await run_in_threadpool(
            account_answer,
            request,
            services,
            account,
            Notices(password=said_of(error)),
            error.status,
        )
        return with_wait(page, error.wait)
    except AccountError as error:
        return await run_in_threadpool(
            account_answer, request, services, account, Notices(password=said_of(error)), 400
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


def _codes_left(services: Services, account: Account) -> int | None:
    """Return how many recovery codes are left; ``None``: it is not known."""
    try:
        return services.second_factors.recovery_codes_left(account)
    except StoreError:  # a damaged file must not take this page away
        return None


def account_answer(
    request: Request,
    services: Services,
    account: Account,
    notices: Notices,
    status: int = 200,
) -> Response:
    """Return the page of an account, with what it has to say."""
    accounts = services.accounts
    return render(
        request,
        "account.html",
        status,
        message=notices.message,
        problem=notices.password,
        factor_problem=notices.factor,
        needs_second_factor=lacks_second_factor(account, services.options),
        recovery_codes=_codes_left(services, account),
        has_password=accounts.has_password(account),
        elsewhere=accounts.other_logins(account, login_token(request)),
        logins=services.logins.of(account, login_token(request)),
        about=ABOUT[account.role],
        languages=[(code, own_name(code)) for code in available()],
        chosen_language=language_of_account(services.options.database, account.id),
        least=PASSWORD_MIN,
        most=PASSWORD_MAX,
    )
