"""The marks of a chart as SVG: lines, bands, points, intervals, and shares that are piled up.

A figure has the form of Plotly's JSON, of which these are the parts that our charts use. Colours
stay names of the style sheet, so that one drawing is right in light, in dark and on paper.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dashboard.charts.axes import Axis, with_minus
from dashboard.languages.figures import LocalNumber

Trace = Mapping[str, Any]
Point = tuple[float, float]
HATCHES = (
    "",
    "M0 6L6 0",
    "M3 3h.01",
    "M0 0L6 6M0 6L6 0",
    "M0 0L6 6",
    "M1 1h.01M4 4h.01",
    "M0 3h6",
    "M0 3h6M3 0v6",
    "M3 0v6",
)
"""By the order of piled shares: they are distinguished without their colours, too."""
_DASHES = {"dash": "7 4", "dot": "2 3", "dashdot": "7 3 2 3", "longdash": "12 4"}
_PLACE = re.compile(r"%\{(x|y|customdata)(?::([^}]+))?\}")
_CAP = 5.0
"""Half the width of the end of an interval, at most."""


def element(name: str, attributes: Mapping[str, object], *content: str) -> str:
    """Return an SVG element; what it contains is markup."""
    written = "".join(
        f' {key}="{_number(value) if isinstance(value, float) else html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None and value != ""
    )
    inner = "".join(content)
    return f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>"


def _number(value: float) -> str:
    return f"{round(value, 1):g}"


def dash_of(trace: Trace) -> str | None:
    """Return how the line of a trace is broken; ``None``: it is not."""
    return _DASHES.get(trace.get("line", {}).get("dash", ""))


def path_of(points: Sequence[Point]) -> str:
    """Return the path through points, as steps from one to the next."""
    (x, y), *others = points
    path = f"M{x:g} {y:g}"
    for next_x, next_y in others:
        path += f"l{round(next_x - x, 1):g} {round(next_y - y, 1):g}"
        x, y = next_x, next_y
    return path


def rectangle_path(left: float, top: float, width: float, height: float) -> str:
    """Return the path of a rectangle; many of them make one path."""
    return f"M{left:g} {top:g}h{round(width, 1):g}v{round(height, 1):g}h-{round(width, 1):g}z"


@dataclass(slots=True)
class TraceMarks:
    """The marks of the traces between a horizontal and a vertical axis.

    Attributes:
        across: the horizontal axis.
        up: the vertical axis.
        prefix: of the names of what is defined, so that no two pictures of a page share them.
        definitions: hatches, and what is drawn more than once.
    """

    across: Axis
    up: Axis
    prefix: str
    definitions: list[str] = field(default_factory=list)
    _piled: list[float] = field(default_factory=list)

    def of(self, trace: Trace, place: int) -> str:
        """Return the marks of a trace, the ``place``-th of its figure."""
        if "stackgroup" in trace:
            return self._shares(trace, place)
        parts = []
        mode = trace.get("mode", "lines")
        if trace.get("fill") == "toself":
            parts.append(self._band(trace))
        elif "lines" in mode:
            parts.append(self._line(trace))
        parts += self._intervals(trace)
        if "markers" in mode:
            parts += self._points(trace)
        return element("g", {"data-trace": trace.get("meta")}, *parts)

    def _runs(self, trace: Trace) -> Iterator[list[Point]]:
        """Yield the places of each unbroken part."""
        run: list[Point] = []
        for x, y in zip(trace["x"], trace["y"], strict=True):
            if x is not None and y is not None:
                run.append((self.across.at(x), self.up.at(y)))
            elif run:
                yield run
                run = []
        if run:
            yield run

    def _line(self, trace: Trace) -> str:
        line = trace.get("line", {})
        if not line.get("width", 2):
            return ""
        # A single place has no length; round ends make it a dot.
        path = "".join(path_of(run if len(run) > 1 else run * 2) for run in self._runs(trace))
        return element(
            "path",
            {
                "d": path,
                "fill": "none",
                "stroke": line["color"],
                "stroke-width": float(line.get("width", 2)),
                "stroke-dasharray": dash_of(trace),
                "stroke-linejoin": "round",
                "stroke-linecap": None if dash_of(trace) else "round",
            },
        )

    def _band(self, trace: Trace) -> str:
        path = "".join(f"{path_of(run)}z" for run in self._runs(trace))
        fill = trace["fillcolor"]
        # Its edge tells a band from its ground, and from others, without their colours.
        edge = trace["line"].get("color") or fill.replace("-band)", ")")
        return element(
            "path",
            {
                "d": path,
                "fill": fill,
                "stroke": edge,
                "stroke-width": float(trace["line"].get("width") or 0.5),
                "stroke-dasharray": dash_of(trace),
            },
        )

    def _points(self, trace: Trace) -> Iterator[str]:
        marker = trace.get("marker", {})
        outline = marker.get("line", {})
        size = marker.get("size", 6)
        shapes = []
        for place, (x, y) in enumerate(zip(trace["x"], trace["y"], strict=True)):
            if x is None or y is None:
                continue
            at = (self.across.at(x), self.up.at(y))
            told = hover_text(trace, place)
            title = element("title", {}, html.escape(told)) if told else ""
            shapes.append(_symbol(marker.get("symbol", "circle"), at, size / 2, title))
        yield element(
            "g",
            {
                "fill": marker.get("color") or trace.get("line", {}).get("color"),
                "fill-opacity": marker.get("opacity"),
                "stroke": outline.get("color"),
                "stroke-width": outline.get("width"),
            },
            *shapes,
        )

    def _intervals(self, trace: Trace) -> Iterator[str]:
        """Yield the intervals of points, across or up and down."""
        for name, is_across in (("error_x", True), ("error_y", False)):
            if name not in trace:
                continue
            error = trace[name]
            above = error["array"]
            below = error.get("arrayminus", above)
            paths = []
            for x, y, more, less in zip(trace["x"], trace["y"], above, below, strict=True):
                if not more and not less:
                    continue
                cap = min(_CAP, error.get("width", _CAP))
                if is_across:
                    left, right, at = (
                        self.across.at(x - less),
                        self.across.at(x + more),
                        self.up.at(y),
                    )
                    ends = "".join(f"M{end:g} {at - cap:g}v{2 * cap:g}" for end in (left, right))
                    paths.append(f"M{left:g} {at:g}H{right:g}{ends}")
                else:
                    top, foot, at = self.up.at(y + more), self.up.at(y - less), self.across.at(x)
                    ends = "".join(f"M{at - cap:g} {end:g}h{2 * cap:g}" for end in (top, foot))
                    paths.append(f"M{at:g} {top:g}V{foot:g}{ends}")
            yield element(
                "path",
                {
                    "d": "".join(paths),
                    "fill": "none",
                    "stroke": error["color"],
                    "stroke-width": float(error.get("thickness", 2)),
                },
            )

    def _shares(self, trace: Trace, place: int) -> str:
        """Return the bars of a share, on top of those before it."""
        edges, values = trace["x"], trace["y"]
        if not self._piled:
            self._piled = [0.0] * len(values)
        bars = []
        for number, value in enumerate(values[:-1]):
            if not value:
                continue
            left, right = self.across.within(edges[number]), self.across.within(edges[number + 1])
            foot = self.up.at(self._piled[number])
            self._piled[number] += value
            top = self.up.at(min(1.0, self._piled[number]))
            if right > left and foot > top:
                bars.append(rectangle_path(left, top, right - left, foot - top))
        if not bars:
            return ""
        name = f"{self.prefix}-share-{place}"
        pattern = trace.get("fillpattern")
        shape = "M0 6L6 0" if pattern else HATCHES[place % len(HATCHES)]
        hatch = ""
        if shape:
            self.definitions.append(hatch_pattern(f"{name}-hatch", shape, is_soft=bool(pattern)))
            hatch = element(
                "use",
                {
                    "href": f"#{name}",
                    "fill": f"url(#{name}-hatch)",
                    "class": "on-screen" if pattern else "in-grey",
                },
            )
        self.definitions.append(element("path", {"id": name, "d": "".join(bars)}))
        attributes = {
            "data-trace": trace.get("meta"),
            "data-foot": self.up.at(0.0),
            "shape-rendering": "crispEdges",
        }
        whole = element("use", {"href": f"#{name}", "fill": trace["fillcolor"]})
        return element("g", attributes, whole, hatch)


def hatch_pattern(name: str, shape: str, *, is_soft: bool = False) -> str:
    """Return a pattern of thin lines, or of dots where the shape has no length."""
    stroke = "var(--hatch)" if is_soft else "var(--ink)"
    thick = 2.0 if "h.01" in shape else 0.8
    path = element(
        "path",
        {
            "d": shape,
            "fill": "none",
            "stroke": stroke,
            "stroke-width": thick,
            "stroke-linecap": "round",
        },
    )
    return element(
        "pattern", {"id": name, "width": 6, "height": 6, "patternUnits": "userSpaceOnUse"}, path
    )


def _symbol(symbol: str, at: Point, half: float, title: str) -> str:
    x, y = at
    if symbol == "square":
        box = {"x": x - half, "y": y - half, "width": 2 * half, "height": 2 * half}
        return element("rect", box, title)
    if symbol == "triangle-down":
        path = f"M{x - half:g} {y - half:g}h{2 * half:g}l{-half:g} {2 * half:g}z"
        return element("path", {"d": path}, title)
    return element("circle", {"cx": x, "cy": y, "r": float(half)}, title)


def hover_text(trace: Trace, place: int) -> str:
    """Return what a point says when it is pointed at: its template with its numbers."""
    template = trace.get("hovertemplate", "")
    if isinstance(template, list):
        template = template[place]
    name = "" if "<extra></extra>" in template else trace.get("name", "")

    def value_at(match: re.Match[str]) -> str:
        value = trace[match[1]][place]
        if match[2] is None or not isinstance(value, int | float):
            return str(value)
        return with_minus(format(LocalNumber(value), match[2]))

    told = _PLACE.sub(value_at, template.replace("<extra></extra>", ""))
    return html.unescape(": ".join(part for part in (name, told) if told and part))
