"""Charts as SVG: where what lies, what tells parts apart without colour, what does not fit."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from dashboard.charts.axes import DAY_MS, ticks_of, time_ticks
from dashboard.charts.chart import Chart
from dashboard.charts.drawing import WIDTHS, Drawing, draw_both, draw_chart
from dashboard.charts.text_widths import fold_text, text_width
from dashboard.languages.current import speaking

SVG = "{http://www.w3.org/2000/svg}"
START = 1_795_322_400_000
POINT_CM = 2.54 / 72
CENTIMETRES = {"wide": 17.0, "narrow": 8.5}


def chart(*traces: dict[str, Any], rows: tuple[tuple[str, ...], ...] = (), **layout: Any) -> Chart:
    """A chart of some traces."""
    figure = {"data": list(traces), "layout": layout}
    columns = ("x",) * (len(rows[0]) if rows else 1)
    return Chart("it", "It", "What it shows.", figure, columns, rows, axes=("Across", "Up"))


def line(**more: Any) -> dict[str, Any]:
    """A line through three places."""
    place = {"type": "scatter", "x": [0, 1, 2], "y": [0.0, 5.0, 10.0]}
    return place | {"mode": "lines", "line": {"color": "var(--accent)", "width": 2}} | more


def elements(drawing: Drawing) -> ElementTree.Element:
    """The drawing as a document."""
    return ElementTree.fromstring(f'<svg xmlns="{SVG[1:-1]}">{drawing.content}</svg>')


def texts(drawing: Drawing) -> list[str]:
    """All texts of a drawing."""
    return [one.text or "" for one in elements(drawing).iter(f"{SVG}text")]


@pytest.mark.parametrize("kind", WIDTHS)
def test_drawing_smallest_letters_are_seven_points_in_a_paper(kind: str) -> None:
    document = elements(draw_chart(chart(line()), kind))
    sizes = [float(one.get("font-size", 12)) for one in document.iter()]
    units = WIDTHS[kind] + 24  # as it is saved, with its edges
    assert min(sizes) / units * CENTIMETRES[kind] / POINT_CM >= 7.0


def test_drawing_has_titles_of_both_axes() -> None:
    for drawing in draw_both(chart(line())):
        assert {"Across", "Up"} <= set(texts(drawing))


def test_chart_without_a_title_of_its_vertical_axis_is_refused() -> None:
    figure = {"data": [line()], "layout": {}}
    with pytest.raises(ValueError, match="chart it: its vertical axis needs a title"):
        Chart("it", "It", "What it shows.", figure, ("x",), (), axes=("Across", ""))


def test_drawing_line_breaks_at_a_gap_and_rises_from_left_to_right() -> None:
    drawing = draw_chart(chart(line(x=[0, 1, 2, 3], y=[0.0, None, 5.0, 10.0])), "wide")
    path = re.search(r'd="([^"]+)" fill="none" stroke="var\(--accent\)"', drawing.content)
    assert path and path[1].count("M") == 2
    (_, first), (x, y) = (map(float, move.split()) for move in re.findall(r"M([\d. ]+)l", path[1]))
    assert drawing.left < x < drawing.right and y < first, "upwards is a smaller number"


def test_drawing_numbers_have_the_true_minus_and_the_marks_of_the_language() -> None:
    with speaking("de"):
        written = texts(draw_chart(chart(line(y=[-0.5, 0.0, 0.5])), "narrow"))
    assert {"−0,4", "0,4"} <= set(written) and not any("-" in text for text in written)


def test_drawing_intervals_are_inside_the_axis_and_have_ends() -> None:
    point = line(mode="markers", x=[1], y=[0.0], marker={"color": "red", "size": 8})
    error = {"array": [3.0], "arrayminus": [1.0], "color": "var(--text)"}
    drawing = draw_chart(chart(point | {"error_x": error}, xaxis={"rangemode": "tozero"}), "wide")
    path = re.search(r'd="M([\d.]+) [\d.]+H([\d.]+)M', drawing.content)
    assert path and drawing.left <= float(path[1]) < float(path[2]) <= drawing.right


def test_drawing_shares_are_piled_and_hatched_apart() -> None:
    shares = [
        line(x=[0, 1, 2], y=[0.25, 1.0, 0], stackgroup="s", fillcolor=f"var(--{name})", name=name)
        for name in ("one", "two")
    ]
    drawing = draw_chart(chart(*shares, yaxis={"range": [0, 1]}), "wide")
    document = elements(drawing)
    patterns = {one.get("id") for one in document.iter(f"{SVG}pattern")}
    assert patterns == {"it-wide-share-1-hatch"}, "the first is plain"
    hatched = [one for one in document.iter(f"{SVG}use") if one.get("class") == "in-grey"]
    assert [one.get("fill") for one in hatched] == ["url(#it-wide-share-1-hatch)"]
    first, second = (one.get("d", "") for one in document.iter(f"{SVG}path") if one.get("id"))
    tops = [float(re.findall(r"M[\d.]+ ([\d.]+)", path)[0]) for path in (first, second)]
    assert tops[1] < tops[0]
    assert {"one", "two"} <= set(texts(drawing)), "the legend"


def test_drawing_markup_of_names_is_text() -> None:
    named = {"tickvals": [0, 1, 2], "ticktext": ["&lt;b&gt;", "a &amp; b", "c"]}
    drawing = draw_chart(chart(line(name="<i>"), line(name="x"), xaxis=named), "narrow")
    assert {"<b>", "a & b", "<i>"} <= set(texts(drawing))


def test_drawing_points_say_their_numbers_when_pointed_at() -> None:
    point = line(
        mode="markers",
        name="P-01",
        customdata=[3, 4, 5],
        hovertemplate="%{y:.1f} /min, %{customdata} readings",
    )
    titles = {one.text for one in elements(draw_chart(chart(point), "wide")).iter(f"{SVG}title")}
    assert "P-01: 5.0 /min, 4 readings" in titles


def test_drawing_rows_lie_at_the_places_of_the_line_when_read_together() -> None:
    rows = (("0", "a"), ("1", "b"), ("2", "c"))
    together = draw_chart(chart(line(), rows=rows, hovermode="x unified"), "wide")
    assert together.places == tuple(sorted(together.places)) and len(together.places) == 3
    assert draw_chart(chart(line(), rows=rows), "wide").places == ()


def test_fold_text_long_names_are_broken_and_then_cut() -> None:
    assert fold_text("a short one", 400) == ("a short one",)
    lines = fold_text("a name of many words that has no end at all", 80)
    assert len(lines) == 2 and lines[1].endswith("…")
    assert all(text_width(one) <= 80 for one in lines)


@pytest.mark.parametrize(
    ("ends", "most", "written"),
    [
        ((0.0, 10.0), 6, ["0", "2", "4", "6", "8", "10"]),
        ((-0.3, 1.1), 6, ["0", "0.5", "1"]),
        ((62.6, 107.4), 4, ["80", "100"]),
        ((0.0, 0.0004), 3, ["0", "0.0002", "0.0004"]),
    ],
)
def test_ticks_are_round_and_not_too_many(
    ends: tuple[float, float], most: float, written: list[str]
) -> None:
    ticks, _ = ticks_of({}, ends, most)
    assert [tick.lines[0] for tick in ticks] == written


def test_time_ticks_write_the_day_once_below_the_times() -> None:
    ticks, step = time_ticks((START, START + 6 * 3_600_000), 7)
    assert step == 3_600_000
    assert [tick.lines for tick in ticks] == [
        ("05:00", "22 Nov 2026"),
        *((f"{hour:02d}:00",) for hour in range(6, 11)),
    ]
    days, step = time_ticks((START, START + 5 * DAY_MS), 8)
    assert step == DAY_MS and days[0].lines == ("23 Nov 2026",)
