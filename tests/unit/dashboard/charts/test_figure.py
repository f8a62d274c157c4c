"""Figures that stand alone: letters and widths of a paper, no style sheet, a caption as text."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from dashboard.charts.chart import Chart
from dashboard.charts.colours import light_colours
from dashboard.charts.drawing import WIDTHS
from dashboard.charts.figure import figure_files, figure_svg

SVG = "{http://www.w3.org/2000/svg}"
POINT_CM = 2.54 / 72


def chart(**trace: Any) -> Chart:
    """A chart of one trace whose caption needs several lines."""
    line = {"color": "var(--vital-systolic)", "width": 2}
    own = {"type": "scatter", "mode": "lines", "x": [0, 1, 2], "y": [0.0, 5.0, 10.0], "line": line}
    figure = {"data": [own | trace], "layout": {}}
    caption = "A caption that says it <all> in many words. " * 5 + "It is p = 0.022, or 12 % of it."
    axes = ("Across", "Up")
    return Chart("it", "It & more", "Said.", figure, ("x",), (), axes=axes, caption=caption)


def sides(document: ElementTree.Element) -> tuple[float, float]:
    """Width of a figure in centimetres, and in its own units."""
    return (
        float(document.get("width", "").removesuffix("cm")),
        float(document.get("viewBox", "").split()[2]),
    )


@pytest.mark.parametrize("kind", WIDTHS)
def test_figure_letters_are_seven_points_or_more_at_its_width(kind: str) -> None:
    document = ElementTree.fromstring(figure_svg(chart(), kind))
    width, units = sides(document)
    assert width == {"wide": 17, "narrow": 8.5}[kind]
    sizes = [float(one.get("font-size", 12)) for one in document.iter()]
    assert min(sizes) / units * width / POINT_CM >= 7.0


def test_figure_needs_no_style_sheet_and_no_font_of_its_own() -> None:
    text = figure_svg(chart(fill="toself", fillcolor="var(--vital-systolic-band)"), "wide")
    assert not re.search(r"var\(|rgba\(|class=|data-| href=", text)
    assert 'fill="#1f4e9c" fill-opacity="0.16"' in text
    assert 'font-family="Arial, Helvetica, sans-serif"' in text


def test_figure_has_title_caption_and_source_as_text() -> None:
    document = ElementTree.fromstring(figure_svg(chart(), "narrow", "12 people."))
    lines = [one.text or "" for one in document.iter(f"{SVG}text")]
    assert lines[0] == "It & more"
    told = " ".join(lines)
    assert "A caption that says it <all>" in told and told.endswith("12 people.")
    assert any("p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}0.022" in line for line in lines)


def test_figure_files_have_both_widths_by_name() -> None:
    assert list(figure_files([chart()], "")) == ["figures/it.svg", "figures/it-narrow.svg"]


def test_light_colours_are_those_of_the_first_rule() -> None:
    colours = light_colours()
    assert colours["--paper"] == "#ffffff" and colours["--emotion-anger"] == "#d03d20"
