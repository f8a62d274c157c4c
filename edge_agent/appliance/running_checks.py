"""What the doctor looks at of what runs: services, agent, dashboard, certificate, broker."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge_agent.appliance.findings import Finding, Verdict, guarded
from edge_agent.appliance.signs_of_life import dashboard_answers
from edge_agent.config import MqttSettings, Settings
from edge_agent.core import clock

UNITS = (
    "affect-edge-agent.service",
    "affect-edge-database.service",
    "affect-edge-dashboard.service",
    "affect-edge-maintenance.timer",
    "affect-edge-maintenance.service",
)
CERTIFICATE_DAYS = 14
BROKER_CERTIFICATE_DAYS = 60
"""Nothing renews these: somebody has to make new ones, perhaps on another machine."""
_DAY_S = 86_400
_ANSWER_S = 3.0


def check_running(settings: Settings, health: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Yield what is found of services, agent, broker, certificate and dashboard.

    Args:
        settings: the configuration that the agent would use.
        health: the agent's own report; ``None`` when it does not answer.
    """
    services = unit_states()
    for unit in UNITS:
        if unit in services:
            yield guarded(unit, partial(_service, unit, services[unit]))
    yield from _alarms(health)
    yield guarded("broker", partial(check_broker, settings.mqtt))
    yield from _certificates_for_the_broker(settings.mqtt)
    if settings.fleet.enabled:
        yield _fleet(health)
    if settings.dashboard.certificate is not None:
        yield guarded("certificate", partial(_certificate, settings.dashboard.certificate))
    yield guarded("dashboard port", partial(_port, settings))


def agent_health(socket_file: Path) -> dict[str, Any] | None:
    """Return the running agent's own report; ``None`` when it does not answer."""
    return asyncio.run(_first_report(socket_file))


async def _first_report(socket_file: Path) -> dict[str, Any] | None:
    from edge_agent.runtime.live_feed import live_messages

    try:
        async with asyncio.timeout(_ANSWER_S), aclosing(live_messages(socket_file)) as messages:
            async for message in messages:
                if message.get("type") == "health":
                    return message
                if message.get("type") == "agent" and message.get("state") == "offline":
                    return None
    except TimeoutError:
        return None
    return None


def unit_states() -> dict[str, dict[str, str]]:
    """Return what systemd says of each of our units that is installed, by its name."""
    names = ("Id", "LoadState", "ActiveState", "SubState", "Result", "NRestarts")
    told = _output("systemctl", "show", f"--property={','.join(names)}", *UNITS)
    states = {}
    for block in told.strip().split("\n\n"):
        state = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if state.get("LoadState") == "loaded":
            states[state["Id"]] = state
    return states


def journal(unit: str, lines: int, *options: str) -> list[str]:
    """Return the newest lines of a unit's log; none where it may not be read."""
    words = ("--unit", unit, "--lines", str(lines), "--no-pager", "--quiet", *options)
    return _output("journalctl", *words).splitlines()


def _output(program: str, *arguments: str) -> str:
    """Return what a program prints; nothing where it is missing, fails or hangs."""
    if shutil.which(program) is None:
        return ""
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, check=False, timeout=10
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout


def _service(unit: str, state: Mapping[str, str]) -> Finding:
    active = state.get("ActiveState", "unknown")
    if unit == "affect-edge-maintenance.service":
        well = active != "failed"
    else:
        well = active == "active"
    if well:
        return Finding(unit, Verdict.OK, f"{active} ({state.get('SubState', 'unknown')})")
    lines = journal(unit, 1, "--priority=err", "--output=cat")
    told = f"{active} ({state.get('Result', 'unknown')}); its log says: {''.join(lines) or '-'}"
    cure = f"Start it: sudo systemctl restart {unit}. Its log: journalctl -u {unit} -n 50"
    return Finding(unit, Verdict.PROBLEM, told, cure)


def _alarms(health: Mapping[str, Any] | None) -> Iterator[Finding]:
    if health is None:
        yield Finding("agent", Verdict.OK, "does not run with this data folder")
        return
    yield Finding("agent", Verdict.OK, f"answers, runs for {health['uptime_seconds']:.0f} s")
    for alarm in health["alarms"]:
        cure = "See the sentence before; the health page shows when it has gone."
        yield Finding(f"alarm {alarm['name']}", Verdict.WARNING, str(alarm["text"]), cure)


def check_broker(mqtt: MqttSettings) -> Finding:
    """Log in at a broker, and leave again."""
    if not mqtt.enabled:
        return Finding("broker", Verdict.OK, "publishing is switched off (mqtt.enabled)")
    from edge_agent.mqtt.connecting.log_in import log_in
    from edge_agent.mqtt.connecting.states import ConnectionEndedError, MqttState
    from edge_agent.runtime.mqtt_setup import configured_broker

    try:
        remark = log_in(configured_broker(mqtt), f"{mqtt.root.replace('/', '-')}-doctor")
    except ConnectionEndedError as error:
        if error.state is MqttState.UNREACHABLE:
            cure = (
                "Start the broker or correct mqtt.host and mqtt.port; messages wait in the outbox "
                "until then."
            )
            return Finding("broker", Verdict.WARNING, error.text, cure)
        cure = "See the sentence before; messages wait in the outbox until then."
        return Finding("broker", Verdict.PROBLEM, error.text, cure)
    if remark is not None:
        return Finding("broker", Verdict.WARNING, remark, "See the sentence before.")
    who = f"as {mqtt.username!r}" if mqtt.username else "without a name"
    return Finding("broker", Verdict.OK, f"{mqtt.host}:{mqtt.port} lets us in {who}")


def _certificates_for_the_broker(mqtt: MqttSettings) -> Iterator[Finding]:
    """Tell when what the broker and this device show each other ends; they do not connect then."""
    files = {"mqtt.client_certificate": mqtt.client_certificate, "mqtt.ca_file": mqtt.ca_file}
    for setting, file in files.items():
        if mqtt.enabled and mqtt.tls and file is not None:
            yield guarded(setting, partial(_broker_certificate, setting, file))


def _broker_certificate(setting: str, file: Path) -> Finding:
    from edge_agent.appliance.certificate import ends_at

    days = (ends_at(file) - clock.now().wall_ms / 1000) / _DAY_S
    cure = "Have a new one made and name it there."
    if days < 0:
        told = f"{file} ended {-days:.0f} days ago, and the broker cannot be used"
        return Finding(setting, Verdict.PROBLEM, told, cure)
    told = f"{file} is valid for {days:.0f} more days"
    if days < BROKER_CERTIFICATE_DAYS:
        return Finding(setting, Verdict.WARNING, told, cure)
    return Finding(setting, Verdict.OK, told)


def _fleet(health: Mapping[str, Any] | None) -> Finding:
    if find_spec("cbor2") is None:
        return Finding(
            "fleet",
            Verdict.PROBLEM,
            "[fleet] enabled: the library cbor2 is not installed, and the agent does not start",
            "Run sudo ./install.sh --with fleet (in a checkout: .venv/bin/pip install -e "
            "'.[fleet]'), or set fleet.enabled = false.",
        )
    stream = (health or {}).get("fleet")
    if stream is None:
        return Finding("fleet", Verdict.OK, "the timeline is sent while the agent runs")
    waiting = f"{stream['waiting']} changes wait for the collector ({stream['state']})"
    return Finding("fleet", Verdict.OK, waiting)


def _certificate(file: Path) -> Finding:
    from edge_agent.appliance.certificate import ends_at

    days = (ends_at(file) - clock.now().wall_ms / 1000) / _DAY_S
    cure = (
        "Run `affect-edge maintenance`, which renews the appliance's own; a newer one of yours is "
        "taken by `affect-edge certificate install`."
    )
    if days < 0:
        ended = f"{file} ended {-days:.0f} days ago"
        return Finding("certificate", Verdict.PROBLEM, ended, cure)
    if days < CERTIFICATE_DAYS:
        return Finding("certificate", Verdict.WARNING, f"{file} ends in {days:.0f} days", cure)
    return Finding("certificate", Verdict.OK, f"{file} is valid for {days:.0f} more days")


def _port(settings: Settings) -> Finding:
    host = settings.dashboard.host
    port = settings.dashboard.port
    try:
        socket.create_server((host, port), family=family_of(host)).close()
    except OSError as error:
        if dashboard_answers(settings.dashboard):
            return Finding("dashboard port", Verdict.OK, f"the dashboard answers on {host}:{port}")
        taken = f"{host}:{port} ({error.strerror}), and no dashboard answers there"
        cure = "Stop what uses the port, or set dashboard.port to a free one."
        return Finding("dashboard port", Verdict.WARNING, taken, cure)
    return Finding("dashboard port", Verdict.OK, f"{host}:{port} is free")


def family_of(host: str) -> socket.AddressFamily:
    """Return the kind of an address to listen on: IPv6 where it is written as such, else IPv4."""
    if ":" in host:
        return socket.AF_INET6
    return socket.AF_INET
