"""``affect-edge fleet-enrol``: where the broker runs, devices are taken in and put out."""

from __future__ import annotations

import json
import logging
import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.options import json_option, log_to_stderr
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import EnrolmentError

if TYPE_CHECKING:
    from edge_agent.appliance.enrolment.fleet import FleetEnrolment
    from edge_agent.appliance.enrolment.place import FleetPlace


@click.group("fleet-enrol")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("/etc/mosquitto"),
    show_default=True,
    help="Configuration of the broker.",
)
@click.option(
    "--pid-file",
    type=click.Path(path_type=Path),
    default=Path("/run/mosquitto/mosquitto.pid"),
    show_default=True,
    help="Process number of the broker.",
)
@click.pass_context
def fleet_enrol(context: click.Context, folder: Path, pid_file: Path) -> None:
    """Where the broker of a fleet runs: let devices join by a code, and put them out.

    setup once; then a code for each device, and serve while they join.
    """
    log_to_stderr(logging.WARNING)
    if os.geteuid() != 0:
        raise EnrolmentError(
            "Only root can look after the devices of a fleet; put sudo before the command."
        )
    from edge_agent.appliance.enrolment.place import FleetPlace

    context.obj = FleetPlace(folder / "affect-edge-fleet", folder / "conf.d", pid_file)


@fleet_enrol.command("setup")
@click.argument("host")
@click.option(
    "--certificates/--no-certificates",
    default=None,
    help="The broker wants a certificate of each device, too.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="Of the broker: 8883 at first.")
@click.option(
    "--local-port",
    type=click.IntRange(1, 65535),
    help="Of the broker, for programs on this machine: 1883 at first.",
)
@click.option(
    "--service-port", type=click.IntRange(1, 65535), help="Where devices join: 8443 at first."
)
@click.option("--user", help="That the broker runs as: mosquitto at first.")
@click.pass_obj
def setup(place: FleetPlace, /, host: str, **options: Any) -> None:
    """Make authority, certificate and accounts of a fleet, and mosquitto's file for them.

    HOST is the name or address by which devices reach this machine. Where a fleet is set up again,
    what is not given stays as it is.
    """
    from edge_agent.appliance.enrolment.setup import options_of, set_up

    set_up(place, options_of(place, host, options))
    click.echo(f"Written: {place.settings} and {place.folder}")
    click.echo(f"The collector's account is collector, its password in {place.collector_password}")
    click.echo("Now: sudo systemctl restart mosquitto")


@fleet_enrol.command("code")
@click.argument("name")
@click.option(
    "--hours",
    type=click.FloatRange(0, 24 * 30, min_open=True),
    default=24.0,
    show_default=True,
    help="For how long the code is good.",
)
@click.pass_obj
def make_code(place: FleetPlace, name: str, hours: float) -> None:
    """Show a code by which a device joins as NAME, once."""
    fleet = _fleet(place)
    code = fleet.make_code(name, hours)
    click.echo(f"Code for {name}, good for {hours:g} hours and one device (kept nowhere):")
    click.echo(f"  {code}")
    click.echo("On the device, while `affect-edge fleet-enrol serve` runs here:")
    click.echo(
        f"  sudo affect-edge fleet-join https://{_bracketed(fleet.host)}:{fleet.service_port}"
    )


@fleet_enrol.command("serve")
@click.option("--address", default="0.0.0.0", show_default=True, help="To listen on.")  # noqa: S104 - devices come from elsewhere
@click.option("--port", type=click.IntRange(1, 65535), help="Left out: that of setup.")
@click.pass_obj
def serve(place: FleetPlace, address: str, port: int | None) -> None:
    """Let devices join, until stopped."""
    log_to_stderr()
    from edge_agent.appliance.enrolment.service import JoinListener

    fleet = _fleet(place)
    number = port or fleet.service_port
    listener = JoinListener(fleet, place, address, number)
    click.echo(f"Devices join at port {number}; Ctrl+C ends it.")
    listener.run()


@fleet_enrol.command("unit")
@click.argument("which", type=click.Choice(["enrol", "collector"]))
@click.option("--user", envvar="SUDO_USER", help="Of the collector; left out: who said sudo.")
@click.option(
    "--database",
    default="postgresql:///fleet",
    show_default=True,
    help="Of the collector, without a password.",
)
@click.pass_obj
def unit(place: FleetPlace, which: str, user: str | None, database: str) -> None:
    """Print a unit of systemd: enrol, that lets devices join, or collector.

    It goes to /etc/systemd/system/affect-edge-enrol.service or affect-edge-collector.service.
    """
    from edge_agent.appliance.enrolment.units import collector_unit, enrol_unit

    fleet = _fleet(place)  # first: without a fleet there is nothing to run
    if which == "enrol":
        click.echo(enrol_unit(place), nl=False)
        return
    _check_unit_values(user, database)
    assert user is not None
    click.echo(collector_unit(place, user, database, fleet.local_port), nl=False)


def _check_unit_values(user: str | None, database: str) -> None:
    """Refuse what would make another line of a unit, or a unit that cannot start."""
    if not user:
        raise click.UsageError("Give --user: the user of this system that the collector runs as.")
    try:
        pwd.getpwnam(user)
    except (KeyError, ValueError) as error:
        raise click.BadParameter(
            f"{user!r}: there is no such user of this system.", param_hint="--user"
        ) from error
    if not database.isprintable():
        raise click.BadParameter(
            f"{database!r} is no address of PostgreSQL: it has a sign that cannot be printed.",
            param_hint="--database",
        )


@fleet_enrol.command("revoke")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.pass_obj
def revoke(place: FleetPlace, name: str, yes: bool) -> None:
    """Put a device out: its account and its certificate are good no more."""
    fleet = _fleet(place)
    if not yes:
        click.confirm(f"Put {name} out?", abort=True)
    fleet.revoke(name)
    click.echo(f"{name} is revoked.")
    if not fleet.in_force:
        click.echo("The broker does not run; this holds from its next start.", err=True)
    if name in fleet.untold:
        click.echo(
            "The page Fleet does not know it yet. It is told by the next command, such as: sudo "
            "affect-edge fleet-enrol list",
            err=True,
        )


@fleet_enrol.command("list")
@json_option
@click.pass_obj
def list_devices(place: FleetPlace, as_json: bool) -> None:
    """Show the devices, how far each is, and since when."""
    devices = _fleet(place).devices()
    if as_json:
        told = [
            {"name": one.name, "state": one.state, "since": iso_utc(one.since_ms)}
            for one in devices
        ]
        click.echo(json.dumps(told))
        return
    for one in devices:
        click.echo(f"{one.name}: {one.state}, {iso_utc(one.since_ms)}")


@fleet_enrol.command("audit")
@click.option(
    "--most", type=click.IntRange(1), default=200, show_default=True, help="So many entries."
)
@click.pass_obj
def audit(place: FleetPlace, most: int) -> None:
    """Show what happened: codes, joins, refusals with their address, revocations."""
    for entry in _fleet(place).audit(most):
        words = f"{iso_utc(entry.at_ms)} {entry.event} {entry.device} {entry.address}"
        click.echo(words.rstrip())


def _fleet(place: FleetPlace) -> FleetEnrolment:
    from edge_agent.appliance.enrolment.announcing import announce
    from edge_agent.appliance.enrolment.fleet import FleetEnrolment

    return FleetEnrolment(place, announce)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
