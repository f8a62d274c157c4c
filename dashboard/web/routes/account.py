"""The account of the logged-in user: password, language, logins and second factor.

Each change of the second factor asks for the password.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.accounts import choose_language, language_of_account
from dashboard.accounts.passwords import PASSWORD_MAX, PASSWORD_MIN, AccountError
from dashboard.accounts.roles import ABOUT, Account, Permission
from dashboard.accounts.second_factors import address_for_app, new_secret
from dashboard.languages.current import available, gettext, own_name
from dashboard.web.authentication import AccountDep, login_token
from dashboard.web.delivery import qr_code
from dashboard.web.entering import STEP, asker, checked_form
from dashboard.web.forms import NOTHING_REFUSED, Refused, form_of
from dashboard.web.guards.permissions import lacks_second_factor, needs
from dashboard.web.rendering import keep_choice, render
from dashboard.web.services import Enrolment, Services, ServicesDep
from dashboard.web.services import services as services_of
from edge_agent.core.errors import AffectEdgeError, StoreError
from edge_agent.core.texts import N_

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OWN)])
PAGE = "/account"
_CHANGED = N_("The password was changed. Every other device has to log in again.")
ENROLMENT_PAGE = f"{PAGE}/second-factor"
SECTION = f"{PAGE}#second-factor"
_WITH_PASSWORD = form_of(PAGE, secret=("password", "code"), renamed={"old": "password"})
_TOO_LATE = N_("That took more than fifteen minutes. Start again; nothing was changed.")

TextField = Annotated[str, Form(max_length=1000)]
CodeField = Annotated[str, Form(max_length=100)]


@router.get(PAGE)
def account_page(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    changed: Annotated[bool, Query()] = False,
) -> Response:
    """Show the logged-in account, its logins, and the form to change the password."""
    accounts = services.accounts
    return render(
        request,
        "account.html",
        message=gettext(_CHANGED) if changed else "",
        needs_second_factor=lacks_second_factor(account, services.options),
        recovery_codes=_codes_left(services, account),
        has_password=accounts.has_password(account),
        elsewhere=accounts.other_logins(account, login_token(request)),
        logins=services.logins.of_account(account, login_token(request)),
        about=ABOUT[account.role],
        languages=[(code, own_name(code)) for code in available()],
        chosen_language=language_of_account(services.options.database, account.id),
        least=PASSWORD_MIN,
        most=PASSWORD_MAX,
    )


def _codes_left(services: Services, account: Account) -> int | None:
    """Return how many recovery codes are left; ``None``: it is not known."""
    try:
        return services.second_factors.recovery_codes_left(account)
    except StoreError:  # a damaged file must not take this page away
        return None


@router.post(
    f"{PAGE}/password",
    dependencies=[form_of(PAGE, secret=("old", "new", "again"), renamed={"password": "new"})],
)
async def change_password(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    old: TextField = "",
    new: TextField = "",
    again: TextField = "",
) -> Response:
    """Change the password of the logged-in account; all its other logins end."""

    if new != again:
        raise AccountError(N_("The two new passwords differ. Nothing was changed."), field="again")
    # Before its turn: it waits for a computation, for which no log-in must wait.
    good = await run_in_threadpool(services.accounts.accept_new, account, new)

    def change() -> Response:
        services.accounts.change_password(account, old, good, login_token(request))
        log.info("a password was changed")
        return RedirectResponse(f"{PAGE}?changed=1", 303)

    return await services.login_throttle.checked(asker(request, services, account.name), change)


@router.post(f"{PAGE}/language")
def choose_own_language(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    language: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Store the language of the logged-in account; empty: the browser's language."""
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
    """End all other logins of the logged-in account."""
    services.logins.end_others(account, login_token(request))
    return RedirectResponse(PAGE, 303)


@router.post(f"{PAGE}/logins/{{key}}/end")
def end_login(services: ServicesDep, account: AccountDep, key: str) -> Response:
    """End one login of the logged-in account, possibly the present one."""
    services.logins.end(account, key)
    return RedirectResponse(PAGE, 303)


@router.post(ENROLMENT_PAGE, dependencies=[_WITH_PASSWORD])
async def begin(
    request: Request, services: ServicesDep, account: AccountDep, password: TextField = ""
) -> Response:
    """Show the secret as QR code and text, after checking the password."""

    def show() -> Response:
        if account.has_second_factor:
            return RedirectResponse(SECTION, 303)
        secret = new_secret()
        key = services.enrolments.keep(Enrolment(account.id, secret), account.id)
        return _enrolment_page(request, account, key, secret)

    return await _with_password(request, services, account, password, show)


@router.post(f"{ENROLMENT_PAGE}/on", dependencies=[_WITH_PASSWORD])
async def turn_on(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    key: CodeField = "",
    code: CodeField = "",
) -> Response:
    """Turn on the second factor with the app's first code; show the recovery codes once."""
    enrolment = services.enrolments.of(key)
    if enrolment is None or enrolment.account != account.id:
        raise AccountError(_TOO_LATE)
    secret = enrolment.secret

    def turn() -> Response:
        codes = services.second_factors.turn_on(account, secret, code, login_token(request))
        services.enrolments.end(key)
        log.info("a second factor was turned on")
        return _codes_page(request, codes)

    page = partial(_enrolment_page, request, account, key, secret)
    return await checked_form(asker(request, services, account.name, STEP), services, turn, page)


@router.post(f"{ENROLMENT_PAGE}/off", dependencies=[_WITH_PASSWORD])
async def turn_off(
    request: Request, services: ServicesDep, account: AccountDep, password: TextField = ""
) -> Response:
    """Turn off the second factor; all other logins of the account end."""

    def turn() -> Response:
        services.second_factors.turn_off(account, login_token(request))
        log.info("a second factor was turned off")
        return RedirectResponse(SECTION, 303)

    return await _with_password(request, services, account, password, turn)


@router.post(f"{ENROLMENT_PAGE}/codes", dependencies=[_WITH_PASSWORD])
async def renew_codes(
    request: Request, services: ServicesDep, account: AccountDep, password: TextField = ""
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
    """Run an action after checking the account's password; failures count as failed logins."""

    def check() -> Response:
        services.accounts.check_own_password(account, password)
        return do()

    return await services.login_throttle.checked(asker(request, services, account.name), check)


def _enrolment_page(
    request: Request,
    account: AccountDep,
    key: str,
    secret: str,
    error: AffectEdgeError | None = None,
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
        refused=Refused.by(request, error, {"code": ""}) if error else NOTHING_REFUSED,
    )


def _codes_page(request: Request, codes: list[str]) -> Response:
    return render(request, "recovery_codes.html", codes=codes)
