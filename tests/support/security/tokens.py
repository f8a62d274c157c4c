"""Tokens of programs, made as an administrator makes them."""

from __future__ import annotations

from pathlib import Path

from dashboard.accounts.roles import Account, Role, Scope, insert_account
from dashboard.accounts.tokens import NewToken, Tokens
from edge_agent.timeline.database.dashboard_file import write_dashboard

MAKER = "maker"
READINGS = frozenset({Scope.READINGS})
EVERYTHING = frozenset(Scope)


def maker(database: Path, role: Role = Role.ADMINISTRATOR, name: str = MAKER) -> Account:
    """Return an account that may make tokens; it is added where there is none of this name."""
    with write_dashboard(database) as connection:
        row = connection.execute("SELECT id, role FROM account WHERE name = ?", (name,)).fetchone()
        if row is not None:
            return Account(row[0], name, Role(row[1]))
        return insert_account(connection, name, "!", role)


def make_token(
    database: Path,
    name: str = "bridge",
    scopes: frozenset[Scope] = READINGS,
    role: Role = Role.OPERATOR,
    days: int | None = None,
) -> str:
    """Make a token and return its secret."""
    return Tokens(database).make(NewToken(name, scopes, role, days), maker(database))


def bearer(secret: str) -> dict[str, str]:
    """Return the header with which a program brings a token."""
    return {"Authorization": f"Bearer {secret}"}
