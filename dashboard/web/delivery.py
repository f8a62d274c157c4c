"""Sending files and pages to a browser: names by content, compression, caching.

Files of ``static/`` are sent compressed. Browsers keep them for a year under an address with a
hash of their content. Browsers also keep pages without study data, and revalidate them. Every other
page is ``no-store``: a cached page lies on the disk of a computer that others may use next.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import os
import re
from pathlib import Path

from fastapi import Request
from jinja2.ext import Extension
from markupsafe import Markup
from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.export_jobs import ExportJobs, PreparedExport

STATIC = Path(__file__).parent / "static"
FOR_EVER = "public, max-age=31536000, immutable"
_CHECKED = "public, no-cache"
_MODULE = re.compile(r'<script type="module" src="/static/js/(\w+\.js)"></script>')
_IMPORT = re.compile(r'^import\b[^;]*?"\./(\w+\.js)"', re.MULTILINE)
_SENT_AS_THEY_ARE = ("/static/", "/export/", "/api/v1/export", "/api/v1/preview")
"""Addresses that are compressed already, or too large to compress while they are sent."""
_KEPT = "private, no-cache"  # by this browser alone, and never shown without asking
ANY_FILE = "application/octet-stream"
"""Media type for programs that accept any file."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names under which a dashboard is open to its own machine alone."""


@functools.cache
def static_name() -> str:
    """Return a folder name that changes whenever a file in ``static/`` changes.

    All files share this name: scripts load each other by relative addresses, so no script is ever
    used beside an older one.
    """
    digest = hashlib.sha256()
    # The order of ``rglob`` is that of the file system, which differs between two installations
    # of the same files.
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(STATIC).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@functools.cache
def imports_of(script: str) -> tuple[str, ...]:
    """Return the scripts of ``static/js`` that one loads by way of all others, nearest first."""
    scripts: dict[str, None] = {}
    new = [script]
    while new:
        texts = [(STATIC / "js" / name).read_text(encoding="utf-8") for name in new]
        named = dict.fromkeys(name for text in texts for name in _IMPORT.findall(text))
        new = [name for name in named if name not in scripts and name != script]
        scripts.update(dict.fromkeys(new))
    return tuple(scripts)


def _with_imports(tag: re.Match[str]) -> str:
    links = [f'<link rel="modulepreload" href="/static/js/{name}">' for name in imports_of(tag[1])]
    return "".join([*links, tag[0]])


class NamedAddresses(Extension):
    """Of templates: addresses below ``/static/`` get the name of the present content, and the
    scripts that a script imports are named beside it: a browser finds each only in the one before,
    which costs a round trip a step.
    """

    def preprocess(
        self,
        source: str,
        name: str | None,  # noqa: ARG002 - Jinja's name
        filename: str | None = None,  # noqa: ARG002 - Jinja's name
    ) -> str:
        """Return the text of a template with those addresses."""
        source = _MODULE.sub(_with_imports, source)
        return source.replace('"/static/', f'"/static/{static_name()}/')


class KeptFiles(StaticFiles):
    """Serves the folder ``static/``, under addresses with and without the content's name."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file, which browsers keep for a year where its address names it."""
        plain = path.removeprefix(static_name() + os.sep)
        response = await super().get_response(plain, scope)
        # A 404 under a named address must not be kept for a year: the file may come with the
        # next release.
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
        """Return the file, compressed if the browser accepts that and has no cached copy."""
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
    # Level 9 costs nothing here, because each file is compressed once. Without ``mtime=0`` the
    # bytes would differ after each restart, under the same ETag.
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
        # An event stream must not pass through it either: gzip holds small events back until its
        # block is full. Starlette's middleware leaves ``text/event-stream`` alone by itself.
        as_it_is = scope["type"] != "http" or scope["path"].startswith(_SENT_AS_THEY_ARE)
        await (self._app if as_it_is else self._compressed)(scope, receive, send)


def keep_page(request: Request, page: HTMLResponse) -> Response:
    """Return the page with its ETag, or 304 where the browser has it already.

    Render it with ``now_ms=None``: the time of the answer would make every page different. The
    ETag covers the whole page with navigation and account name, so it differs after another login.

    Example:
        >>> return keep_page(request, render(request, "statistics.html", now_ms=None))
    """
    # A weak validator (RFC 9110, section 8.8.1), because the page is sent with and without gzip:
    # the same page, but not the same bytes.
    etag = f'W/"{hashlib.sha256(page.body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": _KEPT, "Vary": "Cookie, Accept-Language"}
    known = request.headers.get("if-none-match", "")
    if page.status_code == 200 and etag in [one.strip() for one in known.split(",")]:
        return Response(status_code=304, headers=headers)
    page.headers.update(headers)
    return page


def qr_code(text: str) -> Markup:
    """Draw a text as a QR code, black on a transparent background.

    Example:
        >>> str(qr_code("http://127.0.0.1/live"))[:4]
        '<svg'
    """
    import segno  # few pages need it

    code = segno.make(text, error="m", micro=False)
    # no value of ours is put into this markup but the text, which is drawn and not written
    return Markup(code.svg_inline(svgclass="qr", lineclass=None, omitsize=True, border=4))  # noqa: S704


class SentExport(FileResponse):
    """A response with a prepared file that knows when its last byte was sent."""

    def __init__(
        self,
        exports: ExportJobs,
        prepared: PreparedExport,
        accept: str | None,
        *,
        in_parts: bool = True,
    ) -> None:
        media_type = ANY_FILE if accept == ANY_FILE else prepared.request.media_type
        super().__init__(prepared.file, media_type=media_type, filename=prepared.file.name)
        self._exports = exports
        self._prepared = prepared
        self._in_parts = in_parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, or the requested part of it."""
        if not self._in_parts:
            scope = {
                **scope,
                "headers": [(name, value) for name, value in scope["headers"] if name != b"range"],
            }
        arrived = False

        async def watch(message: Message) -> None:
            nonlocal arrived
            if message["type"] == "http.response.body" and not message.get("more_body"):
                # The last chunk is "sent" once it lies in the buffer of the socket. If the
                # browser has gone by then, the file has not arrived and is kept for another try.
                arrived = not await Request(scope, receive).is_disconnected()
            await send(message)

        await super().__call__(scope, receive, watch)
        # A download that was resumed has arrived when its last part has; any other part leaves
        # the file in place.
        part = self.headers.get("content-range", "")
        if arrived and (
            not part
            or part.partition("-")[2].partition("/")[0] == str((self._prepared.size or 0) - 1)
        ):
            self._exports.delete_after_sending(self._prepared)
