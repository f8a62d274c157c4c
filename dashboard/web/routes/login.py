"""First setup, login, the one-time link, logout."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response

from dashboard.accounts.accounts import PASSWORD_MAX, PASSWORD_MIN, Account, AccountError
from dashboard.web.attempt_limiter import address_of, too_many, with_wait
from dashboard.web.login_guard import LOGIN_COOKIE, account_of
from dashboard.web.rendering import render
from dashboard.web.security import safe_next
from dashboard.web.services import Services, ServicesDep

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False)
_HOME = "/live"

NextField = Annotated[str, Form(alias="next", max_length=2000)]
TextField = Annotated[str, Form(max_length=1000)]


@router.get("/login")
def login_page(
    request: Request,
    services: ServicesDep,
    target: Annotated[str, Query(alias="next", max_length=2000)] = "",
    link: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Show the login form; with ``link`` log in the first visitor of the demo.

    Before setup lead there.
    """
    if link is not None:
        return _follow_link(request, services, link)
    if account_of(request) is not None:
        return RedirectResponse(safe_next(target, _HOME), 303)
    if services.accounts.needs_setup():
        return RedirectResponse("/setup", 303)
    return _form(request, target)


@router.post("/login")
def log_in(
    request: Request,
    services: ServicesDep,
    name: TextField = "",
    password: TextField = "",
    target: NextField = "",
) -> Response:
    """Check name and password and open a login."""
    wait = services.attempts.attempt(address_of(request))
    if wait:
        return _form(request, target, name, too_many(wait), 429, wait)
    try:
        account = services.accounts.check_password(name, password)
    except AccountError as error:
        log.warning("login refused from %s", address_of(request))
        return _form(request, target, name, str(error), 401)
    services.attempts.forgive(address_of(request))
    return _enter(services, account, safe_next(target, _HOME))


@router.get("/setup")
def setup_page(request: Request, services: ServicesDep) -> Response:
    """Show the form that makes the first account; afterwards there is no such page."""
    if not services.accounts.needs_setup():
        raise HTTPException(404)
    return _setup_form(request)


@router.post("/setup")
def set_up(
    request: Request,
    services: ServicesDep,
    code: TextField = "",
    name: TextField = "",
    password: TextField = "",
) -> Response:
    """Make the first account with the code that the terminal shows, and log it in."""
    wait = services.attempts.attempt(address_of(request))
    if wait:
        return _setup_form(request, name, too_many(wait), 429, wait)
    try:
        account = services.accounts.set_up(code, name, password)
    except AccountError as error:
        return _setup_form(request, name, str(error), 400)
    services.attempts.forgive(address_of(request))
    log.info("setup is done")
    return _enter(services, account, _HOME)


@router.post("/logout")
def log_out(request: Request, services: ServicesDep) -> Response:
    """End the login."""
    token = request.cookies.get(LOGIN_COOKIE)
    if token:
        services.accounts.log_out(token)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(LOGIN_COOKIE, path="/")
    return response


def _follow_link(request: Request, services: Services, link: str) -> Response:
    if account_of(request) is not None:  # coming back with the same link is no reason for an error
        return RedirectResponse(_HOME, 303)
    wait = services.attempts.attempt(address_of(request))
    if wait:
        raise HTTPException(429, too_many(wait), {"Retry-After": str(wait)})
    try:
        account = services.accounts.follow_link(link)
    except AccountError as error:
        raise HTTPException(403, str(error)) from error
    services.attempts.forgive(address_of(request))
    return _enter(services, account, _HOME)


def _enter(services: Services, account: Account, target: str) -> Response:
    response = RedirectResponse(target, 303)
    response.set_cookie(
        LOGIN_COOKIE,
        services.accounts.log_in(account),
        max_age=services.options.session_hours * 3600,
        path="/",
        secure=services.options.is_secure,
        httponly=True,
        samesite="lax",
    )
    return response


def _form(
    request: Request,
    target: str,
    name: str = "",
    problem: str = "",
    status: int = 200,
    wait: int = 0,
) -> Response:
    response = render(
        request, "login.html", status, target=safe_next(target, ""), name=name, problem=problem
    )
    return with_wait(response, wait)


def _setup_form(
    request: Request, name: str = "", problem: str = "", status: int = 200, wait: int = 0
) -> Response:
    response = render(
        request,
        "setup.html",
        status,
        name=name,
        problem=problem,
        least=PASSWORD_MIN,
        most=PASSWORD_MAX,
    )
    return with_wait(response, wait)
