"""Logins of requests: their cookies, the addresses that need none, and the guard of the others.

The rows of logins belong to ``dashboard.accounts.accounts``. A program brings a token instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast
from urllib.parse import quote

from fastapi import Depends, Request
from starlette.responses import Response

from dashboard.accounts.members import LINK_PATH
from dashboard.accounts.roles import Account, Permission, Scope
from dashboard.accounts.tokens import PREFIX
from dashboard.web.guards.addresses import address_of
from dashboard.web.guards.hosts import name_from_proxy
from dashboard.web.guards.permissions import account_for, may, permission_of, scope_of, secret_in
from dashboard.web.options import PORT, DashboardOptions
from dashboard.web.services import Services, services

LOGIN_COOKIE = "affect-edge-login"
DEVICE_COOKIE = "affect-edge-device"
HALF_LOGIN_COOKIE = "affect-edge-half-login"
DEVICE_SECONDS = 180 * 86_400
_HOST = "__Host-"
"""Browsers take a cookie of such a name from this host alone, over HTTPS, and for all its paths."""
PUBLIC_PATHS = frozenset(
    {
        "/login",
        "/login/code",  # wants the right password of before
        "/setup",
        LINK_PATH,  # wants a one-time link
        "/healthz",
        "/favicon.ico",
        "/.well-known/security.txt",
    }
)
# a participant's page is opened by the token in its address
PUBLIC_PREFIXES = ("/static/", "/participate/")


def cookie_name(name: str, options: DashboardOptions) -> str:
    """Return the full name of a cookie as this dashboard is served.

    Browsers send a cookie to every port of its host. So a port that is not the usual one is part of
    the name: a log-in at a second dashboard of a machine replaces none at the first.
    """
    if options.port != PORT:
        name = f"{name}-{options.port}"
    return _HOST + name if options.is_secure else name


def cookie_of(request: Request, name: str, options: DashboardOptions) -> str:
    """Return the value of a cookie that came with a request; empty without one."""
    return request.cookies.get(cookie_name(name, options), "")


def set_cookie(
    response: Response, name: str, value: str, seconds: int, options: DashboardOptions
) -> None:
    """Give a browser a cookie that no script can read and no other site can send with a form."""
    response.set_cookie(
        cookie_name(name, options),
        value,
        max_age=seconds,
        path="/",
        secure=options.is_secure,
        httponly=True,
        samesite="lax",
    )


def drop_cookie(response: Response, name: str, options: DashboardOptions) -> None:
    """Delete a cookie in the browser."""
    response.delete_cookie(
        cookie_name(name, options), path="/", secure=options.is_secure, httponly=True
    )


class LoginNeededError(Exception):
    """Nobody is logged in; becomes 401 for programs and a redirect to the login page for people."""

    def __init__(self, location: str) -> None:
        super().__init__("login needed")
        self.location = location


def login_token(request: Request) -> str:
    """Return the token of the login that a request comes with; empty without one."""
    return cookie_of(request, LOGIN_COOKIE, services(request).options)


def key_of(request: Request) -> str:
    """Return the secret of the login or of the token that a request comes with, for streams that
    look again later whether it still holds.
    """
    return secret_in(request) or login_token(request)


@dataclass(frozen=True, slots=True)
class Pass:
    """The right by which a request was let in, asked again while its answer goes on.

    Attributes:
        key: the secret of its login or token.
        permission: what its route needs.
        scope: what its route needs of a token.
    """

    key: str
    permission: Permission
    scope: Scope = Scope.READ


def pass_of(request: Request) -> Pass:
    """Return the right of a request: its secret, and what its route declares."""
    route = request.scope["route"]
    permission = permission_of(route)
    assert permission is not None, "check_declared refuses such a route"
    return Pass(key_of(request), permission, scope_of(route))


def still_holds(services: Services, held: Pass) -> bool:
    """Tell whether a login or token is still in force and still has the permission.

    Raises:
        StoreError: the database cannot be read.
    """
    if held.key.startswith(PREFIX):
        token = services.tokens.tokens.find(held.key)
        return (
            token is not None
            and held.scope in token.scopes
            and held.permission in token.permissions
        )
    account = services.accounts.of_token(held.key)
    return account is not None and may(account, held.permission, services.options)


def account_of(request: Request) -> Account | None:
    """Return the account of a request, looked up once; that of its token where it brings one.

    Raises:
        HTTPException: 401 for a token that is not in force, 429 after too many requests with it.
    """
    if not hasattr(request.state, "account"):
        request.state.account = None
        secret = secret_in(request)
        if secret is None:
            request.state.account = _of_login(request, login_token(request))
        else:
            request.state.token = services(request).tokens.admit(secret, address_of(request))
            request.state.account = account_for(request.state.token)
        if request.state.account is not None:
            known = services(request).known_secrets
            known.add(secret or login_token(request), request.state.account.name)
    return cast("Account | None", request.state.account)


def _of_login(request: Request, token: str) -> Account | None:
    """Return the account of the login; none if a trusted proxy names another user."""
    account = services(request).accounts.of_token(token) if token else None
    named = name_from_proxy(request, services(request).options.proxy)
    return None if account is not None and named not in {"", account.name} else account


def is_public(path: str) -> bool:
    """Tell whether an address needs no login."""
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_PREFIXES)


def require_login(request: Request) -> None:
    """Refuse requests without a login, except to public routes.

    A dependency of the whole application.

    Raises:
        LoginNeededError: with the address of the login page, which leads back here.
    """
    path = request.url.path
    if is_public(path) or account_of(request) is not None:
        return
    # Only a GET can be asked again after the login; what a form sent is lost.
    if request.method == "GET":
        back = path + (f"?{request.url.query}" if request.url.query else "")
    else:
        back = "/"
    raise LoginNeededError("/login" if back == "/" else f"/login?next={quote(back)}")


def current_account(request: Request) -> Account:
    """Return the logged-in account.

    Raises:
        LoginNeededError: nobody is.
    """
    account = account_of(request)
    if account is None:
        raise LoginNeededError("/login")
    return account


AccountDep = Annotated[Account, Depends(current_account)]
