"""Which devices a fleet has, their codes and certificates: one small SQLite file.

It is the truth: the broker's files are written from it, again and again, so that whatever is
interrupted is finished by whoever comes next.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from edge_agent.core import clock
from edge_agent.core.errors import EnrolmentError

_WAIT_S = 20.0
_AUDIT_ROWS = 20_000
_SALT_BYTES = 16
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS device (
        name TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        since_ms INTEGER NOT NULL,
        password_hash TEXT,
        token TEXT,
        announced INTEGER NOT NULL DEFAULT 1,
        code_id TEXT UNIQUE,
        code_salt BLOB,
        code_hash BLOB,
        code_ends_ms INTEGER,
        code_wrong INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE IF NOT EXISTS certificate (
        serial TEXT PRIMARY KEY,
        device TEXT NOT NULL,
        made_ms INTEGER NOT NULL,
        revoked_ms INTEGER
    ) STRICT;
    CREATE TABLE IF NOT EXISTS audit (
        id INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        event TEXT NOT NULL,
        device TEXT NOT NULL,
        address TEXT NOT NULL
    ) STRICT;
"""


class DeviceState(StrEnum):
    """How far a device is."""

    INVITED = "invited"
    """It has a code."""
    JOINING = "joining"
    """It has fetched its account, and has not said yet that it works."""
    JOINED = "joined"
    EXPIRED = "expired"
    """Its code ended before it had joined."""
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Device:
    """A device as the register knows it.

    Attributes:
        name: ``device.name``, and its account at the broker.
        state: how far it is.
        since_ms: when that began, UTC.
        password_hash: as mosquitto keeps it; ``None``: it has no account.
        token: of its newest attempt to join.
        announced: whether the fleet was told that it is revoked, or has joined.
        code_id: of its newest code.
        code_salt, code_hash: of the secret of the code.
        code_ends_ms: until when the code is good, UTC.
        code_wrong: how often a wrong secret was given for it.
    """

    name: str
    state: DeviceState
    since_ms: int
    password_hash: str | None
    token: str | None
    announced: bool
    code_id: str | None
    code_salt: bytes | None = field(repr=False)
    code_hash: bytes | None = field(repr=False)
    code_ends_ms: int | None
    code_wrong: int

    def has_secret(self, secret: str) -> bool:
        """Tell whether this is the secret of its code; takes the same time for each."""
        if self.code_salt is None or self.code_hash is None:
            return False
        return hmac.compare_digest(_hashed(secret, self.code_salt), self.code_hash)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that happened: when (UTC), what, with which device, and from which address."""

    at_ms: int
    event: str
    device: str
    address: str


class Register:
    """The devices of a fleet.

    Args:
        file: the database.

    Example::

        with Register(file).changing() as change:
            change.note("revoked", "room-1")
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def make(self) -> None:
        """Make the database where it is missing; only its owner may read it."""
        os.close(os.open(self._file, os.O_CREAT | os.O_RDWR, 0o600))
        with self._open() as connection:
            connection.executescript(_SCHEMA)

    @contextmanager
    def changing(self) -> Iterator[RegisterChange]:
        """Change something; all of it or nothing is kept, on disk when this ends.

        Raises:
            EnrolmentError: the database cannot be read or written.
        """
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield RegisterChange(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self._file, timeout=_WAIT_S, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA secure_delete = ON")
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise EnrolmentError(f"{self._file}: cannot be used ({error}).") from error


class RegisterChange:
    """What may be read and changed within one transaction.

    Args:
        connection: within a transaction.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def setting(self, name: str) -> str:
        """Return a setting; raises ``EnrolmentError`` where it is missing."""
        row = self._connection.execute("SELECT value FROM setting WHERE name = ?", (name,))
        value_row: tuple[str] | None = row.fetchone()
        if value_row is None:
            raise EnrolmentError(f"The register of devices has no {name}. Run setup again.")
        return value_row[0]

    def keep(self, name: str, value: str) -> None:
        """Keep a setting."""
        self._connection.execute("REPLACE INTO setting VALUES (?, ?)", (name, value))

    def devices(self, where: str = "true", values: Sequence[Any] = ()) -> list[Device]:
        """Return the devices in the order of their names.

        Args:
            where: a condition in SQL, of our own.
            values: of its parameters.
        """
        columns = ", ".join(Device.__dataclass_fields__)
        statement = f"SELECT {columns} FROM device WHERE {where} ORDER BY name"  # noqa: S608
        rows = self._connection.execute(statement, values).fetchall()
        return [_device(row) for row in rows]

    def device(self, name: str) -> Device | None:
        """Return a device by its name."""
        return next(iter(self.devices("name = ?", (name,))), None)

    def with_code(self, code_id: str) -> Device | None:
        """Return the device that a code is for."""
        return next(iter(self.devices("code_id = ?", (code_id,))), None)

    def put(self, name: str, **values: Any) -> None:
        """Change columns of a device, and make it where it is missing."""
        if "state" in values:
            values["since_ms"] = clock.now().wall_ms
        self._connection.execute(
            "INSERT OR IGNORE INTO device (name, state, since_ms) VALUES (?, ?, ?)",
            (name, DeviceState.INVITED, clock.now().wall_ms),
        )
        columns = ", ".join(f"{column} = ?" for column in values)
        statement = f"UPDATE device SET {columns} WHERE name = ?"  # noqa: S608
        self._connection.execute(statement, (*values.values(), name))

    def set_code(self, name: str, code_id: str, secret: str, ends_ms: int) -> None:
        """Give a device a code, in place of the one of before; only a hash is kept."""
        salt = secrets.token_bytes(_SALT_BYTES)
        self.put(
            name,
            state=DeviceState.INVITED,
            code_id=code_id,
            code_salt=salt,
            code_hash=_hashed(secret, salt),
            code_ends_ms=ends_ms,
            code_wrong=0,
            password_hash=None,
            token=None,
        )

    def tell_once_of_revoked(self) -> None:
        """Let the fleet be told of devices that were revoked before it was told why."""
        row = ("told_why", "yes")
        if self._connection.execute("INSERT OR IGNORE INTO setting VALUES (?, ?)", row).rowcount:
            self._connection.execute(
                "UPDATE device SET announced = 0 WHERE state = ?", (DeviceState.REVOKED,)
            )

    def put_told(self, device: Device) -> None:
        """Note that the fleet was told of a device, unless it has changed meanwhile."""
        self._connection.execute(
            "UPDATE device SET announced = 1 WHERE name = ? AND state = ? AND since_ms = ?",
            (device.name, device.state, device.since_ms),
        )

    def revoked_ms(self, name: str) -> int | None:
        """Return when a device was revoked last, UTC; ``None``: the trail does not say."""
        row = self._connection.execute(
            "SELECT max(at_ms) FROM audit WHERE device = ? AND event = 'revoked'", (name,)
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def add_certificate(self, name: str, serial: int) -> None:
        """Note that a device got a certificate; those that it had are revoked."""
        self.revoke_certificates(name)
        row = (str(serial), name, clock.now().wall_ms)
        self._connection.execute("INSERT INTO certificate VALUES (?, ?, ?, NULL)", row)

    def revoke_certificates(self, name: str) -> None:
        """Revoke all certificates of a device."""
        self._connection.execute(
            "UPDATE certificate SET revoked_ms = ? WHERE device = ? AND revoked_ms IS NULL",
            (clock.now().wall_ms, name),
        )

    def revoked_serials(self) -> set[int]:
        """Return the serial numbers of all certificates that are revoked."""
        rows = self._connection.execute(
            "SELECT serial FROM certificate WHERE revoked_ms IS NOT NULL"
        )
        return {int(serial) for (serial,) in rows}

    def note(self, event: str, device: str = "", address: str = "") -> None:
        """Write down that something happened; the oldest of very many entries go."""
        row = (clock.now().wall_ms, event, device, address)
        self._connection.execute(
            "INSERT INTO audit (at_ms, event, device, address) VALUES (?, ?, ?, ?)", row
        )
        self._connection.execute(
            "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?", (_AUDIT_ROWS,)
        )

    def audit(self, most: int) -> list[AuditEntry]:
        """Return what happened, the newest last."""
        rows = self._connection.execute(
            "SELECT at_ms, event, device, address FROM audit ORDER BY id DESC LIMIT ?", (most,)
        ).fetchall()
        return [AuditEntry(*row) for row in reversed(rows)]


def _device(row: Sequence[Any]) -> Device:
    values = dict(zip(Device.__dataclass_fields__, row, strict=True))
    values["state"] = DeviceState(values["state"])
    values["announced"] = bool(values["announced"])
    return Device(**values)


def _hashed(secret: str, salt: bytes) -> bytes:
    """Return a hash that costs some 50 ms and 16 MB, so that a stolen register gives no codes."""
    return hashlib.scrypt(secret.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)
