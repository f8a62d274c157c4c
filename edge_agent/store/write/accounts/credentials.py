"""Hashes of passwords and secrets of second factors: a file of their own beside the database.

People open the database, hand it over and copy it for analysis; this file is for the dashboard
alone, and only its owner may read it. The database names what is in here by keys that are drawn
anew for each password and each second factor: what counts is decided by the transaction of the
database in which the key changes, and a file that belongs to another database opens nothing.

Whoever writes here holds a write transaction of the database, so that nobody else does.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_agent.core.errors import StoreError
from edge_agent.store.database.replacement import sync_folder
from edge_agent.store.database.sqlite_errors import translate_errors

FILE_NAME = "credentials.json"
KEY_PREFIX = "kept:"
"""How a key begins; no hash of a password begins so."""
_KEY_BYTES = 16


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
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    passwords: dict[str, str] = {}
    second_factors: dict[str, SecondFactorRow] = {}


class Credentials:
    """The file beside a database.

    Args:
        database: the database file.

    Example:
        >>> with write_transaction(database) as connection:
        ...     key = credentials.keep_password("$argon2id$…")
        ...     connection.execute("UPDATE account SET password_hash = ? WHERE id = 1", (key,))
    """

    def __init__(self, database: Path) -> None:
        self._file = credentials_file(database)

    def password(self, key: str) -> str | None:
        """Return the hash of a password; ``None``: it is not here.

        Raises:
            StoreError: the file cannot be read.
        """
        return self._read().passwords.get(key)

    def second_factor(self, key: str) -> SecondFactorRow | None:
        """Return a second factor; ``None``: it is not here.

        Raises:
            StoreError: the file cannot be read.
        """
        return self._read().second_factors.get(key)

    def keep_password(self, password_hash: str) -> str:
        """Keep the hash of a password and return its key; it is on the disk then.

        Raises:
            StoreError: the file cannot be read or written.
        """
        contents = self._read()
        key = _new_key()
        contents.passwords[key] = password_hash
        self._write(contents)
        return key

    def keep_second_factor(self, row: SecondFactorRow, key: str = "") -> str:
        """Keep a second factor under its key, or under a new one; return the key.

        Raises:
            StoreError: the file cannot be read or written.
        """
        contents = self._read()
        key = key or _new_key()
        contents.second_factors[key] = row
        self._write(contents)
        return key

    def drop(self, *keys: str | None) -> None:
        """Remove what some keys name, once the database names it no more.

        Raises:
            StoreError: the file cannot be read or written.
        """
        contents = self._read()
        kept = (contents.passwords, contents.second_factors)
        gone = [rows.pop(key, None) for rows in kept for key in keys if key]
        if any(one is not None for one in gone):
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
                if os.geteuid() == 0:  # root writes for those whose folder it is
                    owner = self._file.parent.stat()
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                file.write(contents.model_dump_json())
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._file)
            sync_folder(self._file.parent)


def credentials_file(database: Path) -> Path:
    """Return where the credentials of a database lie: beside the file itself."""
    return database.resolve().with_name(FILE_NAME)


def _new_key() -> str:
    return KEY_PREFIX + secrets.token_hex(_KEY_BYTES)
