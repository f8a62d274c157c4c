"""Log-in with its code, setup, log-out, and the one-time links of the demonstration and of a new
account.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.accounts import language_of_account
from dashboard.accounts.logins import browser_name
from dashboard.accounts.members import LINK_PATH
from dashboard.accounts.passwords import PASSWORD_MAX, PASSWORD_MIN, WRONG, Accepted, AccountError
from dashboard.accounts.roles import ABOUT, MAY, Account, CameFrom, Permission, StaleError
from dashboard.languages.current import gettext
from dashboard.languages.names import said_of
from dashboard.web.forms import NOTHING_REFUSED, Refused
from dashboard.web.guards.addresses import address_of, is_one_of, peer_of
from dashboard.web.guards.hosts import name_from_proxy
from dashboard.web.guards.login_gate import Asker, HeldUpError, refused_page
from dashboard.web.guards.permissions import needs
from dashboard.web.guards.security import safe_next
from dashboard.web.login import (
    DEVICE_COOKIE,
    DEVICE_SECONDS,
    HALF_LOGIN_COOKIE,
    LOGIN_COOKIE,
    account_of,
    cookie_of,
    drop_cookie,
    login_token,
    set_cookie,
)
from dashboard.web.rendering import keep_choice, render
from dashboard.web.services import HALF_LOGIN_S, HalfLogin, Services, ServicesDep
from dashboard.web.services import services as services_of
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.texts import N_

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OPEN)])
HOME = "/live"
PEOPLE = "/people"
FIRST_STEPS = "/first-steps"
CODE_PAGE = "/login/code"
STEP = "second factor"
"""Under which name wrong codes are counted: apart from passwords, which a right one forgives."""

NextField = Annotated[str, Form(alias="next", max_length=2000)]
TextField = Annotated[str, Form(max_length=1000)]


def home_of(account: Account) -> str:
    """Return the first page of an account: a carer looks at people, and not at the appliance."""
    return HOME if Permission.SEE in MAY[account.role] else PEOPLE


@router.get("/login")
async def login_page(
    request: Request,
    services: ServicesDep,
    target: Annotated[str, Query(alias="next", max_length=2000)] = "",
    link: Annotated[str | None, Query(max_length=200)] = None,
    left: bool = False,
) -> Response:
    """Show the login form; with ``link`` log in the first visitor of the demo.

    Before setup lead there. Whom a trusted proxy names is logged in without the form, except just
    after they have logged out (``left``).
    """
    if link is not None:
        return await _follow_link(request, services, link)
    return await run_in_threadpool(_login_page, request, services, target, left)


def _login_page(request: Request, services: Services, target: str, has_left: bool) -> Response:
    account = account_of(request)
    if account is not None:
        return RedirectResponse(safe_next(target, home_of(account)), 303)
    if services.accounts.needs_setup():
        return RedirectResponse("/setup", 303)
    named = name_from_proxy(request, services.options.proxy)
    if not named or has_left:
        return _login_form(request, target, proxied=named)
    try:
        account = services.accounts.named_by_proxy(named)
        return go_on(request, services, account, safe_next(target, home_of(account)))
    except AccountError as error:
        return _login_form(request, target, "", error, 403)


async def _follow_link(request: Request, services: Services, link: str) -> Response:
    known = await run_in_threadpool(account_of, request)
    if known is not None:
        return RedirectResponse(home_of(known), 303)  # coming back with the same link is no error

    def follow() -> Response:
        account = services.accounts.follow_link(link)
        return enter(request, services, account, HOME)

    try:
        # Nothing is counted: any other site's page can ask for wrong links here and would use up
        # the attempts of its reader's address. A link has 192 random bits, which nobody guesses.
        return await run_in_threadpool(follow)
    except AccountError as error:
        raise HTTPException(403, said_of(error)) from error


@router.post("/login")
async def log_in(
    request: Request,
    services: ServicesDep,
    name: TextField = "",
    password: TextField = "",
    target: NextField = "",
) -> Response:
    """Check name and password and open a login."""

    def check() -> Response:
        account = services.accounts.check_password(name, password)
        return go_on(request, services, account, safe_next(target, home_of(account)))

    try:
        return await services.gate.checked(asker(request, services, name), check)
    except (HeldUpError, AccountError) as error:
        if isinstance(error, AccountError):
            address = address_of(request)
            log.warning("login refused from %s", address)
            proxies = services.options.proxy_addresses
            is_known = is_one_of(peer_of(request), proxies)
            if "x-forwarded-for" in request.headers and not is_known:
                log.warning(
                    "%s tells for whom it asks: if it is your proxy, name it in "
                    "dashboard.proxy_addresses; until then all its visitors count as one",
                    address,
                )
            await run_in_threadpool(services.accounts.note_failure, name, came_from(request))
        return await refused_page(partial(_login_form, request, target, name), error, 401)


def _login_form(
    request: Request,
    target: str,
    name: str = "",
    error: AffectEdgeError | None = None,
    status: int = 200,
    proxied: str = "",
) -> Response:
    """Return the page that asks for name and password."""
    return render(
        request,
        "login.html",
        status,
        target=safe_next(target, ""),
        refused=Refused.by(request, error, {"name": name}) if error else NOTHING_REFUSED,
        proxied=proxied,
    )


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
        return await services.gate.checked(asker(request, services, account.name, STEP), check)
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


@router.post("/logout", dependencies=[needs(Permission.OWN)])
def log_out(request: Request, services: ServicesDep) -> Response:
    """End the login."""
    token = login_token(request)
    if token:
        services.accounts.log_out(token)
    response = RedirectResponse("/login?left=true" if services.options.proxy else "/login", 303)
    drop_cookie(response, LOGIN_COOKIE, services.options)
    keep_choice(request, response, "", services.options)
    return response


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


@router.get(LINK_PATH)
def welcome(
    request: Request, services: ServicesDep, link: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """Show the form in which a password is chosen; looking does not spend the link.

    Nothing is hashed and nothing is counted here: a link is too long to be guessed.
    """
    return _welcome_page(request, services, link)


@router.post(LINK_PATH)
async def choose_password(
    request: Request,
    services: ServicesDep,
    link: TextField = "",
    new: TextField = "",
    again: TextField = "",
) -> Response:
    """Set the password, spend the link, and log in."""

    def accept() -> Accepted:
        if new != again:
            raise AccountError(N_("The two passwords differ. Nothing was changed."), field="again")
        return services.members.accept_new(link, new)

    page = partial(_welcome_page, request, services, link)
    good: str | Accepted = new
    # A wrong link is refused in its turn, where it counts, before anything is computed.
    if await run_in_threadpool(services.members.is_link, link):
        try:
            # Before its turn: it waits for a computation, for which no log-in must wait.
            good = await run_in_threadpool(accept)
        except AccountError as error:
            return await refused_page(page, error, 400)

    def choose() -> Response:
        account = services.members.redeem(link, good)
        return go_on(request, services, account, home_of(account))

    return await checked_form(Asker(address_of(request)), services, choose, page)


def _welcome_page(
    request: Request,
    services: Services,
    link: str,
    refused_by: AffectEdgeError | None = None,
    status: int = 200,
) -> Response:
    """Show the form, or why the link opens nothing."""
    try:
        account = services.members.holder_of(link)
    except AccountError as error:
        title = gettext("This link is not valid")
        return render(request, "error.html", max(status, 403), title=title, text=said_of(error))
    refused = NOTHING_REFUSED
    if refused_by:
        refused = Refused.by(request, refused_by, {"new": "", "again": ""}, {"password": "new"})
    return render(
        request,
        "welcome.html",
        status,
        refused=refused,
        name=account.name,
        role=account.role,
        about=ABOUT[account.role],
        link=link,
        least=PASSWORD_MIN,
        most=PASSWORD_MAX,
    )


async def checked_form(
    asked: Asker,
    services: Services,
    do: Callable[[], Response],
    page: Callable[[AffectEdgeError, int], Response],
) -> Response:
    """Run the action of a form, counted as an attempt; if refused, show the reason on its page."""
    try:
        return await services.gate.checked(asked, do)
    except (HeldUpError, AccountError) as error:
        return await refused_page(page, error, 400)


def asker(request: Request, services: Services, name: str = "", step: str = "") -> Asker:
    """Return the sender of a log-in attempt, as the login gate counts it."""
    cookie = cookie_of(request, DEVICE_COOKIE, services.options)
    # Looked up by the guard already; nobody is looked up for a public page.
    account = getattr(request.state, "account", None)
    is_own = account is not None and account.name == name
    return Asker(address_of(request), name, cookie, step, is_own)


def go_on(request: Request, services: Services, account: Account, target: str) -> Response:
    """Open a login after the right password, or ask for the code of the second factor first."""
    if not account.has_second_factor:
        return enter(request, services, account, target)
    options = services.options
    key = services.half_logins.keep(HalfLogin(account, account.stamp, target), account.id)
    response = RedirectResponse(CODE_PAGE, 303)
    set_cookie(response, HALF_LOGIN_COOKIE, key, HALF_LOGIN_S, options)
    return response


def enter(request: Request, services: Services, account: Account, target: str) -> Response:
    """Open a login in this browser, in the place of the one that it had."""
    options = services.options
    response = RedirectResponse(target, 303)
    token = services.accounts.log_in(account, login_token(request), came_from(request))
    set_cookie(response, LOGIN_COOKIE, token, options.session_hours * 3600, options)
    device = services.gate.devices.cookie_for(account.name)
    set_cookie(response, DEVICE_COOKIE, device, DEVICE_SECONDS, options)
    choice = language_of_account(options.database, account.id)
    keep_choice(request, response, choice, options)
    return response


def came_from(request: Request) -> CameFrom:
    """Return where a request comes from, as it is kept with a login."""
    agent = request.headers.get("user-agent", "")
    address = address_of(request)
    if name_from_proxy(request, services_of(request).options.proxy):
        proxy = peer_of(request)
        address = f"the proxy at {proxy}" + (f", for {address}" if address != proxy else "")
    return CameFrom(address, browser_name(agent))
