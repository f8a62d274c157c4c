"""The tutorial is followed from its first command to its last, and prints what it says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from affect_edge.demo import SEED
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.example_study import seed_example_study, seed_example_weeks
from edge_agent.vitals.simulated import SimulatedPerson
from tests.docs.pages import ROOT, blocks_of
from tests.support.commands import affect_edge

PAGE = "docs/tutorial.md"
NOT_FOLLOWED = (
    "`make demo` fetches packages; tests/integration/agent/test_demo.py runs the demonstration"
)
pytestmark = pytest.mark.skipif(
    shutil.which("Rscript") is None, reason="R is not installed (apt install r-base-core)"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the tutorial has it after `make demo`: the commands, and its data."""
    found = tmp_path_factory.mktemp("tutorial")
    programs = found / ".venv/bin"
    programs.mkdir(parents=True)
    for name, words in (("affect-edge", " -m edge_agent"), ("python", "")):
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    (found / "study").mkdir()
    database = found / "study" / DATABASE_NAME
    migrate(database)
    seed_example_study(database, SimulatedPerson, seed=SEED)
    seed_example_weeks(database, SimulatedPerson, seed=SEED)
    return found


def steps() -> list[tuple[str, str]]:
    """Return each command of the tutorial with the output that stands below it."""
    found: list[tuple[str, str]] = []
    for block in blocks_of(PAGE):
        if block.kind == "console":
            for piece in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                command, _, output = piece.partition("\n")
                found.append((command, output))
    return found


def run(command: str, folder: Path) -> str:
    program, *words = shlex.split(command)
    if program == ".venv/bin/affect-edge":
        done = affect_edge(*words)
        assert done.code == 0, f"{command}\n{done.err}"
        return done.out
    return run_in_shell(command, folder)


def run_in_shell(command: str, folder: Path) -> str:
    known = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False, cwd=folder, env=known
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def fits(printed: str, shown: str) -> bool:
    """Tell whether an output is as shown, where `…` stands for anything."""
    lines = [line.rstrip() for line in shown.rstrip("\n").splitlines()]
    pattern = "\n".join(re.escape(line) for line in lines)
    pattern = pattern.replace("…\n", ".*").replace("…", ".*")
    plain = "\n".join(line.rstrip() for line in printed.rstrip("\n").splitlines())
    return re.fullmatch(pattern, plain, re.DOTALL) is not None


def test_the_marks_for_what_is_left_out_stand_for_anything() -> None:
    assert fits("a\nb\nc\n", "a\n…\nc\n")
    assert fits("a\nc\n", "a\n…\n")
    assert not fits("a\nb\n", "a\n")
    assert not fits("a 2.5\n", "a 2.4\n")


def test_the_tutorial_prints_what_it_says_from_the_first_step_to_the_last(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    followed = steps()
    assert len(followed) > 12
    for command, shown in followed:
        printed = run(command, folder)
        assert fits(printed, shown), f"$ {command}\n{printed}\n--- the page says\n{shown}"
