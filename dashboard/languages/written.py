"""How values are written for people in the language in use: numbers, times, lists, names.

English is written as Python does; the marks and names of other languages come from the CLDR
(``marks``).

    >>> from dashboard.languages.current import speaking
    >>> figure("%.1f", 1234.56), thousands(1234567)
    ('1234.6', '1,234,567')
    >>> with speaking("de"):
    ...     figure("%.1f", 1234.56), thousands(1234567)
    ('1234,6', '1.234.567')
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from dashboard.languages.current import SOURCE, gettext, language, pgettext
from dashboard.languages.marks import marks
from edge_agent.core.texts import Message

_ENGLISH = {"datetime": "%Y-%m-%d %H:%M UTC", "date": "%Y-%m-%d", "time": "%H:%M:%S UTC"}
_POINT = re.compile(r"(?<=\d)\.(?=\d)")


def figure(form: str, *values: object) -> str:
    """Write numbers by a form such as ``%.1f`` with the decimal mark of the language."""
    english = form % values
    if language() == SOURCE:
        return english
    return _POINT.sub(marks(language()).decimal, english)


def thousands(number: int) -> str:
    """Write a whole number with its thousands apart."""
    if language() == SOURCE:
        return f"{number:,}"
    return f"{number:,}".replace(",", marks(language()).group)


def moment(wall_ms: int, form: str = "datetime") -> str:
    """Write an instant in UTC.

    Args:
        wall_ms: UTC milliseconds since 1970.
        form: ``datetime``, ``date`` or ``time``; hours go from 0 to 23 in every language.
    """
    at = datetime.fromtimestamp(wall_ms / 1000, UTC)
    if language() == SOURCE:
        return at.strftime(_ENGLISH[form])
    if form == "time":
        return at.strftime("%H:%M:%S UTC")
    day = marks(language()).date(at)
    if form == "date":
        return day
    return f"{day}, {at:%H:%M} UTC"


def duration(ms: int | None) -> str:
    """Write a length of time, such as ``1 h 05 min``, ``12 min`` or ``45 s``."""
    if ms is None:
        return "–"
    seconds = round(ms / 1000)
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


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


def said(name: object) -> str:
    """Return a name or text of the data in the language in use.

    Args:
        name: a constant; one that no catalogue knows stays as it is. Of a :class:`Message` the
            numbers are written by the locale, and messages in it are said as well.
    """
    text = str(name)
    if not text:
        return text
    if not isinstance(name, Message):
        return gettext(text)
    values = {place: _value(value) for place, value in name.values.items()}
    return gettext(name.template).format(**values)


class _Number(float):
    """A number that is written by the locale, whatever its format."""

    def __format__(self, spec: str) -> str:
        english = super().__format__(spec)
        if language() == SOURCE:
            return english
        return _POINT.sub(marks(language()).decimal, english)


def _value(value: object) -> object:
    if isinstance(value, Message):
        return said(value)
    if isinstance(value, float):
        return _Number(value)
    return value


def words(name: object) -> str:
    """Write a name of the data for people: ``heart_rate`` becomes ``heart rate``."""
    return said(str(name).replace("_", " "))


def with_and(parts: Sequence[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    given = list(parts)
    if len(given) < 2:
        return "".join(given)
    return pgettext("list", "{before} and {last}").format(
        before=", ".join(given[:-1]), last=given[-1]
    )


def capitalised(text: object) -> str:
    """Begin a text with a capital letter.

    In English the rest becomes small, as it always was; other languages keep their capitals.
    """
    if language() == SOURCE:
        return str(text).capitalize()
    return str(text)[:1].upper() + str(text)[1:]
