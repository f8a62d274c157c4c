"""The times that others send with readings, and whether a clock was wrong. Pure."""

from __future__ import annotations

import math
import re
from datetime import datetime, tzinfo

from edge_agent.core.errors import ReadingError, shown_value
from edge_agent.core.readings import VitalFlag
from edge_agent.core.texts import N_

CLOCK_TOLERANCE_S = 300.0
"""A clock that differs from ours by more is wrong."""
AHEAD_S = 60.0
"""What is sent or imported cannot have been measured later than now, but for two clocks' error."""
OLDEST_LIVE_S = 31 * 86_400.0
"""A device that sends something older as it happens has a clock that is wrong."""

_EARLIEST_S = 946_684_800  # the year 2000
_LATEST_S = 4_102_444_800  # the year 2100
_SECONDS_BELOW = 1e11  # epoch numbers below are seconds, from there on milliseconds
_DEVICE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)


def time_ms(value: object, zone: tzinfo | None) -> int:
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
            N_("is not a time between the years 2000 and 2100."),
        )
    return round(seconds * 1000)


def _iso_seconds(text: str, zone: tzinfo | None) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ReadingError(
            "at",
            shown_value(text),
            N_(
                "is not a time. Write 2026-11-20T08:15:00Z, 2026-11-20 09:15:00+01:00, or epoch "
                "seconds."
            ),
        ) from error
    if moment.tzinfo is None:
        if zone is None:
            raise ReadingError(
                "at",
                shown_value(text),
                N_("has no time zone. Write Z or +01:00 behind it, or name the zone of the file."),
            )
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
            N_("is not a time such as 2026-11-20T08:15:00, without a zone."),
        )
    return value
