"""The trends chart: shares of expressions and vital signs, one panel above the other.

A vital has a panel when there are readings; the sentence names what is usual and has none.
"""

from __future__ import annotations

import html
import itertools
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.charts.chart import Chart, Figure, Height
from dashboard.languages.figures import by_locale, decimal, duration, percent
from dashboard.languages.macros import Macros
from dashboard.languages.names import state_name, translate, unit_of, vital_short, with_unit
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.measures import Measure, MovementKind
from edge_agent.core.study import Marker
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.base import ConditionInterval, Trend, VitalTrend

TREND_VITALS = tuple(kind for kind in VitalKind if kind.spec.panel)
"""The kinds that the chart can draw."""
_SHARE_DOMAIN = (0.60, 1.0)
_CONDITION_BAND = (0.565, 0.592)
_FIRST_FOOT = 0.28
_PANEL_STEP = 0.29  # from the foot of a panel to the foot of the next
_PANEL_HEIGHT = 0.22
_MOST_CONDITIONS = 40
_LEAST_MARK = 0.004  # of the width: two or three pixels
_LEAST_SHARE = 0.005  # of an expression that is named
_MACROS = Macros(Path(__file__).parent)
_ROOM = 0.06  # above and below the values of a panel, of its range
_NOTE = {
    "yref": "paper",
    "yanchor": "middle",
    "showarrow": False,
    "font": {"size": 11, "color": "var(--on-accent)"},
}
_HEIGHTS: tuple[Height, ...] = ("medium", "large", "tall", "tall-1", "tall-2", "tall-3")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_LONGEST_PACE_MS = 45 * 60_000  # home cuffs that measure by themselves do so every 15 to 30 minutes


@dataclass(frozen=True, slots=True)
class TrendData:
    """The data that the trends page shows over one range.

    Attributes:
        start_ms: start of the range, UTC.
        end_ms: end of the range.
        trend: shares of expressions.
        vitals: readings by kind, and the movements of the face that were chosen.
        conditions: stimuli that went on.
        markers: notes and baselines.
        face_ms: how long a face was read; ``None``: not known.
    """

    start_ms: int
    end_ms: int
    trend: Trend
    vitals: Mapping[Measure, VitalTrend]
    conditions: Sequence[ConditionInterval]
    markers: Sequence[Marker] = ()
    face_ms: int | None = None

    def drawn_vitals(self) -> tuple[VitalKind, ...]:
        """Return the vitals that have a line: those with readings here."""
        return tuple(kind for kind in TREND_VITALS if self._was_recorded(kind))

    def lacking(self) -> tuple[str, ...]:
        """Return the titles of the usual and chosen panels that are left out without readings."""
        usual = [kind.spec.panel for kind in TREND_VITALS if kind.spec.tested_by_default]
        chosen = [kind.spec.panel for kind in MovementKind if kind in self.vitals]
        titles = dict.fromkeys(usual + chosen)
        return tuple(title for title in titles if title not in self.panels())

    def drawn_movements(self) -> tuple[MovementKind, ...]:
        """Return the chosen movements that were recorded here."""
        return tuple(kind for kind in MovementKind if self._was_recorded(kind))

    def _was_recorded(self, kind: Measure) -> bool:
        return kind in self.vitals and any(self.vitals[kind].n)

    def drawn_kinds(self) -> tuple[Measure, ...]:
        """Return everything that has a line."""
        return (*self.drawn_vitals(), *self.drawn_movements())

    def panels(self) -> tuple[str, ...]:
        """Return the titles of the panels below the shares, from the top."""
        return tuple(dict.fromkeys(kind.spec.panel for kind in self.drawn_kinds()))


@dataclass(frozen=True, slots=True)
class _Places:
    """The places of the panels as shares of the height, which grows with their number."""

    panels: int

    def panel(self, number: int) -> tuple[float, float]:
        """Return foot and top of a panel below the shares, counted from the top."""
        foot = _FIRST_FOOT - _PANEL_STEP * number
        return self.from_foot((foot, foot + _PANEL_HEIGHT))

    def from_foot(self, place: tuple[float, float]) -> tuple[float, float]:
        """Return where a place of the chart lies, whose shares reach up to 1."""
        lowest = _CONDITION_BAND[0]
        if self.panels:
            lowest = _FIRST_FOOT - _PANEL_STEP * (self.panels - 1)
        low, high = ((at - lowest) / (1 - lowest) for at in place)
        return low, high


def _say(macro: str, *values: object) -> str:
    return _MACROS.say("trends", macro, *values)


def _places(data: TrendData) -> _Places:
    return _Places(len(data.panels()))


def vertical_axis(panel: int) -> str:
    """Return the name of the vertical axis of a panel; ``y`` is that of the shares."""
    return f"y{panel + 2}"


def trend_layout(data: TrendData, beside: TrendData | None = None) -> dict[str, Any]:
    """Return axes, captions and marks of stimuli of a figure.

    Args:
        data: what is drawn.
        beside: what is drawn in another chart to compare with: both have the same scales.
    """
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
    shares = places.from_foot(_SHARE_DOMAIN)
    layout = {
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "dragmode": "zoom",
        "margin": {"l": 48, "r": 12, "t": 26, "b": 36},
        "xaxis": {
            "type": "date",
            "range": [data.start_ms, data.end_ms],
            # Without a panel the times stand below the marks of the stimuli.
            "anchor": vertical_axis(len(panels) - 1) if panels else "free",
            "position": 0,
            "gridcolor": "var(--chart-grid)",
            "linecolor": "var(--chart-line)",
            "hoverformat": "%a %-d %b, %H:%M:%S"
            if data.trend.bucket_ms < 60_000
            else "%a %-d %b, %H:%M",
        },
        **_upper_times(places, panels),
        "yaxis": grid
        | {
            "domain": shares,
            "range": [0, 1],
            "tickvals": [0, 0.5, 1],
            "ticktext": ["0 %", "50 %", "100 %"],
        },
        "shapes": shapes,
        "annotations": [
            _caption(_say("label", "shares"), shares[1]),
            *(
                _caption(with_unit(translate(panel), _unit_of(panel)), places.panel(number)[1])
                for number, panel in enumerate(panels)
            ),
            *notes,
        ],
    }
    axes = {
        f"yaxis{number + 2}": grid
        | {"domain": places.panel(number), "nticks": 5}
        | ({} if beside is None else {"range": _common_range(panel, data, beside)})
        for number, panel in enumerate(panels)
    }
    return layout | axes


def _upper_times(places: _Places, panels: Sequence[str]) -> dict[str, Any]:
    """Return the axis that writes the times below the shares as well, where panels follow."""
    if not panels:
        return {}
    return {
        "xaxis2": {
            "type": "date",
            "matches": "x",
            "overlaying": "x",
            "anchor": "free",
            "position": places.from_foot(_CONDITION_BAND)[0],
            "side": "bottom",
            "tickmode": "auto",
            "showgrid": False,
            # In one line: below them stands the caption of the next panel.
            "tickformatstops": [
                {"dtickrange": [None, 999], "value": "%H:%M:%S.%L"},
                {"dtickrange": [1000, 59_999], "value": "%H:%M:%S"},
                {"dtickrange": [60_000, 86_399_999], "value": "%H:%M"},
                {"dtickrange": [86_400_000, None], "value": "%-d %b"},
            ],
        }
    }


def _common_range(panel: str, *shown: TrendData) -> list[float]:
    """Return the ends of a scale on which all readings of a panel have room."""
    values = [
        value
        for data in shown
        for kind, vital in data.vitals.items()
        if kind.spec.panel == panel
        for value in (*vital.least, *vital.most)
        if value is not None
    ]
    least, most = min(values), max(values)
    room = _ROOM * (most - least) or 1.0
    return [round(least - room, 3), round(most + room, 3)]


def _unit_of(panel: str) -> str:
    """Return the unit of a panel; its kinds share it."""
    kinds = (*TREND_VITALS, *MovementKind)
    unit: str = next(kind.spec.unit_shown for kind in kinds if kind.spec.panel == panel)
    return unit


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


def _drawn_conditions(data: TrendData) -> list[ConditionInterval]:
    """Return the conditions that are marked: slivers, and very many, would say nothing."""
    least = _LEAST_MARK * (data.end_ms - data.start_ms)
    wide = [one for one in data.conditions if (one.end_ms or data.end_ms) - one.start_ms >= least]
    return wide if len(wide) <= _MOST_CONDITIONS else []


def _condition_marks(data: TrendData) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Mark where stimuli began and ended; too many would only be noise."""
    drawn = _drawn_conditions(data)
    shapes = []
    notes = []
    band = _places(data).from_foot(_CONDITION_BAND)
    for condition in drawn:
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
        # More labels, or shorter stretches, would print over each other.
        if len(drawn) <= 6 and (end - start) * 10 > data.end_ms - data.start_ms:
            notes.append(
                {
                    "text": html.escape(state_name(condition.label)),
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


def trend_chart(
    data: TrendData, beside: TrendData | None = None, *, simulated: bool = False
) -> Chart:
    """Draw emotion shares and vital signs one above the other on one time axis.

    Args:
        data: what is drawn.
        beside: what another chart shows, to be compared with this one.
        simulated: whether all of the data are, which the title then says.
    """
    panels = data.panels()
    traces = [*_share_traces(data.trend), *_empty_trace(data.trend), *_marker_traces(data)]
    of_panel: Counter[str] = Counter()
    for kind in data.drawn_kinds():
        axis = vertical_axis(panels.index(kind.spec.panel))
        # Lines of one panel are distinguished without their colours, too.
        traces += _vital_traces(data.vitals[kind], axis, _DASHES[of_panel[axis] % len(_DASHES)])
        of_panel[axis] += 1
    return Chart(
        id="trend",
        title=_say("title", panels, simulated),
        sentence=_trend_sentence(data),
        figure={"data": traces, "layout": trend_layout(data, beside)},
        columns=_MACROS.sentences("trends", "heads", EMOTIONS, data.drawn_kinds()),
        rows=tuple(_trend_rows(data)),
        time_axis=True,
        height=_HEIGHTS[min(len(panels), len(_HEIGHTS) - 1)],
        axes=(_say("label", "time"), ""),
        caption=_trend_caption(data),
        figures=trend_figures(data),
        held_from=len(EMOTIONS) + 3,
    )


def trend_figures(data: TrendData) -> tuple[Figure, ...]:
    """Return the four numbers of a range: face, expression, heart rate and blood pressure."""
    return (
        _face_figure(data.trend, data.face_ms),
        _commonest(data.trend),
        _mean_figure(data, VitalKind.HEART_RATE),
        _mean_figure(data, VitalKind.SYSTOLIC, VitalKind.DIASTOLIC),
    )


def _face_figure(trend: Trend, face_ms: int | None) -> Figure:
    note = _say("readings", sum(trend.rows))
    if face_ms is not None:
        return Figure(_say("label", "face time"), duration(face_ms), note=note)
    # Of rows that are deleted their sums are kept, and not how long they lasted.
    seen = _say("intervals", sum(1 for rows in trend.rows if rows), len(trend.rows))
    return Figure(_say("label", "intervals"), seen, note=note)


def _commonest(trend: Trend) -> Figure:
    name = _say("label", "expression")
    shares = {
        emotion: weighted_mean(trend.shares[emotion], trend.rows) or 0.0 for emotion in EMOTIONS
    }
    commonest = max(shares, key=lambda emotion: shares[emotion])
    if not shares[commonest]:
        return Figure(name, "–")
    return Figure(name, state_name(commonest), note=_say("share", shares[commonest]))


def _mean_figure(data: TrendData, *kinds: VitalKind) -> Figure:
    """Return the means of kinds that are said together, with a slash between."""
    known = [data.vitals[kind] for kind in kinds if kind in data.drawn_vitals()]
    name = _say("label", kinds[0].value)
    if not known:
        return Figure(name, "–", note=_say("label", "no reading"))
    digits = kinds[0].spec.decimals
    means, ranges = [], []
    for vital in known:
        means.append(decimal(weighted_mean(vital.mean, vital.n) or 0.0, digits))
        least, most = _ends(vital)
        ranges.append(f"{decimal(least, digits)}–{decimal(most, digits)}")
    if len(known) < len(kinds):
        name = f"{name}, {vital_short(known[0].kind)}"
    return Figure(name, "/".join(means), unit_of(kinds[0]), " / ".join(ranges))


def _trend_caption(data: TrendData) -> str:
    """Say below a picture what its colours, lines and bands are, and of how many readings."""
    lengths = {data.vitals[kind].bucket_ms for kind in data.drawn_kinds()}
    return _say("caption", [data.trend], bool(_drawn_conditions(data)), lengths)


def shares_caption(*trends: Trend) -> str:
    """Say below a picture what its bars are, how long each is, and of how many readings."""
    return _say("shares_caption", trends)


def named_shares(trend: Trend) -> dict[str, Sequence[float | None]]:
    shares: dict[str, Sequence[float | None]]
    shares = {emotion.value: trend.shares[emotion] for emotion in EMOTIONS}
    return shares | {"uncertain": trend.uncertain}


def _share_traces(trend: Trend) -> list[dict[str, Any]]:
    """Stack the shares as steps, which keep every bucket's width.

    A bucket without rows is an empty place.
    """
    # One edge more than buckets: drawn as steps, the last one needs an end.
    edges = [*trend.starts, trend.end_ms]
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": translate(name),
            "meta": name,
            "x": edges,
            # A stack cannot have gaps, so an empty bucket is drawn as 0 and told as empty.
            "y": [*(round(value or 0.0, 4) for value in values), 0.0],
            "stackgroup": "shares",
            "line": {"width": 0, "shape": "hv"},
            "fillcolor": f"var(--emotion-{name})",
        }
        for name, values in named_shares(trend).items()
        if any(values)
    ]


def _empty_trace(trend: Trend) -> list[dict[str, Any]]:
    """Fill hatched, as a part of the stack, where no face was seen or nothing was recorded."""
    if all(trend.rows):
        return []
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": _say("label", "empty"),
            "meta": "no-face",
            "x": [*trend.starts, trend.end_ms],
            "y": [*(0.0 if rows else 1.0 for rows in trend.rows), 0.0],
            "stackgroup": "shares",
            "line": {"width": 0, "shape": "hv"},
            "fillcolor": "var(--surface)",
            "fillpattern": {
                "shape": "/",
                "size": 7,
                "solidity": 0.25,
                "fgcolor": "var(--hatch)",
                "bgcolor": "var(--surface)",
                "fillmode": "replace",
            },
            "hoverinfo": "skip",
        }
    ]


def _marker_traces(data: TrendData) -> list[dict[str, Any]]:
    """Draw notes and baseline markers at the top of the shares, told when pointed at."""
    if not data.markers:
        return []
    words = [_say("marker", marker) for marker in data.markers]
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": _say("label", "marker"),
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


def _vital_traces(vital: VitalTrend, axis: str, dash: str) -> list[dict[str, Any]]:
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
        line_y += [*(_two_decimals(vital.mean[index]) for index in run), None]
        # A single bucket encloses no area.
        if len(run) > 1:
            band_x += [*middles, *reversed(middles), None]
            band_y += [
                *(_two_decimals(vital.most[i]) for i in run),
                *(_two_decimals(vital.least[i]) for i in reversed(run)),
                None,
            ]
    if not line_x:
        return []
    spec = vital.kind.spec
    # by "meta" the page finds the line of a vital in every language
    shared = {"type": "scatter", "meta": spec.short_name, "yaxis": axis}
    band = shared | {
        "mode": "lines",
        "showlegend": False,
        "name": _say("band", vital.kind),
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
        "line": {"color": f"var({spec.colour})", "width": 1.8, "dash": dash},
        "marker": {"color": f"var({spec.colour})", "size": 3.5},
        "connectgaps": False,
    }
    return [band, mean]


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
    shares = sorted(
        (
            (weighted_mean(values, trend.rows) or 0.0, name)
            for name, values in named_shares(trend).items()
        ),
        reverse=True,
    )
    vitals = [
        (kind, weighted_mean(vital.mean, vital.n), *_ends(vital))
        for kind in data.drawn_kinds()
        if (vital := data.vitals[kind])
    ]
    marks = sorted(Counter(marker.kind.value for marker in data.markers).items())
    shown = [(share, name) for share, name in shares if share >= _LEAST_SHARE]
    return _say("sentence", trend, shown, vitals, data.lacking(), marks)


def _ends(vital: VitalTrend) -> tuple[float, float]:
    """Return the lowest and the highest reading."""
    least = min(value for value in vital.least if value is not None)
    return least, max(value for value in vital.most if value is not None)


def _trend_rows(data: TrendData) -> Iterator[tuple[str, ...]]:
    """Yield one row of the table for each bucket that holds anything.

    Vitals join by the start of their bucket.
    """
    trend = data.trend
    readings = {kind: _by_start(vital) for kind, vital in data.vitals.items()}
    # Vitals may have buckets without a face, and faces such without a reading.
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


def _two_decimals(value: float | None) -> float | None:
    if value is None:
        return None
    return round(value, 2)


def weighted_mean(values: Sequence[float | None], counts: Sequence[int]) -> float | None:
    total = sum(counts)
    if not total:
        return None
    return sum((value or 0.0) * n for value, n in zip(values, counts, strict=True)) / total
