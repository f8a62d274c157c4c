"""``python -m dashboard account``: accounts of the dashboard, without a browser."""

from __future__ import annotations

import click

from dashboard.accounts.members import LINK_HOURS, Member, Members
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import Role
from dashboard.commands.account_second_factor import second_factor
from dashboard.commands.account_tokens import token
from dashboard.commands.exit_codes import run_command
from dashboard.commands.on_appliance import ACTOR, on_appliance
from dashboard.web.settings import DashboardOptions
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import ConfigError

_ROLES = click.Choice([role.value for role in Role])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def account() -> None:
    """Manage who may log in to the dashboard, and what they may."""


account.add_command(second_factor)
account.add_command(token)


@account.command("list")
@on_appliance
def list_accounts(options: DashboardOptions) -> None:
    """List all accounts: name, role, state."""
    for member in Members(options.database).all():
        click.echo(f"{member.name}\t{member.role}\t{_state(member)}")


@account.command()
@click.argument("name")
@click.option("--role", type=_ROLES, required=True, help="What the account may do.")
@click.option(
    "--password",
    "asks",
    is_flag=True,
    help="Ask for a first password, which its owner has to change; without: print a link.",
)
@on_appliance
def add(options: DashboardOptions, name: str, role: str, asks: bool) -> None:
    """Add the account NAME and print the link with which its owner chooses a password, once."""
    members = Members(options.database)
    if not asks:
        _show_link(options, name, members.add_with_link(name, Role(role), ACTOR))
        return
    new = click.prompt(f"First password of {name}", hide_input=True, confirmation_prompt="Again")
    members.add_with_password(name, Role(role), new, ACTOR)
    click.echo(f"{name} can log in, and has to change the password then.")


@account.command("role")
@click.argument("name")
@click.argument("role", type=_ROLES)
@on_appliance
def change_role(options: DashboardOptions, name: str, role: str) -> None:
    """Give the account NAME the role ROLE, from its next request on."""
    members = Members(options.database)
    member = members.named(name)
    members.set_role(member.id, Role(role), ACTOR)
    click.echo(f"{member.name} has the role {role} now.")


@account.command()
@click.argument("name")
@on_appliance
def remove(options: DashboardOptions, name: str) -> None:
    """Remove the account NAME; all its logins end."""
    members = Members(options.database)
    member = members.named(name)
    members.remove(member.id, ACTOR)
    click.echo(f"{member.name} was removed.")


@account.command()
@click.argument("name")
@on_appliance
def reset(options: DashboardOptions, name: str) -> None:
    """Take the password of NAME away, end all its logins, and print the link for a new one."""
    members = Members(options.database)
    member = members.named(name)
    _show_link(options, member.name, members.reset(member.id, ACTOR))


def _show_link(options: DashboardOptions, name: str, link: str) -> None:
    click.echo(f"{name} chooses a password here, once, within {LINK_HOURS} hours:")
    click.echo(f"{options.address}{link}")


def _state(member: Member) -> str:
    if member.disabled:
        return "disabled"
    if member.waits:
        return "waits for its link to be used"
    if member.is_demo:
        return "demonstration"
    if member.used_ms is None:
        return "not logged in"
    return f"last used {iso_utc(member.used_ms)}"


def main(arguments: list[str]) -> int:
    """Run the command; return the exit code: 0 done, 1 the store failed, 2 wrong use, name, role
    or password.
    """
    return run_command(account, arguments, "affect-edge account", wrong=(ConfigError, AccountError))
