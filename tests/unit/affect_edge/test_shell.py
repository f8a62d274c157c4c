"""The manual page and the completion of words, made from the commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.documents.write_manual import FOLDER, MANUAL, SCRIPTS
from tools.rooms import ROOT

LOADED = "import sys; print(sorted({'numpy', 'scipy', 'sqlite3'} & set(sys.modules)))"


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A search path on which the command is."""
    script = tmp_path / "affect-edge"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edge_agent "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def ask(path: str, *command: str) -> list[str]:
    """Return the lines that a shell prints."""
    done = subprocess.run(
        command,
        env={"PATH": path, "PYTHONPATH": str(ROOT), "HOME": "/nonexistent", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=60,
    )
    return done.stdout.splitlines()


def in_bash(path: str, *words: str) -> list[str]:
    """Return what bash offers for the last of the words, which is being typed."""
    typed = " ".join(f"'{word}'" for word in words)
    lines = [
        f"source {FOLDER / SCRIPTS['bash']}",
        f"COMP_WORDS=({typed}) COMP_CWORD={len(words) - 1}",
        "complete -p affect-edge >/dev/null",
        "_affect_edge_completion affect-edge 2>/dev/null",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    return ask(path, "bash", "--norc", "-c", "; ".join(lines))


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["affect-edge", "mainten"], ["maintenance"]),
        (["affect-edge", "config", ""], ["check", "set"]),
        (["affect-edge", "analyse", "--correc"], ["--correction"]),
        (["affect-edge", "analyse", "--design", ""], ["auto", "paired", "independent"]),
        (["affect-edge", "protocol", ""], ["check"]),
    ],
)
def test_bash_completes_commands_options_and_choices(
    path: str, words: list[str], offered: list[str]
) -> None:
    assert in_bash(path, *words) == offered


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed (apt install fish)")
def test_fish_completes_with_the_help_beside(path: str) -> None:
    script = FOLDER / SCRIPTS["fish"]
    asked = f"source {script}; complete --do-complete 'affect-edge mainten'"
    (line,) = ask(path, "fish", "--no-config", "-c", asked)
    assert line.startswith("maintenance\tDo the daily work")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed (apt install zsh)")
def test_zsh_can_read_its_script(path: str) -> None:
    ask(path, "zsh", "-n", str(FOLDER / SCRIPTS["zsh"]))


def test_completion_of_an_analysis_loads_no_library_that_computes() -> None:
    code = f"""
from click.shell_completion import ShellComplete
from affect_edge import cli
complete = ShellComplete(cli, {{}}, "affect-edge", "_AFFECT_EDGE_COMPLETE")
assert complete.get_completions(["analyse"], "--s")
{LOADED}"""
    assert ask(os.environ["PATH"], sys.executable, "-c", code) == ["[]"]


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="apt install mandoc")
def test_mandoc_finds_nothing_in_the_manual() -> None:
    done = subprocess.run(
        ["mandoc", "-Tlint", str(MANUAL)], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout) == (0, "")
