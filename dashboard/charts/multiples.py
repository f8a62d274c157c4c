"""Small multiples: one curve a panel, all with the same axes, as shapes for SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.charts.session import PanelScale, PanelTick
from dashboard.languages.figures import general

_LEFT = 40.0
_RIGHT = 8.0
_GAP = 16.0
_NAME = 20.0
_PANEL = 92.0
_AXIS = 22.0
_ROW_GAP = 10.0
_TITLE = 20.0
_WANTED = 170.0
"""Width of a panel, at least, where there is room for more than one."""
_ROOM = 34.0
"""Width of a label of the horizontal axis and the space beside it."""
_STEPS = 4
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200)


@dataclass(frozen=True, slots=True)
class Curve:
    """Line of a panel.

    Attributes:
        name: written over it.
        colour: of the line, as the style sheet names it.
        values: one for each of the times; ``None`` is a gap.
    """

    name: str
    colour: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Small:
    """One panel, in units of the picture.

    Attributes:
        name: written over it.
        colour: of the line, as the style sheet names it.
        left: where the panel begins.
        right: where it ends.
        top: of its plot.
        bottom: of its plot.
        zero_x: where the event is.
        zero_y: where the baseline is.
        strokes: points of each unbroken part, as SVG writes them.
        dots: places of values without a neighbour, which make no line.
        x_ticks: of the horizontal axis.
        y_ticks: of the vertical axis.
        is_first: whether it is the first of its row, which has the labels of the vertical axis.
    """

    name: str
    colour: str
    left: float
    right: float
    top: float
    bottom: float
    zero_x: float
    zero_y: float
    strokes: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    x_ticks: tuple[PanelTick, ...]
    y_ticks: tuple[PanelTick, ...]
    is_first: bool


@dataclass(frozen=True, slots=True)
class Multiples:
    """A picture of panels, row by row."""

    width: float
    height: float
    panels: tuple[Small, ...]


def small_multiples(times: Sequence[float], curves: Sequence[Curve], width: float) -> Multiples:
    """Return the picture of curves over the same times.

    Args:
        times: of the values, rising; the event is at 0.
        curves: at least one.
        width: of the picture; its text is 12 units high.
    """
    columns = max(1, min(len(curves), int((width - _LEFT - _RIGHT + _GAP) // (_WANTED + _GAP))))
    across = (width - _LEFT - _RIGHT - (columns - 1) * _GAP) / columns
    down = _NAME + _PANEL + _AXIS + _ROW_GAP
    known = [value for one in curves for value in one.values if value is not None]
    panels = []
    for place, curve in enumerate(curves):
        row, column = divmod(place, columns)
        top = round(row * down + _NAME, 1)
        scale = PanelScale.of([0.0, *known], top, _PANEL, _STEPS)
        left = round(_LEFT + column * (across + _GAP), 1)
        panels.append(_panel(times, curve, scale, (left, round(left + across, 1)), column == 0))
    return Multiples(width, math.ceil(len(curves) / columns) * down + _TITLE, tuple(panels))


def _panel(
    times: Sequence[float],
    curve: Curve,
    scale: PanelScale,
    ends: tuple[float, float],
    is_first: bool,
) -> Small:
    left, right = ends
    first, last = times[0], times[-1]

    def x_of(at: float) -> float:
        return round(left + (at - first) / ((last - first) or 1.0) * (right - left), 1)

    parts: list[list[tuple[float, float]]] = [[]]
    for at, value in zip(times, curve.values, strict=True):
        if value is None:
            parts.append([])
        else:
            parts[-1].append((x_of(at), scale.at(value)))
    step = next((s for s in _STEPS_S if (last - first) / s * _ROOM <= right - left), _STEPS_S[-1])
    ticks = range(math.ceil(first / step), math.floor(last / step) + 1)
    return Small(
        name=curve.name,
        colour=curve.colour,
        left=left,
        right=right,
        top=scale.top,
        bottom=scale.top + scale.height,
        zero_x=x_of(0.0),
        zero_y=scale.at(0.0),
        strokes=tuple(" ".join(f"{x:g},{y:g}" for x, y in part) for part in parts if len(part) > 1),
        dots=tuple(part[0] for part in parts if len(part) == 1),
        x_ticks=tuple(PanelTick(x_of(step * n), general(step * n)) for n in ticks),
        y_ticks=tuple(PanelTick(one.at, one.text) for one in scale.ticks()),
        is_first=is_first,
    )
