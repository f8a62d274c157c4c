"""Where the parts of the trends chart lie: panels, axes, captions, and the marks of stimuli."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from dashboard.charts.trend_data import TREND_VITALS, TrendData
from dashboard.languages.current import gettext
from edge_agent.core.study import Marker

USUAL_PANELS = 2
"""Panels below the shares that are always there: heart rate and blood pressure."""
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
        if number < USUAL_PANELS:
            return self.lifted(_PANEL_DOMAINS[number])
        foot = -_FURTHER_STEP * (number - USUAL_PANELS + 1)
        return self.lifted((foot, foot + _FURTHER_PANEL))

    def lifted(self, place: tuple[float, float]) -> tuple[float, float]:
        """Return where a place of the chart without further panels lies."""
        whole = 1 + _FURTHER_STEP * self.further
        low, high = ((at + _FURTHER_STEP * self.further) / whole for at in place)
        return low, high


def _places(data: TrendData) -> _Places:
    return _Places(max(0, len(data.panels()) - USUAL_PANELS))


def vertical_axis(panel: int) -> str:
    """Return the name of the vertical axis of a panel; ``y`` is that of the shares."""
    return f"y{panel + 2}"


def trend_layout(data: TrendData) -> dict[str, Any]:
    """Return axes, captions and marks of stimuli: the ``layout`` of a figure for Plotly."""
    grid = {
        "gridcolor": "var(--chart-grid)",
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
    }
    shapes, notes = _condition_marks(data)
    shapes += [_marker_line(marker) for marker in data.markers]
    places = _places(data)
    panels = data.panels()
    shares = places.lifted(_SHARE_DOMAIN)
    layout = {
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "dragmode": "zoom",
        "margin": {"l": 48, "r": 12, "t": 26, "b": 36},
        "xaxis": {
            "type": "date",
            "range": [data.start_ms, data.end_ms],
            "anchor": vertical_axis(len(panels) - 1),
            "gridcolor": "var(--chart-grid)",
            "linecolor": "var(--chart-line)",
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
            _caption(gettext("Share of expressions"), shares[1]),
            *(
                _caption(f"{gettext(panel)}, {_unit_of(panel)}", places.panel(number)[1])
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


def _marker_line(marker: Marker) -> dict[str, Any]:
    """Draw a line through all panels where a note or a baseline was marked."""
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": marker.at.wall_ms,
        "x1": marker.at.wall_ms,
        "y0": 0,
        "y1": 1,
        "line": {"width": 1, "dash": "dot", "color": "var(--accent)"},
    }


_NOTE = {
    "yref": "paper",
    "yanchor": "middle",
    "showarrow": False,
    "font": {"size": 11, "color": "var(--on-accent)"},
}
