"""Commands about who gets in: accounts at the broker, certificates, the gate of the database."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import click

from affect_edge import options as common
from affect_edge.appliance import TLS_FOLDER
from affect_edge.options import PATH, Here, answer, cli, json_option, on_appliance_as_root
from edge_agent.core.errors import BrokerAccountError
from edge_agent.core.logs import log_to_stderr
from edge_agent.core.owners import as_owner_of, become_owner_of
from edge_agent.timeline.gate.client import SOCKET

if TYPE_CHECKING:
    from edge_agent.appliance.broker_accounts import BrokerAccount, BrokerAccounts, Right


P = ParamSpec("P")
AGENT_FIRST_S = 60.0
"""So long the gate leaves an upgrade of the database to the agent, which starts beside it."""
RIGHTS = ("read", "readings", "commands", "home-assistant")


# Not click.Choice of the enumeration: that would import its module for each --help.
def may_option(*, required: bool) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Give a command ``--may``."""
    return click.option(
        "--may",
        "names",
        multiple=True,
        type=click.Choice(RIGHTS),
        required=required,
        help="What it may do; can be given several times. Left out: read."
        if not required
        else "What it may do from now on; can be given several times.",
    )


@cli.group("mqtt-user")
def mqtt_user() -> None:
    """Accounts at the MQTT broker of this machine, each with its own rights.

    read: what the appliance publishes. readings: send readings. commands: start and end
    sessions, set markers. home-assistant: be Home Assistant (its buttons need commands, too).
    """


@mqtt_user.command("add")
@click.argument("name")
@may_option(required=False)
@common.config_option
def add(name: str, names: tuple[str, ...], config: Path | None) -> None:
    """Make an account, and show its password, once."""
    accounts = _accounts(config)
    may = names or ("read",)
    password = accounts.add(name, _rights(may))
    click.echo(f"Account {name}, may: {', '.join(may)}")
    click.echo(f"Password (shown this once, and kept nowhere): {password}")
    _say_whether_in_force(accounts)


@mqtt_user.command("list")
@json_option
@common.config_option
def list_accounts(as_json: bool, config: Path | None) -> None:
    """Show the accounts and what they may do."""
    accounts = _accounts(config).all()
    lines = (f"{account.name}: {_in_words(account)}" for account in accounts)
    answer(as_json, [_as_dict(account) for account in accounts], lines)


@mqtt_user.command("change")
@click.argument("name")
@may_option(required=True)
@common.config_option
def change(name: str, names: tuple[str, ...], config: Path | None) -> None:
    """Give an account other rights; its password stays."""
    accounts = _accounts(config)
    accounts.change(name, _rights(names))
    click.echo(f"Account {name}, may from now on: {', '.join(names)}")
    _say_whether_in_force(accounts)


@mqtt_user.command("remove")
@click.argument("name")
@common.config_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def remove(name: str, config: Path | None, yes: bool) -> None:
    """Remove an account, and disconnect its clients."""
    accounts = _accounts(config)
    if not yes:
        click.confirm(f"Remove the account {name}?", abort=True)
    accounts.remove(name)
    click.echo(f"Account {name} is gone.")
    _say_whether_in_force(accounts)


def _accounts(config: Path | None) -> BrokerAccounts:
    """Return the accounts of this machine's broker; only root may change them."""
    if os.geteuid() != 0:
        raise BrokerAccountError(
            "Only root can manage the broker's accounts; put sudo before the command."
        )
    settings, _folder = common.read_settings(config, None)
    from edge_agent import __version__
    from edge_agent.appliance.broker_accounts import BrokerAccounts
    from edge_agent.mqtt.discovery import Device

    mqtt = settings.mqtt
    device = Device(settings.device.name, mqtt.root, mqtt.home_assistant_prefix, __version__)
    return BrokerAccounts(device, mqtt.username)


def _say_whether_in_force(accounts: BrokerAccounts) -> None:
    if not accounts.in_force:
        click.echo("The broker does not run; this holds from its next start.", err=True)


def _rights(names: tuple[str, ...]) -> list[Right]:
    from edge_agent.appliance.broker_accounts import Right

    return [Right(name) for name in names]


def _as_dict(account: BrokerAccount) -> dict[str, object]:
    return {
        "name": account.name,
        "may": [str(right) for right in account.rights],
        "more_rules": account.more,
        "of_the_agent": account.of_the_agent,
    }


def _in_words(account: BrokerAccount) -> str:
    if account.of_the_agent:
        return "the agent's own account"
    words = [str(right) for right in account.rights]
    if account.more:
        words.append("other rules in the access file")
    return ", ".join(words) or "nothing"


@cli.group(invoke_without_command=True)
@common.place_options
@click.option(
    "--if-used", is_flag=True, help="Do nothing if the dashboard uses another certificate, or none."
)
@click.pass_context
def certificate(
    context: click.Context, config: Path | None, data: Path | None, if_used: bool
) -> None:
    """Make the dashboard's own certificate, or renew it, and show its fingerprint."""
    if context.invoked_subcommand:
        return
    settings, folder = common.read_settings(config, data)
    from edge_agent.appliance import certificates as room

    file = folder / TLS_FOLDER / room.CERTIFICATE
    served = settings.dashboard
    # A replacement that a power cut left half done goes first, whoever's certificate it is.
    if served.certificate and served.key and served.certificate.parent.is_dir():
        with as_owner_of(served.certificate):
            room.finish_replacement(served.certificate, served.key)
    if if_used and served.certificate != file:
        return
    become_owner_of(file)
    made = room.keep_certificate(file.parent)
    click.echo(f"{file}: {'made' if made else 'good'}, SHA-256 fingerprint")
    click.echo(f"  {room.fingerprint(file)}")


@certificate.command("install")
@click.option(
    "--cert",
    type=PATH,
    envvar="LEGO_CERT_PATH",
    metavar="FILE",
    help="Your certificate (PEM), followed by those that lead to its authority.",
)
@click.option(
    "--key",
    type=PATH,
    envvar="LEGO_CERT_KEY_PATH",
    metavar="FILE",
    help="Its private key (PEM), without a passphrase.",
)
@click.option(
    "--lineage",
    type=PATH,
    envvar="RENEWED_LINEAGE",
    metavar="FOLDER",
    help="Folder of certbot with fullchain.pem and privkey.pem, in place of --cert and --key.",
)
@on_appliance_as_root
def install(here: Here, cert: Path | None, key: Path | None, lineage: Path | None) -> None:
    """Serve the dashboard with a certificate of yours; an open page stays open.

    Without options, the files come from the environment variables that certbot (--deploy-hook) and
    lego (--run-hook, --renew-hook) set. A certificate that browsers would refuse is refused here,
    and nothing changes.
    """
    # The options count more than a variable of the environment that certbot left.
    if lineage is not None and cert is None and key is None:
        cert, key = lineage / "fullchain.pem", lineage / "privkey.pem"
    if cert is None or key is None:
        raise click.UsageError("Give --cert FILE and --key FILE, or --lineage FOLDER.")
    from edge_agent.appliance import certificates as room

    given = room.read_given(cert, key)
    served = here.settings.dashboard
    own = here.folder / TLS_FOLDER
    target = served.certificate or own / room.CERTIFICATE
    target_key = served.key or own / room.KEY
    # The configuration may name certbot's file directly; replacing it by itself would break its
    # link.
    if target.exists() and target.samefile(cert):
        click.echo(f"{cert}: is the file that the dashboard uses; it takes a change by itself.")
        return
    with as_owner_of(target):
        if target.parent == own:
            room.make_place(own)
        room.replace_pair(target, target_key, given.content, given.secret)
    click.echo(f"Installed for {', '.join(given.names)}: {target}")
    click.echo(f"It ends on {given.ends:%Y-%m-%d}, in {given.days:.0f} days.")
    if not given.has_root:
        click.echo(f"Browsers take it where they trust {given.authority}.")
    if served.certificate is not None and served.key is not None:
        click.echo("The dashboard takes it within a minute, without a restart.")
    else:
        click.echo("The configuration names no certificate yet. Below [dashboard] write:")
        click.echo(f'  certificate = "{target}"')
        click.echo(f'  key = "{target_key}"')
        click.echo("and restart the dashboard.")


@cli.command("database-gate")
@common.place_options
@click.option(
    "--socket",
    "address",
    type=PATH,
    default=SOCKET,
    show_default=True,
    help="Socket for programs that may read the database, but not write to it.",
)
def database_gate(config: Path | None, data: Path | None, address: Path) -> None:
    """Run the commands of a dashboard that may only read the database."""
    log_to_stderr()
    settings, folder = common.load(config, data)
    from edge_agent.appliance.gate_commands import gate_commands
    from edge_agent.core.process import StopSignals, SystemdNotifier, given_socket
    from edge_agent.timeline.database.lock import lock_for_reading
    from edge_agent.timeline.database.schema import DATABASE_NAME
    from edge_agent.timeline.database.upgrade import wait_until_upgraded
    from edge_agent.timeline.database.upgrade_process import migrate_apart, told_to_systemd
    from edge_agent.timeline.gate.server import Gate

    signals = StopSignals()
    database = folder / DATABASE_NAME
    notifier = SystemdNotifier.from_environment(os.environ)
    wait_until_upgraded(database, AGENT_FIRST_S)
    migrate_apart(database, on_progress=told_to_systemd(notifier))
    commands = gate_commands(
        database,
        purposes=settings.dashboard.purposes,
        outbox_rows=settings.mqtt.outbox_rows,
        keep_days=settings.record.keep_days,
        vision=settings.vision,
    )
    given = given_socket(os.environ)
    with lock_for_reading(database), Gate(commands, address, given) as keeper:
        # in another thread: stop() waits for serve(), which runs in this one
        signals.call(lambda: threading.Thread(target=keeper.stop).start())
        notifier.ready()
        keeper.serve(notifier.watchdog, notifier.watchdog_interval_s)
        notifier.stopping()
