"""``python -m dashboard password``: another password for somebody who has forgotten theirs."""

from __future__ import annotations

import click

from dashboard.accounts.accounts import Accounts
from dashboard.accounts.passwords import AccountError
from dashboard.commands.exit_codes import run_command
from dashboard.commands.on_appliance import on_appliance
from dashboard.web.settings import DashboardOptions
from edge_agent.core.errors import ConfigError


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", required=False)
@on_appliance
def password(options: DashboardOptions, name: str | None) -> None:
    """Set another password for the dashboard's account NAME.

    It may be left out where there is one account only.

    The password is asked for, and not shown. Every login of the account ends.
    """
    accounts = Accounts(options.database)
    names = accounts.names()
    if name is None:
        if len(names) != 1:
            if names:
                there = f"There are: {', '.join(names)}."
            else:
                there = "There is none yet; open the dashboard and set it up."
            raise AccountError(f"Say whose password, as in: affect-edge password NAME. {there}")
        name = names[0]
    accounts.require(name)
    new = click.prompt(f"New password of {name}", hide_input=True, confirmation_prompt="Once more")
    accounts.reset_password(name, new)
    click.echo(f"{name} has another password now, and is logged out everywhere.")


def main(arguments: list[str]) -> int:
    """Run the command; return the exit code: 0 done, 1 the store failed, 2 wrong use, name or
    password.
    """
    return run_command(
        password, arguments, "affect-edge password", wrong=(ConfigError, AccountError)
    )
