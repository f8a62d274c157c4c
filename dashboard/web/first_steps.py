"""The first steps after setup: a trial of the broker, which changes nothing, and the list of steps
that were taken or skipped, which is a row of the dashboard's table ``setting``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from edge_agent.config.editing import command_for
from edge_agent.config.mqtt import MqttSettings
from edge_agent.core.texts import N_
from edge_agent.timeline.database.dashboard_file import read_dashboard, write_dashboard
from edge_agent.timeline.database.setting import read_setting, write_setting

Stripped = Annotated[str, StringConstraints(strip_whitespace=True)]
_KEY = "first_steps"


class BrokerForm(BaseModel):
    """The form of the step for the broker.

    Attributes:
        host, port: of the broker.
        username: account there; empty: none.
        password: of the account; empty: the configured one, if nothing else differs.
        tls: whether the connection is encrypted.
    """

    host: Stripped = Field("", max_length=255)
    port: Stripped = Field("", max_length=10)
    username: Stripped = Field("", max_length=255)
    password: str = Field("", max_length=1000)
    tls: Annotated[bool, BeforeValidator(lambda typed: typed in {"yes", True})] = False


@dataclass(frozen=True, slots=True)
class BrokerAnswer:
    """The result of trying the broker.

    Attributes:
        text: what was found, in English.
        advice: what to do, in English; empty when all is well.
        is_well: whether the broker lets us in.
        command: the command that keeps what was typed; empty: it is kept already, or was refused.
    """

    text: str = ""
    advice: str = ""
    is_well: bool = False
    command: str = ""


def configured_broker(mqtt: MqttSettings) -> BrokerForm:
    """Return the form as the configuration fills it; never with a password."""
    return BrokerForm.model_construct(
        host=mqtt.host, port=str(mqtt.port), username=mqtt.username or "", tls=mqtt.tls
    )


def try_broker(
    mqtt: MqttSettings, form: BrokerForm, file: Path | None, live_socket: Path
) -> BrokerAnswer:
    """Connect to the broker and disconnect again; takes seconds if nothing answers.

    The configured password and certificate go to no other address than the configured one. Where
    only the agent may read the password, the agent tells how it stands with the broker.

    Args:
        mqtt: as configured.
        form: what was typed.
        file: the configuration file, for the command; ``None``: there is none.
        live_socket: where the agent answers.

    Raises:
        ValidationError: the broker cannot be as it was typed; nothing was tried.
    """
    # the MQTT library is loaded by whoever asks for it, and not by every dashboard
    from edge_agent.appliance.findings import Verdict, run_check
    from edge_agent.appliance.running_checks import check_broker

    changed = _changes(mqtt, form)
    wanted = mqtt.model_copy(update={"enabled": True})
    if changed or form.password:
        wanted = _typed(mqtt, form)
    if not changed and not form.password and _is_the_agents(mqtt.password_file):
        return _as_agent_says(mqtt, live_socket)
    result = run_check("broker", partial(check_broker, wanted))
    is_well = result.verdict is Verdict.OK
    command = command_for(file, changed) if is_well and file is not None and changed else ""
    return BrokerAnswer(result.found, result.cure, is_well, command=command)


def _is_the_agents(password_file: Path | None) -> bool:
    """Tell whether a password file exists that only the agent may read."""
    return password_file is not None and not os.access(password_file, os.R_OK)


def _as_agent_says(mqtt: MqttSettings, live_socket: Path) -> BrokerAnswer:
    from edge_agent.appliance.running_checks import agent_health

    health = agent_health(live_socket)
    if health is None:
        cure = "Type the password here, or start the agent: sudo systemctl start affect-edge-agent"
        return BrokerAnswer(
            "Only the agent may read the configured password, and it does not answer.", cure
        )
    state = health["mqtt"]["state"]
    if state == "connected":
        return BrokerAnswer(f"{mqtt.host}:{mqtt.port} lets the agent in", is_well=True)
    cure = "Why, says the agent's log: journalctl -u affect-edge-agent -n 50"
    return BrokerAnswer(f"The agent is not connected to {mqtt.host}:{mqtt.port} ({state})", cure)


def _typed(mqtt: MqttSettings, form: BrokerForm) -> MqttSettings:
    return MqttSettings.model_validate(
        {
            "enabled": True,
            "host": form.host,
            "port": form.port,
            "username": form.username or None,
            "password": form.password or None,
            "tls": form.tls,
            # Without TLS there is nothing that the certificate could prove.
            "ca_file": mqtt.ca_file if form.tls else None,
            "root": mqtt.root,
            "transport": mqtt.transport,
            "websocket_path": mqtt.websocket_path,
        }
    )


def _changes(mqtt: MqttSettings, form: BrokerForm) -> dict[str, Any]:
    """Return the keys whose typed value differs from the configuration."""
    port: int | str = int(form.port) if form.port.isdecimal() else form.port
    typed = {
        "mqtt.host": (form.host, mqtt.host),
        "mqtt.port": (port, mqtt.port),
        "mqtt.username": (form.username or None, mqtt.username),
        "mqtt.tls": (form.tls, mqtt.tls),
    }
    return {name: new for name, (new, old) in typed.items() if new != old}


class FirstStep(StrEnum):
    """A step, in the order in which they are taken."""

    CAMERA = "camera"
    PRIVACY = "privacy"
    ACCOUNT = "account"
    BROKER = "broker"
    SENSORS = "sensors"


class StepOutcome(StrEnum):
    """The outcome of a step."""

    DONE = "done"
    SKIPPED = "skipped"


TITLES: Mapping[FirstStep, str] = {
    FirstStep.CAMERA: N_("Camera"),
    FirstStep.PRIVACY: N_("Privacy"),
    FirstStep.ACCOUNT: N_("A second account"),
    FirstStep.BROKER: N_("Broker"),
    FirstStep.SENSORS: N_("Sensors"),
}


class FirstStepsProgress:
    """The progress of the first steps on this appliance.

    Args:
        database: the database file, already migrated.

    Example:
        >>> progress = FirstStepsProgress(Path("data/affect-edge.db"))
        >>> progress.begin()
        >>> progress.left(FirstStep.CAMERA, StepOutcome.DONE)
        >>> progress.next_step()
        <FirstStep.PRIVACY: 'privacy'>
    """

    def __init__(self, database: Path) -> None:
        self._database = database

    def begin(self) -> None:
        """Store that no step was taken yet; existing progress stays."""
        with write_dashboard(self._database) as connection:
            if read_setting(connection, _KEY) is None:
                write_setting(connection, _KEY, "{}")

    def left(self, step: FirstStep, outcome: StepOutcome) -> None:
        """Store the outcome of a step; a step once done stays done."""
        with write_dashboard(self._database) as connection:
            taken = _read(read_setting(connection, _KEY) or "{}")
            if taken.get(step) is not StepOutcome.DONE:
                taken[step] = outcome
            write_setting(connection, _KEY, json.dumps(taken))

    def taken(self) -> dict[FirstStep, StepOutcome] | None:
        """Return the outcome of each step; ``None``: the steps were never begun here."""
        with read_dashboard(self._database) as connection:
            text = read_setting(connection, _KEY)
        return None if text is None else _read(text)

    def next_step(self) -> FirstStep | None:
        """Return the first step that is neither done nor skipped; ``None``: there is none."""
        taken = self.taken() or {}
        return next((step for step in FirstStep if step not in taken), None)

    def is_open(self) -> bool:
        """Tell whether the steps were begun and are not all left."""
        taken = self.taken()
        return taken is not None and len(taken) < len(FirstStep)


def _read(text: str) -> dict[FirstStep, StepOutcome]:
    return {FirstStep(name): StepOutcome(how) for name, how in json.loads(text).items()}
