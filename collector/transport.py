"""What brings messages: the interface that each kind of broker fulfils."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from collector.device_state import StateMessage

GATHER_S = 0.2
"""How long is waited for more after the first message: a transaction costs as much as hundreds of
rows."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as a broker delivered it.

    Attributes:
        device: whose it is, by the name under which the broker let it in; empty: not known.
        payload: its bytes, unchecked.
        tag: what the transport needs to acknowledge it.
    """

    device: str
    payload: bytes
    tag: int


class Transport(Protocol):
    """A connection to a broker that gives each message to one of its collectors.

    What is not acknowledged when the connection ends is delivered again, perhaps to another
    collector, and perhaps never: devices send again what was not confirmed. Every method raises
    ``TransportError`` when the connection is over; ``open`` may be called again then.
    """

    def open(self) -> None:
        """Connect, and ask for messages."""

    def receive(self, most: int, timeout_s: float) -> list[Delivery]:
        """Return at most so many messages; wait for the first one."""

    def states(self) -> list[StateMessage]:
        """Return what was said of devices, mostly by themselves, since the last call.

        Of each device at most one message of each kind, the newest: ``receive`` gathers them. They
        are not acknowledged; when a connection is opened, the newest that the broker has come.
        """

    def check(self) -> None:
        """Ask the broker something, and wait for its answer."""

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the broker that messages are done with."""

    def confirm(self, device: str, payload: bytes) -> None:
        """Tell a device what is committed; a broker that can keeps it for when it comes back."""

    def close(self) -> None:
        """Leave; may be called twice."""
