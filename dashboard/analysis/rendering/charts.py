"""Pictures of an analysis: the participants' means, how they are distributed, and effect sizes."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.analysis.analyse import Analysis
from dashboard.analysis.inference.spread import Spread
from dashboard.analysis.query import StateBy
from dashboard.analysis.readings.means import StateMean
from dashboard.analysis.rendering.numbers import comparison_text
from dashboard.analysis.rendering.words import say, sentences
from dashboard.analysis.results import By, ComparisonModel, IntervalModel, StateModel
from dashboard.charts.chart import Chart
from dashboard.languages.figures import interval_text, number
from dashboard.languages.names import state_name, unit_of, vital_label, with_unit
from edge_agent.core.measures import Measure

_SIDE = 0.16  # the overall mean stands beside the participants' dots, not on them
_HALF_BOX = 0.28
_HALF_CAP = 0.1
_DOTS = 0.2  # so far to each side, at the most


def analysis_charts(analysis: Analysis) -> tuple[Chart, ...]:
    """Draw one panel for each vital that has readings."""
    return tuple(
        _panel(analysis, kind)
        for kind in analysis.answer.question.vital
        if any(mean.kind is kind for mean in analysis.means)
    )


def _effects_of(analysis: Analysis) -> list[tuple[ComparisonModel, float, IntervalModel]]:
    """Return each test whose result has an effect size, with the size and its interval."""
    return [
        (test, test.result.g, test.result.g_interval)
        for test in analysis.answer.comparisons
        if test.result.g is not None and test.result.g_interval is not None
    ]


def effects_chart(analysis: Analysis) -> Chart | None:
    """Draw the effect size of every result with its interval, the first on top; ``None`` without
    any.
    """
    shown = _effects_of(analysis)
    if not shown:
        return None
    names = [comparison_text(test.vital, test.first, test.second) for test, _, _ in shown]
    apart = sum(interval.excludes_none for _, _, interval in shown)
    is_of_t_tests = all(
        test.result.by in (None, By.PAIRED, By.WELCH) for test in analysis.answer.comparisons
    )
    sentence = say("charts", "effects", apart, len(shown), is_of_t_tests)
    title, across, *columns = sentences("charts", "effects_labels")
    return Chart(
        id="effects",
        title=title,
        sentence=sentence,
        figure={
            # An axis counts upwards: negative places put the first test on top.
            "data": [_effect(*one, -place) for place, one in enumerate(shown)],
            "layout": _effects_layout([name.replace(": ", "<br>") for name in names]),
        },
        columns=tuple(columns),
        rows=tuple(
            (name, number(g, 2), interval_text(interval.low, interval.high, 2))
            for name, (_, g, interval) in zip(names, shown, strict=True)
        ),
        axes=(across, ""),
        caption=f"{sentence} {say('charts', 'states', analysis.answer.question.state)}",
    )


def _effect(
    test: ComparisonModel, g: float, interval: IntervalModel, height: int
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": comparison_text(test.vital, test.first, test.second),
        "x": [round(g, 3)],
        "y": [height],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [round(interval.high - g, 3)],
            "arrayminus": [round(g - interval.low, 3)],
            "color": f"var({test.vital.spec.colour})",
            "thickness": 2,
            "width": 5,
        },
        "marker": {"color": f"var({test.vital.spec.colour})", "size": 10, "symbol": "square"},
        "hovertemplate": "g = %{x:.2f}",
        "showlegend": False,
    }


def _effects_layout(names: Sequence[str]) -> dict[str, Any]:
    return {
        "hovermode": "closest",
        "margin": {"l": 8, "r": 12, "t": 8, "b": 34},
        "xaxis": {
            "gridcolor": "var(--chart-grid)",
            "zeroline": True,
            "rangemode": "tozero",  # each interval is read against no difference
            "zerolinecolor": "var(--text)",
            "zerolinewidth": 1.5,
            "fixedrange": True,
            "nticks": 6,
            "tickangle": 0,
        },
        "yaxis": {
            "tickvals": [-place for place in range(len(names))],
            "ticktext": list(names),
            "range": [0.6 - len(names), 0.6],
            "automargin": True,
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
    }


def _panel(analysis: Analysis, kind: Measure) -> Chart:
    own = [mean for mean in analysis.means if mean.kind is kind]
    order = analysis.answer.question.states
    people_means: dict[str, dict[str, StateMean]] = {}
    for mean in own:
        people_means.setdefault(mean.participant, {})[mean.state] = mean
    summaries = [summary for summary in analysis.answer.states if summary.vital is kind]
    label = with_unit(vital_label(kind), kind.spec.unit_shown)
    point = say("charts", "point", f"%{{y:.1f}} {unit_of(kind)}", "%{customdata}")
    return Chart(
        id=f"means-{kind.value.replace('_', '-')}",
        title=say("charts", "titled", label, any(mean.simulated for mean in own)),
        sentence=say("charts", "means", summaries),
        figure={
            "data": [
                *(
                    _person(code, _in_order(states, order), kind, point)
                    for code, states in people_means.items()
                ),
                _overall(summaries, kind),
            ],
            "layout": layout_of(
                tickvals=list(range(len(order))),
                # Texts of a figure are HTML, and labels and codes are typed by people.
                ticktext=[html.escape(state_name(state)) for state in order],
                range=[-0.35, len(order) - 0.6],
            ),
        },
        columns=sentences("charts", "means_heads", order),
        rows=tuple(_row(code, _in_order(states, order)) for code, states in people_means.items()),
        height="medium",
        axes=(say("charts", "states_axis", analysis.answer.question.state), label),
        caption=_caption(analysis, kind, summaries),
    )


def _caption(analysis: Analysis, kind: Measure, summaries: Sequence[StateModel]) -> str:
    """Say below a picture what it shows, and what the tests of its vital found."""
    query = analysis.answer.question
    seconds = None if query.state is StateBy.OBSERVED else query.settling_s(kind)
    tests = [
        test
        for test in analysis.answer.comparisons
        if test.vital is kind and test.result.difference is not None and test.result.interval
    ]
    tested = [test for test in analysis.answer.comparisons if test.result.adjusted_p is not None]
    family = {
        "tests": len(tested),
        "vitals": len({test.vital for test in tested}),
        "pairs": len({(test.first, test.second) for test in tested}),
    }
    return say("charts", "means_caption", summaries, query, seconds, tests, family)


def _in_order(states: Mapping[str, StateMean], order: Sequence[str]) -> list[StateMean | None]:
    return [states.get(state) for state in order]


def _person(
    code: str, means: Sequence[StateMean | None], kind: Measure, point: str
) -> dict[str, Any]:
    """Draw one participant: a thin line over the states; it breaks where a state is missing."""
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": html.escape(code),
        "x": list(range(len(means))),
        "y": [None if mean is None else round(mean.mean, 3) for mean in means],
        "customdata": [None if mean is None else mean.readings for mean in means],
        "line": {"color": "var(--chart-line)", "width": 1.2},
        "marker": {"color": f"var({kind.spec.colour})", "size": 7, "opacity": 0.55},
        "connectgaps": False,
        "hovertemplate": point,
        "showlegend": False,
    }


def _overall(summaries: list[StateModel], kind: Measure) -> dict[str, Any]:
    """Draw the mean over participants with its 95 % interval, beside the dots."""
    shown = [(place, s.mean, s.interval) for place, s in enumerate(summaries) if s.mean is not None]
    # The interval of a mean is symmetric, so one half tells both.
    halves = [0.0 if ends is None else ends.high - mean for _, mean, ends in shown]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": say("charts", "mean_of_all"),
        "x": [place + _SIDE for place, _, _ in shown],
        "y": [round(mean, 3) for _, mean, _ in shown],
        "error_y": {
            "type": "data",
            "array": halves,
            "color": "var(--text)",
            "thickness": 2,
            "width": 6,
        },
        "marker": {
            "color": f"var({kind.spec.colour})",
            "size": 12,
            "line": {"color": "var(--text)", "width": 2},
        },
        "hovertemplate": f"%{{y:.1f}} {unit_of(kind)}",
        "showlegend": False,
    }


def layout_of(**of_states: Any) -> dict[str, Any]:
    """Return the layout of a chart with the states below and the values of a vital at the side."""
    return {
        "hovermode": "closest",
        "margin": {"l": 44, "r": 8, "t": 8, "b": 30},
        "xaxis": {
            "zeroline": False,
            "showgrid": False,
            "linecolor": "var(--chart-line)",
            "fixedrange": True,
            **of_states,
        },
        "yaxis": {
            "gridcolor": "var(--chart-grid)",
            "zeroline": False,
            "automargin": True,
            "nticks": 6,
            "fixedrange": True,
        },
    }


def _row(code: str, means: Sequence[StateMean | None]) -> tuple[str, ...]:
    cells = ["" if mean is None else number(mean.mean) for mean in means]
    return (code, *cells, str(sum(mean.readings for mean in means if mean is not None)))


def spread_charts(analysis: Analysis) -> tuple[Chart, ...]:
    """Draw for each vital that has readings a box with all its dots for each state.

    A dot is one participant.
    """
    measured = {mean.kind for mean in analysis.means}
    return tuple(
        _spread_panel(analysis, kind) for kind in analysis.answer.question.vital if kind in measured
    )


def _spread_panel(analysis: Analysis, kind: Measure) -> Chart:
    spreads = analysis.spreads(kind)
    simulated = any(mean.simulated for mean in analysis.means if mean.kind is kind)
    label = with_unit(vital_label(kind), kind.spec.unit_shown)
    return Chart(
        id=f"spread-{kind.value.replace('_', '-')}",
        title=say("charts", "titled", say("charts", "by_state", label), simulated),
        sentence=say("charts", "spreads", spreads),
        figure={
            "data": [
                trace
                for place, (state, own) in enumerate(spreads.items())
                if own
                for trace in _box(place, state, own, kind)
            ],
            "layout": layout_of(
                tickvals=list(range(len(spreads))),
                ticktext=[state_name(state) for state in spreads],
                range=[-0.5, len(spreads) - 0.5],
            ),
        },
        columns=sentences("charts", "spreads_heads"),
        rows=tuple(
            (state_name(state), str(len(own.values)), *map(number, own.five))
            for state, own in spreads.items()
            if own
        ),
        height="medium",
        axes=(say("charts", "states_axis", analysis.answer.question.state), label),
        caption=say("charts", "spreads_caption", analysis.answer.question.state),
    )


def _box(place: int, state: str, own: Spread, kind: Measure) -> list[dict[str, Any]]:
    """Compose a box with its dots and whiskers."""
    _, low, median, high, _ = own.five
    left = place - _HALF_BOX
    right = place + _HALF_BOX
    colour = f"var({kind.spec.colour})"
    line = {"color": colour, "width": 1.5}
    shared = {"type": "scatter", "mode": "lines", "line": line, "showlegend": False}
    whiskers = _line(
        [(place, high), (place, own.top)],
        [(place - _HALF_CAP, own.top), (place + _HALF_CAP, own.top)],
        [(place, low), (place, own.bottom)],
        [(place - _HALF_CAP, own.bottom), (place + _HALF_CAP, own.bottom)],
        [(left, median), (right, median)],
    )
    outline = _line([(left, low), (left, high), (right, high), (right, low), (left, low)])
    filled = {"fill": "toself", "fillcolor": f"var({kind.spec.colour}-band)", "hoverinfo": "skip"}
    dots = {
        "mode": "markers",
        "name": state_name(state),
        "x": [round(place + at, 3) for at in _spread(len(own.values))],
        "y": [round(value, 3) for value in own.values],
        "marker": {"color": colour, "size": 6, "opacity": 0.6},
        "hovertemplate": f"%{{y:.1f}} {unit_of(kind)}<extra></extra>",
    }
    return [shared | outline | filled, shared | whiskers | {"hoverinfo": "skip"}, shared | dots]


def _line(*strokes: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return ``x`` and ``y`` of strokes that do not touch each other."""
    # ``None`` lifts the pen, so that all strokes are one trace.
    points = [point for stroke in strokes for point in (*stroke, None)][:-1]
    return {
        "x": [None if point is None else round(point[0], 3) for point in points],
        "y": [None if point is None else round(point[1], 3) for point in points],
    }


def _spread(count: int) -> list[float]:
    """Return how far to the side each dot stands, so that neighbours do not hide each other."""
    # Multiples of the golden ratio fill the width evenly for any number, and alike each time.
    return [_DOTS * ((number * 0.618) % 1 * 2 - 1) for number in range(count)]
