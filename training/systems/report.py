"""The comparison as Markdown and as one HTML page, with its figures beside them."""

import html
import io
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from training.measuring.compare import McNemar, mcnemar
from training.measuring.covered import COVERS, macro
from training.measuring.evaluate import PROTOCOLS
from training.measuring.figures import confusion_png
from training.publishing.html_page import html_page, html_table
from training.systems.protocol import Comparison, Evaluated, backbone_pairs

MARKDOWN = "systems.md"
PAGE = "systems.html"
CURVES = "curves.png"
MISSED = "all-wrong.png"

_SHOWN = 12
"""Pictures that all get wrong, in the table."""
_SHEET = 40
"""The same on the contact sheet."""
_COLUMNS = 10
_STYLE = ".matrices { display: flex; flex-wrap: wrap; gap: 1rem; }"

_COVERED = (
    f"{'; '.join(f'{cover.name}: {cover.does}' for cover in COVERS)}. Precision, recall and F1 are "
    "means over the categories; points are lost against the same faces with nothing covered."
)

_BACKBONES = (
    "The same backbone with and without regions, on the same covered faces; p by McNemar's exact "
    "test, not corrected for their number."
)

Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def report_files(comparison: Comparison, pictures: NDArray[np.uint8]) -> dict[str, bytes]:
    """File name → content: page, Markdown, curves, a confusion matrix for each system.

    Args:
        comparison: what was measured.
        pictures: uint8, N × 48 × 48, that were evaluated; ``all-wrong.png`` shows some, and is
            for whoever may look at the data: the other files hold no picture.
    """
    files = {f"confusion-{one.name}.png": _matrix(one) for one in comparison.evaluated}
    files[CURVES] = _curves(comparison.evaluated)
    if comparison.missed:
        files[MISSED] = _sheet(comparison, pictures)
    files[MARKDOWN] = _markdown(comparison).encode()
    files[PAGE] = _page(comparison).encode()
    return files


def _systems(comparison: Comparison) -> Table:
    protocols = list(comparison.evaluated[0].figures)
    head = ["system", "begins with"]
    for name in protocols:
        head += [f"{PROTOCOLS[name]}, right", "macro F1"]
    head += ["M parameters", "M multiply-adds", "int8 kB", "ms a face", "epochs", "hours"]
    return head, [_row(one, protocols) for one in comparison.evaluated]


def _row(one: Evaluated, protocols: Sequence[str]) -> list[str]:
    card = one.system.model.card
    cells = [one.name, one.system.base or "random weights"]
    for name in protocols:
        cells += [f"{one.figures[name].accuracy:.2%}", f"{one.figures[name].macro_f1:.3f}"]
    hours = "" if card.training.hours is None else f"{card.training.hours:.2f}"
    return [
        *cells,
        f"{card.parameters / 1e6:.2f}",
        f"{card.multiply_adds / 1e6:.1f}",
        f"{one.file_bytes / 1e3:.0f}",
        f"{one.milliseconds:.3f}",
        f"{card.training.epochs}",
        hours,
    ]


def _tests(tests: Sequence[tuple[str, str, McNemar]]) -> Table:
    head = ("first", "second", "only the first is right", "only the second", "p")
    rows = [
        [one, other, str(test.only_first), str(test.only_second), f"{test.p:.3g}"]
        for one, other, test in tests
    ]
    return head, rows


def _recalls(comparison: Comparison, protocol: str) -> Table:
    labels = comparison.evaluated[0].figures[protocol].labels
    rows = [
        [one.name, *(f"{one.figures[protocol].per_class[label].recall:.2f}" for label in labels)]
        for one in comparison.evaluated
    ]
    return ("recall", *labels), rows


def _covered(comparison: Comparison, protocol: str) -> Table:
    head = ("system", "covered", "right", "precision", "recall", "F1", "points lost")
    rows = []
    for one in comparison.evaluated:
        for row in one.covered:
            figures = row.figures[protocol]
            precision, recall, f1 = macro(figures)
            lost = 100 * (one.figures[protocol].accuracy - figures.accuracy)
            shares = (f"{value:.3f}" for value in (precision, recall, f1))
            rows.append([one.name, row.name, f"{figures.accuracy:.2%}", *shares, f"{lost:.1f}"])
    return head, rows


def _backbones(comparison: Comparison, protocol: str) -> Table:
    head = ("with regions", "without", "covered", "right", "right without", "points", "p")
    rows = []
    for one, other in backbone_pairs(comparison.evaluated):
        for row, bare in zip(one.covered, other.covered, strict=True):
            accuracy = row.figures[protocol].accuracy
            without = bare.figures[protocol].accuracy
            test = mcnemar(row.right[protocol], bare.right[protocol])
            cells = [f"{accuracy:.2%}", f"{without:.2%}", f"{100 * (accuracy - without):+.1f}"]
            rows.append([one.name, other.name, row.name, *cells, f"{test.p:.3g}"])
    return head, rows


def _missed(comparison: Comparison) -> Table:
    head = ("picture", "labelled", *(f"{one.name} says" for one in comparison.evaluated))
    rows = [[str(one.index + 1), one.label, *one.answers] for one in comparison.missed[:_SHOWN]]
    return head, rows


def _parts(comparison: Comparison) -> list[tuple[str, str, Table]]:
    """Heading, sentence and table of each part."""
    count = len(comparison.missed)
    parts = [
        (
            "Systems",
            (
                f"{comparison.title}. Each int8 file went through the agent's runtime, one picture "
                f"at a time; milliseconds are medians on one thread of {comparison.processor}, "
                "measured in turns."
            ),
            _systems(comparison),
        )
    ]
    for name, tests in comparison.tests.items():
        n = tests[0][2].n
        parts.append(
            (
                f"Differences, {PROTOCOLS[name]}",
                (
                    f"McNemar's exact test of each pair on {n:,} pictures; the p are not corrected "
                    f"for {len(tests)} tests."
                ),
                _tests(tests),
            )
        )
        parts.append((f"Recall, {PROTOCOLS[name]}", "", _recalls(comparison, name)))
    for name in comparison.tests:
        parts.append((f"Covered faces, {PROTOCOLS[name]}", _COVERED, _covered(comparison, name)))
        if backbone_pairs(comparison.evaluated):
            title = f"Region attention beside its backbone, {PROTOCOLS[name]}"
            parts.append((title, _BACKBONES, _backbones(comparison, name)))
    if count:
        parts.append(
            (
                "What all get wrong",
                (
                    f"{count:,} pictures by their FER2013 labels; the first {min(count, _SHOWN)}, "
                    "counted from 1 among the pictures evaluated."
                ),
                _missed(comparison),
            )
        )
    return parts


def _markdown(comparison: Comparison) -> str:
    lines = ["# Systems side by side", ""]
    for heading, sentence, (head, rows) in _parts(comparison):
        lines += [f"## {heading}", ""]
        if sentence:
            lines += [sentence, ""]
        lines += [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
        lines.append("")
    lines += ["## Curves", "", f"![Accuracy by epoch]({CURVES})", ""]
    lines += ["## Confusion matrices", ""]
    lines += [f"![{one.name}](confusion-{one.name}.png)" for one in comparison.evaluated]
    return "\n".join(lines) + "\n"


def _page(comparison: Comparison) -> str:
    body = ["<h1>Systems side by side</h1>"]
    for heading, sentence, (head, rows) in _parts(comparison):
        body.append(f"<h2>{html.escape(heading)}</h2>")
        if sentence:
            body.append(f"<p>{html.escape(sentence)}</p>")
        body.append(html_table(head, rows))
    if comparison.missed:
        body.append(f'<img src="{MISSED}" alt="Pictures that all systems get wrong">')
    body.append(f'<h2>Curves</h2><img src="{CURVES}" alt="Accuracy of each system by epoch">')
    body.append('<h2>Confusion matrices</h2><div class="matrices">')
    for one in comparison.evaluated:
        name = html.escape(one.name)
        body.append(f'<img src="confusion-{name}.png" alt="Confusion matrix of {name}">')
    body.append("</div>")
    return html_page("Systems side by side", body, _STYLE)


def _matrix(one: Evaluated) -> bytes:
    """Of FER2013 where there are such labels, as publications show it."""
    protocol = "fer2013" if "fer2013" in one.figures else next(iter(one.figures))
    return confusion_png(one.figures[protocol], one.name)


def _curves(evaluated: Sequence[Evaluated]) -> bytes:
    """Loss while learning and accuracy on the held-back faces, a line a system."""
    figure = Figure(figsize=(11, 4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = (("train_loss", "loss"), ("valid_fer2013_accuracy", "FER2013, held back: right"))
    for (column, title), axes in zip(panels, figure.subplots(1, len(panels)), strict=True):
        for one in evaluated:
            rows = [row for row in one.system.curves if column in row]
            epochs = [row["epoch"] for row in rows]
            axes.plot(epochs, [row[column] for row in rows], label=one.name)
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return drawn.getvalue()


def _sheet(comparison: Comparison, pictures: NDArray[np.uint8]) -> bytes:
    """The first of the pictures that all get wrong, in rows of ten, twice their size."""
    shown = comparison.missed[:_SHEET]
    edge = pictures.shape[1]
    rows = -(-len(shown) // _COLUMNS)
    sheet = np.full((rows * edge, _COLUMNS * edge), 255, dtype=np.uint8)
    for place, one in enumerate(shown):
        top = place // _COLUMNS * edge
        left = place % _COLUMNS * edge
        sheet[top : top + edge, left : left + edge] = pictures[one.index]
    drawn = io.BytesIO()
    Image.fromarray(sheet).resize((2 * sheet.shape[1], 2 * sheet.shape[0])).save(drawn, "PNG")
    return drawn.getvalue()
