"""The real Home Assistant with the real agent over a real broker: ``make test-home-assistant``.

Its states are compared with the database; then the agent is killed, and turned off.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.clock import iso_utc
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.study import Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.store.study.study import Study
from tests.support.broker import Mosquitto, wait_until
from tests.support.home.home_assistant import HomeAssistant, values
from tests.support.timeline import database, query

WATCHED_S = float(os.environ.get("HOME_ASSISTANT_SECONDS", "30"))
SLACK_MS = 3000
"""A label comes from smoothed frames; a row is the mean of a second."""
CONFIG = """
[device]
name = "lab"
[camera]
source = "demo"
[summary]
window = 2.0
[record]
batch_rows = 1
[vitals.simulated]
enabled = true
heart_rate_seconds = 1.0
pressure_seconds = 10.0
[mqtt]
port = {port}
username = "home"
password = "a"
commands = true
home_assistant = {on}
[dashboard]
purposes = ["research"]
"""


@contextmanager
def agent(folder: Path, port: int, *, on: bool) -> Iterator[subprocess.Popen[bytes]]:
    """The agent as a process."""
    config = folder / "affect-edge.toml"
    config.write_text(CONFIG.format(port=port, on=str(on).lower()), encoding="utf-8")
    program = "from edge_agent.cli import main; main()"
    arguments = ["run", "--config", str(config), "--data", str(folder / "data")]
    process = subprocess.Popen([sys.executable, "-c", program, *arguments])
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto", users={"home": "a"}) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[HomeAssistant]:
    with HomeAssistant(tmp_path / "home", mosquitto.port, "home", "a") as running:
        yield running


def state_of(home: HomeAssistant, entity: str) -> str | None:
    return dict(values(home.states("lab"))).get(entity)


def watch(home: HomeAssistant) -> list[tuple[float, dict[str, dict[str, Any]]]]:
    """Return the states, twice a second, with the time of each look."""
    looks = []
    end = time.monotonic() + WATCHED_S
    while time.monotonic() < end:
        looks.append((time.time() * 1000, home.states("lab")))
        time.sleep(0.5)
    return looks


def wrong_vitals(path: Path, looks: list[tuple[float, dict[str, dict[str, Any]]]]) -> list[str]:
    """Return the readings that Home Assistant showed and that are not in the database."""
    rows = query(path, "SELECT kind, at, value FROM vital")
    kept = {(str(kind), iso_utc(int(at))): value for kind, at, value in rows}
    slugs = {f"sensor.{kind.spec.label.lower().replace(' ', '_')}": kind for kind in VitalKind}
    wrong = []
    seen = set()
    for _, states in looks:
        for entity, kind in slugs.items():
            shown = states[entity]
            if shown["state"] == "unknown":
                continue
            key = (str(kind), shown["attributes"]["measured_at"])
            seen.add(kind)
            if key not in kept or float(shown["state"]) != pytest.approx(kept[key]):
                wrong.append(f"{entity}: {shown}, not {kept.get(key)}")
    assert {VitalKind.HEART_RATE, VitalKind.SYSTOLIC, VitalKind.DIASTOLIC} <= seen
    return wrong


def wrong_expressions(
    path: Path, looks: list[tuple[float, dict[str, dict[str, Any]]]]
) -> list[str]:
    """Return the labels that Home Assistant showed while the rows around show another one."""
    rows = query(path, f"SELECT at, {', '.join(e.value for e in EMOTIONS)} FROM expression")
    top = [(at, EMOTIONS[max(range(8), key=row.__getitem__)].value) for at, *row in rows]
    wrong = []
    checked = 0
    for at_ms, states in looks:
        label = states["sensor.expression"]["state"]
        if label in {e.value for e in EMOTIONS}:
            around = {name for at, name in top if abs(at - at_ms) <= SLACK_MS}
            checked += 1
            if label not in around:
                wrong.append(f"{label}, not {around}")
    assert checked > WATCHED_S / 2
    return wrong


@pytest.mark.timeout(900)  # the first run downloads Home Assistant
def test_home_assistant_shows_what_the_timeline_holds_and_nothing_of_an_agent_that_is_gone(
    tmp_path: Path, mosquitto: Mosquitto, home: HomeAssistant
) -> None:
    path = database(tmp_path / "data")
    study = Study(path)
    study.create_participant("P-1")
    study.give_consent("P-1", "1")
    with agent(tmp_path, mosquitto.port, on=True) as running:
        wait_until(lambda: home.ask("devices") == ["lab"], "the device", 60)
        wait_until(
            lambda: state_of(home, "sensor.heart_rate") not in {None, "unavailable", "unknown"},
            "a heart rate",
            60,
        )
        wait_until(lambda: state_of(home, "sensor.systolic_pressure") != "unknown", "a cuff", 60)
        looks = watch(home)
        time.sleep(2)  # the last rows are written
        assert wrong_vitals(path, looks) == []
        assert wrong_expressions(path, looks) == []
        last = dict(values(looks[-1][1]))
        shares = [float(value) for name, value in last.items() if ".share_" in name]
        assert sum(shares) == pytest.approx(100, abs=0.1)
        assert last["sensor.skin_temperature"] == "unknown"  # nobody measures it
        assert last["binary_sensor.camera"] == last["binary_sensor.recording"] == "on"
        assert last["binary_sensor.session"] == "off"
        assert last["button.mark_baseline"] == "unavailable"
        press_buttons(home, study)
        running.kill()
        killed_s = time.monotonic()
        wait_until(lambda: all_gone(home), "unavailable", 45)
        gone_s = time.monotonic() - killed_s
    with agent(tmp_path, mosquitto.port, on=True):
        wait_until(lambda: not all_gone(home), "the agent again", 30)
    wait_until(lambda: all_gone(home), "unavailable after an orderly end", 10)
    with agent(tmp_path, mosquitto.port, on=False):
        wait_until(lambda: home.ask("devices") == [], "removed", 30)
        assert home.states("lab") == {}
    complaints = [line for line in home.log().splitlines() if "components.mqtt" in line]
    assert complaints == []
    print(json.dumps({"looks": len(looks), "unavailable_after_kill_s": round(gone_s, 2)}))


def all_gone(home: HomeAssistant) -> bool:
    """Whether every entity is unavailable."""
    states = dict(values(home.states("lab")))
    return bool(states) and set(states.values()) == {"unavailable"}


def press_buttons(home: HomeAssistant, study: Study) -> None:
    """Set a marker and end the session from Home Assistant."""
    study.start_session("P-1", Purpose.RESEARCH, "films")
    wait_until(lambda: state_of(home, "binary_sensor.session") == "on", "the session", 20)
    home.ask("call", "button", "press", "button.lab_mark_baseline")
    number = study.sessions()[0].id
    wait_until(lambda: bool(study.markers(number)), "a marker", 20)
    assert [marker.kind for marker in study.markers(number)] == ["baseline"]
    home.ask("call", "button", "press", "button.lab_end_session")
    wait_until(lambda: study.open_session() is None, "the end of the session", 20)
    wait_until(lambda: state_of(home, "binary_sensor.session") == "off", "no session", 20)
