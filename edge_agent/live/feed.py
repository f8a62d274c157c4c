"""The live feed from the agent to the dashboard: a local socket, one JSON object per line.

A slow reader loses messages: the agent never waits for it, and keeps at most a few dozen messages
for it. A new reader first gets the newest message of each kind. ``live_messages`` is a reader for
programs with an event loop; ``AgentProbe`` asks for a sign of life without one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import selectors
import socket
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.core import clock
from edge_agent.core.expression import Observation, Recognition
from edge_agent.core.movements import movements_as_json
from edge_agent.core.pauses import Pauses, doubling
from edge_agent.core.process import Later
from edge_agent.core.readings import VitalReading
from edge_agent.core.texts import messages_in, parts_of
from edge_agent.live.sockets import SocketWorker, socket_address

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Later("asyncio")  # 5 MB, for readers: the agent, which serves, does without

log = logging.getLogger(__name__)

SOCKET_NAME = "live.sock"
READERS = 32
"""Most readers at one time: each costs memory."""
MESSAGES_WAITING = 64
"""Messages that wait for a slow reader; the oldest are dropped first."""
EXPRESSION_MS = 200
"""Least time between two expression messages: five per second are enough for a person's eye."""
LATE_S = 60.0
"""A reading farther from the present is not published, since a cuff also sends old ones."""
LONGEST_LINE = 1 << 20
RETRIES_S = doubling(0.5, 5.0)
OFFLINE: Mapping[str, str] = {"type": "agent", "state": "offline"}
_ONLINE = b'{"type":"agent","state":"online"}\n'
_AT_A_TIME = 1 << 16
_STATE = b'{"type":"state",'


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
        "blank": recognition.is_blank,
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
        "attribution": observation.attribution,
        "picture": observation.is_picture,
        "emotion": observation.emotion.value if observation.emotion else None,
        "probabilities": {name: round(p, 4) for name, p in observation.raw.as_dict().items()},
        "smoothed": {name: round(p, 4) for name, p in smoothed.as_dict().items()},
        "valence": round(smoothed.valence, 4),
        "quality": round(observation.quality, 4),
        "flaw": observation.reject_reason.value if observation.reject_reason else None,
        **movements_as_json(observation.smoothed_movements),
    }


def is_live(reading: VitalReading) -> bool:
    """Tell whether a reading is of now; any other one goes to the timeline only."""
    return abs(clock.now().wall_ms - reading.at.wall_ms) <= 1000 * LATE_S


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
    """A connected reader and what waits for it."""

    connection: socket.socket
    waiting: deque[bytes] = field(default_factory=lambda: deque(maxlen=MESSAGES_WAITING))
    begun: bytes = b""
    """The rest of a message whose beginning was sent."""

    def send(self) -> bool:
        """Send what the connection takes at once; return whether that was all.

        Raises:
            OSError: the reader has hung up.
        """
        while self.begun or self.waiting:
            self.begun = self.begun or self.waiting.popleft()
            try:
                self.begun = self.begun[self.connection.send(self.begun) :]
            except BlockingIOError:
                return False
        return True

    def is_there(self) -> bool:
        """Read what the reader says, which means nothing; return ``False`` once it has hung up."""
        try:
            return bool(self.connection.recv(1024))
        except BlockingIOError:
            return True
        except OSError:
            return False


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
        self._bell: socket.socket | None = None
        self._last_expression_ms = -EXPRESSION_MS
        self.on_message: Callable[[Mapping[str, Any]], None] | None = None
        """Also called with each message, in the thread that publishes it."""

    def stop(self) -> None:
        """Ask the thread to end."""
        super().stop()
        with self._lock:
            self._ring()

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
            for reader in self._readers:
                reader.waiting.append(line)
            if self._readers:
                self._ring()
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
        bell, ears = socket.socketpair()
        with bell, ears, self._listening() as listener, selectors.DefaultSelector() as selector:
            bell.setblocking(False)
            selector.register(listener, selectors.EVENT_READ)
            selector.register(ears, selectors.EVENT_READ)
            with self._lock:
                self._bell = bell
            try:
                # A stop before there was a bell has set what is asked here.
                while not self.stopping.is_set():
                    self._serve(selector, listener, ears)
            finally:
                with self._lock:
                    self._bell = None
                for reader in tuple(self._readers):
                    self._dismiss(selector, reader)

    def _ring(self) -> None:
        """Wake the server's thread, if it runs; the caller holds the lock."""
        if self._bell is not None:
            with contextlib.suppress(BlockingIOError):  # it was rung often, and not heard yet
                self._bell.send(b"!")

    def _serve(
        self, selector: selectors.BaseSelector, listener: socket.socket, ears: socket.socket
    ) -> None:
        """Wait until something happens, and act on it."""
        for key, events in selector.select():
            if key.fileobj is listener:
                with contextlib.suppress(BlockingIOError):  # who came has left again
                    self._admit(selector, listener.accept()[0])
            elif key.fileobj is ears:
                ears.recv(4096)
                for reader in tuple(self._readers):
                    self._attend(selector, reader)
            elif key.data not in self._readers:
                pass  # dismissed a moment ago
            elif events & selectors.EVENT_READ and not key.data.is_there():
                self._dismiss(selector, key.data)
            else:
                self._attend(selector, key.data)

    def _admit(self, selector: selectors.BaseSelector, connection: socket.socket) -> None:
        """Give a new reader the newest messages, or turn it away when there are too many."""
        if len(self._readers) >= READERS:
            log.warning("live: more than %d readers; one was turned away", READERS)
            connection.close()
            return
        connection.setblocking(False)
        reader = _Reader(connection)
        selector.register(connection, selectors.EVENT_READ, reader)
        with self._lock:
            reader.waiting.extend((_ONLINE, *self._newest.values()))
            self._readers.add(reader)
        self._attend(selector, reader)

    def _attend(self, selector: selectors.BaseSelector, reader: _Reader) -> None:
        """Send what waits for a reader, now or as soon as it takes more."""
        try:
            sent_all = reader.send()
        except OSError:
            self._dismiss(selector, reader)
            return
        more = 0 if sent_all else selectors.EVENT_WRITE
        selector.modify(reader.connection, selectors.EVENT_READ | more, reader)

    def _dismiss(self, selector: selectors.BaseSelector, reader: _Reader) -> None:
        """Hang up on a reader; what still waits for it is lost."""
        with self._lock:
            self._readers.discard(reader)
        selector.unregister(reader.connection)
        reader.connection.close()


async def live_messages(path: Path) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the agent's messages without end.

    Yields ``OFFLINE`` once when the agent goes away, or is not there at the beginning. It connects
    again by itself, after half a second at first and five at most. Close the generator to
    disconnect.
    """
    pauses = Pauses(RETRIES_S)
    known_offline = False
    while True:
        async for message in _one_connection(path):
            pauses.reset()
            known_offline = False
            yield message
        if not known_offline:
            known_offline = True
            yield dict(OFFLINE)
        await asyncio.sleep(pauses.after_failure())


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
    # A line too long, too deep or no JSON: begin anew.
    except (OSError, ValueError, RecursionError) as error:
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
                self._read_lines(data)
        except (BlockingIOError, TimeoutError):  # nothing more for now
            return self.is_connected
        except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
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

    def _read_lines(self, data: bytes) -> None:
        *lines, self._begun = (self._begun + data).split(b"\n")
        if len(self._begun) > LONGEST_LINE:
            raise ValueError("a line without an end")
        for line in lines:
            # Compared as bytes: of dozens of messages a second only this kind is parsed.
            if line.startswith(_STATE):
                told = json.loads(line)
                int(told["at"])
                self._told = told
