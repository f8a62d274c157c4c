"""The unit of a fleet's collector: systemd takes it, and keeps what it runs apart."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
COLLECTOR = "affect-edge-collector.service"
BAR = 1.6
"""The most that `systemd-analyze security` may say; docs/security.md has it, too."""
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed here"
)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit as it is installed for a program that is there."""
    program = tmp_path / ".venv/bin/affect-edge"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = (ROOT / "systemd" / COLLECTOR).read_text(encoding="utf-8")
    file = tmp_path / COLLECTOR
    file.write_text(text.replace("CHECKOUT", str(tmp_path)).replace("KEEPER", "daemon"))
    return file


def analysed(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, check=False, timeout=60
    )


@needs_systemd
def test_systemd_finds_nothing_wrong(unit: Path) -> None:
    done = analysed("verify", str(unit))
    complaints = [line for line in done.stderr.splitlines() if COLLECTOR in line]
    assert not complaints, complaints


@needs_systemd
def test_it_keeps_to_its_bar_which_the_page_shows(unit: Path) -> None:
    done = analysed("security", "--offline=true", "--no-pager", str(unit))
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= BAR
    page = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    assert f"`{COLLECTOR}` {BAR}" in page
