"""What systemd says of the units, without a booted machine: the bars of docs/security.md."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_agent.timeline.gate.client import SOCKET
from tests.appliance.kept_apart import EXPOSURE, FIRST_BOOT_EXPOSURE
from tools.build_release import ROOT

COLLECTOR = "affect-edge-collector.service"
COLLECTOR_BAR = 1.6
BARS = {ROOT / "systemd" / unit: bar for unit, bar in EXPOSURE.items()}
BARS[ROOT / "image/affect-edge-first-boot.service"] = FIRST_BOOT_EXPOSURE
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed here"
)


def analysed(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def exposure_of(unit: Path) -> float:
    done = analysed("security", "--offline=true", "--no-pager", str(unit))
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d)", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found[1])


@needs_systemd
@pytest.mark.parametrize("file", BARS, ids=[file.stem for file in BARS])
def test_the_units_keep_to_their_bars(file: Path) -> None:
    assert exposure_of(file) <= BARS[file]


@needs_systemd
def test_the_unit_of_a_collector_is_right_and_keeps_to_its_bar(tmp_path: Path) -> None:
    program = tmp_path / ".venv/bin/affect-edge"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = (ROOT / "systemd" / COLLECTOR).read_text(encoding="utf-8")
    unit = tmp_path / COLLECTOR
    unit.write_text(text.replace("CHECKOUT", str(tmp_path)).replace("KEEPER", "daemon"))
    said = analysed("verify", str(unit)).stderr
    assert [line for line in said.splitlines() if COLLECTOR in line] == []
    assert exposure_of(unit) <= COLLECTOR_BAR
    assert f"`{COLLECTOR}` {COLLECTOR_BAR}" in PAGE


def test_agent_and_dashboard_are_two_users_of_one_group() -> None:
    users = {}
    for name in ("agent", "dashboard", "maintenance", "database"):
        text = (ROOT / f"systemd/affect-edge-{name}.service").read_text(encoding="utf-8")
        users[name] = dict(re.findall(r"^(User|Group)=(.*)$", text, re.MULTILINE))
    for name in ("agent", "maintenance", "database"):
        assert users[name] == {"User": "affect-edge", "Group": "affect-edge"}
    assert users["dashboard"] == {"User": "affect-edge-dashboard", "Group": "affect-edge"}


SERVICES = sorted((ROOT / "systemd").glob("*.service"))


@pytest.mark.parametrize("file", SERVICES, ids=[file.stem for file in SERVICES])
def test_unit_does_not_take_the_data_folder_for_its_own(file: Path) -> None:
    """With StateDirectory, systemd gives all that lies below to the unit's user.

    The agent writes there and the dashboard, each in its own part.
    """
    text = file.read_text(encoding="utf-8")
    assert "\nStateDirectory" not in text
    if "User=affect-edge\n" in text:
        assert "\nRequiresMountsFor=/var/lib/affect-edge\n" in text
        assert "\nReadWritePaths=/var/lib/affect-edge\n" in text


def test_folder_of_a_socket_that_root_gives_away_is_of_no_service() -> None:
    """systemd follows a link in place of the socket, and gives away what it leads to."""
    (address,) = re.findall(
        r"^ListenStream=(.*)$",
        (ROOT / "systemd/affect-edge-database.socket").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert Path(address) == SOCKET
    assert SOCKET.parent.parent == Path("/run"), "whose parents are root's"
    for file in SERVICES:
        text = file.read_text(encoding="utf-8")
        folders = " ".join(re.findall(r"^RuntimeDirectory=(.*)$", text, re.MULTILINE)).split()
        assert SOCKET.parent.name not in folders, file
        writable = " ".join(re.findall(r"^(?:ReadWrite|Bind)Paths=(.*)$", text, re.MULTILINE))
        assert str(SOCKET.parent) not in writable, file


@pytest.mark.parametrize("file", SERVICES, ids=[file.stem for file in SERVICES])
def test_unit_of_python_loads_no_code_from_a_home(file: Path) -> None:
    variables = re.findall(r"^Environment=(.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    assert "PYTHONNOUSERSITE=1" in " ".join(variables).split()


def test_the_page_shows_the_bars_that_are_held() -> None:
    rows = {"agent": 1.2, "dashboard": 1.0, "gate to the database": 0.2}
    rows |= {"nightly maintenance": 0.7}
    for (name, bar), held in zip(rows.items(), EXPOSURE.values(), strict=True):
        assert bar == held
        assert f"| {name} | {bar} | {bar} |" in PAGE
