"""A log-in at the broker as the agent does it, which ends at once and disturbs nobody."""

from __future__ import annotations

import os
from contextlib import closing

from edge_agent.config.mqtt import MqttSettings
from edge_agent.mqtt.connecting.encryption import encryption
from edge_agent.mqtt.connecting.opening import open_connection
from edge_agent.mqtt.wake import WakeSignal


def log_in(broker: MqttSettings, name: str) -> str | None:
    """Connect with the account and the encryption of the agent, and leave.

    The client's name is one of its own, so that the agent keeps its connection, and there is no
    last will, so that nobody is told anything.

    Args:
        broker: where to log in.
        name: what the client's name begins with.

    Returns:
        A sentence where the broker takes only an older version of MQTT than is configured.

    Raises:
        ConnectionEndedError: the broker cannot be reached, is not trusted, or refuses.
        MqttError: the authority of the broker, our certificate or its key cannot be used.
    """
    context = encryption(broker)
    with closing(WakeSignal()) as wake:
        connection, remark = open_connection(
            broker, context, f"{name}-{os.getpid()}", None, wake, suspected=True
        )
        try:
            connection.disconnect()
        finally:
            connection.release()
    return remark
