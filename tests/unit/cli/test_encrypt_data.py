"""``affect-edge encrypt-data`` and ``unlock`` at the terminal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_agent.appliance.encryption import places as room
from edge_agent.cli import cli
from edge_agent.core.errors import EncryptionError
from tests.support.encryption.played_tools import PlayedMachine

PASSPHRASE = "correct horse battery"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedMachine:
    played = PlayedMachine(tmp_path, monkeypatch)
    monkeypatch.setattr(room, "Places", lambda: played.places)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("os.chown", lambda *_, **__: None)
    return played


def run(*words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(cli, list(words), input=typed)


def test_it_says_what_it_will_do_asks_and_does_it(machine: PlayedMachine) -> None:
    plan = run("encrypt-data", "--size", "0.5", "--dry-run")
    assert plan.exit_code == 0 and "Who forgets it has lost the data" in plan.output
    assert not machine.places.container.exists()
    assert run("encrypt-data", "--size", "0.5", typed="n\n").exit_code == 1
    assert not machine.places.container.exists()
    done = run("encrypt-data", "--size", "0.5", "--yes", typed=f"{PASSPHRASE}\n{PASSPHRASE}\n")
    assert done.exit_code == 0, done.output
    assert "Done: 5 files and folders compared" in done.output
    assert PASSPHRASE not in done.output


def test_a_size_is_found_by_itself(machine: PlayedMachine) -> None:
    plan = run("encrypt-data", "--dry-run")
    assert plan.exit_code == 0, plan.output
    assert f"into {machine.places.container}" in plan.output


def test_unlocking_asks_through_systemd(
    machine: PlayedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is not locked" in str(run("unlock").exception)
    (machine.places.data / "LOCKED").touch()
    asked: list[list[str]] = []
    monkeypatch.setattr(os, "execvp", lambda _file, words: asked.append(words))
    run("unlock")
    ((_, start, opening, mount, *services),) = asked
    assert start == "start" and opening.startswith("systemd-cryptsetup@")
    assert mount.endswith(".mount") and len(services) == 3


@pytest.mark.parametrize("command", ["encrypt-data", "unlock"])
def test_only_root_may(
    machine: PlayedMachine, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    done = run(command)
    assert isinstance(done.exception, EncryptionError)
    assert "put sudo before" in str(done.exception) and not machine.places.container.exists()
