"""The picture of how the participants' means are distributed in each state."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from dashboard.analysis.present.charts import layout_of
from dashboard.analysis.present.text import number, people, unit_of, vital_name
from dashboard.analysis.results import Analysis
from dashboard.analysis.states import TESTED_STATES
from dashboard.charts.chart import Chart
from edge_agent.core.expression import Emotion
from edge_agent.core.vitals import VitalKind


def spread_charts(analysis: Analysis) -> tuple[Chart, ...]:
    """Draw for each vital that has readings a box with all its dots for each state.

    A dot is one participant.
    """
    measured = {mean.kind for mean in analysis.means}
    return tuple(_panel(analysis, kind) for kind in analysis.query.vital if kind in measured)


def _panel(analysis: Analysis, kind: VitalKind) -> Chart:
    values = {
        state: sorted(
            mean.mean for mean in analysis.means if mean.kind is kind and mean.state is state
        )
        for state in TESTED_STATES
    }
    simulated = any(mean.simulated for mean in analysis.means if mean.kind is kind)
    return Chart(
        id=f"spread-{kind.value.replace('_', '-')}",
        title=f"{vital_name(kind)} by state, {unit_of(kind)}{' · simulated' if simulated else ''}",
        sentence="How the participants’ means are distributed: "
        f"{'; '.join(map(_words, values.items()))}.",
        figure={
            "data": [_box(state, own, kind) for state, own in values.items() if own],
            "layout": layout_of(),
        },
        columns=("state", "people", "least", "lower quarter", "median", "upper quarter", "most"),
        rows=tuple(
            (state.value, str(len(own)), *map(number, _five(own)))
            for state, own in values.items()
            if own
        ),
        height="medium",
    )


def _words(item: tuple[Emotion, Sequence[float]]) -> str:
    state, own = item
    if not own:
        return f"{state}: no readings"
    least, _, median, _, most = _five(own)
    return (
        f"{state} median {number(median)}, from {number(least)} to {number(most)}, "
        f"{people(len(own))}"
    )


def _five(own: Sequence[float]) -> tuple[float, float, float, float, float]:
    """Return least, lower quartile, median, upper quartile and most."""
    if len(own) == 1:
        return own[0], own[0], own[0], own[0], own[0]
    low, median, high = statistics.quantiles(own, method="inclusive")
    return own[0], low, median, high, own[-1]


def _box(state: Emotion, own: Sequence[float], kind: VitalKind) -> dict[str, Any]:
    return {
        "type": "box",
        "name": state.value,
        "y": [round(value, 3) for value in own],
        "quartilemethod": "linear",
        "boxpoints": "all",
        "jitter": 0.5,
        "pointpos": 0,
        "fillcolor": f"var({kind.spec.colour}-band)",
        "line": {"color": f"var({kind.spec.colour})", "width": 1.5},
        "marker": {"color": f"var({kind.spec.colour})", "size": 6, "opacity": 0.6},
        "hovertemplate": f"%{{y:.1f}} {unit_of(kind)}<extra></extra>",
        "showlegend": False,
    }
