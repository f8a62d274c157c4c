"""Coupling as text for a terminal."""

from __future__ import annotations

import textwrap

from dashboard.languages.figures import figure
from dashboard.questions.coupling.answer import CouplingModel, PersonCouplingModel
from edge_agent.core.columns import aligned

_WIDTH = 100


def report(model: CouplingModel) -> str:
    """Return the answer for people: sentences, each person's r, and what to know about it."""
    rows = aligned([_cells(one) for one in model.people], to_right={1, 3})
    parts = [
        [textwrap.fill(text, _WIDTH, break_on_hyphens=False) for text in model.sentences],
        rows and ["Correlation of each person at that lag, without linear drifts", *rows],
        [textwrap.fill(text, _WIDTH, break_on_hyphens=False) for text in model.notes],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _cells(one: PersonCouplingModel) -> tuple[str, str, str, str]:
    others = "" if one.r_others is None else f"with others {figure('%+.2f', one.r_others)}"
    return one.participant, figure("%+.2f", one.r), others, f"{one.pairs:,} pairs"
