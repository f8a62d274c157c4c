"""The doctor's checks of the running programs, of broker, certificates and ports.

The checks change nothing. They ask agent and dashboard as an outside program would.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge_agent.appliance.findings import Finding, fine, problem, run_check, warning
from edge_agent.config.dashboard import DashboardSettings
from edge_agent.config.mqtt import MqttSettings
from edge_agent.config.settings import Settings
from edge_agent.core import clock
from edge_agent.core.process import run_to_end
from edge_agent.live.feed import SOCKET_NAME, AgentProbe, newest_messages

ANSWER_S = 3.0
OLD_MS = 10_000
"""The agent sends its state each second; an older state is no sign of life."""
# Nobody can connect to the address for every interface; this machine can to its own.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on
UNITS = (
    "affect-edge-agent.service",
    "affect-edge-database.socket",
    "affect-edge-database.service",
    "affect-edge-dashboard.service",
    "affect-edge-maintenance.timer",
    "affect-edge-maintenance.service",
)
_RESTING = ("affect-edge-database.service", "affect-edge-maintenance.service")
_DAY_S = 86_400.0
CERTIFICATE_DAYS = 14
BROKER_CERTIFICATE_DAYS = 60
"""Nothing renews these: somebody has to make new ones, perhaps on another machine."""


def agent_fault(folder: Path) -> str | None:
    """Return what is wrong with the agent of a data folder, as the end of a sentence.

    ``None``: its loop runs, and what it records is stored.
    """
    probe = AgentProbe(folder / SOCKET_NAME)
    try:
        state = probe.last_state(within_s=ANSWER_S)
    finally:
        probe.close()
    # Either way round: the clock may have been set back since.
    if state is None or abs(clock.now().wall_ms - state["at"]) > OLD_MS:
        return "does not answer"
    recorder = state["recorder"]
    if recorder["unstored_since"] is None:
        return None
    since = clock.iso_utc(recorder["unstored_since"])
    return f"answers, but has stored nothing since {since}: {recorder['reason']}"


def dashboard_answers(settings: DashboardSettings) -> bool:
    """Return whether ``/healthz`` answers as our dashboard does."""
    address = _EVERYWHERE.get(settings.host, settings.host)
    if settings.certificate is not None:
        # Not verified: it is this machine, nothing secret is sent, and only the answer counts.
        context = ssl._create_unverified_context()  # noqa: S323
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            address, settings.port, timeout=ANSWER_S, context=context
        )
    else:
        connection = http.client.HTTPConnection(address, settings.port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/healthz")
        answer = json.loads(connection.getresponse().read(1_000))
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return False
    finally:
        connection.close()
    return bool(answer == {"status": "ok"})


def check_running(settings: Settings, health: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Yield the findings about services, agent, broker, certificate and dashboard.

    Args:
        settings: the configuration that the agent would use.
        health: the agent's own report; ``None`` when it does not answer.
    """
    services = unit_states()
    for unit in UNITS:
        if unit in services:
            yield run_check(unit, partial(_service, unit, services[unit]))
    yield from _alarms(health)
    if settings.control.lsl_stream is not None and health is not None:
        yield _markers(health.get("markers"))
    yield run_check("broker", partial(check_broker, settings.mqtt))
    yield from _certificates_for_the_broker(settings.mqtt)
    if settings.fleet.enabled:
        yield _fleet(health)
    if settings.dashboard.certificate is not None:
        yield run_check("certificate", partial(_certificate, settings.dashboard.certificate))
    yield run_check("dashboard port", partial(_port, settings))


def agent_health(socket_file: Path) -> dict[str, Any] | None:
    """Return the running agent's own report; ``None`` when it does not answer."""
    return asyncio.run(newest_messages(socket_file, {"health"}, ANSWER_S)).get("health")


def unit_states() -> dict[str, dict[str, str]]:
    """Return the properties of each of our installed systemd units, by the unit's name."""
    names = ("Id", "LoadState", "ActiveState", "SubState", "Result", "NRestarts")
    told = output_of("systemctl", "show", f"--property={','.join(names)}", *UNITS)
    states = {}
    # For several units systemctl prints one block each, with an empty line between them.
    for block in told.strip().split("\n\n"):
        state = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if state.get("LoadState") == "loaded":
            states[state["Id"]] = state
    return states


def journal(unit: str, lines: int, *options: str) -> list[str]:
    """Return the newest lines of a unit's log; none where it may not be read."""
    words = ("--unit", unit, "--lines", str(lines), "--no-pager", "--quiet", *options)
    return output_of("journalctl", *words).splitlines()


def output_of(program: str, *arguments: str) -> str:
    """Return the output of a program; empty if it is missing, fails or hangs."""
    if shutil.which(program) is None:
        return ""
    try:
        return run_to_end(program, *arguments, timeout_s=10).stdout
    except subprocess.TimeoutExpired:
        return ""


def _service(unit: str, state: Mapping[str, str]) -> Finding:
    active = state.get("ActiveState", "unknown")
    # Inactive is as it should be for what runs at night, and where a socket starts it.
    if active == "active" or (unit in _RESTING and active != "failed"):
        return fine(unit, f"{active} ({state.get('SubState', 'unknown')})")
    lines = journal(unit, 1, "--priority=err", "--output=cat")
    told = f"{active} ({state.get('Result', 'unknown')}); its log says: {''.join(lines) or '-'}"
    cure = f"Start it: sudo systemctl restart {unit}. Its log: journalctl -u {unit} -n 50"
    return problem(unit, told, cure)


def _alarms(health: Mapping[str, Any] | None) -> Iterator[Finding]:
    if health is None:
        yield fine("agent", "does not run with this data folder")
        return
    recorder = health["recorder"]
    if recorder["unstored_since"] is None:
        yield fine("agent", f"answers, runs for {health['uptime_seconds']:.0f} s")
    else:
        told = f"has stored nothing since {recorder['unstored_since']}: {recorder['error']}"
        cure = "Follow the sentence before; rows wait in memory until then."
        yield problem("agent", f"answers, but {told}", cure)
    for alarm in health["alarms"]:
        cure = "See the sentence before; the health page shows when it has gone."
        yield warning(f"alarm {alarm['name']}", str(alarm["text"]), cure)


def _markers(stream: Mapping[str, Any] | None) -> Finding:
    if stream is None:
        restart = "Restart the agent, which reads control.lsl_stream when it starts."
        return warning("markers", "the agent does not listen to the stream of markers yet", restart)
    if stream["connected"]:
        return fine("markers", f"listens to the stream {stream['stream']} since {stream['since']}")
    cure = (
        "Start the program that sends it, and look whether its stream has this name, which is "
        "control.lsl_stream; markers that it sends before the agent listens are lost."
    )
    told = f"no stream {stream['stream']} is offered in the network since {stream['since']}"
    return warning("markers", told, cure)


def check_broker(mqtt: MqttSettings) -> Finding:
    """Log in at a broker, and leave again."""
    if not mqtt.enabled:
        return fine("broker", "publishing is switched off (mqtt.enabled)")
    from edge_agent.agent.publishing import configured_broker
    from edge_agent.mqtt.broker import ConnectionEndedError, MqttState
    from edge_agent.mqtt.connection import log_in

    try:
        remark = log_in(configured_broker(mqtt), f"{mqtt.root.replace('/', '-')}-doctor")
    except ConnectionEndedError as error:
        if error.state is MqttState.UNREACHABLE:
            cure = (
                "Start the broker or correct mqtt.host and mqtt.port; messages wait in the outbox "
                "until then."
            )
            return warning("broker", error.text, cure)
        cure = "See the sentence before; messages wait in the outbox until then."
        return problem("broker", error.text, cure)
    if remark is not None:
        return warning("broker", remark, "See the sentence before.")
    who = f"as {mqtt.username!r}" if mqtt.username else "without a name"
    return fine("broker", f"{mqtt.host}:{mqtt.port} lets us in {who}")


def _certificates_for_the_broker(mqtt: MqttSettings) -> Iterator[Finding]:
    """Check when the certificates between broker and device end; they cannot connect then."""
    files = {"mqtt.client_certificate": mqtt.client_certificate, "mqtt.ca_file": mqtt.ca_file}
    for setting, file in files.items():
        if mqtt.enabled and mqtt.tls and file is not None:
            yield run_check(setting, partial(_broker_certificate, setting, file))


def _days_left(file: Path) -> float:
    """Return for how many more days a certificate is valid."""
    from edge_agent.appliance.certificates import ends_at

    return (ends_at(file) - clock.now().wall_ms / 1000) / _DAY_S


def _broker_certificate(setting: str, file: Path) -> Finding:
    days = _days_left(file)
    cure = "Have a new one made and name it there."
    if days < 0:
        told = f"{file} ended {-days:.0f} days ago, and the broker cannot be used"
        return problem(setting, told, cure)
    told = f"{file} is valid for {days:.0f} more days"
    if days < BROKER_CERTIFICATE_DAYS:
        return warning(setting, told, cure)
    return fine(setting, told)


def _fleet(health: Mapping[str, Any] | None) -> Finding:
    if find_spec("cbor2") is None:
        return problem(
            "fleet",
            "[fleet] enabled: the library cbor2 is not installed, and the agent does not start",
            "Run sudo ./install.sh --with fleet (in a checkout: .venv/bin/pip install -e "
            "'.[fleet]'), or set fleet.enabled = false.",
        )
    stream = (health or {}).get("fleet")
    if stream is None:
        return fine("fleet", "the timeline is sent while the agent runs")
    waiting = f"{stream['waiting']} changes wait for the collector ({stream['state']})"
    return fine("fleet", waiting)


def _certificate(file: Path) -> Finding:
    days = _days_left(file)
    cure = (
        "Run `affect-edge maintenance`, which renews the appliance's own certificate; "
        "install a newer one of yours by `affect-edge certificate install`."
    )
    if days < 0:
        return problem("certificate", f"{file} ended {-days:.0f} days ago", cure)
    if days < CERTIFICATE_DAYS:
        return warning("certificate", f"{file} ends in {days:.0f} days", cure)
    return fine("certificate", f"{file} is valid for {days:.0f} more days")


def _port(settings: Settings) -> Finding:
    host = settings.dashboard.host
    port = settings.dashboard.port
    try:
        # Bound, not connected to: a program may hold the port without answering, and a low port
        # needs rights that this user may lack.
        socket.create_server((host, port), family=family_of(host)).close()
    except OSError as error:
        if dashboard_answers(settings.dashboard):
            return fine("dashboard port", f"the dashboard answers on {host}:{port}")
        taken = f"{host}:{port} ({error.strerror}); no dashboard answers there"
        cure = "Stop what uses the port, or set dashboard.port to a free one."
        return warning("dashboard port", taken, cure)
    return fine("dashboard port", f"{host}:{port} is free")


def family_of(host: str) -> socket.AddressFamily:
    """Return the address family of a host to listen on: IPv6 if it contains a colon, else IPv4."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET
