"""The account of the logged-in user: password, language, logins and second factor.

Each change of the second factor asks for the password. The second half of a login, the code, has
its page here, too.
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
from dashboard.web.delivery import qr_code
from dashboard.web.forms import NOTHING_REFUSED, Refused
from dashboard.web.guards.addresses import address_of
from dashboard.web.guards.login_gate import HeldUpError, refused_page
from dashboard.web.guards.permissions import lacks_second_factor, needs
from dashboard.web.login import HALF_LOGIN_COOKIE, AccountDep, cookie_of, drop_cookie, login_token
from dashboard.web.rendering import keep_choice, render
from dashboard.web.routes.login import CODE_PAGE, asker, came_from, checked_form, enter
from dashboard.web.services import Enrolment, HalfLogin, Services, ServicesDep
from dashboard.web.services import services as services_of
from edge_agent.core.errors import AffectEdgeError, StoreError
from edge_agent.core.texts import N_

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OWN)])
PAGE = "/account"
_NEW_PASSWORD = ("old", "new", "again")

TextField = Annotated[str, Form(max_length=1000)]
STEP = "second factor"
"""Under which name wrong codes are counted: apart from passwords, which a right one forgives."""
ENROLMENT_PAGE = f"{PAGE}/second-factor"
SECTION = f"{PAGE}#second-factor"
_TOO_LATE = N_("That took more than fifteen minutes. Start again; nothing was changed.")


@router.get(PAGE)
def account_page(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    changed: Annotated[bool, Query()] = False,
) -> Response:
    """Show the logged-in account, its logins, and the form to change the password."""
    message = N_("The password was changed. Every other device has to log in again.")
    return account_answer(request, services, account, message if changed else "")


@router.post(f"{PAGE}/password")
async def change_password(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    old: TextField = "",
    new: TextField = "",
    again: TextField = "",
) -> Response:
    """Change the password of the logged-in account; all its other logins end."""

    def change() -> Response:
        if new != again:
            raise AccountError(
                N_("The two new passwords differ. Nothing was changed."), field="again"
            )
        services.accounts.change_password(account, old, new, login_token(request))
        log.info("a password was changed")
        return RedirectResponse(f"{PAGE}?changed=1", 303)

    def page(error: AffectEdgeError, status: int) -> Response:
        refused = Refused.by(request, error, dict.fromkeys(_NEW_PASSWORD, ""), {"password": "new"})
        return account_answer(request, services, account, refused=refused, status=status)

    return await checked_form(asker(request, services, account.name), services, change, page)


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
    message: str = "",
    refused: Refused = NOTHING_REFUSED,
    status: int = 200,
) -> Response:
    """Return the page of an account: with what was done, or with a form that was refused."""
    accounts = services.accounts
    return render(
        request,
        "account.html",
        status,
        message=message,
        refused=refused,
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


code_router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OPEN)])


@code_router.get(CODE_PAGE)
def code_page(request: Request, services: ServicesDep) -> Response:
    """Show the form for the code; redirect to the login if no right password came before."""
    if services.half_logins.of(_key(request, services)) is None:
        return RedirectResponse("/login", 303)
    return _form(request)


@code_router.post(CODE_PAGE)
async def give_code(
    request: Request, services: ServicesDep, code: Annotated[str, Form(max_length=100)] = ""
) -> Response:
    """Check the code and open the login."""
    key = _key(request, services)
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
        return await services.gate.checked(asker(request, services, account.name, STEP), check)
    except _StaleError:
        services.half_logins.end(key)
        return RedirectResponse("/login", 303)
    except (HeldUpError, AccountError) as error:
        if isinstance(error, AccountError):
            log.warning("code refused from %s", address_of(request))
            whence = str(came_from(request))
            note = services.commands.note
            await run_in_threadpool(note, account.name, "second_factor_failed", whence)
        return await refused_page(partial(_form, request), error, 401)


class _StaleError(AccountError):
    """Password, account or second factor changed meanwhile."""


def _refuse_old(services: Services, half: HalfLogin) -> None:
    if services.second_factors.stamp_of(half.account) != half.stamp:
        raise _StaleError


def _key(request: Request, services: Services) -> str:
    return cookie_of(request, HALF_LOGIN_COOKIE, services.options)


def _form(request: Request, error: AffectEdgeError | None = None, status: int = 200) -> Response:
    refused = Refused.by(request, error, {"code": ""}) if error else NOTHING_REFUSED
    return render(request, "login_code.html", status, refused=refused)


CodeField = Annotated[str, Form(max_length=100)]


@router.post(ENROLMENT_PAGE)
async def begin(
    request: Request, services: ServicesDep, account: AccountDep, password: TextField = ""
) -> Response:
    """Show the secret as QR code and text, after checking the password."""

    def show() -> Response:
        if account.has_second_factor:
            return RedirectResponse(SECTION, 303)
        secret = new_secret()
        key = services.enrolments.keep(Enrolment(account.id, secret))
        return _enrolment_page(request, account, key, secret)

    return await _with_password(request, services, account, password, show)


@router.post(f"{ENROLMENT_PAGE}/on")
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
        return await refused_page(
            partial(_factor_page, request, services, account), AccountError(_TOO_LATE), 400
        )
    secret = enrolment.secret

    def turn() -> Response:
        codes = services.second_factors.turn_on(account, secret, code, login_token(request))
        services.enrolments.end(key)
        log.info("a second factor was turned on")
        return _codes_page(request, codes)

    page = partial(_enrolment_page, request, account, key, secret)
    return await checked_form(asker(request, services, account.name, STEP), services, turn, page)


@router.post(f"{ENROLMENT_PAGE}/off")
async def turn_off(
    request: Request, services: ServicesDep, account: AccountDep, password: TextField = ""
) -> Response:
    """Turn off the second factor; all other logins of the account end."""

    def turn() -> Response:
        services.second_factors.turn_off(account, login_token(request))
        log.info("a second factor was turned off")
        return RedirectResponse(SECTION, 303)

    return await _with_password(request, services, account, password, turn)


@router.post(f"{ENROLMENT_PAGE}/codes")
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

    page = partial(_factor_page, request, services, account)
    return await checked_form(asker(request, services, account.name), services, check, page)


def _factor_page(
    request: Request, services: Services, account: Account, error: AffectEdgeError, status: int
) -> Response:
    refused = Refused.by(request, error, {"password": ""}, {"old": "password"})
    return account_answer(request, services, account, refused=refused, status=status)


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
