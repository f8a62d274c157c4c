"""The passkeys of all accounts, kept with the other secrets in the file of credentials.

An account that has a passkey has a second factor: the password alone logs nobody in any more. The
passkey alone does: it is held by somebody, and it asks them for a finger, a face or a PIN.
"""

# ruff: noqa: S608 - only our own names of columns are put into SQL text

from __future__ import annotations

import sqlite3
from pathlib import Path

from dashboard.accounts import refusals
from dashboard.accounts.account_rows import COLUMNS, NO_PASSWORD, WAITING, Account, account_of
from dashboard.accounts.passkeys.ceremonies import (
    REFUSED,
    Answer,
    RelyingParty,
    made_passkey,
    new_sign_count,
)
from dashboard.accounts.passkeys.challenges import LOGIN, Challenges
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.second_factors import (
    end_others,
    hashes_of,
    key_of,
    new_recovery_codes,
)
from edge_agent.core.clock import now
from edge_agent.core.texts import N_, Message
from edge_agent.store.database.schema import read_transaction, write_transaction
from edge_agent.store.study.study_rows import insert_audit
from edge_agent.store.write.accounts.credentials import Credentials, PasskeyRow, SecondFactorRow

NAME_MAX = 40
PASSKEYS_MAX = 20


class Passkeys:
    """The passkeys of all accounts.

    Args:
        path: the database file, already migrated.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._credentials = Credentials(path)

    def of(self, account: Account) -> list[PasskeyRow]:
        """Return the passkeys of an account, the oldest first.

        Raises:
            StoreError: the file cannot be read.
        """
        with read_transaction(self._path) as connection:
            key = key_of(connection, account.id)
        row = self._credentials.second_factor(key) if key else None
        return list(row.passkeys) if row else []

    def add(
        self, account: Account, answer: Answer, party: RelyingParty, name: str, token: str
    ) -> list[str]:
        """Keep the passkey that a browser has made, and end all logins but that of ``token``.

        Args:
            account: whose password was asked for again.
            answer: of the browser; its challenge is spent.
            party: where it was made.
            name: by which the owner knows it.
            token: of the login that goes on.

        Returns:
            recovery codes, which can be shown only now, where this is the first second factor of
            the account; otherwise none.

        Raises:
            AccountError: the answer does not fit, the name is not allowed, or there are too many;
                nothing was changed.
            StoreError: it cannot be written; nothing was changed.
        """
        passkey = made_passkey(answer, party, checked_name(name))
        codes: list[str] = []
        with write_transaction(self._path) as connection:
            if self._owner(connection, passkey.id) is not None:
                raise AccountError(N_("This passkey is known already. Nothing was changed."))
            key = key_of(connection, account.id)
            row = self._credentials.second_factor(key) if key else None
            if row is None:  # also where the file of credentials was lost
                codes = new_recovery_codes()
                row = SecondFactorRow(secret="", recovery=hashes_of(codes))
            if len(row.passkeys) >= PASSKEYS_MAX:
                raise AccountError(
                    Message(
                        N_("There are {most} passkeys already. Remove one that nobody uses."),
                        most=PASSKEYS_MAX,
                    )
                )
            fresh = row.model_copy(update={"passkeys": (*row.passkeys, passkey)})
            end_others(connection, account.id, token)
            _audit(connection, account.name, "passkey_add", f"{passkey.name}, for {passkey.host}")
            key = self._credentials.keep_second_factor(fresh, key or "")
            connection.execute(
                "UPDATE account SET second_factor = ? WHERE id = ?", (key, account.id)
            )
        return codes

    def rename(self, account: Account, number: str, name: str) -> None:
        """Give a passkey another name.

        Args:
            account: whose it is.
            number: its ``id``.
            name: the new one.

        Raises:
            AccountError: the name is not allowed, or there is no such passkey.
            StoreError: it cannot be written; nothing was changed.
        """
        name = checked_name(name)
        with write_transaction(self._path) as connection:
            key, row = self._row(connection, account)
            before = _named(row, number)
            _audit(connection, account.name, "passkey_rename", f"{before.name} to {name}")
            self._keep(key, row, before, before.model_copy(update={"name": name}))

    def remove(self, account: Account, number: str, token: str) -> bool:
        """Remove a passkey, and end all logins but that of ``token``.

        Args:
            account: whose password was asked for again.
            number: its ``id``.
            token: of the login that goes on.

        Returns:
            whether the account has a second factor still; without an app the last passkey takes
            the recovery codes with it.

        Raises:
            AccountError: there is no such passkey.
            StoreError: it cannot be written; nothing was changed.
        """
        with write_transaction(self._path) as connection:
            key, row = self._row(connection, account)
            gone = _named(row, number)
            left = tuple(one for one in row.passkeys if one.id != number)
            goes_on = bool(left or row.secret)
            end_others(connection, account.id, token)
            _audit(connection, account.name, "passkey_remove", gone.name)
            if goes_on:
                fresh = row.model_copy(update={"passkeys": left})
                self._credentials.keep_second_factor(fresh, key)
            else:
                connection.execute(
                    "UPDATE account SET second_factor = NULL WHERE id = ?", (account.id,)
                )
        if not goes_on:
            with write_transaction(self._path):
                self._credentials.drop(key)
        return goes_on

    def log_in(self, answer: Answer, party: RelyingParty, challenges: Challenges) -> Account:
        """Return whose passkey has signed a challenge of a login.

        Args:
            answer: of the browser.
            party: where.
            challenges: of which one was signed.

        Raises:
            AccountError: the answer fits no passkey, came too late or twice, or the account may
                not log in.
            StoreError: that it was used cannot be written; then it must not count.
        """
        challenges.use_up(answer.challenge, LOGIN)
        with write_transaction(self._path) as connection:
            owner = self._owner(connection, answer.id)
            if owner is None:
                raise AccountError(REFUSED)
            account, key, row = owner
            passkey = _named(row, answer.id)
            count = new_sign_count(answer, party, passkey)
            _refuse_closed(connection, account)
            used = {"sign_count": count, "used_ms": now().wall_ms}
            _audit(connection, account.name, "passkey_used", passkey.name)
            self._keep(key, row, passkey, passkey.model_copy(update=used))
        return account

    def owner_of(self, number: str) -> Account | None:
        """Return whose a passkey is, for who writes that it was refused; ``None``: nobody's.

        Raises:
            StoreError: the file cannot be read.
        """
        with read_transaction(self._path) as connection:
            owner = self._owner(connection, number)
        return None if owner is None else owner[0]

    def _owner(
        self, connection: sqlite3.Connection, number: str
    ) -> tuple[Account, str, SecondFactorRow] | None:
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM account WHERE second_factor IS NOT NULL"
        ).fetchall()
        kept = self._credentials.second_factors(row["second_factor"] for row in rows)
        for account in rows:
            key = account["second_factor"]
            row = kept.get(key)
            if row is not None and any(one.id == number for one in row.passkeys):
                return account_of(account), key, row
        return None

    def _row(self, connection: sqlite3.Connection, account: Account) -> tuple[str, SecondFactorRow]:
        key = key_of(connection, account.id)
        row = self._credentials.second_factor(key) if key else None
        if key is None or row is None:
            raise AccountError(_GONE)
        return key, row

    def _keep(self, key: str, row: SecondFactorRow, before: PasskeyRow, after: PasskeyRow) -> None:
        passkeys = tuple(after if one.id == before.id else one for one in row.passkeys)
        self._credentials.keep_second_factor(row.model_copy(update={"passkeys": passkeys}), key)


def checked_name(name: str) -> str:
    """Return the name of a passkey as it is kept.

    Raises:
        AccountError: it is not allowed.
    """
    name = name.strip()
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
        raise AccountError(
            Message(
                N_(
                    "The name of a passkey has 1 to {most} printable characters, such as: "
                    "phone of Ada."
                ),
                most=NAME_MAX,
            )
        )
    return name


_GONE = N_("There is no such passkey any more. Reload the page.")


def _named(row: SecondFactorRow, number: str) -> PasskeyRow:
    for one in row.passkeys:
        if one.id == number:
            return one
    raise AccountError(_GONE)


def _refuse_closed(connection: sqlite3.Connection, account: Account) -> None:
    """Refuse an account that is disabled, or whose password was taken away."""
    password, disabled = connection.execute(
        "SELECT password_hash, disabled FROM account WHERE id = ?", (account.id,)
    ).fetchone()
    if disabled is not None:
        raise AccountError(refusals.DISABLED)
    if password in {NO_PASSWORD, WAITING}:
        raise AccountError(
            N_("An administrator reset this account. Choose a password with the link first.")
        )


def _audit(connection: sqlite3.Connection, actor: str, action: str, detail: str) -> None:
    insert_audit(connection, actor, action, detail, now())
