"""The service that devices join at: two requests over TLS, for strangers until they have a code."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import uvicorn
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from edge_agent.appliance.enrolment.fleet import FleetEnrolment
from edge_agent.appliance.enrolment.messages import (
    LARGEST_BYTES,
    ConfirmRequest,
    JoinRequest,
    Refusal,
)
from edge_agent.appliance.enrolment.place import FleetPlace
from edge_agent.core.clock import boot_seconds
from edge_agent.core.errors import AffectEdgeError, EnrolmentError, ServerError

log = logging.getLogger(__name__)

CONNECTION_S = 20.0
"""Longest life of a connection, whatever it does."""
CONNECTIONS = 64
TRIES = 10
"""So many refusals for an address within ``WINDOW_S``, then it is not listened to."""
WINDOW_S = 600.0
TICK_S = 30.0
_ADDRESSES = 10_000
_HOME = 64
"""Bits of an IPv6 address that one household has."""
_STATUS = {"wrong": 403, "closed": 403, "used": 409, "overtaken": 409, "expired": 410}


class Guessers:
    """Counts the refusals of each address, and tells who has to wait.

    Example:
        >>> guessers = Guessers(lambda: 0.0)
        >>> for _ in range(TRIES):
        ...     guessers.refused("192.0.2.1")
        >>> guessers.wait_s("192.0.2.1"), guessers.wait_s("192.0.2.2")
        (600.0, 0.0)
    """

    def __init__(self, clock: Callable[[], float] = boot_seconds) -> None:
        self._clock = clock
        self._refusals: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def refused(self, address: str) -> None:
        """Count a refusal."""
        group = _group(address)
        count, until = self._refusals.pop(group, (0, 0.0))
        if until <= self._clock():
            count, until = 0, self._clock() + WINDOW_S
        self._refusals[group] = (count + 1, until)
        if len(self._refusals) > _ADDRESSES:
            self._refusals.popitem(last=False)

    def wait_s(self, address: str) -> float:
        """Return how long an address is not listened to, seconds."""
        count, until = self._refusals.get(_group(address), (0, 0.0))
        return max(0.0, until - self._clock()) if count >= TRIES else 0.0


class BriefProtocol(H11Protocol):
    """HTTP whose connections end after some seconds: nobody holds one open for nothing."""

    def connection_made(self, transport: Any) -> None:
        """Begin, and set the end."""
        super().connection_made(transport)
        self.loop.call_later(CONNECTION_S, transport.abort)


class JoinService:
    """Answers devices that join.

    Args:
        fleet: which they join.
        guessers: who has to wait.
    """

    def __init__(self, fleet: FleetEnrolment, guessers: Guessers | None = None) -> None:
        self._fleet = fleet
        self._guessers = guessers or Guessers()
        routes = [
            Route("/join", self._join, methods=["POST"]),
            Route("/confirm", self._confirm, methods=["POST"]),
        ]
        self.app = Starlette(routes=routes)

    async def tick(self) -> None:
        """End what has expired, for as long as the service runs."""
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await run_in_threadpool(self._fleet.tick)
            except AffectEdgeError as error:
                log.error("%s", error)

    async def _join(self, request: Request) -> Response:
        return await self._answer(request, JoinRequest, self._fleet.join)

    async def _confirm(self, request: Request) -> Response:
        return await self._answer(request, ConfirmRequest, self._fleet.confirm)

    async def _answer(
        self, request: Request, kind: type[BaseModel], do: Callable[[Any, str], BaseModel | None]
    ) -> Response:
        address = request.client.host if request.client else "?"
        wait_s = self._guessers.wait_s(address)
        if wait_s:
            text = f"Too many codes from {address} were refused. Try again in {wait_s:.0f} s."
            return _refused(429, "too_many", text)
        try:
            message = kind.model_validate_json(await _body(request))
            answer = await run_in_threadpool(do, message, address)
        except ClientDisconnect:
            return Response(status_code=400)
        except (ValidationError, OverflowError):
            self._guessers.refused(address)
            return _refused(400, "bad_request", "This is no request of a device that joins.")
        except AffectEdgeError as error:
            return self._response(error, address)
        return JSONResponse({} if answer is None else answer.model_dump())

    def _response(self, error: AffectEdgeError, address: str) -> Response:
        if isinstance(error, EnrolmentError) and error.refusal:
            self._guessers.refused(address)
            return _refused(_STATUS.get(error.refusal, 400), error.refusal, str(error))
        log.error("%s", error)
        text = "The server could not do it; its log says why. The code is good still: try again."
        return _refused(500, "failed", text)


class JoinListener:
    """Lets devices join, from now on until it is stopped.

    Args:
        fleet: which they join.
        place: of the fleet.
        address, port: where to listen; port 0: a free one.
        guessers: who has to wait.

    Raises:
        ServerError: the port is taken.
    """

    def __init__(
        self,
        fleet: FleetEnrolment,
        place: FleetPlace,
        address: str,
        port: int,
        guessers: Guessers | None = None,
    ) -> None:
        self._fleet = fleet
        self._place = place
        self._service = JoinService(fleet, guessers)
        config = uvicorn.Config(
            self._service.app,
            http=BriefProtocol,
            ws="none",
            lifespan="off",
            ssl_certfile=place.certificate,
            ssl_keyfile=place.key,
            limit_concurrency=CONNECTIONS,
            h11_max_incomplete_event_size=LARGEST_BYTES,
            timeout_keep_alive=5,
            server_header=False,
            access_log=False,
            log_config=None,
        )
        config.load()
        self._server = uvicorn.Server(config)
        try:
            kind = socket.AF_INET6 if ":" in address else socket.AF_INET
            self._listener = socket.create_server((address, port), family=kind)
        except OSError as error:
            raise ServerError(
                f"{address}:{port}: cannot be listened on ({error.strerror}). Give --port a free "
                "one."
            ) from error
        self.port: int = self._listener.getsockname()[1]

    def run(self) -> None:
        """Answer until SIGINT or SIGTERM, or ``stop``.

        Root's rights are needed for the keys and the port only. They are given up before the first
        connection: from then on this process is of the user to whom the fleet's folder belongs.

        Raises:
            EnrolmentError: the fleet's files cannot be read or written.
        """
        with self._listener:
            # Loads what a thread needs: afterwards the program may be closed to this user.
            asyncio.run(run_in_threadpool(os.getpid))
            _give_up_rights(self._place)
            self._fleet.finish_changes()
            asyncio.run(self._run())

    def stop(self) -> None:
        """Make ``run`` return."""
        self._server.should_exit = True

    async def _run(self) -> None:
        ticking = asyncio.create_task(self._service.tick())
        try:
            await self._server.serve(sockets=[self._listener])
        finally:
            ticking.cancel()


def _give_up_rights(place: FleetPlace) -> None:
    owner = place.folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BYTES:
            raise OverflowError
    return body


def _refused(status: int, refusal: str, text: str) -> Response:
    return JSONResponse(Refusal(refusal=refusal, text=text).model_dump(), status)


def _group(address: str) -> str:
    """Return what counts as one address: of IPv6 the part that a household has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((parsed, _HOME), strict=False))
    return str(parsed)
