"""The command that lists imports of readings and studies, and takes one back."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from edge_agent.cli.options import ACTOR, common_options, json_option
from edge_agent.cli.studies.study import data_of


@click.command("imports")
@click.option("--undo", type=int, metavar="N", help="Remove what import N added, and nothing else.")
@common_options
@json_option
def imports(undo: int | None, config: Path | None, data: Path | None, as_json: bool) -> None:
    """List the files of readings and the studies that were imported, or take an import back."""
    _settings, database = data_of(config, data)
    from edge_agent.store.intake.imports import list_imports, undo_import

    if undo is not None:
        undone = undo_import(database, undo, actor=ACTOR)
        answer = json.dumps(asdict(undone)) if as_json else "\n".join(undone.sentences)
        click.echo(answer)
        return
    known = list_imports(database)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in known]))
        return
    for one in known:
        click.echo(one.sentence)
    if not known:
        click.echo("Nothing was imported.")
