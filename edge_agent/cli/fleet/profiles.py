"""``affect-edge fleet-profile``: signed settings and models for many devices, and taking them."""

from __future__ import annotations

import logging
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.cli.options import common_options, load, log_to_stderr
from edge_agent.core import clock
from edge_agent.core.clock import iso_utc, now
from edge_agent.core.errors import UpdateError

if TYPE_CHECKING:
    from edge_agent.appliance.profiles.applying import ProfileApplier
    from edge_agent.appliance.profiles.place import ProfilePlace

_ARRANGE_S = 120.0
key_option = click.option(
    "--key",
    type=click.Path(path_type=Path),
    required=True,
    help="Private key that signs (ssh-keygen -t ed25519 -f FILE).",
)
stage_option = click.option(
    "--percent",
    type=click.FloatRange(0, 100),
    default=1.0,
    show_default=True,
    help="How many of the devices take it.",
)


@click.group("fleet-profile")
def fleet_profile() -> None:
    """Settings and models that devices pull from a fleet, if their owners said so.

    On a device: follow, trust, revoke, show (and fetch, apply: what its timer runs). Where devices
    are cared for: make, stage.
    """
    log_to_stderr(logging.WARNING)


@fleet_profile.command("follow")
@click.argument("where", metavar="ADDRESS|FOLDER|none")
def follow(where: str) -> None:
    """Take signed profiles from there from now on; none: from nowhere, with own settings again."""
    from edge_agent.appliance.profiles.written import change_config

    place = _place()
    if where == "none":
        _applier(place, again=False).leave()
    change_config(place.appliance.config, {"fleet.profiles": None if where == "none" else where})
    _arrange(place)
    if where == "none":
        click.echo("No profile is taken any more; the settings of before are back.")
        return
    click.echo(f"Once an hour {where} is asked for a profile. What may be in it: docs/fleet.md.")
    if not place.trust.trusted_keys():
        click.echo(f"No key is trusted yet, so none is taken: {place.trust.purpose.command}")


@fleet_profile.command("trust")
@click.argument("file", metavar="KEYFILE", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Ask nothing.")
def trust_key(file: Path, yes: bool) -> None:
    """Take the profiles that a public key (.pub) signs."""
    from edge_agent.appliance.trust import read_key_file

    trust = _place().trust
    key = read_key_file(file)
    click.echo(f"Fingerprint: {key.fingerprint}")
    click.echo("Whoever holds this key can then change how this device measures (docs/fleet.md")
    click.echo("says which settings), and its models; not its program, and nothing else.")
    if not yes:
        click.confirm("Trust it?", abort=True)
    click.echo(f"Trusted from now on ({trust.add(key)}).")


@fleet_profile.command("revoke")
@click.argument("file", metavar="KEYFILE", type=click.Path(path_type=Path))
def revoke_key(file: Path) -> None:
    """Never again take a profile that a public key (.pub) signs."""
    from edge_agent.appliance.trust import read_key_file

    click.echo(f"Revoked ({_place().trust.revoke(read_key_file(file))}).")


@fleet_profile.command("fetch")
@common_options
def fetch(config: Path | None, data: Path | None) -> None:
    """Fetch the profile that is published, and apply nothing; a service without rights does it."""
    from edge_agent.appliance.profiles.fetching import fetch_profile
    from edge_agent.config import load_settings

    place = _named_place(config, data)
    settings = load_settings(place.appliance.config)
    if settings.fleet.profiles is None:
        raise UpdateError(
            "Nobody has said where profiles are taken from: sudo affect-edge fleet-profile follow "
            "ADDRESS"
        )
    feed, device = settings.fleet.profiles, settings.device.name
    index = fetch_profile(place, feed, device, now().wall_ms)
    click.echo(f"{index.title} is published for {index.stage / 10:g} % of the devices.")


@fleet_profile.command("apply")
@click.option("--again", is_flag=True, help="Try once more what was taken back.")
def apply(again: bool) -> None:
    """Apply what was fetched if it is this device's turn, watch it, and take it back if worse."""
    click.echo(_applier(_place(), again=again).run())


@fleet_profile.command("show")
@common_options
def show(config: Path | None, data: Path | None) -> None:
    """Say which profile is applied, and what was seen last."""
    from edge_agent.appliance.feed.last_look import STATE_NAME, read_look
    from edge_agent.appliance.profiles.place import read_state

    place = _named_place(config, data)
    state = read_state(place.state)
    standing = state.standing
    if standing is None:
        click.echo("No profile was applied.")
    else:
        title = f"{standing.name} {standing.version}"
        words = f"{title}: {standing.state.replace('_', ' ')} since {iso_utc(standing.since_ms)}"
        click.echo(f"{words} {standing.problem}".rstrip())
    for key, value in state.values.items():
        before = state.base.get(key)
        click.echo(f"{key} = {value} (before: {'the default' if before is None else before})")
    look = read_look(place.incoming / STATE_NAME)
    if look is not None:
        click.echo(f"looked at {look.feed} {iso_utc(look.checked_ms)}: {look.problem or 'good'}")


@fleet_profile.command("make")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Of the profile, such as summer.")
@click.option("--version", required=True, help="Of the profile; another one for each change.")
@click.option(
    "--settings", "file", type=click.Path(path_type=Path), help="Some keys, as in the configuration"
)
@click.option(
    "--model",
    "models",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Card or TFLite file; can be given twice.",
)
@stage_option
@key_option
def make(
    folder: Path,
    file: Path | None,
    models: tuple[Path, ...],
    percent: float,
    key: Path,
    **title: str,
) -> None:
    """Write a signed profile and its models into FOLDER, from which devices pull them."""
    from edge_agent.appliance.profiles.index import profile_of
    from edge_agent.appliance.profiles.publishing import make_profile

    try:
        settings = file.read_text(encoding="utf-8") if file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UpdateError(f"{file}: cannot be read as text ({error}).") from error
    profile = profile_of(
        number=clock.now().wall_ms // 1000,
        name=title["name"],
        version=title["version"],
        stage=round(10 * percent),
        settings=settings,
    )
    made = make_profile(folder, profile, models, key)
    click.echo(f"{made}: {profile.title} for {percent:g} % of the devices")


@fleet_profile.command("stage")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("percent", type=click.FloatRange(0, 100))
@key_option
def stage(folder: Path, percent: float, key: Path) -> None:
    """Give the profile in FOLDER to PERCENT of the devices; 0: to no further one."""
    from edge_agent.appliance.profiles.publishing import restage_profile

    profile = restage_profile(folder, round(10 * percent), key, clock.now().wall_ms // 1000)
    click.echo(f"{profile.title} is published for {profile.stage / 10:g} % of the devices.")


def _named_place(config: Path | None, data: Path | None) -> ProfilePlace:
    """Return where profiles are kept, for who only fetches or looks.

    Args:
        config: configuration file; the keys that count lie beside it. ``None``: the usual one.
        data: data folder. ``None``: that of ``config`` where it is given, else the usual one.
    """
    from edge_agent.appliance.profiles.place import ProfilePlace
    from edge_agent.config import at_home

    place = ProfilePlace().appliance
    if config is not None:
        place = replace(place, config=config, data=load(config, data)[1])
    elif data is not None:
        place = replace(place, data=at_home(data))
    return ProfilePlace(place)


def _place() -> ProfilePlace:
    """Return where profiles are kept, for root, who alone may change it."""
    from edge_agent.appliance.profiles.place import ProfilePlace
    from edge_agent.cli.updates.commands import installed_place

    return ProfilePlace(installed_place())


def _applier(place: ProfilePlace, *, again: bool) -> ProfileApplier:
    from edge_agent.appliance.profiles.applying import ProfileApplier
    from edge_agent.appliance.profiles.watching import service_watch
    from edge_agent.config import load_settings

    device = load_settings(place.appliance.config).device.name
    return ProfileApplier(
        place, device, service_watch(place), lambda text: click.echo(f"• {text}"), again
    )


def _arrange(place: ProfilePlace) -> None:
    done = subprocess.run(
        [str(place.appliance.current() / "install.sh"), "--arrange-feed"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_ARRANGE_S,
    )
    if done.returncode:
        raise UpdateError(
            "The configuration is written, but the hourly look could not be arranged. It said: "
            f"{(done.stderr.strip() or done.stdout.strip())[-400:]}"
        )
