"""Who is logged in: the cookie that says so, the addresses that ask nobody, and the guard of the
others.

Logins themselves are rows that ``dashboard.accounts.accounts`` writes.
"""

from __future__ import annotations

from typing import Annotated, cast
from urllib.parse import quote

from fastapi import Depends, Request

from dashboard.accounts.account_rows import Account
from dashboard.accounts.members import LINK_PATH
from dashboard.web.guards.cookies import LOGIN_COOKIE, cookie_of
from dashboard.web.services import services

PUBLIC_PATHS = frozenset(
    {
        "/login",
        "/setup",
        LINK_PATH,  # wants a one-time link
        "/healthz",
        "/favicon.ico",
        "/.well-known/security.txt",
        "/api/v1/vitals",  # wants a token
    }
)
# a participant's page is opened by the token in its address
PUBLIC_PREFIXES = ("/static/", "/participate/")


class LoginNeededError(Exception):
    """Nobody is logged in; becomes 401 for programs and a redirect to the login page for people."""

    def __init__(self, location: str) -> None:
        super().__init__("login needed")
        self.location = location


def login_token(request: Request) -> str:
    """Return the token of the login that a request comes with; empty without one."""
    return cookie_of(request, LOGIN_COOKIE, services(request).options)


def account_of(request: Request) -> Account | None:
    """Return who is logged in, looked up once in a request."""
    if not hasattr(request.state, "account"):
        token = login_token(request)
        request.state.account = services(request).accounts.of_token(token) if token else None
    return cast("Account | None", request.state.account)


def is_public(path: str) -> bool:
    """Tell whether an address asks nobody for a login."""
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_PREFIXES)


def require_login(request: Request) -> None:
    """Refuse every route but the public ones to those who are not logged in.

    A dependency of the whole application.

    Raises:
        LoginNeededError: with the address of the login page, which leads back here.
    """
    path = request.url.path
    if is_public(path) or account_of(request) is not None:
        return
    if request.method == "GET":
        back = path + (f"?{request.url.query}" if request.url.query else "")
    else:
        back = "/"
    raise LoginNeededError("/login" if back == "/" else f"/login?next={quote(back)}")


def current_account(request: Request) -> Account:
    """Return who is logged in.

    Raises:
        LoginNeededError: nobody is.
    """
    account = account_of(request)
    if account is None:
        raise LoginNeededError("/login")
    return account


AccountDep = Annotated[Account, Depends(current_account)]
