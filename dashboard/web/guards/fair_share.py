"""Each account's share of the threads that answer requests.

Forty threads answer, and a page that computes or reads much holds one for seconds. Whoever asks for
such pages without end, as one account or as a stranger at one address, would hold all of them, and
nobody could log in. So only some requests of each are answered at a time; its others wait their
turn, which costs no thread and refuses nobody. Connections bound how many wait.

A request takes its place when its body is complete: bodies that are sent slowly hold none. Of these
as many may be under way as there are places; a further one ends the one that was begun first, so
that who sends slowly ends their own, and memory has a bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.languages.current import gettext
from dashboard.web.guards.connections import has_body
from dashboard.web.guards.security import LARGER

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
        most: how many places it has, and how many bodies may be under way.
        free: lets as many in as it has places.
        users: how many are in or wait; with none the share is forgotten.
        bodies: the time limits of bodies that are under way, the oldest first.
    """

    most: int
    free: asyncio.Semaphore
    users: int = 0
    bodies: list[asyncio.Timeout] = field(default_factory=list)

    @asynccontextmanager
    async def body(self) -> AsyncIterator[None]:
        """Read a body within the block.

        Raises:
            HTTPException: 408, too many others were begun since.
        """
        if len(self.bodies) >= self.most:
            # It leaves the list at once, or the next one would end it again.
            self.bodies.pop(0).reschedule(asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(None) as limit:
                self.bodies.append(limit)
                try:
                    yield
                finally:
                    if limit in self.bodies:
                        self.bodies.remove(limit)
        except TimeoutError as error:
            raise HTTPException(
                408,
                gettext("This request came too slowly, among many others. Send it again."),
                {"Connection": "close"},
            ) from error


class _Place:
    """The place of one request in a share."""

    def __init__(self, share: _Share) -> None:
        self.share = share
        self._is_held = False

    async def take(self) -> None:
        """Wait for the place, unless it is held already."""
        if not self._is_held:
            await self.share.free.acquire()
            self._is_held = True

    def leave(self) -> None:
        """Give the place to the next one."""
        if self._is_held:
            self._is_held = False
            self.share.free.release()


class FairShare:
    """ASGI middleware: answers so many requests of an account or address at once.

    A request has its place from the end of its body until its answer begins: slow bodies, downloads
    and event streams hold none.

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
        request = Request(scope)
        whose, most = self._whose(request)
        key = (asyncio.get_running_loop(), whose)
        share = self._shares.setdefault(key, _Share(most, asyncio.Semaphore(most)))
        share.users += 1
        try:
            await self._answer(request, share, receive, send)
        finally:
            share.users -= 1
            if not share.users:
                self._shares.pop(key, None)

    async def _answer(self, request: Request, share: _Share, receive: Receive, send: Send) -> None:
        place = _Place(share)

        async def send_and_leave(message: Message) -> None:
            if message["type"] == "http.response.start":
                place.leave()
            await send(message)

        try:
            if not has_body(request.headers):
                await place.take()
            elif request.method == "POST" and request.url.path in LARGER:
                receive = _taking_at_the_end(receive, place)
            else:
                receive = await _read_whole(receive, share)
                await place.take()
            await self._app(request.scope, receive, send_and_leave)
        finally:
            place.leave()

    def _whose(self, request: Request) -> tuple[str, int]:
        """Return whose share a request is of, and how many places that has."""
        secret = self._secret_of(request)
        account = self._known.account_of(secret) if secret else None
        if account is not None:
            return f"account {account}", OF_ACCOUNT
        # A secret that nobody has must not be a share of its own.
        return f"address {self._address_of(request)}", OF_ADDRESS


async def _read_whole(receive: Receive, share: _Share) -> Receive:
    """Read a body to its end; return what gives it, or the error that it met, to the application.

    ``BodyLimit`` bounds it.
    """
    messages: list[Message] = []
    refused: list[HTTPException] = []
    try:
        async with share.body():
            while not messages or messages[-1].get("more_body", False):
                messages.append(await receive())
    except HTTPException as error:  # the application knows how to answer it
        refused.append(error)

    async def receive_read() -> Message:
        if refused:
            raise refused[0]
        return messages.pop(0) if messages else await receive()

    return receive_read


def _taking_at_the_end(receive: Receive, place: _Place) -> Receive:
    """Return what hands on the parts of a large body, which takes its place with the last.

    Memory does not hold all of it. Its routes read it before anything that needs a thread for long.
    """
    is_read = False

    async def receive_part() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        async with place.share.body():
            message = await receive()
        is_read = not message.get("more_body", False)
        if is_read:
            await place.take()
        return message

    return receive_part
