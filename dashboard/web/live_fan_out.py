"""The agent's live feed for every browser: one connection to the agent, shared out in this process.

The agent has places for a few programs. The dashboard takes one of them, however many browsers look
on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

from dashboard.languages.current import available, speaking
from dashboard.languages.written import said
from edge_agent.core.texts import message_of
from edge_agent.runtime.live_feed import OFFLINE, live_messages
from edge_agent.runtime.sockets.listening import is_served

AGENT = "agent "
"""Where the newest word on the agent itself is kept."""
WAITING = 64
"""Events that wait for a slow browser; beyond that it goes on with the newest of each kind."""


class Listener:
    """One browser's event stream: what waits for it. Made by ``LiveFanOut.listen``."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._something = asyncio.Event()

    def give(self, event: str, newest: Mapping[str, str]) -> None:
        """Add an event; one too many replaces all that wait by the newest of each kind."""
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
        """Give what the agent says to a listener, first the newest of each kind, until it leaves.

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
            self._newest.clear()  # what an agent said that has gone is not of now
        self._newest[f"{kind} {message.get('kind', '')}"] = event
        for listener in self._listeners:
            listener.give(event, self._newest)


def _in_languages(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a message with its texts in each language: ``said``, code → English → text."""
    texts = message.get("texts")
    if not texts:
        return message
    said_in: dict[str, dict[str, str]] = {}
    for code in available()[1:]:
        with speaking(code):
            said_in[code] = {text: said(message_of(parts)) for text, parts in texts.items()}
    return {name: value for name, value in message.items() if name != "texts"} | {"said": said_in}


def _event(message: Mapping[str, Any]) -> str:
    """Write a message as a server-sent event."""
    data = json.dumps(message, separators=(",", ":"))
    return f"event: {message.get('type', 'message')}\ndata: {data}\n\n"
