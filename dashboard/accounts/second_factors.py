"""The second factor of an account: six digits of an app on the owner's phone (TOTP, RFC 6238), and
codes on paper for the day on which the phone is lost.

A code counts for half a minute before and after its own half minute, and once. The secret is kept
in the account's row of the dashboard's database.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pyotp
from pydantic import BaseModel, ConfigDict
from pyotp.utils import strings_equal

from dashboard.accounts.notes import Notes
from dashboard.accounts.passwords import WRONG_PRESENT, AccountError, hash_of_code, new_code, sha256
from dashboard.accounts.roles import Account, refuse_stale
from edge_agent.core.clock import now
from edge_agent.core.texts import N_
from edge_agent.timeline.database.dashboard_file import read_dashboard, write_dashboard

RECOVERY_CODES = 10
_GROUPS = 4
STEP_S = 30
_SKEW = 1
"""Steps before and after the present one whose code counts, too: clocks differ."""
_REMEMBERED = 2 * _SKEW + 1
ISSUER = "Affect Edge"


class _Kept(BaseModel):
    """A second factor as it is kept: JSON in the account's row.

    Attributes:
        secret: what the owner's app and the dashboard know, Base32.
        used: time steps whose code has been used, of the last minutes.
        recovery: SHA-256 of the recovery codes that have not been used.
    """

    model_config = ConfigDict(extra="forbid")

    secret: str
    used: tuple[int, ...] = ()
    recovery: tuple[str, ...] = ()


class SecondFactors:
    """The second factors of all accounts.

    Args:
        path: the database of the timeline.

    Example:
        >>> secret = new_secret()
        >>> codes = second_factors.turn_on(ada, secret, pyotp.TOTP(secret).now(), token)
        >>> second_factors.check(ada, codes[0])
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._note = Notes(path).note_within

    def turn_on(self, account: Account, secret: str, code: str, token: str) -> list[str]:
        """Give an account the codes of an app, and end all its logins but that of ``token``.

        Args:
            account: whose password was asked for again.
            secret: that the owner's app has read.
            code: that the app shows, which proves it.
            token: of the login that goes on.

        Returns:
            the recovery codes, which are kept nowhere and can be shown only now.

        Raises:
            AccountError: the code does not fit, there is a second factor already, or the account
                was changed meanwhile; nothing was changed.
            StoreError: it cannot be written; nothing was changed.
        """
        step = _step_of(secret, code)
        if step is None:
            raise _wrong()
        codes = new_recovery_codes()
        with write_dashboard(self._path) as connection:
            refuse_stale(connection, account, WRONG_PRESENT)
            # Looked up in the writing transaction: two pages may turn it on at once.
            if _read(connection, account.id) is not None:
                raise AccountError(N_("The second factor is already on. Reload the page."))
            fresh = _Kept(secret=secret, used=(step,), recovery=_hashes_of(codes))
            _write(connection, account.id, fresh)
            _end_others(connection, account.id, token)
            self._note(connection, account.name, "second_factor_on")
        return codes

    def turn_off(self, account: Account, token: str, actor: str = "") -> bool:
        """Take the second factor of an account away.

        All its logins end but that of ``token``.

        Args:
            account: whose.
            token: of the login that goes on; empty: none does.
            actor: who did it, for the audit trail; empty: the account itself.

        Returns:
            whether it had one.

        Raises:
            StaleError: the account itself asks, and was changed meanwhile; nothing was changed.
            StoreError: it cannot be written; nothing was changed.
        """
        with write_dashboard(self._path) as connection:
            if not actor:
                refuse_stale(connection, account, WRONG_PRESENT)
            if _read(connection, account.id) is None:
                return False
            _write(connection, account.id, None)
            _end_others(connection, account.id, token)
            told = account.name if actor else ""
            self._note(connection, actor or account.name, "second_factor_off", told)
        return True

    def renew_recovery_codes(self, account: Account) -> list[str]:
        """Return new recovery codes; those of before open nothing any more.

        Raises:
            AccountError: there is no second factor, or the account was changed meanwhile.
            StoreError: it cannot be written; nothing was changed.
        """
        codes = new_recovery_codes()
        with write_dashboard(self._path) as connection:
            refuse_stale(connection, account, WRONG_PRESENT)
            kept = _read_required(connection, account)
            fresh = kept.model_copy(update={"recovery": _hashes_of(codes)})
            _write(connection, account.id, fresh)
            self._note(connection, account.name, "second_factor_codes", "new recovery codes")
        return codes

    def recovery_codes_left(self, account: Account) -> int:
        """Return how many recovery codes of an account have not been used."""
        with read_dashboard(self._path) as connection:
            kept = _read(connection, account.id)
        return len(kept.recovery) if kept else 0

    def stamp_of(self, account: Account) -> str:
        """Return what changes with the password of an account; empty: it may not log in."""
        with read_dashboard(self._path) as connection:
            row = connection.execute(
                "SELECT password_hash FROM account WHERE id = ? AND disabled IS NULL", (account.id,)
            ).fetchone()
        return "" if row is None else sha256(row[0])

    def check(self, account: Account, code: str) -> None:
        """Spend a code of the app, or a recovery code.

        Raises:
            AccountError: it is wrong or was used before.
            StoreError: that it was used cannot be written; then it must not count.
        """
        with write_dashboard(self._path) as connection:
            kept = _read_required(connection, account)
            step = _step_of(kept.secret, code)
            digest = hash_of_code(code)
            # Each code counts once, though it would be right longer (RFC 6238, section 5.2).
            if step is not None and step not in kept.used:
                present = _present_step()
                # Keep used codes of future time steps: after a fast clock was set back, they would
                # be accepted a second time.
                used = (*(one for one in kept.used if one >= present - _REMEMBERED), step)
                fresh = kept.model_copy(update={"used": used})
            elif digest in kept.recovery:
                left = tuple(one for one in kept.recovery if one != digest)
                fresh = kept.model_copy(update={"recovery": left})
                told = f"recovery code used, {len(left)} left"
                self._note(connection, account.name, "second_factor_codes", told)
            else:
                raise _wrong()
            _write(connection, account.id, fresh)


def new_secret() -> str:
    """Draw a secret of 160 bit, in Base32."""
    return pyotp.random_base32()


def address_for_app(secret: str, account: Account, device: str) -> str:
    """Return the ``otpauth:`` address that an app reads from a picture."""
    return pyotp.TOTP(secret).provisioning_uri(name=f"{account.name}@{device}", issuer_name=ISSUER)


def _step_of(secret: str, code: str) -> int | None:
    """Return the time step that a code belongs to; ``None``: to none that counts now."""
    # Apps show the digits in two groups, and people copy the blank.
    digits = "".join(code.split())
    totp = pyotp.TOTP(secret, interval=STEP_S)
    present = _present_step()
    steps = [
        step
        for step in range(present - _SKEW, present + _SKEW + 1)
        if strings_equal(digits, totp.generate_otp(step))
    ]
    return steps[0] if steps else None


def _present_step() -> int:
    return now().wall_ms // 1000 // STEP_S


def new_recovery_codes() -> list[str]:
    """Draw the codes on paper."""
    return [new_code(_GROUPS) for _ in range(RECOVERY_CODES)]


def _hashes_of(codes: list[str]) -> tuple[str, ...]:
    """Return what is kept of them."""
    return tuple(hash_of_code(code) for code in codes)


def _wrong() -> AccountError:
    return AccountError(
        N_(
            "This code is wrong or was already used. Enter the code that the app shows now. If "
            "no code works, compare the phone's clock with this device's clock: {time}."
        ),
        time=f"{datetime.fromtimestamp(now().wall_ms / 1000, UTC):%H:%M:%S} UTC",
        field="code",
    )


def _read(connection: sqlite3.Connection, number: int) -> _Kept | None:
    """Return the second factor of an account, if it has one."""
    row = connection.execute("SELECT second_factor FROM account WHERE id = ?", (number,)).fetchone()
    return None if row is None or row[0] is None else _Kept.model_validate_json(row[0])


def _read_required(connection: sqlite3.Connection, account: Account) -> _Kept:
    kept = _read(connection, account.id)
    if kept is None:
        raise AccountError(N_("This account has no second factor. Log in again."))
    return kept


def _write(connection: sqlite3.Connection, number: int, kept: _Kept | None) -> None:
    text = None if kept is None else kept.model_dump_json()
    connection.execute("UPDATE account SET second_factor = ? WHERE id = ?", (text, number))


def _end_others(connection: sqlite3.Connection, number: int, token: str) -> None:
    """End all logins of an account but that of ``token``."""
    connection.execute(
        "DELETE FROM login WHERE account = ? AND token_hash <> ?", (number, sha256(token))
    )
