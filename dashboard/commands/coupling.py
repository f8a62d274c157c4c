"""The command ``coupling``: whether the face and a vital go together more than with others."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dashboard.analysis.coupling_results import OF_FACE, STREAMED, CouplingQuery
from dashboard.commands.exit_codes import CONFIG, DATA
from dashboard.commands.questions import SEED, question_from, sample_options
from dashboard.languages.figures import figure
from edge_agent.core.columns import aligned
from edge_agent.core.command_line import Command

# Imports stand in the command: whoever presses the Tab key waits for those above.
if TYPE_CHECKING:
    from dashboard.analysis.coupling_results import CouplingModel, PersonCouplingModel

_WIDTH = 100


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@CONFIG
@DATA
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object, the response of /api/v1/coupling.",
)
@click.option(
    "--measure",
    type=click.Choice([kind.value for kind in OF_FACE]),
    default="valence",
    show_default=True,
    help="The measure of the face.",
)
@click.option(
    "--vital",
    type=click.Choice([kind.value for kind in STREAMED]),
    default="heart_rate",
    show_default=True,
    help="The vital.",
)
@click.option(
    "--lag",
    type=float,
    help="Seconds by which the vital follows the face, declared before looking. Default: what the "
    "analysis takes for the vital.",
)
@click.option(
    "--lags",
    type=float,
    help="Also all lags from minus to plus so many seconds, judged by the largest.",
)
@sample_options
@SEED
def coupling_command(
    config_file: Path | None, data: Path | None, *, as_json: bool, **options: Any
) -> None:
    """Say whether a measure of the face and a vital go together in people more than with others
    at the same stimuli.
    """
    from dashboard.computing.answers import coupling_of
    from dashboard.web.settings import options_of_reader

    query = question_from(CouplingQuery, options)
    own = options_of_reader(config_file, data)
    model = coupling_of((("", own.database),), query, own.prefer_sources)
    click.echo(model.model_dump_json(indent=2) if as_json else report(model))


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
