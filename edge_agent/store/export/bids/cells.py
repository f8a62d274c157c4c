"""Lines of tab-separated files, and the data dictionaries beside them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edge_agent.store.export.bids.names import NOT_AVAILABLE
from edge_agent.store.export.rows.cells import guarded
from edge_agent.store.export.rows.columns import Column
from edge_agent.store.export.rows.typed import Value

_BREAKS = re.compile(r"[\t\r\n]+")


def tsv_line(values: Iterable[Value]) -> str:
    """Return values as one line with its end; what is missing or no number is ``n/a``.

    Tab-separated files know no quotes: a tab or line break inside a text becomes a blank.
    """
    return "\t".join(_cell(value) for value in values) + "\n"


def described(columns: Iterable[Column]) -> dict[str, Any]:
    """Return the data dictionary of columns: meaning, unit and values of each."""
    return {column.name: _meaning(column) for column in columns}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a sidecar."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _meaning(column: Column) -> dict[str, Any]:
    meaning: dict[str, Any] = {"Description": column.description}
    if column.unit:
        meaning["Units"] = column.unit
    if column.allowed:
        meaning["Levels"] = {value: value for value in column.allowed}
    if column.type == "boolean":
        meaning["Levels"] = {"0": "no", "1": "yes"}
    return meaning


def _cell(value: Value) -> str:
    if value is None or value == "":
        return NOT_AVAILABLE
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str):
        return guarded(_BREAKS.sub(" ", value))
    return repr(value) if math.isfinite(value) else NOT_AVAILABLE
