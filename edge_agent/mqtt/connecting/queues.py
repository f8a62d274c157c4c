"""Queues that the broker keeps for subscribers that are away, cleared after an erasure.

MQTT lets nobody look into the queue of another client. Whoever connects by its client id and asks
for a clean session ends its old one, messages and subscriptions included (MQTT 3.1.1, 3.1.2.4; MQTT
5, 3.1.2.4). So only the queues whose client ids are configured can be cleared; such a subscriber
subscribes anew when it connects the next time.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable

from edge_agent.config.mqtt import MqttSettings
from edge_agent.core.clock import boot_seconds
from edge_agent.mqtt.connecting.opening import open_connection
from edge_agent.mqtt.connecting.states import ConnectionEndedError, MqttState
from edge_agent.mqtt.wake import WakeSignal

log = logging.getLogger(__name__)

AGAIN_SECONDS = 60.0


class QueueClearing:
    """Clears the queues of the configured subscribers once retained topics have been cleared.

    Args:
        broker: where, as whom, and of which subscribers.
        context: for TLS; ``None`` without.
    """

    def __init__(self, broker: MqttSettings, context: ssl.SSLContext | None) -> None:
        self._broker = broker
        self._context = context
        self._due: list[str] = []
        self._not_before_s = 0.0

    def noting(self, on_clear: Callable[[str], None]) -> Callable[[str], None]:
        """Return what is to be called when a topic is cleared: it calls ``on_clear``, too."""

        def note(topic: str) -> None:
            self._due = list(self._broker.durable_subscribers)
            on_clear(topic)

        return note

    def clear_when(self, idle: bool) -> None:
        """Clear the queues that are due, if no message is on its way to the broker any more.

        A broker that cannot be reached is asked again after a minute; one that refuses is not.
        """
        while idle and self._due and boot_seconds() >= self._not_before_s:
            client_id = self._due.pop(0)
            try:
                self._clear(client_id)
            except ConnectionEndedError as ended:
                text = "mqtt: the queue of %r was not cleared after an erasure: %s"
                log.warning(text, client_id, ended.text)
                if ended.state is MqttState.UNREACHABLE:
                    self._due.append(client_id)
                    self._not_before_s = boot_seconds() + AGAIN_SECONDS

    def _clear(self, client_id: str) -> None:
        wake = WakeSignal()
        try:
            line = (self._broker, self._context, client_id, None, wake)
            connection, _ = open_connection(*line, suspected=False)
            connection.disconnect()
            connection.release()
        finally:
            wake.close()
        log.info("mqtt: the queue of a subscriber was cleared after an erasure")
