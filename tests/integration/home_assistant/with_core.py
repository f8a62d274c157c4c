"""The real Home Assistant with the real agent over a real broker: ``make test-home-assistant``.

Every change of its sensors over ten minutes is compared with the database, while the agent is
killed twice; then it is frozen. In another test the device appears, is used, and is removed. In a
third one Home Assistant starts after the agent, and the device gets another name. In a fourth one
the automations of docs/sensors.md send it readings.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from paho.mqtt import publish

from edge_agent.core.study import NewSession, Purpose
from edge_agent.timeline.study.sessions import Study
from tests.docs.pages import blocks_of
from tests.integration.home_assistant.conftest import ASKS
from tests.support.broker import Mosquitto, subscribed, wait_until
from tests.support.home.beside_database import Away, Beside
from tests.support.home.home_assistant import Change, HomeAssistant, values
from tests.support.home.rules import HOME_ASSISTANT, documented_rules
from tests.support.home.running_agent import DEVICE, KEEPALIVE_S, PASSWORD, USER, agent
from tests.support.timeline import query, timeline

SECONDS = float(os.environ.get("HOME_ASSISTANT_SECONDS", "600"))
"""How long the states are compared with the database."""
KILLS = 2
AT_ONCE_S = 2.0
"""The broker sees the connection of a killed process end, and says so."""
SPARE_S = 30.0
"""mosquitto looks for silent connections every six seconds, and this machine may be busy."""
OTHER_NAME = "den"


def state_of(home: HomeAssistant, entity: str, device: str = DEVICE) -> str | None:
    return dict(values(home.states(device))).get(entity)


@pytest.mark.timeout(900)  # the first run downloads Home Assistant
def test_device_comes_with_all_its_entities_and_goes_when_it_is_turned_off(
    tmp_path: Path, mosquitto: Mosquitto, home: HomeAssistant
) -> None:
    study = consenting(timeline(tmp_path / "data"))
    with agent(tmp_path, mosquitto.port) as running:
        wait_until(lambda: home.ask("devices") == ["lab"], "the device")
        wait_until(
            lambda: state_of(home, "sensor.heart_rate") not in {None, "unavailable", "unknown"},
            "a heart rate",
            60,
        )
        wait_until(lambda: state_of(home, "sensor.systolic_pressure") != "unknown", "a cuff")
        wait_until(lambda: state_of(home, "sensor.share_neutral") != "unknown", "shares", 20)
        last = dict(values(home.states("lab")))
        shares = [float(value) for name, value in last.items() if ".share_" in name]
        assert sum(shares) == pytest.approx(100, abs=0.1)
        assert last["sensor.skin_temperature"] == "unknown"  # nobody measures it
        assert last["binary_sensor.camera"] == last["binary_sensor.recording"] == "on"
        assert last["binary_sensor.session"] == "off"
        assert last["button.mark_baseline"] == "unavailable"
        press_buttons(home, study)
        turn_the_camera(home)
        running.stop(signal.SIGKILL)
        wait_until(lambda: all_gone(home), "unavailable", AT_ONCE_S)
    with agent(tmp_path, mosquitto.port):
        wait_until(lambda: not all_gone(home), "the agent again")
    wait_until(lambda: all_gone(home), "unavailable after an orderly end", 10)
    with agent(tmp_path, mosquitto.port, on=False):
        wait_until(lambda: home.ask("devices") == [], "removed")
        assert home.states("lab") == {}
    complaints = [line for line in home.log().splitlines() if "components.mqtt" in line]
    assert complaints == []


@pytest.mark.timeout(900)
def test_a_home_assistant_that_starts_later_is_told(tmp_path: Path) -> None:
    timeline(tmp_path / "data")
    users = {USER: PASSWORD, HOME_ASSISTANT: ASKS}
    rules = documented_rules(DEVICE) + documented_rules(OTHER_NAME)
    with Mosquitto(tmp_path / "mosquitto", users=users, acl=rules) as broker, ExitStack() as later:
        with agent(tmp_path, broker.port), subscribed(broker.port, USER, PASSWORD) as reader:
            reader.wait_for("state")
            forget_the_device(broker)
            home = later.enter_context(
                HomeAssistant(tmp_path / "home", broker.port, HOME_ASSISTANT, ASKS)
            )
            # it can know of the device only by what the agent says at its birth
            wait_until(lambda: home.ask("devices") == [DEVICE], "the device")
            wait_until(lambda: live(home), "readings")
        with agent(tmp_path, broker.port, device=OTHER_NAME):
            wait_until(lambda: home.ask("devices") == [OTHER_NAME], "the other name alone")
            wait_until(lambda: live(home, OTHER_NAME), "readings under the other name")
            assert home.states(DEVICE) == {}
        complaints = [line for line in home.log().splitlines() if "components.mqtt" in line]
        assert complaints == []


@pytest.mark.timeout(900)
def test_automations_of_the_page_bring_a_cuff_and_a_watch_into_timeline(tmp_path: Path) -> None:
    path = timeline(tmp_path / "data")
    users = {USER: PASSWORD, HOME_ASSISTANT: ASKS}
    rules = documented_rules(DEVICE) + (
        f"topic write affect-edge/{DEVICE}/ingest/vitals\n"
        f"user {USER}\ntopic read affect-edge/{DEVICE}/ingest/vitals\n"
    )
    texts = [one.text for one in blocks_of("docs/sensors.md") if one.kind == "yaml"]
    automations = [
        yaml.safe_load(text.replace("affect-edge/affect-edge/", f"affect-edge/{DEVICE}/"))
        for text in texts
    ]
    with (
        Mosquitto(tmp_path / "mosquitto", users=users, acl=rules) as broker,
        agent(tmp_path, broker.port, takes_readings=True),
        HomeAssistant(tmp_path / "home", broker.port, HOME_ASSISTANT, ASKS, automations) as home,
    ):
        wait_until(lambda: live(home), "the agent at the broker")
        at = datetime.now(UTC).replace(microsecond=0)
        for rate in ("unknown", "70", "71", "unavailable", "72", "73"):
            home.ask("set", "sensor.watch_heart_rate", rate)
        home.ask("set", "sensor.cuff_measurement_timestamp", at.isoformat())
        for entity, value in (("systolic", "121"), ("diastolic", "79"), ("pulse", "61")):
            home.ask("set", f"sensor.cuff_{entity}", value)
        wait_until(lambda: len(measured(path)) == 5, "the readings")
        complaints = [line for line in home.log().splitlines() if "automation" in line]
    assert complaints == []
    # what follows "unknown" may be what was restored; 61 and 72 are told by their changes
    assert [row[:3] for row in measured(path)] == [
        ("diastolic", 79, "mqtt:cuff"),
        ("heart_rate", 61, "mqtt:cuff"),
        ("heart_rate", 71, "mqtt:watch"),
        ("heart_rate", 73, "mqtt:watch"),
        ("systolic", 121, "mqtt:cuff"),
    ]
    assert {row[3] for row in measured(path) if row[2] == "mqtt:cuff"} == {at.timestamp() * 1000}


def measured(path: Path) -> list[tuple[Any, ...]]:
    """Return kind, value, source and time of what came over the broker."""
    asks = "SELECT kind, value, source, at FROM vital WHERE source LIKE 'mqtt:%' ORDER BY 1, 3, 2"
    return [tuple(row) for row in query(path, asks)]


def forget_the_device(broker: Mosquitto) -> None:
    """Take away what the broker keeps of the announcement, as one that lost its memory would."""
    publish.single(
        f"homeassistant/device/affect-edge-{DEVICE}/config",
        None,
        qos=1,
        retain=True,
        port=broker.port,
        auth={"username": HOME_ASSISTANT, "password": ASKS},
    )


def consenting(path: Path) -> Study:
    """A study with a participant who has consented."""
    study = Study(path)
    study.create_participant("P-1")
    study.give_consent("P-1", "1")
    return study


def live(home: HomeAssistant, device: str = DEVICE) -> bool:
    """Whether a strap and a cuff are known."""
    kinds = ("heart_rate", "systolic_pressure")
    shown = [state_of(home, f"sensor.{kind}", device) for kind in kinds]
    return not {None, "unknown", "unavailable"} & set(shown)


def gone_within(home: HomeAssistant, limit_s: float) -> float:
    """Wait until everything is unavailable; return the seconds."""
    since_s = time.monotonic()
    wait_until(lambda: all_gone(home), "unavailable", limit_s)
    return time.monotonic() - since_s


def wait_with_a_session(study: Study, seconds: float) -> None:
    """Let time pass, the half of it with an open session."""
    time.sleep(seconds / 4)
    study.start_session(NewSession("P-1", Purpose.RESEARCH, "films"))
    time.sleep(seconds / 2)
    study.end_session()
    time.sleep(seconds / 4)


@pytest.mark.timeout(SECONDS + 900)
def test_states_of_ten_minutes_match_the_database_after_two_kills(
    tmp_path: Path, mosquitto: Mosquitto, home: HomeAssistant
) -> None:
    path = timeline(tmp_path / "data")
    study = consenting(path)
    killed_ms: list[float] = []
    gone_s: list[float] = []
    with subscribed(mosquitto.port, USER, PASSWORD) as reader:
        for turn in range(KILLS + 1):
            with agent(tmp_path, mosquitto.port, interval_s=0) as running:
                wait_until(lambda: live(home), "readings")
                wait_with_a_session(study, SECONDS / (KILLS + 1))
                if turn < KILLS:
                    # Before its end, which the broker may see earlier than this process does.
                    killed_ms.append(time.time() * 1000)
                    running.stop(signal.SIGKILL)
                    gone_s.append(gone_within(home, AT_ONCE_S))
                    time.sleep(5)
                    continue
                changes = home.changes("lab")
                running.send(signal.SIGSTOP)
                frozen_s = gone_within(home, 1.5 * KEEPALIVE_S + SPARE_S)
                running.stop(signal.SIGKILL)
        summaries = [message.payload for message in reader.on("summary")]
    beside = Beside(path, summaries, [away(path, at_ms) for at_ms in killed_ms])
    wrong = beside.wrong(changes)
    figures = {
        "seconds": SECONDS,
        "changes": len(changes),
        "evaluated": beside.evaluated,
        "wrong": len(wrong),
        "unavailable_after_kill_s": [round(seconds, 2) for seconds in gone_s],
        "unavailable_after_freeze_s": round(frozen_s, 1),
    }
    print("\n".join([*wrong, json.dumps(figures)]))
    assert wrong == []
    assert beside.evaluated > SECONDS
    assert seen_entities(changes) >= {
        "sensor.expression",
        "sensor.heart_rate",
        "sensor.valence_derived",
    }


def away(path: Path, killed_ms: float) -> Away:
    """Return the time from the end of an agent to the first row of the next one."""
    (found,) = query(path, "SELECT min(at) FROM expression WHERE at > ?", killed_ms + 1000)
    return Away(killed_ms, found[0])


def seen_entities(changes: list[Change]) -> set[str]:
    """Return the entities that had a value at some time."""
    return {change.entity for change in changes if change.state not in {"unknown", "unavailable"}}


def all_gone(home: HomeAssistant) -> bool:
    """Whether every entity is unavailable."""
    states = dict(values(home.states("lab")))
    return bool(states) and set(states.values()) == {"unavailable"}


def turn_the_camera(home: HomeAssistant) -> None:
    """Turn the camera off and on from Home Assistant; nothing of before is shown meanwhile."""
    assert state_of(home, "switch.capture") == "on"
    home.ask("call", "switch", "turn_off", "switch.lab_capture")
    wait_until(lambda: state_of(home, "switch.capture") == "off", "the switch", 20)
    wait_until(lambda: state_of(home, "binary_sensor.camera") == "off", "a closed camera", 20)
    wait_until(lambda: state_of(home, "sensor.expression") == "unknown", "no expression", 20)
    home.ask("call", "switch", "turn_on", "switch.lab_capture")
    wait_until(lambda: state_of(home, "switch.capture") == "on", "the switch again", 20)
    wait_until(lambda: state_of(home, "binary_sensor.camera") == "on", "an open camera", 20)


def press_buttons(home: HomeAssistant, study: Study) -> None:
    """Set a marker and end the session from Home Assistant."""
    study.start_session(NewSession("P-1", Purpose.RESEARCH, "films"))
    wait_until(lambda: state_of(home, "binary_sensor.session") == "on", "the session", 20)
    home.ask("call", "button", "press", "button.lab_mark_baseline")
    number = study.sessions()[0].id
    wait_until(lambda: bool(study.markers(number)), "a marker", 20)
    assert [marker.kind for marker in study.markers(number)] == ["baseline"]
    home.ask("call", "button", "press", "button.lab_end_session")
    wait_until(lambda: study.open_session() is None, "the end of the session", 20)
    wait_until(lambda: state_of(home, "binary_sensor.session") == "off", "no session", 20)
