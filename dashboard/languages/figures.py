"""Numbers and dates as the language in use writes them; a negative number has a minus sign.

    >>> from dashboard.languages.current import speaking
    >>> by_locale("1,234.5"), figure("%.1f", 1234.56), thousands(1234567)
    ('1,234.5', '1234.6', '1,234,567')
    >>> with speaking("de"):
    ...     by_locale("1,234.5"), figure("%.1f", 1234.56), thousands(1234567)
    ('1.234,5', '1234,6', '1.234.567')
    >>> marks("de").decimal, marks("es").months[4]
    (',', 'may')
    >>> figure("%+.2f", -0.01), figure("%.1f", -0.01)
    ('−0.01', '0.0')

Signs, units and the blank before "%" are the same in all our languages. The marks lie in a small
file beside the texts of each language.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from functools import cache

from dashboard.languages.current import CATALOGUES, SOURCE, language

MARKS_NAME = "marks.json"
_MARKS = re.compile(r"\.(?=\d)|(?<=\d),(?=\d{3})")
"""A decimal point, and the comma between thousands, of a number written the English way."""
_HYPHEN = re.compile(r"(?<![\w.)])-(?=\.?\d)")
"""Before a number; between two of them, as in a date, it is none."""
_ZERO = re.compile(r"(?<![\w.)])-(?=0(?:\.0+)?(?![\d.]))")


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks by which numbers and dates of a language differ from English (CLDR).

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
def marks(code: str) -> Marks:
    """Return the marks of a language that has a catalogue."""
    file = CATALOGUES / code / MARKS_NAME
    stored = json.loads(file.read_text(encoding="utf-8"))
    return Marks(stored["decimal"], stored["group"], stored["date"], tuple(stored["months"]))


def by_locale(english: str) -> str:
    """Return numbers that are written the English way with the marks of the language in use.

    A hyphen before a number becomes a minus sign, and goes before a zero.
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


def general(value: float) -> str:
    """Write a number with as few digits as it needs, six at the most."""
    return by_locale(f"{value:g}")


def thousands(number: int) -> str:
    """Write a whole number with its thousands apart."""
    return by_locale(f"{number:,}")


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
        # English writes no blank before the sign, our other languages do.
        if spec.endswith("%") and language() != SOURCE:
            english = f"{english[:-1]} %"
        return by_locale(english)
