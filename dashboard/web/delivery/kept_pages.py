"""Pages that hold nothing of a study: the browser keeps them, and asks whether they are still so.

Every other page is ``no-store``, for what a browser keeps lies on its disk, readable for whoever
uses the machine next.
"""

from __future__ import annotations

import hashlib

from fastapi import Request
from starlette.responses import HTMLResponse, Response

_KEPT = "private, no-cache"  # by this browser alone, and never shown without asking


def keep_page(request: Request, page: HTMLResponse) -> Response:
    """Return the page with its ETag, or 304 where the browser has it already.

    Render it with ``now_ms=None``: with the time of the answer in it no two are alike. The ETag is
    of the whole page, with navigation and name of the account: after another log-in it differs.

    Example:
        >>> return keep_page(request, render(request, "statistics.html", now_ms=None))
    """
    etag = f'W/"{hashlib.sha256(page.body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": _KEPT, "Vary": "Cookie, Accept-Language"}
    known = request.headers.get("if-none-match", "")
    if page.status_code == 200 and etag in [one.strip() for one in known.split(",")]:
        return Response(status_code=304, headers=headers)
    page.headers.update(headers)
    return page
