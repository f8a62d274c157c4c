"""What the MQTT client is built from: names, waiting times and subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.config.mqtt import MqttSettings
from edge_agent.mqtt.discovery.device import Device
from edge_agent.mqtt.payloads.base import Payload


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between attempts to connect.

    Attributes:
        first_s: after the first failure; doubled after each further one.
        longest_s: upper limit of the doubling.
        refused_s: after an error that only a person can fix, such as a wrong password or an
            untrusted certificate.
        settle_s: wait after an outage before the outbox is sent: readers that lost the broker, too,
            are then connected again when the messages come.
    """

    first_s: float = 1.0
    longest_s: float = 30.0
    refused_s: float = 60.0
    settle_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic that the appliance subscribes to.

    Attributes:
        suffix: the topic, such as ``ingest/vitals``.
        on_message: called in the client's thread with a payload and whether it was retained;
            returns the reply, or ``None`` for no reply.
        reply_topic: suffix of the topic on which replies are published.
    """

    suffix: str
    on_message: Callable[[bytes, bool], Payload | None]
    reply_topic: str


@dataclass(frozen=True, slots=True)
class MqttOptions:
    """Everything that the MQTT client is told by the configuration.

    Attributes:
        broker: the table ``[mqtt]``, with the password where it stands in a file.
        device: name of the appliance; unique at the broker.
        window_s: length of a summary window in seconds, to mark summaries that come late.
        backoff: how long to wait between attempts to connect.
        subscriptions: topics to subscribe to.
        home_assistant: what Home Assistant is told of the appliance; ``None``: nothing.
        announced: file that remembers what it was told; ``None``: nothing is remembered.

    Example:
        >>> options = MqttOptions(MqttSettings(host="192.168.1.5"), device="lab")
        >>> options.broker.root, options.backoff.longest_s
        ('affect-edge', 30.0)
    """

    broker: MqttSettings
    device: str
    window_s: float = 10.0
    backoff: Backoff = Backoff()
    subscriptions: tuple[Subscription, ...] = ()
    home_assistant: Device | None = None
    announced: Path | None = None
