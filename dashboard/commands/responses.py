"""The command ``responses``: the curves of the page Responses in a terminal, or as JSON."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dashboard.analysis.response_results import DRAWN, ResponsesQuery
from dashboard.commands.exit_codes import CONFIG, DATA
from dashboard.commands.questions import SEED, question_from, sample_options
from edge_agent.core.columns import aligned
from edge_agent.core.command_line import Command
from edge_agent.store.read.events import EventKind

# Imports stand in the command: whoever presses the Tab key waits for those above.
if TYPE_CHECKING:
    from dashboard.analysis.response_results import ResponsesModel

_WIDTH = 100
_UNDECLARED = (
    "No window is tested: the means within a window are compared only where a preregistration "
    "declared it before, on the page Plan or as windows of POST /api/v1/preregistrations."
)


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@CONFIG
@DATA
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object, the response of /api/v1/responses.",
)
@click.option(
    "--event",
    multiple=True,
    help="Label of the events, such as anger; can be repeated. Default: the commonest, up to six.",
)
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in EventKind]),
    default=EventKind.STIMULUS_START.value,
    show_default=True,
    help="Kind of the events: a kind of marker, or response: when an emotion was reported.",
)
@click.option(
    "--against",
    default="neutral",
    show_default=True,
    help="Label of the events that the others are compared with; '' compares nothing.",
)
@click.option(
    "--vital",
    multiple=True,
    type=click.Choice([kind.value for kind in DRAWN]),
    help="Measure to draw; can be repeated. Default: heart_rate.",
)
@click.option(
    "--before",
    type=float,
    default=5,
    show_default=True,
    help="Seconds before an event, whose mean is the baseline.",
)
@click.option("--after", type=float, default=30, show_default=True, help="Seconds after an event.")
@sample_options
@SEED
def responses_command(
    config_file: Path | None, data: Path | None, *, as_json: bool, **options: Any
) -> None:
    """Show what measures do around events, and test whether curves differ between conditions."""
    from dashboard.computing.answers import responses_of
    from dashboard.web.settings import options_of_reader

    query = question_from(ResponsesQuery, options)
    own = options_of_reader(config_file, data)
    model = responses_of((("", own.database),), query, own.prefer_sources)
    click.echo(model.model_dump_json(indent=2) if as_json else report(model))


def report(model: ResponsesModel) -> str:
    """Return the answer for people: each curve and test in a sentence, then the figures."""
    from dashboard.analysis.rendering.responses import sheet_of_responses

    sheet = sheet_of_responses(model)
    if not model.curves:
        labels = ", ".join(f"{label} ({n:,})" for label, n in model.labels.items())
        nothing = "No curve: no event of this kind and label with readings around it."
        others = f" There are {labels}: name one with --event." if labels else ""
        parts = [[nothing + others], [one.sentence for one in model.unread]]
    else:
        parts = [
            [_listed(one.sentence) for one in model.tests],
            _windows(model),
            [_listed(one.sentence) for one in model.curves],
            *(_table([table.heads, *table.rows], table.title) for table in sheet.tables),
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


def _listed(text: str) -> str:
    return textwrap.fill(f"- {text}", _WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _table(rows: list[tuple[str, ...]], title: str) -> list[str]:
    """Lay rows out in columns: mean and standard deviation of the people's curves."""
    numbers = range(1, len(rows[0]))
    return [f"{title}: mean (standard deviation) of the people", *aligned(rows, numbers)]
