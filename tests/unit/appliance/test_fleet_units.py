"""The units of a fleet's server: systemd takes them, and keeps what they run apart."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.appliance.enrolment.place import FleetPlace
from edge_agent.appliance.enrolment.units import COLLECTOR, ENROL, collector_unit, enrol_unit

BARS = {ENROL: 2.4, COLLECTOR: 1.6}
"""The most that `systemd-analyze security` may say; docs/security.md has them, too."""
ODD = "an odd %n 'folder'; with \"$HOME\""
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed here"
)


def units(folder: Path, etc: Path) -> dict[str, Path]:
    place = FleetPlace(etc / "affect-edge-fleet", etc / "conf.d", etc / "mosquitto.pid")
    texts = {
        ENROL: enrol_unit(place),
        COLLECTOR: collector_unit(place, "daemon", "postgresql:///fleet?a=%20b", 1883),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return {name: folder / name for name in texts}


def analysed(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, check=False, timeout=60
    )


@needs_systemd
@pytest.mark.parametrize("name", BARS)
@pytest.mark.parametrize("etc", ["etc", ODD])
def test_systemd_finds_nothing_wrong(tmp_path: Path, name: str, etc: str) -> None:
    file = units(tmp_path, tmp_path / etc)[name]
    done = analysed("verify", str(file))
    complaints = [line for line in done.stderr.splitlines() if name in line]
    assert not complaints, complaints


@needs_systemd
@pytest.mark.parametrize("name", BARS)
def test_they_keep_to_their_bars_which_the_page_shows(tmp_path: Path, name: str) -> None:
    file = units(tmp_path, tmp_path)[name]
    done = analysed("security", "--offline=true", "--no-pager", str(file))
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= BARS[name]


def test_the_page_shows_the_bars_that_are_held() -> None:
    root = Path(__file__).resolve().parents[3]
    page = (root / "docs/security.md").read_text(encoding="utf-8")
    for name, bar in BARS.items():
        assert f"`{name}` {bar}" in page


def test_they_run_the_program_that_prints_them(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("affect-edge")
    for file in units(tmp_path, tmp_path).values():
        start = re.search(r"^ExecStart=(\S+)", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert start is not None
        assert start[1] == str(program if program.exists() else sys.executable)


def test_no_word_of_a_path_is_read_by_systemd_as_something_else(tmp_path: Path) -> None:
    text = units(tmp_path, Path("/srv") / ODD)[ENROL].read_text(encoding="utf-8")
    start = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    assert "%%n" in start and "$$HOME" in start and '\\"' in start
