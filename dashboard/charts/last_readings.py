"""What a pointer reads between two readings: the last one, and how long before it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboard.languages.current import gettext
from dashboard.languages.figures import decimal
from dashboard.languages.names import vital_short
from edge_agent.store.read.results import VitalTrend


def last_reading_trace(vital: VitalTrend, starts: Sequence[int], axis: str) -> dict[str, Any]:
    """Return a line that is not seen, with a point at every step of the shares.

    A cuff speaks every half an hour; wherever one points, its last value is told with its age.

    Args:
        vital: the readings.
        starts: where the steps of the shares begin, UTC milliseconds.
        axis: the vertical axis of its panel.
    """
    spec = vital.kind.spec
    values: list[float | None] = []
    words: list[str] = []
    for start in starts:
        index = _last_filled(vital, start)
        value = None if index is None else vital.mean[index]
        if index is None or value is None:
            values.append(None)
            words.append("")
            continue
        values.append(round(value, 2))
        age_ms = start - vital.starts[index]
        shown = f"{decimal(value, spec.decimals)} {spec.unit_shown}"
        if age_ms >= vital.bucket_ms:
            text = gettext("{value}, {time} before")
            shown = text.format(value=shown, time=_before(age_ms))
        words.append(shown)
    return {
        "type": "scatter",
        "mode": "lines",
        "meta": spec.short_name,
        "name": gettext("last {vital}").format(vital=vital_short(vital.kind)),
        "x": list(starts),
        "y": values,
        "customdata": words,
        "yaxis": axis,
        "line": {"width": 0, "color": f"var({spec.colour})"},
        "hovertemplate": "%{customdata}",
        "showlegend": False,
    }


def _last_filled(vital: VitalTrend, at_ms: int) -> int | None:
    """Return the newest bucket with a reading that began by then."""
    newest = None
    for index, start in enumerate(vital.starts):
        if start > at_ms:
            break
        if vital.mean[index] is not None:
            newest = index
    return newest


def _before(age_ms: int) -> str:
    minutes = round(age_ms / 60_000)
    if minutes < 1:
        return f"{round(age_ms / 1000)} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d"
