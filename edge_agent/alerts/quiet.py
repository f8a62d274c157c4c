"""Quiet hours: nothing is sent and nothing sounds; what happens is written down all the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one time of day to another, of each day, by the clock on the wall there.

    They go by what that clock shows: in the night in which it is put back they last an hour
    longer, and they are as many hours shorter in spring.

    Attributes:
        start: when they begin; the same as ``end``: there are none.
        end: when they end, on the next day where it is earlier.
        zone: of the clock; ``None``: the machine's.

    Example:
        >>> from zoneinfo import ZoneInfo
        >>> night = QuietHours(time(22), time(7), ZoneInfo("Europe/Berlin"))
        >>> night.holds(1_767_300_000_000)  # 2026-01-01, 21:40 in Berlin
        False
        >>> night.holds(1_767_303_600_000)
        True
    """

    start: time = time(0)
    end: time = time(0)
    zone: tzinfo | None = None

    def holds(self, wall_ms: int) -> bool:
        """Tell whether it is quiet at an instant, UTC milliseconds since 1970."""
        if self.start == self.end:
            return False
        there = datetime.fromtimestamp(wall_ms / 1000, UTC).astimezone(self.zone).time()
        if self.start < self.end:
            return self.start <= there < self.end
        return there >= self.start or there < self.end


NEVER_QUIET = QuietHours()
