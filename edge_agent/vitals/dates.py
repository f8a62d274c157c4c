"""Dates and times as people and programs write them, as ISO 8601. Pure.

Nothing is guessed that changes the time: whether the day or the month comes first, the century of a
year of two digits, and the zone of a name such as CET must be told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import ReadingError, shown_value
from edge_agent.core.readings import VitalReading
from edge_agent.core.texts import N_, Message
from edge_agent.core.vitals import VitalKind

DateOrder = Literal["iso", "dmy", "mdy"]

_HALVES = {
    **dict.fromkeys(("am", "午前", "上午", "오전"), "AM"),
    **dict.fromkeys(("pm", "午後", "下午", "오후"), "PM"),
}
_CLOCK = re.compile(r"(?:.*[ T,])?(\d{1,2}):\d\d(?!.*[AaPp]\.? ?[Mm])", re.DOTALL)
_OF_PROGRAMS = re.compile(r"\dT\d|:\d\d\S* ?(?:Z|[+-]\d\d(?::?\d\d)?)$", re.ASCII)
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? )?"
_TIME = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?P<second>:\d\d(?:[.,]\d+)?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?"
)
_DAY, _MONTH, _YEAR = r"(?P<day>\d{1,2})\.?", r"(?P<month>[^\W\d_]{3,})\.?", r"(?P<year>\d{4})"
_NUMBERS_DATE = r"(?P<first>\d{1,2})[./-](?P<second_number>\d{1,2})[./-](?P<year>\d{4}|\d\d)"
_DATES = {
    "year first": (
        r"(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d{1,2}|[^\W\d_]{3,})(?P=mark)(?P<day>\d{1,2})"
    ),
    "numbers": _NUMBERS_DATE,
    "month first": rf"{_MONTH} {_DAY},? {_YEAR}",
    "day first": rf"{_DAY} {_MONTH},? {_YEAR}",
}
_FORMS = {
    name: tuple(
        re.compile(rf"{_WEEKDAY}{form}", re.IGNORECASE)
        for form in (rf"{date}(?:[ T,]+(?:- )?{_TIME}(?P<zone>.*))?", rf"{_TIME},? {date}")
    )
    for name, date in _DATES.items()
}
_NUMBERS = re.compile(rf"{_NUMBERS_DATE}(?!\d).*", re.DOTALL)
# the first three letters of the months in English, German, Spanish and Swedish
_MONTHS = {
    "jan": 1, "ene": 1, "feb": 2, "mar": 3, "mär": 3, "apr": 4, "abr": 4, "may": 5, "mai": 5,
    "maj": 5, "jun": 6, "jul": 7, "aug": 8, "ago": 8, "sep": 9, "oct": 10, "okt": 10, "nov": 11,
    "dec": 12, "dez": 12, "dic": 12,
}  # fmt: skip
_OFFSET = re.compile(r"(?:(?:UTC|GMT) ?)?([+-])(\d{1,2})(?::?(\d\d))?(?: ?(?:UTC|GMT))?", re.ASCII)
_ZONE_NAME = re.compile(r".*:\d\d\S*(?: [ap]\.?m\.?)? ?(?P<name>[a-z]{2,5}|[a-z_]+/[a-z_/]+)", re.I)
_LONGEST = 100  # characters; longer ones are no time, and would take long to compare
_MINUTE_MS = 60_000
_MOST_IN_A_MINUTE = 2  # a watch that is asked twice
_MOST_OF_CUFF = 4  # it takes a quarter of a minute at least
_OF_CUFF = frozenset({VitalKind.SYSTOLIC, VitalKind.DIASTOLIC})
_LOST_SECONDS = N_(
    "several readings of {vital} are of the minute {minute}, and no time of the file has seconds, "
    "which a spreadsheet drops. Format the column of times as yyyy-mm-dd hh:mm:ss.000 and save the "
    "file again, or take the file that the device wrote."
)
_CHOOSE = "Choose how dates are written (--dates dmy or mdy)."


def iso_of(text: str, order: DateOrder) -> str:
    """Return a date and a time as ISO 8601; text of any other form is returned unchanged.

    Args:
        text: such as ``2026/10/02 06:00``, ``02.10.26 06:00`` or ``Fri, 02 Oct 2026 06:00 +0200``.
        order: whether in dates of numbers the day or the month comes first, before the year;
            ``iso``: neither was chosen.

    Raises:
        ReadingError: the order is needed and was not chosen, the text is no time although it was,
            or the name of a zone stands behind it.
    """
    if len(text) > _LONGEST:
        return text
    text = " ".join(text.split())
    if _is_iso_or_number(text):
        return text
    for name, patterns in _FORMS.items():
        match = next(filter(None, (pattern.fullmatch(text) for pattern in patterns)), None)
        date = _date_of(text, match, name, order) if match else None
        if match and date:
            return _with_time(text, date, match)
    _refuse_zone_name(text)
    if order != "iso":
        example = {"dmy": "20.11.2026 08:15"}.get(order, "11/20/2026 8:15 AM")
        reason = f"is not a time such as {example}, which was chosen for this file."
        raise ReadingError("at", repr(text[:60]), reason)
    return text


def half_of(text: str) -> str:
    """Return the half of the day that a text names, AM or PM; empty: it names none.

    Example:
        >>> half_of("p. m."), half_of("am"), half_of("sitting")
        ('PM', 'AM', '')
    """
    return _HALVES.get(re.sub(r"[\s.]", "", text[:_LONGEST]).lower(), "")


def needs_order(text: str) -> bool:
    """Tell whether a time has a date of numbers, whose day or month comes first."""
    short = " ".join(text[:_LONGEST].split())
    return any(pattern.fullmatch(short) for pattern in _FORMS["numbers"])


def hour_of(text: str) -> int | None:
    """Return the hour of a time as people write it; ``None``: it has none, or names its half.

    Programs write ISO 8601 with a T or an offset, on a clock of 24 hours.
    """
    is_exact = len(text) > _LONGEST or _OF_PROGRAMS.search(text)
    match = None if is_exact else _CLOCK.match(text)
    return int(match[1]) if match else None


def guess_dates(times: Iterable[str]) -> DateOrder:
    """Guess the order of dates with a year of four digits.

    Points, or a first number above 12, mean that the day comes first; a second number above 12
    means the month. Otherwise it cannot be known: ``iso``.
    """
    for text in times:
        match = _NUMBERS.fullmatch(text.strip())
        if match is None or len(match["year"]) == 2:
            continue
        if int(match["second_number"]) > 12:
            return "mdy"
        if int(match["first"]) > 12 or text.strip()[match.end("first")] == ".":
            return "dmy"
    return "iso"


def _is_iso_or_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        try:
            datetime.fromisoformat(text)
        except ValueError:
            return False
    return True


def _date_of(text: str, match: re.Match[str], form: str, order: DateOrder) -> str | None:
    """Return the date of a match as ISO 8601; ``None`` if the word in it is no month."""
    if form != "numbers":
        word = match["month"]
        month = int(word) if word.isdecimal() else _MONTHS.get(word[:3].lower())
        return None if month is None else f"{match['year']}-{month:02d}-{match['day']:0>2}"
    first, second, year = match["first"], match["second_number"], match["year"]
    if order == "iso":
        digits = " and a year of two digits" if len(year) == 2 else ""
        reason = f"has the day or the month first{digits}. {_CHOOSE}"
        raise ReadingError("at", repr(text[:60]), reason)
    day, month_number = (first, second) if order == "dmy" else (second, first)
    # No reading is older than the year 2000.
    return f"{year if len(year) == 4 else f'20{year}'}-{month_number:0>2}-{day:0>2}"


def _with_time(text: str, date: str, match: re.Match[str]) -> str:
    """Return a date with the time and the zone of a match."""
    if match["hour"] is None:
        return date
    hour, minute = int(match["hour"]), match["minute"]
    if match["half"]:
        # 12 AM is 0 o'clock, and 12 PM is 12.
        hour = hour % 12 + (12 if match["half"].lower() == "p" else 0)
    second = (match["second"] or "").replace(",", ".")
    if hour == 24 and minute == "00" and not second.strip(":0."):
        date, hour = _day_after(date), 0
    zone = match.groupdict().get("zone") or ""
    offset = _offset(text, zone)
    return text if offset is None else f"{date}T{hour:02d}:{minute}{second}{offset}"


def _day_after(date: str) -> str:
    try:
        return (datetime.fromisoformat(date) + timedelta(days=1)).date().isoformat()
    except (ValueError, OverflowError):
        return date


def _offset(text: str, zone: str) -> str | None:
    """Return the offset in what stands behind a time, in ISO 8601; ``None`` if it is none."""
    # JavaScript writes the name in brackets behind the offset.
    zone = re.sub(r"\(.*\)$", "", zone).strip()
    if not zone:
        return ""
    if zone.upper() in {"Z", "UTC", "GMT"}:
        return "Z"
    match = _OFFSET.fullmatch(zone)
    if match:
        return f"{match[1]}{match[2]:0>2}:{match[3] or '00'}"
    _refuse_zone_name(text)
    return None


def _refuse_zone_name(text: str) -> None:
    """Refuse a time with the name of a zone: summer time and places make it ambiguous."""
    match = _ZONE_NAME.fullmatch(text)
    if match and match["name"].lower() not in {"am", "pm"}:
        raise ReadingError(
            "at",
            shown_value(text),
            f"ends with the name of a zone, {match['name']}. Write an offset such as +02:00 "
            "instead, or remove the name and give --timezone.",
        )


class WholeMinutes:
    """Finds times that lost their seconds: a spreadsheet saves what it shows, often minutes only.

    Then several readings of a kind have one minute, and no time of the file has seconds. Intervals
    between beats may come in packets, and do not count.
    """

    def __init__(self) -> None:
        self._is_whole = True
        self._values: dict[tuple[str, VitalKind], tuple[int, set[float]]] = {}
        self._first: tuple[VitalKind, int] | None = None

    def add(self, readings: Iterable[VitalReading]) -> None:
        """Add the readings of a row, in the order of their file."""
        readings = list(readings)
        # The pulse beside pressures is that of the cuff.
        is_cuff = any(one.kind in _OF_CUFF for one in readings)
        most = _MOST_OF_CUFF if is_cuff else _MOST_IN_A_MINUTE
        for reading in readings:
            at_ms, key = reading.at.wall_ms, (reading.source, reading.kind)
            self._is_whole &= at_ms % _MINUTE_MS == 0
            if not self._is_whole:
                return
            if reading.kind is VitalKind.RR_INTERVAL:
                continue
            if self._values.get(key, (0, None))[0] != at_ms:
                self._values[key] = (at_ms, set())
            values = self._values[key][1]
            values.add(reading.value)
            if self._first is None and len(values) > most:
                self._first = reading.kind, at_ms

    @property
    def problem(self) -> str:
        """A sentence for people about the first such minute; empty if there is none."""
        if not self._is_whole or self._first is None:
            return ""
        kind, at_ms = self._first
        return Message(_LOST_SECONDS, vital=kind.value, minute=f"{iso_utc(at_ms)[:16]}Z")
