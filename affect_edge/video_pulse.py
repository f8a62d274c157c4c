"""The pulse in a recorded video: readings, and silences with their reason, as a table or as rows of
the timeline.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.expression import Frame, Recognition
from edge_agent.core.readings import Gap, VitalFlag, VitalReading
from edge_agent.vision.worker import watch_skin
from edge_agent.vitals.camera_pulse import WINDOW_S, CameraPulse

COLUMNS = ("begin", "end", "at", "heart_rate", "reason")
"""Of the table: seconds from the start of the video to and from which a row is, the middle as UTC,
ISO 8601 (empty: nobody knows when it was recorded), the heart rate, 1/min, or why there is none."""
SUFFIX = ".pulse.csv"


class PulseOfVideo:
    """Listens to the pulse of the participant's face in a video.

    The estimate is the one of a camera (`edge_agent.vitals.camera_pulse`), with the same judgement
    of itself.

    Attributes:
        readings: heart rates, each at the middle of its 20 s.
        gaps: silences of more than 10 s.
        on_frame: to be called with each frame and its faces.
    """

    def __init__(self) -> None:
        self.readings: list[VitalReading] = []
        self.gaps: list[Gap] = []
        self._pulse = CameraPulse(self.readings.append, self.gaps.append)
        self.on_frame: Callable[[Frame, Recognition], None] = watch_skin(self._pulse.add_frame)

    def finish(self) -> None:
        """End the last silence, behind the last frame."""
        self._pulse.close()

    def rows(self) -> list[VitalReading | Gap]:
        """Return what becomes part of the timeline: readings, flagged as imported, and gaps."""
        imported = frozenset({VitalFlag.IMPORTED})
        return [*(replace(one, flags=one.flags | imported) for one in self.readings), *self.gaps]

    def write(self, table: Path, *, dated: bool) -> None:
        """Write the table of a video whose clock began at 0.

        Args:
            table: its path; it appears when it is complete.
            dated: whether it is known when the video was recorded.
        """
        rows: list[tuple[float, float, Instant, float | str, str]] = []
        for one in self.readings:
            middle = one.at.boot_ms / 1000
            rows.append((middle - WINDOW_S / 2, middle + WINDOW_S / 2, one.at, one.value, ""))
        for gap in self.gaps:
            begin, end = gap.start.boot_ms / 1000, gap.end.boot_ms / 1000
            rows.append((begin, end, gap.start.shift((end - begin) / 2), "", gap.reason))
        partial = table.with_name(f"{table.name}.partial")
        try:
            with partial.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(COLUMNS)
                for begin, end, at, value, reason in sorted(rows, key=lambda row: row[:2]):
                    told = iso_utc(at.wall_ms) if dated else ""
                    writer.writerow((round(begin, 3), round(end, 3), told, value, reason))
            partial.replace(table)
        finally:
            partial.unlink(missing_ok=True)
