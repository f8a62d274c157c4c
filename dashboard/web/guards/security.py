"""Guards of every response and every change: response headers, same-origin check, size of a body,
safe redirects.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.languages.current import gettext
from edge_agent.core.pictures import MAX_BYTES

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
BODY_BYTES = 1024 * 1024
LARGER = {
    # A file, and the form around it.
    **dict.fromkeys(("/readings/import", "/study/import"), 21 * 1024 * 1024),
    "/api/v1/picture": MAX_BYTES,
    # Streamed to the disk: films of a protocol.
    "/api/v1/protocols/upload": 1024**3,
}
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": with that, browsers send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
IN_A_FRAME = {
    # A program of the laboratory: it may load its own files and nothing of ours, belongs to no
    # origin (sandbox), and stands in no page but ours. Its forms tell its script what was typed
    # (allow-forms), and are sent nowhere (form-action).
    "Content-Security-Policy": "; ".join(
        (
            "sandbox allow-scripts allow-forms",
            "default-src 'none'",
            "script-src 'self' 'unsafe-inline'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'self'",
        )
    ),
    "X-Frame-Options": "SAMEORIGIN",
    # To a page without an origin its own files are foreign.
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "null",
    "Referrer-Policy": "no-referrer",
}
"""Headers of an experiment's files, instead of those in ``HEADERS``."""
STRICT = {"Strict-Transport-Security": "max-age=31536000"}
_COSTLY_TO_READ = ("/export/download", "/api/v1/export", "/audit/download")
"""Where reading changes something: an export is prepared or spent, and a line of the audit
written.
"""


class SecurityHeaders:
    """ASGI middleware: puts ``HEADERS`` on every answer and keeps health data out of caches unless
    a route says so.

    Args:
        app: the application.
        strict: tell browsers to ask by HTTPS only for a year; for a certificate that they trust.
    """

    def __init__(self, app: ASGIApp, strict: bool = False) -> None:
        self._app = app
        self._headers = HEADERS | STRICT if strict else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add the headers to what comes back."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class BodyLimit:
    """ASGI middleware: a request whose body is larger than ``BODY_BYTES`` is refused before it
    fills the memory.

    The paths in ``LARGER`` have limits of their own.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; whoever reads too large a body gets an ``HTTPException`` 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        limit = LARGER.get(scope["path"], BODY_BYTES)
        # Cut, since Python refuses to read a number of thousands of digits.
        declared = int(length[:18]) if length.isdecimal() else 0
        read = declared if declared > limit else 0

        async def receive_limited() -> Message:
            nonlocal read
            # What was declared too large is refused without reading any of it.
            if read <= limit:
                message = await receive()
                read += len(message.get("body", b""))
            if read > limit:
                raise HTTPException(
                    413,
                    gettext("The request is larger than {limit} KiB. Send less at a time.").format(
                        limit=limit // 1024
                    ),
                )
            return message

        await self._app(scope, receive_limited, send)


def require_same_origin(request: Request) -> None:
    """Refuse changes that a page of another origin asks for (cross-site request forgery).

    Browsers say where a request comes from in ``Sec-Fetch-Site`` and ``Origin``, old ones in
    ``Referer``; programs that send none of them carry no cookie that a foreign page could misuse.

    Raises:
        HTTPException: 403 when the request comes from elsewhere.
    """
    reads = request.method in {"GET", "HEAD", "OPTIONS"}
    if reads and not request.url.path.startswith(_COSTLY_TO_READ):
        return
    site = request.headers.get("sec-fetch-site")
    page = request.headers.get("origin", request.headers.get("referer"))
    # "none": the address was typed, or opened from a bookmark.
    if site in {"same-origin", "none"}:
        return
    # Browsers that do not send the header yet; programs send none.
    if site is None and (page is None or _host_of(page) == request.headers.get("host")):
        return
    raise HTTPException(
        403,
        gettext(
            "This request came from another page, so nothing was changed or sent. Open "
            "the dashboard itself and try again."
        ),
    )


def _host_of(address: str) -> str:
    """Return host and port of an address; empty: it is none."""
    try:
        return urlsplit(address).netloc
    except ValueError:  # such as a bracket that is not closed
        return ""


def safe_next(target: str | None, default: str = "/") -> str:
    """Return ``target`` when it is a path of this dashboard, else ``default``, so that a link
    cannot lead elsewhere.
    """
    # Two slashes begin the name of another host.
    if not target or not target.startswith("/") or target.startswith("//"):
        return default
    # Browsers take a backslash for a slash, and leave control characters out.
    if "\\" in target or any(ord(character) < 32 or ord(character) == 127 for character in target):
        return default
    return target
