"""Recorder, outbox and MQTT client together: what is committed arrives, whatever happens to broker
and agent.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.agent.summary import SummaryWindow
from edge_agent.config.mqtt import MqttSettings
from edge_agent.core.clock import now
from edge_agent.core.study import MarkerKind, Purpose
from edge_agent.mqtt.broker import MqttState
from edge_agent.mqtt.client import Backoff, MqttClient, MqttOptions
from edge_agent.mqtt.payloads import SessionPayload, SummaryPayload
from edge_agent.store.database.schema import DATABASE_NAME, migrate
from edge_agent.store.study.study import Study
from edge_agent.store.write.outbox import Outbox, OutboxMessage
from edge_agent.store.write.recorder import Recorder
from tests.support.broker import Mosquitto, subscribed, wait_until

pytestmark = pytest.mark.broker


class Agent:
    """The part of the agent that makes and sends summaries, over one database."""

    def __init__(self, database: Path, port: int) -> None:
        backoff = Backoff(first_s=0.1, longest_s=0.3)
        options = MqttOptions(MqttSettings(port=port), "pi", backoff=backoff)
        self.client = MqttClient(options, Outbox(database))
        self.recorder = Recorder(database, on_commit=self.client.wake)
        self._window = SummaryWindow("pi", now(), simulated=False)

    def start(self) -> None:
        self.client.start()
        self.recorder.start()

    def summarise(self) -> None:
        self.recorder.submit(OutboxMessage("summary", self._window.close(now())))

    def stop(self) -> None:
        self.recorder.stop()
        assert self.recorder.join(60)
        self.client.stop()
        assert self.client.join(60)
        assert self.client.error is None
        assert self.recorder.error is None


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / DATABASE_NAME
    migrate(path)
    return path


def wait_for_state(agent: Agent, state: MqttState) -> None:
    wait_until(
        lambda: agent.client.state is state,
        f"{state}; it is {agent.client.state}: {agent.client.last_error}",
    )


def test_no_summary_is_lost_when_the_broker_is_killed_and_the_agent_restarts_meanwhile(
    tmp_path: Path, database: Path
) -> None:
    with Mosquitto(tmp_path / "mosquitto") as mosquitto, subscribed(mosquitto.port) as reader:
        agent = Agent(database, mosquitto.port)
        agent.start()
        for _ in range(3):
            agent.summarise()
        reader.wait_for("summary", lambda p: p["seq"] == 3)
        mosquitto.save()
        mosquitto.kill()
        wait_for_state(agent, MqttState.UNREACHABLE)
        for _ in range(30):
            agent.summarise()
        agent.stop()
        again = Agent(database, mosquitto.port)
        again.start()
        for _ in range(30):
            again.summarise()
        wait_for_state(again, MqttState.UNREACHABLE)
        wait_until(lambda: again.recorder.queue_depth == 0, "every summary to be committed")
        mosquitto.start()
        reader.wait_for("summary", lambda p: p["seq"] == 63)
        again.stop()
        payloads = [SummaryPayload.model_validate(m.payload) for m in reader.on("summary")]
    assert list(dict.fromkeys(p.seq for p in payloads)) == list(range(1, 64))
    assert all(p.replayed for p in payloads if p.seq > 3)
    left = Outbox(database)
    assert left.count() == 0
    left.close()


def test_a_session_run_from_another_process_is_announced_in_order(
    tmp_path: Path, database: Path
) -> None:
    with Mosquitto(tmp_path / "mosquitto") as mosquitto, subscribed(mosquitto.port) as reader:
        agent = Agent(database, mosquitto.port)
        agent.start()
        wait_for_state(agent, MqttState.CONNECTED)
        study = Study(database)
        person = study.create_participant(None)
        study.give_consent(person.code, "1")
        study.start_session(person.code, Purpose.RESEARCH, "three films")
        study.add_marker(MarkerKind.STIMULUS_START, "anger")
        study.end_session()
        reader.wait_for("session", lambda p: p["event"] == "ended")
        agent.stop()
        told = [SessionPayload.model_validate(m.payload) for m in reader.on("session")]
    assert [(p.seq, p.event) for p in told] == [(1, "started"), (2, "marker"), (3, "ended")]
    assert told[1].marker is not None
    assert told[1].marker.label == "anger"
    assert {p.participant for p in told} == {person.code}


def test_the_last_window_reaches_the_broker_before_the_agent_says_offline(
    tmp_path: Path, database: Path
) -> None:
    with Mosquitto(tmp_path / "mosquitto") as mosquitto, subscribed(mosquitto.port) as reader:
        agent = Agent(database, mosquitto.port)
        agent.start()
        wait_for_state(agent, MqttState.CONNECTED)
        agent.summarise()
        agent.stop()
        reader.wait_for("status", lambda p: p["state"] == "offline")
        suffixes = [m.topic.rsplit("/", 1)[1] for m in reader.messages]
    assert suffixes == ["status", "summary", "status"]
