"""The cells of a study's rows as values; what cannot be understood is a ``CellError``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from edge_agent.core.errors import ReadingError, StudyError
from edge_agent.core.reading_times import time_ms
from edge_agent.store.intake.problems import CellError
from edge_agent.store.study.study_rows import checked_label

E = TypeVar("E", bound=StrEnum)
Cells = Mapping[str, str]
_WHOLE = 1000
_ROUNDED = 40
"""So far the sum of eight probabilities may lie from the whole: what rounding each to percent
makes at the worst.
"""
_PER_MILLE = "Probabilities are whole numbers in per mille: 0.86 is 860."
_INTEGER = re.compile(r"-?[0-9]{1,15}", re.ASCII)


def text_of(cells: Cells, column: str, default: str = "") -> str:
    """Return a cell without blanks around it, or the default where it is empty or not there."""
    return cells.get(column, "").strip() or default


def needed(cells: Cells, column: str) -> str:
    """Return a cell that must not be empty."""
    text = text_of(cells, column)
    if not text:
        raise CellError(column, text, "is missing. Fill it in.")
    return text


def integer(cells: Cells, column: str, default: int | None = None) -> int:
    """Return a whole number; an empty cell is the default, where there is one."""
    text = text_of(cells, column)
    if not text and default is not None:
        return default
    if not _INTEGER.fullmatch(text):
        raise CellError(column, text, "is no whole number.")
    return int(text)


def bounded(cells: Cells, column: str, low: int, high: int, default: int | None = None) -> int:
    """Return a whole number within bounds."""
    number = integer(cells, column, default)
    if not low <= number <= high:
        raise CellError(column, number, f"is not between {low} and {high}.")
    return number


def probabilities(
    cells: Cells, columns: Sequence[str], defaults: Sequence[int | None] | None = None
) -> list[int]:
    """Return the probabilities of one row in per mille; together they are 1000, rounding aside.

    A cell that is empty is its default, where there is one.
    """
    values = []
    for column, default in zip(columns, defaults or [None] * len(columns), strict=True):
        try:
            values.append(bounded(cells, column, 0, _WHOLE, default))
        except CellError as error:
            raise CellError(column, error.value, f"{error.cure} {_PER_MILLE}") from error
    if abs(sum(values) - _WHOLE) > _ROUNDED:
        last = f"in {columns[0]} to {columns[-1]}, {sum(values)} together, are not {_WHOLE}."
        raise CellError(columns[0], values[0], f"and what stands {last} {_PER_MILLE}")
    return values


def number(cells: Cells, column: str, default: float) -> float:
    """Return a finite number that is not negative."""
    text = text_of(cells, column)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise CellError(column, text, "is no number from 0 on.")
    return value


def boolean(cells: Cells, column: str, default: bool = False) -> bool:
    """Return 0 or 1 as a truth value."""
    text = text_of(cells, column, "1" if default else "0")
    if text not in {"0", "1"}:
        raise CellError(column, text, "is neither 0 nor 1.")
    return text == "1"


def member(kind: type[E], cells: Cells, column: str, default: str = "") -> E:
    """Return the member of an enumeration that a cell names."""
    text = text_of(cells, column, default)
    try:
        return kind(text)
    except ValueError as error:
        raise CellError(column, text, f"is not one of {', '.join(kind)}.") from error


def moment(cells: Cells, prefix: str = "") -> int:
    """Return a time in UTC milliseconds, from ``…at`` or, where that is empty, ``…ms``.

    The text of an export has milliseconds, too.
    """
    column = f"{prefix}at"
    text = text_of(cells, column)
    if not text:
        column = f"{prefix}ms" if prefix else "at_ms"
        text = text_of(cells, column)
    if not text:
        raise CellError(f"{prefix}at", text, "is missing. Fill it in.")
    try:
        return time_ms(text, None)
    except ReadingError as error:
        raise CellError(column, text, error.reason) from error


def optional_moment(cells: Cells, column: str) -> int | None:
    """Return a time in UTC milliseconds; ``None`` where the cell is empty."""
    text = text_of(cells, column)
    if not text:
        return None
    try:
        return time_ms(text, None)
    except ReadingError as error:
        raise CellError(column, text, error.reason) from error


def label(cells: Cells, column: str, what: str, *, empty_allowed: bool) -> str:
    """Return a label of a session or marker."""
    try:
        return checked_label(text_of(cells, column), what, empty_allowed=empty_allowed)
    except StudyError as error:
        raise CellError(column, text_of(cells, column), f"cannot be taken: {error}") from error
