"""The trends chart: shares of expressions and vital signs, one panel above the other.

Heart rate and blood pressure have their panels always, other vitals when there are readings.
"""

from __future__ import annotations

import html
import itertools
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from dashboard.charts.chart import Chart, Height
from dashboard.charts.last_readings import last_reading_trace
from dashboard.charts.trend_data import TrendData
from dashboard.charts.trend_layout import USUAL_PANELS, trend_layout, vertical_axis
from dashboard.languages.current import gettext, pgettext
from dashboard.languages.figures import by_locale, decimal, percent, thousands
from dashboard.languages.names import state_name, vital_short
from dashboard.languages.written import with_and
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.study import Marker, MarkerKind
from edge_agent.store.read.results import Trend, VitalTrend


def trend_chart(data: TrendData) -> Chart:
    """Draw emotion shares and vital signs one above the other on one time axis."""
    panels = data.panels()
    traces = [*_share_traces(data.trend), *_marker_traces(data)]
    for kind in data.drawn_kinds():
        if kind in data.vitals:
            axis = vertical_axis(panels.index(kind.spec.panel))
            drawn = _vital_traces(data.vitals[kind], axis)
            if drawn:
                traces += [last_reading_trace(data.vitals[kind], data.trend.starts, axis), *drawn]
    names = [gettext("Expression"), *(gettext(panel[0].lower() + panel[1:]) for panel in panels)]
    return Chart(
        id="trend",
        title=with_and(names),
        sentence=_trend_sentence(data),
        figure={"data": traces, "layout": trend_layout(data)},
        columns=_columns(data),
        rows=tuple(_trend_rows(data)),
        time_axis=True,
        height=_HEIGHTS[min(len(panels) - USUAL_PANELS, len(_HEIGHTS) - 1)],
    )


_HEIGHTS: tuple[Height, ...] = ("tall", "tall-1", "tall-2", "tall-3")


def _columns(data: TrendData) -> tuple[str, ...]:
    return (
        pgettext("time", "from"),
        *(state_name(emotion) for emotion in EMOTIONS),
        gettext("uncertain"),
        gettext("rows"),
        *(f"{vital_short(kind)}, {kind.spec.unit_shown}" for kind in data.drawn_kinds()),
    )


def _share_traces(trend: Trend) -> list[dict[str, Any]]:
    """Stack the shares as steps, which keep every bucket's width.

    A bucket without rows is an empty place.
    """
    shares = {emotion.value: trend.shares[emotion] for emotion in EMOTIONS} | {
        "uncertain": trend.uncertain
    }
    edges = [*trend.starts, trend.end_ms]
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": gettext(name),
            "meta": name,
            "x": edges,
            "y": [*(round(value or 0.0, 4) for value in values), 0.0],
            "customdata": [
                *(round(100 * value) if value is not None else 0 for value in values),
                0,
            ],
            "stackgroup": "shares",
            "line": {"width": 0, "shape": "hv"},
            "fillcolor": f"var(--emotion-{name})",
            "hovertemplate": [
                *(
                    "%{customdata} %" if value is not None else gettext("no data")
                    for value in values
                ),
                "",
            ],
            "showlegend": False,
        }
        for name, values in shares.items()
        if any(values)
    ]


def _marker_traces(data: TrendData) -> list[dict[str, Any]]:
    """Draw notes and baseline markers at the top of the shares, told when pointed at."""
    if not data.markers:
        return []
    words = [_marker_words(marker) for marker in data.markers]
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": gettext("marker"),
            "meta": "marker",
            "x": [marker.at.wall_ms for marker in data.markers],
            "y": [1.0] * len(data.markers),
            "marker": {
                "symbol": "triangle-down",
                "size": 11,
                "color": "var(--accent)",
                "line": {"width": 1, "color": "var(--surface)"},
            },
            "cliponaxis": False,
            "hovertemplate": [f"{html.escape(text)}<extra></extra>" for text in words],
            "showlegend": False,
        }
    ]


def _marker_words(marker: Marker) -> str:
    if marker.kind is MarkerKind.BASELINE:
        return gettext("baseline begins")
    return gettext("note: {text}").format(text=marker.label)


def _vital_traces(vital: VitalTrend, axis: str) -> list[dict[str, Any]]:
    """Draw the mean as a line and least to most as a band around it.

    Both break where the source fell silent.
    """
    line_x: list[int | None] = []
    line_y: list[float | None] = []
    band_x: list[int | None] = []
    band_y: list[float | None] = []
    for run in _runs(vital):
        middles = [vital.starts[index] + vital.bucket_ms // 2 for index in run]
        line_x += [*middles, None]
        line_y += [*(_rounded(vital.mean[index]) for index in run), None]
        if len(run) > 1:
            band_x += [*middles, *reversed(middles), None]
            band_y += [
                *(_rounded(vital.most[i]) for i in run),
                *(_rounded(vital.least[i]) for i in reversed(run)),
                None,
            ]
    if not line_x:
        return []
    spec = vital.kind.spec
    # by "meta" the page finds the line of a vital in every language
    shared = {"type": "scatter", "meta": spec.short_name, "yaxis": axis, "showlegend": False}
    band = shared | {
        "mode": "lines",
        "name": gettext("{vital}, least to most").format(vital=vital_short(vital.kind)),
        "x": band_x,
        "y": band_y,
        "fill": "toself",
        "fillcolor": f"var({spec.colour}-band)",
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
    mean = shared | {
        "mode": "lines+markers",
        "name": vital_short(vital.kind),
        "x": line_x,
        "y": line_y,
        "line": {"color": f"var({spec.colour})", "width": 1.8},
        "marker": {"color": f"var({spec.colour})", "size": 3.5},
        "connectgaps": False,
        "hoverinfo": "skip",  # last_reading_trace tells it, between readings too
    }
    return [band, mean]


_LONGEST_PACE_MS = 45 * 60_000  # home cuffs that measure by themselves do so every 15 to 30 minutes


def _runs(vital: VitalTrend) -> list[list[int]]:
    """Return the buckets that hold readings, split where the source fell silent.

    A cuff that speaks every 30 s leaves every other short bucket empty; that is its pace and no
    gap. So silence is more than three times the usual distance of filled buckets, or longer than
    any cuff's pace.
    """
    filled = [index for index, value in enumerate(vital.mean) if value is not None]
    steps = [later - earlier for earlier, later in itertools.pairwise(filled)]
    pace = 3 * statistics.median(steps) if steps else 1
    longest = min(pace, max(1, _LONGEST_PACE_MS // vital.bucket_ms))
    runs: list[list[int]] = []
    for position, index in enumerate(filled):
        if position and steps[position - 1] <= longest:
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs


def _trend_sentence(data: TrendData) -> str:
    """Say in words what the chart shows."""
    trend = data.trend
    total = sum(trend.rows)
    parts = []
    if total:
        shares = {name.value: _overall(trend, values) for name, values in trend.shares.items()}
        shares["uncertain"] = _overall(trend, trend.uncertain)
        listed = sorted(
            ((share, name) for name, share in shares.items() if share >= 0.005), reverse=True
        )
        parts.append(
            gettext(
                "{shares} of {total} recorded rows; {empty} of {intervals} intervals without a "
                "face or recording"
            ).format(
                shares=", ".join(f"{gettext(name)} {percent(share)}" for share, name in listed),
                total=thousands(total),
                empty=sum(1 for n in trend.rows if not n),
                intervals=len(trend.rows),
            )
        )
    else:
        parts.append(gettext("No expression was recorded in this range"))
    for kind in data.drawn_kinds():
        vital = data.vitals.get(kind)
        if vital is not None and any(vital.n):
            parts.append(_vital_sentence(vital))
    if data.markers:
        counts = Counter(marker.kind.value for marker in data.markers)
        marks = ", ".join(f"{gettext(kind)} {n}" for kind, n in sorted(counts.items()))
        parts.append(gettext("marked: {marks}").format(marks=marks))
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _vital_sentence(vital: VitalTrend) -> str:
    spec = vital.kind.spec
    readings = sum(vital.n)
    mean = sum((m or 0.0) * n for m, n in zip(vital.mean, vital.n, strict=True)) / readings
    least = min(value for value in vital.least if value is not None)
    most = max(value for value in vital.most if value is not None)
    digits = spec.decimals
    return gettext("{vital} {mean} {unit} on average, from {least} to {most}").format(
        vital=vital_short(vital.kind),
        mean=decimal(mean, digits),
        unit=spec.unit_shown,
        least=decimal(least, digits),
        most=decimal(most, digits),
    )


def _overall(trend: Trend, values: Sequence[float | None]) -> float:
    return sum((value or 0.0) * n for value, n in zip(values, trend.rows, strict=True)) / sum(
        trend.rows
    )


def _trend_rows(data: TrendData) -> Iterator[tuple[str, ...]]:
    """Yield one row of the table for each bucket that holds anything.

    Vitals join by the start of their bucket.
    """
    trend = data.trend
    readings = {kind: _by_start(vital) for kind, vital in data.vitals.items()}
    where = {start: index for index, start in enumerate(trend.starts) if trend.rows[index]}
    for start in sorted({*where, *(start for by_start in readings.values() for start in by_start)}):
        index = where.get(start)
        shares = (*(trend.shares[emotion] for emotion in EMOTIONS), trend.uncertain)
        yield (
            str(start),
            *("" if index is None else percent(values[index] or 0) for values in shares),
            "" if index is None else str(trend.rows[index]),
            *(readings.get(kind, {}).get(start, "") for kind in data.drawn_kinds()),
        )


def _by_start(vital: VitalTrend) -> dict[int, str]:
    digits = vital.kind.spec.decimals
    cells = zip(vital.starts, vital.mean, vital.least, vital.most, strict=True)
    return {
        start: by_locale(f"{mean:.{digits}f} ({least:.{digits}f}–{most:.{digits}f})")
        for start, mean, least, most in cells
        if mean is not None
    }


def _rounded(value: float | None) -> float | None:
    if value is None:
        return None
    return round(value, 2)
