"""The command ``coupling``: whether the face and a vital go together within people."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from dashboard.analysis.coupling_results import OF_FACE, STREAMED, CouplingQuery
from dashboard.analysis.question import DOUBTS, Sample, describe
from dashboard.commands.exit_codes import CONFIG, DATA

# Imports stand in the command: whoever presses the Tab key waits for those above.
if TYPE_CHECKING:
    from dashboard.analysis.coupling_results import CouplingModel

_WIDTH = 100


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
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
@click.option(
    "--sample",
    type=click.Choice([sample.value for sample in Sample if sample is not Sample.SELECTED]),
    help="Sessions: measured, the simulated example, or auto (the example while nothing is "
    "measured).",
)
@click.option("--session", type=int, multiple=True, help="Only this session; can be repeated.")
@click.option(
    "--count-flagged",
    multiple=True,
    type=click.Choice([flag.value for flag in DOUBTS]),
    help="Count readings with this flag of doubt all the same; can be repeated.",
)
@click.option(
    "--prefer-source",
    multiple=True,
    help="Where several sources measured the vital in a session, this one counts; can be repeated, "
    "the best first.",
)
@click.option(
    "--seed",
    type=int,
    default=1,
    show_default=True,
    help="Of the random sign flips, with more than 14 people.",
)
def coupling_command(
    config_file: Path | None, data: Path | None, *, as_json: bool, **options: Any
) -> None:
    """Say whether a measure of the face and a vital go together within people."""
    from dashboard.computing.answers import coupling_of
    from dashboard.web.settings import options_from
    from edge_agent.config.loading import load_settings

    given = {name: value for name, value in options.items() if value not in (None, ())}
    if given.get("session"):
        if "sample" in given:
            raise click.UsageError("--session and --sample choose the same; give one of them.")
        given["sample"] = Sample.SELECTED
    try:
        query = CouplingQuery.model_validate(given)
    except ValidationError as error:
        raise click.UsageError(" ".join(describe(error))) from error
    own = options_from(load_settings(config_file), data)
    model = coupling_of((("", own.database),), query, own.prefer_sources)
    click.echo(model.model_dump_json(indent=2) if as_json else report(model))


def report(model: CouplingModel) -> str:
    """Return the answer for people: sentences, each person's r, and what to know about it."""
    width = max((len(one.participant) for one in model.people), default=0)
    rows = [f"{one.participant:{width}}  {one.r:+.2f}  {one.pairs:,} pairs" for one in model.people]
    parts = [
        [textwrap.fill(text, _WIDTH, break_on_hyphens=False) for text in model.sentences],
        rows and ["Correlation of each person at that lag, without linear drifts", *rows],
        [textwrap.fill(text, _WIDTH, break_on_hyphens=False) for text in model.notes],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)
