"""Asks the agent for a sign of life, as a program without an event loop does."""

from __future__ import annotations

import itertools
import json
import socket
from pathlib import Path

from edge_agent.runtime.live_feed import socket_address

_LINES = 32
"""At first come the newest of each kind, so that none has to be waited for."""
_STATE = b'{"type":"state",'


def last_state_ms(path: Path, within_s: float) -> int | None:
    """Return when the agent last told how camera and broker stand, UTC milliseconds.

    It does so each second. ``None``: no agent is there, or it does not answer in time.

    Args:
        path: of the socket of the live feed.
        within_s: longest wait for each of its lines.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(within_s)
        try:
            with socket_address(path) as address:
                connection.connect(address)
            with connection.makefile("rb") as lines:
                for line in itertools.islice(lines, _LINES):
                    if line.startswith(_STATE):
                        return int(json.loads(line)["at"])
        except (OSError, ValueError):
            return None
    return None
