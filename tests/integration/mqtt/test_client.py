"""The MQTT client against a real mosquitto: what is said, and what a lost broker costs
(nothing).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from edge_agent.agent.health import HealthMonitor
from edge_agent.alerts.figures import AgentFigures
from edge_agent.core.clock import now
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.mqtt.broker import MqttState
from edge_agent.mqtt.payloads import EmotionPayload, StatusPayload, vital_payload
from tests.support.broker import Mosquitto, Relay, subscribed, wait_until
from tests.support.mqtt_clients import Start, wait_for_state
from tests.support.outbox_rows import OutboxRows

pytestmark = pytest.mark.broker


def emotion(name: Literal["happiness", "anger", "sadness"]) -> EmotionPayload:
    return EmotionPayload(
        at="2026-11-20T08:12:00.000Z",
        emotion=name,
        probability=0.8,
        track=1,
        valence=0.5,
        simulated=False,
    )


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_client_connected_then_stopped_publishes_online_then_offline(
    mosquitto: Mosquitto, start: Start, protocol: str
) -> None:
    client = start(mosquitto.port, protocol=protocol)
    wait_for_state(client, MqttState.CONNECTED)
    with subscribed(mosquitto.port) as reader:
        online = reader.wait_for("status")
        assert online.topic == "affect-edge/pi/status"
        assert online.retained
        assert StatusPayload.model_validate(online.payload).state == "online"
        client.stop()
        assert client.join(60)
        assert client.state is MqttState.STOPPED
        reader.wait_for("status", lambda p: p["state"] == "offline" and p["at"] is not None)
    with subscribed(mosquitto.port) as later:
        assert later.wait_for("status").payload["state"] == "offline"


def test_line_broken_broker_publishes_offline(mosquitto: Mosquitto, start: Start) -> None:
    relay = Relay(mosquitto.port)
    client = start(relay.port)
    wait_for_state(client, MqttState.CONNECTED)
    with subscribed(mosquitto.port) as reader:
        reader.wait_for("status", lambda p: p["state"] == "online")
        relay.close()
        reader.wait_for("status", lambda p: p == {"schema": 1, "state": "offline", "at": None})
    wait_for_state(client, MqttState.UNREACHABLE)
    assert client.last_error is not None
    assert str(relay.port) in client.last_error


def test_line_half_dead_and_replaced_leaves_status_online(
    mosquitto: Mosquitto, start: Start
) -> None:
    relay = Relay(mosquitto.port)
    first = start(relay.port)
    wait_for_state(first, MqttState.CONNECTED)
    relay.swallow_everything()
    second = start(mosquitto.port)
    wait_for_state(second, MqttState.CONNECTED)
    relay.close()
    with subscribed(mosquitto.port) as reader:
        assert reader.wait_for("status").payload["state"] == "online"


def test_line_dead_without_a_close_is_noticed_and_replaced(
    mosquitto: Mosquitto, start: Start, outbox: OutboxRows
) -> None:
    relay = Relay(mosquitto.port)
    client = start(relay.port, keepalive=1)
    wait_for_state(client, MqttState.CONNECTED)
    relay.swallow_everything()
    outbox.add()
    wait_for_state(client, MqttState.UNREACHABLE)
    relay.cut()
    wait_until(outbox.is_empty, "the outbox to drain over a new line")
    client.stop()
    assert client.join(60)
    relay.close()


def test_broker_frozen_is_called_silent_and_gets_the_outbox_when_it_thaws(
    mosquitto: Mosquitto, start: Start, outbox: OutboxRows
) -> None:
    client = start(mosquitto.port)
    wait_for_state(client, MqttState.CONNECTED)
    mosquitto.freeze()
    outbox.add()
    reason = f"127.0.0.1:{mosquitto.port}: does not answer"
    wait_until(lambda: reason in (client.last_error or ""), "the reason")
    assert client.state is MqttState.SILENT
    mosquitto.thaw()
    wait_for_state(client, MqttState.CONNECTED)
    wait_until(outbox.is_empty, "the outbox to drain over the same line")


def test_broker_away_from_the_start_gets_everything_when_it_comes(
    tmp_path: Path, start: Start, outbox: OutboxRows
) -> None:
    late = Mosquitto(tmp_path / "mosquitto")
    for _ in range(5):
        outbox.add()
    client = start(late.port)
    wait_for_state(client, MqttState.UNREACHABLE)
    client.publish_emotion(emotion("anger"))
    client.publish_emotion(emotion("happiness"))
    client.publish_vital(vital_payload(VitalReading(now(), VitalKind.HEART_RATE, 72, "test")))
    with late:
        wait_for_state(client, MqttState.CONNECTED)
        wait_until(outbox.is_empty, "the outbox to drain")
        with subscribed(late.port) as reader:
            assert reader.wait_for("emotion").payload["emotion"] == "happiness"
            assert client.last_error is None
            assert not reader.on("vitals")
        client.stop()
        assert client.join(60)


def test_message_acknowledgement_lost_is_sent_again_with_its_number(
    mosquitto: Mosquitto, start: Start, outbox: OutboxRows
) -> None:
    relay = Relay(mosquitto.port)
    with subscribed(mosquitto.port) as reader:
        client = start(relay.port)
        wait_for_state(client, MqttState.CONNECTED)
        reader.wait_for("status", lambda p: p["state"] == "online")
        relay.swallow_answers()
        outbox.add()
        outbox.add()
        client.wake()
        wait_until(lambda: len(reader.on("summary")) == 2, "the first delivery")
        assert outbox.count() == 2
        relay.cut()
        wait_until(lambda: len(reader.on("summary")) == 4, "the second delivery")
        assert [m.payload["seq"] for m in reader.on("summary")] == [1, 2, 1, 2]
        wait_until(outbox.is_empty, "the outbox to drain")
        outbox.add()
        client.wake()
        reader.wait_for("summary", lambda p: p["seq"] == 3)
        assert len(reader.on("summary")) == 5
        client.stop()
        assert client.join(60)
    relay.close()


def test_outbox_database_away_is_named_and_delivered_when_it_is_back(
    mosquitto: Mosquitto, start: Start, outbox: OutboxRows
) -> None:
    outbox.add()
    elsewhere = outbox.path.with_suffix(".moved")
    outbox.path.rename(elsewhere)
    client = start(mosquitto.port)
    reason = f"the outbox cannot be read or written: {outbox.path}"
    wait_until(lambda: reason in (client.last_error or ""), f"the error; {client.last_error}")
    assert client.state is MqttState.CONNECTED
    elsewhere.rename(outbox.path)
    client.wake()
    wait_until(outbox.is_empty, "the outbox to drain")
    wait_until(lambda: client.last_error is None, "the error to go")


def test_row_acknowledged_and_not_deleted_is_not_sent_twice(
    mosquitto: Mosquitto, start: Start, outbox: OutboxRows
) -> None:
    with subscribed(mosquitto.port) as reader:
        outbox.add_all({}, {})
        with outbox.locked():
            client = start(mosquitto.port, busy_seconds=0.05)
            reader.wait_for("summary", lambda p: p["seq"] == 2)
            reason = "the outbox cannot be read or written"
            wait_until(lambda: reason in (client.last_error or ""), "the error")
            assert outbox.count() == 2
        client.wake()
        wait_until(outbox.is_empty, "the outbox to drain")
        outbox.add()
        client.wake()
        reader.wait_for("summary", lambda p: p["seq"] == 3)
        assert [m.payload["seq"] for m in reader.on("summary")] == [1, 2, 3]


def test_later_reader_gets_emotion_and_health_and_no_vitals(
    mosquitto: Mosquitto, start: Start, tmp_path: Path
) -> None:
    client = start(mosquitto.port)
    wait_for_state(client, MqttState.CONNECTED)
    reading = VitalReading(
        now(), VitalKind.HEART_RATE, 71.5, "simulated", frozenset({VitalFlag.SIMULATED})
    )
    with subscribed(mosquitto.port) as reader:
        client.publish_emotion(emotion("happiness"))
        client.publish_health(
            HealthMonitor(tmp_path, "pi", "1.2.3").report(AgentFigures(outbox=3), now())
        )
        client.publish_vital(vital_payload(reading))
        vital = reader.wait_for("vitals").payload
        assert (vital["kind"], vital["value"], vital["unit"]) == ("heart_rate", 71.5, "/min")
        assert (vital["source"], vital["flags"]) == ("simulated", ["simulated"])
        assert reader.wait_for("emotion").qos == 0
    with subscribed(mosquitto.port) as later:
        kept = later.wait_for("emotion")
        assert kept.retained
        assert kept.payload["schema"] == 1
        health = later.wait_for("health")
        assert health.retained
        assert health.payload["version"] == "1.2.3"
        assert health.payload["mqtt"]["outbox"] == 3
        assert not later.on("vitals")


def test_retained_topic_cleared_is_not_published_again_after_an_outage(
    mosquitto: Mosquitto, start: Start, outbox: OutboxRows
) -> None:
    relay = Relay(mosquitto.port)
    client = start(relay.port)
    wait_for_state(client, MqttState.CONNECTED)
    with subscribed(mosquitto.port) as reader:
        client.publish_emotion(emotion("anger"))
        reader.wait_for("emotion")
        outbox.clear("emotion")
        outbox.clear("session")
        client.wake()
        reader.wait_for("emotion", lambda payload: payload == {})
        reader.wait_for("session", lambda payload: payload == {})
        wait_until(outbox.is_empty, "the broker to acknowledge")
        relay.close()
        reader.wait_for("status", lambda payload: payload["state"] == "offline")
    again = start(mosquitto.port, device="other")
    wait_for_state(again, MqttState.CONNECTED)
    with subscribed(mosquitto.port) as later:
        later.wait_for("status")
        assert not later.on("emotion")
        assert not later.on("session")
