"""A chart as pages, programs and readers without sight get it, and Plotly's script.

Charts over time repeat themselves: every trace has the same instants, which count on by equal
steps. A page carries them packed; ``unpack`` in ``static/js/charts.js`` is the way back.

The script is the partial bundle that our charts need, shipped with us as its makers published it.
The ``plotly`` package brings only the whole script, which is four times as large and takes three
times as long until a chart is drawn. ``tools/update_plotly.py`` takes a newer one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

PLOTLY_VERSION = "4.1.1"
PLOTLY_SHA256 = "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"
TRACE_TYPES = frozenset({"scatter", "bar", "pie"})
"""What the partial bundle "basic" draws."""
LIST = "$list"
"""``{"$list": 3}`` stands for the fourth of ``lists``."""
STEPS = "$steps"
"""``{"$steps": [5, 2, null, 2]}`` stands for ``[5, 7, null, 9]``."""
_WORTH_IT = 8  # shorter lists stay as they are
_INSTANT = 100_000_000_000  # milliseconds since 1970: what is larger is a time


def plotly_address() -> str:
    """Return where pages load Plotly from.

    It names the version, so that browsers may keep it for ever.
    """
    return f"/static/plotly-{PLOTLY_VERSION}.min.js"


def plotly_file() -> Path:
    """Return Plotly's script; its licence lies beside it."""
    return Path(__file__).parent / "plotly" / "plotly-basic.min.js"


Height = Literal["small", "medium", "large", "tall", "tall-1", "tall-2", "tall-3"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A number beside a chart, written for people.

    Attributes:
        name: what it is.
        value: the number; a dash where there is none.
        unit: its unit; empty: it has none, or there is no number.
        note: more about it, such as from where to where.
    """

    name: str
    value: str
    unit: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with its description.

    Attributes:
        id: unique in the page, letters and dashes.
        title: heading over the chart.
        sentence: what the chart shows, in words; screen readers get this instead of the picture.
        figure: Plotly JSON, ``{"data": […], "layout": {…}}``; colours may be ``var(--name)``.
        columns: heads of the data table below the chart.
        rows: its cells, written for people. With ``time_axis`` the first cell is UTC milliseconds.
        time_axis: whether x values are UTC milliseconds, to be shown in the reader's time zone.
        height: how tall it is drawn.
        axes: titles of the horizontal and the vertical axis in a picture that is taken from the
            page, where the figure has none: on the page the title of the chart says them.
        caption: what such a picture says below itself, beside whose the data are and from when.
        figures: the sentence in numbers; with them it is for screen readers alone.
    """

    id: str
    title: str
    sentence: str
    figure: dict[str, Any]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    time_axis: bool = False
    height: Height = "medium"
    axes: tuple[str, str] = ("", "")
    caption: str = ""
    figures: tuple[Figure, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what pages could not draw.

        Raises:
            ValueError: a trace is of a kind that our bundle of Plotly does not have.
        """
        for trace in self.figure["data"]:
            if trace["type"] not in TRACE_TYPES:
                raise ValueError(
                    f"chart {self.id}: our Plotly draws no {trace['type']!r}; compose it of "
                    f"{', '.join(sorted(TRACE_TYPES))}"
                )

    def as_dict(self) -> dict[str, Any]:
        """Return the chart as JSON data for ``drawChart``; the figure is not copied."""
        content = {one.name: getattr(self, one.name) for one in fields(self)}
        return content | {"figures": [asdict(one) for one in self.figures]}


def pack_chart(chart: Chart) -> dict[str, Any]:
    """Return a chart for a page: repeated lists once, times as steps, rows of cells by columns.

    Example:
        >>> chart = Chart("a", "A", "", {"data": [], "layout": {}}, ("n",), (("1",), ("2",)))
        >>> pack_chart(chart)["rows"]
        [['1', '2']]
    """
    content = chart.as_dict()
    content["rows"] = _by_columns(chart)
    # As text, since lists cannot be counted; ``json.loads`` brings them back below.
    texts = Counter(json.dumps(values) for values in _long_lists(content))
    shared = [text for text, times in texts.items() if times > 1]
    numbers = {text: number for number, text in enumerate(shared)}
    packed_parts = {name: _share_lists(part, numbers) for name, part in content.items()}
    return packed_parts | {"lists": [_steps(json.loads(text)) for text in shared]}


def _by_columns(chart: Chart) -> list[list[Any]]:
    """Return the cells column by column: what lies below each other is alike."""
    columns: list[list[Any]] = [list(column) for column in zip(*chart.rows, strict=True)]
    if chart.time_axis and columns:
        # Times as numbers are the same lists as those of the traces, and shared with them.
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


def _share_lists(value: Any, shared: dict[str, int]) -> Any:
    if isinstance(value, dict):
        return {name: _share_lists(part, shared) for name, part in value.items()}
    if _is_long(value):
        number = shared.get(json.dumps(value))
        if number is None:
            return _steps(value)
        return {LIST: number}
    if isinstance(value, list | tuple):
        return [_share_lists(part, shared) for part in value]
    return value


def _steps(values: list[Any]) -> list[Any] | dict[str, list[int | None]]:
    """Return a list of times as what is added from one to the next; others as they are."""
    if not all(value is None or _is_time(value) for value in values):
        return values
    steps: list[int | None] = []
    # The first step counts from 1970, so it is the instant itself.
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
