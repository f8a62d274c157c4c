"""The trends chart: what is drawn, what stays a gap, what is said in words; where one goes from a
range, and how two ranges differ.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dashboard.charts.chart import Chart, Figure
from dashboard.charts.ranges import compared_rows, steps_from
from dashboard.charts.trends import TREND_VITALS, TrendData, trend_chart
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.measures import Measure
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.base import ConditionInterval, Trend, VitalTrend

START = 1_790_000_400_000
BUCKET = 60_000
NOW = START + 60 * BUCKET
Values = tuple[float | None, ...]


def trend(happiness: Values, rows: tuple[int, ...]) -> Trend:
    """A trend with happiness; what is left is uncertain."""
    nothing: Values = tuple(None if value is None else 0.0 for value in happiness)
    return Trend(
        start_ms=START,
        end_ms=START + BUCKET * len(rows),
        bucket_ms=BUCKET,
        resolution="minute",
        starts=tuple(START + BUCKET * index for index in range(len(rows))),
        shares={e: happiness if e is Emotion.HAPPINESS else nothing for e in EMOTIONS},
        uncertain=tuple(None if value is None else 1 - value for value in happiness),
        means=dict.fromkeys(EMOTIONS, nothing),
        rows=rows,
        frames=rows,
        simulated=False,
    )


def vital(kind: VitalKind, mean: Values) -> VitalTrend:
    """A trend of readings whose least and most lie 5 around the mean."""
    return VitalTrend(
        kind=kind,
        start_ms=START,
        end_ms=START + BUCKET * len(mean),
        bucket_ms=BUCKET,
        resolution="minute",
        starts=tuple(START + BUCKET * index for index in range(len(mean))),
        mean=mean,
        least=tuple(None if value is None else value - 5 for value in mean),
        most=tuple(None if value is None else value + 5 for value in mean),
        n=tuple(0 if value is None else 1 for value in mean),
        flagged=(0,) * len(mean),
        simulated=False,
    )


def draw(
    expression: Trend, *vitals: VitalTrend, conditions: tuple[ConditionInterval, ...] = ()
) -> Chart:
    """The chart of a made range."""
    by_kind = {one.kind: one for one in vitals}
    return trend_chart(TrendData(START, expression.end_ms, expression, by_kind, conditions))


def traces(chart: Chart) -> dict[str, dict[str, Any]]:
    """The traces of a chart by name."""
    return {trace["name"]: trace for trace in chart.figure["data"]}


def test_shares_are_stacked_as_steps_in_the_colour_of_their_category() -> None:
    chart = draw(trend((0.25, 1.0), (60, 60)))
    drawn = traces(chart)
    assert set(drawn) == {"happiness", "uncertain"}
    assert drawn["happiness"]["fillcolor"] == "var(--emotion-happiness)"
    assert drawn["happiness"]["line"]["shape"] == "hv"
    assert drawn["happiness"]["x"] == [START, START + BUCKET, START + 2 * BUCKET]
    assert drawn["happiness"]["y"] == [0.25, 1.0, 0.0], "the last step ends where the range ends"
    assert chart.time_axis
    assert chart.figure["layout"]["xaxis"]["range"] == [START, START + 2 * BUCKET]


def test_a_bucket_without_rows_is_hatched_and_says_so() -> None:
    chart = draw(trend((1.0, None, 0.5), (60, 0, 60)))
    drawn = traces(chart)
    empty = drawn.pop("no face or no recording")
    assert (
        "Each bar covers 1 min" in chart.caption
        and "White: no face that counts, or nothing recorded." in chart.caption
    )
    assert empty["y"] == [0.0, 1.0, 0.0, 0.0]
    assert (empty["stackgroup"], empty["fillpattern"]["shape"]) == ("shares", "/")
    assert [trace["y"][1] for trace in drawn.values()] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("kind", "means", "line", "band"),
    [
        (
            VitalKind.HEART_RATE,
            (70.0, 72.0, None, None, None, None, None, 74.0, 75.0),
            [70.0, 72.0, None, 74.0, 75.0, None],
            [75.0, 77.0, 67.0, 65.0, None, 79.0, 80.0, 70.0, 69.0, None],
        ),
        (VitalKind.HEART_RATE, (70.0, *(None,) * 60, 72.0), [70.0, None, 72.0, None], []),
        (
            VitalKind.SYSTOLIC,
            (120.0, None, 122.0, None, 124.0),
            [120.0, 122.0, 124.0, None],
            [125.0, 127.0, 129.0, 119.0, 117.0, 115.0, None],
        ),
        (VitalKind.DIASTOLIC, (80.0,), [80.0, None], []),
    ],
    ids=["silent source", "hours apart", "slow cuff", "single reading"],
)
def test_lines_break_where_a_source_was_silent_and_nowhere_else(
    kind: VitalKind, means: Values, line: list[float | None], band: list[float | None]
) -> None:
    many = len(means)
    drawn = traces(draw(trend((1.0,) * many, (60,) * many), vital(kind, means)))
    name = str(kind).replace("_", " ")
    assert drawn[name]["y"] == line
    assert drawn[f"{name}, minimum to maximum"]["y"] == band


def test_the_chart_is_described_in_words() -> None:
    heart = vital(VitalKind.HEART_RATE, (70.0, 80.0, None))
    assert draw(trend((0.25, 0.75, None), (60, 60, 0)), heart).sentence == (
        "Share of face readings: uncertain 50 %, happiness 50 % (120 in all); 1 of 3 intervals "
        "without a face or recording; heart rate 75 /min on average, from 65 to 85; no "
        "readings of blood pressure."
    )
    steady = replace(heart, least=(75.1, 74.6, None), most=(75.2, 75.4, None))
    assert "; heart rate 75 /min throughout; " in draw(trend((0.25,), (60,)), steady).sentence
    nothing = draw(trend((None,), (0,)), vital(VitalKind.HEART_RATE, (None,)))
    assert nothing.sentence == (
        "No expression was recorded in this range; no readings of heart rate and blood pressure."
    )


def test_the_chart_is_reported_in_four_figures() -> None:
    chart = draw(
        trend((0.25, 0.75, None), (60, 60, 0)),
        vital(VitalKind.HEART_RATE, (70.0, 80.0, None)),
        vital(VitalKind.SYSTOLIC, (120.0, None, 124.0)),
        vital(VitalKind.DIASTOLIC, (80.0, None, 82.0)),
    )
    assert chart.figures == (
        Figure("Intervals with a face", "2 of 3", note="120 face readings"),
        Figure("Most frequent expression", "happiness", note="50 % of face readings"),
        Figure("Heart rate, mean", "75", "/min", "65–85"),
        Figure("Blood pressure, mean", "122/81", "mmHg", "115–129 / 75–87"),
    )
    assert chart.as_dict()["figures"][2]["unit"] == "/min"
    data = TrendData(
        START, START + 2 * BUCKET, trend((0.25, 1.0), (60, 60)), {}, (), (), 11_400_000
    )
    timed = Figure("Time with a face", "3 h 10 min", note="120 face readings")
    assert trend_chart(data).figures[0] == timed
    nothing = draw(trend((None,), (0,)), vital(VitalKind.SYSTOLIC, (120.0,))).figures
    assert nothing[1:] == (
        Figure("Most frequent expression", "–"),
        Figure("Heart rate, mean", "–", note="no reading"),
        Figure("Blood pressure, mean, systolic", "120", "mmHg", "115–125"),
    )


@pytest.mark.parametrize(
    ("kinds", "title", "height"),
    [
        ((), "Expression", "medium"),
        ((VitalKind.HEART_RATE,), "Expression and heart rate", "large"),
        ((VitalKind.SYSTOLIC,), "Expression and blood pressure", "large"),
        (
            (VitalKind.HEART_RATE, VitalKind.SYSTOLIC),
            "Expression, heart rate and blood pressure",
            "tall",
        ),
    ],
)
def test_a_panel_without_readings_is_left_out(
    kinds: tuple[VitalKind, ...], title: str, height: str
) -> None:
    without = [vital(kind, (None, None)) for kind in TREND_VITALS if kind not in kinds]
    chart = draw(
        trend((0.5, 0.5), (60, 60)), *without, *(vital(kind, (70.0, 72.0)) for kind in kinds)
    )
    assert (chart.title, chart.height) == (title, height)
    layout = chart.figure["layout"]
    axes = [name for name in layout if name.startswith("yaxis")]
    assert len(axes) == 1 + len(kinds), "one for each panel"
    feet = sorted(layout[name]["domain"][0] for name in axes)
    assert feet[0] == pytest.approx(0 if kinds else 0.08, abs=0.01)
    assert layout["xaxis"]["anchor"] == (axes[-1].replace("axis", "") if kinds else "free")
    assert ("xaxis2" in layout) == bool(kinds), "the times stand below the shares, too"
    if kinds:
        panel_top = layout["yaxis2"]["domain"][1]
        assert panel_top < layout["xaxis2"]["position"] < layout["yaxis"]["domain"][0]


def test_the_table_has_a_row_for_each_bucket_that_holds_anything() -> None:
    heart = vital(VitalKind.HEART_RATE, (70.0, None, 74.0))
    chart = draw(trend((0.25, None, None), (60, 0, 0)), heart)
    assert [row[0] for row in chart.rows] == [str(START), str(START + 2 * BUCKET)]
    assert len(chart.columns) == len(chart.rows[0]) == len(chart.rows[1])
    first = dict(zip(chart.columns, chart.rows[0], strict=True))
    assert (first["happiness"], first["uncertain"], first["face readings"]) == (
        "25 %",
        "75 %",
        "60",
    )
    assert first["heart rate, /min"] == "70 (65–75)" and "systolic, mmHg" not in first
    assert chart.rows[1][1:11] == ("",) * 10


def test_conditions_are_marked_within_range_and_labels_cannot_carry_markup() -> None:
    condition = ConditionInterval(1, "P-01", "<b>anger</b>", START - 1000, None)
    layout = draw(trend((1.0, 1.0), (60, 60)), conditions=(condition,)).figure["layout"]
    assert [(shape["x0"], shape["x1"]) for shape in layout["shapes"]] == [
        (START, START + 2 * BUCKET)
    ]
    assert layout["annotations"][-1]["text"] == "&lt;b&gt;anger&lt;/b&gt;"


def test_slivers_of_conditions_are_not_marked() -> None:
    short = ConditionInterval(1, "P-01", "anger", START + 1, START + 100)
    chart = draw(trend((*(None,) * 5, 1.0), (*(0,) * 5, 60)), conditions=(short,))
    assert chart.figure["layout"]["shapes"] == [] and "Marks below" not in chart.caption


def test_too_many_conditions_are_not_marked() -> None:
    many = (ConditionInterval(1, "P-01", "anger", START, START + 10),) * 41
    assert draw(trend((1.0,), (60,)), conditions=many).figure["layout"]["shapes"] == []


def test_a_chart_that_nothing_draws_is_refused() -> None:
    figure = {"data": [{"type": "scatter"}, {"type": "heatmap"}], "layout": {}}
    with pytest.raises(ValueError, match="chart map: nothing draws 'heatmap'"):
        Chart("map", "Map", "A map.", figure, (), ())


def steps(start: int, end: int) -> dict[str, tuple[int, int]]:
    """The ranges to go to, by title, in minutes from ``START``."""
    return {
        step.title: ((step.start_ms - START) // BUCKET, (step.end_ms - START) // BUCKET)
        for step in steps_from(start, end, NOW)
    }


def test_from_a_range_one_goes_back_and_on_in_and_out() -> None:
    assert steps(START, START + 20 * BUCKET) == {
        "Earlier": (-20, 0),
        "Later": (20, 40),
        "Zoom in": (5, 15),
        "Zoom out": (-10, 30),
    }


def test_nothing_leads_beyond_now_or_before_all_time() -> None:
    last = steps(NOW - 20 * BUCKET, NOW)
    assert "Later" not in last
    assert last["Zoom out"] == (20, 60), "it grows into the past alone"
    assert {step.title for step in steps_from(0, 2 * BUCKET, NOW)} == {"Later", "Zoom in"}
    assert "Zoom in" not in {step.title for step in steps_from(START, START + BUCKET, NOW)}


def data(happiness: Values, heart: Values) -> TrendData:
    """A range of minutes with happiness, and heart rate by one reading a minute."""
    shown = trend(happiness, tuple(0 if value is None else 60 for value in happiness))
    vitals: dict[Measure, VitalTrend] = {VitalKind.HEART_RATE: vital(VitalKind.HEART_RATE, heart)}
    return TrendData(START, shown.end_ms, shown, vitals, ())


def test_two_ranges_are_compared_by_the_means_of_all_their_rows() -> None:
    rows = compared_rows(data((0.25, 0.75), (70.0, 80.0)), data((0.2, None), (None, 77.0)))
    texts = {row.name: (row.here, row.there, row.difference) for row in rows}
    assert texts == {
        "happiness, share of face readings, %": ("50", "20", "+30"),
        "uncertain, share of face readings, %": ("50", "80", "−30"),
        "heart rate, /min": ("75.0", "77.0", "−2.0"),
    }
    lacking = compared_rows(data((1.0,), (70.0,)), data((None,), (None,)))
    assert [(row.name, row.there, row.difference) for row in lacking] == [
        ("happiness, share of face readings, %", "", ""),
        ("heart rate, /min", "", ""),
    ]


def test_two_ranges_compared_are_drawn_on_one_scale() -> None:
    calm, excited = data((0.5, 0.5), (70.0, 72.0)), data((0.5, 0.5), (90.0, 100.0))
    alone = trend_chart(calm).figure["layout"]["yaxis2"]
    assert "range" not in alone, "the drawing chooses"
    both = [trend_chart(calm, excited), trend_chart(excited, calm)]
    # from 65 to 105, and 6 % of the 40 in between above and below
    assert [one.figure["layout"]["yaxis2"]["range"] for one in both] == [[62.6, 107.4]] * 2
