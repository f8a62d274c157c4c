"""The specification curve: estimates in rising order, and below them the choices of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.analysis.present.multiverse.schemas import CurveModel, EstimateModel
from dashboard.analysis.present.text import interval_text, number, p_text, unit_of, vital_name
from dashboard.charts.chart import Chart, Height
from dashboard.languages.current import N_, gettext
from dashboard.languages.names import inside, state_name

_SHARE = 0.52
"""How much of the height the estimates take; the choices have the rest."""

_CONCLUSIONS = {
    "higher": N_("a rise is shown"),
    "lower": N_("a fall is shown"),
    "not_shown": N_("no difference shown"),
}


def curve_chart(curve: CurveModel) -> Chart | None:
    """Draw one comparison; ``None`` where no set of choices gives a test."""
    tested = [one for one in curve.estimates if one.p is not None and one.difference is not None]
    if not tested:
        return None
    ordered = sorted(tested, key=lambda one: (one.difference or 0.0, one.specification))
    rows = [(share.name, share.value) for share in curve.by_choice]
    unit = unit_of(curve.vital)
    first = state_name(curve.first)
    explained = gettext(
        "Each column is one set of choices, from the smallest difference to the largest, with its "
        "95 % interval; the dots below say what was chosen."
    )
    return Chart(
        id="multiverse-curve",
        title=f"{vital_name(curve.vital)}, {first} − {state_name(curve.second)}, {unit}",
        sentence=f"{curve.sentence} {explained}",
        figure={
            "data": [*_estimates(ordered, curve), *_choices(ordered, rows)],
            "layout": _layout(rows, len(ordered)),
        },
        columns=(
            gettext("set"),
            gettext("choices"),
            "n",
            gettext("difference, {unit}").format(unit=unit),
            gettext("95 % CI"),
            gettext("adjusted p"),
            gettext("conclusion"),
        ),
        rows=tuple(_row(one) for one in ordered),
        height=_height(len(rows)),
    )


def _height(rows: int) -> Height:
    if rows > 11:
        return "tall-1"
    return "tall" if rows > 5 else "large"


def _estimates(ordered: Sequence[EstimateModel], curve: CurveModel) -> list[dict[str, Any]]:
    """Return the estimates by what they come to, told apart by shape as well as by colour."""
    colour = f"var({curve.vital.spec.colour})"
    placed = list(enumerate(ordered))
    shown = [(place, one) for place, one in placed if one.conclusion != "not_shown"]
    others = [(place, one) for place, one in placed if one.conclusion == "not_shown"]
    declared = [(place, one) for place, one in placed if one.declared]
    full = {"color": colour, "size": 7, "symbol": "square"}
    empty = {
        "color": "var(--surface)",
        "size": 7,
        "symbol": "circle",
        "line": {"color": "var(--text-soft)", "width": 1.5},
    }
    ring = {
        "color": "var(--text)",  # of an open symbol this is the line
        "size": 17,
        "symbol": "diamond-open",
        "line": {"width": 2},
    }
    traces = (
        (gettext("a difference is shown"), shown, full, colour),
        (gettext("no difference shown"), others, empty, "var(--chart-line)"),
    )
    return [
        *(_trace(name, own, marker, line) for name, own, marker, line in traces if own),
        {**_trace(gettext("declared"), declared, ring, ""), "error_y": {"visible": False}},
    ]


def _trace(
    name: str, placed: Sequence[tuple[int, EstimateModel]], marker: Mapping[str, Any], line: str
) -> dict[str, Any]:
    ends = [
        (one.interval.low, one.interval.high) if one.interval else (0.0, 0.0) for _, one in placed
    ]
    values = [one.difference or 0.0 for _, one in placed]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [place for place, _ in placed],
        "y": [round(value, 4) for value in values],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [
                round(high - value, 4) for value, (_, high) in zip(values, ends, strict=True)
            ],
            "arrayminus": [
                round(value - low, 4) for value, (low, _) in zip(values, ends, strict=True)
            ],
            "color": line,
            "thickness": 1.3,
            "width": 0,
        },
        "marker": dict(marker),
        "customdata": [_words(one) for _, one in placed],
        "hovertemplate": "%{y:.2f}<br>%{customdata}",
    }


def _choices(
    ordered: Sequence[EstimateModel], rows: Sequence[tuple[str, str]]
) -> list[dict[str, Any]]:
    """Return the dots below: which choices each set takes."""
    heights = {row: -place for place, row in enumerate(rows)}
    dots = [
        (place, heights[choice.name, choice.value])
        for place, one in enumerate(ordered)
        for choice in one.choices
        if (choice.name, choice.value) in heights
    ]
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": gettext("chosen"),
            "x": [place for place, _ in dots],
            "y": [height for _, height in dots],
            "yaxis": "y2",
            "marker": {"color": "var(--text-soft)", "size": 5, "symbol": "square"},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]


def _layout(rows: Sequence[tuple[str, str]], columns: int) -> dict[str, Any]:
    names = []
    before = ""
    for name, value in rows:
        # no bold: Plotly would style it inline, which our content security policy forbids
        names.append(value if name == before else f"{name}:<br>{value}")
        before = name
    return {
        "hovermode": "closest",
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "xaxis": {
            "range": [-0.8, columns - 0.2],
            "showticklabels": False,
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
            "anchor": "y2",
        },
        "yaxis": {
            "domain": [1 - _SHARE if rows else 0.0, 1.0],
            "gridcolor": "var(--chart-grid)",
            "zeroline": True,
            "zerolinecolor": "var(--text)",
            "zerolinewidth": 1.5,
            "automargin": True,
            "nticks": 6,
            "fixedrange": True,
        },
        "yaxis2": {
            "domain": [0.0, 1 - _SHARE - 0.04],
            "tickvals": [-place for place in range(len(rows))],
            "ticktext": names,
            "tickfont": {"size": 11},
            "range": [0.7 - len(rows), 0.7],
            "automargin": True,
            "showgrid": True,
            "gridcolor": "var(--chart-grid)",
            "zeroline": False,
            "fixedrange": True,
        },
    }


def _words(one: EstimateModel) -> str:
    chosen = "<br>".join(f"{choice.name}: {choice.value}" for choice in one.choices)
    return f"{_conclusion(one)}<br>{chosen}"


def _conclusion(one: EstimateModel) -> str:
    if one.conclusion not in _CONCLUSIONS:
        return ""
    return gettext(_CONCLUSIONS[one.conclusion])


def _row(one: EstimateModel) -> tuple[str, ...]:
    chosen = "; ".join(f"{inside(choice.name)}: {choice.value}" for choice in one.choices)
    ends = one.interval
    return (
        _number_of(one),
        chosen or "–",
        str(one.n),
        number(one.difference or 0.0),
        "" if ends is None else interval_text(ends.low, ends.high),
        "" if one.adjusted_p is None else p_text(one.adjusted_p),
        _conclusion(one),
    )


def _number_of(one: EstimateModel) -> str:
    if one.declared:
        return gettext("{n} (declared)").format(n=one.specification)
    return str(one.specification)
