"""Accounts at the broker: made, changed and removed while it runs.

A removed account is cut off, and nobody else notices: mosquitto reads its files again (SIGHUP)
without ending a connection that is still allowed.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import subprocess
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge_agent.appliance.broker.files import (
    BrokerFiles,
    names_in,
    read,
    rules_in,
    with_more_rules,
    with_password,
    with_rules,
    without_password,
    without_rules,
    write,
)
from edge_agent.appliance.broker.rights import Right, agent_rules, rights_in, rules_for
from edge_agent.core.errors import BrokerAccountError
from edge_agent.mqtt.discovery.device import Device

INSTALLERS_ACCOUNT = "affect-edge"
UNIT = "mosquitto.service"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_PASSWORD_BYTES = 16
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Account:
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
        files: where the accounts stand.
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

    def all(self) -> list[Account]:
        """Return every account, in the order of the file.

        Raises:
            BrokerAccountError: the broker is not the installer's, or its files cannot be read.
        """
        with self._alone():
            access = read(self._files.access)
            return [self._account(access, name) for name in names_in(read(self._files.passwords))]

    def add(self, name: str, rights: Collection[Right]) -> str:
        """Make an account with a drawn password; return the password, which is kept nowhere.

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
        """Give an account these rights and no others; rules written by hand for it go, too.

        Raises:
            BrokerAccountError: there is none, or it is the agent's; a file cannot be written.
        """
        with self._alone():
            self._require(name, read(self._files.passwords))
            self._set_rules(name, rights)
            self.in_force = self._reload()

    def remove(self, name: str) -> None:
        """Remove an account; who is connected with it is cut off.

        Raises:
            BrokerAccountError: there is none, or it is the agent's; a file cannot be written.
        """
        with self._alone():
            passwords = read(self._files.passwords)
            self._require(name, passwords)
            write(self._files.passwords, without_password(passwords, name))
            write(self._files.access, without_rules(read(self._files.access), name))
            self.in_force = self._reload()

    def _account(self, access: str, name: str) -> Account:
        rights, more = rights_in(rules_in(access, name), self._device)
        return Account(name, rights, more, name in self._agents)

    def _set_rules(self, name: str, rights: Collection[Right]) -> None:
        access = with_rules(read(self._files.access), name, rules_for(rights, self._device))
        if Right.HOME_ASSISTANT in rights:
            for agent in self._agents & set(names_in(read(self._files.passwords))):
                access = with_more_rules(access, agent, agent_rules(self._device))
        write(self._files.access, access)

    def _require(self, name: str, passwords: str) -> None:
        if name in self._agents:
            raise BrokerAccountError(
                f"{name}: is the account of the agent, without which nothing is published. It is "
                "left as it is."
            )
        if name not in names_in(passwords):
            known = ", ".join(sorted(set(names_in(passwords)) - self._agents)) or "none"
            raise BrokerAccountError(f"{name}: there is no such account. There are: {known}.")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep out who changes accounts at the same time."""
        files = (self._files.settings, self._files.access, self._files.passwords)
        missing = [str(file) for file in files if not file.exists()]
        if missing:
            raise BrokerAccountError(
                f"{missing[0]}: is missing, so the broker of this machine was not set up by "
                "install.sh. Make accounts there by its own means; docs/mqtt.md names the topics."
            )
        folder = os.open(self._files.passwords.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
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
            f"({done.stderr.strip() or 'it gave no reason'}), so it goes by those of before. A "
            "restart makes it: sudo systemctl restart mosquitto"
        )
    return True


def _systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["systemctl", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrokerAccountError(
            f"systemctl could not be run ({error}), so the broker goes by its files of before "
            "until it is started again."
        ) from error


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BrokerAccountError(
            f"{name!r}: cannot be the name of an account. Up to 64 of the letters A-Z and a-z, "
            "digits, and _ . @ - are allowed, the first a letter or a digit: other signs mean "
            "something in the broker's files."
        )
