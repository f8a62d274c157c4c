"""A report about a device for those who develop the product: board, camera, speed, findings.

Nothing about people is in it. Most values are chosen one by one; the agent's report gives numbers
and known words alone. The doctor's sentences are free text: what the configuration, the database
and this machine name is taken out of them, and so are paths and addresses. Without a readable
database, which knows the codes, the sentences are left out.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import platform
import re
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import psutil
from pydantic import SecretStr

from edge_agent import __version__
from edge_agent.agent.health import processor_temperature
from edge_agent.appliance.board_checks import BOARD_FILES, ROOT, board_model, memory_mb
from edge_agent.appliance.findings import Finding
from edge_agent.appliance.running_checks import UNITS, agent_health, output_of
from edge_agent.appliance.support_bundle import (
    FOLDERS_OF_THE_SYSTEM,
    HIDDEN,
    NOBODYS,
    Hider,
    names_of_machine,
    names_of_people,
)
from edge_agent.config.hiding import hider_of
from edge_agent.config.settings import Settings
from edge_agent.core import clock
from edge_agent.core.addresses import Address
from edge_agent.core.errors import AffectEdgeError, DataFileError
from edge_agent.core.files import replace_file
from edge_agent.core.owners import as_owner_of, asked_as
from edge_agent.live.feed import SOCKET_NAME
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.vision.models.card import find_model, read_card, shipped_models

FRAMES = 100
"""Frames on which the speed is measured: ten seconds on a Raspberry Pi 4."""
_OS_RELEASE = "etc/os-release"
_DEBIAN = (
    "python3-picamera2",
    "libcamera*",
    "rpicam-apps*",
    "bluez",
    "mosquitto",
    "raspi-firmware",
)
"""Packages of the system on which camera, radio and broker depend."""
_WORDS = frozenset({"effort", "kind", "limited_by", "reason", "state", "version"})
"""Keys of the agent's report whose texts come from lists of ours."""
_CODE = re.compile(r"[a-z0-9_.+-]{1,40}")
_PATH = re.compile(r"(?<![\w/.])~?/[^\s,;:()\"']+")
_FOLDER = re.compile(r"(?<![\w/.])/(?:home|media|mnt|run/media|srv|tmp|root|dev/shm)/[^,;:()\"']+")
"""Folders of people, whose names may have blanks: all up to the next mark is taken."""
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_NUMERIC = re.compile(r"[0-9A-Fa-f]*[:.][0-9A-Fa-f:.]+")
_SENTENCES = ("check", "found", "cure")
"""Fields of a finding that are free text."""
_UNKNOWN = "(left out: the database cannot tell which codes there are)"


def write_report(
    file: Path, settings: Settings, data: Path, findings: Sequence[Finding], frames: int = FRAMES
) -> None:
    """Write the report as JSON; an existing file is replaced.

    Args:
        file: the file to write.
        settings: the configuration.
        data: the data folder.
        findings: the doctor's findings.
        frames: the number of frames on which the speed is measured.

    Raises:
        DataFileError: the file cannot be written.
    """
    with _told_where(file), as_owner_of(file):  # before the speed is measured
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with TemporaryFile(dir=file.parent):
            pass
    with as_owner_of(data):
        health = agent_health(data / SOCKET_NAME)
        sizes = _sizes(data)
        told = list(_without_people(findings, settings, data))
    report = {
        "written": clock.iso_utc(clock.now().wall_ms),
        "version": __version__,
        "board": _board(),
        "system": _system(),
        "camera": _camera(settings),
        "models": _models(settings),
        "speed": _speed(settings, frames, shared=health is not None),
        "sizes": sizes,
        "findings": told,
        "agent": None if health is None else _counters(health),
    }
    text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    with _told_where(file), as_owner_of(file):
        # Root may write it into a folder of everybody: a link there is replaced, not followed.
        replace_file(file, text.encode(), 0o644)


@contextmanager
def _told_where(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataFileError(
            f"{file}: cannot be written ({error.strerror}). Name a file in a folder in which this "
            "user may write, such as /tmp/report.json."
        ) from error


def _board(root: Path = ROOT) -> dict[str, object]:
    """Return what the machine is, and power and heat as firmware and kernel report them."""
    sensors: Mapping[str, Sequence[Any]] = getattr(psutil, "sensors_temperatures", dict)()
    speed = psutil.cpu_freq()
    return {
        "model": board_model(root),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "core_mhz_most": (speed and speed.max) or None,
        "load": [round(load, 2) for load in os.getloadavg()],
        "memory_mb": {
            name: megabytes
            for name, megabytes in memory_mb(root).items()
            if name in {"MemTotal", "MemAvailable", "SwapTotal", "CmaTotal", "CmaFree"}
        },
        "temperature_celsius": processor_temperature(sensors),
        "throttled": re.findall("0x[0-9a-f]+", output_of("vcgencmd", "get_throttled")),
        "boot_lines": list(_boot_lines(root)),
        "up_hours": round(clock.boot_seconds() / 3600, 1),
    }


def _boot_lines(root: Path) -> Iterator[str]:
    """Yield the lines of config.txt about camera, memory, overlays and USB."""
    for name in BOARD_FILES:
        try:
            text = (root / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        wanted = r"(\[[a-z0-9+]+\]|(camera_auto_detect|usb_max_current_enable|gpu_mem)=\d+"
        wanted += r"|dtoverlay=[\w,=-]+)"
        yield from re.findall(rf"^\s*{wanted}", text, re.MULTILINE | re.IGNORECASE)[:50]


def _system(root: Path = ROOT) -> dict[str, object]:
    """Return the system, and the versions of what the product stands on."""
    try:
        text = (root / _OS_RELEASE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    named = re.search(r'^PRETTY_NAME="?([^"\n]*)', text, re.MULTILINE)
    installed = output_of("dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *_DEBIAN)
    return {
        "name": named.group(1) if named else platform.system(),
        "kernel": platform.release(),
        "page_bytes": os.sysconf("SC_PAGE_SIZE"),
        "python": platform.python_version(),
        "bits": struct.calcsize("P") * 8,
        "sqlite": sqlite3.sqlite_version,
        "packages": dict(_versions()),
        "debian": dict(line.split(" ", 1) for line in installed.splitlines() if line[-1:] != " "),
    }


def _versions() -> Iterator[tuple[str, str]]:
    """Yield name and version of each installed package that the product asks for."""
    try:
        requirements = requires("affect-edge") or ()
    except PackageNotFoundError:
        requirements = ()
    for name in sorted({re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in requirements}):
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _camera(settings: Settings) -> dict[str, object]:
    """Return the camera that is configured; the findings say which are there."""
    chosen = settings.camera
    numbers = ("number", "width", "height", "fps", "buffers")
    return {"source": chosen.source} | {name: getattr(chosen, name) for name in numbers}


def _models(settings: Settings) -> list[dict[str, object]]:
    """Return the configured models; one that was brought along is told without its name."""
    models: list[dict[str, object]] = []
    for name in (settings.vision.detector_model, settings.vision.expression_model):
        try:
            path = find_model(name)
            card = read_card(path)
            size = path.with_suffix(".tflite").stat().st_size
        except (AffectEdgeError, OSError):
            models.append({"name": _own_or(name), "missing": True})
            continue
        models.append({"name": _own_or(name), "sha256": card.sha256, "bytes": size})
    return models


def _own_or(name: str | Path) -> str:
    """Return the name of a shipped model, or that it is another one."""
    return str(name) if str(name) in shipped_models() else "(not a shipped model)"


def _speed(settings: Settings, frames: int, *, shared: bool) -> dict[str, object]:
    """Return the times of the vision chain on the demonstration's pictures.

    Args:
        settings: the configuration.
        frames: the number of frames.
        shared: whether the agent runs and takes its part of the processor.
    """
    from edge_agent.agent.building import owner_of_models
    from edge_agent.appliance.bench import measure

    def measured() -> dict[str, Any]:
        try:
            return measure(settings, None, frames)
        except AffectEdgeError as error:
            return {"not_measured": type(error).__name__}

    figures = asked_as(owner_of_models(settings), measured)
    if "not_measured" in figures:
        return figures
    del figures["models"], figures["version"]  # told above, and without names of others
    return figures | {"beside_the_agent": shared}


def _sizes(data: Path) -> dict[str, object]:
    """Return the sizes of disk and database, bytes."""
    place = next(path for path in (data, *data.parents) if path.exists())
    disk = psutil.disk_usage(str(place))
    names = {"database": "", "journal": "-wal"}
    files = {name: data / f"{DATABASE_NAME}{end}" for name, end in names.items()}
    return {
        "disk": {"total": disk.total, "free": disk.free},
        **{name: file.stat().st_size for name, file in files.items() if file.exists()},
    }


def _without_people(
    findings: Iterable[Finding], settings: Settings, data: Path
) -> Iterator[dict[str, object]]:
    """Yield the findings without what is personal in their sentences."""
    names = names_of_people(data)
    words = {*(names or ()), *_texts_of_settings(settings), *names_of_machine(data)}
    hide = Hider(words - NOBODYS, hider_of(settings))

    def clean(sentence: str) -> str:
        return _without_places(hide(_URL.sub(HIDDEN, sentence)))

    for finding in findings:
        row = asdict(finding)
        if finding.check == "configuration":  # its wrong values are in no settings
            sentences = {name: _QUOTED.sub(HIDDEN, clean(str(row[name]))) for name in _SENTENCES}
        elif finding.check in UNITS:  # behind the semicolon stands a line of the log
            sentences = {name: str(row[name]).partition(";")[0] for name in _SENTENCES}
        else:
            sentences = {name: clean(str(row[name])) for name in _SENTENCES}
        if names is None:
            sentences |= dict.fromkeys(_SENTENCES[1:], _UNKNOWN)
        yield row | sentences


def _texts_of_settings(settings: Settings) -> set[str]:
    """Return the texts of a configuration that are neither defaults nor words of a fixed list."""
    ours = set(shipped_models()) | set(_texts(Settings().model_dump()))
    ours |= set(_words_of_schema(Settings.model_json_schema()))
    texts = set(_texts(settings.model_dump())) - ours
    return {text for text in texts if not text.startswith(FOLDERS_OF_THE_SYSTEM)}


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in a value, also keys, paths and secrets."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, Address):
        yield value.reveal()
    elif isinstance(value, str | Path):
        yield str(value)
    elif isinstance(value, Mapping):
        yield from (text for pair in value.items() for part in pair for text in _texts(part))
    elif isinstance(value, Iterable):
        yield from (text for part in value for text in _texts(part))


def _words_of_schema(schema: Any) -> Iterator[str]:
    """Yield the words between which a JSON schema lets choose, and the names of its keys."""
    if isinstance(schema, Mapping):
        yield from _texts([schema.get("enum", []), schema.get("const", [])])
        yield from schema.get("properties", {})
        yield from (text for part in schema.values() for text in _words_of_schema(part))
    elif isinstance(schema, list):
        yield from (text for part in schema for text in _words_of_schema(part))


def _without_places(text: str) -> str:
    """Return a sentence without network addresses and without paths of people."""
    text = _FOLDER.sub(HIDDEN, text)
    text = _PATH.sub(
        lambda place: place[0] if place[0].startswith(FOLDERS_OF_THE_SYSTEM) else HIDDEN, text
    )
    return _NUMERIC.sub(lambda word: HIDDEN if _is_address(word[0]) else word[0], text)


def _is_address(text: str) -> bool:
    """Return whether a text is an IP address, with or without a port."""
    for candidate in (text.strip(".:"), text.rpartition(":")[0], text):
        try:
            return not ipaddress.ip_address(candidate).is_loopback
        except ValueError:
            continue
    return False


def _counters(value: Any, key: str = "") -> Any:
    """Return the numbers of the agent's report, with the few texts that are words of ours."""
    if isinstance(value, Mapping):
        kept = {
            name: _counters(inner, name) for name, inner in value.items() if _CODE.fullmatch(name)
        }
        if "alarms" in value:
            kept["alarms"] = [alarm["name"] for alarm in value["alarms"]]
        return kept
    if isinstance(value, list):
        return [_counters(inner, key) for inner in value]
    if isinstance(value, str):
        return value if key in _WORDS and _CODE.fullmatch(value) else HIDDEN
    return value
