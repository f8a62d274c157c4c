"""Figures of a model: PNG pictures and the CSV tables behind them, plain text, pages of HTML.

The same figures give the same bytes. A page stands alone: headings, tables, pictures; light and
dark.
"""

from __future__ import annotations

import base64
import html
import io
import itertools
from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from training.errors import csv_bytes
from training.report.calibration import Answered, ModelCalibration
from training.report.evaluate import PROTOCOLS, Evaluation, Figures
from training.report.measure import MeasuredModel, int8_loss
from training.report.robustness import DegradationCost, Group, worst

_DPI = 110
_COLOURS = 64
_INK = "#1b2733"
_ACCENT = "#1f6fb2"
_SOFT = "#c9d6e2"
_WIDTH = 24
_GROUPS: dict[Group, str] = {
    "main": "",
    "harsh": "harsher than a camera",
    "covered": "half of the face covered",
}
FACES_STYLE = """
.faces { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0; list-style: none; }
.faces img { width: 96px; image-rendering: pixelated; margin-right: 4px; vertical-align: top; }
.faces li { width: 14rem; overflow-wrap: anywhere; }
.faces span { display: block; }
"""
"""Rules for :func:`html_faces`."""
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
  color: #1b2733; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border-bottom: 1px solid #c9d6e2; padding: .3rem .7rem; text-align: left; }
td:not(:first-child), th:not(:first-child) { text-align: right; }
.wide { overflow-x: auto; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; }
@media (prefers-color-scheme: dark) { body { color: #e6edf3; background: #14191f; }
  img { background: #fff; } }
"""


def artefacts(measured: MeasuredModel) -> dict[str, bytes]:
    """File name → content of every figure and table of what was measured."""
    files: dict[str, bytes] = {}
    for name, figures in measured.evaluation.by_protocol.items():
        files[f"confusion-{name}.png"] = confusion_png(
            figures, f"{PROTOCOLS[name]}, {measured.usage}"
        )
        files[f"confusion-{name}.csv"] = confusion_csv(figures)
        files[f"reliability-{name}.csv"] = _reliability_csv(measured.calibration[name])
    leading = next(iter(measured.calibration))
    files["reliability.png"] = reliability_png(
        measured.calibration[leading], f"{PROTOCOLS[leading]}, {measured.usage}"
    )
    if measured.confidence is not None:
        confidence = measured.confidence
        files["risk-coverage.png"] = risk_coverage_png(
            confidence.curve, confidence.answered, f"FER+ majority, {measured.usage}"
        )
        curve = [
            (f"{p.threshold:.2f}", f"{p.coverage:.4f}", f"{p.accuracy:.4f}")
            for p in confidence.curve
        ]
        files["risk-coverage.csv"] = csv_bytes([("threshold", "coverage", "accuracy"), *curve])
    if measured.robustness:
        names = list(measured.evaluation.by_protocol)
        each = (f"{n}_{what}" for n in names for what in ("accuracy", "loss_points"))
        table = [["change", "what it does", "group", *each]]
        for row in measured.robustness:
            costs = [(f"{row.accuracy[n]:.4f}", f"{row.loss[n]:.2f}") for n in names]
            table.append([row.name, row.does, row.group, *itertools.chain.from_iterable(costs)])
        files["robustness.csv"] = csv_bytes(table)
    return files


def confusion_csv(figures: Figures) -> bytes:
    """Return the confusion matrix: a row is a truth, a column an answer."""
    rows = zip(figures.labels, figures.confusion_matrix, strict=True)
    return csv_bytes([("is / said", *figures.labels), *((label, *row) for label, row in rows)])


def confusion_png(figures: Figures, title: str) -> bytes:
    """Return the confusion matrix: counts, shaded by their share of the row."""
    counts = np.array(figures.confusion_matrix)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    def draw(axes: Axes) -> None:
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        places = range(len(figures.labels))
        axes.set_xticks(places, figures.labels, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(
            places,
            [f"{name} ({n})" for name, n in zip(figures.labels, counts.sum(axis=1), strict=True)],
        )
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for row in places:
            for column in places:
                colour = "white" if share[row, column] > 0.55 else _INK
                axes.text(
                    column,
                    row,
                    f"{counts[row, column]}",
                    ha="center",
                    va="center",
                    color=colour,
                    fontsize=8,
                )
        axes.set_xlabel("said")
        axes.set_ylabel("is")
        axes.set_title(f"{title}: {100 * figures.accuracy:.2f} % right", fontsize=10)

    return _png(draw, (5.6, 5.0))


def reliability_png(calibration: ModelCalibration, title: str) -> bytes:
    """Draw accuracy by confidence beside the line on which a perfectly calibrated model lies."""
    full = [one for one in calibration.bins if one.n > 0]

    def draw(axes: Axes) -> None:
        width = full[0].upper - full[0].lower
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=1, linestyle="--", label="as sure as right")
        axes.bar(
            [one.lower for one in full],
            [one.accuracy for one in full],
            width=width,
            align="edge",
            color=_SOFT,
            edgecolor="white",
            label="share right",
        )
        sizes = [4 + 120 * one.n / calibration.n for one in full]
        axes.scatter(
            [one.confidence for one in full],
            [one.accuracy for one in full],
            s=sizes,
            color=_ACCENT,
            zorder=3,
            label="mean confidence (area: faces)",
        )
        axes.set(
            xlim=(0, 1),
            ylim=(0, 1.02),
            xlabel="probability of the answer",
            ylabel="share of the answers that are right",
        )
        axes.set_title(f"{title}: expected calibration error {calibration.error:.3f}", fontsize=10)
        axes.legend(loc="upper left", fontsize=8, frameon=False)
        _plain(axes)

    return _png(draw, (5.0, 4.4))


def risk_coverage_png(curve: Sequence[Answered], chosen: Answered, title: str) -> bytes:
    """Draw the accuracy of answers by the share of faces that get one, and the card's threshold."""
    given = [point for point in curve if point.coverage > 0]
    coverage = 100 * chosen.coverage
    accuracy = 100 * chosen.accuracy

    def draw(axes: Axes) -> None:
        axes.plot(
            [p.coverage for p in given], [p.accuracy for p in given], color=_ACCENT, linewidth=2
        )
        axes.scatter([chosen.coverage], [chosen.accuracy], color=_INK, zorder=3)
        axes.annotate(
            f"uncertain below {chosen.threshold:.2f}:\n{coverage:.2f} % answered, {accuracy:.2f} % "
            "right",
            (chosen.coverage, chosen.accuracy),
            xytext=(-12, -14),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=9,
            color=_INK,
        )
        lowest = min(point.accuracy for point in given)
        axes.set(xlim=(0, 1.01), ylim=(max(0.0, lowest - 0.08), 1.005))
        axes.set(
            xlabel="share of the faces that get an answer",
            ylabel="share of the answers that are right",
        )
        axes.set_title(title, fontsize=10)
        _plain(axes)

    return _png(draw, (5.0, 3.8))


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=_SOFT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)


def _png(draw: Callable[[Axes], None], inches: tuple[float, float]) -> bytes:
    """Draw on one pair of axes; the picture keeps few colours, so that it stays small."""
    figure = Figure(figsize=inches, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure.add_subplot())
    drawn = io.BytesIO()
    small = io.BytesIO()
    figure.savefig(drawn, format="png")
    picture = Image.open(drawn).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    picture.save(small, format="PNG", optimize=True)
    return small.getvalue()


def _reliability_csv(calibration: ModelCalibration) -> bytes:
    rows = [
        (f"{b.lower:.4f}", f"{b.upper:.4f}", b.n, f"{b.confidence:.4f}", f"{b.accuracy:.4f}")
        for b in calibration.bins
    ]
    return csv_bytes([("lower", "upper", "n", "confidence", "accuracy"), *rows])


def measured_text(measured: MeasuredModel) -> str:
    """Return what was measured as text: headline, confidence and cost.

    Then the robustness; then each protocol by category.
    """
    card = measured.card
    parts = [
        f"{card.name} {card.version} on {measured.usage}\n\n{_headline(measured)}",
        _confidence(measured),
    ]
    parts.append(_cost(measured))
    if measured.robustness:
        parts.append(robustness_text(measured.robustness, measured.evaluation))
    parts.append(evaluation_text(measured.evaluation))
    return "\n\n".join(part for part in parts if part)


def evaluation_text(evaluation: Evaluation) -> str:
    """Return each protocol as a table of categories and a confusion matrix."""
    return "\n\n".join(
        figures_text(PROTOCOLS[name], figures) for name, figures in evaluation.by_protocol.items()
    )


def figures_text(protocol: str, figures: Figures) -> str:
    """Return one protocol: headline, categories, confusion matrix (row: truth, column: answer)."""
    lines = [
        (
            f"{protocol}: {figures.accuracy:.1%} of {figures.n} pictures right, macro F1 "
            f"{figures.macro_f1:.3f}"
        ),
        f"{'':<10} {'precision':>9} {'recall':>7} {'F1':>7} {'n':>6}",
    ]
    lines += [
        f"{name:<10} {one.precision:>9.3f} {one.recall:>7.3f} {one.f1:>7.3f} {one.n:>6}"
        for name, one in figures.per_class.items()
    ]
    lines.append(f"{'is / said':<10}" + "".join(f" {name:>9}" for name in figures.labels))
    for name, row in zip(figures.labels, figures.confusion_matrix, strict=True):
        lines.append(f"{name:<10}" + "".join(f" {count:>9}" for count in row))
    return "\n".join(lines)


def robustness_text(rows: Sequence[DegradationCost], evaluation: Evaluation) -> str:
    """Return each change with its accuracy and the points it costs, by protocol."""
    names = list(evaluation.by_protocol)
    lines = [
        f"{'when the crop is':<{_WIDTH}}"
        + "".join(f" {PROTOCOLS[name]:>14} {'loses':>6}" for name in names)
    ]
    lines.append(
        f"{'as it should be':<{_WIDTH}}"
        + "".join(
            f" {figures.accuracy:>14.1%} {'':>6}" for figures in evaluation.by_protocol.values()
        )
    )
    for group, title in _GROUPS.items():
        lines += [f"  {title}:"] if title else []
        for row in (row for row in rows if row.group == group):
            cells = "".join(
                f" {row.accuracy[name]:>14.1%} {row.loss[name]:>6.1f}" for name in names
            )
            lines.append(f"{row.name:<{_WIDTH}}" + cells)
    for name in names:
        row = worst(rows, name)
        lines.append(
            f"worst for {PROTOCOLS[name]}, cover and harsher light aside: {row.name}, "
            f"{row.loss[name]:.1f} points"
        )
    return "\n".join(lines)


def _headline(measured: MeasuredModel) -> str:
    """Return one column for each protocol."""
    names = list(measured.evaluation.by_protocol)
    figures = measured.evaluation.by_protocol
    rows = [
        ("", [PROTOCOLS[name] for name in names]),
        ("pictures", [f"{figures[name].n:,}" for name in names]),
        ("right", [f"{figures[name].accuracy:.2%}" for name in names]),
        ("macro F1", [f"{figures[name].macro_f1:.3f}" for name in names]),
        ("weakest recall", [_weakest(figures[name]) for name in names]),
        ("calibration error", [f"{measured.calibration[name].error:.3f}" for name in names]),
    ]
    if measured.without_copies is not None:
        fresh = measured.without_copies.by_protocol
        cells = [
            f"{fresh[name].accuracy:.2%} of {fresh[name].n:,}" if name in fresh else "none"
            for name in names
        ]
        rows.append(("right, copies left out", cells))
    if loss := int8_loss(measured):
        exact = measured.float_figures
        rows.append(
            (
                "right before int8 (card)",
                [f"{exact[f'{n}_accuracy']:.2%}" if n in loss else "" for n in names],
            )
        )
        rows.append(("int8 loses (points)", [f"{loss[n]:.2f}" if n in loss else "" for n in names]))
    return "\n".join(
        f"{title:<{_WIDTH}}" + "".join(f" {cell:>19}" for cell in cells) for title, cells in rows
    )


def _weakest(figures: Figures) -> str:
    name, one = min(
        ((name, one) for name, one in figures.per_class.items() if one.n > 0),
        key=lambda item: item[1].recall,
    )
    return f"{name} {one.recall:.2f}"


def _confidence(measured: MeasuredModel) -> str:
    confidence = measured.confidence
    if confidence is None:
        return ""
    halves = "; ".join(
        f"half {name} {half.calibration_error:.3f} of {half.n:,}"
        for name, half in confidence.halves.items()
    )
    answered = confidence.answered
    return (
        f"temperature {measured.card.temperature}: calibration error {halves}\nuncertain below "
        f"{answered.threshold}: {answered.coverage:.1%} of the faces with a majority get an answer "
        f"({confidence.coverage_of_all:.1%} of all), {answered.accuracy:.1%} of these are right"
    )


def _cost(measured: MeasuredModel) -> str:
    card = measured.card
    speed = measured.speed
    text = (
        f"{measured.file_bytes / 1e6:.2f} MB, {card.multiply_adds / 1e6:.1f} million "
        f"multiply-adds, {card.parameters / 1e6:.2f} million parameters"
    )
    if speed is not None:
        text += (
            f", {speed.milliseconds:.2f} ms a face (median of {speed.runs} on this "
            f"{speed.processor})"
        )
    return text


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of text cells; a wide one scrolls by itself."""
    parts = ['<div class="wide"><table><thead><tr>']
    parts += [f'<th scope="col">{html.escape(cell)}</th>' for cell in head]
    parts.append("</tr></thead><tbody>")
    for row in rows:
        parts.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>")
    parts.append("</tbody></table></div>")
    return "\n".join(parts)


def html_faces(faces: Iterable[tuple[Sequence[NDArray[np.uint8]], str]]) -> str:
    """Return a list of entries: one or more small pictures, and what is said of them."""
    parts = ['<ul class="faces">']
    for pictures, words in faces:
        images = "".join(f'<img src="{_as_url(picture)}" alt="">' for picture in pictures)
        parts.append(f"<li>{images}<span>{html.escape(words)}</span></li>")
    parts.append("</ul>")
    return "\n".join(parts)


def _as_url(picture: NDArray[np.uint8]) -> str:
    content = base64.b64encode(cv2.imencode(".png", picture)[1].tobytes()).decode()
    return f"data:image/png;base64,{content}"


def html_page(title: str, body: Sequence[str], style: str = "") -> str:
    """Return a whole document.

    Args:
        title: of the window, plain text.
        body: HTML, in lines.
        style: further rules of CSS.
    """
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}{style}</style></head><body>"
        + "\n".join(body)
        + "</body></html>\n"
    )
