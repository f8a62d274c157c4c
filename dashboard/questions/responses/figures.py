"""The table of figures of people, as page and terminal show it."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.languages.figures import number
from dashboard.questions.responses.answer import FigureModel


@dataclass(frozen=True, slots=True)
class FiguresTable:
    """Figures of one measure, a line for each label."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def figure_text(figure: FigureModel, of: int, digits: int) -> str:
    """Write mean and standard deviation, with the number of people where it is not all of them."""
    if figure.mean is None:
        return "–"
    text = number(figure.mean, digits)
    if figure.sd is not None:
        text = f"{text} ({number(figure.sd, digits)})"
    return text if figure.n == of else f"{text}, n {figure.n}"
