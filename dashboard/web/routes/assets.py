"""Files that do not lie in ``static/``: the icon, the description of the API and its page, and
``security.txt`` (RFC 9116), which names the address for reports of weaknesses.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response

from dashboard.accounts.roles import Permission
from dashboard.web.delivery import keep_page
from dashboard.web.guards.permissions import needs
from dashboard.web.reference import groups_of
from dashboard.web.rendering import HERE, render
from edge_agent.core.support import read_support

router = APIRouter()


@router.get("/favicon.ico", include_in_schema=False, dependencies=[needs(Permission.OPEN)])
def favicon() -> Response:
    """Send the icon to browsers that do not read the page's own link."""
    return FileResponse(HERE / "static" / "icon.svg", media_type="image/svg+xml")


@router.get("/api/v1/openapi.json", include_in_schema=False, dependencies=[needs(Permission.SEE)])
def description(request: Request) -> dict[str, Any]:
    """Describe the API as OpenAPI 3."""
    document: dict[str, Any] = request.app.openapi()
    return document


@router.get("/docs", include_in_schema=False, dependencies=[needs(Permission.SEE)])
def reference(request: Request) -> Response:
    """Show the description of the API to people."""
    groups = groups_of(request.app.openapi())
    address = str(request.base_url).rstrip("/")
    page = render(request, "reference.html", now_ms=None, groups=groups, address=address)
    return keep_page(request, page)


security_txt_router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OPEN)])


@security_txt_router.get("/.well-known/security.txt")
def security_txt() -> PlainTextResponse:
    """Show the address for reports, and until when it holds; without a login."""
    support = read_support()
    if not support.contact or support.until is None:
        raise HTTPException(404)
    lines = [
        f"Contact: {support.contact}",
        f"Expires: {support.until.isoformat()}T23:59:59Z",
        "Preferred-Languages: en",
    ]
    return PlainTextResponse("\n".join([*lines, ""]))
