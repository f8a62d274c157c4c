"""Diagnosis of this machine: a check finds a fault and says what to do.

A check examines one thing and never changes anything. ``diagnose`` runs all of them; the known
errors of each are caught, so that one broken part does not hide another.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.appliance.board_checks import check_board
from edge_agent.appliance.database_checks import check_database
from edge_agent.appliance.findings import Finding, Verdict, fine, problem, run_check, warning
from edge_agent.appliance.running_checks import agent_health, check_running
from edge_agent.config.settings import Settings
from edge_agent.core import clock
from edge_agent.core.errors import ModelError
from edge_agent.core.owners import asked_as
from edge_agent.core.pictures import are_equal
from edge_agent.live.feed import SOCKET_NAME
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.study.capture_switch import CaptureSwitch, SwitchedOff

if TYPE_CHECKING:
    from edge_agent.camera.base import Camera
    from edge_agent.core.expression import Frame
    from edge_agent.vision.faces.finder import YuNetFile
    from edge_agent.vision.models.card import ModelCard

FREE_WANTED_MB = 500
_CONTAINER = Path("/run/systemd/container")
_SOURCES_OF_DEVICES = {"auto", "picamera2", "opencv"}
_STREAMS_S = 2.0
_LOADED_S = 60.0
"""For so long a model of another user may be loaded."""
_TIME_ERROR = 5  # what adjtimex answers while nothing has set the clock


def diagnose(settings: Settings, data: Path, *, deep: bool = False) -> Iterator[Finding]:
    """Yield a finding for each check, in the order in which a person would look.

    Args:
        settings: the configuration that the agent would use.
        data: the data folder.
        deep: read the whole database and each copy of it, however long it takes.
    """
    yield _platform()
    yield _clock()
    if settings.doubt:
        cure = "Change it: the agent runs without what it asks for."
        yield problem("configuration", settings.doubt, cure)
    yield from _data_folder(data)
    yield from check_database(settings, data, deep=deep)
    vision = settings.vision
    yield run_check(f"model {vision.detector_model}", partial(_detector, settings))
    model = vision.expression_model
    yield run_check(f"model {model}", partial(_expression_model, settings))
    health = agent_health(data / SOCKET_NAME)
    off = CaptureSwitch(data / DATABASE_NAME).off()
    if off is None:
        yield run_check("camera", partial(_camera, settings, health))
        if settings.camera.source in _SOURCES_OF_DEVICES:
            yield run_check("cameras", _cameras)
    else:
        yield _switched_off(off)
    yield from check_board(settings, health)
    if settings.vitals.bluetooth.devices:
        yield run_check("bluetooth", partial(_bluetooth, settings))
    if any((settings.lsl.enabled, settings.control.lsl_stream, settings.vitals.lsl.streams)):
        library = run_check("lsl", partial(_lsl, settings))
        yield library
        if settings.vitals.lsl.streams and library.verdict is Verdict.OK:
            yield run_check("streams", partial(_streams, settings))
    yield from check_running(settings, health)


def _platform() -> Finding:
    # Of this Python, not platform.machine(): on a Pi 4 or newer the 32-bit Raspberry Pi OS runs a
    # 64-bit kernel, which reports aarch64.
    bits = struct.calcsize("P") * 8
    description = f"Python {platform.python_version()}, {platform.machine()}, {bits} bit"
    if bits != 64:
        cure = "Install the 64-bit Raspberry Pi OS: LiteRT has no 32-bit build."
        return problem("platform", description, cure)
    return fine("platform", description)


def _clock() -> Finding:
    if clock.is_synchronised():
        return fine("clock", "set from the network")
    if _kernel_has_time():  # chrony and others leave no file, but tell the kernel
        return fine("clock", "set, as the kernel says")
    if _CONTAINER.exists():
        return fine("clock", "that of the host of this container")
    cure = "Check network and time service (timedatectl); rows are recorded and marked until then."
    return warning("clock", "not known to be set from the network", cure)


def _kernel_has_time() -> bool:
    """Return whether a time service has told the kernel that the clock is right."""
    read_only = ctypes.create_string_buffer(1_024)  # more than a `struct timex`, with no modes set
    try:
        return 0 <= int(ctypes.CDLL(None).adjtimex(read_only)) < _TIME_ERROR
    except (OSError, AttributeError):
        return False


def _data_folder(data: Path) -> Iterator[Finding]:
    place = next(p for p in (data, *data.parents) if p.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        yield problem(
            "data folder", f"{place} may not be written to", "Choose another folder with --data."
        )
        return
    yield fine("data folder", str(data) if place == data else f"{data} (will be made)")
    free = shutil.disk_usage(place).free // 2**20
    if free < FREE_WANTED_MB:
        cure = f"Free at least {FREE_WANTED_MB} MB on this disk."
        yield problem("disk", f"{free} MB free", cure)
    else:
        yield fine("disk", f"{free} MB free")


def _detector(settings: Settings) -> Finding:
    from edge_agent.vision.faces.finder import open_finder

    name = settings.vision.detector_model
    return _model(settings, name, lambda: open_finder(settings.vision).card)


def _expression_model(settings: Settings) -> Finding:
    from edge_agent.vision.models.card import find_model
    from edge_agent.vision.models.model import load_model

    name = settings.vision.expression_model
    return _model(settings, name, lambda: load_model(find_model(name), kind="expression").card)


def _model(settings: Settings, name: str, load: Callable[[], ModelCard | YuNetFile]) -> Finding:
    """Load a model, for root in a process of the user who may have written it."""
    from edge_agent.agent.building import owner_of_models

    def describe() -> dict[str, Any]:
        try:
            card = load()
        except ModelError as error:
            return {"refused": str(error)}
        return {"found": f"{card.name} {card.version}, {card.sha256[:12]}"}

    told = asked_as(owner_of_models(settings), describe, _LOADED_S)
    if "found" in told:
        return fine(f"model {name}", str(told["found"]))
    raise ModelError(str(told.get("refused") or f"{name}: {told['not_measured']}."))


def _camera(settings: Settings, health: Mapping[str, Any] | None) -> Finding:
    if health is not None:  # a camera has one user; what is wrong with it is an alarm
        fps = health["camera"]["fps"]
        if fps is None:
            return fine("camera", "closed by the agent until it is needed")
        return fine("camera", f"in use by the agent, {fps} frames/s")
    from edge_agent.agent.building import frame_period_s
    from edge_agent.camera.capture import LATE_PERIODS
    from edge_agent.camera.factory import open_camera

    still_s = max(settings.camera.stall_seconds, LATE_PERIODS * frame_period_s(settings))
    with open_camera(settings.camera) as camera:
        frame = camera.read()
        _wait_for_another(camera, frame, still_s)
        height, width = frame.image.shape[:2]
        text = f"{camera.name} gives {width}×{height}"
        if camera.view:
            text += f", {camera.view}"
        return fine("camera", text)


def _wait_for_another(camera: Camera, first: Frame, still_s: float) -> None:
    """Wait for a picture that differs from the first; a file's may be all alike.

    Raises:
        CameraError: it stands still for so many seconds.
    """
    from edge_agent.camera.capture import still_error

    while not camera.repeats and are_equal(first.image, (frame := camera.read()).image):
        seconds = frame.at.seconds_since(first.at)
        if seconds >= still_s:
            raise still_error(camera.name, frame.image, seconds)


def _cameras() -> Finding:
    from edge_agent.camera.factory import list_cameras

    return fine("cameras", "; ".join(list_cameras()) or "none is connected to this machine")


def _switched_off(off: SwitchedOff) -> Finding:
    """Return that the camera is off; it is not opened, since people rely on the switch."""
    description = "switched off"
    if off.since_ms is not None:
        description += f" since {clock.iso_utc(off.since_ms)}"
    if off.by:
        description += f", by {off.by}"
    cure = "Turn it on on the page Live, if nothing else keeps it off; the doctor did not open it."
    return warning("camera", description, cure)


def _bluetooth(settings: Settings) -> Finding:
    from edge_agent.vitals.sensor import check_bluetooth

    check_bluetooth(settings.vitals.bluetooth.adapter)
    sensors = ", ".join(
        f"{device.address} ({device.kind})" for device in settings.vitals.bluetooth.devices
    )
    return fine("bluetooth", f"switched on; configured: {sensors}")


def _lsl(settings: Settings) -> Finding:
    """Load the library of the Lab Streaming Layer.

    Raises:
        ServerError: it is missing.
    """
    from edge_agent.lsl.outlet import load_pylsl, require_library

    asking = require_library(settings)
    version = load_pylsl().library_version()
    return fine("lsl", f"liblsl {version // 100}.{version % 100}, for {asking}")


def _streams(settings: Settings) -> Finding:
    """Look for the configured streams among those that are offered now.

    Raises:
        ServerError: pylsl or its native library is missing.
        VitalsError: a stream does not have the configured channel, or no known unit.
    """
    from edge_agent.lsl.inlet import check_streams, offered_streams

    offered = offered_streams(_STREAMS_S)
    listed = "; ".join(map(str, offered)) or "none"
    if away := check_streams(settings.vitals.lsl.streams, offered):
        return warning(
            "streams",
            f"not offered now: {', '.join(away)}; offered in this network: {listed}",
            "Start the program that sends it. On another machine, its firewall and the network "
            "must let multicast and the ports 16571 to 16604 pass.",
        )
    return fine("streams", f"offered in this network: {listed}")


def exit_code(findings: list[Finding]) -> int:
    """Return 1 when something keeps the appliance from working, else 0."""
    return int(any(f.verdict is Verdict.PROBLEM for f in findings))
