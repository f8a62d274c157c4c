"""Charts as figures that stand alone, 17 or 8.5 cm wide: the drawing of the page with its title and
caption, in light colours, with patterns where colours alone would tell parts apart.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from dashboard.charts.chart import Chart
from dashboard.charts.colours import in_light_colours
from dashboard.charts.drawing import WIDTHS, draw_chart
from dashboard.charts.marks import element
from dashboard.charts.text_widths import LINE, SIZE, fold_text

WIDTHS_CM = {"wide": 17.0, "narrow": 8.5}
_SVG = {"xmlns": "http://www.w3.org/2000/svg", "xmlns:xlink": "http://www.w3.org/1999/xlink"}
_FONT = "Arial, Helvetica, sans-serif"  # every program that opens an SVG has one of them
_SIDE = 12.0
_TITLE = 15.0
_BOLD = 1.1  # so much wider than plain letters
_GAP = 10.0
_ALL_LINES = 60
_BOUND = re.compile(r" (?=%|[=<] )|(?<= [=<]) ")  # a sign is not parted from its number
_OF_SCREEN = re.compile(r'<use [^>]*class="on-screen"/>')
_OF_PAGE = re.compile(r' (?:class|data-[\w-]+)="[^"]*"')


def figure_files(charts: Iterable[Chart], source: str) -> dict[str, str]:
    """Return charts as SVG, each of both widths, by path in a bundle.

    Args:
        charts: what is drawn.
        source: whose the data are, and from when.
    """
    endings = {"wide": "", "narrow": "-narrow"}
    return {
        f"figures/{chart.id}{endings[kind]}.svg": figure_svg(chart, kind, source)
        for chart in charts
        for kind in WIDTHS
    }


def figure_svg(chart: Chart, kind: str, source: str = "") -> str:
    """Return a chart as a document of SVG that needs no style sheet and no font of its own."""
    drawing = draw_chart(chart, kind)
    room = drawing.width
    title = fold_text(chart.title, room * SIZE / _TITLE / _BOLD, _ALL_LINES)
    told = f"{chart.caption or chart.sentence} {source}".strip()
    caption = fold_text(_BOUND.sub("\N{NO-BREAK SPACE}", told), room, _ALL_LINES)
    top = _SIDE + len(title) * (_TITLE + 4)
    foot = top + drawing.whole_height + _GAP
    width = room + 2 * _SIDE
    height = foot + len(caption) * LINE + _SIDE
    parts = (
        element("title", {}, html.escape(chart.title)),
        element("rect", {"width": "100%", "height": "100%", "fill": "var(--paper)"}),
        _lines(title, _SIDE + _TITLE - 1, _TITLE),
        element("g", {"transform": f"translate({_SIDE:g} {top:g})"}, _standing(drawing.content)),
        _lines(caption, foot + SIZE, SIZE),
    )
    attributes: dict[str, object] = {
        **_SVG,
        "width": f"{WIDTHS_CM[kind]:g}cm",
        "height": f"{WIDTHS_CM[kind] * height / width:.2f}cm",
        "viewBox": f"0 0 {width:g} {height:g}",
        "font-family": _FONT,
        "font-size": SIZE,
        "fill": "var(--text)",
    }
    return in_light_colours(element("svg", attributes, *parts)) + "\n"


def _standing(content: str) -> str:
    """Return a drawing without what is for a page alone."""
    plain = _OF_PAGE.sub("", _OF_SCREEN.sub("", content))
    return plain.replace(' href="#', ' xlink:href="#')


def _lines(lines: Sequence[str], top: float, size: float) -> str:
    bold = {"font-weight": 700} if size == _TITLE else {}
    step = LINE if size == SIZE else size + 4
    return "".join(
        element(
            "text",
            {"x": _SIDE, "y": top + place * step, "font-size": size, **bold},
            html.escape(line),
        )
        for place, line in enumerate(lines)
    )
