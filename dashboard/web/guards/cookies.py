"""The cookies of the dashboard: their names and how they are set."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from dashboard.web.settings import DashboardOptions

LOGIN_COOKIE = "affect-edge-login"
DEVICE_COOKIE = "affect-edge-device"
HALF_LOGIN_COOKIE = "affect-edge-half-login"
DEVICE_SECONDS = 180 * 86_400
_HOST = "__Host-"
"""Browsers take a cookie of such a name from this host alone, over HTTPS, and for all its paths."""


def cookie_name(name: str, options: DashboardOptions) -> str:
    """Return the full name of a cookie as this dashboard is served."""
    if options.is_secure:
        return _HOST + name
    return name


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
    """Let a browser forget a cookie."""
    response.delete_cookie(
        cookie_name(name, options), path="/", secure=options.is_secure, httponly=True
    )
