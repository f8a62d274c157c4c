"""What lies in ``static/``, sent compressed, and under an address that names its content kept by
browsers for a year.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import os
from pathlib import Path

from jinja2.ext import Extension
from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

STATIC = Path(__file__).parents[1] / "static"
FOR_EVER = "public, max-age=31536000, immutable"
_CHECKED = "public, no-cache"
_SENT_AS_THEY_ARE = ("/static/", "/export/", "/api/v1/export", "/api/v1/preview")
"""Compressed by themselves, or too large to be compressed while they are sent."""


@functools.cache
def static_name() -> str:
    """Return a name that changes whenever a file in ``static/`` does.

    One name for all of them: scripts load each other by relative addresses, so that none is ever
    used beside an older one.
    """
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(STATIC).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class NamedAddresses(Extension):
    """Of templates: addresses below ``/static/`` get the name of the present content."""

    def preprocess(
        self,
        source: str,
        name: str | None,  # noqa: ARG002 - Jinja's name
        filename: str | None = None,  # noqa: ARG002 - Jinja's name
    ) -> str:
        """Return the text of a template with those addresses."""
        return source.replace('"/static/', f'"/static/{static_name()}/')


class KeptFiles(StaticFiles):
    """The folder ``static/``, asked for with and without the name of its content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file, which browsers keep for a year where its address names it."""
        plain = path.removeprefix(static_name() + os.sep)
        response = await super().get_response(plain, scope)
        named = plain != path and response.status_code < 400
        response.headers["Cache-Control"] = FOR_EVER if named else _CHECKED
        return response

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Answer compressed where the browser takes it and has no copy to compare."""
        headers = Headers(scope=scope)
        plain = super().file_response(full_path, stat_result, scope, status_code)
        if not isinstance(plain, FileResponse) or "gzip" not in headers.get("accept-encoding", ""):
            return plain
        return compressed_file(Path(full_path), str(plain.media_type), plain.headers["etag"])


def compressed_file(file: Path, media_type: str, etag: str = "") -> Response:
    """Return the answer with a file, compressed once in the life of the dashboard."""
    headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    if etag:
        headers["ETag"] = etag
    return Response(_gzipped(file), media_type=media_type, headers=headers)


@functools.cache
def _gzipped(file: Path) -> bytes:
    return gzip.compress(file.read_bytes(), compresslevel=9, mtime=0)


class PageCompression:
    """ASGI middleware: pages and answers of the API are compressed while they are sent.

    Event streams and downloads are not: an export of a year would cost a Raspberry Pi minutes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressed = GZipMiddleware(app, compresslevel=6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, by way of the compression or not."""
        as_it_is = scope["type"] != "http" or scope["path"].startswith(_SENT_AS_THEY_ARE)
        await (self._app if as_it_is else self._compressed)(scope, receive, send)
