"""Messages on the socket: a length of four bytes, then JSON; bytes in it as base64."""

from __future__ import annotations

import base64
import json
import socket
from typing import Any

from edge_agent.core.errors import StoreError

LARGEST = 64_000_000
"""Bytes of a message; a page of the dashboard needs some thousand."""
_LENGTH = 4
_BYTES = "$bytes"


def send(to: socket.socket, content: dict[str, Any]) -> None:
    """Send one message.

    Raises:
        StoreError: it is too long.
        OSError: the other side is gone.
    """
    body = json.dumps(content, default=_encoded, separators=(",", ":")).encode()
    if len(body) > LARGEST:
        raise StoreError(
            f"{len(body):,} bytes are too many for one message to the database; at most "
            f"{LARGEST:,} are taken. Give less at once."
        )
    to.sendall(len(body).to_bytes(_LENGTH, "big") + body)


def receive(from_: socket.socket) -> dict[str, Any] | None:
    """Receive one message; ``None``: the other side has ended.

    Raises:
        ValueError: it is none of ours.
        OSError: the other side is gone, or silent for longer than the socket waits.
    """
    head = _read(from_, _LENGTH)
    if head is None:
        return None
    length = int.from_bytes(head, "big")
    if length > LARGEST:
        raise ValueError(f"{length:,} bytes are announced, at most {LARGEST:,} are taken")
    body = _read(from_, length)
    if body is None:
        return None
    content = json.loads(body, object_hook=_decoded)
    if not isinstance(content, dict):
        raise ValueError(f"a message is an object of JSON, not {type(content).__name__}")
    return content


def _read(from_: socket.socket, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = from_.recv(min(count - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _encoded(value: object) -> dict[str, str]:
    if isinstance(value, bytes | bytearray | memoryview):
        return {_BYTES: base64.b64encode(bytes(value)).decode()}
    raise TypeError(f"{type(value).__name__} is no value of SQLite")


def _decoded(value: dict[str, Any]) -> Any:
    if value.keys() == {_BYTES}:
        return base64.b64decode(value[_BYTES], validate=True)
    return value
