"""A broker that is played: what a collector receives from it, and what it owes it."""

from __future__ import annotations

from collections.abc import Sequence

from collector.messages import BrokerDelivery, StateMessage, TransportError
from collector.worker import Collector
from edge_agent.mqtt.payloads import Confirmation


class PlayedBroker:
    """Delivers in batches; ends the loop when there are no more.

    Args:
        batches: what is delivered, one after the other; an error is raised instead.
    """

    def __init__(self, *batches: list[BrokerDelivery] | TransportError) -> None:
        self.batches = list(batches)
        self.done: list[str] = []
        self.said: list[StateMessage] = []
        self.collector: Collector

    def open(self) -> None:
        self.done.append("open")

    def receive(self, most: int, timeout_s: float) -> list[BrokerDelivery]:
        assert timeout_s >= 0
        if most == 0:
            return []
        if not self.batches:
            self.collector.stop()
            return []
        batch = self.batches.pop(0)
        if isinstance(batch, TransportError):
            raise batch
        return batch

    def states(self) -> list[StateMessage]:
        said, self.said = self.said, []
        return said

    def check(self) -> None:
        """Answer at once."""

    def acknowledge(self, deliveries: Sequence[BrokerDelivery]) -> None:
        self.done.append(f"acknowledge {len(deliveries)}")

    def confirm(self, device: str, payload: bytes) -> None:
        position = Confirmation.model_validate_json(payload).position
        self.done.append(f"confirm {device} {position}")

    def close(self) -> None:
        self.done.append("close")
