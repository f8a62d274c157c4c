"""The connections of this process to the agent: its live feed and its preview.

The agent has places for a few programs. The dashboard takes one of them and gives each message to
every browser that listens.

A preview goes to the browser of the administrator who asked for it. It ends when its time is up,
when that browser leaves, when the login ends or its account may no longer do this, when a session
starts, and with the camera, the agent or the dashboard. Nothing of a picture is kept but the
newest, in memory, until it is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from dashboard.languages.current import available, speaking
from dashboard.languages.figures import with_instants
from dashboard.languages.names import translate
from edge_agent.core.clock import boot_seconds
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.texts import N_, Message, message_of
from edge_agent.live.feed import OFFLINE, live_messages, newest_messages
from edge_agent.live.preview import (
    LARGEST_PICTURE,
    MORE,
    PreviewEnded,
    PreviewPart,
    read_part,
    request_line,
)
from edge_agent.live.sockets import is_served, socket_address

log = logging.getLogger(__name__)

AGENT = "agent "
"""Where the newest word on the agent itself is kept."""
WAITING = 64
"""Events that wait for a slow browser; beyond that it goes on with the newest of each kind."""
_AGENT_SECONDS = 1.0
_BURST_SECONDS = 0.1
"""The newest messages come in one burst; what is not in it was never said."""
ANSWER_S = 1.5
SILENT_S = 2.0
"""The agent sends a part every half second: when none comes for this long, it is frozen or gone."""
CHECK_S = 1.0
"""How often it is checked whether the preview may go on."""
LEFT_S = 5.0
"""A browser that takes nothing for this long has left."""
BUSY = PreviewEnded.BUSY.says
AWAY = N_(
    "The agent shows no picture: it is not running, or it was started before capture.preview "
    "was set. Restart it: sudo systemctl restart affect-edge-agent"
)
_REFUSED = {
    PreviewEnded.BUSY: BUSY,
    PreviewEnded.CAMERA: N_("No picture from the camera."),
    PreviewEnded.SESSION: N_(
        "A session is open, and the participant agreed that nobody sees a picture. End the "
        "session first."
    ),
    PreviewEnded.DATABASE: N_(
        "Permissions cannot be checked right now: the database does not answer."
    ),
    PreviewEnded.LOGIN: N_("The login has ended."),
    PreviewEnded.ROLE: N_("Only administrators may see the preview."),
}


class Listener:
    """The queue of events for one browser; made by ``LiveFanOut.listen``."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._something = asyncio.Event()

    def give(self, event: str, newest: Mapping[str, str]) -> None:
        """Add an event; if the queue is full, keep only the newest event of each kind."""
        self._waiting.append(event)
        if len(self._waiting) > WAITING:
            self._waiting = list(newest.values())
        self._something.set()

    def wake(self) -> None:
        """End the wait, with nothing to send."""
        self._something.set()

    async def take(self, within_s: float) -> list[str]:
        """Wait for events and return them, oldest first; none when none come in time."""
        try:
            async with asyncio.timeout(within_s):
                await self._something.wait()
        except TimeoutError:
            return []
        self._something.clear()
        events = self._waiting
        self._waiting = []
        return events


class LiveFanOut:
    """Reads the agent's feed while a browser listens, and gives each message to all of them.

    For one event loop. A message is written as an event once, whoever listens.

    Args:
        socket: of the agent's live feed.
        stopping: set when the dashboard should end; wakes every listener.

    Example:
        >>> fan_out = LiveFanOut(Path("data/live.sock"), stopping)
        >>> with fan_out.listen() as listener:
        ...     for event in await listener.take(within_s=15):
        ...         yield event
    """

    def __init__(self, socket: Path, stopping: asyncio.Event) -> None:
        self._socket = socket
        self._stopping = stopping
        self._listeners: set[Listener] = set()
        self._newest: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @contextmanager
    def listen(self) -> Iterator[Listener]:
        """Pass the agent's messages to a listener until it leaves, first the newest of each kind.

        The first listener opens the connection to the agent, the last one closes it.
        """
        listener = Listener()
        for event in self._newest.values():
            listener.give(event, self._newest)
        self._listeners.add(listener)
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._read()),
                asyncio.create_task(self._wake_at_the_end()),
            ]
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                self._hang_up()

    def share(self, message: Mapping[str, Any]) -> None:
        """Give a message that the agent does not know to whoever listens; from the event loop."""
        if self._listeners:
            self._spread(message)

    def is_agent_away(self) -> bool:
        """Tell whether no agent runs, so that a page can say so from its first moment."""
        newest = self._newest.get(AGENT)
        if newest is None:
            return not is_served(self._socket)
        return newest == _event(OFFLINE)

    def _hang_up(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        # The next listener must not be told what was new long ago.
        self._newest.clear()

    async def _read(self) -> None:
        async with aclosing(live_messages(self._socket)) as messages:
            async for message in messages:
                self._spread(message)

    async def _wake_at_the_end(self) -> None:
        await self._stopping.wait()
        for listener in self._listeners:
            listener.wake()

    def _spread(self, message: Mapping[str, Any]) -> None:
        kind = message.get("type", "message")
        event = _event(_in_languages(message))
        if kind == "agent":
            self._newest.clear()  # messages of the agent's last run are out of date
        self._newest[f"{kind} {message.get('kind', '')}"] = event
        for listener in self._listeners:
            listener.give(event, self._newest)


def _in_languages(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a message with its texts in each language: ``said``, code → English → text."""
    texts = message.get("texts")
    if not texts:
        return message
    said_in: dict[str, dict[str, str]] = {}
    for code in available():
        with speaking(code):
            said_in[code] = {
                text: with_instants(translate(message_of(parts))) for text, parts in texts.items()
            }
    return {name: value for name, value in message.items() if name != "texts"} | {"said": said_in}


def _event(message: Mapping[str, Any]) -> str:
    """Write a message as a server-sent event."""
    data = json.dumps(message, separators=(",", ":"))
    return f"event: {message.get('type', 'message')}\ndata: {data}\n\n"


async def agent_messages(socket: Path) -> dict[str, dict[str, Any]]:
    """Return the newest health report, expression and variability of the agent, by type.

    It repeats them to everyone who connects. Empty without an agent.
    """
    newest: dict[str, dict[str, Any]] = {}
    loop = asyncio.get_running_loop()
    try:
        async with (
            asyncio.timeout(_AGENT_SECONDS) as limit,
            aclosing(live_messages(socket)) as messages,
        ):
            async for message in messages:
                kind = message.get("type")
                if kind == "agent" and message.get("state") == "offline":
                    return {}
                if kind in {"health", "expression", "variability"}:
                    newest.setdefault(str(kind), message)
                if len(newest) == 3:
                    return newest
                if kind == "health":
                    limit.reschedule(loop.time() + _BURST_SECONDS)
    except TimeoutError:
        return newest
    return newest  # pragma: no cover - the feed never ends by itself


async def heard_now(socket: Path) -> dict[str, dict[str, Any]]:
    """Return the newest ``state`` and ``health`` of the agent; empty where it does not answer.

    Args:
        socket: of its live feed.
    """
    return await newest_messages(socket, {"state", "health"}, ANSWER_S)


@dataclass(frozen=True, slots=True)
class Onlooker:
    """The viewer of a preview.

    Attributes:
        name: of the account.
        token: of the login.
        may_look: returns why the preview must end, as this login now stands; ``None``: it may go
            on. Runs in a thread.
        record: writes a line of the audit trail: action and detail. Runs in a thread.
    """

    name: str
    token: str
    may_look: Callable[[], PreviewEnded | None]
    record: Callable[[str, str], None]


class Previews:
    """The previews of this dashboard, of which only one runs at a time.

    Args:
        socket: the agent's, of the preview.
        stopping: set when the dashboard should end.
    """

    def __init__(self, socket: Path, stopping: asyncio.Event) -> None:
        self._socket = socket
        self._stopping = stopping
        self._running: AgentPreview | None = None

    async def start(self, onlooker: Onlooker) -> AgentPreview:
        """Start a preview after writing its start into the audit trail.

        Raises:
            StudyError: somebody looks already, a session is open, or the agent shows none.
            StoreError: its beginning could not be written down.
        """
        if self._running is not None:
            if not self._running.is_ending:
                raise StudyError(BUSY)
            await self._running.wait(SILENT_S)  # the agent serves one viewer at a time
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
            await run_in_threadpool(onlooker.record, "preview_end", PreviewEnded.AGENT)
            raise StudyError(AWAY) from error
        except BaseException:
            outgoing.close()
            raise
        self._running = AgentPreview(onlooker, incoming, outgoing, self._stopping)
        return self._running

    def prolong(self, token: str) -> None:
        """Extend the preview of a login to a minute from now.

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


class AgentPreview:
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
        self._newest: PreviewPart | None = None
        self._something = asyncio.Event()
        self._taken_s = boot_seconds()
        self._began_s = boot_seconds()
        self._pictures = 0
        self._has_left = False
        self._is_over = False
        self._task = asyncio.create_task(self._run())

    @property
    def token(self) -> str:
        """Token of the viewer's login."""
        return self._onlooker.token

    @property
    def is_over(self) -> bool:
        """True once the preview has ended; the audit line of its end may still be missing."""
        return self._is_over

    @property
    def is_ending(self) -> bool:
        """True once the viewer has left or the preview has ended."""
        return self._is_over or self._has_left

    async def wait(self, within_s: float) -> None:
        """Wait until the preview has ended and its end is in the audit trail."""
        await asyncio.wait({self._task}, timeout=within_s)

    def prolong(self) -> None:
        """Extend the preview to a minute from now."""
        self._outgoing.write(MORE)

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Yield the parts for the browser; the last one says why the preview ended."""
        try:
            while True:
                await self._something.wait()
                self._something.clear()
                part = self._newest
                self._newest = None
                self._taken_s = boot_seconds()
                if part is not None:
                    yield part.encode()
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
        ended = PreviewEnded.LEFT if self._has_left else done.pop().result()
        for task in (checking, reading):
            task.cancel()
        await asyncio.wait({checking, reading})  # no part may follow the last one
        self._is_over = True
        self._give(PreviewPart(ended=ended))
        await self._hang_up()
        seconds = round(boot_seconds() - self._began_s)
        told = f"{ended}; {seconds} s, {self._pictures} pictures"
        try:
            await run_in_threadpool(self._onlooker.record, "preview_end", told)
        except StoreError as error:
            log.error("the end of a preview could not be written down (%s): %s", told, error)

    def _say_end(self) -> None:
        """Tell the agent at once that the viewer has left."""
        if not self._outgoing.is_closing():
            with contextlib.suppress(OSError):
                self._outgoing.write_eof()

    async def _hang_up(self) -> None:
        """End the connection; the agent closes it once it is ready for another one."""
        self._say_end()
        with contextlib.suppress(OSError):  # includes TimeoutError
            async with asyncio.timeout(SILENT_S):
                while await self._incoming.read(LARGEST_PICTURE):
                    pass
        self._outgoing.close()

    async def _read(self) -> PreviewEnded:
        """Receive the agent's parts until the preview ends; return the reason."""
        try:
            while True:
                async with asyncio.timeout(SILENT_S):
                    part = await read_part(self._incoming)
                if part.ended:
                    return PreviewEnded(part.ended)
                self._pictures += bool(part.picture)
                self._give(part)
        except (OSError, EOFError, ValueError):  # OSError includes TimeoutError
            return PreviewEnded.AGENT

    async def _checked(self) -> PreviewEnded:
        """Check each second whether it may go on; return why not."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_S):
                    await self._stopping.wait()
            if self._stopping.is_set():
                return PreviewEnded.DASHBOARD
            if self._has_left or boot_seconds() - self._taken_s > LEFT_S:
                return PreviewEnded.LEFT
            reason = await run_in_threadpool(self._onlooker.may_look)
            if reason is not None:
                return reason

    def _give(self, part: PreviewPart) -> None:
        """Store the next part for the browser; one without a picture replaces none with one."""
        waiting = self._newest
        if waiting is not None and waiting.picture and not part.picture and not part.ended:
            return
        self._newest = part
        self._something.set()


def refused(reason: str) -> str | Message:
    """Return why a preview does not begin, as a sentence."""
    return next((text for one, text in _REFUSED.items() if one == reason), AWAY)
