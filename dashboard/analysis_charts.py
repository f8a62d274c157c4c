"""The picture of an analysis: every participant's means as a line over the states, and the mean over participants."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from dashboard.analysis import STATES, VITALS, Analysis, StateMean, StateSummary
from dashboard.analysis_text import interval_text, number, people, unit_of, vital_name
from dashboard.charts import Chart
from edge_agent.domain import Emotion, VitalKind

_COLOURS = {
    VitalKind.HEART_RATE: "--vital-heart-rate",
    VitalKind.SYSTOLIC: "--vital-systolic",
    VitalKind.DIASTOLIC: "--vital-diastolic",
}
_SIDE = 0.16  # the overall mean stands beside the participants' dots, not on them


def analysis_charts(analysis: Analysis) -> tuple[Chart, ...]:
    """Draw one panel for each vital that has readings."""
    return tuple(_panel(analysis, kind) for kind in VITALS if any(mean.kind is kind for mean in analysis.means))


def _panel(analysis: Analysis, kind: VitalKind) -> Chart:
    own = [mean for mean in analysis.means if mean.kind is kind]
    people_means: dict[str, dict[Emotion, StateMean]] = {}
    for mean in own:
        people_means.setdefault(mean.participant, {})[mean.state] = mean
    summaries = [summary for summary in analysis.summaries if summary.kind is kind]
    return Chart(
        id=f"means-{kind.value.replace('_', '-')}",
        title=f"{vital_name(kind)}, {unit_of(kind)}{' · simulated' if any(mean.simulated for mean in own) else ''}",
        sentence=_sentence(summaries),
        figure={
            "data": [
                *(_person(code, states, kind) for code, states in people_means.items()),
                _overall(summaries, kind),
            ],
            "layout": _layout(),
        },
        columns=("participant", *(state.value for state in STATES), "readings"),
        rows=tuple(_row(code, states) for code, states in people_means.items()),
        height="medium",
    )


def _person(code: str, states: Mapping[Emotion, StateMean], kind: VitalKind) -> dict[str, Any]:
    """One participant: a thin line over the states; it breaks where a state is missing."""
    means = [states.get(state) for state in STATES]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": html.escape(code),
        "x": list(range(len(STATES))),
        "y": [None if mean is None else round(mean.mean, 3) for mean in means],
        "customdata": [None if mean is None else mean.readings for mean in means],
        "line": {"color": "var(--chart-line)", "width": 1.2},
        "marker": {"color": f"var({_COLOURS[kind]})", "size": 7, "opacity": 0.55},
        "connectgaps": False,
        "hovertemplate": f"%{{y:.1f}} {unit_of(kind)}, %{{customdata}} readings",
        "showlegend": False,
    }


def _overall(summaries: list[StateSummary], kind: VitalKind) -> dict[str, Any]:
    """The mean over participants with its 95 % interval, beside the dots."""
    shown = [(place, s.summary) for place, s in enumerate(summaries) if s.summary is not None]
    halves = [0.0 if s.interval is None else s.interval.high - s.mean for _, s in shown]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "mean of all, 95 % interval",
        "x": [place + _SIDE for place, _ in shown],
        "y": [round(s.mean, 3) for _, s in shown],
        "error_y": {"type": "data", "array": halves, "color": "var(--text)", "thickness": 2, "width": 6},
        "marker": {"color": f"var({_COLOURS[kind]})", "size": 12, "line": {"color": "var(--text)", "width": 2}},
        "hovertemplate": f"%{{y:.1f}} {unit_of(kind)}",
        "showlegend": False,
    }


def _layout() -> dict[str, Any]:
    return {
        "hovermode": "closest",
        "margin": {"l": 44, "r": 8, "t": 8, "b": 30},
        "xaxis": {
            "tickvals": list(range(len(STATES))),
            "ticktext": [state.value for state in STATES],
            "range": [-0.35, len(STATES) - 0.6],
            "zeroline": False,
            "showgrid": False,
            "linecolor": "var(--chart-line)",
            "fixedrange": True,
        },
        "yaxis": {
            "gridcolor": "var(--chart-grid)",
            "zeroline": False,
            "automargin": True,
            "nticks": 6,
            "fixedrange": True,
        },
    }


def _sentence(summaries: list[StateSummary]) -> str:
    """Say the means in words; the unit stands in the title."""
    return f"Mean of the participants’ means, with 95 % CI: {'; '.join(_mean_text(state) for state in summaries)}."


def _mean_text(state: StateSummary) -> str:
    summary = state.summary
    if summary is None:
        return f"{state.state}: no readings"
    ends = summary.interval
    spread = f" ({interval_text(ends.low, ends.high)})" if ends is not None else ""
    return f"{state.state} {number(summary.mean)}{spread}, {people(summary.n)}"


def _row(code: str, states: Mapping[Emotion, StateMean]) -> tuple[str, ...]:
    cells = ["" if states.get(state) is None else number(states[state].mean) for state in STATES]
    return (code, *cells, str(sum(mean.readings for mean in states.values())))
