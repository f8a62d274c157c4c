"""Accounts and their rows in the dashboard's database."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import Role
from edge_agent.core.clock import now
from edge_agent.core.texts import N_, Message

NAME_MAX = 40
NO_PASSWORD = "!"  # noqa: S105 - no hash, so that no password fits
WAITING = "?"  # no hash either: a one-time link has been made with which a password is chosen
COLUMNS = "account.id, name, role, must_change, second_factor"
"""What ``account_of`` takes."""
DEMO = "demo"
"""The account that a one-time link opens; it has no password."""
_OTHER_ACTORS = frozenset({"agent", "appliance", "command line", "mqtt", "unknown"})
"""Actors in the audit trail and at the switch of the camera that are no accounts; a program is
``token NAME``."""


@dataclass(frozen=True, slots=True)
class Account:
    """Someone who is logged in.

    Attributes:
        role: what they may do, as ``dashboard.accounts.roles`` says.
        must_change: whether they have to choose another password first.
        has_second_factor: whether a log-in asks for a code beside the password.
    """

    id: int
    name: str
    role: Role = Role.VIEWER
    must_change: bool = False
    has_second_factor: bool = False


@dataclass(frozen=True, slots=True)
class CameFrom:
    """Where a login was made.

    Attributes:
        address: network address; empty: not known.
        browser: browser and system, for people; empty: not known.
    """

    address: str = ""
    browser: str = ""

    def __str__(self) -> str:
        parts = (f"from {self.address}" if self.address else "", self.browser)
        return ", ".join(part for part in parts if part)


def insert_account(connection: sqlite3.Connection, name: str, password: str, role: Role) -> Account:
    """Write an account under a number that no other ever had.

    Args:
        connection: in a write transaction.
        name: of the account.
        password: its hash, ``NO_PASSWORD`` or ``WAITING``.
        role: of the account.
    """
    cursor = connection.execute(
        "INSERT INTO account (name, password_hash, created, role) VALUES (?, ?, ?, ?)",
        (name, password, now().wall_ms, role.value),
    )
    return Account(int(cursor.lastrowid or 0), name, role)


def account_of(row: sqlite3.Row) -> Account:
    """Return the account of a row with ``COLUMNS``."""
    return Account(
        row["id"],
        row["name"],
        Role(row["role"]),
        bool(row["must_change"]),
        row["second_factor"] is not None,
    )


def check_name(name: str) -> None:
    """Refuse a name that no account may have."""
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
        raise AccountError(
            Message(N_("A name has 1 to {name_max} printable characters."), name_max=NAME_MAX)
        )
    folded = " ".join(name.casefold().split())
    if folded in _OTHER_ACTORS or folded.startswith("token "):
        raise AccountError(
            Message(
                N_(
                    "The audit trail calls something else {name!r}, so no account may have this "
                    "name. Choose another."
                ),
                name=name,
            )
        )
    if folded == DEMO:
        raise AccountError(N_("The name 'demo' belongs to the demonstration. Choose another."))


def read_setting(connection: sqlite3.Connection, key: str) -> str | None:
    """Return a value of the table ``setting``; ``None``: there is none."""
    row = connection.execute("SELECT value FROM setting WHERE key = ?", (key,)).fetchone()
    if row:
        return str(row[0])
    return None


def write_setting(connection: sqlite3.Connection, key: str, value: str) -> None:
    """Write a value into the table ``setting``."""
    connection.execute(
        "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = "
        "excluded.value",
        (key, value),
    )
