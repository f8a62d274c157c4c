"""The doctor's checks of a Raspberry Pi's board: memory of the camera, overlays, power.

They read small files of kernel and firmware. On another machine there is nothing to check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edge_agent.alerts.figures import parse_throttled
from edge_agent.appliance.findings import Finding, fine, problem, run_check, warning
from edge_agent.appliance.running_checks import output_of
from edge_agent.config.camera import CameraSettings
from edge_agent.config.settings import Settings
from edge_agent.core.errors import DataFileError

ROOT = Path("/")
_MODEL = "proc/device-tree/model"
_MEMORY = "proc/meminfo"
_POWER = "proc/device-tree/chosen/power"
BOARD_FILES = ("boot/firmware/config.txt", "boot/config.txt")
"""Since Raspberry Pi OS 12 in the first; the second then only says so."""
_CONFIG_BYTES = 64 * 1024
_MODELS = {
    "pi3": r"Pi 3|Compute Module 3",
    "pi3+": r"Pi 3 Model [AB] Plus",
    "pi4": r"Pi 4|Compute Module 4",
    "pi400": r"Pi 400",
    "pi5": r"Pi 5|Compute Module 5",
    "pi500": r"Pi 500",
    "cm4": r"Compute Module 4",
    "cm5": r"Compute Module 5",
    "pi02": r"Pi Zero 2",
}
"""Filters of config.txt, and the models of the device tree for which their lines hold."""
_CMA_LEAST_MB = 64
_RAW_BYTES = 5_000_000
"""Of the sensor's own picture, which the camera stack keeps beside ours: 2028 × 1520 × 12 bit."""
_CMA_MB = (64, 96, 128, 192, 256, 320, 384, 448, 512)
"""Sizes that the overlay of the graphics driver knows."""
_SCREEN = re.compile(r"vc4-f?kms-v3d(-pi\d)?")
SENSOR_LINES = {
    "ov5647": "dtoverlay=ov5647",
    "imx219": "dtoverlay=imx219",
    "imx708": "dtoverlay=imx708",
    "imx477": "dtoverlay=imx477",
    "imx296": "dtoverlay=imx296",
    "imx500": "dtoverlay=imx500",
    "imx378": "dtoverlay=imx378",
    "imx519": "dtoverlay=imx519",
    "ov9281": "dtoverlay=ov9281",
    "imx290": "dtoverlay=imx290,clock-frequency=37125000",
    "imx327": "dtoverlay=imx327,clock-frequency=37125000",
    "imx462": "dtoverlay=imx462,clock-frequency=37125000",
    "ov64a40": "dtoverlay=ov64a40",
    "arducam-64mp": "dtoverlay=arducam-64mp",
    "arducam-pivariety": "dtoverlay=arducam-pivariety",
}
"""Sensors and the lines of config.txt for them, from the documentation of Raspberry Pi and Arducam;
``docs/cameras.md`` has the same table."""


@dataclass(frozen=True, slots=True)
class BootConfig:
    """Settings of config.txt that apply to this board.

    Attributes:
        file: the file.
        values: keys and their values; the last line of a key counts.
        overlays: what follows each ``dtoverlay=``.
    """

    file: Path
    values: Mapping[str, str]
    overlays: tuple[str, ...]


def check_board(
    settings: Settings, health: Mapping[str, Any] | None, root: Path = ROOT
) -> Iterator[Finding]:
    """Yield the findings about a Raspberry Pi's board; none on another machine.

    Args:
        settings: the configuration that the agent would use.
        health: the agent's own report, whose alarms tell of the power; ``None``: it does not run.
        root: the folder in which the files of kernel and firmware lie.
    """
    model = board_model(root)
    if model is None:
        return
    if settings.camera.source in {"auto", "picamera2"}:
        memory = partial(_check_memory, settings.camera, model, root)
        yield run_check("contiguous memory", memory)
        yield run_check("camera overlay", partial(_check_overlay, model, root))
    if (root / _POWER / "usb_max_current_enable").exists():  # from the Pi 5 on
        yield run_check("usb power", partial(_check_usb_power, model, root))
    if health is None:
        yield run_check("power", _check_power)


def board_model(root: Path) -> str | None:
    """Return the model of a Raspberry Pi; ``None`` on other machines."""
    try:
        model = (root / _MODEL).read_bytes().rstrip(b"\0").decode("ascii", "replace")
    except OSError:
        return None
    return model if "Raspberry Pi" in model else None


def read_boot_config(model: str, root: Path = ROOT) -> BootConfig | None:
    """Return what config.txt says for a model; ``None`` where there is none.

    Raises:
        OSError: it may not be read.
        DataFileError: it is too large for such a file.
    """
    file = next((root / place for place in BOARD_FILES if (root / place).exists()), None)
    if file is None:
        return None
    with file.open("rb") as content:
        text = content.read(_CONFIG_BYTES + 1)
    if len(text) > _CONFIG_BYTES:
        raise DataFileError(
            f"{file}: has more than {_CONFIG_BYTES // 1024} KiB and was not read. Shorten it."
        )
    values: dict[str, str] = {}
    overlays: list[str] = []
    for key, value in _lines_for(model, text.decode("utf-8", "replace")):
        if key == "dtoverlay":
            overlays.append(value)
        else:
            values[key] = value
    return BootConfig(file, values, tuple(overlays))


def _lines_for(model: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield key and value of each line that holds for a model.

    Lines below a filter that is not known here, such as the state of a pin, are left out.
    """
    holds = True
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("["):
            name = line.strip("[]").lower()
            models = _MODELS.get(name)
            holds = name == "all" or (models is not None and bool(re.search(models, model)))
        elif holds and "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            yield key.strip(), value.strip()


def _check_memory(camera: CameraSettings, model: str, root: Path) -> Finding:
    told = memory_mb(root)
    if "CmaTotal" not in told:
        return fine("contiguous memory", "the kernel reserves none by itself")
    total = told["CmaTotal"]
    described = f"{total} MB reserved for camera and screen, {told.get('CmaFree', 0)} MB of it free"
    wanted = _wanted_mb(camera)
    if total >= wanted:
        return fine("contiguous memory", described)
    fewer = "Set camera.buffers = 2, or camera.width and camera.height smaller."
    sizes = [size for size in _CMA_MB if wanted <= size <= told.get("MemTotal", 0) / 3]
    described += f"; the configured pictures want about {wanted} MB"
    if not sizes:
        return warning("contiguous memory", described, fewer)
    line = _memory_line(sizes[0], model, root)
    cure = fewer + f" Or reserve more: {line}, then restart the machine."
    return warning("contiguous memory", described, cure)


def memory_mb(root: Path) -> dict[str, int]:
    """Return the figures of the kernel about memory, MB."""
    lines = (root / _MEMORY).read_text(encoding="ascii", errors="replace").splitlines()
    matches = (re.fullmatch(r"(\w+):\s+(\d+) kB", line) for line in lines)
    return {match[1]: int(match[2]) // 1024 for match in matches if match}


def _wanted_mb(camera: CameraSettings) -> int:
    """Return how much memory the pictures of a camera take, MB, and at least the usual share."""
    pixels = camera.width * camera.height
    one = pixels * 3 + max(_RAW_BYTES, pixels * 3 // 2)
    return max(_CMA_LEAST_MB, camera.buffers * one // 2**20)


def _memory_line(megabytes: int, model: str, root: Path) -> str:
    """Return what to write so that the kernel reserves so much."""
    boot = read_boot_config(model, root)
    for overlay in boot.overlays if boot is not None else ():
        name, *options = overlay.split(",")
        if boot is not None and _SCREEN.fullmatch(name):
            others = [option for option in options if not option.startswith("cma-")]
            line = ",".join([name, *others, f"cma-{megabytes}"])
            return f"in {boot.file} write dtoverlay={line} in place of dtoverlay={overlay}"
    return f"write cma={megabytes}M at the end of the only line of cmdline.txt"


def _check_overlay(model: str, root: Path) -> Finding:
    boot = read_boot_config(model, root)
    if boot is None:
        return fine("camera overlay", "there is no config.txt")
    detects = boot.values.get("camera_auto_detect") == "1"
    names = [text.split(",")[0] for text in boot.overlays]
    named = [name for name in names if name in SENSOR_LINES]
    lines = ", ".join(SENSOR_LINES.values())
    if not named and detects:
        text = "Raspberry Pi's own modules are looked for; another needs camera_auto_detect=0 and"
        return fine("camera overlay", f"{text} the line of its sensor ({lines})")
    if not named:
        return warning(
            "camera overlay",
            f"{boot.file} lets no camera be found: it has neither camera_auto_detect=1 nor the "
            "overlay of a sensor",
            "Write camera_auto_detect=1 there for Raspberry Pi's own modules, otherwise "
            f"camera_auto_detect=0 and the line of the sensor ({lines}), then restart the machine.",
        )
    folder = boot.file.parent / "overlays"
    absent = [name for name in named if folder.is_dir() and not (folder / f"{name}.dtbo").exists()]
    if absent:
        return problem(
            "camera overlay",
            f"{boot.file} names the overlay {absent[0]}, and {folder} has no {absent[0]}.dtbo",
            "Install what the camera's maker offers for this system, or correct the name "
            f"({lines}), then restart the machine.",
        )
    if detects:
        return warning(
            "camera overlay",
            f"{boot.file} names {named[0]} and has camera_auto_detect=1 as well",
            f"Write camera_auto_detect=0 in {boot.file} and restart the machine.",
        )
    return fine("camera overlay", f"{boot.file} names {', '.join(named)}")


def _check_usb_power(model: str, root: Path) -> Finding:
    power = root / _POWER
    offered = _number(power / "max_current")
    supply = f"the supply offers {offered} mA" if offered else "the supply does not say how much"
    if _number(power / "usb_over_current_detected"):
        return warning(
            "usb power",
            f"USB devices drew too much current at the start; {supply}",
            "Put what draws much on a hub with its own supply, and use Raspberry Pi's 27 W supply.",
        )
    if _number(power / "usb_max_current_enable"):
        return fine("usb power", f"USB devices may draw 1,600 mA together; {supply}")
    boot = read_boot_config(model, root)
    limit = f"USB devices may draw only 600 mA together; {supply}"
    if boot is not None and boot.values.get("usb_max_current_enable") == "1":
        limit += f", and {boot.file} has usb_max_current_enable=1"
        return warning("usb power", limit, "Restart the machine, so that this line holds.")
    file = boot.file if boot is not None else "config.txt"
    cure = (
        "Use Raspberry Pi's 27 W supply. If yours gives 5 A without saying so, write "
        f"usb_max_current_enable=1 in {file} and restart the machine."
    )
    return warning("usb power", limit, cure)


def _number(file: Path) -> int:
    """Return a number of the device tree; 0 where the firmware gives none."""
    try:
        return int.from_bytes(file.read_bytes()[:4], "big")
    except FileNotFoundError:
        return 0


def _check_power() -> Finding:
    power = parse_throttled(output_of("vcgencmd", "get_throttled"))
    cure = "Use Raspberry Pi's own supply (Pi 5: that of 27 W) and a short, thick cable."
    if power is None:
        return fine("power", "the firmware tells nothing (vcgencmd get_throttled)")
    if power.under_voltage:
        return warning("power", "the supply voltage is too low", cure)
    if power.throttled or power.frequency_capped:
        cool = "Cool the processor, or use a stronger supply."
        return warning("power", "the processor is slowed down", cool)
    if power.under_voltage_since_start:
        return warning("power", "the supply voltage was too low since the start", cure)
    return fine("power", "no low voltage and no slowing down now")
