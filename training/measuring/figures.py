"""Figures as small PNG pictures, and the tables behind them as CSV.

The same figures give the same bytes.
"""

import csv
import io
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from training.measuring.calibration import Answered, Calibration
from training.measuring.evaluate import PROTOCOLS
from training.measuring.measure import Measured
from training.measuring.metrics import Figures

_DPI = 110
_COLOURS = 64
_INK = "#1b2733"
_ACCENT = "#1f6fb2"
_SOFT = "#c9d6e2"


def artefacts(measured: Measured) -> dict[str, bytes]:
    """File name → content of every figure and table of what was measured."""
    files: dict[str, bytes] = {}
    for name, figures in measured.evaluation.by_protocol.items():
        files[f"confusion-{name}.png"] = confusion_png(
            figures, f"{PROTOCOLS[name]}, {measured.usage}"
        )
        files[f"confusion-{name}.csv"] = _csv(
            [["is / said", *figures.labels]]
            + [
                [label, *row]
                for label, row in zip(figures.labels, figures.confusion_matrix, strict=True)
            ]
        )
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
        files["risk-coverage.csv"] = _csv(
            [["threshold", "coverage", "accuracy"]]
            + [
                [f"{p.threshold:.2f}", f"{p.coverage:.4f}", f"{p.accuracy:.4f}"]
                for p in confidence.curve
            ]
        )
    if measured.robustness:
        names = list(measured.evaluation.by_protocol)
        head = [
            "change",
            "what it does",
            "group",
            *(f"{n}_{what}" for n in names for what in ("accuracy", "loss_points")),
        ]
        files["robustness.csv"] = _csv(
            [head]
            + [
                [row.name, row.does, row.group]
                + [cell for n in names for cell in (f"{row.accuracy[n]:.4f}", f"{row.loss[n]:.2f}")]
                for row in measured.robustness
            ]
        )
    return files


def confusion_png(figures: Figures, title: str) -> bytes:
    """The confusion matrix: counts, shaded by their share of the row."""
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


def reliability_png(calibration: Calibration, title: str) -> bytes:
    """Accuracy by confidence beside the line on which a perfectly calibrated model lies."""
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
    """Accuracy of the answers by the share of faces that get one, with the card's threshold."""
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


def _reliability_csv(calibration: Calibration) -> bytes:
    rows: list[list[object]] = [["lower", "upper", "n", "confidence", "accuracy"]]
    for one in calibration.bins:
        rows.append(
            [
                f"{one.lower:.4f}",
                f"{one.upper:.4f}",
                one.n,
                f"{one.confidence:.4f}",
                f"{one.accuracy:.4f}",
            ]
        )
    return _csv(rows)


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
