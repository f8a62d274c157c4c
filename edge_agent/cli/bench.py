"""The command that measures this machine."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import click

from edge_agent.cli.options import common_options, json_option, load, log_to_stderr


@click.command()
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option(
    "--frames",
    type=click.IntRange(1, 1_000_000),
    default=300,
    show_default=True,
    help="How many to measure.",
)
@common_options
@json_option
def bench(
    source: Path | None, frames: int, config: Path | None, data: Path | None, as_json: bool
) -> None:
    """Measure the speed of each stage, on the demonstration or on SOURCE (a picture or a video)."""
    log_to_stderr(logging.WARNING)
    settings, _folder = load(config, data)
    from edge_agent.appliance.bench import measure, table

    figures = measure(settings, source, frames)
    if not figures["faces"]:
        click.echo(
            "affect-edge: no face was found, so that the times say little of a frame with one.",
            err=True,
        )
    click.echo(json.dumps(figures) if as_json else table(figures))
