"""Rows of cells as lines with columns below each other, for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def aligned(rows: Sequence[Sequence[str]], to_right: Collection[int] = ()) -> list[str]:
    """Return a line for each row.

    Args:
        rows: the cells, the heads first where there are any; all rows have as many.
        to_right: columns of numbers.

    >>> aligned([("state", "n"), ("neutral", "12"), ("anger", "7")], to_right={1})
    ['state     n', 'neutral  12', 'anger     7']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if column in to_right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
