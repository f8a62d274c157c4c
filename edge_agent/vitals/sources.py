"""The source of readings, a worker that sends them to a sink; the interfaces to Bluetooth."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from edge_agent.core.readings import VitalReading
from edge_agent.core.threads import RestartingWorker

Sink = Callable[[VitalReading], None]


class Link(Protocol):
    """One connection to a sensor; a characteristic is named by its UUID.

    Everything may raise ``VitalsError``.
    """

    async def subscribe(self, characteristic: str, on_value: Callable[[bytes], None]) -> None:
        """Call ``on_value`` with each notification or indication."""

    async def write(self, characteristic: str, value: bytes) -> None:
        """Write a value, and wait until the sensor has confirmed it."""

    async def read(self, characteristic: str) -> bytes:
        """Return the present value."""

    async def closed_within(self, seconds: float) -> bool:
        """Wait at most so long for the end of the connection; return whether it has ended."""


class Radio(Protocol):
    """A radio that makes connections."""

    def connect(self, address: str) -> AbstractAsyncContextManager[Link]:
        """Find a sensor and connect; the end of the block disconnects.

        Raises:
            VitalsError: on entering, if the sensor is not found or cannot be connected.
        """


class VitalSource(RestartingWorker):
    """A thread that reads one device, or simulates readings, until it is stopped.

    A source whose device is missing tries again by itself, after growing pauses; one that dies of a
    fault of its own, or of what its device sends, begins again.

    Args:
        name: for ``VitalReading.source`` and the name of the thread.
        sink: called in this thread with every reading, implausible ones flagged; it must not block.
    """

    def __init__(self, name: str, sink: Sink) -> None:
        super().__init__(f"vitals-{name}")
        self.source = name
        self.sources = (name,)
        self._sink = sink

    def emit(self, reading: VitalReading) -> None:
        """Send a reading to the sink, flagged ``out_of_range`` if it is implausible."""
        self._sink(reading.flag_implausible())
