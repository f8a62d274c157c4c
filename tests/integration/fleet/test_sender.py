"""The sender beside a real broker: outages, and a collector that answers late or wrongly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.fleet.chunks import TimelineMessage, decode
from edge_agent.store.database.files import prepared_path, replace_files
from edge_agent.store.database.schema import (
    connect,
    copy_database,
    renew_stream_epoch,
    write_transaction,
)
from tests.support.agent import Tables, running_agent
from tests.support.broker import Mosquitto, wait_until
from tests.support.fleet.devices import SimulatedDevice
from tests.support.timeline import query

pytestmark = pytest.mark.broker


class Listener:
    """Takes the stream of one device, and answers what a test wants."""

    def __init__(self, port: int) -> None:
        self.messages: list[TimelineMessage] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="listener")
        self._client.on_connect = lambda client, *_: client.subscribe("affect-edge/+/timeline", 1)
        self._client.on_message = lambda _c, _d, message: self.messages.append(
            decode(bytes(message.payload))
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def answer(self, **content: Any) -> None:
        payload = json.dumps({"schema": 1, **content})
        self._client.publish("affect-edge/room/timeline/confirmed", payload, 1, True)

    @property
    def last(self) -> int:
        return max((message.last for message in list(self.messages)), default=0)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    listening = Listener(broker.port)
    yield listening
    listening.close()


@pytest.fixture
def device(tmp_path: Path, broker: Mosquitto, listener: Listener) -> Iterator[SimulatedDevice]:
    made = SimulatedDevice.make(tmp_path / "room", "room", broker.port)
    made.record(20)
    made.sender.start()
    yield made
    made.sender.stop()
    assert made.sender.join(60)


def test_an_agent_that_is_told_to_sends_what_it_records(
    tmp_path: Path, broker: Mosquitto, listener: Listener
) -> None:
    tables: Tables = {
        "device": {"name": "room"},
        "mqtt": {"port": broker.port},
        "record": {"batch_seconds": 0.3},
        "fleet": {"enabled": True},
    }

    def rows_of(table: str) -> int:
        return sum(
            change[1:3] == [table, "row"]
            for message in list(listener.messages)
            for change in message.changes
        )

    with running_agent(tmp_path, tables) as run:
        wait_until(lambda: rows_of("expression") > 5, "rows of the agent's camera")
        run.agent.stop()
        assert run.end() == 0


def test_what_is_written_while_the_broker_is_away_comes_when_it_is_back(
    broker: Mosquitto, listener: Listener, device: SimulatedDevice
) -> None:
    wait_until(lambda: listener.last >= device.newest > 0, "the start")
    broker.stop()
    device.record(50)
    broker.start()
    wait_until(lambda: listener.last == device.newest, "the rest")
    positions = {change[0] for message in listener.messages for change in message.changes}
    assert positions == set(range(1, device.newest + 1))


def test_what_nobody_confirms_is_sent_again(listener: Listener, device: SimulatedDevice) -> None:
    wait_until(lambda: sum(m.first == 1 for m in listener.messages) >= 2, "a repetition")
    epoch = listener.messages[0].epoch
    wait_until(lambda: listener.last == device.newest, "everything")
    listener.answer(epoch=epoch, position=device.newest)
    wait_until(lambda: query(device.path, "SELECT count(*) FROM fleet_change") == [(1,)], "it")


def test_a_confirmation_of_what_was_never_sent_is_not_believed(
    listener: Listener, device: SimulatedDevice, caplog: pytest.LogCaptureFixture
) -> None:
    wait_until(lambda: listener.last >= device.newest > 0, "the start")
    listener.answer(epoch=listener.messages[0].epoch, position=10_000_000)
    wait_until(lambda: "position 10000000 was confirmed" in caplog.text, "a word about it")
    listener.answer(epoch="0" * 16, position=device.newest)
    listener.answer(epoch=listener.messages[0].epoch, position=1, closed=True)
    wait_until(lambda: "the same device.name" in caplog.text, "a word about two of one name")
    assert device.sender.confirmed <= 1


def test_a_database_that_takes_the_place_of_another_is_sent_anew(
    listener: Listener, device: SimulatedDevice
) -> None:
    wait_until(lambda: listener.last >= device.newest > 0, "the start")
    first = listener.messages[0].epoch
    other = prepared_path(device.path)
    with closing(connect(device.path, readonly=True)) as connection:
        copy_database(connection, other)
    with write_transaction(other) as connection:
        renew_stream_epoch(connection)
        connection.execute("DELETE FROM vital")
    replace_files(device.path, [device.path], "before")
    wait_until(lambda: listener.messages[-1].epoch != first, "another stream")
    anew = next(message for message in listener.messages if message.epoch != first)
    assert anew.changes[0][2:] == ["begin", {"follows": first}]
