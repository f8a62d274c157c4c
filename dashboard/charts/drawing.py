"""Charts as SVG: one drawing is shown, printed and saved.

There are two of each chart. The wide one is 17 cm in a paper, the narrow one 8.5 cm and on a
phone; the smallest letters are 7 pt or larger in either.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.charts.axes import Axis, Tick, range_of, ticks_of, time_ticks
from dashboard.charts.chart import Chart, Height
from dashboard.charts.marks import HATCHES, Trace, TraceMarks, dash_of, element
from dashboard.charts.text_widths import LINE, SIZE, cut_text, fold_text, text_width

WIDTHS = {"wide": 800.0, "narrow": 340.0}
"""In units of the picture, whose letters are 12 units high."""
_HEIGHTS: dict[Height, float] = {
    "small": 130.0,
    "medium": 230.0,
    "large": 360.0,
    "tall": 560.0,
    "tall-1": 725.0,
    "tall-2": 890.0,
    "tall-3": 1050.0,
}
_EDGE = 8.0
_GAP = 6.0
_TITLE = 18.0
"""Room for the title of an axis."""
_LABELS = 0.4
"""Share of the width that labels of the vertical axis have at most."""
_TICK_ROOM = 64.0
_TICK_ROOM_UP = 30.0
_SWATCH = 12.0
_SAMPLE = 28.0
_ENTRY = 18.0
_SOFT = "var(--chart-text)"
_CAPTION_SHIFT = 5.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart as SVG.

    Attributes:
        kind: ``wide`` or ``narrow``.
        width: of the picture.
        height: of what a page shows.
        whole_height: with the legend that a page has beside the picture.
        content: markup, without the element around it.
        left: where the plot begins.
        right: where it ends.
        span: ends of the horizontal axis.
        step_ms: between the times of the axis; 0: it has none.
        places: of the rows of the table on the horizontal axis; empty: it is not read by them.
    """

    kind: str
    width: float
    height: float
    whole_height: float
    content: str
    left: float
    right: float
    span: tuple[float, float]
    step_ms: float
    places: tuple[float, ...]

    def __html__(self) -> str:
        """Return the content, which a template writes as it is."""
        return self.content


def draw_both(chart: Chart) -> tuple[Drawing, Drawing]:
    """Return the wide and the narrow drawing of a chart."""
    wide, narrow = (draw_chart(chart, kind) for kind in WIDTHS)
    return wide, narrow


def draw_chart(chart: Chart, kind: str) -> Drawing:
    """Return one drawing of a chart; ``kind`` names its width."""
    return _Canvas(chart, kind).draw()


class _Canvas:
    """The room of a drawing and what stands where in it.

    Args:
        chart: what is drawn.
        kind: how wide.
    """

    def __init__(self, chart: Chart, kind: str) -> None:
        self._chart = chart
        self._kind = kind
        self._traces: Sequence[Trace] = chart.figure["data"]
        self._layout: Mapping[str, Any] = chart.figure["layout"]
        self._width = WIDTHS[kind]
        self._rows = self._row_names()
        self._plot_height = _HEIGHTS[chart.height]
        if self._rows:
            lines = max(map(len, self._rows))
            self._plot_height = len(self._rows) * (lines * LINE + (2.0 if lines == 1 else _GAP))
        self._prefix = f"{chart.id}-{kind}"
        captions = [one for one in self._layout.get("annotations", ()) if "yshift" in one]
        self._top = _EDGE + (LINE if captions else 0.0)
        self._foot = self._top + self._plot_height
        self._ups = self._vertical_axes()
        self._left = self._room_at_left()
        self._right = self._width - _EDGE - (_GAP if self._kind == "wide" else 0.0)
        self._across = self._horizontal_axis()

    def draw(self) -> Drawing:
        """Return the drawing."""
        marks = {
            name: TraceMarks(self._across, axis, self._prefix) for name, axis in self._ups.items()
        }
        drawn = [
            (trace, marks[trace.get("yaxis", "y")].of(trace, place))
            for place, trace in enumerate(self._traces)
        ]
        unclipped = "".join(mark for trace, mark in drawn if trace.get("cliponaxis") is False)
        clipped = "".join(mark for trace, mark in drawn if trace.get("cliponaxis") is not False)
        clip = element(
            "clipPath",
            {"id": f"{self._prefix}-plot"},
            element(
                "rect",
                {
                    "x": self._left,
                    "y": self._top - 8,
                    "width": self._right - self._left + 4,
                    "height": self._plot_height + 12,
                },
            ),
        )
        definitions = itertools.chain.from_iterable(one.definitions for one in marks.values())
        below, foot = self._below()
        legend, whole = self._legend(foot)
        is_shown = bool(self._layout.get("showlegend"))
        parts = (
            element("defs", {}, clip, *definitions),
            *self._grid(),
            element("g", {"clip-path": f"url(#{self._prefix}-plot)"}, clipped, *self._shapes()),
            unclipped,
            *self._notes(),
            below,
            legend if is_shown else element("g", {"class": "beside-picture"}, legend),
        )
        return Drawing(
            self._kind,
            self._width,
            whole if is_shown else foot,
            whole,
            "".join(parts),
            self._left,
            self._right,
            (self._across.low, self._across.high),
            self._across.step if self._chart.time_axis else 0.0,
            tuple(self._across.at(value) for value in _row_places(self._chart)),
        )

    def _row_names(self) -> tuple[tuple[str, ...], ...]:
        """Return the names of rows at the vertical axis, on one line where they have room."""
        texts = self._layout.get("yaxis", {}).get("ticktext", ())
        if not any("<br>" in text for text in texts):
            return ()
        whole = [html.unescape(text).replace("<br>", ": ") for text in texts]
        if max(map(text_width, whole)) <= _LABELS * self._width:
            return tuple((text,) for text in whole)
        room = _LABELS * self._width
        return tuple(
            tuple(cut_text(line, room) for line in html.unescape(text).split("<br>"))
            for text in texts
        )

    def _vertical_axes(self) -> dict[str, Axis]:
        axes = {}
        names = dict.fromkeys(["y", *(trace.get("yaxis", "y") for trace in self._traces)])
        for name in names:
            layout = self._layout.get(f"yaxis{name[1:]}", {})
            low, high = layout.get("domain", (0.0, 1.0))
            start = self._foot - low * self._plot_height
            end = self._foot - high * self._plot_height
            ends = range_of(layout, self._values(name, "y"))
            ticks, step = ticks_of(layout, ends, (start - end) / _TICK_ROOM_UP)
            if self._rows:
                named = zip(ticks, self._rows, strict=True)
                ticks = tuple(Tick(tick.value, names) for tick, names in named)
            axes[name] = Axis(*ends, start, end, ticks, step)
        return axes

    def _values(self, axis: str, of: str) -> Iterator[float]:
        """Yield all values on an axis, with the ends of their intervals."""
        for trace in self._traces:
            if of == "y" and trace.get("yaxis", "y") != axis:
                continue
            values = trace[of]
            yield from (value for value in values if value is not None)
            error = trace.get(f"error_{of}")
            if error is not None:
                above = error["array"]
                below = error.get("arrayminus", above)
                yield from (value + more for value, more in zip(values, above, strict=True))
                yield from (value - less for value, less in zip(values, below, strict=True))

    def _room_at_left(self) -> float:
        lines = [line for axis in self._ups.values() for tick in axis.ticks for line in tick.lines]
        widest = max(map(text_width, lines), default=0.0)
        title = _TITLE if self._title_up() else 0.0
        return round(_EDGE / 2 + title + min(widest, _LABELS * self._width) + _GAP, 1)

    def _title_up(self) -> str:
        return _title_of(self._layout.get("yaxis", {})) or self._chart.axes[1]

    def _title_across(self) -> str:
        return _title_of(self._layout.get("xaxis", {})) or self._chart.axes[0]

    def _horizontal_axis(self) -> Axis:
        layout = self._layout.get("xaxis", {})
        ends = range_of(layout, self._values("x", "x"))
        most = (self._right - self._left) / _TICK_ROOM
        if self._chart.time_axis:
            ticks, step = time_ticks(ends, most)
        else:
            ticks, step = ticks_of(layout, ends, most)
        return Axis(*ends, self._left, self._right, ticks, step)

    def _grid(self) -> Iterator[str]:
        """Yield the lines of the plot and the labels of the vertical axes."""
        for name, axis in self._ups.items():
            layout = self._layout.get(f"yaxis{name[1:]}", {})
            if layout.get("showgrid", True):
                path = "".join(
                    f"M{self._left:g} {axis.at(tick.value):g}H{self._right:g}"
                    for tick in axis.ticks
                )
                yield _stroke(path, layout.get("gridcolor", "var(--chart-grid)"))
            if layout.get("zeroline") and axis.low <= 0 <= axis.high:
                path = f"M{self._left:g} {axis.at(0):g}H{self._right:g}"
                yield _stroke(path, layout["zerolinecolor"], layout.get("zerolinewidth", 1.0))
            for tick in axis.ticks:
                names = [cut_text(line, self._left - _GAP) for line in tick.lines]
                middle = axis.at(tick.value) + SIZE / 3 - (len(names) - 1) * LINE / 2
                yield _text(names, self._left - _GAP, middle, "end")
        yield from self._grid_across()
        title = self._title_up()
        if title:
            middle = (self._top + self._foot) / 2
            lines = fold_text(title, self._plot_height + 2 * LINE, 1)
            yield element(
                "text",
                {
                    "text-anchor": "middle",
                    "fill": _SOFT,
                    "transform": f"translate({_EDGE + SIZE / 3:g} {middle:g}) rotate(-90)",
                },
                html.escape(lines[0]),
            )

    def _grid_across(self) -> Iterator[str]:
        layout = self._layout.get("xaxis", {})
        axis = self._across
        grid = layout.get("gridcolor", "var(--chart-grid)")
        if self._chart.time_axis:
            line = _stroke(f"M0 {self._top:g}V{self._foot:g}", grid)
            yield self._at_times(line for _ in axis.ticks)
        elif layout.get("showgrid", True):
            path = "".join(
                f"M{axis.at(tick.value):g} {self._top:g}V{self._foot:g}" for tick in axis.ticks
            )
            yield _stroke(path, grid)
        if layout.get("zeroline") and axis.low <= 0 <= axis.high:
            path = f"M{axis.at(0):g} {self._top:g}V{self._foot:g}"
            yield _stroke(path, layout["zerolinecolor"], layout.get("zerolinewidth", 1.0))
        if "linecolor" in layout:
            yield _stroke(f"M{self._left:g} {self._foot:g}H{self._right:g}", layout["linecolor"])

    def _below(self) -> tuple[str, float]:
        """Return what stands below the plot, and where it ends."""
        ticks = self._across.ticks
        parts = []
        if self._chart.time_axis:
            lines = 2
            parts.append(self._time_labels(self._foot, has_days=True))
            if "xaxis2" in self._layout:
                at = self._foot - self._layout["xaxis2"]["position"] * self._plot_height
                parts.append(self._time_labels(at, has_days=False))
        else:
            room = (self._right - self._left) / max(1, len(ticks)) - _GAP
            written = [_fold_tick(tick, room) for tick in ticks]
            lines = max(map(len, written), default=1)
            parts += (
                _text(text, self._across.at(tick.value), self._foot + LINE + 1, "middle")
                for tick, text in zip(ticks, written, strict=True)
            )
        foot = self._foot + 6 + lines * LINE
        title = self._title_across()
        if title:
            foot += LINE + 2
            attributes: dict[str, object] = {
                "x": (self._left + self._right) / 2,
                "y": foot,
                "text-anchor": "middle",
                "fill": _SOFT,
            }
            if self._chart.time_axis:
                attributes |= {"data-zone-of": title}
                title = f"{title} (UTC)"
            parts.append(element("text", attributes, html.escape(title)))
        return "".join(parts), foot + _EDGE

    def _time_labels(self, at: float, *, has_days: bool) -> str:
        """Return the times of the axis; below the shares they stand without their days."""
        return self._at_times(
            _text(tick.lines if has_days else tick.lines[:1], 0.0, at + LINE, "middle")
            for tick in self._across.ticks
        )

    def _at_times(self, every: Iterable[str]) -> str:
        """Return a group for each time, which a script moves to those of the reader's zone."""
        groups = (
            element("g", {"transform": f"translate({self._across.at(tick.value):g} 0)"}, one)
            for tick, one in zip(self._across.ticks, every, strict=True)
        )
        return element("g", {"data-ticks": "times"}, *groups)

    def _shapes(self) -> Iterator[str]:
        for shape in self._layout.get("shapes", ()):
            left, right = (self._across.within(shape[name]) for name in ("x0", "x1"))
            foot, top = (self._foot - shape[name] * self._plot_height for name in ("y0", "y1"))
            if shape["type"] == "line":
                line = shape["line"]
                path = f"M{left:g} {top:g}V{foot:g}"
                yield _stroke(path, line["color"], line["width"], "2 3")
            else:
                yield element(
                    "rect",
                    {
                        "x": left,
                        "y": top,
                        "width": right - left,
                        "height": foot - top,
                        "fill": shape["fillcolor"],
                        "fill-opacity": shape["opacity"],
                    },
                )

    def _notes(self) -> Iterator[str]:
        for note in self._layout.get("annotations", ()):
            at = self._foot - note["y"] * self._plot_height
            text = html.unescape(note["text"])
            if "yshift" in note:
                text = cut_text(text, self._right - self._left)
                attributes = {"x": self._left, "y": at - _CAPTION_SHIFT}
                fill = {"fill": note["font"]["color"], "font-weight": 600}
            else:
                attributes = {"x": self._across.at(note["x"]), "y": at + 4}
                fill = {"fill": note["font"]["color"], "text-anchor": "middle"}
            yield element("text", {**attributes, **fill}, html.escape(text))

    def _legend(self, top: float) -> tuple[str, float]:
        """Return the names of the traces as rows of SVG, and the y at which the rows end."""
        named = [
            (place, trace)
            for place, trace in enumerate(self._traces)
            if trace.get("name")
            and trace.get("showlegend") is not False
            and trace.get("meta") != "no-face"
        ]
        if len(named) < 2:
            return "", top
        x, y = self._left, top + SIZE - 2
        parts = []
        for place, trace in named:
            name = html.unescape(trace["name"])
            sample, wide = self._sample(place, trace, x, y)
            needed = wide + _GAP + text_width(name)
            if x > self._left and x + needed > self._right:
                x, y = self._left, y + _ENTRY
                sample, wide = self._sample(place, trace, x, y)
            text = element("text", {"x": x + wide + _GAP, "y": y, "fill": _SOFT}, html.escape(name))
            parts += [sample, text]
            x += needed + 2 * _GAP
        return "".join(parts), y + _EDGE

    def _sample(self, place: int, trace: Trace, x: float, y: float) -> tuple[str, float]:
        """Return the sign of a trace in the legend, and its width."""
        if "stackgroup" in trace:
            box = {"x": x, "y": y - 10, "width": _SWATCH, "height": _SWATCH}
            whole = element("rect", box | {"fill": trace["fillcolor"]})
            if not HATCHES[place % len(HATCHES)]:
                return whole, _SWATCH
            hatch = f"url(#{self._prefix}-share-{place}-hatch)"
            return whole + element("rect", box | {"fill": hatch, "class": "in-grey"}), _SWATCH
        line = trace["line"]
        path = f"M{x:g} {y - 4:g}h{_SAMPLE:g}"
        return _stroke(path, line["color"], line.get("width", 2), dash_of(trace)), _SAMPLE


def _title_of(axis: Mapping[str, Any]) -> str:
    return html.unescape(str(axis.get("title", {}).get("text", "")))


def _fold_tick(tick: Tick, room: float) -> tuple[str, ...]:
    return tuple(line for text in tick.lines for line in fold_text(text, room))


def _row_places(chart: Chart) -> Sequence[float]:
    """Return where the rows of the table lie on the horizontal axis; none: points are named."""
    if chart.figure["layout"].get("hovermode") != "x unified":
        return ()
    if chart.time_axis:
        return [float(row[0]) for row in chart.rows]
    lengths = (trace["x"] for trace in chart.figure["data"] if len(trace["x"]) == len(chart.rows))
    return next(lengths, ())


def _stroke(path: str, colour: str, width: float = 1.0, dash: str | None = None) -> str:
    return element(
        "path",
        {
            "d": path,
            "fill": "none",
            "stroke": colour,
            "stroke-width": float(width),
            "stroke-dasharray": dash,
        },
    )


def _text(lines: Sequence[str], x: float, y: float, anchor: str) -> str:
    """Return lines of text below each other."""
    return "".join(
        element(
            "text",
            {"x": x, "y": y + number * LINE, "text-anchor": anchor, "fill": _SOFT},
            html.escape(line),
        )
        for number, line in enumerate(lines)
    )
