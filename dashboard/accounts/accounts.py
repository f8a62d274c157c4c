"""Accounts and logging in: setup, passwords, logins.

Nothing secret is kept readable: passwords as Argon2id, codes and tokens as SHA-256 (they are
random, so a fast hash is enough). Accounts and log-ins lie in the dashboard's own database; each
change leaves a line in the audit trail of the timeline, written before the change is committed; one
that protects is done, too, where the trail cannot be written now (``notes``).
"""

from __future__ import annotations

import functools
import logging
import secrets
import sqlite3
from pathlib import Path

from dashboard.accounts import passwords
from dashboard.accounts.notes import Notes
from dashboard.accounts.roles import (
    COLUMNS,
    DEMO,
    NO_PASSWORD,
    WAITING,
    Account,
    CameFrom,
    Role,
    StaleError,
    account_of,
    check_name,
    insert_account,
    refuse_stale,
)
from edge_agent.core.clock import now
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.dashboard_file import read_dashboard, write_dashboard
from edge_agent.timeline.database.setting import read_setting, write_setting

# ruff: noqa: S608 - only our own names of columns are put into SQL text

log = logging.getLogger(__name__)

LOGINS_MOST = 50
"""Of an account; of more, the one ends that was not used for longest."""
_SETUP_CODE = "setup_code_sha256"
_LOGIN_LINK = "login_link"
_MINUTE_MS = 60_000
_UNKNOWN = CameFrom()


class Accounts:
    """The accounts and logins kept in the database.

    Args:
        path: the database of the timeline.
        login_hours: hours until a login ends.
        idle_minutes: minutes until a login ends that nobody uses.
        check_new: refuses a weak password; here by default, or in another process.
    """

    def __init__(
        self,
        path: Path,
        login_hours: int = 12,
        idle_minutes: int = 120,
        check_new: passwords.Check = passwords.check_new_password,
    ) -> None:
        self._path = path
        self._check_new = check_new
        self._login_ms = login_hours * 60 * _MINUTE_MS
        self._idle_ms = idle_minutes * _MINUTE_MS
        self._notes = Notes(path)
        self._note = self._notes.note_within

    @functools.cached_property
    def _absent(self) -> str:
        """A hash that no password fits, as costly to check as any other."""
        return passwords.hash_password(secrets.token_hex(16))

    def needs_setup(self) -> bool:
        """Tell whether nobody can log in with a password yet."""
        with read_dashboard(self._path) as connection:
            return _needs_setup(connection)

    def set_up(self, code: str, name: str, password: str) -> Account:
        """Create the first account and spend the setup code.

        Raises:
            AccountError: the code is wrong or spent, or name or password are not allowed; nothing
                was changed.
        """
        name = name.strip()
        # Before anything is hashed: who has no code gets no work out of this machine.
        with read_dashboard(self._path) as connection:
            _check_setup_code(connection, code)
        check_name(name)
        self._check_new(password, name)
        password_hash = passwords.hash_password(password)
        with write_dashboard(self._path) as connection:
            # Once more, in the transaction that spends it: another request may have been quicker.
            _check_setup_code(connection, code)
            connection.execute("DELETE FROM setting WHERE key = ?", (_SETUP_CODE,))
            account = insert_account(connection, name, password_hash, Role.ADMINISTRATOR)
            self._note(connection, name, "setup", "first account created")
        return account

    def check_password(self, name: str, password: str) -> Account:
        """Return the account that name and password belong to.

        Raises:
            AccountError: they fit no account, and which of the two was wrong is not told; or the
                account is disabled.
        """
        with read_dashboard(self._path) as connection:
            row = connection.execute(
                f"SELECT {COLUMNS}, disabled FROM account WHERE name = ?", (name.strip(),)
            ).fetchone()
        has_password = row is not None and row["password_hash"] not in {NO_PASSWORD, WAITING}
        kept = row["password_hash"] if has_password else None
        # costs the same time without an account or its password, so that no name can be found out
        is_right = passwords.is_password(password, kept or self._absent)
        if not is_right or kept is None:
            raise passwords.AccountError(passwords.WRONG)
        if row["disabled"] is not None:
            raise passwords.AccountError(passwords.DISABLED)
        return account_of(row)

    def named_by_proxy(self, name: str) -> Account:
        """Return the account of somebody whom a trusted proxy has logged in.

        It needs no password of ours.

        Raises:
            AccountError: there is none of that name, or it is disabled.
        """
        with read_dashboard(self._path) as connection:
            row = connection.execute(
                f"SELECT {COLUMNS}, disabled FROM account WHERE name = ? AND password_hash <> ?",
                (name, NO_PASSWORD),
            ).fetchone()
        if row is None:
            raise passwords.AccountError(passwords.NO_ACCOUNT_HERE, name=name)
        if row["disabled"] is not None:
            raise passwords.AccountError(passwords.DISABLED)
        return account_of(row)

    def names(self) -> list[str]:
        """Return the names of the accounts that have a password."""
        with read_dashboard(self._path) as connection:
            return _names(connection)

    def has_password(self, account: Account) -> bool:
        """Tell whether an account is opened by a password, not by a link alone."""
        with read_dashboard(self._path) as connection:
            row = connection.execute(
                "SELECT password_hash FROM account WHERE id = ?", (account.id,)
            ).fetchone()
        return row is not None and row[0] not in {NO_PASSWORD, WAITING}

    def check_own_password(self, account: Account, password: str) -> None:
        """Refuse a password that is not that of the logged-in account.

        Raises:
            AccountError: it is wrong.
        """
        try:
            self.check_password(account.name, password)
        except passwords.AccountError as error:
            raise passwords.AccountError(passwords.WRONG_PRESENT, field="old") from error

    def accept_new(self, account: Account, new: str) -> passwords.Accepted:
        """Return another password for an account, found good enough.

        Raises:
            AccountError: it is not allowed.
        """
        self._check_new(new, account.name)
        return passwords.Accepted(new, account.name)

    def change_password(
        self, account: Account, old: str, new: str | passwords.Accepted, token: str
    ) -> None:
        """Give an account another password and end all its logins but that of ``token``.

        Raises:
            AccountError: the old one is wrong, also because another was set meanwhile, or the new
                one not allowed; nothing was changed.
        """
        self.check_own_password(account, old)
        if (new.password if isinstance(new, passwords.Accepted) else new) == old:
            raise passwords.AccountError(passwords.SAME, field="password")
        self._set_password(
            account.name,
            new,
            keep=passwords.sha256(token),
            checked=account,
            actor=account.name,
            audit_line=("password_change", ""),
        )

    def reset_password(self, name: str, new: str) -> None:
        """Give an account another password without the old one, and end all its logins: for who may
        run commands here.

        Raises:
            AccountError: there is no such account, or the password is not allowed; nothing was
                changed.
        """
        known = self.require(name)
        self._set_password(
            known,
            new,
            keep="",
            checked=None,
            actor="command line",
            audit_line=("password_reset", known),
        )

    def require(self, name: str) -> str:
        """Return the name of an account as it was made.

        Raises:
            AccountError: there is no account of that name that has a password.
        """
        names = self.names()
        known = next(
            (known for known in names if known.casefold() == name.strip().casefold()), None
        )
        if known is None:
            if names:
                there = f"There is: {', '.join(names)}."
            else:
                there = "There is none yet; open the dashboard and set it up."
            raise passwords.AccountError(f"There is no account {name!r} with a password. {there}")
        return known

    def _set_password(
        self,
        name: str,
        new: str | passwords.Accepted,
        *,
        keep: str,
        checked: Account | None,
        actor: str,
        audit_line: tuple[str, str],
    ) -> None:
        """Give an account another password; only if it is still as it was ``checked``, if so."""
        password_hash = passwords.hash_password(passwords.accepted(new, name, self._check_new))
        with write_dashboard(self._path) as connection:
            if checked is not None:
                refuse_stale(connection, checked, passwords.WRONG_PRESENT)
            connection.execute(
                "UPDATE account SET password_hash = ?, must_change = 0, link_hash = NULL WHERE "
                "name = ?",
                (password_hash, name),
            )
            connection.execute(
                "DELETE FROM login WHERE account = (SELECT id FROM account WHERE name = ?) AND "
                "token_hash <> ?",
                # An empty ``keep`` is the hash of no token, so that every login ends.
                (name, keep),
            )
            self._note(connection, actor, *audit_line)

    def other_logins(self, account: Account, token: str) -> int:
        """Return how many logins of an account are open beside that of ``token``."""
        at = now().wall_ms
        with read_dashboard(self._path) as connection:
            row = connection.execute(
                "SELECT count(*) FROM login WHERE account = ? AND expires > ? AND used > ? AND "
                "token_hash <> ?",
                (account.id, at, at - self._idle_ms, passwords.sha256(token)),
            ).fetchone()
        return int(row[0])

    def log_in(self, account: Account, instead_of: str = "", came_from: CameFrom = _UNKNOWN) -> str:
        """Open a login and return its token, which goes into the cookie.

        The database keeps only its hash. The login of the token ``instead_of``, which the same
        browser had before, ends.

        Raises:
            StaleError: since the account was looked up it was disabled or removed, or got another
                password or a second factor; nothing was changed.
        """
        token = secrets.token_urlsafe(32)
        at = now().wall_ms
        with write_dashboard(self._path) as connection:
            present = refuse_stale(connection, account, passwords.WRONG)
            if present.has_second_factor and not account.has_second_factor:
                raise StaleError(passwords.WRONG)
            connection.execute(
                "DELETE FROM login WHERE expires <= ? OR used <= ? OR token_hash = ?",
                (at, at - self._idle_ms, passwords.sha256(instead_of)),
            )
            connection.execute(
                "INSERT INTO login (token_hash, account, created, expires, used, address, browser) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    passwords.sha256(token),
                    account.id,
                    at,
                    at + self._login_ms,
                    at,
                    came_from.address,
                    came_from.browser,
                ),
            )
            connection.execute(
                "DELETE FROM login WHERE account = ? AND token_hash NOT IN (SELECT token_hash FROM "
                "login WHERE account = ? ORDER BY used DESC, rowid DESC LIMIT ?)",
                (account.id, account.id, LOGINS_MOST),
            )
            self._note(connection, account.name, "login", str(came_from))
        return token

    def log_out(self, token: str) -> None:
        """End the login of a token."""
        with write_dashboard(self._path) as connection:
            ended = connection.execute(
                "DELETE FROM login WHERE token_hash = ? RETURNING account",
                (passwords.sha256(token),),
            ).fetchone()
            if ended is not None:
                name = connection.execute(
                    "SELECT name FROM account WHERE id = ?", (ended[0],)
                ).fetchone()[0]
                self._note(connection, name, "logout")

    def note_failure(self, name: str, came_from: CameFrom) -> None:
        """Write into the audit trail that a password was refused.

        A name that nobody has is not written: it may be a password in the wrong field.
        """
        with read_dashboard(self._path) as connection:
            row = connection.execute(
                "SELECT name FROM account WHERE name = ?", (name.strip(),)
            ).fetchone()
        self._notes.note(row[0] if row else "unknown", "login_failed", str(came_from))

    def of_token(self, token: str) -> Account | None:
        """Return whose login the token is, or ``None`` when it is unknown or has ended.

        It ends some hours after it began, and earlier when it was not used for long.
        """
        at = now().wall_ms
        digest = passwords.sha256(token)
        with read_dashboard(self._path) as connection:
            row = connection.execute(
                f"SELECT {COLUMNS}, used FROM login JOIN account ON account.id = login.account "
                "WHERE token_hash = ? AND expires > ? AND used > ? AND disabled IS NULL",
                (digest, at, at - self._idle_ms),
            ).fetchone()
        if row is None:
            return None
        # At most once a minute, since each is a write; ``abs``,
        # for the clock may have been set back.
        if abs(at - row["used"]) >= _MINUTE_MS:
            self._note_use(digest, at)
        return account_of(row)

    def _note_use(self, digest: str, at: int) -> None:
        try:
            with write_dashboard(self._path) as connection:
                connection.execute("UPDATE login SET used = ? WHERE token_hash = ?", (at, digest))
        except StoreError as error:  # a full disk must not log out who could make room
            log.warning("it could not be noted that a login is in use: %s", error)

    def follow_link(self, token: str) -> Account:
        """Spend a one-time login link and return the demo account.

        Raises:
            AccountError: the link is wrong, spent or too old.
        """
        # A wrong link must not keep others from writing.
        with read_dashboard(self._path) as connection:
            _check_link(connection, token)
        with write_dashboard(self._path) as connection:
            _check_link(connection, token)
            connection.execute("DELETE FROM setting WHERE key = ?", (_LOGIN_LINK,))
            row = connection.execute(
                f"SELECT {COLUMNS} FROM account WHERE name = ?", (DEMO,)
            ).fetchone()
            if row:
                account = account_of(row)
            else:
                account = insert_account(connection, DEMO, NO_PASSWORD, Role.ADMINISTRATOR)
            self._note(connection, account.name, "login_link", "one-time link spent")
        return account


def ensure_setup_code(path: Path) -> str | None:
    """Return a new one-time setup code while nobody has an account, else ``None``.

    Every start makes a new code and forgets the last one; only the hash is kept.
    """
    with write_dashboard(path) as connection:
        if not _needs_setup(connection):
            return None
        code = passwords.new_code(groups=3)
        write_setting(connection, _SETUP_CODE, passwords.hash_of_code(code))
    return code


def create_login_link(path: Path, minutes: int = 60) -> str:
    """Return the path and query of a link that logs in its first visitor, once, within
    ``minutes``.
    """
    token = secrets.token_urlsafe(24)
    with write_dashboard(path) as connection:
        write_setting(
            connection,
            _LOGIN_LINK,
            f"{passwords.sha256(token)} {now().wall_ms + minutes * _MINUTE_MS}",
        )
    return f"/login?link={token}"


def _check_link(connection: sqlite3.Connection, token: str) -> None:
    digest, _, expires = (read_setting(connection, _LOGIN_LINK) or "").partition(" ")
    if (
        not digest
        or not secrets.compare_digest(digest, passwords.sha256(token))
        or int(expires) <= now().wall_ms
    ):
        raise passwords.AccountError(passwords.LINK_SPENT)


def _check_setup_code(connection: sqlite3.Connection, code: str) -> None:
    kept = read_setting(connection, _SETUP_CODE)
    if not _needs_setup(connection):
        raise passwords.AccountError(passwords.SETUP_DONE)
    if kept is None or not secrets.compare_digest(kept, passwords.hash_of_code(code)):
        raise passwords.AccountError(passwords.WRONG_CODE, field="code")


def _needs_setup(connection: sqlite3.Connection) -> bool:
    return not _names(connection)


def _names(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT name FROM account WHERE password_hash <> ? ORDER BY name", (NO_PASSWORD,)
    )
    return [row[0] for row in rows]


def language_of_account(path: Path, number: int) -> str:
    """Return the code of the language that an account chose; empty where it chose none.

    Args:
        path: the database of the timeline.
        number: the account.
    """
    with read_dashboard(path) as connection:
        row = connection.execute("SELECT language FROM account WHERE id = ?", (number,)).fetchone()
    return "" if row is None else str(row[0])


def choose_language(path: Path, number: int, code: str) -> None:
    """Keep the choice of an account; an empty one means none."""
    with write_dashboard(path) as connection:
        connection.execute("UPDATE account SET language = ? WHERE id = ?", (code, number))
