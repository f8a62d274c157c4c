"""Tables and charts of how often a model is right, from its card."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dashboard.charts.chart import Chart
from dashboard.languages.figures import between, by_locale, percent, thousands
from dashboard.languages.macros import Macros
from edge_agent.core.expression import EMOTIONS
from edge_agent.vision.models.card import ModelCard

_MACROS = Macros(Path(__file__).parent)
_HEAD = "PublicTest, FER+ majority"
_BIN = re.compile(rf"{re.escape(_HEAD)}, probability (?P<range>0\.\d\d to [01]\.\d\d)")
_LOSS = "ferplus_loss"
SHADES = 10
"""Steps of colour of a confusion matrix."""


@dataclass(frozen=True, slots=True)
class ConfusionCell:
    """Faces of one category that were read as one category.

    Attributes:
        n: how many.
        shade: share of the row, in steps from 0 to `SHADES`.
        is_right: both categories are the same.
    """

    n: int
    shade: int
    is_right: bool


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """Recall and precision of one category.

    Attributes:
        name: the category.
        recall: share of its faces that are read as it.
        precision: share of the faces read as it that are it.
        n: its faces.
        cells: what they were read as, in the order of all categories; empty where it is not known.
    """

    name: str
    recall: float
    precision: float
    n: int
    cells: tuple[ConfusionCell, ...]


@dataclass(frozen=True, slots=True)
class RobustnessRow:
    """The cost of a change of the picture: accuracy and loss in points of a hundred."""

    name: str
    accuracy: float
    loss: float


def category_rows(card: ModelCard) -> tuple[CategoryRow, ...]:
    """Return a row for each category that the card has figures of, in our order."""
    names = [emotion.value for emotion in EMOTIONS]
    rows = []
    for name in names:
        figures = card.metrics.get(f"{_HEAD}, {name}", {})
        if not {"recall", "precision", "n"} <= figures.keys():
            # Cards of other makers may lack some of the figures.
            continue
        counts = card.metrics.get(f"{_HEAD}, {name}, read as", {})
        cells = _cells(name, {key: int(counts.get(key, 0)) for key in names}) if counts else ()
        rows.append(
            CategoryRow(
                name,
                float(figures["recall"]),
                float(figures["precision"]),
                int(figures["n"]),
                cells,
            )
        )
    return tuple(rows)


def robustness_rows(card: ModelCard) -> tuple[RobustnessRow, ...]:
    """Return what each change of the pictures costs, in the order of the card."""
    return tuple(
        RobustnessRow(
            name.removeprefix("PublicTest, "),
            float(figures["ferplus_accuracy"]),
            float(figures[_LOSS]),
        )
        for name, figures in card.metrics.items()
        if {_LOSS, "ferplus_accuracy"} <= figures.keys()
    )


def reliability_chart(card: ModelCard) -> Chart | None:
    """Return the reliability diagram; ``None`` where the card has no figures for it."""
    bins = [
        (match["range"], figures)
        for name, figures in card.metrics.items()
        if (match := _BIN.fullmatch(name)) is not None
    ]
    if not bins:
        return None
    xs = [figures["confidence"] for _, figures in bins]
    ys = [figures["accuracy"] for _, figures in bins]
    faces = [int(figures["n"]) for _, figures in bins]
    error = card.metrics.get("PublicTest", {}).get("ferplus_calibration_error")
    points = {
        "type": "scatter",
        "x": xs,
        "y": ys,
        "customdata": faces,
        "mode": "lines+markers",
        "line": {"color": "var(--accent)", "width": 2},
        "marker": {"color": "var(--accent)", "size": 8},
        "hovertemplate": f"{_MACROS.say('models', 'point')}<extra></extra>",
        "showlegend": False,
    }
    ideal = {
        "type": "scatter",
        "x": [0, 1],
        "y": [0, 1],
        "mode": "lines",
        "line": {"color": "var(--chart-line)", "width": 1.5, "dash": "dash"},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    rows = tuple(
        (_range(of), thousands(n), percent(x, 1), percent(y, 1))
        for (of, _), n, x, y in zip(bins, faces, xs, ys, strict=True)
    )
    return Chart(
        f"reliability-{card.name}",
        _MACROS.say("models", "title", card.name),
        _MACROS.say("models", "sentence", card.name, sum(faces), error),
        {"data": [ideal, points], "layout": _layout()},
        _MACROS.sentences("models", "heads"),
        rows,
    )


def _range(of: str) -> str:
    """Return a bin of a card, such as ``0.27 to 0.33``, in the language in use."""
    low, high = of.split(" to ")
    return between(by_locale(low), by_locale(high))


def _cells(name: str, counts: dict[str, int]) -> tuple[ConfusionCell, ...]:
    # At least 1: a card may give no counts.
    whole = max(sum(counts.values()), 1)
    return tuple(
        ConfusionCell(n, round(SHADES * n / whole), label == name) for label, n in counts.items()
    )


def _layout() -> dict[str, object]:
    axis = {
        "range": [0, 1.02],
        "tickformat": ".0%",
        "dtick": 0.2,
        "gridcolor": "var(--chart-grid)",
        "linecolor": "var(--chart-line)",
        "zeroline": False,
    }
    across, up = _MACROS.sentences("models", "axes")
    return {
        "xaxis": axis | {"title": {"text": across}},
        "yaxis": axis | {"title": {"text": up}},
        "margin": {"l": 64, "r": 16, "t": 12, "b": 52},
    }
