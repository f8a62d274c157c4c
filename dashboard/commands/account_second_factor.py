"""``python -m dashboard account second-factor``: for who has lost the phone."""

from __future__ import annotations

import click

from dashboard.accounts.account_rows import Account
from dashboard.accounts.members import Members
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.second_factors import SecondFactors
from dashboard.commands.on_appliance import ACTOR, on_appliance
from dashboard.web.settings import DashboardOptions


@click.group("second-factor")
def second_factor() -> None:
    """Manage the second factors of accounts."""


@second_factor.command()
@click.argument("name")
@on_appliance
def off(options: DashboardOptions, name: str) -> None:
    """Let NAME log in with the password alone again, after a lost phone; all its logins end."""
    member = Members(options.database).named(name)
    holder = Account(member.id, member.name, member.role)
    if not SecondFactors(options.database).turn_off(holder, "", ACTOR):
        raise AccountError(f"{member.name} has no second factor. Nothing was changed.")
    click.echo(f"{member.name} logs in with the password alone now, and is logged out everywhere.")
