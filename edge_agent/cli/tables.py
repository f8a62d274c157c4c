"""Tables that commands print for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

_WIDEST = 60


def plain(row: Sequence[Any]) -> list[Any]:
    """Return the values of a row, bytes as hexadecimal digits."""
    return [value.hex() if isinstance(value, bytes) else value for value in row]


def table_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterable[str]:
    """Return the lines of a table for people: numbers to the right, long texts cut."""
    kept = [plain(row) for row in rows]
    texts = [[_text(value) for value in row] for row in kept]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    yield "  ".join(name.ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip()
    yield "  ".join("-" * width for width in widths)
    for row, shown in zip(kept, texts, strict=True):
        cells = []
        for value, text, width in zip(row, shown, widths, strict=True):
            if isinstance(value, int | float):
                cells.append(text.rjust(width))
            else:
                cells.append(text.ljust(width))
        yield "  ".join(cells).rstrip()


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = str(value).replace("\n", " ")
    if len(text) > _WIDEST:
        return text[: _WIDEST - 1] + "…"
    return text
