"""The commands ``account`` and ``password``: accounts, tokens, second factors without a browser."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dashboard.accounts.accounts import Accounts
from dashboard.accounts.members import LINK_HOURS, Member, Members
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import SCOPES_ABOUT, TOKEN_ROLES, Account, Role, Scope, text_of_scopes
from dashboard.accounts.second_factors import SecondFactors
from dashboard.accounts.tokens import NewToken, Tokens
from dashboard.commands.exit_codes import CONFIG
from dashboard.web.options import DashboardOptions, options_from
from edge_agent.config.loading import load_settings
from edge_agent.core.bounds import COMMAND_LINE
from edge_agent.core.clock import iso_utc
from edge_agent.core.command_line import Command, Group
from edge_agent.timeline.database.dashboard_file import become_owner

ACTOR = COMMAND_LINE
"""Who did it, in the audit trail."""
_ROLES = click.Choice([role.value for role in Role])
_TOKEN_ROLES = click.Choice([role.value for role in TOKEN_ROLES])
_SCOPES = click.Choice([scope.value for scope in Scope])
_SCOPES_HELP = "; ".join(f"{scope}: {about}" for scope, about in SCOPES_ABOUT.items())


def on_appliance(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which appliance is meant, and hand its options to the command."""

    @CONFIG
    @click.option(
        "--data",
        type=click.Path(path_type=Path),
        help="Folder of the database; wins over the configuration.",
    )
    @functools.wraps(command)
    def run(config_file: Path | None, data: Path | None, **given: Any) -> None:

        options = options_from(load_settings(config_file), data)
        become_owner(options.database)  # the accounts are the dashboard's alone
        command(options, **given)

    return run


@click.group("second-factor", cls=Group)
def second_factor() -> None:
    """Manage the second factors of accounts."""


@second_factor.command()
@click.argument("name")
@on_appliance
def off(options: DashboardOptions, name: str) -> None:
    """Let NAME log in with the password alone again, after a lost phone; all its logins end."""
    member = Members(options.database).find(name)
    holder = Account(member.id, member.name, member.role)
    # Without a login of its own to keep, so that all of them end.
    if not SecondFactors(options.database).turn_off(holder, "", ACTOR):
        raise AccountError(f"{member.name} has no second factor. Nothing was changed.")
    click.echo(f"{member.name} logs in with the password alone now, and is logged out everywhere.")


@click.group(cls=Group)
def token() -> None:
    """Manage the tokens with which programs use the API."""


@token.command("list")
@on_appliance
def list_tokens(options: DashboardOptions) -> None:
    """List all tokens: name, scopes, role, maker, last use, end, state."""
    for one in Tokens(options.database).all():
        used = "never used" if one.used_ms is None else f"last used {iso_utc(one.used_ms)}"
        ends = "does not end" if one.expires_ms is None else f"ends {iso_utc(one.expires_ms)}"
        scopes = text_of_scopes(one.scopes)
        click.echo(
            f"{one.name}\t{scopes}\t{one.role}\tby {one.created_by}\t{used}\t{ends}\t{one.state}"
        )


@token.command()
@click.argument("name")
@click.option(
    "--scope", "scopes", type=_SCOPES, multiple=True, required=True, help=f"{_SCOPES_HELP}."
)
@click.option("--account", required=True, help="Account in whose name; the token never has more.")
@click.option(
    "--role", type=_TOKEN_ROLES, help="Role up to which it goes; left out: that of the account."
)
@click.option("--days", type=int, help="Days until it ends; left out: it does not end by itself.")
@on_appliance
def make(
    options: DashboardOptions,
    name: str,
    scopes: tuple[str, ...],
    account: str,
    role: str | None,
    days: int | None,
) -> None:
    """Make a token for the program NAME and print its secret, this once."""
    maker = Members(options.database).find(account)
    if maker.disabled:
        raise AccountError(f"{maker.name} is disabled, so the token would open nothing.")
    new = NewToken(name, frozenset(map(Scope, scopes)), Role(role) if role else maker.role, days)
    tokens = Tokens(options.database)
    click.echo(tokens.make(new, Account(maker.id, maker.name, maker.role), ACTOR))


@token.command()
@click.argument("name")
@on_appliance
def revoke(options: DashboardOptions, name: str) -> None:
    """End the token NAME at once."""
    tokens = Tokens(options.database)
    named = [one for one in tokens.all() if one.name == name and one.revoked_ms is None]
    if not named:
        kept = ", ".join(one.name for one in tokens.all() if one.revoked_ms is None) or "none"
        raise AccountError(f"There is no token {name!r} to revoke. There is: {kept}.")
    for one in named:
        tokens.revoke(one.id, ACTOR)
    click.echo(f"{name} was revoked.")


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
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
    member = members.find(name)
    members.set_role(member.id, Role(role), ACTOR)
    click.echo(f"{member.name} has the role {role} now.")


@account.command()
@click.argument("name")
@on_appliance
def remove(options: DashboardOptions, name: str) -> None:
    """Remove the account NAME; all its logins end."""
    members = Members(options.database)
    member = members.find(name)
    members.remove(member.id, ACTOR)
    click.echo(f"{member.name} was removed.")


@account.command()
@click.argument("name")
@on_appliance
def reset(options: DashboardOptions, name: str) -> None:
    """Take the password of NAME away, end all its logins, and print the link for a new one."""
    members = Members(options.database)
    member = members.find(name)
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


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
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
