"""How long summaries that waited for the broker take to arrive, and whether one is lost.

    python -m benchmarks.outbox [--json] [--messages N]

Summaries lie in the outbox of a real database and nobody listens. Then a real mosquitto starts. The
time runs from the moment when the client is connected to the moment when a subscriber has all of
them, with the two seconds that the client leaves to other readers after an outage.
"""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks._command import benchmark
from edge_agent.config.mqtt import MqttSettings
from edge_agent.mqtt.broker import MqttState
from edge_agent.mqtt.client import MqttClient, MqttOptions
from edge_agent.mqtt.connection import Backoff
from edge_agent.mqtt.payloads import Topics
from edge_agent.timeline.database.connection import connect, transaction
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.write.outbox import Outbox, OutboxMessage, enqueue
from tests.support.broker import Mosquitto, subscribed, wait_until

MESSAGES = 5000
DEADLINE_S = 300.0
BACKOFF = Backoff(first_s=0.1, longest_s=0.2)
CATEGORIES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
SUMMARY = {
    "schema": 1,
    "window": {
        "start": "2026-11-20T08:12:00.250Z",
        "end": "2026-11-20T08:12:10.250Z",
        "seconds": 10.0,
    },
    "frames": 150,
    "emotions": dict.fromkeys(CATEGORIES, 0.125),
    "replayed": False,
}


@dataclass(frozen=True, slots=True)
class ArrivedMessages:
    """What arrived: seconds until all were there, distinct messages, and all of them."""

    seconds: float
    distinct: int
    arrived: int


def fill(database: Path, messages: int) -> None:
    """Make a database whose outbox holds so many summaries."""
    migrate(database)
    with closing(connect(database, readonly=False)) as connection, transaction(connection):
        for _ in range(messages):
            enqueue(connection, OutboxMessage(Topics.SUMMARY, SUMMARY), limit=messages)


def deliver(folder: Path, messages: int) -> ArrivedMessages:
    """Let the summaries wait for a broker, start it, and return what came of them."""
    database = folder / DATABASE_NAME
    fill(database, messages)
    mosquitto = Mosquitto(folder / "mosquitto")
    broker = MqttSettings(port=mosquitto.port)
    options = MqttOptions(broker, device="bench", backoff=BACKOFF)
    client = MqttClient(options, Outbox(database))
    client.start()
    try:
        wait_until(lambda: client.state is MqttState.UNREACHABLE, "the client to miss the broker")
        with mosquitto, subscribed(mosquitto.port) as reader:
            wait_until(lambda: client.state is MqttState.CONNECTED, "the client to connect")
            start = time.monotonic()

            def distinct() -> int:
                return len({message.payload["seq"] for message in reader.on("summary")})

            wait_until(
                lambda: len(reader.messages) >= messages and distinct() == messages,
                "them all",
                DEADLINE_S,
            )
            seconds = time.monotonic() - start
            delivery = ArrivedMessages(seconds, distinct(), len(reader.on("summary")))
            client.stop()
            client.join(10)
            return delivery
    finally:
        client.stop()


def measure(folder: Path, messages: int) -> dict[str, float]:
    """Return all figures."""
    if shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None:
        raise SystemExit(
            "benchmarks.outbox: mosquitto is not installed. Install it: sudo apt install mosquitto"
        )
    delivery = deliver(folder, messages)
    return {
        "outbox_messages": messages,
        "outbox_delivered_s": round(delivery.seconds, 2),
        "outbox_lost": messages - delivery.distinct,
        "outbox_twice": delivery.arrived - delivery.distinct,
    }


if __name__ == "__main__":
    benchmark(__doc__, measure, messages=(MESSAGES, "how many summaries wait"))
