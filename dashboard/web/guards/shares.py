"""Each account's share of the threads that answer requests.

Forty threads answer, and a page that computes or reads much holds one for seconds. Whoever asks for
such pages without end, as one account or as a stranger at one address, would hold all of them, and
nobody could log in. So only some requests of each are answered at a time; its others wait their
turn, which costs no thread and refuses nobody. Connections bound how many wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OF_ACCOUNT = 8
"""Requests of an account that are answered at once; a browser asks six."""
OF_ADDRESS = 20
"""Requests of an address that belong to no account yet: half of the threads."""
_KNOWN_MOST = 5_000
_APART = ("/static/", "/healthz")
"""Beginnings of paths that are always answered at once."""


class KnownSecrets:
    """Whose log-ins and tokens are known from requests before; may be used by several threads.

    Example:
        >>> known = KnownSecrets()
        >>> known.add("secret", "ada")
        >>> known.account_of("secret"), known.account_of("another")
        ('ada', None)
    """

    def __init__(self) -> None:
        self._accounts: dict[str, str] = {}

    def add(self, secret: str, account: str) -> None:
        """Remember whose secret was found to be in force."""
        if len(self._accounts) >= _KNOWN_MOST:
            # Those that are used are known again with their next request.
            self._accounts.clear()
        self._accounts[secret] = account

    def account_of(self, secret: str) -> str | None:
        """Return whose it is; ``None``: it has not come yet."""
        return self._accounts.get(secret)


@dataclass(slots=True)
class _Share:
    """The places of one account or address.

    Attributes:
        free: lets as many in as it has places.
        users: how many are in or wait; with none the share is forgotten.
    """

    free: asyncio.Semaphore
    users: int = 0


class FairShare:
    """ASGI middleware: answers so many requests of an account or address at once.

    A request has its place until its answer begins: downloads and event streams hold none.

    Args:
        app: the application.
        secret_of: returns the secret of a log-in or token that a request brings; empty: none.
        address_of: returns what is counted together of the sender's address.
        known: whose secrets these are.
    """

    def __init__(
        self,
        app: ASGIApp,
        secret_of: Callable[[Request], str],
        address_of: Callable[[Request], str],
        known: KnownSecrets,
    ) -> None:
        self._app = app
        self._secret_of = secret_of
        self._address_of = address_of
        self._known = known
        # Of each event loop: tests have several.
        self._shares: dict[tuple[asyncio.AbstractEventLoop, str], _Share] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for a place, and pass the request on."""
        if scope["type"] != "http" or scope["path"].startswith(_APART):
            await self._app(scope, receive, send)
            return
        whose, most = self._whose(Request(scope))
        key = (asyncio.get_running_loop(), whose)
        share = self._shares.setdefault(key, _Share(asyncio.Semaphore(most)))
        share.users += 1
        holds = False

        def leave() -> None:
            nonlocal holds
            if holds:
                holds = False
                share.free.release()

        async def send_and_leave(message: Message) -> None:
            if message["type"] == "http.response.start":
                leave()
            await send(message)

        try:
            await share.free.acquire()
            holds = True
            await self._app(scope, receive, send_and_leave)
        finally:
            leave()
            share.users -= 1
            if not share.users:
                self._shares.pop(key, None)

    def _whose(self, request: Request) -> tuple[str, int]:
        """Return whose share a request is of, and how many places that has."""
        secret = self._secret_of(request)
        account = self._known.account_of(secret) if secret else None
        if account is not None:
            return f"account {account}", OF_ACCOUNT
        # A secret that nobody has must not be a share of its own.
        return f"address {self._address_of(request)}", OF_ADDRESS
