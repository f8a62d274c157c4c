"""``affect-edge mqtt-user``: accounts at the broker for other machines and programs."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import click

from edge_agent.cli.options import json_option, load, log_to_stderr
from edge_agent.core.errors import BrokerAccountError

if TYPE_CHECKING:
    from edge_agent.appliance.broker.accounts import Account, BrokerAccounts
    from edge_agent.appliance.broker.rights import Right

P = ParamSpec("P")
RIGHTS = ("read", "readings", "commands", "home-assistant")
config_option = click.option(
    "--config", type=click.Path(path_type=Path), help="Configuration file (TOML)."
)


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


@click.group("mqtt-user")
def mqtt_user() -> None:
    """Accounts at the MQTT broker of this machine, each with its own rights.

    read: what the appliance publishes. readings: send readings. commands: start and end
    sessions, set markers. home-assistant: be Home Assistant (its buttons need commands, too).
    """


@mqtt_user.command("add")
@click.argument("name")
@may_option(required=False)
@config_option
def add(name: str, names: tuple[str, ...], config: Path | None) -> None:
    """Make an account, and show its password, once."""
    accounts = _accounts(config)
    password = accounts.add(name, _rights(names or ("read",)))
    click.echo(f"Account {name}, may: {', '.join(names or ('read',))}")
    click.echo(f"Password (shown this once, and kept nowhere): {password}")
    _say_whether_in_force(accounts)


@mqtt_user.command("list")
@json_option
@config_option
def list_accounts(as_json: bool, config: Path | None) -> None:
    """Show the accounts and what they may do."""
    accounts = _accounts(config).all()
    if as_json:
        click.echo(json.dumps([_as_dict(account) for account in accounts]))
        return
    for account in accounts:
        click.echo(f"{account.name}: {_in_words(account)}")


@mqtt_user.command("change")
@click.argument("name")
@may_option(required=True)
@config_option
def change(name: str, names: tuple[str, ...], config: Path | None) -> None:
    """Give an account other rights; its password stays."""
    accounts = _accounts(config)
    accounts.change(name, _rights(names))
    click.echo(f"Account {name}, may from now on: {', '.join(names)}")
    _say_whether_in_force(accounts)


@mqtt_user.command("remove")
@click.argument("name")
@config_option
@click.option("--yes", is_flag=True, help="Ask nothing.")
def remove(name: str, config: Path | None, yes: bool) -> None:
    """Remove an account; who is connected with it is cut off."""
    accounts = _accounts(config)
    if not yes:
        click.confirm(f"Remove the account {name}?", abort=True)
    accounts.remove(name)
    click.echo(f"Account {name} is gone.")
    _say_whether_in_force(accounts)


def _accounts(config: Path | None) -> BrokerAccounts:
    """Return the accounts of this machine's broker, for root, who alone may change them."""
    if os.geteuid() != 0:
        raise BrokerAccountError(
            "Only root can look after accounts at the broker; put sudo before the command."
        )
    log_to_stderr(logging.WARNING)
    settings, _folder = load(config, None)
    from edge_agent import __version__
    from edge_agent.appliance.broker.accounts import BrokerAccounts
    from edge_agent.mqtt.discovery.device import Device

    mqtt = settings.mqtt
    device = Device(settings.device.name, mqtt.root, mqtt.home_assistant_prefix, __version__)
    return BrokerAccounts(device, mqtt.username)


def _say_whether_in_force(accounts: BrokerAccounts) -> None:
    if not accounts.in_force:
        click.echo("The broker does not run; this holds from its next start.", err=True)


def _rights(names: tuple[str, ...]) -> list[Right]:
    from edge_agent.appliance.broker.rights import Right

    return [Right(name) for name in names]


def _as_dict(account: Account) -> dict[str, object]:
    return {
        "name": account.name,
        "may": [str(right) for right in account.rights],
        "more_rules": account.more,
        "of_the_agent": account.of_the_agent,
    }


def _in_words(account: Account) -> str:
    if account.of_the_agent:
        return "the agent's own account"
    words = [str(right) for right in account.rights]
    if account.more:
        words.append("other rules in the access file")
    return ", ".join(words) or "nothing"
