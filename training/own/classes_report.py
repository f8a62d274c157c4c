"""What came out of classes of your own: a page, and the same in words for the terminal."""

import html

from training.own.classes import OwnClasses
from training.publishing.html_page import html_page, html_table

_TITLE = "A model of your own classes"
_NOT_HERE = (
    "The appliance cannot use this model: what it records, sends and tests are the eight "
    "categories of expression. Another program can: the card beside the file says what it takes "
    "and gives."
)


def verdict(made: OwnClasses) -> str:
    """How good the model is, in a sentence."""
    return (
        f"Right in {made.figures.accuracy:.1%} of {made.figures.n} faces that it never saw; always "
        f"naming the commonest class is right in {made.usual:.1%}."
    )


def caution(made: OwnClasses) -> str:
    """What the figure does not say."""
    words = (
        "The same people may be among the faces learnt and judged: faces of people that it has not "
        "seen, it may read worse."
    )
    if made.alike:
        words += f" {made.alike} faces look nearly like another one: keep one of each."
    return words


def classes_text(made: OwnClasses) -> str:
    """The report for a terminal."""
    lines = [verdict(made)]
    for name, figures in made.figures.per_class.items():
        lines.append(f"  {name}: found {figures.recall:.1%} of {figures.n}")
    return "\n".join([*lines, caution(made), str(made.card), _NOT_HERE])


def classes_page(made: OwnClasses) -> bytes:
    """The page: verdict, faces, figures by class, confusion matrix. It shows no face."""
    classes = made.figures.labels
    matrix = [
        (name, *map(str, row))
        for name, row in zip(classes, made.figures.confusion_matrix, strict=True)
    ]
    by_class = [
        (name, str(made.counts[name]), f"{one.precision:.2f}", f"{one.recall:.2f}", f"{one.f1:.2f}")
        for name, one in made.figures.per_class.items()
    ]
    body = [
        f"<h1>{_TITLE}</h1>",
        f"<p><strong>{html.escape(verdict(made))}</strong></p>",
        f"<p>{html.escape(caution(made))}</p>",
        f"<p>{_NOT_HERE}</p>",
        html_table(("class", "faces", "precision", "recall", "F1"), by_class),
        "<h2>Confusion matrix</h2><p>Row: what it is; column: what was said.</p>",
        html_table(("", *classes), matrix),
        f"<pre>{html.escape(made.cut)}</pre>",
    ]
    return html_page(_TITLE, body, "pre { overflow-x: auto; }").encode()
