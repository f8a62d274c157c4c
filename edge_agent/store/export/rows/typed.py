"""The rows of an export as values with their types.

They are read back from the blocks of CSV, so that all formats agree.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping

from edge_agent.store.export.rows.blocks import Block
from edge_agent.store.export.rows.cells import recorded
from edge_agent.store.export.rows.columns import FILES, Column

Value = str | int | float | bool | None
Row = dict[str, Value]

_READ: Mapping[str, Callable[[str], Value]] = {
    "string": recorded,
    "datetime": str,
    "integer": int,
    "number": float,
    "boolean": lambda text: text == "1",
}


def rows_of(name: str, blocks: Iterator[Block]) -> Iterator[Row]:
    """Yield the rows of one of ``FILES`` from its blocks; an empty cell is ``None``."""
    readers = [(column.name, _reader(column)) for column in FILES[name]]
    next(blocks)  # the line of heads
    for block in blocks:
        for cells in csv.reader(io.StringIO(block.text, newline="")):
            yield {
                key: read(text) if text else None
                for (key, read), text in zip(readers, cells, strict=True)
            }


def json_text(row: Row) -> str:
    """Return a row as a JSON object on one line; a number that JSON cannot hold is null."""
    finite = {key: None if _is_unbounded(value) else value for key, value in row.items()}
    return json.dumps(finite, ensure_ascii=False, separators=(",", ":"))


def _is_unbounded(value: Value) -> bool:
    """Tell whether a value is an infinity or no number (NaN)."""
    return isinstance(value, float) and not math.isfinite(value)


def _reader(column: Column) -> Callable[[str], Value]:
    return _READ[column.type]
