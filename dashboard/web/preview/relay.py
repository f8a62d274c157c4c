"""Passes the agent's preview on to the browser of the administrator who asked for it.

It ends when its time is up, when that browser leaves, when the login ends or its account may no
longer do this, when a session starts, and with the camera, the agent or the dashboard. Nothing of a
picture is kept but the newest, in memory, until it is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from edge_agent.core.clock import boot_seconds
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.texts import N_, Message
from edge_agent.runtime.preview.messages import (
    LARGEST_PICTURE,
    MORE,
    Ended,
    Part,
    read_part,
    request_line,
)
from edge_agent.runtime.sockets.listening import socket_address

log = logging.getLogger(__name__)

SILENT_S = 2.0
"""The agent sends a part every half second: when none comes for this long, it is frozen or gone."""
CHECK_S = 1.0
"""How often it is checked whether the preview may go on."""
LEFT_S = 5.0
"""A browser that takes nothing for this long has left."""


@dataclass(frozen=True, slots=True)
class Onlooker:
    """Who looks on.

    Attributes:
        name: of the account.
        token: of the login.
        may_look: returns why the preview must end, as this login now stands; ``None``: it may go
            on. Runs in a thread.
        record: writes a line of the audit trail: action and detail. Runs in a thread.
    """

    name: str
    token: str
    may_look: Callable[[], Ended | None]
    record: Callable[[str, str], None]


class Previews:
    """The preview of this dashboard: there is one at a time.

    Args:
        socket: the agent's, of the preview.
        stopping: set when the dashboard should end.
    """

    def __init__(self, socket: Path, stopping: asyncio.Event) -> None:
        self._socket = socket
        self._stopping = stopping
        self._running: Preview | None = None

    async def start(self, onlooker: Onlooker) -> Preview:
        """Begin a preview, once its beginning stands in the audit trail.

        Raises:
            StudyError: somebody looks already, a session is open, or the agent shows none.
            StoreError: its beginning could not be written down.
        """
        if self._running is not None:
            if not self._running.is_ending:
                raise StudyError(BUSY)
            await self._running.wait(SILENT_S)  # until the agent knows: it shows one at a time
        reason = await run_in_threadpool(onlooker.may_look)
        if reason is not None:
            raise StudyError(refused(reason))
        try:
            with socket_address(self._socket) as address:
                incoming, outgoing = await asyncio.open_unix_connection(
                    address, limit=2 * LARGEST_PICTURE
                )
        except OSError as error:
            raise StudyError(AWAY) from error
        try:
            await run_in_threadpool(onlooker.record, "preview_start", "")
            outgoing.write(request_line(onlooker.name))
            async with asyncio.timeout(SILENT_S):
                first = await read_part(incoming)
            if first.ended:
                await run_in_threadpool(onlooker.record, "preview_end", first.ended)
                raise StudyError(refused(first.ended))
        except (OSError, EOFError, ValueError) as error:
            outgoing.close()
            await run_in_threadpool(onlooker.record, "preview_end", Ended.AGENT)
            raise StudyError(AWAY) from error
        except BaseException:
            outgoing.close()
            raise
        self._running = Preview(onlooker, incoming, outgoing, self._stopping)
        return self._running

    def prolong(self, token: str) -> None:
        """Let the preview of a login last a minute from now.

        Raises:
            StudyError: that login has none.
        """
        running = self._running
        if running is None or running.is_over or running.token != token:
            raise StudyError(N_("The preview has ended. Start it again."))
        running.prolong()

    async def close(self, within_s: float) -> None:
        """Wait until the end of a preview is written down; the dashboard ends."""
        if self._running is not None:
            await self._running.wait(within_s)


class Preview:
    """One preview. Its task reads the agent and checks whether it may go on; a browser reads it.

    Args:
        onlooker: who looks on.
        incoming, outgoing: the connection to the agent.
        stopping: set when the dashboard should end.
    """

    def __init__(
        self,
        onlooker: Onlooker,
        incoming: asyncio.StreamReader,
        outgoing: asyncio.StreamWriter,
        stopping: asyncio.Event,
    ) -> None:
        self._onlooker = onlooker
        self._incoming = incoming
        self._outgoing = outgoing
        self._stopping = stopping
        self._newest: Part | None = None
        self._something = asyncio.Event()
        self._taken_s = boot_seconds()
        self._began_s = boot_seconds()
        self._pictures = 0
        self._has_left = False
        self._is_over = False
        self._task = asyncio.create_task(self._run())

    @property
    def token(self) -> str:
        """Of the login that looks on."""
        return self._onlooker.token

    @property
    def is_over(self) -> bool:
        """Whether it has ended; its end may still have to be written down."""
        return self._is_over

    @property
    def is_ending(self) -> bool:
        """Whether nobody looks any more."""
        return self._is_over or self._has_left

    async def wait(self, within_s: float) -> None:
        """Wait until it has ended, and its end is written down."""
        await asyncio.wait({self._task}, timeout=within_s)

    def prolong(self) -> None:
        """Let it last a minute from now."""
        self._outgoing.write(MORE)

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Yield what the browser is sent; the last part says why it ended."""
        try:
            while True:
                await self._something.wait()
                self._something.clear()
                part = self._newest
                self._newest = None
                self._taken_s = boot_seconds()
                if part is not None:
                    yield part.encoded()
                    self._taken_s = boot_seconds()
                    if part.ended:
                        return
        finally:
            self._has_left = True
            self._say_end()

    async def _run(self) -> None:
        checking = asyncio.create_task(self._checked())
        reading = asyncio.create_task(self._read())
        done, _others = await asyncio.wait({checking, reading}, return_when=asyncio.FIRST_COMPLETED)
        ended = Ended.LEFT if self._has_left else done.pop().result()
        for task in (checking, reading):
            task.cancel()
        await asyncio.wait({checking, reading})  # nothing comes behind the last part
        self._is_over = True
        self._give(Part(ended=ended))
        await self._hang_up()
        seconds = round(boot_seconds() - self._began_s)
        told = f"{ended}; {seconds} s, {self._pictures} pictures"
        try:
            await run_in_threadpool(self._onlooker.record, "preview_end", told)
        except StoreError as error:
            log.error("the end of a preview could not be written down (%s): %s", told, error)

    def _say_end(self) -> None:
        """Let the agent see at once that nobody looks."""
        if not self._outgoing.is_closing():
            with contextlib.suppress(OSError):
                self._outgoing.write_eof()

    async def _hang_up(self) -> None:
        """End the connection; the agent closes it once it is ready for another one."""
        self._say_end()
        with contextlib.suppress(OSError):  # a wait in vain is one, too
            async with asyncio.timeout(SILENT_S):
                while await self._incoming.read(LARGEST_PICTURE):
                    pass
        self._outgoing.close()

    async def _read(self) -> Ended:
        """Take what the agent sends; return why it ended."""
        try:
            while True:
                async with asyncio.timeout(SILENT_S):
                    part = await read_part(self._incoming)
                if part.ended:
                    return Ended(part.ended)
                self._pictures += bool(part.picture)
                self._give(part)
        except (OSError, EOFError, ValueError):  # a wait in vain is an OSError, too
            return Ended.AGENT

    async def _checked(self) -> Ended:
        """Check each second whether it may go on; return why not."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_S):
                    await self._stopping.wait()
            if self._stopping.is_set():
                return Ended.DASHBOARD
            if self._has_left or boot_seconds() - self._taken_s > LEFT_S:
                return Ended.LEFT
            reason = await run_in_threadpool(self._onlooker.may_look)
            if reason is not None:
                return reason

    def _give(self, part: Part) -> None:
        """Put a part where the browser takes it; one with a picture is not lost to one without."""
        waiting = self._newest
        if waiting is not None and waiting.picture and not part.picture and not part.ended:
            return
        self._newest = part
        self._something.set()


BUSY = N_("Somebody looks at the preview already. One person at a time can.")
AWAY = N_(
    "The agent does not show a picture: it is not running, or it was started before "
    "capture.preview was set. Start it again: sudo systemctl restart affect-edge-agent"
)
_REFUSED = {
    Ended.BUSY: BUSY,
    Ended.CAMERA: N_("The camera gives no picture."),
    Ended.SESSION: N_(
        "A session is open: what the participant agreed to says that nobody sees a picture. End "
        "the session first."
    ),
    Ended.DATABASE: N_("It cannot be checked now who may look: the database does not answer."),
    Ended.LOGIN: N_("The login has ended."),
    Ended.ROLE: N_("Only administrators may look."),
}


def refused(reason: str) -> str | Message:
    """Return why a preview does not begin, as a sentence."""
    return next((text for one, text in _REFUSED.items() if one == reason), AWAY)
