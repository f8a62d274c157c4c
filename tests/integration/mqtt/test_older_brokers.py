"""A broker that refuses MQTT 5 is tried with 3.1.1, and it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.appliance.checks import Verdict, check_running
from edge_agent.config.loading import load_settings
from edge_agent.mqtt.broker import MqttState
from tests.support.broker import Mosquitto, free_port, wait_until
from tests.support.memory_outbox import MemoryOutbox
from tests.support.mqtt_clients import Start, wait_for_state
from tests.support.transports.older_broker import OlderBroker

pytestmark = pytest.mark.broker

REFUSAL = b"\x20\x02\x00\x01"
"""CONNACK of MQTT 3.1.1: unacceptable protocol version (3.2.2.3)."""


@pytest.mark.parametrize(
    ("answer", "levels", "said"),
    [(REFUSAL, [5, 4], "does not speak MQTT 5"), (b"", [5, 5, 4], "hangs up at MQTT 5")],
)
def test_a_broker_that_refuses_mqtt_5_gets_everything_by_the_older_version(
    mosquitto: Mosquitto,
    outbox: MemoryOutbox,
    start: Start,
    caplog: pytest.LogCaptureFixture,
    answer: bytes,
    levels: list[int],
    said: str,
) -> None:
    outbox.add()
    with OlderBroker(mosquitto.port, answer) as older:
        client = start(older.port)
        wait_until(lambda: outbox.deleted == [1], f"the outbox to drain; {client.last_error}")
        assert client.state is MqttState.CONNECTED
        assert older.levels == levels
        assert f"127.0.0.1:{older.port}: {said}; 3.1.1 is used" in str(client.last_error)
        assert 'set mqtt.protocol to "3.1.1"' in str(client.last_error)
        assert sum("3.1.1 is used" in record.getMessage() for record in caplog.records) == 1
        settings = {"mqtt": {"port": older.port}, "dashboard": {"port": free_port()}}
        findings = check_running(load_settings(None, settings), None)
        broker = next(finding for finding in findings if finding.check == "broker")
        assert (broker.verdict, said in broker.found) == (Verdict.WARNING, True), broker
        client.stop()
        assert client.join(60)


def test_a_wrong_password_at_an_older_broker_is_what_is_said(tmp_path: Path, start: Start) -> None:
    with (
        Mosquitto(tmp_path / "closed", users={"pi": "right"}) as closed,
        OlderBroker(closed.port, REFUSAL) as older,
    ):
        client = start(older.port, username="pi", password="wrong")
        wait_for_state(client, MqttState.UNAUTHORISED)
        assert "refuses user 'pi'" in str(client.last_error)
