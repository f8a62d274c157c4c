"""Pictures of an analysis: the participants' means, how they are distributed, and effect sizes."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.analysis.analyse import Analysis
from dashboard.analysis.inference.spread import Spread
from dashboard.analysis.question import StateBy
from dashboard.analysis.readings.means import StateMean
from dashboard.analysis.rendering.numbers import (
    comparison_text,
    correction_name,
    ends_text,
    pair_text,
)
from dashboard.analysis.results import By, ComparisonModel, IntervalModel, StateModel
from dashboard.charts.chart import Chart
from dashboard.languages.current import gettext, ngettext
from dashboard.languages.figures import general, interval_text, number, p_equals
from dashboard.languages.names import (
    people,
    state_name,
    translate,
    unit_of,
    vital_label,
    with_and,
    with_unit,
)
from edge_agent.core.measures import Measure
from edge_agent.core.texts import N_

_SIDE = 0.16  # the overall mean stands beside the participants' dots, not on them
_HALF_BOX = 0.28
_HALF_CAP = 0.1
_STATES = {
    StateBy.CONDITION: N_(
        "A state is the stimulus that was presented at the time, by the session’s markers."
    ),
    StateBy.OBSERVED: N_("A state is the emotion that the face showed before the reading."),
    StateBy.REPORTED: N_("A state is the emotion that the participant reported of the stimulus."),
}
_METHODS: dict[str, str] = {
    "paired_t": N_("paired t-test over people"),
    "welch_t": N_("Welch’s t-test over people"),
    "equal_times": N_("estimate at equal times in the session"),
    "mixed_model": N_("mixed model"),
}
_AXES = {
    StateBy.CONDITION: N_("Stimulus"),
    StateBy.OBSERVED: N_("Expression of the face"),
    StateBy.REPORTED: N_("Reported emotion"),
}
_DOTS = 0.2  # so far to each side, at the most


def analysis_charts(analysis: Analysis) -> tuple[Chart, ...]:
    """Draw one panel for each vital that has readings."""
    return tuple(
        _panel(analysis, kind)
        for kind in analysis.query.vital
        if any(mean.kind is kind for mean in analysis.means)
    )


def _effects_title() -> str:
    """Return the title of the effect sizes."""
    return gettext("Effect sizes, Hedges’ g")


def _effects_note(analysis: Analysis) -> str:
    """Say what was standardised, where that is not the difference of the t-test."""
    if all(test.result.by in (None, By.PAIRED, By.WELCH) for test in analysis.family):
        return ""
    return gettext(
        "Each is the difference that the results tell, divided by the average standard deviation "
        "of both states."
    )


def _effects_of(analysis: Analysis) -> list[tuple[ComparisonModel, float, IntervalModel]]:
    """Return each test whose result has an effect size, with the size and its interval."""
    return [
        (test, test.result.g, test.result.g_interval)
        for test in analysis.family
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
    sentence = gettext(
        "One row per test, with the 95 % interval. 0 is no difference, 1 is as much as people "
        "differ from each other (one standard deviation)."
    )
    if len(shown) > 1:
        excluding = ngettext(
            "{n} of {total} intervals excludes 0, before any adjustment for the number of tests.",
            "{n} of {total} intervals exclude 0, before any adjustment for the number of tests.",
            apart,
        )
        sentence = f"{sentence} {excluding.format(n=apart, total=len(shown))}"
    sentence = f"{sentence} {_effects_note(analysis)}".rstrip()
    return Chart(
        id="effects",
        title=_effects_title(),
        sentence=sentence,
        figure={
            # An axis counts upwards: negative places put the first test on top.
            "data": [_effect(*one, -place) for place, one in enumerate(shown)],
            "layout": _effects_layout([name.replace(": ", "<br>") for name in names]),
        },
        columns=(gettext("test"), "g", gettext("95 % CI")),
        rows=tuple(
            (name, number(g, 2), interval_text(interval.low, interval.high, 2))
            for name, (_, g, interval) in zip(names, shown, strict=True)
        ),
        axes=(gettext("Hedges’ g, 95 % CI"), ""),
        caption=f"{sentence} {_states_of(analysis)}",
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
    order = analysis.query.states
    people_means: dict[str, dict[str, StateMean]] = {}
    for mean in own:
        people_means.setdefault(mean.participant, {})[mean.state] = mean
    summaries = [summary for summary in analysis.summaries if summary.vital is kind]
    return Chart(
        id=f"means-{kind.value.replace('_', '-')}",
        title=_title(
            with_unit(vital_label(kind), kind.spec.unit_shown),
            simulated=any(mean.simulated for mean in own),
        ),
        sentence=_sentence(summaries),
        figure={
            "data": [
                *(
                    _person(code, _in_order(states, order), kind)
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
        columns=(gettext("participant"), *map(state_name, order), gettext("readings")),
        rows=tuple(_row(code, _in_order(states, order)) for code, states in people_means.items()),
        height="medium",
        axes=(
            translate(_AXES[analysis.query.state]),
            with_unit(vital_label(kind), kind.spec.unit_shown),
        ),
        caption=" ".join(
            [
                gettext(
                    "Thin lines join the means of one participant; the large dot is the mean over "
                    "participants with its 95 % interval. {means}"
                ).format(means=_sentence(summaries)),
                _states_of(analysis),
                *_span_of(analysis, kind),
                *_results_of(analysis, kind),
            ]
        ),
    )


def _results_of(analysis: Analysis, kind: Measure) -> list[str]:
    """Say below a picture what the tests of a vital found, as the page decided it."""
    told = []
    methods: list[By] = []
    within = False
    for test in analysis.family:
        result = test.result
        if test.vital is not kind or result.difference is None or result.interval is None:
            continue
        text = f"{pair_text(test.first, test.second)} {number(result.difference)}"
        ends = ends_text(result.interval)
        p = "" if result.adjusted_p is None else f", p {p_equals(result.adjusted_p)}"
        if result.at_equal_times:
            p += gettext(", at equal times in the session")
        told.append(f"{text} ({ends}){p}")
        if result.by is not None and result.by not in methods:
            methods.append(result.by)
        within = within or test.method == "paired"
    if not told:
        return []
    count = sum(test.result.adjusted_p is not None for test in analysis.family)
    text = ngettext(
        "Mean difference with 95 % CI ({method}): {results}.",
        "Mean differences with 95 % CI ({method}; p adjusted by the method of {correction} over "
        "{family}): {results}.",
        count,
    )
    results = [
        text.format(
            method=with_and([translate(_METHODS[by]) for by in methods]),
            correction=correction_name(analysis.query.correction),
            family=_family_text(analysis, count),
            results="; ".join(told),
        )
    ]
    if count > 1:
        results.append(
            gettext(
                "The intervals are not adjusted: one can exclude 0 although its adjusted p is not "
                "below .05."
            )
        )
    if within:
        results.append(
            gettext(
                "The differences are tested within people, so the intervals of the means may "
                "overlap all the same."
            )
        )
    return results


def _family_text(analysis: Analysis, count: int) -> str:
    """Say of how many tests the family is, and what makes so many."""
    tested = [test for test in analysis.family if test.result.adjusted_p is not None]
    vitals = len({test.vital for test in tested})
    pairs = len({(test.first, test.second) for test in tested})
    text = gettext("the {n} tests of the family")
    if vitals > 1 and pairs > 1 and vitals * pairs == count:
        text = gettext("the {n} tests of the family: {vitals} measures × {pairs} pairs of states")
    return text.format(n=count, vitals=vitals, pairs=pairs)


def _states_of(analysis: Analysis) -> str:
    """Say below a picture what its states are."""
    return translate(_STATES[analysis.query.state])


def _span_of(analysis: Analysis, kind: Measure) -> list[str]:
    """Say below a picture of what time its means are, where a state is a whole stimulus."""
    if analysis.query.state is StateBy.OBSERVED:
        return []
    seconds = analysis.query.settling_s(kind)
    text = gettext("Means are of the whole stimulus.")
    if seconds:
        text = gettext("Means are of the whole stimulus but its first {seconds} s.")
    return [text.format(seconds=general(seconds))]


def _in_order(states: Mapping[str, StateMean], order: Sequence[str]) -> list[StateMean | None]:
    return [states.get(state) for state in order]


def _person(code: str, means: Sequence[StateMean | None], kind: Measure) -> dict[str, Any]:
    """One participant: a thin line over the states; it breaks where a state is missing."""
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
        "hovertemplate": gettext("{value}, {n} readings").format(
            value=f"%{{y:.1f}} {unit_of(kind)}", n="%{customdata}"
        ),
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
        "name": gettext("mean of all, 95 % interval"),
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


def _title(title: str, *, simulated: bool) -> str:
    return gettext("{title} · simulated").format(title=title) if simulated else title


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


def _sentence(summaries: list[StateModel]) -> str:
    """Say the means in words; the unit stands in the title."""
    return gettext("Mean of the participants’ means, with 95 % CI: {means}.").format(
        means="; ".join(_mean_text(state) for state in summaries)
    )


def _mean_text(state: StateModel) -> str:
    if state.mean is None:
        return gettext("{state}: no readings").format(state=state_name(state.state))
    ends = state.interval
    if ends is not None:
        spread = f" ({interval_text(ends.low, ends.high)})"
    else:
        spread = ""
    return f"{state_name(state.state)} {number(state.mean)}{spread}, {people(state.n)}"


def _row(code: str, means: Sequence[StateMean | None]) -> tuple[str, ...]:
    cells = ["" if mean is None else number(mean.mean) for mean in means]
    return (code, *cells, str(sum(mean.readings for mean in means if mean is not None)))


def spread_charts(analysis: Analysis) -> tuple[Chart, ...]:
    """Draw for each vital that has readings a box with all its dots for each state.

    A dot is one participant.
    """
    measured = {mean.kind for mean in analysis.means}
    return tuple(_spread_panel(analysis, kind) for kind in analysis.query.vital if kind in measured)


def _spread_panel(analysis: Analysis, kind: Measure) -> Chart:
    spreads = analysis.spreads(kind)
    simulated = any(mean.simulated for mean in analysis.means if mean.kind is kind)
    title = gettext("{vital} by state").format(
        vital=with_unit(vital_label(kind), kind.spec.unit_shown)
    )
    return Chart(
        id=f"spread-{kind.value.replace('_', '-')}",
        title=_title(title, simulated=simulated),
        sentence=gettext("Distribution of the participants’ means: {states}.").format(
            states="; ".join(map(_words, spreads.items()))
        ),
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
        columns=(
            gettext("state"),
            gettext("people"),
            gettext("minimum"),
            gettext("lower quarter"),
            gettext("median"),
            gettext("upper quarter"),
            gettext("maximum"),
        ),
        rows=tuple(
            (state_name(state), str(len(own.values)), *map(number, own.five))
            for state, own in spreads.items()
            if own
        ),
        height="medium",
        axes=(
            translate(_AXES[analysis.query.state]),
            with_unit(vital_label(kind), kind.spec.unit_shown),
        ),
        caption=gettext(
            "Each dot is the mean of one participant; boxes hold the middle half with its median, "
            "whiskers reach to the last dot within one and a half boxes (Tukey)."
        )
        + f" {_states_of(analysis)}",
    )


def _words(item: tuple[str, Spread | None]) -> str:
    state, own = item
    if own is None:
        return gettext("{state}: no readings").format(state=state_name(state))
    least, _, median, _, most = own.five
    return gettext("{state} median {median}, from {least} to {most}, {people}").format(
        state=state_name(state),
        median=number(median),
        least=number(least),
        most=number(most),
        people=people(len(own.values)),
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
