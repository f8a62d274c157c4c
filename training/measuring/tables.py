"""Figures as tables of plain text, for people at a terminal."""

from collections.abc import Sequence

from training.measuring.evaluate import PROTOCOLS, Evaluation
from training.measuring.measure import Measured, int8_loss
from training.measuring.metrics import Figures
from training.measuring.robustness import Group, Row, worst

_WIDTH = 24
_GROUPS: dict[Group, str] = {
    "main": "",
    "harsh": "harsher than a camera",
    "covered": "half of the face covered",
}


def measured_text(measured: Measured) -> str:
    """What was measured: headline, confidence and cost.

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
    """Each protocol as a table of categories and a confusion matrix."""
    return "\n\n".join(
        figures_text(PROTOCOLS[name], figures) for name, figures in evaluation.by_protocol.items()
    )


def figures_text(protocol: str, figures: Figures) -> str:
    """One protocol: headline, categories, and confusion matrix (row = truth, column = answer)."""
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


def robustness_text(rows: Sequence[Row], evaluation: Evaluation) -> str:
    """Each change with its accuracy and the points it costs, by protocol."""
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


def _headline(measured: Measured) -> str:
    """One column for each protocol."""
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


def _confidence(measured: Measured) -> str:
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


def _cost(measured: Measured) -> str:
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
