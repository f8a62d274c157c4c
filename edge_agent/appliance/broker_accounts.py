"""Accounts of the mosquitto broker, which can be made, changed and removed while it runs.

A removed account is disconnected; other connections stay, because mosquitto reads its files again
(SIGHUP) without ending a connection that is still allowed. Its files are replaced whole or not at
all, and lines that people added by hand are kept.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import subprocess
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge_agent.core.errors import BrokerAccountError
from edge_agent.core.files import replace_file, take_lock
from edge_agent.core.process import run_to_end
from edge_agent.mqtt.discovery import Device
from edge_agent.mqtt.payloads import Topics

_ITERATIONS = 101
"""As mosquitto_passwd: the passwords here have 128 random bits, and each log-in costs so many."""
_SALT_BYTES = 12
_MODE = 0o600
PUBLISHED = (
    Topics.STATUS,
    Topics.SUMMARY,
    Topics.EMOTION,
    Topics.VITALS,
    Topics.MOVEMENTS,
    Topics.HEALTH,
    Topics.ALERTS,
    Topics.STATE,
    Topics.SESSION,
)
"""The topics of READ: neither the readings of others nor the timeline for a collector."""
INSTALLERS_ACCOUNT = "affect-edge"
UNIT = "mosquitto.service"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_PASSWORD_BYTES = 16
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class BrokerFiles:
    """The files that hold the accounts of the broker.

    Attributes:
        settings: the part of mosquitto's configuration that names the other two.
        access: the rights of each account.
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
        raise BrokerAccountError(
            f"{file}: cannot be read ({reason}). Run as root (sudo)."
        ) from error


def write(file: Path, text: str) -> None:
    """Replace one of the files, whole or not at all; owner and mode stay.

    Raises:
        BrokerAccountError: it cannot be written; it is as it was.
    """
    try:
        replace_file(file, text.encode(), _MODE)
    except OSError as error:
        raise BrokerAccountError(
            f"{file}: cannot be written ({error.strerror}), and was not changed. Run as root "
            "(sudo), or free space."
        ) from error


def names_in(passwords: str) -> list[str]:
    """Return the accounts that have a password."""
    # A line without a colon is no account.
    return [line.partition(":")[0] for line in passwords.splitlines() if ":" in line]


def with_password(passwords: str, name: str, password: str) -> str:
    """Return the file with one more account, whose password is stored as a hash."""
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    texts = (base64.b64encode(part).decode() for part in (salt, digest))
    # mosquitto's own format: $7$iterations$salt$hash, PBKDF2 with HMAC-SHA512.
    line = f"{name}:$7${_ITERATIONS}${'$'.join(texts)}"
    return _join_lines([*passwords.splitlines(), line])


def without_password(passwords: str, name: str) -> str:
    """Return the file without an account."""
    return _join_lines(line for line in passwords.splitlines() if line.partition(":")[0] != name)


def rules_in(access: str, name: str) -> tuple[str, ...]:
    """Return the rules of an account, with single blanks."""
    return tuple(
        " ".join(line.split())
        for user, line in _with_users(access)
        if user == name and line.split()[:1] == ["topic"]
    )


def with_rules(access: str, name: str, rules: Sequence[str]) -> str:
    """Return the access file with these rules for an account, and no others."""
    kept = without_rules(access, name).rstrip()
    # An empty line before the account, for people who read the file.
    before = [kept, ""] if kept else []
    return _join_lines([*before, f"user {name}", *rules])


def with_more_rules(access: str, name: str, rules: Sequence[str]) -> str:
    """Return the access file with these rules added to those of an account."""
    missing = [rule for rule in rules if rule not in rules_in(access, name)]
    if not missing:
        return access
    lines = access.splitlines()
    # After the last line of this account, for a line belongs to the user above it.
    places = [at for at, (user, line) in enumerate(_with_users(access)) if user == name and line]
    if not places:
        return with_rules(access, name, rules)
    return _join_lines([*lines[: places[-1] + 1], *missing, *lines[places[-1] + 1 :]])


def without_rules(access: str, name: str) -> str:
    """Return the access file without the rules of an account; comments and patterns stay."""
    gone = ("user", "topic")
    return _join_lines(
        line
        for user, line in _with_users(access)
        if user != name or (line and line.split()[0] not in gone)
    )


def _with_users(access: str) -> list[tuple[str | None, str]]:
    """Return the lines, each with the account that it belongs to."""
    pairs: list[tuple[str | None, str]] = []
    user = None
    for line in (line.strip() for line in access.splitlines()):
        # In a mosquitto access file each `topic` line belongs to the `user` line above it.
        if line.split()[:1] == ["user"]:
            user = line.removeprefix("user").strip()
        pairs.append((user, line))
    return pairs


def _join_lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


class Right(StrEnum):
    """A right of an account."""

    READ = "read"
    """Read what the appliance publishes about people and itself."""
    READINGS = "readings"
    """Send readings, and read which were refused."""
    COMMANDS = "commands"
    """Start and end sessions, set markers, and read which commands were refused."""
    HOME_ASSISTANT = "home-assistant"
    """Be Home Assistant: find the appliance and show its values. Its buttons need COMMANDS, too."""


def rules_for(rights: Iterable[Right], device: Device) -> tuple[str, ...]:
    """Return the lines below ``user NAME`` that give an account these rights, each once."""
    rules: dict[str, None] = {}
    for right in sorted(set(rights), key=list(Right).index):
        rules |= dict.fromkeys(_rules_of(right, device))
    return tuple(rules)


def rights_in(rules: Collection[str], device: Device) -> tuple[tuple[Right, ...], bool]:
    """Return the rights that rules of the access file give, and whether there are other rules."""
    had = [right for right in Right if set(_rules_of(right, device)) <= set(rules)]
    # What no right explains was written by hand, and is told before it would be replaced.
    others = set(rules) - set(rules_for(had, device))
    if Right.HOME_ASSISTANT in had:
        had.remove(Right.READ)  # which is part of it
    return tuple(had), bool(others)


def agent_rules(device: Device) -> tuple[str, ...]:
    """Return the rules that the agent's account needs for Home Assistant's discovery."""
    return (f"topic write {device.topic}", f"topic read {device.birth_topic}")


def _rules_of(right: Right, device: Device) -> tuple[str, ...]:
    full = device.topics.full
    match right:
        case Right.READ:
            return tuple(f"topic read {full(suffix)}" for suffix in PUBLISHED)
        case Right.READINGS:
            return (f"topic write {full(Topics.INGEST)}", f"topic read {full(Topics.REJECTED)}")
        case Right.COMMANDS:
            return (
                f"topic write {full(Topics.COMMAND_SESSION)}",
                f"topic write {full(Topics.COMMAND_MARKER)}",
                f"topic write {full(Topics.COMMAND_CAPTURE)}",
                f"topic read {full(Topics.COMMAND_REJECTED)}",
            )
        case Right.HOME_ASSISTANT:
            own = (f"topic read {device.topic}", f"topic readwrite {device.birth_topic}")
            return (*_rules_of(Right.READ, device), *own)


@dataclass(frozen=True, slots=True)
class BrokerAccount:
    """An account at the broker.

    Attributes:
        name: what it logs in with.
        rights: what it may do with this appliance.
        more: whether the access file has other lines for it, written by hand or for a device of
            another name.
        of_the_agent: whether it is the agent's own, which stays.
    """

    name: str
    rights: tuple[Right, ...]
    more: bool
    of_the_agent: bool


class BrokerAccounts:
    """The accounts at the broker that ``install.sh`` set up.

    Args:
        device: the appliance, whose topics the rights are about.
        agent: the account that the agent logs in with.
        files: the broker's files.
        reload: makes the broker read them; returns whether it runs.
    """

    def __init__(
        self,
        device: Device,
        agent: str | None = None,
        files: BrokerFiles | None = None,
        reload: Callable[[], bool] | None = None,
    ) -> None:
        self._device = device
        self._agents = {INSTALLERS_ACCOUNT, agent or INSTALLERS_ACCOUNT}
        self._files = files or BrokerFiles()
        self._reload = reload or reload_broker
        self.in_force = True
        """Whether the broker runs, and so has read the last change."""

    def all(self) -> list[BrokerAccount]:
        """Return every account, in the order of the file.

        Raises:
            BrokerAccountError: the broker is not the installer's, or its files cannot be read.
        """
        with self._alone():
            access = read(self._files.access)
            return [self._account(access, name) for name in names_in(read(self._files.passwords))]

    def add(self, name: str, rights: Collection[Right]) -> str:
        """Make an account with a random password; return the password, which is not stored.

        Raises:
            BrokerAccountError: the name is taken, or cannot be one; the broker is not the
                installer's; a file cannot be written.
        """
        _check_name(name)
        with self._alone():
            passwords = read(self._files.passwords)
            if name in self._agents or name in names_in(passwords):
                raise BrokerAccountError(
                    f"{name}: there is such an account already. `affect-edge mqtt-user change` "
                    "gives it other rights; for another password remove it and add it again."
                )
            password = secrets.token_hex(_PASSWORD_BYTES)
            # Rules first: cut short here, there are rules for nobody.
            self._set_rules(name, rights)
            write(self._files.passwords, with_password(passwords, name, password))
            try:
                self.in_force = self._reload()
            except BrokerAccountError as error:
                write(self._files.passwords, passwords)  # nobody would know the password
                raise BrokerAccountError(f"{name} was not made. {error}") from error
        return password

    def change(self, name: str, rights: Collection[Right]) -> None:
        """Replace the rights of an account; rules that were written by hand for it go, too.

        Raises:
            BrokerAccountError: there is none, or it is the agent's; a file cannot be written.
        """
        with self._alone():
            self._require(name, read(self._files.passwords))
            self._set_rules(name, rights)
            self.in_force = self._reload()

    def remove(self, name: str) -> None:
        """Remove an account, and disconnect its clients.

        Raises:
            BrokerAccountError: there is none, or it is the agent's; a file cannot be written.
        """
        with self._alone():
            passwords = read(self._files.passwords)
            self._require(name, passwords)
            # The password first: cut short here, nobody can log in, and rules remain for nobody.
            write(self._files.passwords, without_password(passwords, name))
            write(self._files.access, without_rules(read(self._files.access), name))
            self.in_force = self._reload()

    def _account(self, access: str, name: str) -> BrokerAccount:
        rights, more = rights_in(rules_in(access, name), self._device)
        return BrokerAccount(name, rights, more, name in self._agents)

    def _set_rules(self, name: str, rights: Collection[Right]) -> None:
        access = with_rules(read(self._files.access), name, rules_for(rights, self._device))
        if Right.HOME_ASSISTANT in rights:
            # The agent announces the appliance to Home Assistant, for which its own account needs
            # rights.
            for agent in self._agents & set(names_in(read(self._files.passwords))):
                access = with_more_rules(access, agent, agent_rules(self._device))
        write(self._files.access, access)

    def _require(self, name: str, passwords: str) -> None:
        if name in self._agents:
            raise BrokerAccountError(
                f"{name}: is the account of the agent, which cannot publish without it. It was not "
                "changed."
            )
        if name not in names_in(passwords):
            known = ", ".join(sorted(set(names_in(passwords)) - self._agents)) or "none"
            raise BrokerAccountError(f"{name}: there is no such account. There are: {known}.")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other commands from changing accounts at the same time."""
        files = (self._files.settings, self._files.access, self._files.passwords)
        missing = [str(file) for file in files if not file.exists()]
        if missing:
            raise BrokerAccountError(
                f"{missing[0]}: is missing, so the broker of this machine was not set up by "
                "install.sh. Make accounts there by its own means; docs/mqtt.md names the topics."
            )
        # The folder is locked, not the file: the file is replaced, and a lock would stay with the
        # old one.
        folder = os.open(self._files.passwords.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            take_lock(self._files.passwords.parent, folder)
            yield
        finally:
            os.close(folder)


def reload_broker() -> bool:
    """Make the broker read its files again; return whether it runs.

    Raises:
        BrokerAccountError: it runs and does not do it.
    """
    if _systemctl("is-active", "--quiet", UNIT).returncode:
        return False
    # Not `reload`: Debian's unit does it with /bin/kill, which a small system does not have.
    # its own process alone: an older systemd may fail over others, which there are none of
    done = _systemctl("kill", "--kill-whom=main", "--signal=SIGHUP", UNIT)
    if done.returncode:
        raise BrokerAccountError(
            f"{UNIT} did not read its files of accounts again "
            f"({done.stderr.strip() or 'it gave no reason'}), so it still uses the old ones. "
            "Restart it: sudo systemctl restart mosquitto"
        )
    return True


def _systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return run_to_end("systemctl", *words, timeout_s=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrokerAccountError(
            f"systemctl could not be run ({error}), so the broker uses its old files until it is "
            "restarted: sudo systemctl restart mosquitto"
        ) from error


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BrokerAccountError(
            f"{name!r}: cannot be the name of an account. Use up to 64 of the letters A-Z and "
            "a-z, digits, and _ . @ -, the first a letter or a digit; other characters have a "
            "meaning in the broker's files."
        )
