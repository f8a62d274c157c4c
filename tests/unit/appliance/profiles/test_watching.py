"""Watching over an appliance: what its agent answers, and what systemd says."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest

from edge_agent.appliance.profiles import watching
from edge_agent.appliance.profiles.allowed import NOT_BY_A_PROFILE
from edge_agent.appliance.profiles.applying import Watch
from edge_agent.appliance.profiles.watching import (
    ANSWER_SECONDS,
    LOOK_SECONDS,
    WATCH_SECONDS,
    service_watch,
)
from edge_agent.core import clock
from edge_agent.runtime.health import alarms
from tests.support.clocks.simulated_time import Seconds
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
    """An agent that is asked for its alarms.

    Attributes:
        alarms: those that stand.
        from_s: when it begins to answer.
    """

    def __init__(self, seconds: Seconds) -> None:
        self.alarms: list[str] = []
        self.from_s = 0.0
        self._seconds = seconds

    def health(self, _socket: Path) -> dict[str, Any] | None:
        """Return its health; ``None``: it does not answer."""
        if self._seconds.now < self.from_s:
            return None
        return {"alarms": [{"name": name, "text": name} for name in self.alarms]}


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    made = Seconds()
    monkeypatch.setattr(clock, "boot_seconds", made)
    monkeypatch.setattr(clock, "sleep", made.wait)
    return made


@pytest.fixture
def agent(seconds: Seconds, monkeypatch: pytest.MonkeyPatch) -> Agent:
    made = Agent(seconds)
    monkeypatch.setattr(watching, "agent_health", made.health)
    return made


@pytest.fixture
def watch(fleet: Fleet, folder: Path, agent: Agent) -> Watch:
    assert folder.exists() and agent.alarms == []
    return service_watch(fleet.place)


def test_alarms_of_before_are_no_reason(watch: Watch, agent: Agent, seconds: Seconds) -> None:
    agent.alarms = ["hot"]
    begun_s = seconds.now
    before = watch.alarms()
    assert before == frozenset({"hot"})
    assert watch.worse(before) is None
    assert seconds.now - begun_s == WATCH_SECONDS


def test_an_alarm_that_stays_is_a_reason(watch: Watch, agent: Agent) -> None:
    agent.alarms = ["hot", "camera"]
    assert watch.worse(frozenset({"hot"})) == "There are alarms that were not there before: camera."


def test_an_alarm_that_no_profile_can_bring_about_is_none(watch: Watch, agent: Agent) -> None:
    agent.alarms = ["clock_not_synchronised", "sensor_battery"]
    assert watch.worse(frozenset()) is None


def test_the_alarms_that_no_profile_can_bring_about_exist() -> None:
    source = Path(alarms.__file__).read_text(encoding="utf-8")
    assert all(f'texts["{name}"]' in source for name in NOT_BY_A_PROFILE)


def test_an_agent_that_has_just_started_is_waited_for(
    watch: Watch, agent: Agent, seconds: Seconds
) -> None:
    agent.from_s = seconds.now + ANSWER_SECONDS - 1
    assert watch.alarms() == frozenset()


def test_without_an_agent_nothing_is_known(watch: Watch, agent: Agent) -> None:
    agent.from_s = math.inf
    assert watch.alarms() is None
    assert watch.worse(frozenset()) == "The agent does not answer any more."


@pytest.mark.parametrize("pids", ["0\n\n42\n", "77\n\n42\n", ""])
def test_a_service_that_ends_is_a_reason_at_once(
    watch: Watch, folder: Path, seconds: Seconds, monkeypatch: pytest.MonkeyPatch, pids: str
) -> None:
    def sleep(pause_s: float) -> None:
        seconds.wait(pause_s)
        (folder / "pids").write_text(pids)

    monkeypatch.setattr(clock, "sleep", sleep)
    begun_s = seconds.now
    assert watch.worse(frozenset()) == "A service ended within minutes of its start."
    assert seconds.now - begun_s == LOOK_SECONDS


def test_only_the_services_that_read_a_key_start_again(watch: Watch, folder: Path) -> None:
    watch.restart({"camera.fps": 1.0})
    watch.restart({"mqtt.keepalive": 30})
    watch.restart({})
    both = "affect-edge-agent.service affect-edge-dashboard.service"
    calls = (folder / "calls").read_text().splitlines()
    assert calls == ["restart affect-edge-agent.service", f"restart {both}"]
