"""Programs of ours never run what lies in the folder that somebody is in."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COMMAND = Path(sys.executable).with_name("affect-edge")
STARTED = re.compile(r"sys\.executable,\s*\"-m\"")


@pytest.fixture
def folder_of_a_stranger(tmp_path: Path) -> Path:
    for name in ("affect_edge", "collector", "dashboard", "edge_agent"):
        package = tmp_path / name
        package.mkdir()
        for module in ("__init__.py", "__main__.py"):
            (package / module).write_text("print('run from here')\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("command", ["dashboard", "analyse", "collect"])
def test_packages_of_our_names_in_the_current_folder_are_not_run(
    command: str, folder_of_a_stranger: Path
) -> None:
    done = subprocess.run(
        [COMMAND, command, "--help"],
        check=False,
        cwd=folder_of_a_stranger,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout or "usage" in done.stdout
    assert "run from here" not in done.stdout + done.stderr


def test_no_program_is_started_with_the_current_folder_in_its_path() -> None:
    places = [
        str(path.relative_to(ROOT))
        for package in ("affect_edge", "collector", "dashboard", "edge_agent")
        for path in sorted((ROOT / package).rglob("*.py"))
        if STARTED.search(path.read_text(encoding="utf-8"))
    ]
    assert places == [], "write sys.executable, '-P', '-m': Python leaves the current folder out"
