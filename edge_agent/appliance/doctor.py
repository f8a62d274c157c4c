"""Finds what is wrong on this machine and says what to do.

A check looks at one thing and never changes anything. ``diagnose`` runs all of them, each guarded
by the errors that its room is known to raise, so that one broken part does not hide another.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge_agent.config import Settings
from edge_agent.core import clock
from edge_agent.core.errors import AffectEdgeError, CameraError, VitalsError

FREE_WANTED_MB = 500
BROKER_TIMEOUT_S = 3.0


class Verdict(StrEnum):
    """How a check ended."""

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


def diagnose(settings: Settings, data: Path) -> Iterator[Finding]:
    """Yield a finding for each check, in the order in which a person would look.

    Args:
        settings: the configuration that the agent would use.
        data: the data folder.
    """
    yield _platform()
    yield _clock()
    yield from _data_folder(data)
    yield _guarded("database", lambda: _database(data))
    yield _guarded("copies", lambda: _copies(settings, data))
    yield _guarded("counted time", lambda: _counted_time(data))
    yield _guarded("disk budget", lambda: _disk_budget(settings, data))
    vision = settings.vision
    yield _guarded(f"model {vision.detector_model}", lambda: _detector(settings))
    yield _guarded(
        f"model {vision.expression_model}", lambda: _expression_model(vision.expression_model)
    )
    yield _guarded("camera", lambda: _camera(settings))
    if settings.vitals.bluetooth.devices:
        yield _guarded("bluetooth", lambda: _bluetooth(settings))
    yield _broker(settings)
    yield _port(settings)


def _guarded(check: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except (CameraError, VitalsError) as error:
        return Finding(check, Verdict.PROBLEM, error.problem, error.cure)
    except AffectEdgeError as error:
        return Finding(check, Verdict.PROBLEM, str(error), "See the sentence before.")


def _platform() -> Finding:
    bits = struct.calcsize("P") * 8
    description = f"Python {platform.python_version()}, {platform.machine()}, {bits} bit"
    if bits != 64:
        return Finding(
            "platform",
            Verdict.PROBLEM,
            description,
            "Install the 64-bit Raspberry Pi OS: LiteRT has no 32-bit build.",
        )
    return Finding("platform", Verdict.OK, description)


def _clock() -> Finding:
    if clock.is_synchronised():
        return Finding("clock", Verdict.OK, "set from the network")
    cure = "Check network and time service (timedatectl); rows are recorded and marked until then."
    return Finding("clock", Verdict.WARNING, "not known to be set from the network", cure)


def _data_folder(data: Path) -> Iterator[Finding]:
    place = next(p for p in (data, *data.parents) if p.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding(
            "data folder",
            Verdict.PROBLEM,
            f"{place} may not be written to",
            "Choose another with --data.",
        )
        return
    yield Finding(
        "data folder", Verdict.OK, str(data) if place == data else f"{data} (will be made)"
    )
    free = shutil.disk_usage(place).free // 2**20
    if free < FREE_WANTED_MB:
        yield Finding(
            "disk",
            Verdict.PROBLEM,
            f"{free} MB free",
            f"Free at least {FREE_WANTED_MB} MB on this disk.",
        )
    else:
        yield Finding("disk", Verdict.OK, f"{free} MB free")


def _database(data: Path) -> Finding:
    from edge_agent.store.database.schema import DATABASE_NAME
    from edge_agent.store.read.reader import Reader

    path = data / DATABASE_NAME
    if not path.exists():
        return Finding("database", Verdict.OK, f"{path} is not there yet; the agent makes it")
    counts = Reader(path).counts()
    return Finding(
        "database",
        Verdict.OK,
        ", ".join(f"{n} {table} rows" for table, n in sorted(counts.items())),
    )


def _copies(settings: Settings, data: Path) -> Finding:
    from edge_agent.store.database.schema import DATABASE_NAME
    from edge_agent.store.upkeep.copy_report import standing

    stands = standing(data / DATABASE_NAME)
    if stands.age_s is None:
        age = "there is no verified copy of the database"
    else:
        age = f"the last verified copy of the database is {stands.age_s / 3600:.0f} hours old"
    if stands.error:
        cure = "See what the error says; the older copies are kept until a new one is verified."
        return Finding("copies", Verdict.PROBLEM, f"{age}; the next failed: {stands.error}", cure)
    if stands.smaller_than:
        less = f"{age}; a later one holds much less than {stands.smaller_than}"
        restore = (
            "Restore that copy if rows were lost; move it to another folder if they were meant "
            "to go."
        )
        return Finding("copies", Verdict.PROBLEM, less, restore)
    if stands.overdue:
        now = "See that the nightly maintenance runs, or say `affect-edge backup` now."
        return Finding("copies", Verdict.WARNING, age, now)
    if stands.second_error and settings.backup.also:
        away = f"{age}; the copy in a second place was not made: {stands.second_error}"
        put = "Put the stick or share back, or take backup.also out of the configuration."
        return Finding("copies", Verdict.WARNING, away, put)
    return Finding("copies", Verdict.OK, age)


def _counted_time(data: Path) -> Finding:
    from edge_agent.store.database.schema import DATABASE_NAME
    from edge_agent.store.upkeep.counted_time import clock_doubt

    doubt = clock_doubt(data / DATABASE_NAME)
    if doubt is None:
        return Finding("counted time", Verdict.OK, "agrees with the clock, or follows it soon")
    return Finding("counted time", Verdict.WARNING, doubt, "Old rows stay until the clock is set.")


def _disk_budget(settings: Settings, data: Path) -> Finding:
    from edge_agent.store.database.schema import DATABASE_NAME, copies_beside
    from edge_agent.store.upkeep.budget import SHARES, space_of

    path = data / DATABASE_NAME
    record = settings.record
    if not path.exists():
        return Finding(
            "disk budget", Verdict.OK, f"{record.budget_mb} MB for the database and its copies"
        )
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
        return Finding("disk budget", Verdict.WARNING, told, cure)
    if space.cut_ms is not None:
        early = f"rows of before {clock.iso_utc(space.cut_ms)[:10]} were deleted early; {told}"
        longer = "Raise record.budget_mb, or lower record.keep_days to what fits."
        return Finding("disk budget", Verdict.WARNING, early, longer)
    if record.budget_mb > (taken + free) / 1e6:
        small = (
            f"record.budget_mb is {record.budget_mb} MB, but there is room for "
            f"{(taken + free) / 1e6:.0f} MB"
        )
        fitting = "Lower record.budget_mb to what fits, or use a larger disk."
        return Finding("disk budget", Verdict.WARNING, small, fitting)
    return Finding("disk budget", Verdict.OK, told)


def _detector(settings: Settings) -> Finding:
    from edge_agent.runtime.factories import vision_options
    from edge_agent.vision.faces.finder import open_finder

    name = settings.vision.detector_model
    card = open_finder(vision_options(settings)).card
    return Finding(f"model {name}", Verdict.OK, f"{card.name} {card.version}, {card.sha256[:12]}")


def _expression_model(name: str) -> Finding:
    from edge_agent.vision.models.card import find_model
    from edge_agent.vision.models.model import load_model

    card = load_model(find_model(name), kind="expression").card
    return Finding(f"model {name}", Verdict.OK, f"{card.name} {card.version}, {card.sha256[:12]}")


def _camera(settings: Settings) -> Finding:
    from edge_agent.runtime.factories import camera_factory

    with camera_factory(settings)() as camera:
        frame = camera.read()
        height, width = frame.image.shape[:2]
        return Finding("camera", Verdict.OK, f"{camera.name} gives {width}×{height}")


def _bluetooth(settings: Settings) -> Finding:
    from edge_agent.vitals.bluetooth import check_bluetooth

    check_bluetooth(settings.vitals.bluetooth.adapter)
    sensors = ", ".join(
        f"{device.address} ({device.kind})" for device in settings.vitals.bluetooth.devices
    )
    return Finding("bluetooth", Verdict.OK, f"switched on; configured: {sensors}")


def _broker(settings: Settings) -> Finding:
    mqtt = settings.mqtt
    where = f"{mqtt.host}:{mqtt.port}"
    if not mqtt.enabled:
        return Finding("broker", Verdict.OK, "publishing is switched off (mqtt.enabled)")
    try:
        socket.create_connection((mqtt.host, mqtt.port), BROKER_TIMEOUT_S).close()
    except OSError as error:
        cure = (
            "Start the broker or correct mqtt.host and mqtt.port; messages wait in the outbox "
            "until then."
        )
        return Finding(
            "broker", Verdict.WARNING, f"{where} does not answer ({error.strerror or error})", cure
        )
    return Finding("broker", Verdict.OK, f"{where} answers")


def _port(settings: Settings) -> Finding:
    host = settings.dashboard.host
    port = settings.dashboard.port
    try:
        socket.create_server((host, port), family=family_of(host)).close()
    except OSError as error:
        cure = "All is well if the dashboard runs; else set dashboard.port to a free one."
        return Finding("dashboard port", Verdict.WARNING, f"{host}:{port} ({error.strerror})", cure)
    return Finding("dashboard port", Verdict.OK, f"{host}:{port} is free")


def family_of(host: str) -> socket.AddressFamily:
    """Return the kind of an address to listen on: IPv6 where it is written as such, else IPv4."""
    if ":" in host:
        return socket.AF_INET6
    return socket.AF_INET


def exit_code(findings: list[Finding]) -> int:
    """Return 1 when something keeps the appliance from working, else 0."""
    return int(any(f.verdict is Verdict.PROBLEM for f in findings))
