"""Coupling as text for a terminal."""

from __future__ import annotations

import textwrap

from dashboard.questions.coupling.answer import CouplingModel

_WIDTH = 100


def report(model: CouplingModel) -> str:
    """Return the answer for people: sentences, each person's r, and what to know about it."""
    width = max((len(one.participant) for one in model.people), default=0)
    rows = [
        f"{one.participant:{width}}  {one.r:+.2f}"
        + ("" if one.r_others is None else f"  with others {one.r_others:+.2f}")
        + f"  {one.pairs:,} pairs"
        for one in model.people
    ]
    parts = [
        [textwrap.fill(text, _WIDTH, break_on_hyphens=False) for text in model.sentences],
        rows and ["Correlation of each person at that lag, without linear drifts", *rows],
        [textwrap.fill(text, _WIDTH, break_on_hyphens=False) for text in model.notes],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)
