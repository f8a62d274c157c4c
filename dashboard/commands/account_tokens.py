"""``python -m dashboard account token``: tokens of programs, without a browser."""

from __future__ import annotations

import click

from dashboard.accounts.account_rows import Account
from dashboard.accounts.members import Members
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import Role
from dashboard.accounts.scopes import SCOPES_ABOUT, Scope, text_of_scopes
from dashboard.accounts.tokens import NewToken, Tokens
from dashboard.commands.on_appliance import ACTOR, on_appliance
from dashboard.web.settings import DashboardOptions
from edge_agent.core.clock import iso_utc

_ROLES = click.Choice([role.value for role in Role])
_SCOPES = click.Choice([scope.value for scope in Scope])
_SCOPES_HELP = "; ".join(f"{scope}: {about}" for scope, about in SCOPES_ABOUT.items())


@click.group()
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
    "--role", type=_ROLES, help="Role up to which it goes; left out: that of the account."
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
    maker = Members(options.database).named(account)
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
