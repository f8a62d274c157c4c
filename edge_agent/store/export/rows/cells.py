"""Cells of the exported CSV files: quoted where they must be, and never a formula."""

from __future__ import annotations

from functools import lru_cache

# What spreadsheet programs take for the start of a formula (OWASP, "CSV Injection"); the full-width
# ones, too. The apostrophe is among them so that taking one away always gives back what was
# recorded.
_RISKY = frozenset("=+-@\t\r\n'＝＋－＠")
_QUOTED = frozenset('",\r\n')


@lru_cache(maxsize=1024)
def cell(text: str | None) -> str:
    """Return a text as one cell, empty for ``None``.

    An apostrophe comes before a text that a spreadsheet would take for a formula.
    """
    if not text:
        return ""
    safe = guarded(text)
    if _QUOTED & set(safe):
        return f'"{safe.replace(chr(34), chr(34) * 2)}"'
    return safe


def guarded(text: str) -> str:
    """Return a text behind an apostrophe where a spreadsheet would take it for a formula."""
    if text and text[0] in _RISKY:
        return f"'{text}"
    return text


def recorded(text: str) -> str:
    """Return the text that was recorded, from what a CSV reader gives for its cell."""
    if text.startswith("'"):
        return text[1:]
    return text


def line(values: tuple[str | float | int | None, ...]) -> str:
    """Return values as one line, without its end; numbers have all their digits."""
    return ",".join(
        repr(value) if isinstance(value, int | float) else cell(value) for value in values
    )
