"""Cells of the CSV files that people open in a spreadsheet, and the texts that they hold.

A spreadsheet takes a text that begins with a sign for a formula, and would compute it. In these
files, and nowhere else, such a text stands behind one more apostrophe. Whoever reads them takes it
away by the same rule: ``strip_guard`` here, ``recorded`` in ``analysis.R``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from functools import lru_cache

SIGNS = frozenset("=+-@\t\r\n'＝＋－＠")
"""Characters that begin a formula in spreadsheet programs (OWASP, "CSV Injection"); the
full-width ones, too. The apostrophe is among them so that removing one always gives back what was
recorded.
"""
_QUOTED = frozenset('",\r\n')
Cell = str | float | int | None


def guard_formula(text: str) -> str:
    """Prefix a text with an apostrophe if a spreadsheet would read it as a formula."""
    if text and text[0] in SIGNS:
        return f"'{text}"
    return text


def strip_guard(text: str) -> str:
    """Return the recorded text from its cell, without a protective apostrophe.

    An apostrophe that protects nothing belongs to the text, as in tables of other programs.

    Example:
        >>> strip_guard("'=1+1"), strip_guard("''quoted'"), strip_guard("'s avonds")
        ('=1+1', "'quoted'", "'s avonds")
    """
    if text.startswith("'") and text[1:2] in SIGNS:
        return text[1:]
    return text


@lru_cache(maxsize=1024)
def cell(text: str | None) -> str:
    """Return a text as one cell, protected and quoted where it must be, empty for ``None``."""
    if not text:
        return ""
    safe = guard_formula(text)
    if _QUOTED & set(safe):
        return f'"{safe.replace(chr(34), chr(34) * 2)}"'
    return safe


def line(values: tuple[Cell, ...]) -> str:
    """Return values as one line, without its end; numbers have all their digits."""
    # Real numbers by ``repr``: the shortest text that gives back the same number.
    return ",".join(
        repr(value) if isinstance(value, int | float) else cell(value) for value in values
    )


def guard_texts(values: Iterable[Cell]) -> list[Cell]:
    """Return the values of a row with their texts protected; numbers stay what they are."""
    return [guard_formula(value) if isinstance(value, str) else value for value in values]


def table_text(heads: Sequence[str], rows: Iterable[Iterable[Cell]]) -> str:
    """Return a table as the text of a CSV file, with its texts protected."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(map(guard_texts, rows))
    return out.getvalue()
