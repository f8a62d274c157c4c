"""The live feed from the agent to the dashboard: a local socket, one JSON object per line.

A slow reader loses messages: the agent never waits for it, and keeps at most a few dozen messages
for it. A new reader first gets the newest message of each kind. ``live_messages`` is a reader for
programs with an event loop; ``AgentProbe`` asks for a sign of life without one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.core import clock
from edge_agent.core.expression import Observation, Recognition
from edge_agent.core.movements import described
from edge_agent.core.readings import VitalReading
from edge_agent.core.texts import messages_in, parts_of
from edge_agent.live.sockets import SocketWorker, socket_address

log = logging.getLogger(__name__)

SOCKET_NAME = "live.sock"
READERS = 32
"""Most readers at one time: each costs memory and a task."""
MESSAGES_WAITING = 64
"""Messages that wait for a slow reader; the oldest are dropped first."""
EXPRESSION_MS = 200
"""Least time between two expression messages: five per second are enough for a person's eye."""
LONGEST_LINE = 1 << 20
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 5.0
OFFLINE: Mapping[str, str] = {"type": "agent", "state": "offline"}
_ONLINE = b'{"type":"agent","state":"online"}\n'


def expression_message(recognition: Recognition, *, simulated: bool = False) -> dict[str, Any]:
    """Return the message of one frame.

    Boxes are x, y, width and height relative to the frame, 0…1.

    Args:
        recognition: what is seen.
        simulated: whether the camera is a demonstration.
    """
    return {
        "type": "expression",
        "at": recognition.at.wall_ms,
        "simulated": simulated,
        "state": recognition.state,
        "faces": [_face(o, recognition) for o in recognition.observations],
        "frame": {
            "width": recognition.frame_width,
            "height": recognition.frame_height,
            "number": recognition.frame_number,
        },
    }


def _face(observation: Observation, recognition: Recognition) -> dict[str, Any]:
    smoothed = observation.smoothed
    box = observation.face.box
    width, height = recognition.frame_width, recognition.frame_height
    relative = (box.x / width, box.y / height, box.width / width, box.height / height)
    return {
        "track": observation.track,
        "box": [round(part, 5) for part in relative],
        "primary": observation.primary,
        "emotion": observation.emotion.value if observation.emotion else None,
        "probabilities": {name: round(p, 4) for name, p in observation.raw.as_dict().items()},
        "smoothed": {name: round(p, 4) for name, p in smoothed.as_dict().items()},
        "valence": round(smoothed.valence, 4),
        "quality": round(observation.quality, 4),
        "flaw": observation.reject_reason.value if observation.reject_reason else None,
        **described(observation.smoothed_movements),
    }


def vital_message(reading: VitalReading) -> dict[str, Any]:
    """Return the message of one reading."""
    return {
        "type": "vital",
        "at": reading.at.wall_ms,
        "kind": reading.kind.value,
        "value": reading.value,
        "unit": reading.kind.unit,
        "source": reading.source,
        "flags": sorted(flag.value for flag in reading.flags),
    }


@dataclass(slots=True, eq=False)
class _Reader:
    """A connected reader and the messages that wait for it."""

    waiting: deque[bytes] = field(default_factory=lambda: deque(maxlen=MESSAGES_WAITING))
    something: asyncio.Event = field(default_factory=asyncio.Event)

    def give(self, line: bytes) -> None:
        self.waiting.append(line)
        self.something.set()


class LiveServer(SocketWorker):
    """Serves the socket from a thread of its own.

    Args:
        path: of the socket, usually ``<data>/live.sock``; readable and writable for user and group.
        simulated: whether the camera is a demonstration.
    """

    def __init__(self, path: Path, *, simulated: bool = False) -> None:
        super().__init__("live", path)
        self._simulated = simulated
        self._lock = threading.Lock()
        self._newest: dict[str, bytes] = {}
        self._readers: set[_Reader] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self._last_expression_ms = -EXPRESSION_MS
        self.on_message: Callable[[Mapping[str, Any]], None] | None = None
        """Also called with each message, in the thread that publishes it."""

    def stop(self) -> None:
        """Ask the thread to end."""
        super().stop()
        self._call(self._ended.set)

    def publish(self, message: Mapping[str, Any]) -> None:
        """Send a message to every reader; callable from any thread, returns at once.

        ``texts`` has the parts of each :class:`Message` in it, for translation. The newest message
        of each ``type`` (and ``kind``, if it has one) is kept for later readers.
        """
        texts = {str(text): parts_of(text) for text in messages_in(message)}
        if texts:
            message = {**message, "texts": texts}
        line = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        with self._lock:
            self._newest[f"{message['type']} {message.get('kind', '')}"] = line
        self._call(self._spread, line)
        if self.on_message is not None:
            self.on_message(message)

    def publish_recognition(self, recognition: Recognition) -> None:
        """Send the message of a frame, at most five times per second."""
        if recognition.at.boot_ms - self._last_expression_ms >= EXPRESSION_MS:
            self._last_expression_ms = recognition.at.boot_ms
            self.publish(expression_message(recognition, simulated=self._simulated))

    def publish_vital(self, reading: VitalReading) -> None:
        """Send a reading."""
        self.publish(vital_message(reading))

    def work(self) -> None:
        """Serve until stopped, then remove the socket."""
        with self._listening() as listener:
            asyncio.run(self._serve(listener))

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        """Run ``function`` in the server's thread, if it runs."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has closed since
                loop.call_soon_threadsafe(function, *arguments)

    async def _serve(self, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            accepting = tasks.create_task(self._accept(listener, tasks))
            # A stop before the loop was known could not set the event.
            if not self.stopping.is_set():
                await self._ended.wait()
            self._loop = None
            for task in (accepting, *self._tasks):
                task.cancel()

    async def _accept(self, listener: socket.socket, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        knock = asyncio.Event()
        loop.add_reader(listener, knock.set)
        try:
            while True:
                # The only place for a cancellation: an accepted connection always gets its task.
                await knock.wait()
                knock.clear()
                with contextlib.suppress(BlockingIOError):
                    self._admit(listener.accept()[0], tasks)
        finally:
            loop.remove_reader(listener)

    def _admit(self, connection: socket.socket, tasks: asyncio.TaskGroup) -> None:
        """Start the task of a new reader, or refuse it when there are too many."""
        if len(self._tasks) >= READERS:
            log.warning("live: more than %d readers; one was turned away", READERS)
            connection.close()
            return
        task = tasks.create_task(self._attend(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # a task that is cancelled before it starts would not close its connection
        task.add_done_callback(lambda _: connection.close())

    async def _attend(self, connection: socket.socket) -> None:
        """Serve one reader until it hangs up."""
        incoming, outgoing = await asyncio.open_unix_connection(sock=connection)
        reader = _Reader()
        with self._lock:
            newest = list(self._newest.values())
        for line in (_ONLINE, *newest):
            reader.give(line)
        self._readers.add(reader)
        sending = asyncio.create_task(_send(reader, outgoing))
        try:
            while await incoming.read(1024):
                pass  # readers have nothing to say; this only waits for the end
        except OSError:
            pass
        finally:
            self._readers.discard(reader)
            sending.cancel()
            # abort, not close: close would first flush to a reader that may never read.
            outgoing.transport.abort()

    def _spread(self, line: bytes) -> None:
        for reader in self._readers:
            reader.give(line)


async def _send(reader: _Reader, outgoing: asyncio.StreamWriter) -> None:
    """Send waiting messages at the speed of the reader."""
    with contextlib.suppress(OSError):
        while True:
            await reader.something.wait()
            reader.something.clear()
            while reader.waiting:
                outgoing.write(reader.waiting.popleft())
                await outgoing.drain()


async def live_messages(path: Path) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the agent's messages without end.

    Yields ``OFFLINE`` once when the agent goes away, or is not there at the beginning. It connects
    again by itself, after half a second at first and five at most. Close the generator to
    disconnect.
    """
    retry_s = FIRST_RETRY_S
    known_offline = False
    while True:
        async for message in _one_connection(path):
            retry_s = FIRST_RETRY_S
            known_offline = False
            yield message
        if not known_offline:
            known_offline = True
            yield dict(OFFLINE)
        await asyncio.sleep(retry_s)
        retry_s = min(2 * retry_s, LONGEST_RETRY_S)


async def _one_connection(path: Path) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the messages of one connection; none when the agent is away."""
    try:
        with socket_address(path) as address:
            incoming, outgoing = await asyncio.open_unix_connection(address, limit=LONGEST_LINE)
    except OSError as error:
        log.debug("live: %s: %s", path, error)
        return
    try:
        while line := await incoming.readline():
            message = json.loads(line)
            if isinstance(message, dict):
                yield message
    except (OSError, ValueError) as error:  # a line too long or no JSON: begin anew
        log.warning("live: %s: %s", path, error)
    finally:
        outgoing.close()
        with contextlib.suppress(OSError):
            await outgoing.wait_closed()


async def newest_messages(
    path: Path, kinds: Set[str], within_s: float
) -> dict[str, dict[str, Any]]:
    """Return the agent's newest message of each of these types, as soon as all have come.

    Types without a message in time are missing; all are, if the agent does not answer.
    """
    newest: dict[str, dict[str, Any]] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s), contextlib.aclosing(live_messages(path)) as messages:
            async for message in messages:
                if message.get("type") in kinds:
                    newest[message["type"]] = message
                if message == OFFLINE or newest.keys() >= kinds:
                    break
    return newest


_AT_A_TIME = 1 << 16
_STATE = b'{"type":"state",'


class AgentProbe:
    """Reads the agent's last ``state`` message, which it sends each second.

    One connection to the live feed is kept open, and opened again after its end. Belongs to one
    thread.

    Args:
        path: of the socket of the live feed.

    Example:
        >>> probe = AgentProbe(Path("data/live.sock"))
        >>> probe.last_state_ms(within_s=0.7)
        >>> probe.is_connected
        False
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: socket.socket | None = None
        self._begun = b""
        self._told: dict[str, Any] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open; an agent that hangs still holds it."""
        return self._connection is not None

    def last_state_ms(self, within_s: float) -> int | None:
        """Return the time of the last state, UTC milliseconds; it may be long ago.

        ``None``: there is no agent, or no state came in time.

        Args:
            within_s: longest wait for the first state; later ones are not awaited.
        """
        state = self.last_state(within_s)
        return None if state is None else int(state["at"])

    def last_state(self, within_s: float) -> dict[str, Any] | None:
        """Return the last state, as `last_state_ms` finds it."""
        until_s = clock.boot_seconds() + within_s
        was_connected = self.is_connected
        if not self._hear(until_s) and was_connected:
            self._hear(until_s)  # an agent that was started again has a new socket
        return self._told

    def close(self) -> None:
        """Close the connection, and forget the last state."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._begun = b""
        self._told = None

    def _hear(self, until_s: float) -> bool:
        """Read all waiting messages; return whether the connection is open."""
        try:
            connection = self._connection or self._open(until_s)
            while (left_s := until_s - clock.boot_seconds()) > 0:
                connection.settimeout(left_s if self._told is None else 0)
                data = connection.recv(_AT_A_TIME)
                if not data:
                    raise ConnectionResetError("the agent has hung up")
                self._take(data)
        except (BlockingIOError, TimeoutError):  # nothing more for now
            return self.is_connected
        except (OSError, ValueError, LookupError, TypeError):
            self.close()
            return False
        return True

    def _open(self, until_s: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(max(until_s - clock.boot_seconds(), 0))
            with socket_address(self._path) as address:
                connection.connect(address)
        except OSError:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _take(self, data: bytes) -> None:
        *lines, self._begun = (self._begun + data).split(b"\n")
        if len(self._begun) > LONGEST_LINE:
            raise ValueError("a line without an end")
        for line in lines:
            # Compared as bytes: of dozens of messages a second only this kind is parsed.
            if line.startswith(_STATE):
                told = json.loads(line)
                int(told["at"])
                self._told = told
