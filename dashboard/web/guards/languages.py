"""The language of a request, settled before anything answers it.

The choice of an account lies in a cookie that its log-in sets, so that no page waits for the
database. A participant's page belongs to nobody's account: there the address may name a language.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import Request
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.languages.choice import chosen_from
from dashboard.languages.current import SOURCE, speaking
from dashboard.web.guards.cookies import cookie_name, cookie_of, drop_cookie, set_cookie
from dashboard.web.settings import DashboardOptions

LANGUAGE_COOKIE = "affect-edge-language"
LANGUAGE_SECONDS = 365 * 86_400
LANGUAGE_FIELD = "language"
_OF_PARTICIPANTS = "/participate/"


class Languages:
    """ASGI middleware: everything that answers a request speaks its language.

    Args:
        app: the application.
        options: the configuration, with the language for browsers that ask for none of ours.
    """

    def __init__(self, app: ASGIApp, options: DashboardOptions) -> None:
        self._app = app
        self._configured = options.language
        self._cookie = cookie_name(LANGUAGE_COOKIE, options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on in its language."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        header = connection.headers.get("accept-language", "")
        language = chosen_from(self._choice(connection), header, self._configured)
        scope["affect_edge_language"] = language
        with speaking(language):
            await self._app(scope, receive, send)

    def _choice(self, connection: HTTPConnection) -> str:
        if connection.url.path.startswith(_OF_PARTICIPANTS):
            return parse_qs(connection.url.query).get(LANGUAGE_FIELD, [""])[0]
        return connection.cookies.get(self._cookie, "")


def language_of(request: Request) -> str:
    """Return the language of a request, for who answers outside the middleware."""
    return str(request.scope.get("affect_edge_language", SOURCE))


def keep_choice(request: Request, response: Response, code: str, options: DashboardOptions) -> None:
    """Let a browser know the choice of who is logged in; an empty one is forgotten."""
    if code:
        set_cookie(response, LANGUAGE_COOKIE, code, LANGUAGE_SECONDS, options)
    elif cookie_of(request, LANGUAGE_COOKIE, options):
        drop_cookie(response, LANGUAGE_COOKIE, options)
