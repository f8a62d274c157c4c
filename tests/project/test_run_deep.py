"""`make deep`: deep targets in their small form, one of the dear ones in turn."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import run_deep
from tools.cannot_run import VARIABLE

ROOT = Path(__file__).resolve().parents[2]
MADE = f"""\
green red flaky absent small:
green: ; @echo "green work"
red: ; @echo "a row is lost"; exit 1
flaky: ; @[ -e once ] || {{ touch once; exit 1; }}
absent: ; @echo "it has no camera" >"$${VARIABLE}"; exit 1
small: ; @[ "$(SMALL)" = yes ]
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of one commit, whose targets end in every way."""
    (tmp_path / "Makefile").write_text(MADE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "Make it"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *who, *words], check=True)
    return tmp_path


def deep(each: str, dear: str) -> int:
    return run_deep.main(["--each", *each.split(), "--in-turn", dear])


def test_dear_targets_take_turns_by_the_number_of_commits() -> None:
    targets = ["fuzz", "faults", "fleet"]
    assert [run_deep.in_turn(targets, n) for n in range(6, 10)] == [*targets, "fuzz"]


def test_every_target_runs_in_its_small_form_though_one_before_it_is_red(
    made: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert deep("red small", "green") == 1
    said = capfd.readouterr().out
    assert "a row is lost" in said and "make red: RED" in said
    assert "make small: green" in said and "make green: green" in said
    assert "green work" not in said


def test_a_dear_target_that_is_red_once_runs_again(
    made: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert deep("green", "flaky") == 0
    said = capfd.readouterr().out
    assert "make flaky: RED" in said and "make flaky: green" in said
    assert deep("green", "red") == 1
    assert capfd.readouterr().out.count("make red: RED") == 2


def test_a_cheap_target_that_is_red_once_is_red(made: Path) -> None:
    assert deep("flaky", "green") == 1


def test_a_target_that_the_machine_cannot_run_is_named_and_not_red(
    made: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert deep("absent", "green") == 0
    assert "make absent did not run on this machine: it has no camera" in capfd.readouterr().out


def test_packages_that_nobody_may_install_are_a_reason_not_to_run(tmp_path: Path) -> None:
    """A machine on which they can be installed writes none: there a missing one is red."""
    reason = tmp_path / "reason"
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n", encoding="ascii")
    (tmp_path / "sudo").write_text("#!/bin/sh\nexit 1\n", encoding="ascii")
    for program in ("id", "sudo"):
        (tmp_path / program).chmod(0o755)
    words = [str(ROOT / "tools/system-packages"), "no-such-package"]
    path = f"{tmp_path}:/usr/bin:/bin"
    done = subprocess.run(
        words, env={"PATH": path, VARIABLE: str(reason)}, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert reason.read_text(encoding="utf-8") == "only root can install no-such-package\n"


def test_each_deep_target_runs_each_time_or_in_turn_or_by_hand() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lists = {
        name: set(words.split())
        for name, words in re.findall(r"^([A-Z_]+) :?= (.*)$", makefile, re.MULTILINE)
    }
    deep_targets = lists["DEEP"]
    by_hand = lists["BY_HAND"] - {"$(DEEP_ON_DEBIAN)"}
    assert lists["EACH_TIME"] | by_hand | lists["HAVE_SMALL"] <= deep_targets
    assert not lists["EACH_TIME"] & by_hand
    command = ["make", f"PYTHON={sys.executable}", "--dry-run", "--always-make", "deep"]
    planned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    line = next(line for line in planned.splitlines() if "tools.run_deep" in line)
    each, _, turn = line.partition(" --each ")[2].partition(" --in-turn ")
    assert set(each.split()) == lists["EACH_TIME"]
    assert set(turn.split()) == deep_targets - lists["EACH_TIME"] - by_hand
