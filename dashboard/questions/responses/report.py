"""Responses as text for a terminal."""

from __future__ import annotations

import textwrap

from dashboard.questions.responses.answer import ResponsesModel
from dashboard.questions.responses.figures import FiguresTable
from dashboard.questions.responses.words import sheet_of_responses
from edge_agent.core.columns import aligned

_WIDTH = 100
_UNDECLARED = (
    "No window is tested: the means within a window are compared only where a preregistration "
    "declared it before, on the page Plan or as windows of POST /api/v1/preregistrations."
)


def report(model: ResponsesModel) -> str:
    """Return the answer for people: each curve and test in a sentence, then the figures."""
    sheet = sheet_of_responses(model)
    if not model.curves:
        labels = ", ".join(f"{label} ({n:,})" for label, n in model.labels.items())
        nothing = "No curve: no event of this kind and label with readings around it."
        others = f" There are {labels}: name one with --event." if labels else ""
        if model.too_near is not None:
            nothing, others = f"No curve. {model.too_near.sentence}", ""
        told = textwrap.fill(nothing + others, _WIDTH, break_on_hyphens=False)
        parts = [[told], [one.sentence for one in model.unread], *_skin(model, sheet.skin)]
    else:
        parts = [
            [_listed(one.sentence) for one in model.tests],
            _windows(model),
            [_listed(one.sentence) for one in model.curves],
            *(_table([table.heads, *table.rows], table.title) for table in sheet.tables),
            *_skin(model, sheet.skin),
            [_listed(one.sentence) for one in model.unread],
            [textwrap.fill(note, _WIDTH, break_on_hyphens=False) for note in model.notes],
        ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _windows(model: ResponsesModel) -> list[str]:
    """Tell the windows that were declared before, or how to declare one."""
    if model.declared is None:
        return [textwrap.fill(_UNDECLARED, _WIDTH, break_on_hyphens=False)]
    title = textwrap.fill(model.declared.sentence, _WIDTH, break_on_hyphens=False)
    return [title, *(_listed(one.sentence) for one in model.windows)]


def _skin(model: ResponsesModel, table: FiguresTable | None) -> list[list[str]]:
    """Tell the skin's responses to the events, where they were looked for."""
    if model.skin is None or table is None:
        return []
    return [
        [_listed(one.sentence) for one in model.skin.labels],
        _table([table.heads, *table.rows], table.title),
        [textwrap.fill(note, _WIDTH, break_on_hyphens=False) for note in model.skin.notes],
    ]


def _listed(text: str) -> str:
    return textwrap.fill(f"- {text}", _WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _table(rows: list[tuple[str, ...]], title: str) -> list[str]:
    """Lay rows out in columns: mean and standard deviation of the people's curves."""
    numbers = range(1, len(rows[0]))
    return [f"{title}: mean (standard deviation) of the people", *aligned(rows, numbers)]
