"""Hours of the week in which sessions begin and end by themselves, and when they are.

Hours are those of a clock on the wall, also in summer time; the results are in UTC. Hours that the
clock skips in a night of spring are left out; of hours that come twice in a night of autumn the
first ones count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from edge_agent.core.clock import utc_at
from edge_agent.core.errors import StudyError
from edge_agent.core.study import Purpose, SessionSetting
from edge_agent.core.texts import N_

DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES
SESSION_NAME = "standing session"
"""Name of the sessions that begin by themselves."""
_WEEK = range(1, 8)
_DAY_MINUTES = frozenset(range(DAY_MINUTES))
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_MIDNIGHT = "24:00"


@dataclass(frozen=True, slots=True, order=True)
class Hours:
    """Hours that begin on one day of the week.

    Attributes:
        weekday: 1 (Monday) to 7.
        start: minutes since midnight, from 0 to 1439.
        end: minutes since midnight; one that does not follow ``start`` is of the next day, and 0
            the midnight at the end of the day.
    """

    weekday: int
    start: int
    end: int

    @property
    def minutes(self) -> int:
        """How long they are by a clock on the wall."""
        return (self.end - self.start - 1) % DAY_MINUTES + 1

    def on(self, day: date, zone: tzinfo | None) -> Span | None:
        """Return when they are, where they begin on a day; ``None``: the clock leaves them out."""
        following = day + timedelta(days=int(self.end <= self.start))
        start, end = _ms_of(day, self.start, zone), _ms_of(following, self.end, zone)
        return Span(start, end) if start < end else None


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of time, UTC milliseconds since 1970."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a participant agrees to when sessions are to begin by themselves.

    Attributes:
        text_version: version of the text that they agreed to.
        hours: when sessions go on.
        purpose: why they are recorded.
        setting: where they take place.
    """

    text_version: str
    hours: tuple[Hours, ...]
    purpose: Purpose
    setting: SessionSetting = SessionSetting.HOME

    def span_at(self, at_ms: int, zone: tzinfo | None = None) -> Span | None:
        """Return the stretch of its hours in which a time lies.

        Args:
            at_ms: the time, UTC.
            zone: of the clock on the wall; ``None``: that of this machine.
        """
        spans = self._spans(at_ms, zone, -1, 0)
        return next((one for one in spans if one.start_ms <= at_ms < one.end_ms), None)

    def next_span(self, at_ms: int, zone: tzinfo | None = None) -> Span | None:
        """Return the first stretch that begins after a time; see ``span_at``."""
        # A week on, summer time may leave the same hours out.
        spans = self._spans(at_ms, zone, 0, 14)
        return min((one for one in spans if one.start_ms > at_ms), default=None)

    def _spans(self, at_ms: int, zone: tzinfo | None, first: int, last: int) -> Iterable[Span]:
        """Yield the stretches that begin between the days ``first`` and ``last`` from a time."""
        today = utc_at(at_ms).astimezone(zone).date()
        for ahead in range(first, last + 1):
            day = today + timedelta(days=ahead)
            for one in self.hours:
                if one.weekday == day.isoweekday() and (span := one.on(day, zone)) is not None:
                    yield span


def daily_hours(days: Iterable[int], start: str, end: str) -> tuple[Hours, ...]:
    """Return the same hours on several days of the week.

    Args:
        days: 1 (Monday) to 7.
        start: such as ``08:00``.
        end: such as ``21:00``; one that does not follow ``start`` is of the next day.

    Raises:
        StudyError: no day, or a time that cannot be read; or both times are equal, which may mean
            all day or nothing.
    """
    begin, finish = _minutes("start", start), _minutes("end", end)
    chosen = sorted(set(days))
    if not chosen:
        raise StudyError(N_("Choose at least one day of the week."), field="days")
    if begin == finish and begin:
        raise StudyError(
            N_("From {start} to {end} is no time at all. For whole days write 00:00 to 00:00."),
            start=start,
            end=end,
            field="end",
        )
    return tuple(Hours(day, begin, finish) for day in chosen)


def check_hours(hours: Sequence[Hours]) -> None:
    """Refuse hours that no week has, and several of one day.

    Raises:
        StudyError: it is so.
    """
    fit = all(one.weekday in _WEEK and {one.start, one.end} <= _DAY_MINUTES for one in hours)
    if not fit or not 1 <= len({one.weekday for one in hours}) == len(hours):
        raise StudyError(
            "Hours of a standing session: give one to seven days, each once, from 1 (Monday) to 7, "
            f"and minutes from 0 to {DAY_MINUTES - 1}. Nothing was recorded."
        )


def overlapping(first: Iterable[Hours], second: Iterable[Hours]) -> Hours | None:
    """Return the hours of ``first`` that meet any of ``second``; ``None``: none do."""
    others = [*second]
    for one in first:
        for other in others:
            ahead = (_week_minute(other) - _week_minute(one)) % WEEK_MINUTES
            # Either the other begins within this one, or this one within the other.
            if ahead < one.minutes or WEEK_MINUTES - ahead < other.minutes:
                return one
    return None


def clock_text(minutes: int) -> str:
    """Write minutes since midnight as ``08:00``."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _week_minute(hours: Hours) -> int:
    return (hours.weekday - 1) * DAY_MINUTES + hours.start


def _ms_of(day: date, minutes: int, zone: tzinfo | None) -> int:
    at = datetime.combine(day, time(minutes // 60, minutes % 60), zone)
    return round(at.timestamp() * 1000)


def _minutes(field: str, text: str) -> int:
    typed = text.strip()
    parts = _CLOCK.fullmatch(typed)
    if parts is not None:
        return int(parts[1]) * 60 + int(parts[2])
    if field == "end" and typed == _MIDNIGHT:
        return 0
    raise StudyError(
        N_("{text!r} is no time of day. Write hours and minutes, such as 08:00."),
        text=typed[:20],
        field=field,
    )
