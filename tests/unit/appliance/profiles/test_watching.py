"""Watching over an appliance: real messages of a live feed, and what systemd says."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.appliance.profiles.allowed import NOT_BY_A_PROFILE
from edge_agent.appliance.profiles.applying import Watch
from edge_agent.appliance.profiles.watching import service_watch
from edge_agent.runtime.health import alarms
from edge_agent.runtime.live_feed import SOCKET_NAME, LiveServer
from tests.unit.appliance.profiles.conftest import Fleet

SYSTEMCTL = """#!/bin/sh
echo "$*" >> CALLS
[ "$1" != show ] || cat PIDS
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a systemctl stands that says which processes run."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tmp_path / "pids").write_text("41\n\n42\n")
    text = SYSTEMCTL.replace("CALLS", str(tmp_path / "calls"))
    (tools / "systemctl").write_text(text.replace("PIDS", str(tmp_path / "pids")))
    (tools / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return tmp_path


class Agent:
    """A live feed that tells the alarms that stand, ten times a second."""

    def __init__(self, data: Path) -> None:
        self.alarms: list[str] = []
        self._server = LiveServer(data / SOCKET_NAME)
        self._server.start()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._tell)
        self._thread.start()

    def _tell(self) -> None:
        while not self._end.wait(0.1):
            alarms = [{"name": name, "text": name} for name in self.alarms]
            self._server.publish({"type": "health", "alarms": alarms})

    def stop(self) -> None:
        self._end.set()
        self._thread.join()
        self._server.stop()
        self._server.join(5)


@pytest.fixture
def agent(fleet: Fleet) -> Iterator[Agent]:
    one = Agent(fleet.place.appliance.data)
    yield one
    one.stop()


@pytest.fixture
def watch(fleet: Fleet, folder: Path) -> Watch:
    assert folder.exists()
    return service_watch(fleet.place, seconds=0.5, look_seconds=0.05, answer_seconds=0.0)


def test_alarms_of_before_are_no_reason(watch: Watch, agent: Agent) -> None:
    agent.alarms = ["hot"]
    time.sleep(0.3)  # until it is told
    before = watch.alarms()
    assert before == frozenset({"hot"})
    assert watch.worse(before) is None


def test_an_alarm_that_stays_is_a_reason(watch: Watch, agent: Agent) -> None:
    agent.alarms = ["hot", "camera"]
    assert watch.worse(frozenset({"hot"})) == "There are alarms that were not there before: camera."


def test_an_alarm_that_no_profile_can_bring_about_is_none(watch: Watch, agent: Agent) -> None:
    agent.alarms = ["clock_not_synchronised", "sensor_battery"]
    assert watch.worse(frozenset()) is None


def test_the_alarms_that_no_profile_can_bring_about_exist() -> None:
    source = Path(alarms.__file__).read_text(encoding="utf-8")
    assert all(f'texts["{name}"]' in source for name in NOT_BY_A_PROFILE)


def test_an_agent_that_has_just_started_is_waited_for(fleet: Fleet, folder: Path) -> None:
    assert folder.exists()
    later: list[Agent] = []
    timer = threading.Timer(1.0, lambda: later.append(Agent(fleet.place.appliance.data)))
    timer.start()
    try:
        assert service_watch(fleet.place).alarms() == frozenset()
    finally:
        timer.join()
        for one in later:
            one.stop()


def test_without_an_agent_nothing_is_known(watch: Watch) -> None:
    assert watch.alarms() is None
    assert watch.worse(frozenset()) == "The agent does not answer any more."


@pytest.mark.parametrize("pids", ["0\n\n42\n", "77\n\n42\n", ""])
def test_a_service_that_ends_is_a_reason_at_once(
    watch: Watch, agent: Agent, folder: Path, pids: str
) -> None:
    assert agent.alarms == []

    def change() -> None:
        (folder / "pids").write_text(pids)

    timer = threading.Timer(0.1, change)
    timer.start()
    assert watch.worse(frozenset()) == "A service ended within minutes of its start."
    timer.join()


def test_only_the_services_that_read_a_key_start_again(watch: Watch, folder: Path) -> None:
    watch.restart({"camera.fps": 1.0})
    watch.restart({"mqtt.keepalive": 30})
    watch.restart({})
    both = "affect-edge-agent.service affect-edge-dashboard.service"
    calls = (folder / "calls").read_text().splitlines()
    assert calls == ["restart affect-edge-agent.service", f"restart {both}"]
