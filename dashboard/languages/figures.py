"""Form of every number, date, time, length of time and period in the language in use.

Pages, prints, letters and the sentences of commands write them here, so that a language has one
form of each; a negative number has a minus sign. Times are UTC, and say so: a page shows them in
its reader's zone (``with_times`` of ``templates.py``).

    >>> from dashboard.languages.current import speaking
    >>> by_locale("1,234.5"), figure("%.1f", 1234.56), thousands(1234567)
    ('1,234.5', '1234.6', '1,234,567')
    >>> with speaking("de"):
    ...     by_locale("1,234.5"), figure("%.1f", 1234.56), thousands(1234567)
    ('1.234,5', '1234,6', '1.234.567')
    >>> marks("de").decimal, marks("es").months[4]
    (',', 'may')
    >>> with_sign(-0.01, 2), decimal(-0.01, 1), number(0.0001), p_equals(0.0004)
    ('−0.01', '0.0', '1.0 × 10⁻⁴', '< 0.001')
    >>> moment(1_790_000_400_250), period(date(2026, 9, 21), date(2026, 10, 4)), duration(112_000)
    ('21 Sept 2026, 14:20 UTC', '21 Sept 2026 – 4 Oct 2026', '1 min 52 s')

Signs, units and the blank before "%" are the same in all our languages. The marks lie in a small
file beside the texts of each language.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache
from itertools import groupby
from typing import Any

from dashboard.languages.current import CATALOGUES, N_, SOURCE, gettext, language, pgettext
from edge_agent.core.clock import utc_at
from edge_agent.core.standing import Hours, clock_text

MARKS_NAME = "marks.json"
_MARKS = re.compile(r"\.(?=\d)|(?<=\d),(?=\d{3})")
"""A decimal point, and the comma between thousands, of a number written the English way."""
_HYPHEN = re.compile(r"(?<![\w.)])-(?=\.?\d)")
"""Before a number; between two of them, as in a date, it is none."""
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_BORDER = "0.050"
"""A p that is not exactly this must not be rounded to it: people read which side it is on."""
_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sept", "Oct", "Nov", "Dec"),
)
WEEKDAYS = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))
_ZERO = re.compile(r"(?<![\w.)])[-+](?=0(?:\.0+)?(?![\d.:]))")


@dataclass(frozen=True, slots=True)
class NumberMarks:
    """The marks by which numbers and dates of the languages differ (CLDR).

    Attributes:
        decimal: before the decimals of a number.
        group: between thousands.
        form: of a date, for ``str.format``.
        months: their short names.
    """

    decimal: str
    group: str
    form: str
    months: tuple[str, ...]

    def date(self, day: date) -> str:
        """Return a day as people write it."""
        name = self.months[day.month - 1]
        return self.form.format(day=day.day, month=day.month, year=day.year, name=name)


@cache
def marks(code: str) -> NumberMarks:
    """Return the marks of a language: English, or one that has a catalogue."""
    if code == SOURCE:
        # As in Britain, like the scripts of pages.
        return NumberMarks(".", ",", "{day} {name} {year}", _MONTHS)
    file = CATALOGUES / code / MARKS_NAME
    stored = json.loads(file.read_text(encoding="utf-8"))
    return NumberMarks(stored["decimal"], stored["group"], stored["date"], tuple(stored["months"]))


def by_locale(english: str) -> str:
    """Return numbers that are written the English way with the marks of the language in use.

    A hyphen before a number becomes a minus sign; a zero has no sign.
    """
    english = _HYPHEN.sub("−", _ZERO.sub("", english))
    if language() == SOURCE:
        return english
    here = marks(language())
    # Both marks in one pass: one after the other, the second
    # would change what the first has written.
    return _MARKS.sub(lambda mark: here.decimal if mark[0] == "." else here.group, english)


def figure(form: str, *values: object) -> str:
    """Write numbers by a form such as ``%.1f``."""
    return by_locale(form % values)


def decimal(value: float, digits: int) -> str:
    """Write a number with so many decimals."""
    return by_locale(f"{value:.{digits}f}")


def with_sign(value: float, digits: int) -> str:
    """Write a difference with its sign and so many decimals."""
    return by_locale(f"{value:+.{digits}f}")


def general(value: float) -> str:
    """Write a number with as few digits as it needs, six at the most."""
    return by_locale(f"{value:g}")


def thousands(number: int) -> str:
    """Write a whole number with its thousands apart."""
    return by_locale(f"{number:,}")


def number(value: float, digits: int = 1) -> str:
    """Write a number of a result.

    Small ones get up to two more decimals than ``digits``; what is still smaller, or very large,
    powers of ten. Twelve digits count: the last bits differ between programs that compute the same,
    and must not decide how a tie is rounded.
    """
    value = _without_last_bits(value)
    places = next(
        (places for places in range(digits, digits + 3) if abs(value) >= 0.5 * 10.0**-places),
        digits,
    )
    if value and not 0.5 * 10.0**-places <= abs(value) < 1e6:
        mantissa, power = f"{value:.1e}".split("e")
        return by_locale(f"{mantissa} × 10{str(int(power)).translate(_RAISED)}")
    return decimal(value, places)


def _without_last_bits(value: float) -> float:
    return float(f"{value:.12g}")


def interval_text(low: float, high: float, digits: int = 1) -> str:
    """Write both ends of an interval, also where they are equal: ``2.0 to 10.2``."""
    return _both(number(low, digits), number(high, digits))


def between(low: str, high: str) -> str:
    """Write a range whose ends are written already, ``8 to 21``; of equal ends one."""
    return low if low == high else _both(low, high)


def _both(low: str, high: str) -> str:
    return pgettext("interval", "{low} to {high}").format(low=low, high=high)


def p_text(p: float) -> str:
    """Write a p value to three decimals, to more where rounding would carry it across 0.05;
    ``< 0.001`` where the digits no longer matter.
    """
    p = _without_last_bits(p)
    if p < 0.001:
        return by_locale("< 0.001")
    text = f"{p:.3f}"
    return by_locale(f"{p:.6f}".rstrip("0") if text == _BORDER else text)


def p_equals(p: float) -> str:
    """Write ``= 0.021`` or ``< 0.001``: ``p_text`` within a sentence."""
    text = p_text(p)
    return text if text.startswith("<") else f"= {text}"


def apa_p(p: float) -> str:
    """Write ``= .021`` or ``< .001``; more digits where rounding would carry it across .05. Where
    the language has a decimal comma, with the zero before it.
    """
    text = f"{p:.3f}"
    if text == _BORDER and p != float(_BORDER):
        text = f"{p:.5f}"
    text = "< 0.001" if p < 0.001 else f"= {text}"
    shown = by_locale(text)
    # A text that did not change has a decimal point; only there the zero is left out.
    return text.replace(" 0.", " .") if shown == text else shown


def df_text(df: float) -> str:
    """Write degrees of freedom: whole ones without decimals, Welch's with one."""
    return decimal(df, 0 if df == round(df) else 1)


def exact_df(df: float) -> str:
    """Write degrees of freedom: whole ones without decimals, others with two."""
    told = _without_last_bits(df)
    return decimal(told, 0 if told == round(told) else 2)


def percent(share: float, digits: int = 0) -> str:
    """Write a share as ``12 %``."""
    return by_locale(f"{100 * share:.{digits}f} %")


def file_size(size: int) -> str:
    """Write a number of bytes, such as ``3.4 MB``."""
    value = float(size)
    units = ("B", "kB", "MB", "GB", "TB")
    for unit in units:
        if value < 1000 or unit == units[-1]:
            if unit == "B":
                return f"{value:.0f} {unit}"
            return figure(f"%.1f {unit}", value)
        value /= 1000
    raise AssertionError  # pragma: no cover - the loop returns


class LocalNumber(float):
    """A number that is written by the locale, whatever its format.

    >>> from dashboard.languages.current import speaking
    >>> with speaking("de"):
    ...     f"{LocalNumber(0.125):.1%}"
    '12,5 %'
    """

    def __format__(self, spec: str) -> str:
        english = super().__format__(spec)
        if spec.endswith("%"):
            english = f"{english[:-1]} %"
        return by_locale(english)


def day(on: date) -> str:
    """Write a day, such as ``20 Nov 2026`` or ``20.11.2026``."""
    return marks(language()).date(on)


def clock(at: time, *, seconds: bool = False) -> str:
    """Write a time of day, such as ``08:12``; hours go from 00 to 23 in every language."""
    return f"{at:%H:%M:%S}" if seconds else f"{at:%H:%M}"


def moment(wall_ms: int, form: str = "datetime") -> str:
    """Write an instant in UTC.

    Args:
        wall_ms: UTC milliseconds since 1970.
        form: ``datetime`` (to the minute), ``second``, ``date`` or ``time`` (to the second).
    """
    at = utc_at(wall_ms)
    time_of_day = f"{clock(at.time(), seconds=form != 'datetime')} UTC"
    if form == "time":
        return time_of_day
    return day(at) if form == "date" else f"{day(at)}, {time_of_day}"


def utc_time(values: Mapping[str, Any]) -> str | None:
    """Write the values of ``UTC_TIME`` as :func:`moment` does; ``None`` for what is no time, as
    values may come from a database or a broker.
    """
    try:
        on = date(*(operator.index(values[part]) for part in ("year", "month", "day")))
    except (KeyError, TypeError, ValueError):
        return None
    return f"{day(on)}, {values.get('time')} UTC"


def moments_in(text: str) -> Iterator[tuple[str, int | None]]:
    """Yield the parts of a text: each time that :func:`moment` wrote, with its milliseconds since
    1970, and what stands between them.
    """
    here, end = marks(language()), 0
    for match in _moments_of(language()).finditer(text):
        known = match.groupdict()
        month = int(known.get("month") or here.months.index(known.get("name") or "") + 1)
        iso = f"{known['year']}-{month:02}-{int(known['day']):02}T{known['time']}Z"
        try:
            at_ms = int(datetime.fromisoformat(iso).timestamp() * 1000)
        except ValueError:  # somebody typed it: no such day or time
            continue
        yield text[end : match.start()], None
        yield match[0], at_ms
        end = match.end()
    yield text[end:], None


def with_instants(text: str) -> str:
    """Return a text for scripts, which write the times: ``{1790000400000}``."""
    parts = moments_in(text)
    return "".join(part if at_ms is None else f"{{{at_ms}}}" for part, at_ms in parts)


@cache
def _moments_of(code: str) -> re.Pattern[str]:
    here = marks(code)
    fields = {
        "day": r"(?P<day>\d{1,2})",
        "month": r"(?P<month>\d\d)",
        "year": r"(?P<year>\d{4})",
        "name": f"(?P<name>{'|'.join(map(re.escape, here.months))})",
    }
    form = re.sub(r"\{(\w+)[^}]*\}", lambda field: fields[field[1]], here.form.replace(".", r"\."))
    return re.compile(form + r", (?P<time>\d\d:\d\d(?::\d\d)?) UTC")


def period(first: date, last: date) -> str:
    """Write the days of a period, such as ``20 Nov 2026 – 26 Nov 2026``."""
    return f"{day(first)} – {day(last)}"


def weekday(on: date) -> str:
    """Write the short name of a day of the week, such as ``Mon``."""
    return gettext(WEEKDAYS[on.weekday()])


def hours_in_words(hours: Iterable[Hours]) -> str:
    """Write hours of the week, such as ``Mon–Fri 08:00–21:00``."""
    times = sorted(hours, key=lambda one: (one.start, one.end, one.weekday))
    parts = []
    for (start, end), days in groupby(times, lambda one: (one.start, one.end)):
        until = clock_text(end) if end else "24:00"
        parts.append(f"{_days_in_words([one.weekday for one in days])} {clock_text(start)}–{until}")
    return ", ".join(parts)


def _days_in_words(days: list[int]) -> str:
    if len(days) == len(WEEKDAYS):
        return gettext("every day")
    # Days that follow each other have the same distance from their place in the list.
    runs = [
        [gettext(WEEKDAYS[day - 1]) for _, day in run]
        for _, run in groupby(enumerate(days), lambda placed: placed[1] - placed[0])
    ]
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)


def duration(ms: int | None) -> str:
    """Write a length of time, such as ``1 h 05 min``, ``1 min 52 s``, ``12 min`` or ``45 s``."""
    if ms is None:
        return "–"
    seconds = round(ms / 1000)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        minutes, seconds = divmod(seconds, 60)
        return f"{minutes} min {seconds:02d} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h"


def whole_duration(ms: int) -> str:
    """Write a length of time without a part that is 0: ``6 h``, not ``6 h 00 min``."""
    return duration(ms).removesuffix(" 00 min").removesuffix(" 0 h")
