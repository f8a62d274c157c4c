"""Readings of an earlier recording, played at their own pace.

They have the flags ``replayed`` and ``simulated``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edge_agent.core import clock
from edge_agent.core.errors import DataFileError
from edge_agent.core.given_readings import ArrivalTimes
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.vitals.sources import Sink, VitalSource

MARKS = frozenset({VitalFlag.REPLAYED, VitalFlag.SIMULATED})
"""Also simulated: no person who is present now had this heart rate, and no test may use it so."""


class ReplayVitals(VitalSource):
    """Plays readings in the order of their times, with the original intervals.

    Args:
        sink: as in ``VitalSource``.
        readings: of the recording.
        name: of the recording, which precedes the source of each reading.
        speed: seconds of the recording for each second.
        loop: whether to start again at the end.

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
    ) -> None:
        super().__init__(f"replay:{name}", sink)
        if not readings:
            raise DataFileError(
                f"vitals.replay.file: {name} has no readings to play. Name another recording."
            )
        # By the wall clock: readings of an earlier boot have boot times that cannot be compared.
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
                self.emit(self._as_played(reading))
            # A second of pause: a recording of a single instant would otherwise loop at full speed.
            if not self._loop or self.stopping.wait(1.0 / self._speed):
                return

    def _as_played(self, reading: VitalReading) -> VitalReading:
        source = f"{self.source}:{reading.source}"
        at = self._arrivals.stamp(source, reading.kind, clock.now())
        # They come from here now, and not from a file.
        flags = (reading.flags - {VitalFlag.IMPORTED}) | MARKS
        return replace(reading, at=at, source=source, flags=flags)
