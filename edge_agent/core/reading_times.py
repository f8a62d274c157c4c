"""The times that others send with readings, and whether a clock was wrong. Pure."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, tzinfo

from edge_agent.core.errors import ReadingError, shown_value
from edge_agent.core.readings import VitalFlag

CLOCK_TOLERANCE_S = 300.0
"""A clock that differs from ours by more is wrong."""
AHEAD_S = 60.0
"""Largest lead of a reading's time over this clock; it allows for the error of two clocks."""
OLDEST_LIVE_S = 31 * 86_400.0
"""A device that sends something older as it happens has a clock that is wrong."""

_EARLIEST_S = 946_684_800  # the year 2000
_LATEST_S = 4_102_444_800  # the year 2100
_SECONDS_BELOW = 1e11  # epoch numbers below are seconds, from there on milliseconds
_DEVICE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)


class LocalTimes:
    """Reads the local times of one file, in its order.

    In autumn an hour comes twice. Where times go back within it, or come before the ones above in
    a file that has the newest first, the second one is meant.

    Args:
        zone: the time zone of the file.

    Attributes:
        twice: how many times were read that come twice.
        first: the first of them, as it was written.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self.restart()

    def restart(self) -> None:
        """Begin at the first row again."""
        self.twice = 0
        self.first = ""
        self._last_s: float | None = None
        self._last_local: datetime | None = None
        self._steps = 0

    def moment(self, local: datetime) -> datetime:
        """Return a local time with its zone.

        Raises:
            ReadingError: the clock was put forward over it.
        """
        early, late = (local.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        change = (early.utcoffset() or timedelta()) - (late.utcoffset() or timedelta())
        if change < timedelta():
            raise ReadingError(
                "at",
                shown_value(local.isoformat()),
                (
                    f"never was in {self._zone}: clocks were put forward over it. Correct it, or "
                    "name the zone of the device's clock."
                ),
            )
        if self._last_local is not None:
            self._steps += (local > self._last_local) - (local < self._last_local)
        chosen = early
        if change:
            self.twice += 1
            self.first = self.first or local.isoformat()
            chosen = self._next_of(early, late)
        self._last_local = local
        self._last_s = chosen.timestamp()
        return chosen

    def _next_of(self, early: datetime, late: datetime) -> datetime:
        """Return which of two times follows the one before in a file of this direction."""
        if self._steps < 0:
            is_late = self._last_s is None or late.timestamp() <= self._last_s
        else:
            is_late = self._last_s is not None and early.timestamp() < self._last_s
        return late if is_late else early

    @property
    def sentence(self) -> str:
        """Which times come twice, for people; empty where none does."""
        if not self.twice:
            return ""
        return (
            f"{self.twice} local times come twice in {self._zone}, the first is {self.first}: the "
            "order of the file decided which of the two is meant."
        )


def time_ms(value: object, zone: tzinfo | LocalTimes | None) -> int:
    """Return epoch milliseconds of ISO 8601 text or of an epoch number.

    Args:
        value: what the sender wrote.
        zone: time zone of text that names none; ``None`` refuses such text.

    Raises:
        ReadingError: no time, without a zone, or not between the years 2000 and 2100.
    """
    seconds = math.nan
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            seconds = float(value)
        except OverflowError:
            seconds = math.inf
        except ValueError:
            seconds = _iso_seconds(str(value), zone)
        else:
            if abs(seconds) >= _SECONDS_BELOW:  # milliseconds
                seconds = seconds / 1000
    if not _EARLIEST_S <= seconds < _LATEST_S:
        raise ReadingError(
            "at",
            shown_value(value),
            "is not a time between the years 2000 and 2100.",
        )
    return round(seconds * 1000)


def _iso_seconds(text: str, zone: tzinfo | LocalTimes | None) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ReadingError(
            "at",
            shown_value(text),
            (
                "is not a time. Write 2026-11-20T08:15:00Z, 2026-11-20 09:15:00+01:00, or epoch "
                "seconds."
            ),
        ) from error
    if moment.tzinfo is None:
        if zone is None:
            raise ReadingError(
                "at",
                shown_value(text),
                "has no time zone. Write Z or +01:00 behind it, or name the zone of the file.",
            )
        if isinstance(zone, LocalTimes):
            moment = zone.moment(moment)
        else:
            moment = moment.replace(tzinfo=zone)
    try:
        return moment.timestamp()
    except (OverflowError, ValueError):  # the years 1 and 9999, shifted by their zone
        return math.nan


def clock_flags(at_ms: int, arrived_ms: int, live: bool) -> frozenset[VitalFlag]:
    """Return ``clock_differs`` for a time that is still to come, or far too old for what is sent as
    it happens.
    """
    ahead_s = (at_ms - arrived_ms) / 1000
    wrong = ahead_s > AHEAD_S or (live and ahead_s < -OLDEST_LIVE_S)
    if wrong:
        return frozenset({VitalFlag.CLOCK_DIFFERS})
    return frozenset()


def device_time(value: object) -> str | None:
    """Return the time that a device stamped, as it stands: its own clock may have been wrong.

    Raises:
        ReadingError: it is no time such as 2026-11-20T08:15:00.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _DEVICE_TIME.fullmatch(value):
        raise ReadingError(
            "device_time",
            shown_value(value),
            "is not a time such as 2026-11-20T08:15:00, without a zone.",
        )
    return value
