"""Commands about model files and about releases of the program."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from affect_edge.options import (
    PATH,
    Here,
    answer,
    cli,
    how_to_use,
    json_option,
    on_appliance,
    on_appliance_as_root,
)
from edge_agent.config.removed import removed_option
from edge_agent.core.advice import shell_word
from edge_agent.core.errors import UpdateError

if TYPE_CHECKING:
    from edge_agent.appliance.models import ListedModel
    from edge_agent.appliance.update import Installation

_BY_FILE = "Get the archive of a release and its .sig, then: sudo affect-edge update FILE"


@cli.group()
def model() -> None:
    """Model files."""


@model.command("list")
@on_appliance
@json_option
def model_list(here: Here, as_json: bool) -> None:
    """List the models on this appliance; the configured ones are marked."""
    from edge_agent.appliance.models import models_on

    models = models_on(here.settings, here.folder)
    told = [asdict(one) | {"path": str(one.path)} for one in models]
    answer(as_json, told, map(_line, models))


@model.command("verify")
@click.argument("card", required=False, type=PATH)
@on_appliance
def model_verify(here: Here, card: Path | None) -> None:
    """Check model files against their cards: CARD, or the configured ones."""
    from edge_agent.vision.models.card import find_model, read_card
    from edge_agent.vision.models.model import load_model

    vision = here.settings.vision
    names: list[str | Path] = [card] if card else [vision.detector_model, vision.expression_model]
    if card is None and vision.detector == "yunet":
        from edge_agent.vision.faces.finder import open_finder

        used = open_finder(vision).card
        click.echo(f"{used.name}: YuNet, SHA-256 {used.sha256}; it has no card to agree with")
        names = [vision.expression_model]
    for name in names:
        path = find_model(name)
        # Of whatever kind the card says it is: this command compares file and card, not the use.
        loaded = load_model(path, kind=read_card(path).kind)
        click.echo(f"{loaded.card.name} {loaded.card.version}: file, hash, labels and shapes agree")


@model.command("install")
@click.argument("what", metavar="FILE…|NAME", nargs=-1, required=True)
@on_appliance_as_root
def model_install(here: Here, what: tuple[str, ...]) -> None:
    """Use another model: the files of your own, or the NAME of one on this appliance.

    FILE is NAME.tflite or its card NAME.json; both must be in one folder. They are checked as the
    agent checks them and copied below the data folder; then the model is set in the configuration.
    The model used before is kept.
    """
    from edge_agent.appliance.models import ModelPlace, install_model
    from edge_agent.config.keys import restarts
    from edge_agent.config.loading import SYSTEM_FILE

    change = install_model(ModelPlace(here.config or SYSTEM_FILE, here.folder), what)
    click.echo(f"{change.card.name} {change.card.version}: file, hash, labels and shapes agree")
    if change.copy is None:
        click.echo("it is configured already; nothing was changed")
        return
    click.echo(f"{change.key}: {change.before or 'the default'} → {change.path}")
    click.echo(f"written; before: {change.copy}")
    click.echo(how_to_use(here.config, restarts((change.key,))))
    back = (
        f"model install {shell_word(change.before)}"
        if change.before
        else f"config set {change.key}="
    )
    if here.config in (None, SYSTEM_FILE):
        click.echo(f"to go back: sudo affect-edge {back}")
    else:
        click.echo(f"to go back: affect-edge {back} --config {shell_word(str(here.config))}")


def _line(one: ListedModel) -> str:
    words = f"{'*' if one.used else ' '} {one.name:24} {one.version or '-':8} {one.kind or '-'}"
    if one.problem is not None:
        return f"{words}  cannot be used: {one.problem}"
    if one.shipped:
        return words
    return f"{words}  {one.path}"


@cli.command()
@click.argument("source", metavar="[FILE|URL]", required=False)
@click.option(
    "--trust",
    type=PATH,
    metavar="KEYFILE",
    help="Also accept releases signed by this public key (.pub).",
)
@click.option(
    "--revoke",
    type=PATH,
    metavar="KEYFILE",
    help="Never again accept releases signed by this public key (.pub).",
)
@click.option("--keys", is_flag=True, help="Show the trusted keys.")
@removed_option("--feed", _BY_FILE)
@removed_option("--check", _BY_FILE)
@removed_option("--if-due", _BY_FILE)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def update(source: str | None, yes: bool, **options: object) -> None:
    """Install a newer, signed release; the present one returns by itself if the new one fails.

    FILE is the archive of a release, with its signature FILE.sig beside it. --trust, --revoke and
    --keys change and show the trusted keys.
    """
    wanted = [name for name, value in options.items() if value not in (None, False)]
    if len(wanted) + (source is not None) != 1:
        raise click.UsageError("Give one of: FILE or URL, --trust, --revoke, --keys.")
    place = installed_place()
    if source is not None:
        update_from(place, source, yes)
    elif isinstance(options["trust"], Path):
        trust_key(place, options["trust"], yes)
    elif isinstance(options["revoke"], Path):
        revoke_key(place, options["revoke"], yes)
    else:
        show_keys(place)


def update_from(place: Installation, source: str, yes: bool) -> None:
    """Install the release of an archive."""
    from edge_agent.appliance import update as room
    from edge_agent.appliance.release import version_of

    click.echo(
        f"Affect Edge {version_of(place.current())} is installed. Recording stops for some seconds."
    )
    if not yes:
        click.confirm("Update now?", abort=True)
    version = room.update(place, source, lambda sentence: click.echo(f"• {sentence}"))
    click.echo(f"Affect Edge {version} runs. `affect-edge rollback` goes back to the one before.")


def trust_key(place: Installation, file: Path, yes: bool) -> None:
    """Trust a key, after its fingerprint was compared."""
    from edge_agent.appliance.trust import read_key_file

    trust = place.trust(click.echo)
    key = read_key_file(file)
    if trust.trusts(key):
        click.echo(f"{key.fingerprint} is trusted already.")
        return
    click.echo(f"Fingerprint: {key.fingerprint}")
    click.echo("Whoever holds this key can then change the program on this machine as root.")
    click.echo("Compare the fingerprint with the one that the publisher of the releases gives.")
    if not yes:
        click.confirm("Trust it?", abort=True)
    click.echo(f"Trusted from now on ({trust.add(key)}).")


def revoke_key(place: Installation, file: Path, yes: bool) -> None:
    """Never again accept releases signed by a key."""
    from edge_agent.appliance.trust import read_key_file

    trust = place.trust(click.echo)
    key = read_key_file(file)
    click.echo(f"Nothing that {key.fingerprint} signs will be taken any more, whoever trusts it.")
    if not yes:
        click.confirm("Revoke it?", abort=True)
    click.echo(f"Revoked ({trust.revoke(key)}).")
    if all(one.revoked for one in trust.trusted_keys()):
        click.echo("Now no key is trusted: trust another one before the next update (--trust).")


def show_keys(place: Installation) -> None:
    """Print the trusted keys."""
    trust = place.trust(click.echo)
    trusted = trust.trusted_keys()
    if not trusted:
        click.echo("No key is trusted. Trust one: sudo affect-edge update --trust KEYFILE")
    for one in trusted:
        note = ", revoked: its releases are refused" * one.revoked
        click.echo(f"{one.key.fingerprint} ({trust.signers}{note})")


@cli.command()
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def rollback(yes: bool) -> None:
    """Go back to the release that ran before the last update."""
    from edge_agent.appliance import update as room
    from edge_agent.appliance.release import version_of

    place = installed_place()
    old = place.previous()
    lost = (
        " The database from before the update comes back, since the older program cannot read the "
        "present one, which is set aside with what was recorded since."
        * room.loses_rows(place, old)
    )
    lost += " Accounts are those from before the update." * room.loses_accounts(place, old)
    click.echo(f"{version_of(old)} will replace {version_of(place.current())}.{lost}")
    if not yes:
        click.confirm("Go back now?", abort=True)
    version = room.roll_back(place, lambda sentence: click.echo(f"• {sentence}"))
    click.echo(f"Affect Edge {version} runs.")


def installed_place() -> Installation:
    """Return the place of the installation; only root may change it."""
    from edge_agent.appliance.update import Installation

    if os.geteuid() != 0:
        raise UpdateError(
            "Only root can change the installed program; put sudo before the command."
        )
    return Installation()
