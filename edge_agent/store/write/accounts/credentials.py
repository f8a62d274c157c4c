"""Hashes of passwords, secrets of second factors, and the key of the hashes of attempts: a file of
their own beside the database.

People open the database, hand it over and copy it for analysis; this file is for the dashboard
alone, and only its owner may read it. The database names what is in here by keys that are drawn
anew for each password and each second factor: what counts is decided by the transaction of the
database in which the key changes, and a file that belongs to another database opens nothing.

Whoever writes here holds a write transaction of the database, so that nobody else does.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_agent.core.errors import StoreError
from edge_agent.store.database.gate.own_folder import own_folder
from edge_agent.store.database.replacement import sync_folder
from edge_agent.store.database.sqlite_errors import translate_errors

FILE_NAME = "credentials.json"
KEY_PREFIX = "kept:"
"""How a key begins; no hash of a password begins so."""
_KEY_BYTES = 16
_REPLACED_MAX = 2_000
"""Changed passwords of which older copies of the database may still name the key."""


class SecondFactorRow(BaseModel):
    """A second factor as it is kept.

    Attributes:
        secret: what the owner's app and the dashboard know, Base32.
        used: time steps whose code has been used, of the last minutes.
        recovery: SHA-256 of the recovery codes that have not been used.
    """

    model_config = ConfigDict(extra="forbid")

    secret: str
    used: tuple[int, ...] = ()
    recovery: tuple[str, ...] = ()


class _Contents(BaseModel):
    """The whole file.

    Attributes:
        passwords: hashes by key.
        replaced: for the key of a password that was changed, that of the one that counts now: an
            older copy of the database names it, and must lock nobody out.
        second_factors: by key.
        attempt_key: of the hashes in the table ``attempt``, hexadecimal; empty: not drawn yet.
    """

    model_config = ConfigDict(extra="forbid")

    passwords: dict[str, str] = {}
    replaced: dict[str, str] = {}
    second_factors: dict[str, SecondFactorRow] = {}
    attempt_key: str = ""

    def password(self, key: str) -> str | None:
        """Return the hash that a key leads to."""
        return self.passwords.get(key) or self.passwords.get(self.replaced.get(key, ""))

    def replace(self, old: str, new: str) -> None:
        """Let a key lead to another one, once its own password is forgotten.

        Where an older copy of the database was restored, the old key may itself lead to another.
        """
        present = self.replaced.get(old)
        if old not in self.passwords and present in self.passwords:
            self.passwords[old] = self.passwords[present]
            self.replaced[present] = new
        for key in [key for key, led in self.replaced.items() if led == old]:
            self.replaced[key] = new
        self.replaced[old] = new
        for key in list(self.replaced)[:-_REPLACED_MAX]:
            del self.replaced[key]

    def forget(self, key: str) -> bool:
        """Remove what a key names, and every password that was changed to the same as its own."""
        led = self.replaced.get(key)
        same = [key, *(one for one, to in self.replaced.items() if led and to == led)]
        gone = [self.passwords.pop(one, None) for one in same]
        return self.second_factors.pop(key, None) is not None or any(gone)


class Credentials:
    """The file beside a database.

    Args:
        database: the database file.
        file: where the credentials lie, if not beside it.

    Example:
        >>> with write_transaction(database) as connection:
        ...     key = credentials.keep_password("$argon2id$…")
        ...     connection.execute("UPDATE account SET password_hash = ? WHERE id = 1", (key,))
    """

    def __init__(self, database: Path, file: Path | None = None) -> None:
        self._file = file or credentials_file(database)

    def password(self, key: str) -> str | None:
        """Return the hash of a password, or of the one that it was changed to.

        ``None``: it is not here.

        Raises:
            StoreError: the file cannot be read.
        """
        return self._read().password(key)

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Return those of some keys that lead to no password.

        Raises:
            StoreError: the file cannot be read.
        """
        contents = self._read()
        return [key for key in keys if contents.password(key) is None]

    def attempt_key(self) -> str:
        """Return the key of the hashes of attempts; empty: it was not drawn yet.

        Raises:
            StoreError: the file cannot be read.
        """
        return self._read().attempt_key

    def keep_attempt_key(self, key: str) -> None:
        """Keep the key of the hashes of attempts.

        Raises:
            StoreError: the file cannot be read or written.
        """
        contents = self._read()
        contents.attempt_key = key
        self._write(contents)

    def second_factor(self, key: str) -> SecondFactorRow | None:
        """Return a second factor; ``None``: it is not here.

        Raises:
            StoreError: the file cannot be read.
        """
        return self._read().second_factors.get(key)

    def keep_password(self, password_hash: str, instead_of: str | None = None) -> str:
        """Keep the hash of a password and return its key; it is on the disk then.

        Args:
            password_hash: what is kept.
            instead_of: key of the password that it is to take the place of; that one counts until
                ``drop`` is called, after the commit.

        Raises:
            StoreError: the file cannot be read or written.
        """
        contents = self._read()
        key = new_key()
        contents.passwords[key] = password_hash
        if instead_of and is_key(instead_of):
            contents.replace(instead_of, key)
        self._write(contents)
        return key

    def keep_second_factor(self, row: SecondFactorRow, key: str = "") -> str:
        """Keep a second factor under its key, or under a new one; return the key.

        Raises:
            StoreError: the file cannot be read or written.
        """
        contents = self._read()
        key = key or new_key()
        contents.second_factors[key] = row
        self._write(contents)
        return key

    def drop(self, *keys: str | None) -> None:
        """Remove what some keys name, once the database names it no more.

        Raises:
            StoreError: the file cannot be read or written.
        """
        contents = self._read()
        gone = [contents.forget(key) for key in keys if key]
        if any(gone):
            self._write(contents)

    def _read(self) -> _Contents:
        with translate_errors(self._file):
            try:
                text = self._file.read_text(encoding="utf-8")
            except FileNotFoundError:
                return _Contents()
            except UnicodeDecodeError:
                text = ""
        try:
            return _Contents.model_validate_json(text)
        except ValidationError as error:
            raise StoreError(
                f"{self._file}: is damaged, and nobody can log in with a password. Restore it from "
                "an archive of `affect-edge backup`, or move it away and set new passwords: "
                "affect-edge password NAME"
            ) from error

    def _write(self, contents: _Contents) -> None:
        """Replace the whole file: after a power cut there is the old one or the new one."""
        fresh = self._file.with_name(f"{FILE_NAME}.part")
        with translate_errors(self._file):
            fresh.unlink(missing_ok=True)
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                if os.geteuid() == 0:  # root writes for those whose file or folder it is
                    there = self._file if self._file.exists() else self._file.parent
                    owner = there.stat()
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                file.write(contents.model_dump_json())
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._file)
            sync_folder(self._file.parent)


def credentials_file(database: Path) -> Path:
    """Return where the credentials of a database lie: beside the file itself, or in the folder of
    the dashboard there.
    """
    return own_folder(database.resolve().parent) / FILE_NAME


def is_key(text: str) -> bool:
    """Tell whether a text names what is kept in this file."""
    return text.startswith(KEY_PREFIX)


def new_key() -> str:
    """Draw a key."""
    return KEY_PREFIX + secrets.token_hex(_KEY_BYTES)
