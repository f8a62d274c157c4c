"""Asks the agent for a sign of life, as a program without an event loop does."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from edge_agent.core import clock
from edge_agent.runtime.live_feed import LONGEST_LINE
from edge_agent.runtime.sockets.listening import socket_address

_AT_A_TIME = 1 << 16
_STATE = b'{"type":"state",'


class AgentProbe:
    """Hears when the agent last told how camera and broker stand; it does so each second.

    One connection to the live feed stays open and is opened again when it has ended. Belongs to one
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
        self._told_ms: int | None = None

    @property
    def is_connected(self) -> bool:
        """Whether somebody holds the other end: an agent that hangs still does."""
        return self._connection is not None

    def last_state_ms(self, within_s: float) -> int | None:
        """Return when the agent last told its state, UTC milliseconds; it may be long ago.

        ``None``: no agent is there, or it has told nothing yet and does not in time.

        Args:
            within_s: longest wait for a first word; later ones are not waited for.
        """
        until_s = clock.boot_seconds() + within_s
        was_connected = self.is_connected
        if not self._hear(until_s) and was_connected:
            self._hear(until_s)  # an agent that was started again has a new socket
        return self._told_ms

    def close(self) -> None:
        """Hang up, and forget what was told."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._begun = b""
        self._told_ms = None

    def _hear(self, until_s: float) -> bool:
        """Take all that was said; return whether the connection stands."""
        try:
            connection = self._connection or self._open(until_s)
            while (left_s := until_s - clock.boot_seconds()) > 0:
                connection.settimeout(left_s if self._told_ms is None else 0)
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
            if line.startswith(_STATE):
                self._told_ms = int(json.loads(line)["at"])
