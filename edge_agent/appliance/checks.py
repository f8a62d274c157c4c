"""The doctor's checks of the database and of the running programs, and the verdict of a check.

The checks change nothing. They ask agent and dashboard as an outside program would.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import socket
import sqlite3
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge_agent.config.dashboard import DashboardSettings
from edge_agent.config.mqtt import MqttSettings
from edge_agent.config.settings import Settings
from edge_agent.core import clock
from edge_agent.core.errors import AffectEdgeError, CameraError, StoreError, VitalsError
from edge_agent.core.process import finished
from edge_agent.live.feed import SOCKET_NAME, AgentProbe, newest_messages

QUICK_S = 20.0
DEEP_S = 3_600.0
_DAY_S = 86_400.0
_RESTORE_ACCOUNTS = "Put the file back from an archive: affect-edge restore FILE."
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
CERTIFICATE_DAYS = 14
BROKER_CERTIFICATE_DAYS = 60
"""Nothing renews these: somebody has to make new ones, perhaps on another machine."""


class Verdict(StrEnum):
    """The verdict of a check."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; ``cure`` says what to do and is empty when all is well."""

    check: str
    verdict: Verdict
    found: str
    cure: str = ""


def fine(check: str, found: str) -> Finding:
    """Return a finding without a fault."""
    return Finding(check, Verdict.OK, found)


def warning(check: str, found: str, cure: str) -> Finding:
    """Return a finding about which something should be done."""
    return Finding(check, Verdict.WARNING, found, cure)


def problem(check: str, found: str, cure: str) -> Finding:
    """Return a finding that keeps the appliance from working."""
    return Finding(check, Verdict.PROBLEM, found, cure)


def guarded(check: str, look: Callable[[], Finding]) -> Finding:
    """Return the finding of a check, or its error as a problem."""
    try:
        return look()
    except (CameraError, VitalsError) as error:
        return problem(check, error.problem, error.cure)
    except (AffectEdgeError, OSError, sqlite3.Error, UnicodeDecodeError) as error:
        return problem(check, str(error), "See the sentence before.")


def check_database(settings: Settings, data: Path, *, deep: bool) -> Iterator[Finding]:
    """Yield the findings about the database, its rows, its copies and its budget."""
    from edge_agent.store.database.schema import DATABASE_NAME, copies_beside

    path = data / DATABASE_NAME
    if not path.exists():
        yield fine("database", f"{path} is not there yet; the agent makes it")
    else:
        yield guarded("database", partial(_database, path, deep=deep))
        yield guarded("newest row", partial(_newest_row, path))
        yield guarded("bounds", partial(_bounds, path, DEEP_S if deep else QUICK_S))
        yield guarded("counted time", partial(_counted_time, path))
        yield guarded("accounts", partial(_accounts, path))
        if deep:
            yield guarded("audit", partial(_audit, path))
        yield guarded("erasures", partial(_erasures, path))
    yield guarded("copies", partial(_copies, settings, path))
    if deep:
        for copy in copies_beside(path):
            yield guarded(f"copy {copy.name}", partial(_copy, copy))
    yield guarded("disk budget", partial(_disk_budget, settings, data))


def _database(path: Path, *, deep: bool) -> Finding:
    from edge_agent.store.read.reader import Reader
    from edge_agent.store.salvage.rescue import noted_damage
    from edge_agent.store.upkeep.soundness import look_at

    # Of a large database a full check may take long; the quick one ends in time.
    within_s = DEEP_S if deep else QUICK_S
    counts = Reader(path).counts()
    rows = ", ".join(f"{n} {table} rows" for table, n in sorted(counts.items()))
    soundness = look_at(path, deep=deep, within_s=within_s)
    noted = noted_damage(path)
    if noted or soundness.faults:
        damaged = f"is damaged: {noted or soundness.faults[0]}"
        cure = (
            "Stop the agent, copy the file and what lies beside it elsewhere, and put the newest "
            "sound copy in its place. Cards wear out: consider a new one."
        )
        return problem("database", damaged, cure)
    if not soundness.complete:
        return fine("database", f"{rows}; no damage found in {within_s:.0f} s")
    return fine("database", f"{rows}; sound")


def _bounds(path: Path, within_s: float) -> Finding:
    from edge_agent.store.intake.unreadable import find_unreadable

    found = find_unreadable(path, within_s)
    if found.rows:
        return problem(
            "bounds",
            f"{found.sentence} have a time or a value that cannot be shown",
            "Remove them: affect-edge maintenance --remove-unreadable",
        )
    if not found.complete:
        return fine(
            "bounds", f"no time out of bounds; not all values were read in {within_s:.0f} s"
        )
    return fine("bounds", "no time and no value out of bounds")


def _newest_row(path: Path) -> Finding:
    from edge_agent.store.read.reader import Reader

    span = Reader(path).span()
    if span is None:
        return fine("newest row", "nothing has been recorded yet")
    age_s = (clock.now().wall_ms - span[1]) / 1000
    if age_s < -_DAY_S:
        ahead = f"the newest row lies {-age_s / _DAY_S:.0f} days in the future"
        cure = "Check the clock of this machine (timedatectl): it was ahead then, or is behind now."
        return warning("newest row", ahead, cure)
    return fine("newest row", f"{_duration(age_s)} old")


def _accounts(path: Path) -> Finding:
    from edge_agent.store.database.dashboard_file import dashboard_file, is_anothers, read_as_owner

    kept = dashboard_file(path)
    if not kept.exists():
        return fine("accounts", "none yet: the dashboard prints a code for the first one")
    if os.geteuid() != 0 and (is_anothers(kept) or not os.access(kept, os.R_OK)):
        return fine("accounts", "not looked at: only the dashboard's user and root may read them")
    try:
        with read_as_owner(path) as connection:
            count = connection.execute("SELECT count(*) FROM account").fetchone()[0]
            # quick_check does not compare indexes with tables, and (1) ends at the first fault:
            # every run of the doctor waits for it.
            is_sound = connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
    except StoreError as error:
        return problem("accounts", str(error), _RESTORE_ACCOUNTS)
    if not is_sound:
        return problem("accounts", f"{kept.name} is damaged", _RESTORE_ACCOUNTS)
    return fine("accounts", f"{count} in {kept.name}; sound")


def _audit(path: Path) -> Finding:
    from edge_agent.store.database.schema import read_transaction
    from edge_agent.store.write.audit import SHOWN, check

    with read_transaction(path) as connection:
        chain = check(connection)
    if chain.faults:
        return warning(
            "audit",
            f"the audit trail was changed: {' '.join(chain.faults)}",
            "Compare it with a copy of the database of before. After a rescue of a damaged "
            "database lines may be missing; nothing else should change them.",
        )
    if not chain.head:
        return fine("audit", f"{chain.lines} lines, none sealed yet")
    told = f"{chain.lines} lines, each fits its seal; the newest is {chain.head[:SHOWN]}"
    return fine("audit", told)


def _erasures(path: Path) -> Finding:
    from edge_agent.store.upkeep.unfinished import sentences_of_left

    left = sentences_of_left(path)
    if not left:
        return fine("erasures", "nothing is left of anybody who was erased")
    return warning(
        "erasures",
        f"something is left of somebody who was erased: {' '.join(left)}",
        "Do what the sentence says. The nightly maintenance tries again, or say `affect-edge "
        "maintenance` now.",
    )


def _copies(settings: Settings, path: Path) -> Finding:
    from edge_agent.store.upkeep.copies import standing

    stands = standing(path)
    age = "there is no verified copy of the database"
    if stands.age_s is not None:
        age = f"the last verified copy of the database is {_duration(stands.age_s)} old"
    if stands.error:
        return problem(
            "copies",
            f"{age}; the next failed: {stands.error}",
            "See what the error says; the older copies are kept until a new one is verified.",
        )
    if stands.smaller_than:
        less = f"{age}; a later one holds much less than {stands.smaller_than}"
        return problem(
            "copies",
            less,
            (
                "Restore that copy if rows were lost; move it to another folder if they were meant "
                "to go."
            ),
        )
    if stands.overdue:
        return warning(
            "copies", age, "See that the nightly maintenance runs, or say `affect-edge backup` now."
        )
    if stands.second_error and settings.backup.also:
        away = f"{age}; the copy in a second place was not made: {stands.second_error}"
        return warning(
            "copies",
            away,
            "Put the stick or share back, or take backup.also out of the configuration.",
        )
    if stands.age_s is None:
        return fine("copies", "none yet: the nightly maintenance makes the first one")
    return fine("copies", age)


def _counted_time(path: Path) -> Finding:
    from edge_agent.store.upkeep.aging import clock_doubt

    doubt = clock_doubt(path)
    if doubt is None:
        return fine("counted time", "agrees with the clock, or follows it soon")
    return warning("counted time", doubt, "Old rows stay until the clock is set.")


def _copy(copy: Path) -> Finding:
    from edge_agent.store.upkeep.soundness import look_at

    soundness = look_at(copy, deep=True, within_s=DEEP_S)
    if soundness.faults:
        damaged = f"is damaged: {soundness.faults[0]}"
        cure = "Do not restore this one. Keep it elsewhere while no better one is there."
        return warning(f"copy {copy.name}", damaged, cure)
    return fine(f"copy {copy.name}", "sound")


def _duration(seconds: float) -> str:
    """Return a length of time in the unit that fits."""
    # From two of a unit on: 1.4 days would read as 1 day.
    for name, length in (("days", _DAY_S), ("hours", 3_600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"


def _disk_budget(settings: Settings, data: Path) -> Finding:
    from edge_agent.store.database.schema import DATABASE_NAME, copies_beside
    from edge_agent.store.upkeep.budget import SHARES, space_of

    path = data / DATABASE_NAME
    record = settings.record
    if not path.exists():
        return fine("disk budget", f"{record.budget_mb} MB for the database and its copies")
    space = space_of(path, record.budget_mb, record.keep_days)
    taken = sum(file.stat().st_size for file in (path, *copies_beside(path)))
    free = shutil.disk_usage(data).free
    size = f"the database has {space.used_bytes / 1e6:.0f} MB"
    told = f"{size}, its share of record.budget_mb is {record.budget_mb // SHARES} MB"
    if space.over_bytes:
        cure = (
            "Export and erase participants who are done, or raise record.budget_mb; sessions are "
            "not deleted for space."
        )
        return warning("disk budget", told, cure)
    if space.aside_over_bytes:
        aside = (
            f"databases that were damaged or replaced take {space.aside_bytes / 1e6:.0f} MB, and "
            f"all files are {space.aside_over_bytes / 1e6:.0f} MB larger than record.budget_mb"
        )
        cure = (
            "Copy affect-edge.db.damaged.* and affect-edge.db.replaced.* away, then delete them "
            "here, or raise record.budget_mb; they are never deleted by themselves."
        )
        return warning("disk budget", aside, cure)
    if space.cut_ms is not None:
        early = f"rows of before {clock.iso_utc(space.cut_ms)[:10]} were deleted early; {told}"
        longer = "Raise record.budget_mb, or lower record.keep_days to what fits."
        return warning("disk budget", early, longer)
    if record.budget_mb > (taken + free) / 1e6:
        small = (
            f"record.budget_mb is {record.budget_mb} MB, but there is room for "
            f"{(taken + free) / 1e6:.0f} MB"
        )
        fitting = "Lower record.budget_mb to what fits, or use a larger disk."
        return warning("disk budget", small, fitting)
    return fine("disk budget", told)


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
    return asyncio.run(newest_messages(socket_file, {"health"}, ANSWER_S)).get("health")


def unit_states() -> dict[str, dict[str, str]]:
    """Return the properties of each of our installed systemd units, by the unit's name."""
    names = ("Id", "LoadState", "ActiveState", "SubState", "Result", "NRestarts")
    told = _output("systemctl", "show", f"--property={','.join(names)}", *UNITS)
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
    return _output("journalctl", *words).splitlines()


def _output(program: str, *arguments: str) -> str:
    """Return the output of a program; empty if it is missing, fails or hangs."""
    if shutil.which(program) is None:
        return ""
    try:
        return finished(program, *arguments, timeout_s=10).stdout
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
            yield guarded(setting, partial(_broker_certificate, setting, file))


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
        "Run `affect-edge maintenance`, which renews the appliance's own; a newer one of yours is "
        "taken by `affect-edge certificate install`."
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
        taken = f"{host}:{port} ({error.strerror}), and no dashboard answers there"
        cure = "Stop what uses the port, or set dashboard.port to a free one."
        return warning("dashboard port", taken, cure)
    return fine("dashboard port", f"{host}:{port} is free")


def family_of(host: str) -> socket.AddressFamily:
    """Return the address family of a host to listen on: IPv6 if it contains a colon, else IPv4."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET
