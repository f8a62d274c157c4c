"""What was measured of the whole chain, as text for people, as JSON, and as tables in CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict

from training.data.datasets import EXPRESSIONS
from training.measuring.chain import (
    BOX,
    CENTRED,
    CHAIN,
    LABELS,
    YUNET,
    ChainAnswers,
    ChainReport,
    Deviations,
    Spread,
)
from training.measuring.compare import McNemar
from training.measuring.tables import figures_text

WAYS = {
    CHAIN: "the agent's detector and crop",
    BOX: "the detector's box alone, upright",
    YUNET: "YuNet's landmarks",
    CENTRED: "one cut for all photographs",
}
"""Way of cropping → what it is, for people."""


def chain_json(report: ChainReport) -> dict[str, object]:
    """Plain values for ``json``: the figures of the chain, and of the other crops.

    Those are under ``crops``.
    """
    chain = report.answers[CHAIN]
    tests = report.tests
    return {
        "model": report.model,
        "detector": report.detector,
        **_answers_json(chain),
        "crops": {
            name: {"what": WAYS[name], **_answers_json(answers), "test": _test_json(tests[name])}
            for name, answers in report.answers.items()
            if name != CHAIN
        },
        "deviations": None if report.deviations is None else asdict(report.deviations),
    }


def chain_text(report: ChainReport) -> str:
    """The crops side by side, the deviations of the landmarks, and the chain by category."""
    chain = report.answers[CHAIN]
    count = int(chain.has_face.sum())
    counts = (
        f"{len(report.files)} photographs, a face found in {count} "
        f"({count / len(report.files):.1%})"
    )
    parts = [
        f"{report.model} behind {report.detector}: {counts}",
        _ways_text(report),
        "" if report.deviations is None else _deviations_text(report.deviations),
        figures_text("whole chain", chain.figures),
    ]
    return "\n\n".join(part for part in parts if part)


def chain_tables(report: ChainReport) -> dict[str, bytes]:
    """File name → content: a confusion matrix for each crop, and the chain's answers."""
    files = {
        f"confusion-{name}.csv": _confusion(answers) for name, answers in report.answers.items()
    }
    chain = report.answers[CHAIN]
    rows = zip(report.files, chain.truth, chain.predicted, chain.shares, strict=True)
    files["photographs.csv"] = _csv(
        [
            ("file", "emotion", "said", *EXPRESSIONS),
            *(
                (file, EXPRESSIONS[is_], LABELS[predicted], *(f"{p:.4f}" for p in row))
                for file, is_, predicted, row in rows
            ),
        ]
    )
    return files


def _answers_json(answers: ChainAnswers) -> dict[str, object]:
    figures = answers.figures.as_json()
    return {
        "n": figures.pop("n"),
        "faces_found": int(answers.has_face.sum()),
        "label_probability": answers.label_probability,
        **figures,
    }


def _test_json(test: McNemar) -> dict[str, object]:
    return {"only_chain_right": test.only_first, "only_this_right": test.only_second, "p": test.p}


def _ways_text(report: ChainReport) -> str:
    """One row for each way of cropping: faces, accuracy, recalls, test against the chain."""
    present = [name for name in EXPRESSIONS if report.answers[CHAIN].figures.per_class[name].n > 0]
    head = f"{'recall by way of cropping':<34} {'found':>6} {'right':>6} " + " ".join(
        f"{n[:9]:>9}" for n in present
    )
    lines = [f"{head}  right only here : only in the chain"]
    for name, answers in report.answers.items():
        figures = answers.figures
        recalls = " ".join(f"{figures.per_class[label].recall:>9.3f}" for label in present)
        line = (
            f"{WAYS[name]:<34} {int(answers.has_face.sum()):>6} {figures.accuracy:>6.1%} {recalls}"
        )
        if name != CHAIN:
            test = report.tests[name]
            line += f"  {test.only_second} : {test.only_first} (p = {test.p:.2g})"
        lines.append(line)
    return "\n".join(lines)


def _deviations_text(deviations: Deviations) -> str:
    def row(what: str, spread: Spread, factor: float, unit: str) -> str:
        values = (
            f"{spread.median * factor:>8.1f} {spread.p90 * factor:>8.1f} "
            f"{spread.bias * factor:>+8.1f}"
        )
        return f"{what:<34} {values}  {unit}"

    eyes = deviations.landmarks
    return "\n".join(
        [
            (
                f"{f'chain against YuNet, {deviations.faces} faces':<34} {'median':>8} {'p90':>8} "
                f"{'bias':>8}"
            ),
            (
                f"{'landmarks':<34} {eyes.median:>8.1%} {eyes.p90:>8.1%} {'':>8}  "
                "of the distance of the eyes"
            ),
            row("size of the face in the crop", deviations.scale, 100, "%"),
            row("turn of the face in the crop", deviations.roll, 1, "degrees"),
            row("shift of the face, across", deviations.across, 100, "% of the crop"),
            row("shift of the face, down", deviations.down, 100, "% of the crop"),
            f"of a turn of the head the chain's landmarks follow {deviations.roll_followed:.0%}",
        ]
    )


def _confusion(answers: ChainAnswers) -> bytes:
    figures = answers.figures
    rows = zip(figures.labels, figures.confusion_matrix, strict=True)
    return _csv([("is / said", *figures.labels), *((label, *row) for label, row in rows)])


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
