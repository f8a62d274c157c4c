"""A device joins: fetches its account, proves it at the broker, writes the configuration.

The private key is made here and never leaves. Nothing that works is changed before what replaces it
has been let in by the broker; what was prepared and not used is deleted.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge_agent.appliance.enrolment.asking import JoinServer
from edge_agent.appliance.enrolment.authority import key_text, new_key, request_text
from edge_agent.appliance.enrolment.broker import ROOT
from edge_agent.appliance.enrolment.code import JoinCode
from edge_agent.appliance.enrolment.messages import JoinAnswer
from edge_agent.appliance.enrolment.written import change_config
from edge_agent.config import Settings
from edge_agent.config.editing.document import (
    ConfigFile,
    checked,
    difference,
    read_file,
    with_changes,
)
from edge_agent.config.editing.saving import save
from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import AffectEdgeError, EnrolmentError
from edge_agent.mqtt.connecting.log_in import log_in
from edge_agent.mqtt.connecting.states import ConnectionEndedError, MqttState
from edge_agent.runtime.mqtt_setup import configured_broker

AGENT_USER = "affect-edge"
CLOCK_MS = 300_000
"""A clock that is further off writes wrong times into the timeline."""
PROOF_S = 20.0
"""For the broker to read its files again and let the device in."""
CONFIRM_PAUSES_S = (1.0, 3.0, 6.0, 0.0)
_FOLDER = re.compile(r"fleet-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Joined:
    """How a device has joined.

    Attributes:
        device: its name from now on.
        changes: what was written into the configuration, by key.
        before: copy of the configuration of before.
    """

    device: str
    changes: Mapping[str, Any]
    before: Path


@dataclass(frozen=True, slots=True)
class FleetJoin:
    """Joins the fleet that a code is of.

    Attributes:
        config: the configuration of the appliance.
        server: where to join.
        code: for this device.
        say: takes a sentence about each step.
        agree: is shown the lines of the configuration that change; returns whether they may.

    Example::

        joined = FleetJoin(config, server_at(address), parse_code(text), print, ask).run()
    """

    config: Path
    server: JoinServer
    code: JoinCode
    say: Callable[[str], None]
    agree: Callable[[Sequence[str]], bool]

    def run(self) -> Joined:
        """Join.

        Raises:
            EnrolmentError: the server or the broker refuses, or somebody does not agree; all is
                as it was, and the code can be used again unless the text says otherwise.
            AffectEdgeError: the configuration cannot be read or written.
        """
        settings = checked(read_file(self.config))
        if find_spec("cbor2") is None:
            raise EnrolmentError(
                "The library cbor2 is not installed, without which no timeline is sent. From the "
                "folder that the appliance was installed from: sudo ./install.sh --with fleet"
            )
        remove_unused(self.config)
        key = new_key()
        self.say(f"Asking {self.server.host}:{self.server.port} for an account")
        answer = self.server.join(self.code, request_text(key))
        _check_clock(answer.at_ms)
        folder = self.config.parent.resolve() / f"fleet-{secrets.token_hex(4)}"
        try:
            changes = _write_credentials(folder, answer, key_text(key), settings)
            after, lines = self._with(changes)
            self.say(f"Logging in at the broker {answer.host}:{answer.port}")
            _prove(after)
            if not self.agree(lines):
                raise EnrolmentError("Nothing was changed; the code can be used again.", "declined")
            self._write(changes, answer.token)
        except BaseException:
            remove_unused(self.config)
            raise
        remove_unused(self.config)  # what an earlier fleet had given
        before = self.config.resolve()
        return Joined(answer.device, changes, before.with_name(f"{before.name}.before"))

    def _with(self, changes: Mapping[str, Any]) -> tuple[Settings, list[str]]:
        """Return the settings with the changes, and the lines that change."""
        before = read_file(self.config)
        after = ConfigFile(self.config, with_changes(before.text, changes))
        return checked(after), difference(before, after, checked(before))

    def _write(self, changes: Mapping[str, Any], token: str) -> None:
        """Write the configuration and tell the server; if that fails, the one of before is back."""
        before = read_file(self.config)
        change_config(self.config, changes)
        written = read_file(self.config)
        try:
            self._confirm(token)
        except BaseException:
            save(written, before.text)
            raise

    def _confirm(self, token: str) -> None:
        for pause_s in CONFIRM_PAUSES_S:
            try:
                self.server.confirm(self.code, token)
            except EnrolmentError as error:
                if error.refusal not in {"unreachable", "failed"} or not pause_s:
                    raise
                self.say(f"{error} Trying again.")
                clock.sleep(pause_s)
            else:
                return


def remove_unused(config: Path) -> None:
    """Delete what was fetched for a fleet and is not used by the configuration.

    Raises:
        ConfigError: the configuration cannot be read.
    """
    text = read_file(config).text
    for folder in config.parent.resolve().glob("fleet-*"):
        if _FOLDER.fullmatch(folder.name) and f"{folder}/" not in text:
            shutil.rmtree(folder)


def _check_clock(server_ms: int) -> None:
    here_ms = clock.now().wall_ms
    if abs(here_ms - server_ms) > CLOCK_MS:
        raise EnrolmentError(
            f"The clock of this device says {iso_utc(here_ms)}, that of the server "
            f"{iso_utc(server_ms)}. Set the one that is wrong (timedatectl), and use the code "
            "again.",
            "clock",
        )


def _write_credentials(
    folder: Path, answer: JoinAnswer, key: str, before: Settings
) -> dict[str, Any]:
    """Write what the device was given; return the changes of the configuration."""
    files = {"password": f"{answer.password}\n", "authority.pem": answer.authority}
    changes: dict[str, Any] = {
        "device.name": answer.device,
        "mqtt.enabled": True,
        "mqtt.host": answer.host,
        "mqtt.port": answer.port,
        "mqtt.username": answer.account,
        "mqtt.password": None,
        "mqtt.password_file": str(folder / "password"),
        "mqtt.tls": True,
        "mqtt.ca_file": str(folder / "authority.pem"),
        "mqtt.client_certificate": None,
        "mqtt.client_key": None,
        "fleet.enabled": True,
    }
    # Where the broker of before was reached otherwise; the account writes below its name only.
    for name, value in (("transport", "tcp"), ("root", ROOT), ("home_assistant", False)):
        if getattr(before.mqtt, name) != value:
            changes[f"mqtt.{name}"] = value
    if answer.certificate is not None:
        files |= {"device.pem": answer.certificate, "device.key": key}
        changes["mqtt.client_certificate"] = str(folder / "device.pem")
        changes["mqtt.client_key"] = str(folder / "device.key")
    try:
        folder.mkdir(mode=0o700)
        for name, text in files.items():
            handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            with os.fdopen(handle, "w") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(handle)
            _give_to_agent(folder / name)
        _give_to_agent(folder)
    except OSError as error:
        raise EnrolmentError(
            f"{error.filename or folder}: cannot be written ({error.strerror}). All is as it was, "
            "and the code can be used again."
        ) from error
    return changes


def _give_to_agent(file: Path) -> None:
    if os.geteuid() == 0:
        with suppress(KeyError):  # not installed by install.sh: whoever runs it is root
            owner = pwd.getpwnam(AGENT_USER)
            os.chown(file, owner.pw_uid, owner.pw_gid)


def _prove(settings: Settings) -> None:
    """Log in at the broker with what was fetched.

    The broker may not have read its files yet, so it is asked for some seconds.
    """
    until = clock.boot_seconds() + PROOF_S
    while True:
        try:
            log_in(configured_broker(settings.mqtt), f"{settings.device.name}-join")
        except ConnectionEndedError as error:
            refused = error.state is MqttState.UNAUTHORISED
            if refused and clock.boot_seconds() < until:
                clock.sleep(0.5)
                continue
            raise EnrolmentError(
                f"The account was fetched, but the broker does not let this device in. "
                f"{error.text} All is as it was, and the code can be used again.",
                "broker",
            ) from error
        except AffectEdgeError as error:
            raise EnrolmentError(f"{error} All is as it was.", "broker") from error
        return
