"""How values are written for people in the language in use: times, lists, names of the data.

English is written as Python does; the marks and names of other languages come from the CLDR
(``marks``).

    >>> from dashboard.languages.current import speaking
    >>> moment(1_790_000_400_250), with_and(["a", "b", "c"])
    ('2026-09-21 14:20 UTC', 'a, b and c')
    >>> with speaking("de"):
    ...     moment(1_790_000_400_250), with_and(["a", "b", "c"])
    ('21.09.2026, 14:20 UTC', 'a, b und c')
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from dashboard.languages.current import SOURCE, gettext, language, pgettext
from dashboard.languages.figures import LocalNumber
from dashboard.languages.marks import marks
from edge_agent.core.texts import Message

_ENGLISH = {"datetime": "%Y-%m-%d %H:%M UTC", "date": "%Y-%m-%d", "time": "%H:%M:%S UTC"}


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
    if form == "date":
        return day(at)
    return f"{day(at)}, {at:%H:%M} UTC"


def day(on: date) -> str:
    """Write a day, such as ``2026-11-20`` or ``20.11.2026``."""
    if language() == SOURCE:
        return f"{on:%Y-%m-%d}"
    return marks(language()).date(on)


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


def _value(value: object) -> object:
    if isinstance(value, Message):
        return said(value)
    if isinstance(value, float):
        return LocalNumber(value)
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


def as_association(finding: str, *, observed: bool) -> str:
    """Say in the sentence of a finding by observed emotion that it is an association."""
    if not observed:
        return finding
    text = gettext("{finding}, an association, not a proven effect.")
    return text.format(finding=finding.removesuffix("."))
