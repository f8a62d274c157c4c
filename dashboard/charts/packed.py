"""A chart as a page carries it: the same as ``Chart.as_dict``, in far fewer characters.

Charts over time repeat themselves: every trace has the same instants, which count on by equal
steps. ``unpack`` in ``static/js/charts.js`` is the way back.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from dashboard.charts.chart import Chart

LIST = "$list"
"""``{"$list": 3}`` stands for the fourth of ``lists``."""
STEPS = "$steps"
"""``{"$steps": [5, 2, null, 2]}`` stands for ``[5, 7, null, 9]``."""
_WORTH_IT = 8  # shorter lists stay as they are
_INSTANT = 100_000_000_000  # milliseconds since 1970: what is larger is a time


def packed(chart: Chart) -> dict[str, Any]:
    """Return a chart for a page: repeated lists once, times as steps, rows of cells by columns.

    Example:
        >>> chart = Chart("a", "A", "", {"data": [], "layout": {}}, ("n",), (("1",), ("2",)))
        >>> packed(chart)["rows"]
        [['1', '2']]
    """
    content = chart.as_dict()
    content["rows"] = _by_columns(chart)
    texts = Counter(json.dumps(values) for values in _long_lists(content))
    shared = [text for text, times in texts.items() if times > 1]
    numbers = {text: number for number, text in enumerate(shared)}
    packed_parts = {name: _replaced(part, numbers) for name, part in content.items()}
    return packed_parts | {"lists": [_steps(json.loads(text)) for text in shared]}


def _by_columns(chart: Chart) -> list[list[Any]]:
    """Return the cells column by column: what lies below each other is alike."""
    columns: list[list[Any]] = [list(column) for column in zip(*chart.rows, strict=True)]
    if chart.time_axis and columns:
        columns[0] = [int(cell) for cell in columns[0]]
    return columns


def _long_lists(value: Any) -> Iterator[list[Any]]:
    if isinstance(value, dict):
        for part in value.values():
            yield from _long_lists(part)
    elif _is_long(value):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _long_lists(part)


def _is_long(value: Any) -> bool:
    if not isinstance(value, list) or len(value) < _WORTH_IT:
        return False
    return not any(isinstance(part, list | tuple | dict) for part in value)


def _replaced(value: Any, shared: dict[str, int]) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(part, shared) for name, part in value.items()}
    if _is_long(value):
        number = shared.get(json.dumps(value))
        if number is None:
            return _steps(value)
        return {LIST: number}
    if isinstance(value, list | tuple):
        return [_replaced(part, shared) for part in value]
    return value


def _steps(values: list[Any]) -> list[Any] | dict[str, list[int | None]]:
    """Return a list of times as what is added from one to the next; others as they are."""
    if not all(value is None or _is_time(value) for value in values):
        return values
    steps: list[int | None] = []
    last = 0
    for value in values:
        if value is None:
            steps.append(None)
            continue
        steps.append(value - last)
        last = value
    return {STEPS: steps}


def _is_time(value: Any) -> bool:
    return isinstance(value, int) and value > _INSTANT
