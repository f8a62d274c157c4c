"""Server-sent events: the streaming response, and the limit of streams per log-in."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from fastapi import HTTPException, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from dashboard.languages.current import gettext
from dashboard.web.services import services

AT_MOST = 30
"""Of a log-in, a token or a participant's page. A browser opens six connections to a server at the
most."""
_RETRY_SECONDS = 30


class EventStream(StreamingResponse):
    """A response that streams events; while open, it takes one of ``AT_MOST`` places.

    Args:
        request: what is answered.
        events: what is sent.
        who: whose places they are: the secret of a log-in, a token or a participant's page.

    Raises:
        HTTPException: 429 where all these places are taken.
    """

    def __init__(self, request: Request, events: AsyncGenerator[str, None], who: str) -> None:
        self._who = who
        self._open = services(request).event_streams
        if self._open[self._who] >= AT_MOST:
            raise HTTPException(
                429,
                gettext(
                    "This login already has {most} live pages open. Close some of them."
                ).format(most=AT_MOST),
                {"Retry-After": str(_RETRY_SECONDS)},
            )
        # nginx would hold events back until its buffer is full.
        super().__init__(
            events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        self._open[self._who] += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._open[self._who] -= 1
            if not self._open[self._who]:
                del self._open[self._who]
