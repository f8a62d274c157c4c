"""The command that tells what a participant is like: age band, sex, medication, own fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edge_agent.cli.options import ACTOR, common_options, json_option
from edge_agent.cli.studies.study import data_of


@click.command("describe")
@click.argument("code")
@click.option("--age-band", help="Such as 18-29 or '80 and over'; an empty text removes it.")
@click.option("--sex", help="female, male, other or 'not told'; an empty text removes it.")
@click.option("--medication", help="What they take that matters; an empty text removes it.")
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME=VALUE",
    help="A field of your own, such as handedness=left; NAME= removes it. May be repeated.",
)
@common_options
@json_option
def participant_describe(
    code: str, config: Path | None, data: Path | None, as_json: bool, **told: Any
) -> None:
    """Set attributes of participant CODE, and print all there are.

    They are kept only where the consent says so (`participant consent CODE --attributes here`),
    leave in exports only where it says shared, and are erased with the participant.
    """
    _settings, database = data_of(config, data)
    from edge_agent.store.study.attributes import attribute_use_of, attributes_of, set_attributes

    values = dict(_field(text) for text in told.pop("fields"))
    values |= {name: value for name, value in told.items() if value is not None}
    if values:
        set_attributes(database, code, values, actor=ACTOR)
    use = attribute_use_of(database, code)
    by_code = {one.casefold(): kept for one, kept in attributes_of(database).items()}
    kept = by_code.get(code.casefold(), {})
    if as_json:
        click.echo(json.dumps({"code": code, "consent": use, "attributes": kept}))
        return
    click.echo(f"consent to attributes: {use}")
    for name, value in kept.items():
        click.echo(f"{name}: {value}")


def _field(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise click.UsageError(f"--field {text!r}: write NAME=VALUE, such as handedness=left.")
    return name, value
