"""How the stream of the timeline stands: what its sender tells the agent's health."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class ReplicationStanding:
    """The stream at one moment.

    Attributes:
        state: of the connection to the broker, as ``mqtt.state`` of the health.
        waiting: changes that the collector has not confirmed.
        confirmed: the last position that it has confirmed.
        error: what is wrong and what to do; ``None``: nothing is.
        error_s: how long something has been wrong.
        given_up: changes that were given up, and of which the collector has not heard yet.
    """

    state: str = "connecting"
    waiting: int = 0
    confirmed: int = 0
    error: str | None = None
    error_s: float = 0.0
    given_up: int = 0


@runtime_checkable
class Replicates(Protocol):
    """A worker that sends the timeline."""

    @property
    def standing(self) -> ReplicationStanding:
        """How the stream stands; may be asked from any thread."""
