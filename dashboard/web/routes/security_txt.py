"""Whom to tell of a weakness, where programs look for it (RFC 9116)."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from fastapi.responses import PlainTextResponse

from dashboard.accounts.roles import Permission
from dashboard.web.guards.permissions import needs
from edge_agent.core.support import read_support

router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OPEN)])


@router.get("/.well-known/security.txt")
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
