"""The settings become a sender; the command becomes the collector's program."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from edge_agent.cli.fleet import collect
from edge_agent.config.mqtt import MqttSettings
from edge_agent.config.settings import Settings
from edge_agent.fleet.sender import fleet_sender
from tests.support.broker import free_port, wait_until
from tests.support.timeline import database, query, reading, row


def test_changes_are_logged_from_the_start_of_a_sender_though_no_broker_is_there(
    tmp_path: Path,
) -> None:
    path = database(tmp_path, [row(1)], [reading(1)])
    sender = fleet_sender(Settings(), path, MqttSettings(port=free_port()))
    assert query(path, "SELECT count(*) FROM fleet_state") == [(0,)]
    sender.start()
    try:
        wait_until(
            lambda: query(path, "SELECT count(*) FROM fleet_state") == [(1,)], "the stream begins"
        )
    finally:
        sender.stop()
        assert sender.join(60)
    assert sender.error is None
    assert sender.confirmed == 0


def test_the_command_hands_its_options_over_to_the_collector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    programs: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _file, words: programs.append(words))
    words = ["--database", "postgresql:///fleet", "--host", "broker.example", "--tls"]
    done = CliRunner().invoke(collect, [*words, "--port", "8883"])
    assert done.exit_code == 0, done.output
    (program,) = programs
    assert program[:4] == [sys.executable, "-P", "-m", "collector"]
    assert "--tls" in program
    for option, value in (("--host", "broker.example"), ("--port", "8883")):
        assert program[program.index(option) + 1] == value
