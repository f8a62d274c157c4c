"""What came out of own photographs: a page, and the same in words for the terminal."""

import html

import numpy as np

from training.data.datasets import EXPRESSIONS
from training.measuring.compare import Comparison
from training.own.own_model import Doubted, OwnModel
from training.own.problems import categories_of
from training.publishing.html_page import FACES_STYLE, html_faces, html_page, html_table

PAGE = "report.html"
_STYLE = FACES_STYLE + "pre { overflow-x: auto; }"


def report_text(own: OwnModel) -> str:
    """The report for a terminal."""
    lines = [own.verdict]
    if own.doubted:
        lines.append(f"These {len(own.doubted)} look mislabelled; look at them:")
        lines += [f"  {_doubt(one)}" for one in own.doubted]
    lines.append("Put it on the device:")
    lines += [f"  {line}" for line in _install(own)]
    return "\n".join(lines)


def report_page(own: OwnModel) -> bytes:
    """The page. It shows faces, so it is for whoever may look at the photographs."""
    body = [
        "<h1>A model of your own faces</h1>",
        f"<p><strong>{html.escape(own.verdict)}</strong></p>",
        "<h2>Faces</h2>",
        html_table(("category", "faces"), _counts(own)),
    ]
    if own.cut:
        body.append(f"<pre>{html.escape(own.cut)}</pre>")
    body.append("<h2>What is doubtful about them</h2>")
    if own.problems:
        body.append("<ul>" + "".join(f"<li>{html.escape(each)}" for each in own.problems) + "</ul>")
    else:
        body.append("<p>Nothing was found.</p>")
    body.append("<h2>Beside the shipped model, on faces that fitted nothing</h2>")
    body.append(_side_by_side(own.comparison))
    if own.doubted:
        body.append("<h2>Labels to look at</h2>")
        body.append("<p>Both models are sure of another category. They may both be wrong.</p>")
        body.append(
            html_faces(([own.folder.faces.pictures[one.index]], _doubt(one)) for one in own.doubted)
        )
    body.append("<h2>Put it on the device</h2>")
    body.append(f"<pre>{html.escape(chr(10).join(_install(own)))}</pre>")
    return html_page("A model of your own faces", body, _STYLE).encode()


def _side_by_side(comparison: Comparison) -> str:
    """What matters of both models; the pictures of a folder have one label, so one protocol is
    enough.
    """
    protocol = next(iter(comparison.tests))
    sides = (comparison.first, comparison.second)
    rows = [
        ("right", *(f"{side.accuracy[protocol]:.1%}" for side in sides)),
        ("mean F1 of the categories", *(f"{side.macro_f1[protocol]:.3f}" for side in sides)),
        ("calibration error", *(f"{side.calibration_error[protocol]:.3f}" for side in sides)),
        ("milliseconds a face, here", *(f"{side.milliseconds:.2f}" for side in sides)),
        ("megabytes", *(f"{side.file_bytes / 1e6:.2f}" for side in sides)),
    ]
    return html_table(("", *(side.model for side in sides)), rows)


def _counts(own: OwnModel) -> list[tuple[str, str]]:
    counts = np.bincount(categories_of(own.folder.faces), minlength=len(EXPRESSIONS))
    return [(name, str(n)) for name, n in zip(EXPRESSIONS, counts, strict=True) if n]


def _doubt(one: Doubted) -> str:
    return (
        f"{one.file.parent.name}/{one.file.name}: labelled {one.labelled}, both models say "
        f"{one.answer} ({one.probability:.0%} or more)"
    )


def _install(own: OwnModel) -> list[str]:
    """The commands that put the model on a device, and those that go back."""
    file = own.card.with_suffix(".tflite")
    return [
        f"copy {file} and {own.card} to the device, into one folder; there:",
        f"sudo affect-edge model install {file.name}",
        "sudo systemctl restart affect-edge-agent affect-edge-dashboard",
        "go back: sudo affect-edge model install expression-accurate",
    ]
