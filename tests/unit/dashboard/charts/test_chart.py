"""A chart in a page: smaller, and the same chart again once it is unpacked."""

from __future__ import annotations

import json
from itertools import accumulate
from typing import Any

from dashboard.charts.chart import Chart, pack_chart

START = 1_795_322_400_000
TIMES = [START + 30_000 * step for step in range(120)]


def chart() -> Chart:
    """Draw two lines over the same instants, one of them with a gap."""
    broken = [*TIMES[:9], None, *TIMES[9:20]]
    figure: dict[str, Any] = {
        "data": [
            {"type": "scatter", "x": TIMES, "y": [index % 7 for index in range(120)]},
            {"type": "scatter", "x": TIMES, "y": [0.5, 1.0]},
            {"type": "scatter", "x": broken, "y": []},
        ],
        "layout": {"xaxis": {"range": [TIMES[0], TIMES[-1]]}, "shapes": [{"x0": START}]},
    }
    rows = tuple((str(time), "70") for time in TIMES)
    return Chart("lines", "Lines", "Two lines.", figure, ("from", "rate"), rows, time_axis=True)


def unpacked(content: dict[str, Any]) -> dict[str, Any]:
    """Do what the script of the page does."""
    lists: list[Any] = []

    def whole(value: Any) -> Any:
        if isinstance(value, list):
            return [whole(part) for part in value]
        if not isinstance(value, dict):
            return value
        if "$steps" in value:
            sums = accumulate(step or 0 for step in value["$steps"])
            return [
                total if step is not None else None
                for step, total in zip(value["$steps"], sums, strict=True)
            ]
        if "$list" in value:
            return lists[value["$list"]]
        return {name: whole(part) for name, part in value.items()}

    lists += [whole(one) for one in content["lists"]]
    return {name: whole(part) for name, part in content.items() if name != "lists"}


def test_a_packed_chart_is_a_fraction_of_it_and_the_same_again() -> None:
    plain = chart().as_dict()
    text = json.dumps(pack_chart(chart()))
    assert 5 * len(text) < 2 * len(json.dumps(plain))
    again = unpacked(json.loads(text))
    assert again["figure"] == plain["figure"]
    assert again["rows"] == [TIMES, ["70"] * 120]
    assert again["columns"] == ["from", "rate"] and again["sentence"] == "Two lines."


def test_a_chart_without_rows_and_figures_that_are_no_times_stay_as_they_are() -> None:
    figure = {"data": [{"type": "bar", "y": list(range(20))}], "layout": {}}
    content = pack_chart(Chart("bars", "Bars", "Bars.", figure, (), ()))
    assert content["rows"] == [] and content["lists"] == []
    assert content["figure"] == figure
