"""Figures as text for people."""

from training.evaluate import FER2013_PROTOCOL, FERPLUS_PROTOCOL, Evaluation
from training.metrics import Figures


def evaluation_text(evaluation: Evaluation) -> str:
    """Each protocol as a table of categories and a confusion matrix."""
    named = {FERPLUS_PROTOCOL: evaluation.ferplus, FER2013_PROTOCOL: evaluation.fer2013}
    return "\n\n".join(figures_text(name, figures) for name, figures in named.items() if figures is not None)


def figures_text(protocol: str, figures: Figures) -> str:
    """One protocol: the headline, the categories, and the confusion matrix (row = is, column = said)."""
    lines = [
        f"{protocol}: {figures.accuracy:.1%} of {figures.n} pictures right, macro F1 {figures.macro_f1:.3f}",
        f"{'':<10} {'precision':>9} {'recall':>7} {'F1':>7} {'n':>6}",
    ]
    lines += [
        f"{name:<10} {one.precision:>9.3f} {one.recall:>7.3f} {one.f1:>7.3f} {one.n:>6}"
        for name, one in figures.per_class.items()
    ]
    lines.append(f"{'is / said':<10} " + " ".join(f"{name[:6]:>6}" for name in figures.labels))
    for name, row in zip(figures.labels, figures.confusion_matrix, strict=True):
        lines.append(f"{name:<10} " + " ".join(f"{count:>6}" for count in row))
    return "\n".join(lines)
