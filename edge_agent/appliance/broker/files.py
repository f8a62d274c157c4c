"""Mosquitto's files of accounts: text in, text out, and written whole or not at all.

What a person wrote into them by hand stays as it is.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge_agent.appliance.ownership import give_owner
from edge_agent.core.errors import BrokerAccountError

_ITERATIONS = 101
"""As mosquitto_passwd: the passwords here have 128 random bits, and each log-in costs so many."""
_SALT_BYTES = 12
_MODE = 0o600


@dataclass(frozen=True, slots=True)
class BrokerFiles:
    """Where the accounts of the broker stand.

    Attributes:
        settings: what tells mosquitto to use the others.
        access: who may read and write what.
        passwords: name and hash of each account.
    """

    settings: Path = Path("/etc/mosquitto/conf.d/affect-edge.conf")
    access: Path = Path("/etc/mosquitto/affect-edge.acl")
    passwords: Path = Path("/etc/mosquitto/affect-edge.passwd")


def read(file: Path) -> str:
    """Return the text of one of the files.

    Raises:
        BrokerAccountError: it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise BrokerAccountError(f"{file}: cannot be read ({reason}).") from error


def write(file: Path, text: str) -> None:
    """Replace one of the files, whole or not at all; owner and mode stay.

    Raises:
        BrokerAccountError: it cannot be written; it is as it was.
    """
    new = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=file.parent, prefix=f".{file.name}.", delete=False, encoding="utf-8"
        ) as stream:
            new = Path(stream.name)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        give_owner(new, file, _MODE)
        new.replace(file)
    except OSError as error:
        if new is not None:
            with suppress(OSError):
                new.unlink()
        raise BrokerAccountError(
            f"{file}: cannot be written ({error.strerror}). It is as it was."
        ) from error


# ---------------------------------------------------------------- passwords


def names_in(passwords: str) -> list[str]:
    """Return the accounts that have a password."""
    return [line.partition(":")[0] for line in passwords.splitlines() if ":" in line]


def with_password(passwords: str, name: str, password: str) -> str:
    """Return the file with another account: a hash, from which the password cannot be told."""
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    texts = (base64.b64encode(part).decode() for part in (salt, digest))
    line = f"{name}:$7${_ITERATIONS}${'$'.join(texts)}"
    return _joined([*without_password(passwords, name).splitlines(), line])


def without_password(passwords: str, name: str) -> str:
    """Return the file without an account."""
    return _joined(line for line in passwords.splitlines() if line.partition(":")[0] != name)


# ---------------------------------------------------------------- rules


def rules_in(access: str, name: str) -> tuple[str, ...]:
    """Return the lines that say what an account may do, without doubled blanks."""
    return tuple(
        " ".join(line.split())
        for user, line in _with_users(access)
        if user == name and line.split()[:1] == ["topic"]
    )


def with_rules(access: str, name: str, rules: Sequence[str]) -> str:
    """Return the access file with these rules for an account, and no others."""
    kept = without_rules(access, name).rstrip()
    before = [kept, ""] if kept else []
    return _joined([*before, f"user {name}", *rules])


def with_more_rules(access: str, name: str, rules: Sequence[str]) -> str:
    """Return the access file with these rules beside those that an account has."""
    missing = [rule for rule in rules if rule not in rules_in(access, name)]
    if not missing:
        return access
    lines = access.splitlines()
    places = [at for at, (user, line) in enumerate(_with_users(access)) if user == name and line]
    if not places:
        return with_rules(access, name, rules)
    return _joined([*lines[: places[-1] + 1], *missing, *lines[places[-1] + 1 :]])


def without_rules(access: str, name: str) -> str:
    """Return the access file without the rules of an account; comments and patterns stay."""
    gone = ("user", "topic")
    kept = [
        line
        for user, line in _with_users(access)
        if user != name or (line and line.split()[0] not in gone)
    ]
    return _joined(kept)


def _with_users(access: str) -> list[tuple[str | None, str]]:
    """Return the lines, each with the account that it belongs to."""
    pairs: list[tuple[str | None, str]] = []
    user = None
    for line in (line.strip() for line in access.splitlines()):
        if line.split()[:1] == ["user"]:
            user = line.removeprefix("user").strip()
        pairs.append((user, line))
    return pairs


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
