"""What a device says of itself, as a collector hears it."""

from __future__ import annotations

import json

from collector.messages import StateMessage
from edge_agent.core.clock import boot_seconds, iso_utc
from tests.support.fleet.health_example import health_example


def said(
    device: str, kind: str, content: object, *, kept: bool = False, ago_s: float = 0.0
) -> StateMessage:
    """Return a message that was heard some seconds ago; its content as it is, or as JSON."""
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    return StateMessage(device, kind, payload, kept, boot_seconds() - ago_s)


def status(
    device: str, state: str, at_ms: int | None, *, kept: bool = False, ago_s: float = 0.0
) -> StateMessage:
    """Return a greeting, or without a time a last will."""
    content = {"schema": 1, "state": state, "at": None if at_ms is None else iso_utc(at_ms)}
    return said(device, "status", content, kept=kept, ago_s=ago_s)


def health(
    device: str, at_ms: int, *, kept: bool = False, ago_s: float = 0.0, **more: object
) -> StateMessage:
    """Return the example of a health, of another device and time, with other values."""
    content = health_example() | {"device": device, "at": iso_utc(at_ms)} | more
    return said(device, "health", content, kept=kept, ago_s=ago_s)
