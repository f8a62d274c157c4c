"""A prepared export on its way."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from dashboard.exports.jobs import ExportJobs, PreparedExport

ANY_FILE = "application/octet-stream"
"""What a program may ask for that does not care about the type of a file."""


class SentExport(FileResponse):
    """A prepared file, which knows when its last byte has gone."""

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
        """Send it, or the part that was asked for."""
        if not self._in_parts:
            scope = {
                **scope,
                "headers": [(name, value) for name, value in scope["headers"] if name != b"range"],
            }
        arrived = False

        async def watch(message: Message) -> None:
            nonlocal arrived
            if message["type"] == "http.response.body" and not message.get("more_body"):
                arrived = not await Request(scope, receive).is_disconnected()
            await send(message)

        await super().__call__(scope, receive, watch)
        part = self.headers.get("content-range", "")
        if arrived and (
            not part
            or part.partition("-")[2].partition("/")[0] == str((self._prepared.size or 0) - 1)
        ):
            self._exports.sent(self._prepared)
