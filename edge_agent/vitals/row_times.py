"""The time of each row of a table: written in it, or made of what stands elsewhere.

Besides dates with a time of day these are read:

- times of day below a day, which stands above the names (``ColumnMap.day``) or in a row of its own
  above its rows; they go on after midnight;
- times since a start (``Elapsed``): in a column, by the rate of a recording, or as the sum of the
  intervals between beats.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta, tzinfo
from typing import NamedTuple, Protocol

from edge_agent.core.brought_tables import Row
from edge_agent.core.errors import DataFileError, ReadingError, shown_value
from edge_agent.core.readings import LocalTimes, time_ms
from edge_agent.core.texts import N_
from edge_agent.vitals.dates import DateOrder, iso_of

TIME_OF_DAY = re.compile(r"\d{1,2}[:.]\d\d([:.]\d\d)?.*", re.DOTALL)
TIME_ALONE = re.compile(
    r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?[ap]\.?m\.?)?(?: ?(?:Z|[+-]\d\d(?::?\d\d)?))?",
    re.IGNORECASE,
)
SECONDS = {
    **dict.fromkeys(("sec", "s", "seconds", "second"), 1.0),
    **dict.fromkeys(("msec", "ms", "milliseconds"), 0.001),
    **dict.fromkeys(("min", "minutes", "minute"), 60.0),
    **dict.fromkeys(("hrs", "hr", "hours", "hour", "h"), 3600.0),
}
"""Units of time, as programs write them, in seconds."""
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d\d(?:\.\d+)?)", re.ASCII)
_BACK = timedelta(hours=12)
"""A time of day that is so much earlier than the one above it is of the next day."""
_LONGEST_S = 366 * 86_400.0
_SUMMARIES = frozenset(
    {"average", "mean", "total", "sum", "min", "max", "minimum", "maximum", "median"}
)
_MINUTES_ALONE = re.compile(r"\d{1,2}:\d\d[.,]\d+", re.ASCII)
_NO_HOUR = (
    "has no hour: a spreadsheet shows long times so. Format the column as yyyy-mm-dd hh:mm:ss.000 "
    "and save the file again; if it counts from a start, give that (--start)."
)
_NO_START = N_(
    "its times count from a start, which it does not tell. Give it: --start 2026-11-20T08:15:00Z, "
    "on the page in Start of the recording."
)


class Elapsed(NamedTuple):
    """Times that count from a start.

    Attributes:
        start: the start, as ISO 8601 text or milliseconds; empty: it must be given.
        unit_s: seconds of one unit of the column of times.
        step_s: seconds between two rows, where no column has times; 0: one has.
        sum_of: column of intervals in which each row ends, where no column has times.
    """

    start: str = ""
    unit_s: float = 1.0
    step_s: float = 0.0
    sum_of: str = ""

    @property
    def needs_column(self) -> bool:
        """True where a column has the times."""
        return not self.step_s and not self.sum_of


class TimeColumns(Protocol):
    """Knowledge of the times of a table; see ``column_map.ColumnMap``."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Target → column."""

    @property
    def dates(self) -> DateOrder:
        """Order of dates."""

    @property
    def day(self) -> str:
        """The day of the first row."""

    @property
    def elapsed(self) -> Elapsed | None:
        """Way in which times count from a start."""

    def time_of(self, row: Mapping[str, str]) -> str:
        """Return date and time of day of a row, as they are written."""


class RowTimes:
    """The times of the rows of one pass, in their order.

    Args:
        columns: the columns of the table.
        zone: of local times; ``None``: such times are refused.

    Raises:
        DataFileError: a start is needed and missing, or the start or the day is no time.
    """

    def __init__(self, columns: TimeColumns, zone: tzinfo | LocalTimes | None) -> None:
        self._columns = columns
        self._rows = 0
        self._passed_s = 0.0
        self._last: datetime | None = None
        self._start_ms = 0
        self._day: date | None = None
        try:
            if columns.elapsed is not None:
                if not columns.elapsed.start:
                    raise DataFileError(_NO_START)
                self._start_ms = time_ms(columns.elapsed.start, zone)
            elif columns.day:
                self._day = _date_of(columns.day, columns)
        except ReadingError as error:
            what = "the start" if columns.elapsed is not None else "the day of the first row"
            raise DataFileError(f"{what}: {error.shown} {error.reason}") from error

    def pass_row(self) -> None:
        """Pass over a row that gives no reading, and whose time has gone by all the same."""
        self._rows += 1

    def time_of(self, row: Row, cells: Mapping[str, str]) -> str | int:
        """Return the time of a row: ISO 8601 or a number as it is written, or UTC milliseconds.

        Raises:
            ReadingError: it has none.
        """
        self._rows += 1
        if self._columns.elapsed is not None:
            return self._start_ms + round(1000 * self._elapsed_s(self._columns.elapsed, cells))
        text = self._columns.time_of(cells)
        if not re.search(r"\d", text):
            _refuse_words(text, cells)
        if _MINUTES_ALONE.fullmatch(text):
            raise ReadingError("at", shown_value(text), _NO_HOUR)
        if TIME_ALONE.fullmatch(text):
            return self._on_day(text, row.day)
        return iso_of(text, self._columns.dates)

    def _elapsed_s(self, elapsed: Elapsed, cells: Mapping[str, str]) -> float:
        if elapsed.sum_of:
            text = cells[elapsed.sum_of]
            length_s = _seconds_of(text) * elapsed.unit_s
            if not 0 < length_s < _LONGEST_S:
                raise ReadingError(
                    "rr_interval",
                    shown_value(text),
                    "is no interval, so that the times of the following ones are not known.",
                )
            self._passed_s += length_s
            return self._passed_s
        if elapsed.step_s:
            return (self._rows - 1) * elapsed.step_s
        text = cells[self._columns.columns["at"]]
        seconds = _seconds_of(text) * (1.0 if ":" in text else elapsed.unit_s)
        if not 0 <= seconds < _LONGEST_S:
            raise ReadingError("at", shown_value(text), _why_none_since_start(seconds))
        return seconds

    def _on_day(self, text: str, day: str) -> str:
        """Return a time of day with its date, which stands above it."""
        if day:
            return iso_of(f"{day} {text}", self._columns.dates)
        if self._day is None:
            raise ReadingError(
                "at",
                shown_value(text),
                "is a time of day without a date. Give the day of the first row, such as --day "
                "2026-11-20, or write the date before it.",
            )
        written = iso_of(f"{self._day.isoformat()} {text}", "iso")
        try:
            at = datetime.fromisoformat(written)
        except ValueError:
            return written  # who reads it says that it is no time
        # As on the wall: beside a time with an offset may stand one without.
        shown = at.replace(tzinfo=None)
        if self._last is not None and shown < self._last:
            if self._last - shown < _BACK:
                raise ReadingError(
                    "at",
                    shown_value(text),
                    "is before the row above it, and no day says whether it is of the next one. "
                    "Write the date before each time of day.",
                )
            self._day += timedelta(days=1)
            at, shown = at + timedelta(days=1), shown + timedelta(days=1)
        self._last = shown
        return at.isoformat()


def _date_of(text: str, columns: TimeColumns) -> date:
    """Return a day as it is written.

    Raises:
        ReadingError: it is no date, or its order is not known.
    """
    written = iso_of(text, columns.dates)
    try:
        return datetime.fromisoformat(written).date()
    except ValueError as error:
        raise ReadingError("at", shown_value(text), "is no day, such as 2026-11-20.") from error


def _seconds_of(text: str) -> float:
    """Return a number, or hours, minutes and seconds, as a number; NaN: it is neither."""
    text = text.strip().replace(",", ".")
    told = _CLOCK.fullmatch(text)
    if told:
        hours, minutes, seconds = (float(part or 0) for part in told.groups())
        return 3600 * hours + 60 * minutes + seconds
    try:
        return float(text)
    except ValueError:
        return math.nan


def _why_none_since_start(seconds: float) -> str:
    if seconds >= _LONGEST_S:
        return (
            "is more than 366 days after the start: it counts from another one, or in another "
            "unit. Write seconds since the first row instead."
        )
    if seconds < 0:
        return "is before the start. Give the start from which the times count."
    return "is no time since a start, in numbers or as 0:04:05."


def _refuse_words(time: str, cells: Mapping[str, str]) -> None:
    """Refuse a row without any time that is no reading: a summary, or names and units.

    Raises:
        ReadingError: it is one.
    """
    if not time and any(re.match(r"\s*[-+<>~]?\d", cell) for cell in cells.values()):
        raise ReadingError("at", "''", "is not a time.")
    if time.casefold() in _SUMMARIES:
        raise ReadingError("at", repr(time), "is a summary and no reading. Remove the row.")
    if not any(re.match(r"\s*[-+<>~]?\d", cell) for cell in cells.values()):
        raise ReadingError(
            "at",
            repr(time[:60]),
            "is no time, and the row has no number. If it has names or units, remove it: one row "
            "names the columns.",
        )
