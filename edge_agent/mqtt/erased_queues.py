"""Clears the queues that a broker keeps for absent subscribers, after an erasure.

MQTT has no access to such a queue. But a connection with its client id and a clean session ends
the old session with its messages and subscriptions (MQTT 3.1.1, 3.1.2.4; MQTT 5, 3.1.2.4). So only
the queues whose client ids are configured can be cleared; such a subscriber subscribes again when
it connects the next time.
"""

from __future__ import annotations

import logging
import ssl

from edge_agent.config.mqtt import MqttSettings
from edge_agent.core.clock import boot_seconds
from edge_agent.mqtt.broker import ConnectionEndedError, MqttState
from edge_agent.mqtt.connection import connect_briefly

log = logging.getLogger(__name__)

AGAIN_SECONDS = 60.0
"""Pause before a broker that could not be reached is asked again."""


class QueueClearing:
    """Clears the queues of the configured subscribers once retained topics have been cleared.

    Args:
        broker: the broker, with its account and the durable subscribers.
        context: for TLS; ``None`` without.
    """

    def __init__(self, broker: MqttSettings, context: ssl.SSLContext | None) -> None:
        self._broker = broker
        self._context = context
        self._due: list[str] = []
        self._not_before_s = 0.0

    def note_cleared_topic(self) -> None:
        """Record that a retained topic is being cleared: all queues are due then."""
        self._due = list(self._broker.durable_subscribers)

    def clear_due(self) -> None:
        """Clear the queues that are due; call it while no message of the outbox is in flight.

        A broker that cannot be reached is asked again after a minute; one that refuses is not.
        """
        while self._due and boot_seconds() >= self._not_before_s:
            client_id = self._due.pop(0)
            try:
                connect_briefly(self._broker, self._context, client_id, suspected=False)
                log.info("mqtt: the queue of a subscriber was cleared after an erasure")
            except ConnectionEndedError as end:
                text = "mqtt: the queue of %r was not cleared after an erasure: %s"
                log.warning(text, client_id, end.text)
                if end.state is MqttState.UNREACHABLE:
                    self._due.append(client_id)
                    self._not_before_s = boot_seconds() + AGAIN_SECONDS
