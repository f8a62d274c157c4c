"""Files that do not lie in ``static/``: Plotly from its installed package, the icon, the
description of the API.
"""

from __future__ import annotations

import functools
import gzip
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from dashboard.charts.plotly_package import plotly_address, plotly_file
from dashboard.web.rendering import HERE

router = APIRouter()
_FOR_EVER = "public, max-age=31536000, immutable"


@router.get(plotly_address(), include_in_schema=False)
def plotly(request: Request) -> Response:
    """Send Plotly's script, compressed where the browser takes it: 1.5 MB instead of 4.8 over a
    Pi's radio.
    """
    headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return FileResponse(plotly_file(), media_type="text/javascript", headers=headers)
    return Response(
        _plotly_gzip(), media_type="text/javascript", headers=headers | {"Content-Encoding": "gzip"}
    )


@router.get("/favicon.ico", include_in_schema=False)
def favicon() -> Response:
    """Send the icon to browsers that do not read the page's own link."""
    return FileResponse(HERE / "static" / "icon.svg", media_type="image/svg+xml")


@router.get("/api/v1/openapi.json", include_in_schema=False)
def description(request: Request) -> dict[str, Any]:
    """Describe the API as OpenAPI 3."""
    document: dict[str, Any] = request.app.openapi()
    return document


@functools.cache
def _plotly_gzip() -> bytes:
    return gzip.compress(plotly_file().read_bytes(), compresslevel=6, mtime=0)
