"""Entry into the dashboard: what every way has in common that ends in an open login."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Form, Request
from fastapi.responses import RedirectResponse, Response

from dashboard.accounts.accounts import language_of_account
from dashboard.accounts.logins import browser_name
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import MAY, Account, CameFrom, Permission
from dashboard.web.authentication import (
    DEVICE_COOKIE,
    DEVICE_SECONDS,
    HALF_LOGIN_COOKIE,
    LOGIN_COOKIE,
    cookie_of,
    login_token,
    set_cookie,
)
from dashboard.web.guards.addresses import address_of, peer_of
from dashboard.web.guards.hosts import name_from_proxy
from dashboard.web.guards.login_throttle import Asker, HeldUpError, refused_page
from dashboard.web.rendering import keep_choice
from dashboard.web.services import HALF_LOGIN_S, HalfLogin, Services
from dashboard.web.services import services as services_of
from edge_agent.core.errors import AffectEdgeError

HOME = "/live"
PEOPLE = "/people"
CODE_PAGE = "/login/code"
STEP = "second factor"
"""Under which name wrong codes are counted: apart from passwords, which a right one forgives."""

TextField = Annotated[str, Form(max_length=1000)]


def home_of(account: Account) -> str:
    """Return the first page of an account: a carer looks at people, and not at the appliance."""
    return HOME if Permission.SEE in MAY[account.role] else PEOPLE


async def checked_form(
    asked: Asker,
    services: Services,
    do: Callable[[], Response],
    page: Callable[[AffectEdgeError, int], Response],
) -> Response:
    """Run the action of a form, counted as an attempt; if refused, show the reason on its page."""
    try:
        return await services.login_throttle.checked(asked, do)
    except (HeldUpError, AccountError) as error:
        return await refused_page(page, error, 400)


def asker(request: Request, services: Services, name: str = "", step: str = "") -> Asker:
    """Return the sender of a log-in attempt, as the throttle of log-ins counts it."""
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
    device = services.login_throttle.devices.cookie_for(account.name)
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
