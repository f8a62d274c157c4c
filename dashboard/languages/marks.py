"""The marks of numbers and dates of each language, from a small file beside its texts.

>>> marks("de").decimal, marks("es").months[4]
(',', 'may')
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import cache

from dashboard.languages.current import CATALOGUES

MARKS_NAME = "marks.json"


@dataclass(frozen=True, slots=True)
class Marks:
    """What a language writes in another way than English (CLDR).

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
