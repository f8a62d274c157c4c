"""Accounts as administrators add, change and remove them, and the one-time links that they give.

One administrator who can log in stays: whoever would be the last can be neither removed, nor
disabled, nor given another role.
"""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path

from dashboard.accounts import passwords
from dashboard.accounts.notes import Notes
from dashboard.accounts.roles import (
    COLUMNS,
    NO_PASSWORD,
    WAITING,
    Account,
    Role,
    account_of,
    check_name,
    insert_account,
)
from dashboard.accounts.tokens import revoke_all_of
from edge_agent.core.clock import now
from edge_agent.core.texts import N_, Message
from edge_agent.timeline.database.dashboard_file import read_dashboard, write_dashboard

LINK_HOURS = 72
ACCOUNTS_MAX = 200
LINK_PATH = "/welcome"
_HOUR_MS = 3_600_000


# ruff: noqa: S608 - only our own names of columns are put into SQL text


@dataclass(frozen=True, slots=True)
class Member:
    """An account, as administrators see it.

    Attributes:
        created_ms: when it was made.
        used_ms: when one of its logins that have not ended was last used; ``None``: there is none.
        disabled: whether it may not log in.
        waits: whether nobody has chosen a password with its one-time link yet.
        must_change: whether the next login has to choose another password.
        is_demo: whether it is opened by the address that the demonstration prints.
    """

    id: int
    name: str
    role: Role
    created_ms: int
    used_ms: int | None
    disabled: bool
    waits: bool
    must_change: bool
    is_demo: bool


class Members:
    """The accounts kept in the dashboard's database.

    Args:
        path: the database of the timeline.
        check_new: refuses a weak password; here by default, or in another process.
    """

    def __init__(
        self, path: Path, check_new: passwords.Check = passwords.check_new_password
    ) -> None:
        self._path = path
        self._check_new = check_new
        self._note = Notes(path).note_within

    def all(self) -> list[Member]:
        """Return all accounts by name."""
        with read_dashboard(self._path) as connection:
            rows = connection.execute(
                "SELECT id, name, role, created, disabled, must_change, password_hash, (SELECT "
                "max(used) FROM login WHERE account = account.id AND expires > ?) AS used FROM "
                "account ORDER BY name COLLATE NOCASE",
                (now().wall_ms,),
            ).fetchall()
        return [
            Member(
                id=row["id"],
                name=row["name"],
                role=Role(row["role"]),
                created_ms=row["created"],
                used_ms=row["used"],
                disabled=row["disabled"] is not None,
                waits=row["password_hash"] == WAITING,
                must_change=bool(row["must_change"]),
                is_demo=row["password_hash"] == NO_PASSWORD,
            )
            for row in rows
        ]

    def find(self, name: str) -> Member:
        """Return an account by its name.

        Raises:
            AccountError: there is none.
        """
        members = self.all()
        wanted = name.strip().casefold()
        member = next((one for one in members if one.name.casefold() == wanted), None)
        if member is None:
            names = ", ".join(one.name for one in members) or "none"
            raise passwords.AccountError(
                N_("There is no account {name!r}. Existing accounts: {names}."),
                name=name.strip(),
                names=names,
            )
        return member

    def add_with_password(self, name: str, role: Role, password: str, actor: str) -> None:
        """Add an account with a first password, which its owner has to change.

        Raises:
            AccountError: name or password are not allowed; nothing was added.
        """
        name = name.strip()
        check_name(name)
        self._check_new(password, name)
        password_hash = passwords.hash_password(password)
        with write_dashboard(self._path) as connection:
            _refuse_taken(connection, name)
            made = insert_account(connection, name, password_hash, role)
            connection.execute("UPDATE account SET must_change = 1 WHERE id = ?", (made.id,))
            self._note(connection, actor, "account_add", f"{name} as {role}, with a first password")

    def add_with_link(self, name: str, role: Role, actor: str) -> str:
        """Add an account; return path and query of the link with which its owner chooses a
        password, once, within 72 hours.

        Raises:
            AccountError: the name is not allowed; nothing was added.
        """
        name = name.strip()
        check_name(name)
        with write_dashboard(self._path) as connection:
            _refuse_taken(connection, name)
            made = insert_account(connection, name, WAITING, role)
            self._note(connection, actor, "account_add", f"{name} as {role}, with a link")
            return _make_link(connection, made.id)

    def reset(self, number: int, actor: str) -> str:
        """Take the password of an account away and end its logins; return the link with which a
        new one is chosen.

        Raises:
            AccountError: there is no such account, or it is the last administrator.
        """
        with write_dashboard(self._path) as connection:
            member = _find(connection, number)
            _keep_one_administrator(connection, member, N_("reset"))
            # its second factor stays
            connection.execute(
                "UPDATE account SET password_hash = ?, must_change = 0 WHERE id = ?",
                (WAITING, number),
            )
            connection.execute("DELETE FROM login WHERE account = ?", (number,))
            self._note(connection, actor, "account_reset", member.name)
            return _make_link(connection, number)

    def set_role(self, number: int, role: Role, actor: str) -> None:
        """Give an account another role, from its next request on.

        Raises:
            AccountError: there is no such account, or it is the last administrator.
        """
        with write_dashboard(self._path) as connection:
            member = _find(connection, number)
            if member.role is role:
                return
            if role is not Role.ADMINISTRATOR:
                _keep_one_administrator(connection, member, N_("given another role"))
            connection.execute("UPDATE account SET role = ? WHERE id = ?", (role.value, number))
            # Whoever becomes a carer again is given people anew.
            connection.execute("DELETE FROM carer_person WHERE account = ?", (number,))
            self._note(connection, actor, "account_role", f"{member.name}: {member.role} to {role}")

    def disable(self, number: int, actor: str) -> None:
        """Let an account log in no more, and end its logins.

        Raises:
            AccountError: there is no such account, or it is the last administrator.
        """
        with write_dashboard(self._path) as connection:
            member = _find(connection, number)
            _keep_one_administrator(connection, member, N_("disabled"))
            connection.execute(
                "UPDATE account SET disabled = ? WHERE id = ? AND disabled IS NULL",
                (now().wall_ms, number),
            )
            connection.execute("DELETE FROM login WHERE account = ?", (number,))
            self._note(connection, actor, "account_disable", member.name)

    def enable(self, number: int, actor: str) -> None:
        """Let a disabled account log in again; logins of before stay ended.

        Raises:
            AccountError: there is no such account.
        """
        with write_dashboard(self._path) as connection:
            member = _find(connection, number)
            connection.execute("UPDATE account SET disabled = NULL WHERE id = ?", (number,))
            connection.execute("DELETE FROM login WHERE account = ?", (number,))
            self._note(connection, actor, "account_enable", member.name)

    def remove(self, number: int, actor: str) -> None:
        """Remove an account with its logins and tokens; what the audit trail says of it stays.

        Raises:
            AccountError: there is no such account, or it is the last administrator.
        """
        with write_dashboard(self._path) as connection:
            member = _find(connection, number)
            _keep_one_administrator(connection, member, N_("removed"))
            connection.execute("DELETE FROM account WHERE id = ?", (number,))
            for name in revoke_all_of(connection, number):
                self._note(connection, actor, "token_revoke", name)
            self._note(connection, actor, "account_remove", member.name)

    def holder_of(self, link: str) -> Account:
        """Return whose password a one-time link chooses; it is not spent by looking.

        Raises:
            AccountError: it is wrong, spent or too old, or the account is disabled.
        """
        with read_dashboard(self._path) as connection:
            return _holder(connection, link)

    def is_link(self, link: str) -> bool:
        """Tell whether a one-time link still chooses a password."""
        try:
            self.holder_of(link)
        except passwords.AccountError:
            return False
        return True

    def accept_new(self, link: str, password: str) -> passwords.Accepted:
        """Return the password that somebody chooses with a one-time link, found good enough.

        Raises:
            AccountError: the link is wrong, spent or too old, or the password not allowed.
        """
        name = self.holder_of(link).name
        self._check_new(password, name)
        return passwords.Accepted(password, name)

    def redeem(self, link: str, password: str | passwords.Accepted) -> Account:
        """Choose a password with a one-time link, which is spent; logins of before end.

        Raises:
            AccountError: the link is wrong, spent or too old, or the password not allowed; nothing
                was changed.
        """
        # Before the costly hash, and once more below: somebody else may spend the link meanwhile.
        name = self.holder_of(link).name
        password_hash = passwords.hash_password(passwords.accepted(password, name, self._check_new))
        with write_dashboard(self._path) as connection:
            account = _holder(connection, link)
            connection.execute(
                "UPDATE account SET password_hash = ?, must_change = 0, link_hash = NULL, "
                "link_expires = NULL WHERE id = ?",
                (password_hash, account.id),
            )
            connection.execute("DELETE FROM login WHERE account = ?", (account.id,))
            self._note(connection, account.name, "account_link", "password chosen with a link")
        return replace(account, stamp=passwords.sha256(password_hash))


def _find(connection: sqlite3.Connection, number: int) -> Account:
    row = connection.execute(f"SELECT {COLUMNS} FROM account WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise passwords.AccountError(N_("This account no longer exists. Reload the page."))
    return account_of(row)


def _holder(connection: sqlite3.Connection, link: str) -> Account:
    row = connection.execute(
        f"SELECT {COLUMNS} FROM account WHERE link_hash = ? AND link_expires > ? AND disabled IS "
        "NULL",
        (passwords.sha256(link), now().wall_ms),
    ).fetchone()
    if row is None:
        raise passwords.AccountError(
            N_("This link has expired or was already used. Ask an administrator for a new one.")
        )
    return account_of(row)


def _keep_one_administrator(connection: sqlite3.Connection, member: Account, what: str) -> None:
    """Refuse where nobody would be left who can log in and manage accounts."""
    able = [
        row[0]
        for row in connection.execute(
            "SELECT id FROM account WHERE role = ? AND disabled IS NULL AND password_hash NOT IN "
            "(?, ?)",
            (Role.ADMINISTRATOR.value, NO_PASSWORD, WAITING),
        )
    ]
    if able == [member.id]:
        raise passwords.AccountError(
            N_(
                "{name} is the last administrator who can log in and cannot be {what}. Make "
                "somebody else an administrator first."
            ),
            name=member.name,
            what=Message(what),
        )


def _refuse_taken(connection: sqlite3.Connection, name: str) -> None:
    if connection.execute("SELECT 1 FROM account WHERE name = ?", (name,)).fetchone():
        raise passwords.AccountError(
            N_("An account named {name!r} already exists. Choose another name."),
            name=name,
            field="name",
        )
    if connection.execute("SELECT count(*) FROM account").fetchone()[0] >= ACCOUNTS_MAX:
        raise passwords.AccountError(
            N_("There are already {accounts_max} accounts. Remove unused ones."),
            accounts_max=ACCOUNTS_MAX,
        )


def _make_link(connection: sqlite3.Connection, number: int) -> str:
    secret = secrets.token_urlsafe(32)
    connection.execute(
        "UPDATE account SET link_hash = ?, link_expires = ? WHERE id = ?",
        (passwords.sha256(secret), now().wall_ms + LINK_HOURS * _HOUR_MS, number),
    )
    return f"{LINK_PATH}?link={secret}"
