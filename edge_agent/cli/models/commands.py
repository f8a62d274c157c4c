"""``affect-edge model``: what is here, whether it is whole, which one runs."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.cli.options import common_options, json_option, load, log_to_stderr

if TYPE_CHECKING:
    from edge_agent.appliance.models.installing import ModelPlace
    from edge_agent.appliance.models.shelf import ListedModel


@click.group()
def model() -> None:
    """Model files."""


@model.command("list")
@common_options
@json_option
def model_list(config: Path | None, data: Path | None, as_json: bool) -> None:
    """List the models on this appliance; the configured ones are marked."""
    log_to_stderr(logging.WARNING)
    settings, folder = load(config, data)
    from edge_agent.appliance.models.shelf import models_on

    models = models_on(settings, folder)
    if as_json:
        click.echo(json.dumps([asdict(one) | {"path": str(one.path)} for one in models]))
        return
    for one in models:
        click.echo(_line(one))


@model.command("verify")
@click.argument("card", required=False, type=click.Path(path_type=Path))
@common_options
def model_verify(card: Path | None, config: Path | None, data: Path | None) -> None:
    """Check model files against their cards: CARD, or the configured ones."""
    log_to_stderr(logging.WARNING)
    settings, _folder = load(config, data)
    from edge_agent.vision.models.card import find_model, read_card
    from edge_agent.vision.models.model import load_model

    vision = settings.vision
    names: list[str | Path] = [card] if card else [vision.detector_model, vision.expression_model]
    if card is None and vision.detector == "yunet":
        from edge_agent.vision.faces.finder import open_finder

        used = open_finder(settings.vision).card
        click.echo(f"{used.name}: YuNet, SHA-256 {used.sha256}; it has no card to agree with")
        names = [vision.expression_model]
    for name in names:
        path = find_model(name)
        loaded = load_model(path, kind=read_card(path).kind)
        click.echo(f"{loaded.card.name} {loaded.card.version}: file, hash, labels and shapes agree")


@model.command("install")
@click.argument("what", metavar="FILE…|NAME", nargs=-1, required=True)
@common_options
def model_install(what: tuple[str, ...], config: Path | None, data: Path | None) -> None:
    """Use another model: the files of one of your own, or the NAME of one that is here.

    FILE is NAME.tflite or its card NAME.json; both lie in one folder. They are checked as the agent
    checks them and copied below the data folder, then the configuration names the model. The one of
    before stays there, too.
    """
    log_to_stderr(logging.WARNING)
    from edge_agent.appliance.models.installing import install_model

    change = install_model(_place(config, data), what)
    click.echo(f"{change.card.name} {change.card.version}: file, hash, labels and shapes agree")
    if change.copy is None:
        click.echo("it is configured already; nothing was changed")
        return
    from edge_agent.config.editing.keys import restarts

    click.echo(f"{change.key}: {change.before or 'the default'} → {change.path}")
    click.echo(f"written; before: {change.copy}")
    click.echo(f"to use it: sudo systemctl restart {' '.join(restarts((change.key,)))}")
    back = f"model install {change.before}" if change.before else f"config set {change.key}="
    click.echo(f"to go back: sudo affect-edge {back}")


def _place(config: Path | None, data: Path | None) -> ModelPlace:
    from edge_agent.appliance.models.installing import ModelPlace
    from edge_agent.config import SYSTEM_FILE

    _settings, folder = load(config, data)
    return ModelPlace(config or SYSTEM_FILE, folder)


def _line(one: ListedModel) -> str:
    words = f"{'*' if one.used else ' '} {one.name:24} {one.version or '-':8} {one.kind or '-'}"
    if one.problem is not None:
        return f"{words}  cannot be used: {one.problem}"
    if one.shipped:
        return words
    return f"{words}  {one.path}"
