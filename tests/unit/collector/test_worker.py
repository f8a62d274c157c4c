"""The loop of a collector over a transport and a database that are played: what it owes to whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import psycopg

from collector import worker
from collector.messages import BrokerDelivery, StateMessage, TransportError
from collector.worker import Collector
from collector.writer import MOST_CLOSED, DueConfirmation
from edge_agent.mqtt.payloads import Confirmation
from tests.support.fleet.played_broker import PlayedBroker

EPOCH = "5f2c9a0d1e3b4c67"


class PlayedWriter:
    """Takes all but what is ``bad``, which no transaction may hold."""

    transactions: list[int]
    closed: list[int]

    def __init__(self, connection: object) -> None:
        self.connection = connection

    def write_deliveries(self, deliveries: Sequence[BrokerDelivery]) -> list[DueConfirmation]:
        self.transactions.append(len(deliveries))
        if any(one.payload == b"away" for one in deliveries) and len(self.transactions) < 3:
            raise psycopg.OperationalError("the connection is closed\nby the server")
        if any(one.payload == b"bad" for one in deliveries):
            raise psycopg.DataError("no such value")
        return [
            DueConfirmation(one.device, Confirmation(epoch=EPOCH, position=one.tag))
            for one in deliveries
        ]

    def close_minutes(self, silent_s: float) -> int:
        assert silent_s == worker.SILENT_S
        self.closed.append(MOST_CLOSED if len(self.closed) < 2 else 3)
        return self.closed[-1]

    def refuse(self, delivery: BrokerDelivery, reason: str) -> list[DueConfirmation]:
        assert reason == "the database refuses it: no such value"
        return [DueConfirmation(delivery.device, Confirmation(epoch=EPOCH, position=delivery.tag))]


class Connection:
    """Of PostgreSQL, as far as the loop itself uses it."""

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    made: list[int] = []
    monkeypatch.setattr(PlayedWriter, "transactions", made, raising=False)
    monkeypatch.setattr(PlayedWriter, "closed", [], raising=False)
    monkeypatch.setattr(worker, "MessageWriter", PlayedWriter)
    monkeypatch.setattr(worker, "migrate", lambda _: None)
    return made


def collect(broker: PlayedBroker) -> list[str]:
    def connect() -> Any:
        return Connection()

    broker.collector = Collector(broker, connect)
    broker.collector.run()
    return broker.done


def said(device: str, payload: bytes = b"") -> StateMessage:
    return StateMessage(device, "health", payload, False, 0.0)


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Of which devices states were written together; what is ``bad`` no database takes."""
    written: list[list[str]] = []

    def note_states(_connection: object, messages: Sequence[StateMessage]) -> None:
        if any(one.payload == b"bad" for one in messages):
            raise psycopg.DataError("no such value")
        if any(one.payload == b"away" for one in messages) and not written:
            written.append([])
            raise psycopg.OperationalError("the server is away")
        written.append([one.device for one in messages])

    def refuse_state(_connection: object, message: StateMessage, reason: str) -> None:
        written.append([message.device, reason])

    monkeypatch.setattr(worker, "note_states", note_states)
    monkeypatch.setattr(worker, "refuse_state", refuse_state)
    return written


def test_of_what_devices_say_of_themselves_the_newest_is_written(
    transactions: list[int], noted: list[list[str]]
) -> None:
    broker = PlayedBroker(deliveries(b"a"))
    broker.said = [said("lab"), said("ward"), said("lab")]
    assert collect(broker) == ["open", "acknowledge 1", "confirm lab 1", "close"]
    assert noted == [["lab", "ward"]]


def test_a_state_that_database_refuses_keeps_no_other_from_being_written(
    transactions: list[int], noted: list[list[str]]
) -> None:
    broker = PlayedBroker(deliveries(b"a"))
    broker.said = [said("lab"), said("ward", b"bad"), said("hall")]
    collect(broker)
    assert noted == [["lab"], ["ward", "the database refuses it: no such value"], ["hall"]]


def test_what_devices_have_said_is_written_when_the_database_is_back(
    transactions: list[int], noted: list[list[str]]
) -> None:
    broker = PlayedBroker([], deliveries(b"a"))
    broker.said = [said("lab", b"away")]
    collect(broker)
    assert noted == [[], ["lab"]]


def deliveries(*payloads: bytes, device: str = "lab") -> list[BrokerDelivery]:
    return [BrokerDelivery(device, payload, tag) for tag, payload in enumerate(payloads, 1)]


def test_what_is_committed_is_acknowledged_and_confirmed_at_the_end(
    transactions: list[int],
) -> None:
    broker = PlayedBroker(deliveries(b"a", b"b"), deliveries(b"c", device="ward"))
    assert collect(broker) == [
        "open",
        "acknowledge 2",
        "acknowledge 1",
        "confirm lab 2",
        "confirm ward 1",
        "close",
    ]
    assert transactions == [2, 1]


def test_a_device_that_waits_for_room_is_confirmed_before_the_end(transactions: list[int]) -> None:
    many = deliveries(*[b"a"] * worker.CONFIRM_MESSAGES)
    done = collect(PlayedBroker(many, deliveries(b"z", device="ward")))
    assert done.index("confirm lab 8") < done.index("acknowledge 1")
    assert transactions == [8, 1]


def test_message_that_database_refuses_is_found_by_halves_and_rest_taken(
    transactions: list[int],
) -> None:
    broker = PlayedBroker(deliveries(b"a", b"b", b"bad", b"d"))
    assert collect(broker) == ["open", "acknowledge 4", "confirm lab 4", "close"]
    assert transactions == [4, 2, 2, 1, 1]


def test_messages_are_kept_while_the_database_is_away(
    transactions: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    done = collect(PlayedBroker(deliveries(b"away", b"b")))
    assert done == ["open", "acknowledge 2", "confirm lab 2", "close"]
    assert transactions == [2, 2, 2]
    assert [record.message for record in caplog.records] == [
        "PostgreSQL: the connection is closed",
        "the collector goes on",
    ]


def test_a_connection_that_is_over_is_opened_again(
    transactions: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    broker = PlayedBroker(TransportError("the broker is away"), deliveries(b"a"))
    assert collect(broker) == ["open", "open", "acknowledge 1", "confirm lab 1", "close"]
    assert "the broker is away" in caplog.text
    assert transactions == [1]


def test_open_minutes_are_closed_now_and_then(
    transactions: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = [deliveries(b"a") for _ in range(5)]
    collect(PlayedBroker(*batches))
    assert PlayedWriter.closed == []
    broker = PlayedBroker(*batches)
    monkeypatch.setattr(worker, "CLOSE_S", 0.0)
    broker.collector = Collector(broker, lambda: cast("Any", Connection()))
    monkeypatch.setattr(worker, "CLOSE_S", 3600.0)
    broker.collector.run()
    assert PlayedWriter.closed == [MOST_CLOSED, MOST_CLOSED, 3]
