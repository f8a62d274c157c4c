"""How numbers and dates are written in each language: taken from the CLDR by Babel, once.

The dashboard reads the few marks from a small file beside each catalogue, for Babel's data on all
languages of the world would take 31 MB of every appliance. ``tools.languages compile`` writes them.
"""

from __future__ import annotations

import json
import re

from babel.dates import get_date_format, get_month_names
from babel.numbers import format_decimal, get_decimal_symbol, get_group_symbol

FIELDS = {
    "d": "{day}",
    "dd": "{day:02d}",
    "M": "{month}",
    "MM": "{month:02d}",
    "MMM": "{name}",
    "y": "{year}",
    "yyyy": "{year:04d}",
}
"""Field of a date's pattern in the CLDR → the same for ``str.format``."""


def marks_of(code: str) -> bytes:
    """Return the marks of a language, as JSON.

    Raises:
        ValueError: the language writes numbers or dates in a way that the dashboard cannot.
    """
    decimal, group = get_decimal_symbol(code), get_group_symbol(code)
    if format_decimal(1234567, locale=code) != f"1{group}234{group}567":
        raise ValueError(f"{code}: groups of other than three digits, or digits of its own")
    names = get_month_names("abbreviated", locale=code)
    marks = {
        "decimal": decimal,
        "group": group,
        "date": form_of(get_date_format("medium", locale=code).pattern),
        "months": [names[month] for month in range(1, 13)],
    }
    return (json.dumps(marks, ensure_ascii=False, indent=1) + "\n").encode()


def form_of(pattern: str) -> str:
    """Return a date's pattern for ``str.format``.

    Raises:
        ValueError: it has a field that is not in :data:`FIELDS`.
    """
    form = ""
    for quoted, letters, other in re.findall(r"'([^']*)'|([A-Za-z]+)|([^A-Za-z']+)", pattern):
        if letters and letters not in FIELDS:
            raise ValueError(f"{pattern!r}: there is no {letters!r} in {sorted(FIELDS)}")
        form += quoted or FIELDS.get(letters, other)
    return form
