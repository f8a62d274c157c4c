"""The picture of how the participants' means are distributed in each state."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from dashboard.analysis.present.charts import layout_of
from dashboard.analysis.present.text import number, people, unit_of, vital_name
from dashboard.analysis.results import Analysis
from dashboard.charts.chart import Chart
from dashboard.languages.current import gettext
from dashboard.languages.names import state_name
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
            mean.mean for mean in analysis.means if mean.kind is kind and mean.state == state
        )
        for state in analysis.query.states
    }
    simulated = any(mean.simulated for mean in analysis.means if mean.kind is kind)
    return Chart(
        id=f"spread-{kind.value.replace('_', '-')}",
        title=_title(kind, simulated=simulated),
        sentence=gettext("How the participants’ means are distributed: {states}.").format(
            states="; ".join(map(_words, values.items()))
        ),
        figure={
            "data": [
                trace
                for place, (state, own) in enumerate(values.items())
                if own
                for trace in _box(place, state, own, kind)
            ],
            "layout": layout_of(
                tickvals=list(range(len(values))),
                ticktext=[state_name(state) for state in values],
                range=[-0.5, len(values) - 0.5],
            ),
        },
        columns=(
            gettext("state"),
            gettext("people"),
            gettext("least"),
            gettext("lower quarter"),
            gettext("median"),
            gettext("upper quarter"),
            gettext("most"),
        ),
        rows=tuple(
            (state_name(state), str(len(own)), *map(number, _five(own)))
            for state, own in values.items()
            if own
        ),
        height="medium",
    )


def _title(kind: VitalKind, *, simulated: bool) -> str:
    title = gettext("{vital} by state, {unit}").format(vital=vital_name(kind), unit=unit_of(kind))
    if simulated:
        return gettext("{title} · simulated").format(title=title)
    return title


def _words(item: tuple[str, Sequence[float]]) -> str:
    state, own = item
    if not own:
        return gettext("{state}: no readings").format(state=state_name(state))
    least, _, median, _, most = _five(own)
    return gettext("{state} median {median}, from {least} to {most}, {people}").format(
        state=state_name(state),
        median=number(median),
        least=number(least),
        most=number(most),
        people=people(len(own)),
    )


def _five(own: Sequence[float]) -> tuple[float, float, float, float, float]:
    """Return least, lower quartile, median, upper quartile and most."""
    if len(own) == 1:
        return own[0], own[0], own[0], own[0], own[0]
    low, median, high = statistics.quantiles(own, method="inclusive")
    return own[0], low, median, high, own[-1]


_HALF_BOX = 0.28
_HALF_CAP = 0.1
_DOTS = 0.2  # so far to each side, at the most


def _box(place: int, state: str, own: Sequence[float], kind: VitalKind) -> list[dict[str, Any]]:
    """Compose a box with its dots; whiskers end at the last dot within 1.5 box heights (Tukey)."""
    _, low, median, high, _ = _five(own)
    reach = 1.5 * (high - low)
    bottom = min(value for value in own if value >= low - reach)
    top = max(value for value in own if value <= high + reach)
    left = place - _HALF_BOX
    right = place + _HALF_BOX
    colour = f"var({kind.spec.colour})"
    line = {"color": colour, "width": 1.5}
    shared = {"type": "scatter", "mode": "lines", "line": line, "showlegend": False}
    whiskers = _line(
        [(place, high), (place, top)],
        [(place - _HALF_CAP, top), (place + _HALF_CAP, top)],
        [(place, low), (place, bottom)],
        [(place - _HALF_CAP, bottom), (place + _HALF_CAP, bottom)],
        [(left, median), (right, median)],
    )
    outline = _line([(left, low), (left, high), (right, high), (right, low), (left, low)])
    filled = {"fill": "toself", "fillcolor": f"var({kind.spec.colour}-band)", "hoverinfo": "skip"}
    dots = {
        "mode": "markers",
        "name": state_name(state),
        "x": [round(place + at, 3) for at in _spread(len(own))],
        "y": [round(value, 3) for value in own],
        "marker": {"color": colour, "size": 6, "opacity": 0.6},
        "hovertemplate": f"%{{y:.1f}} {unit_of(kind)}<extra></extra>",
    }
    return [shared | outline | filled, shared | whiskers | {"hoverinfo": "skip"}, shared | dots]


def _line(*strokes: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return ``x`` and ``y`` of strokes that do not touch each other."""
    points = [point for stroke in strokes for point in (*stroke, None)][:-1]
    return {
        "x": [None if point is None else round(point[0], 3) for point in points],
        "y": [None if point is None else round(point[1], 3) for point in points],
    }


def _spread(count: int) -> list[float]:
    """Return how far to the side each dot stands, so that neighbours do not hide each other."""
    return [_DOTS * ((number * 0.618) % 1 * 2 - 1) for number in range(count)]
