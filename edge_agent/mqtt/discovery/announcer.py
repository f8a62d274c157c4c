"""Sends the discovery message, again where Home Assistant needs it, and takes it back."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from edge_agent.mqtt.connecting.connection import Connection, PubAck, ReceivedMessage
from edge_agent.mqtt.discovery.device import Device, discovery_payload

log = logging.getLogger(__name__)


class AnnouncedTopics:
    """The topics on which the broker may keep a discovery message of ours, in a small file.

    They are written down before they are published, so that a message is found again and removed
    after the agent was killed, renamed, or told to be silent.

    Args:
        path: of the file, a line is a topic; ``None``: nothing is remembered.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self) -> set[str]:
        """Return the topics; none where the file is missing or cannot be read."""
        if self._path is None:
            return set()
        try:
            return set(self._path.read_text(encoding="utf-8").split("\n")) - {""}
        except FileNotFoundError:
            return set()
        except (OSError, UnicodeDecodeError) as error:
            log.warning("mqtt: %s cannot be read: %s", self._path, error)
            return set()

    def write(self, topics: Iterable[str]) -> None:
        """Replace the topics; an error is logged, for nothing else depends on them."""
        if self._path is None:
            return
        text = "".join(f"{topic}\n" for topic in sorted(topics))
        try:
            if text:
                self._path.write_text(text, encoding="utf-8")
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("mqtt: %s cannot be written: %s", self._path, error)


class Announcer:
    """Publishes the discovery message over one connection after the other.

    Belongs to the thread of the MQTT client.

    Args:
        device: what is announced; ``None``: nothing, and what was announced is removed.
        announced: remembers what the broker keeps.
    """

    def __init__(self, device: Device | None, announced: AnnouncedTopics) -> None:
        self._announced = announced
        self._device = device
        self._payload = b""
        if device is not None:
            self._payload = discovery_payload(device).encode()
        self._sent: dict[int, str] = {}
        self._warned = False

    def begin_connection(self, connection: Connection) -> None:
        """Remove what is not announced any more, announce the device, and await the birth."""
        self._sent.clear()
        known = self._announced.read()
        own: set[str] = set()
        if self._device is not None:
            own = {self._device.topic}
        if own - known:
            self._announced.write(known | own)
        for topic in sorted(known - own):
            # MQTT 5, 3.3.1.3: an empty retained message removes what the broker keeps
            self._sent[connection.publish(topic, b"", qos=1, retain=True)] = topic
        if self._device is not None:
            connection.subscribe(self._device.birth_topic)
            self._announce(connection, self._device)

    def handle(self, connection: Connection, message: ReceivedMessage) -> None:
        """Announce again when the message says that Home Assistant has started."""
        device = self._device
        if device is None or message.topic != device.birth_topic:
            return
        if message.payload == b"online":
            self._announce(connection, device)

    def take_own(self, acks: Iterable[PubAck]) -> list[PubAck]:
        """Take in the acknowledgements of discovery messages; return the others.

        Where the broker refuses one, the rest of what the appliance sends goes on.
        """
        others = []
        for ack in acks:
            topic = self._sent.pop(ack.mid, None)
            if topic is None:
                others.append(ack)
            elif ack.refusal is not None:
                self._warn(topic, ack.refusal)
            elif self._device is None or topic != self._device.topic:
                self._announced.write(self._announced.read() - {topic})
        return others

    def _announce(self, connection: Connection, device: Device) -> None:
        if connection.fits(device.topic, self._payload):
            mid = connection.publish(device.topic, self._payload, qos=1, retain=True)
            self._sent[mid] = device.topic
        else:
            self._warn(device.topic, f"{len(self._payload)} bytes are more than it takes")

    def _warn(self, topic: str, reason: str) -> None:
        if not self._warned:
            log.warning(
                "mqtt: the broker does not take the message for Home Assistant (%s). Let the "
                "account write %s, or set mqtt.home_assistant to false.",
                reason,
                topic,
            )
        self._warned = True
