"""Announces the appliance to Home Assistant, and removes what the broker keeps of earlier names."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from edge_agent.core.files import replace_file
from edge_agent.mqtt.connection import Connection, PubAck, ReceivedMessage
from edge_agent.mqtt.discovery import Device, discovery_payload
from edge_agent.mqtt.payloads import StatusPayload, Topics

log = logging.getLogger(__name__)


class AnnouncedTopics:
    """The topics of this appliance's retained discovery message and status, in a small file.

    They are stored before they are published, so that the messages can be removed after the agent
    was killed or renamed, or discovery was switched off.

    Args:
        path: of the file, with a topic in each line; ``None``: they are not stored.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self) -> set[str]:
        """Return the topics; empty if the file is missing or cannot be read."""
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
        """Replace the topics; an error is only logged, since nothing else depends on them."""
        if self._path is None:
            return
        text = "".join(f"{topic}\n" for topic in sorted(topics))
        try:
            if text:
                replace_file(self._path, text.encode(), 0o600)
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("mqtt: %s cannot be written: %s", self._path, error)


class Announcer:
    """Publishes the discovery message over one connection after the other.

    After a rename it also removes what the broker keeps of the old name, once that is offline: the
    name may belong to another appliance by now, such as the one whose card was copied.

    Belongs to the thread of the MQTT client.

    Args:
        device: the announced device; ``None``: none, and earlier announcements are removed.
        announced: stores the topics that the broker keeps.
        topics: of the appliance.

    Attributes:
        problem: why Home Assistant is not told of the device, and what to do; ``None``: it is.
    """

    def __init__(self, device: Device | None, announced: AnnouncedTopics, topics: Topics) -> None:
        self._announced = announced
        self._status = topics.full(Topics.STATUS)
        self._former: set[str] = set()
        self._device = device
        self._payload = b""
        if device is not None:
            self._payload = discovery_payload(device).encode()
        self._in_flight: dict[int, str] = {}
        self.problem: str | None = None

    def begin_connection(self, connection: Connection) -> None:
        """Remove old announcements, announce the device, and subscribe to the birth message."""
        self._in_flight.clear()
        known = self._announced.read()
        own = {self._status} if self._device is None else {self._status, self._device.topic}
        self._former = {topic for topic in known - own if topic.endswith(f"/{Topics.STATUS}")}
        if own - known or self._former:
            # Former names get one try: some brokers end the connection at a topic of another.
            self._announced.write((known | own) - self._former)
        for topic in sorted(self._former):
            connection.subscribe(topic)
        for topic in sorted(known - own - self._former):
            # MQTT 5, 3.3.1.3: an empty retained message removes what the broker keeps
            self._in_flight[connection.publish(topic, b"", qos=1, retain=True)] = topic
        if self._device is not None:
            connection.subscribe(self._device.birth_topic)
            self._announce(connection, self._device)

    def handle_message(self, connection: Connection, message: ReceivedMessage) -> None:
        """Announce again at Home Assistant's birth message; clear a former name that is offline."""
        if message.topic in self._former and message.payload:
            self._clear_former(connection, message)
        device = self._device
        if device is None or message.topic != device.birth_topic:
            return
        if message.payload == b"online":
            self._announce(connection, device)

    def _clear_former(self, connection: Connection, message: ReceivedMessage) -> None:
        """Remove what the broker keeps of a former name, unless another appliance has it now."""
        try:
            state = StatusPayload.model_validate_json(message.payload).state
        except ValueError:
            return
        if state == "offline":
            self._former.discard(message.topic)
            base = message.topic.removesuffix(Topics.STATUS)
            for suffix in (Topics.STATUS, *sorted(Topics.RETAINED)):
                connection.publish(f"{base}{suffix}", b"", qos=0, retain=True)
            log.info("mqtt: what the broker kept of the former name was removed: %s", base)

    def process_acks(self, acks: Iterable[PubAck]) -> list[PubAck]:
        """Process the acknowledgements of discovery messages; return the others.

        If the broker refuses a discovery message, all other messages are still sent.
        """
        others = []
        for ack in acks:
            topic = self._in_flight.pop(ack.mid, None)
            if topic is None:
                others.append(ack)
            elif ack.refusal is not None:
                self._note_refusal(topic, ack.refusal)
            elif self._device is not None and topic == self._device.topic:
                self.problem = None
            else:
                self._announced.write(self._announced.read() - {topic})
        return others

    def _announce(self, connection: Connection, device: Device) -> None:
        if connection.fits(device.topic, self._payload):
            mid = connection.publish(device.topic, self._payload, qos=1, retain=True)
            self._in_flight[mid] = device.topic
        else:
            self._note_refusal(device.topic, f"{len(self._payload)} bytes are more than it takes")

    def _note_refusal(self, topic: str, reason: str) -> None:
        self.problem = (
            f"the broker refuses the message for Home Assistant ({reason}). Allow the account to "
            f"write {topic}, or set mqtt.home_assistant to false."
        )
