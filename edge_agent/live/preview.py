"""The camera's picture for one administrator at a time, over a local socket.

The dashboard sends a line with the name of the viewer, and a line ``MORE`` for each further minute.
The agent answers with parts: a line of JSON, followed by the bytes of a JPEG picture. No picture is
stored: it is encoded in memory, sent, and forgotten.
"""

from __future__ import annotations

import contextlib
import json
import logging
import selectors
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.core.bounds import printable
from edge_agent.core.clock import boot_seconds, now
from edge_agent.core.expression import Frame
from edge_agent.core.texts import N_, Worded
from edge_agent.core.threads import LatestValue
from edge_agent.live.sockets import SocketWorker

if TYPE_CHECKING:
    import asyncio

    from edge_agent.core.expression import Image

log = logging.getLogger(__name__)

SOCKET_NAME = "preview.sock"
LEASE_S = 60.0
"""Seconds after which a preview ends, unless more are requested."""
SIGN_S = 0.5
"""Longest time between two parts, with a picture or without one."""
MORE = b'{"more":true}\n'
LONGEST_LINE = 4096
LARGEST_PICTURE = 1 << 20
FRAME_S = 0.2
"""Least time between two pictures: the eye needs no more, and reading faces goes first."""
WIDTH = 640
"""Wider pictures are made smaller."""
QUALITY = 75
ASK_S = 2.0
"""Longest wait for the line with the name of the viewer."""
SEND_S = 2.0
"""Longest wait for a reader that does not read."""
LATE_S = 3.0
"""Without a frame for this long the preview ends, unless the camera is slower."""
_TAKE_S = 0.1
_LOOK_S = 0.5
_MOST_TURNED_AWAY = 4
"""Connections that are kept open after the answer ``busy``."""


class PreviewEnded(Worded):
    """The reasons why a preview ended, or did not begin."""

    TIME = "time", N_("The preview has ended: the minute is up.")
    LEFT = "left", N_("The preview has ended.")
    CAMERA = "camera", N_("The preview has ended: no picture from the camera.")
    AGENT = "agent", N_("The preview has ended: the agent does not answer.")
    BUSY = (
        "busy",
        N_("Somebody is already watching the preview. Only one person can watch at a time."),
    )
    LOGIN = "login", N_("The preview has ended: the login has ended.")
    ROLE = "role", N_("The preview has ended: this account may no longer see it.")
    SESSION = "session", N_("The preview has ended: a session has started.")
    DATABASE = (
        "database",
        N_(
            "The preview has ended: permissions cannot be checked because the database does not "
            "answer."
        ),
    )
    DASHBOARD = "dashboard", N_("The preview has ended: the dashboard cannot be reached.")


@dataclass(frozen=True, slots=True)
class PreviewPart:
    """A part of a preview.

    Attributes:
        until_ms: when it ends by itself, UTC milliseconds.
        picture: a JPEG picture; empty: there is no new one.
        ended: why it ended; empty: it goes on.
    """

    until_ms: int = 0
    picture: bytes = b""
    ended: str = ""

    def encode(self) -> bytes:
        """Return the bytes to send.

        >>> PreviewPart(5, b"abc").encode()
        b'{"until":5,"bytes":3,"ended":""}\\nabc'
        """
        head = {"until": self.until_ms, "bytes": len(self.picture), "ended": self.ended}
        return json.dumps(head, separators=(",", ":")).encode() + b"\n" + self.picture


def request_line(by: str) -> bytes:
    """Return the line that asks for a preview, for the account ``by``."""
    return json.dumps({"by": by}).encode() + b"\n"


async def read_part(incoming: asyncio.StreamReader) -> PreviewPart:
    """Read the next part.

    Raises:
        EOFError: the agent has hung up.
        ValueError: it is no part.
        OSError: the connection broke.
    """
    line = await incoming.readline()
    if not line:
        raise EOFError
    head = json.loads(line)
    try:
        size = int(head["bytes"])
        until_ms = int(head["until"])
        ended = str(head["ended"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"no part of a preview: {line!r}") from error
    if not 0 <= size <= LARGEST_PICTURE:
        raise ValueError(f"a picture of {size} bytes")
    return PreviewPart(until_ms, await incoming.readexactly(size), ended)


class SharedFrames(LatestValue[Frame]):
    """The slot between camera and vision; during a preview, a second slot is filled as well.

    Vision misses no frame by it, and no frame is copied.

    Attributes:
        onlooker: the second slot; ``None``: there is no preview.
    """

    def __init__(self) -> None:
        super().__init__()
        self.onlooker: LatestValue[Frame] | None = None

    def put(self, value: Frame) -> None:
        """Store ``value`` for both, in place of one that was not taken; never blocks."""
        super().put(value)
        onlooker = self.onlooker
        if onlooker is not None:
            onlooker.put(value)


class PreviewServer(SocketWorker):
    """Sends pictures to one reader of the socket at a time, until its time is over.

    Without a reader the thread waits, and each frame costs one comparison.

    Args:
        path: of the socket; readable and writable for user and group.
        tell: called with a message for the live feed whenever a preview begins or ends.
        frame_period_s: seconds from one frame of the camera to the next.
        clock: counts the seconds of a preview.

    Attributes:
        frames: where the camera's thread puts the newest frame, for vision.
    """

    def __init__(
        self,
        path: Path,
        tell: Callable[[Mapping[str, Any]], None],
        frame_period_s: float,
        clock: Callable[[], float] = boot_seconds,
    ) -> None:
        super().__init__("preview", path)
        self.frames = SharedFrames()
        self._tell = tell
        self._late_s = max(LATE_S, 2 * frame_period_s + 1)
        self._clock = clock

    def work(self) -> None:
        """Serve one reader after the other until stopped, then remove the socket."""
        with self._listening() as listener:
            while not self.stopping.is_set():
                listener.settimeout(_LOOK_S)
                with contextlib.suppress(OSError):  # nobody came, or a reader left
                    connection, _ = listener.accept()
                    with connection:
                        self._serve(connection, listener)

    def _serve(self, connection: socket.socket, listener: socket.socket) -> None:
        connection.settimeout(ASK_S)
        by = _viewer_name(connection)
        if not by:
            return
        connection.settimeout(SEND_S)
        listener.setblocking(False)
        show = _Show(connection, listener, self._late_s, self._clock)
        self.frames.onlooker = show.frames
        log.info("preview: begins, for %s", by)
        self._announce(by, show.until_ms)
        show.on_more = lambda: self._announce(by, show.until_ms)
        ended = PreviewEnded.LEFT
        try:
            ended = show.run(self.stopping.is_set)
            connection.sendall(PreviewPart(ended=ended).encode())
        finally:
            self.frames.onlooker = None
            show.close()
            log.info("preview: ended (%s) after %d pictures", ended, show.pictures)
            self._announce(None, None)

    def _announce(self, by: str | None, until_ms: int | None) -> None:
        at = now().wall_ms
        self._tell({"type": "preview", "at": at, "by": by, "until": until_ms})


class _Show:
    """One preview, from its first picture to its end."""

    def __init__(
        self,
        connection: socket.socket,
        listener: socket.socket,
        late_s: float,
        clock: Callable[[], float],
    ) -> None:
        self.frames: LatestValue[Frame] = LatestValue()
        self.pictures = 0
        self.on_more: Callable[[], None] = lambda: None
        self._connection = connection
        self._listener = listener
        self._late_s = late_s
        self._clock = clock
        self._turned_away: list[socket.socket] = []
        self._begun_s = clock()
        self._end_s = 0.0
        self.until_ms = 0
        self._prolong()

    def run(self, is_stopping: Callable[[], bool]) -> PreviewEnded:
        """Send pictures until there is a reason to end; return it."""
        began_s = seen_s = signed_s = self._begun_s
        while True:
            reason = self._handle_requests()
            present_s = self._clock()
            if is_stopping():
                reason = PreviewEnded.AGENT
            elif reason is None and present_s >= self._end_s:
                reason = PreviewEnded.TIME
            elif reason is None and present_s - seen_s > self._late_s:
                reason = PreviewEnded.CAMERA
            if reason is not None:
                return reason
            if present_s < began_s + FRAME_S:
                frame = None
                self._is_said(within_s=began_s + FRAME_S - present_s)
            else:
                frame = self.frames.take(_TAKE_S)
            if frame is not None:
                began_s = seen_s = signed_s = self._clock()
                self._send(jpeg_of(frame.image))
                self.pictures += 1
            elif self._clock() - signed_s >= SIGN_S:
                signed_s = self._clock()
                self._send(b"")

    def _is_said(self, within_s: float) -> bool:
        """Wait at most so long; return whether the reader sent something or disconnected."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            return bool(selector.select(within_s))

    def _send(self, picture: bytes) -> None:
        self._connection.sendall(PreviewPart(self.until_ms, picture).encode())

    def _handle_requests(self) -> PreviewEnded | None:
        """Handle requests of the reader and refuse others; return a reason to end, if any."""
        with contextlib.suppress(BlockingIOError):
            other, _ = self._listener.accept()
            self._turn_away(other)
        if not self._is_said(within_s=0):
            return None
        request = self._connection.recv(LONGEST_LINE)
        if not request:
            return PreviewEnded.LEFT
        if MORE in request:
            self._prolong()
            self.on_more()
        return None

    def _turn_away(self, other: socket.socket) -> None:
        """Refuse another reader during a preview.

        The connection stays open for a while: on a closed one the reader could not send its name,
        and would take the failure for a missing agent.
        """
        self._turned_away.append(other)
        with contextlib.suppress(OSError):
            other.settimeout(SEND_S)
            other.sendall(PreviewPart(ended=PreviewEnded.BUSY).encode())
            other.shutdown(socket.SHUT_WR)
        if len(self._turned_away) > _MOST_TURNED_AWAY:
            self._turned_away.pop(0).close()

    def close(self) -> None:
        """Close the connections of refused readers."""
        for other in self._turned_away:
            other.close()

    def _prolong(self) -> None:
        self._end_s = self._clock() + LEASE_S
        self.until_ms = now().shift(LEASE_S).wall_ms


def jpeg_of(image: Image) -> bytes:
    """Return a picture (uint8, height × width × 3, BGR) as JPEG, not wider than ``WIDTH``."""
    import cv2

    height, width = image.shape[:2]
    if width > WIDTH:
        size = (WIDTH, max(1, round(height * WIDTH / width)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    done, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
    return data.tobytes() if done else b""


def _viewer_name(connection: socket.socket) -> str:
    """Return the name of the viewer, which can be shown; empty if it does not come in time."""
    with contextlib.suppress(OSError, ValueError, AttributeError, RecursionError):
        line = connection.makefile("rb", buffering=0).readline(LONGEST_LINE)
        return printable(str(json.loads(line).get("by") or "")[:100])
    return ""
