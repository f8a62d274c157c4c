"""Readings of an earlier recording, played again at their own pace.

Each says ``replayed`` and ``simulated``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from edge_agent.core import clock
from edge_agent.core.errors import DataFileError
from edge_agent.core.given_readings import ArrivalTimes
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.worker import Worker
from edge_agent.vitals.base import Sink, VitalSource

MARKS = frozenset({VitalFlag.REPLAYED, VitalFlag.SIMULATED})
"""Simulated, too: nobody who was there now had this heart rate, and no test may take it for
that.
"""


class ReplayVitals(VitalSource):
    """Plays readings in the order of their times: the first at once, each other as long after it as
    it was then.

    Args:
        sink: as in ``VitalSource``.
        readings: of the recording.
        name: of the recording; goes into the source of each reading, before its own.
        speed: how many seconds of the recording pass in one.
        loop: begin again at the end.
        on_death: as in ``Worker``.

    Raises:
        DataFileError: there is nothing to play.

    Example:
        >>> replay = ReplayVitals(recorder.submit, readings, "morning", speed=10.0)
        >>> replay.start()
    """

    def __init__(
        self,
        sink: Sink,
        readings: Sequence[VitalReading],
        name: str,
        *,
        speed: float = 1.0,
        loop: bool = False,
        on_death: Callable[[Worker, Exception], None] | None = None,
    ) -> None:
        super().__init__(f"replay:{name}", sink, on_death)
        if not readings:
            raise DataFileError(
                f"vitals.replay.file: {name} has no readings to play. Name another recording."
            )
        self._readings = sorted(readings, key=lambda reading: reading.at.wall_ms)
        self._speed = speed
        self._loop = loop
        self._arrivals = ArrivalTimes()

    def work(self) -> None:
        """Play until stopped, or to the end."""
        while True:
            begun_s = clock.boot_seconds()
            first_ms = self._readings[0].at.wall_ms
            for reading in self._readings:
                due_s = begun_s + (reading.at.wall_ms - first_ms) / 1000 / self._speed
                if self.stopping.wait(max(0.0, due_s - clock.boot_seconds())):
                    return
                self.emit(self._played(reading))
            # A recording of one instant would spin; a second lies between its end and its next
            # beginning.
            if not self._loop or self.stopping.wait(1.0 / self._speed):
                return

    def _played(self, reading: VitalReading) -> VitalReading:
        source = f"{self.source}:{reading.source}"
        at = self._arrivals.stamp(source, reading.kind, clock.now())
        return replace(
            reading, at=at, source=source, flags=(reading.flags - {VitalFlag.IMPORTED}) | MARKS
        )
