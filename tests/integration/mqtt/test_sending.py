"""What is sent arrives: over outages, past limits of size, in order, and marked when it is late."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edge_agent.agent.health import HealthMonitor
from edge_agent.agent.summary import SummaryWindow
from edge_agent.alerts.figures import AgentFigures
from edge_agent.config.loading import load_settings
from edge_agent.config.mqtt import MqttSettings
from edge_agent.core import clock
from edge_agent.core.clock import now
from edge_agent.core.errors import ConfigError
from edge_agent.mqtt.broker import MqttState
from edge_agent.mqtt.client import MqttClient, MqttOptions
from edge_agent.mqtt.connection import Backoff
from edge_agent.mqtt.payloads import AlertsPayload, SummaryPayload, emotion_payload
from edge_agent.timeline.write.outbox import Outbox, OutboxMessage
from edge_agent.timeline.write.recorder import Recorder
from tests.support.broker import Mosquitto, Relay, subscribed, wait_until
from tests.support.mqtt_clients import QUICK, Start, end, wait_for_state
from tests.support.outbox_rows import OutboxRows
from tests.support.timeline import database, observation, recognition

pytestmark = pytest.mark.broker

AT_ONCE = {"backoff": Backoff(first_s=0.02, longest_s=0.05, refused_s=0.3, settle_s=0.0)}
LIMIT = 600
MANY = "x" * LIMIT


@pytest.mark.parametrize(
    ("protocol", "limit", "reason"),
    [
        ("5", "max_packet_size", "too_large"),
        ("5", "message_size_limit", "connection_lost"),
        ("3.1.1", "max_packet_size", "connection_lost"),
    ],
)
def test_message_over_the_brokers_limit_is_set_aside_and_the_rest_arrives(
    tmp_path: Path, outbox: OutboxRows, start: Start, protocol: str, limit: str, reason: str
) -> None:
    with (
        Mosquitto(tmp_path / "mosquitto", limits={limit: LIMIT}) as mosquitto,
        subscribed(mosquitto.port) as reader,
    ):
        texts = ("small", "small", MANY, "small", MANY, MANY, "small", "small")
        outbox.add_all(*({"text": text} for text in texts))
        client = start(mosquitto.port, protocol=protocol, options=AT_ONCE)
        wait_until(outbox.is_empty, "the outbox to drain")
        assert outbox.set_aside() == dict.fromkeys((3, 5, 6), reason)
        assert client.set_aside == {reason: 3}
        outbox.add(text="later")
        client.wake()
        reader.wait_for("summary", lambda said: said["text"] == "later")
        wait_until(lambda: client.state is MqttState.CONNECTED, "a connection that stands")
        first_times = dict.fromkeys(said.payload["seq"] for said in reader.on("summary"))
        assert list(first_times) == [1, 2, 4, 7, 8, 9]


def test_message_one_byte_over_the_announced_limit_is_set_aside(
    tmp_path: Path, outbox: OutboxRows, start: Start
) -> None:
    with (
        Mosquitto(tmp_path / "mosquitto", limits={"max_packet_size": LIMIT}) as mosquitto,
        subscribed(mosquitto.port) as reader,
    ):
        outbox.add_all(*({"text": "x" * length} for length in range(450, 600)))
        client = start(mosquitto.port, protocol="5", options=AT_ONCE)
        wait_until(outbox.is_empty, "the outbox to drain")
        assert client.state is MqttState.CONNECTED
        sent = 150 - len(outbox.set_aside())
        # The broker acknowledges a message before its reader has it.
        wait_until(lambda: len(reader.on("summary")) >= sent, "all messages to arrive")
        assert [said.payload["seq"] for said in reader.on("summary")] == list(range(1, sent + 1))
        assert 0 < sent < 150
        assert sorted(outbox.set_aside()) == list(range(sent + 1, 151))
        assert mosquitto.folder.joinpath("mosquitto.log").read_text().count("oversize") == 0


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_health_report_over_the_brokers_limit_does_not_hold_up_the_outbox(
    tmp_path: Path, outbox: OutboxRows, start: Start, protocol: str
) -> None:
    report = HealthMonitor(tmp_path, "pi", "1").report(AgentFigures(), now())
    with (
        Mosquitto(tmp_path / "mosquitto", limits={"max_packet_size": LIMIT}) as mosquitto,
        subscribed(mosquitto.port) as reader,
    ):
        client = start(mosquitto.port, protocol=protocol, options=AT_ONCE)
        log = mosquitto.folder / "mosquitto.log"
        wait_until(lambda: client.state is MqttState.CONNECTED, "the first connection")
        client.publish_health(report)
        outbox.add_all(*({} for _ in range(30)))
        client.wake()
        wait_until(outbox.is_empty, "the outbox to drain")
        assert not outbox.set_aside()
        wait_until(lambda: set(client.left_out) == {"health"}, "the health to be left out")
        wait_until(lambda: client.state is MqttState.CONNECTED, "a connection that stands")
        outbox.add(text="later")
        client.publish_emotion(emotion_payload(recognition(1, observation()), simulated=False))
        reader.wait_for("summary", lambda said: said.get("text") == "later")
        reader.wait_for("emotion")
        connections = log.read_text().count("New client connected")
        client.publish_health(report)
        outbox.add(text="last")
        client.wake()
        reader.wait_for("summary", lambda said: said.get("text") == "last")
        assert log.read_text().count("New client connected") == connections
        assert not reader.on("health")


def test_line_breaking_again_and_again_loses_no_message(
    tmp_path: Path, outbox: OutboxRows, start: Start
) -> None:
    with Mosquitto(tmp_path / "mosquitto") as mosquitto, subscribed(mosquitto.port) as reader:
        relay = Relay(mosquitto.port)
        relay.swallow_answers()
        outbox.add()
        outbox.add()
        client = start(relay.port, protocol="3.1.1", options=AT_ONCE)
        for number in range(1, 9):
            wait_until(lambda n=number: relay.connections >= n, "another connection")  # type: ignore[misc]
            relay.cut()
            relay.swallow_answers()
        relay.cut()
        wait_until(outbox.is_empty, "the outbox to drain")
        assert not outbox.set_aside()
        assert client.state is MqttState.CONNECTED
        relay.close()
        assert {said.payload["seq"] for said in reader.on("summary")} == {1, 2}


@pytest.mark.parametrize(("late_s", "replayed"), [(15, False), (25, True)])
def test_summary_sent_after_two_windows_is_marked_late_and_after_one_not(
    mosquitto: Mosquitto, start: Start, outbox: OutboxRows, monkeypatch: pytest.MonkeyPatch,
    late_s: float, replayed: bool,
) -> None:  # fmt: skip
    with subscribed(mosquitto.port) as reader:
        client = start(mosquitto.port, options={"window_s": 10.0})
        wait_for_state(client, MqttState.CONNECTED)
        monkeypatch.setattr(clock, "now", lambda: now().shift(late_s))
        outbox.add()
        client.wake()
        assert reader.wait_for("summary").payload["replayed"] is replayed


@pytest.mark.parametrize("step_s", [-31_536_000, 60])
def test_summary_wall_clock_set_is_marked_by_the_boot_clock_alone(
    mosquitto: Mosquitto, start: Start, outbox: OutboxRows, monkeypatch: pytest.MonkeyPatch,
    step_s: int,
) -> None:  # fmt: skip
    with subscribed(mosquitto.port) as reader:
        outbox.add(what="before the connection", age_s=0.01)  # clocks tell milliseconds
        client = start(mosquitto.port, options={"window_s": 1.0})
        wait_for_state(client, MqttState.CONNECTED)
        wait_until(outbox.is_empty, "the first summary to be sent")
        wall_ns = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: wall_ns() + step_s * 1_000_000_000)
        outbox.add(what="in time")
        outbox.add(what="late", age_s=2.5)
        outbox.add(what="of another boot", boot="another")
        client.wake()
        reader.wait_for("summary", lambda said: said["seq"] == 4)
        late = {said.payload["what"]: said.payload["replayed"] for said in reader.on("summary")}
    assert late == {
        "before the connection": True,
        "in time": False,
        "late": True,
        "of another boot": True,
    }


class Summaries:
    """The part of the agent that makes and sends summaries, over one database."""

    def __init__(self, path: Path, port: int) -> None:
        options = MqttOptions(MqttSettings(port=port), "pi", backoff=QUICK)
        self.client = MqttClient(options, Outbox(path))
        self.recorder = Recorder(path, on_commit=self.client.wake)
        self._window = SummaryWindow("pi", now(), simulated=False)
        self.client.start()
        self.recorder.start()

    def close_windows(self, count: int) -> None:
        for _ in range(count):
            self.recorder.submit(OutboxMessage("summary", self._window.close(now())))

    def stop(self) -> None:
        self.recorder.stop()
        assert self.recorder.join(60)
        assert self.recorder.error is None
        end(self.client)


def test_summaries_broker_killed_and_agent_restarted_are_not_lost(tmp_path: Path) -> None:
    path = database(tmp_path)
    with Mosquitto(tmp_path / "mosquitto") as mosquitto, subscribed(mosquitto.port) as reader:
        before = Summaries(path, mosquitto.port)
        before.close_windows(3)
        reader.wait_for("summary", lambda p: p["seq"] == 3)
        mosquitto.save()
        mosquitto.kill()
        wait_for_state(before.client, MqttState.UNREACHABLE)
        before.close_windows(30)
        before.stop()
        again = Summaries(path, mosquitto.port)
        again.close_windows(30)
        wait_for_state(again.client, MqttState.UNREACHABLE)
        wait_until(lambda: again.recorder.queue_depth == 0, "every summary to be committed")
        mosquitto.start()
        reader.wait_for("summary", lambda p: p["seq"] == 63)
        again.stop()
        payloads = [SummaryPayload.model_validate(m.payload) for m in reader.on("summary")]
    assert list(dict.fromkeys(p.seq for p in payloads)) == list(range(1, 64))
    assert all(p.replayed for p in payloads if p.seq > 3)
    left = Outbox(path)
    assert left.count() == 0
    left.close()


ALERTS = AlertsPayload.model_validate({"at": "2026-05-01T10:00:00.000Z", "open": []})


def _publish(start: Start, outbox: OutboxRows, port: int, *off: str) -> MqttClient:
    client = start(port, topics_off=off)
    wait_for_state(client, MqttState.CONNECTED)
    client.publish_alerts(ALERTS)
    outbox.add("session")
    outbox.add("summary")
    wait_until(outbox.is_empty, "the outbox to drain")
    return client


def test_topic_switched_off_gets_nothing_and_is_cleared_at_the_broker(
    outbox: OutboxRows, mosquitto: Mosquitto, start: Start
) -> None:
    end(_publish(start, outbox, mosquitto.port))
    with subscribed(mosquitto.port) as reader:
        reader.wait_for("alerts")
        client = _publish(start, outbox, mosquitto.port, "alerts", "session")
        reader.wait_for("summary", lambda payload: payload["seq"] == 2)
        wait_until(lambda: not reader.on("alerts")[-1].payload, "the topic to be cleared")
        assert reader.on("session") == []
        wait_until(lambda: bool(client.holes), "the hole to be noted")
        holes = [(hole.topic, hole.first, hole.last, hole.reason) for hole in client.holes]
        assert holes == [("session", 2, 2, "mqtt_off")]
        end(client)
    with subscribed(mosquitto.port) as late:
        late.wait_for("status")
        assert late.on("alerts") == []


def test_topic_of_home_assistant_switched_off_is_refused() -> None:
    mqtt = {"home_assistant": True, "topics_off": ["vitals", "state"]}
    with pytest.raises(ConfigError, match="Home Assistant reads the topic state"):
        load_settings(None, {"mqtt": mqtt})


def test_movements_published_without_being_read_are_refused() -> None:
    tables = {"mqtt": {"movements": True}, "vision": {"movements": False}}
    with pytest.raises(ConfigError, match=r"set vision\.movements = true, or mqtt\.movements"):
        load_settings(None, tables)
