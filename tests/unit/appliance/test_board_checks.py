"""The doctor on a Raspberry Pi, by the files of its kernel and firmware."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from edge_agent.appliance import doctor
from edge_agent.appliance.board_checks import SENSOR_LINES, check_board
from edge_agent.appliance.findings import Finding, Verdict
from edge_agent.config.loading import load_settings
from tests.support.firmware import firmware

PI4 = "Raspberry Pi 4 Model B Rev 1.5"
PI5 = "Raspberry Pi 5 Model B Rev 1.0"
ZERO = "Raspberry Pi Zero 2 W Rev 1.0"
CAMERAS = Path(__file__).resolve().parents[3] / "docs/cameras.md"


def board(
    root: Path,
    model: str = PI4,
    config: str | None = "camera_auto_detect=1\n",
    cma_mb: int = 512,
    memory_mb: int = 4000,
    **power: int,
) -> Path:
    """Write the files of a board as its kernel and firmware show them."""
    (root / "proc/device-tree/chosen/power").mkdir(parents=True)
    (root / "proc/device-tree/model").write_bytes(model.encode() + b"\0")
    figures = {"MemTotal": memory_mb, "CmaTotal": cma_mb, "CmaFree": cma_mb // 2}
    lines = [f"{name + ':':16}{value * 1024:8} kB\n" for name, value in figures.items()]
    (root / "proc/meminfo").write_text("".join(lines))
    for name, value in power.items():
        (root / "proc/device-tree/chosen/power" / name).write_bytes(value.to_bytes(4, "big"))
    if config is not None:
        (root / "boot/firmware").mkdir(parents=True)
        (root / "boot/firmware/config.txt").write_text(config)
    return root


def check(root: Path, health: dict[str, Any] | None = None, **camera: Any) -> dict[str, Finding]:
    settings = load_settings(None, {"camera": {"source": "picamera2", **camera}})
    return {finding.check: finding for finding in check_board(settings, health, root)}


def test_board_of_another_machine_is_not_checked(tmp_path: Path) -> None:
    assert check(tmp_path) == {}
    assert check(board(tmp_path, "ODROID-N2Plus")) == {}


def test_board_in_order_has_no_fault(tmp_path: Path) -> None:
    found = check(board(tmp_path, PI5, usb_max_current_enable=1, max_current=5000))
    assert [*found] == ["contiguous memory", "camera overlay", "usb power", "power"]
    assert {finding.verdict for finding in found.values()} == {Verdict.OK}
    assert found["contiguous memory"].found.startswith("512 MB reserved for camera and screen")
    assert "1,600 mA" in found["usb power"].found


def test_board_checks_of_the_pi_camera_are_left_out_for_another(tmp_path: Path) -> None:
    assert [*check(board(tmp_path), source="opencv")] == ["power"]


@pytest.mark.parametrize(
    ("model", "memory_mb", "cma_mb", "config", "line"),
    [
        (
            *(PI4, 4000, 8, "dtoverlay=vc4-kms-v3d,noaudio,cma-512\n"),
            "dtoverlay=vc4-kms-v3d,noaudio,cma-64 in place of dtoverlay=vc4-kms-v3d,noaudio",
        ),
        (ZERO, 416, 16, "dtoverlay=imx219\n", "write cma=64M at the end of the only line of"),
        (ZERO, 416, 16, None, "write cma=64M"),
    ],
)
def test_contiguous_memory_too_small_names_the_line_to_write(
    tmp_path: Path, model: str, memory_mb: int, cma_mb: int, config: str | None, line: str
) -> None:
    root = board(tmp_path, model, config, cma_mb=cma_mb, memory_mb=memory_mb)
    finding = check(root)["contiguous memory"]
    assert finding.verdict is Verdict.WARNING
    assert f"{cma_mb} MB reserved" in finding.found
    assert line in finding.cure and "camera.buffers = 2" in finding.cure


def test_contiguous_memory_is_judged_by_the_pictures_asked_for(tmp_path: Path) -> None:
    root = board(tmp_path, cma_mb=64, config="dtoverlay=vc4-kms-v3d\n")
    assert check(root)["contiguous memory"].verdict is Verdict.OK
    large = check(root, width=4096, height=3072)["contiguous memory"]
    assert large.found == (
        "64 MB reserved for camera and screen, 32 MB of it free; "
        "the configured pictures want about 216 MB"
    )
    assert "dtoverlay=vc4-kms-v3d,cma-256 in place of dtoverlay=vc4-kms-v3d" in large.cure
    (root / "proc/meminfo").write_text("MemTotal: 425984 kB\nCmaTotal: 65536 kB\n")
    small = check(root, width=4096, height=3072)["contiguous memory"]
    assert small.cure == "Set camera.buffers = 2, or camera.width and camera.height smaller."


OFF = "camera_auto_detect=0\n"


@pytest.mark.parametrize(
    ("config", "verdict", "said"),
    [
        ("", Verdict.WARNING, "camera_auto_detect=1 there"),
        (OFF, Verdict.WARNING, "dtoverlay=imx519"),
        ("#dtoverlay=imx708\n" + OFF, Verdict.WARNING, "the line of the sensor"),
        ("[pi5]\ndtoverlay=imx519\n[all]\n" + OFF, Verdict.WARNING, "the line of the sensor"),
        ("camera_auto_detect=1\ndtoverlay=imx519\n", Verdict.WARNING, "camera_auto_detect=0 in"),
        ("dtoverlay=arducam-64mp\n" + OFF, Verdict.PROBLEM, "Install what the camera's maker"),
        (OFF + "[pi4]\ndtoverlay=imx519,cam0\n[gpio4=1]\n" + OFF, Verdict.OK, "names imx519"),
        ("camera_auto_detect=1\n", Verdict.OK, "dtoverlay=imx519"),
    ],
)
def test_camera_overlay_of_config_txt_is_read(
    tmp_path: Path, config: str, verdict: Verdict, said: str
) -> None:
    root = board(tmp_path, config=config)
    (root / "boot/firmware/overlays").mkdir()
    (root / "boot/firmware/overlays/imx519.dtbo").touch()
    finding = check(root)["camera overlay"]
    assert finding.verdict is verdict
    assert said in f"{finding.found}; {finding.cure}"


def test_camera_overlay_is_read_where_older_systems_have_the_file(tmp_path: Path) -> None:
    root = board(tmp_path, config=None)
    assert check(root)["camera overlay"].found == "there is no config.txt"
    (root / "boot").mkdir()
    (root / "boot/config.txt").write_text("dtoverlay=imx477\n")
    assert check(root)["camera overlay"].found == f"{root}/boot/config.txt names imx477"


def test_camera_overlay_of_a_huge_config_txt_is_not_read(tmp_path: Path) -> None:
    finding = check(board(tmp_path, config="#\n" * 40_000))["camera overlay"]
    assert finding.verdict is Verdict.PROBLEM
    assert "more than 64 KiB and was not read" in finding.found


def test_camera_overlays_of_the_doctor_are_those_of_the_page() -> None:
    rows = re.findall(
        r"^\| (`\S+`(?:, `\S+`)*) \| [^|]*\| (`dtoverlay=.*) \|$", CAMERAS.read_text(), re.M
    )
    told = {name for names, _ in rows for name in re.findall(r"`(\S+)`", names)}
    assert told == SENSOR_LINES.keys()
    lines = {line for _, cell in rows for line in re.findall(r"`(dtoverlay=\S+)`", cell)}
    assert lines <= set(SENSOR_LINES.values())


@pytest.mark.parametrize(
    ("config", "power", "found", "cure"),
    [
        ("", {"max_current": 3000}, "only 600 mA together; the supply offers 3000 mA", "27 W"),
        (
            "",
            {},
            "only 600 mA together; the supply does not say how much",
            "write usb_max_current_enable=1 in",
        ),
        ("[all]\nusb_max_current_enable=1\n", {}, "has usb_max_current_enable=1", "Restart"),
        ("", {"usb_over_current_detected": 1}, "too much current at the start", "hub"),
    ],
)
def test_usb_power_of_a_weak_supply_names_the_line_to_write(
    tmp_path: Path, config: str, power: dict[str, int], found: str, cure: str
) -> None:
    finding = check(board(tmp_path, PI5, config, usb_max_current_enable=0, **power))["usb power"]
    assert finding.verdict is Verdict.WARNING
    assert found in finding.found and cure in finding.cure


@pytest.mark.parametrize(
    ("bits", "verdict", "said"),
    [
        ("0x50005", Verdict.WARNING, "the supply voltage is too low"),
        ("0x50000", Verdict.WARNING, "was too low since the start"),
        ("0x4", Verdict.WARNING, "slowed down"),
        ("0x0", Verdict.OK, "no low voltage"),
        ("error", Verdict.OK, "tells nothing"),
    ],
)
def test_power_is_reported_by_the_bits_of_the_firmware(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: str, verdict: Verdict, said: str
) -> None:
    firmware(tmp_path, f"[ $1 = get_throttled ] && echo throttled={bits}")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    finding = check(board(tmp_path / "root"))["power"]
    assert finding.verdict is verdict
    assert said in finding.found


def test_power_is_left_to_the_alarms_of_a_running_agent(tmp_path: Path) -> None:
    assert "power" not in check(board(tmp_path), health={})


def test_doctor_on_a_pi_tells_of_its_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = board(tmp_path / "root", config=OFF)
    monkeypatch.setattr(
        doctor, "check_board", lambda options, health: check_board(options, health, root)
    )
    settings = load_settings(None, {"mqtt": {"enabled": False}})
    found = {one.check: one for one in doctor.diagnose(settings, tmp_path / "data")}
    assert found["camera overlay"].verdict is Verdict.WARNING
