"""Log-in by a password, by a trusted proxy or by the link of the demonstration, and log-out."""

from __future__ import annotations

import logging
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import Permission
from dashboard.languages.names import said_of
from dashboard.web.authentication import LOGIN_COOKIE, account_of, drop_cookie, login_token
from dashboard.web.entering import HOME, TextField, asker, came_from, enter, go_on, home_of
from dashboard.web.forms import NOTHING_REFUSED, Refused
from dashboard.web.guards.addresses import address_of, is_one_of, peer_of
from dashboard.web.guards.hosts import name_from_proxy
from dashboard.web.guards.login_throttle import HeldUpError, refused_page
from dashboard.web.guards.permissions import needs
from dashboard.web.guards.security import safe_next
from dashboard.web.rendering import keep_choice, render
from dashboard.web.services import Services, ServicesDep
from edge_agent.core.errors import AffectEdgeError

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OPEN)])

NextField = Annotated[str, Form(alias="next", max_length=2000)]


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
        return await services.login_throttle.checked(asker(request, services, name), check)
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
