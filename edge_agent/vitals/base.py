"""What every source of physiological readings is: a worker that hands readings to a sink."""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.core.readings import VitalReading
from edge_agent.core.worker import Worker

Sink = Callable[[VitalReading], None]


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
