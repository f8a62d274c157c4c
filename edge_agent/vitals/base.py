"""What every source of physiological readings is: a worker that hands readings to a sink.

And by what a Bluetooth sensor is reached: a ``Radio`` that makes a ``Link``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from edge_agent.core.readings import VitalReading
from edge_agent.core.worker import Worker

Sink = Callable[[VitalReading], None]


class Link(Protocol):
    """One connection to a sensor; a characteristic is named by its UUID.

    Everything may raise ``VitalsError``.
    """

    async def subscribe(self, characteristic: str, on_value: Callable[[bytes], None]) -> None:
        """Have ``on_value`` called with each notification or indication."""

    async def read(self, characteristic: str) -> bytes:
        """Return the present value."""

    async def closed_within(self, seconds: float) -> bool:
        """Wait, at most so long, for the end of the connection; return whether it has ended."""


class Radio(Protocol):
    """What makes connections."""

    def connect(self, address: str) -> AbstractAsyncContextManager[Link]:
        """Find a sensor and connect; the end of the block disconnects.

        Raises:
            VitalsError: on entering, when that does not succeed.
        """


class VitalSource(Worker):
    """A thread that reads one device, or makes readings up, until it is stopped.

    A source whose device is away tries again by itself, waiting longer each time; it dies only of
    its own faults.

    Args:
        name: goes into ``VitalReading.source`` and into the name of the thread.
        sink: called in this thread with every reading, implausible ones flagged; it must not block.
        on_death: as in ``Worker``.
    """

    def __init__(
        self, name: str, sink: Sink, on_death: Callable[[Worker, Exception], None] | None = None
    ) -> None:
        super().__init__(f"vitals-{name}", on_death)
        self.source = name
        self._sink = sink

    def emit(self, reading: VitalReading) -> None:
        """Hand a reading on, flagged ``out_of_range`` when it is implausible."""
        self._sink(reading.checked())
