"""The trends chart: shares of expressions and vital signs, one panel above the other.

Heart rate and blood pressure have their panels always, other vitals when there are readings.
"""

from __future__ import annotations

import html
import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.charts.chart import Chart, Height
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.results import ConditionInterval, Trend, VitalTrend


@dataclass(frozen=True, slots=True)
class TrendData:
    """What the trends page shows over one range.

    Attributes:
        start_ms: start of the range, UTC.
        end_ms: end of the range.
        trend: shares of expressions.
        vitals: readings by kind.
        conditions: stimuli that went on.
    """

    start_ms: int
    end_ms: int
    trend: Trend
    vitals: Mapping[VitalKind, VitalTrend]
    conditions: Sequence[ConditionInterval]

    def drawn_kinds(self) -> tuple[VitalKind, ...]:
        """Return the kinds that have a line: the usual ones, and those with readings here."""
        return tuple(
            kind
            for kind in TREND_VITALS
            if kind.spec.tested_by_default or (kind in self.vitals and any(self.vitals[kind].n))
        )

    def panels(self) -> tuple[str, ...]:
        """Return the titles of the panels below the shares, from the top."""
        return tuple(dict.fromkeys(kind.spec.panel for kind in self.drawn_kinds()))


def trend_chart(data: TrendData) -> Chart:
    """Draw emotion shares and vital signs one above the other on one time axis."""
    panels = data.panels()
    traces = [*_share_traces(data.trend)]
    for kind in data.drawn_kinds():
        if kind in data.vitals:
            traces += _vital_traces(data.vitals[kind], _axis(panels.index(kind.spec.panel)))
    names = ["Expression", *(panel[0].lower() + panel[1:] for panel in panels)]
    return Chart(
        id="trend",
        title=f"{', '.join(names[:-1])} and {names[-1]}",
        sentence=_trend_sentence(data),
        figure={"data": traces, "layout": _trend_layout(data)},
        columns=_columns(data),
        rows=tuple(_trend_rows(data)),
        time_axis=True,
        height=_HEIGHTS[min(len(panels) - _USUAL_PANELS, len(_HEIGHTS) - 1)],
    )


TREND_VITALS = tuple(kind for kind in VitalKind if kind.spec.panel)
"""The kinds that the chart can draw."""

_USUAL_PANELS = 2
_HEIGHTS: tuple[Height, ...] = ("tall", "tall-1", "tall-2", "tall-3")
_SHARE_DOMAIN = (0.60, 1.0)
_PANEL_DOMAINS = ((0.31, 0.53), (0.0, 0.24))
_FURTHER_PANEL = 0.22
_FURTHER_STEP = 0.29  # from the foot of a panel to the foot of the next
_CONDITION_BAND = (0.565, 0.592)
_MOST_CONDITIONS = 40


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the panels lie, as shares of the height: further ones are added below the usual."""

    further: int

    def panel(self, number: int) -> tuple[float, float]:
        """Return foot and top of a panel below the shares, counted from the top."""
        if number < _USUAL_PANELS:
            return self.lifted(_PANEL_DOMAINS[number])
        foot = -_FURTHER_STEP * (number - _USUAL_PANELS + 1)
        return self.lifted((foot, foot + _FURTHER_PANEL))

    def lifted(self, place: tuple[float, float]) -> tuple[float, float]:
        """Return where a place of the chart without further panels lies."""
        whole = 1 + _FURTHER_STEP * self.further
        low, high = ((at + _FURTHER_STEP * self.further) / whole for at in place)
        return low, high


def _places(data: TrendData) -> _Places:
    return _Places(max(0, len(data.panels()) - _USUAL_PANELS))


def _axis(panel: int) -> str:
    """Return the name of the vertical axis of a panel; ``y`` is that of the shares."""
    return f"y{panel + 2}"


def _columns(data: TrendData) -> tuple[str, ...]:
    return (
        "from",
        *(emotion.value for emotion in EMOTIONS),
        "uncertain",
        "rows",
        *(f"{kind.spec.short_name}, {kind.spec.unit_shown}" for kind in data.drawn_kinds()),
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
            "name": name,
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
                *("%{customdata} %" if value is not None else "no data" for value in values),
                "",
            ],
            "showlegend": False,
        }
        for name, values in shares.items()
        if any(values)
    ]


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
    shared = {"type": "scatter", "yaxis": axis, "showlegend": False}
    band = shared | {
        "mode": "lines",
        "name": f"{spec.short_name}, least to most",
        "x": band_x,
        "y": band_y,
        "fill": "toself",
        "fillcolor": f"var({spec.colour}-band)",
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
    mean = shared | {
        "mode": "lines+markers",
        "name": spec.short_name,
        "x": line_x,
        "y": line_y,
        "line": {"color": f"var({spec.colour})", "width": 1.8},
        "marker": {"color": f"var({spec.colour})", "size": 3.5},
        "connectgaps": False,
        "hovertemplate": f"%{{y:.{spec.decimals}f}} {spec.unit_shown}",
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


def _trend_layout(data: TrendData) -> dict[str, Any]:
    grid = {
        "gridcolor": "var(--chart-grid)",
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
    }
    shapes, notes = _condition_marks(data)
    places = _places(data)
    panels = data.panels()
    shares = places.lifted(_SHARE_DOMAIN)
    layout = {
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "margin": {"l": 48, "r": 12, "t": 26, "b": 36},
        "xaxis": {
            "type": "date",
            "range": [data.start_ms, data.end_ms],
            "anchor": _axis(len(panels) - 1),
            "gridcolor": "var(--chart-grid)",
            "linecolor": "var(--chart-line)",
            "fixedrange": True,
            "hoverformat": "%a %-d %b, %H:%M:%S"
            if data.trend.bucket_ms < 60_000
            else "%a %-d %b, %H:%M",
        },
        "yaxis": grid
        | {
            "domain": shares,
            "range": [0, 1],
            "tickvals": [0, 0.5, 1],
            "ticktext": ["0 %", "50 %", "100 %"],
        },
        "shapes": shapes,
        "annotations": [
            _caption("Share of expressions", shares[1]),
            *(
                _caption(f"{panel}, {_unit_of(panel)}", places.panel(number)[1])
                for number, panel in enumerate(panels)
            ),
            *notes,
        ],
    }
    axes = {
        f"yaxis{number + 2}": grid | {"domain": places.panel(number), "nticks": 4}
        for number in range(len(panels))
    }
    return layout | axes


def _unit_of(panel: str) -> str:
    """Return the unit of a panel; its kinds share it."""
    return next(kind.spec.unit_shown for kind in TREND_VITALS if kind.spec.panel == panel)


def _caption(text: str, top: float) -> dict[str, Any]:
    return {
        "text": text,
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": top,
        "yshift": 18,
        "yanchor": "top",
        "xanchor": "left",
        "showarrow": False,
        "font": {"size": 12, "color": "var(--chart-text)"},
    }


def _condition_marks(data: TrendData) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Mark where stimuli began and ended; too many would only be noise."""
    if not data.conditions or len(data.conditions) > _MOST_CONDITIONS:
        return [], []
    shapes = []
    notes = []
    band = _places(data).lifted(_CONDITION_BAND)
    for condition in data.conditions:
        start = max(condition.start_ms, data.start_ms)
        end = min(condition.end_ms or data.end_ms, data.end_ms)
        shapes.append(
            {
                "type": "rect",
                "xref": "x",
                "yref": "paper",
                "x0": start,
                "x1": end,
                "y0": band[0],
                "y1": band[1],
                "fillcolor": "var(--accent)",
                "opacity": 0.85,
                "line": {"width": 0},
            }
        )
        if len(data.conditions) <= 6 and (end - start) * 10 > data.end_ms - data.start_ms:
            notes.append(
                {
                    "text": html.escape(condition.label),
                    "xref": "x",
                    "x": (start + end) / 2,
                    "y": sum(band) / 2,
                }
                | _NOTE
            )
    return shapes, notes


_NOTE = {
    "yref": "paper",
    "yanchor": "middle",
    "showarrow": False,
    "font": {"size": 11, "color": "var(--on-accent)"},
}


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
            f"{', '.join(f'{name} {_percent(share)}' for share, name in listed)} of {total:,} "
            f"recorded rows; {sum(1 for n in trend.rows if not n)} of {len(trend.rows)} intervals "
            "without a face or recording"
        )
    else:
        parts.append("No expression was recorded in this range")
    for kind in data.drawn_kinds():
        vital = data.vitals.get(kind)
        if vital is not None and any(vital.n):
            parts.append(_vital_sentence(vital))
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _vital_sentence(vital: VitalTrend) -> str:
    spec = vital.kind.spec
    readings = sum(vital.n)
    mean = sum((m or 0.0) * n for m, n in zip(vital.mean, vital.n, strict=True)) / readings
    least = min(value for value in vital.least if value is not None)
    most = max(value for value in vital.most if value is not None)
    digits = spec.decimals
    return (
        f"{spec.short_name} {mean:.{digits}f} {spec.unit_shown} on average, from "
        f"{least:.{digits}f} to {most:.{digits}f}"
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
            *("" if index is None else _percent(values[index] or 0) for values in shares),
            "" if index is None else str(trend.rows[index]),
            *(readings.get(kind, {}).get(start, "") for kind in data.drawn_kinds()),
        )


def _by_start(vital: VitalTrend) -> dict[int, str]:
    digits = vital.kind.spec.decimals
    cells = zip(vital.starts, vital.mean, vital.least, vital.most, strict=True)
    return {
        start: f"{mean:.{digits}f} ({least:.{digits}f}–{most:.{digits}f})"
        for start, mean, least, most in cells
        if mean is not None
    }


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _rounded(value: float | None) -> float | None:
    if value is None:
        return None
    return round(value, 2)
