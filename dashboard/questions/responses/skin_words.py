"""Words and tables of skin responses to events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dashboard.analysis.rendering.numbers import macros_of
from dashboard.languages.figures import thousands
from dashboard.languages.names import state_name
from dashboard.questions.responses.answer import SkinEventModel, SkinResponsesModel
from dashboard.questions.responses.figures import FiguresTable, figure_text
from dashboard.questions.responses.table import SKIN_TABLE
from edge_agent.core.csv_cells import table_text
from edge_agent.timeline.read.events import EventKind

_MACROS = macros_of(Path(__file__).parent)


def skin_in_words(model: SkinResponsesModel) -> SkinResponsesModel:
    """Return skin responses with their sentences, in the language in use."""
    labels = tuple(
        one.model_copy(update={"sentence": _MACROS.say("skin", "label", one, model.unit)})
        for one in model.labels
    )
    notes = _MACROS.sentences("skin", "notes", model)
    return model.model_copy(update={"labels": labels, "notes": notes})


def skin_table(model: SkinResponsesModel) -> FiguresTable:
    """Lay the skin responses out: a line for each label, mean and standard deviation of people."""
    return FiguresTable(
        title=_MACROS.say("skin", "title"),
        heads=_MACROS.sentences("skin", "heads", model.unit),
        rows=tuple(
            (
                state_name(one.event),
                thousands(len(one.people)),
                thousands(one.events),
                thousands(one.responses),
                figure_text(one.amplitude, len(one.people), 3),
                figure_text(one.magnitude, len(one.people), 3),
                figure_text(one.latency_s, len(one.people), 1),
            )
            for one in model.labels
        ),
    )


def skin_csv(events: Sequence[tuple[EventKind, SkinEventModel]]) -> str:
    """Return each event with the skin's response to it as a table of a bundle; empty without."""
    heads = [column.name for column in SKIN_TABLE.columns]
    rows = (
        (
            one.session,
            one.participant,
            one.event,
            one.at_s,
            one.latency_s,
            one.rise_s,
            one.amplitude_us,
            kind.value,
        )
        for kind, one in events
    )
    return table_text(heads, rows) if events else ""
