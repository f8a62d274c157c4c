"""What agent and dashboard say to each other over the preview's socket.

The dashboard sends a line with who wants to look, and a line ``MORE`` for each further minute. The
agent answers with parts: a line of JSON, and behind it as many bytes of a JPEG picture as it says.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from enum import StrEnum

SOCKET_NAME = "preview.sock"
LEASE_S = 60.0
"""A preview ends after this long, unless somebody asks for more."""
SIGN_S = 0.5
"""The agent sends a part at least so often, with a picture or without one."""
MORE = b'{"more":true}\n'
LONGEST_LINE = 4096
LARGEST_PICTURE = 1 << 20


class Ended(StrEnum):
    """Why a preview ended, or did not begin."""

    TIME = "time"
    LEFT = "left"
    CAMERA = "camera"
    AGENT = "agent"
    BUSY = "busy"
    LOGIN = "login"
    ROLE = "role"
    SESSION = "session"
    DATABASE = "database"
    DASHBOARD = "dashboard"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a preview.

    Attributes:
        until_ms: when it ends by itself, UTC milliseconds.
        picture: a JPEG picture; empty: there is no new one.
        ended: why it ended; empty: it goes on.
    """

    until_ms: int = 0
    picture: bytes = b""
    ended: str = ""

    def encoded(self) -> bytes:
        """Return it as it is sent.

        >>> Part(5, b"abc").encoded()
        b'{"until":5,"bytes":3,"ended":""}\\nabc'
        """
        head = {"until": self.until_ms, "bytes": len(self.picture), "ended": self.ended}
        return json.dumps(head, separators=(",", ":")).encode() + b"\n" + self.picture


def request_line(by: str) -> bytes:
    """Return the line that asks for a preview, for the account ``by``."""
    return json.dumps({"by": by}).encode() + b"\n"


async def read_part(incoming: asyncio.StreamReader) -> Part:
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
    return Part(until_ms, await incoming.readexactly(size), ended)
