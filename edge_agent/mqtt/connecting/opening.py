"""Opens a connection, with the older version of MQTT where the broker does not take the newer."""

from __future__ import annotations

import ssl

from edge_agent.config.mqtt import MqttSettings
from edge_agent.mqtt.connecting.connection import Connection
from edge_agent.mqtt.connecting.states import ConnectionEndedError, MqttState
from edge_agent.mqtt.wake import WakeSignal


def open_connection(
    broker: MqttSettings,
    context: ssl.SSLContext | None,
    client_id: str,
    will: tuple[str, bytes] | None,
    wake: WakeSignal,
    *,
    suspected: bool,
) -> tuple[Connection, str | None]:
    """Connect and log in; where MQTT 5 is refused, try 3.1.1.

    A broker of before MQTT 5 says that it does not speak it, or hangs up without a word. The latter
    is also what a broker does that goes down, so it counts only when it happened before.

    Args:
        broker, context, client_id, will, wake: as ``Connection`` takes them.
        suspected: whether the broker hung up without a word the last time, too.

    Returns:
        The open connection, and a sentence where it has an older version than configured.

    Raises:
        ConnectionEndedError: no version is taken.
    """
    try:
        return _opened(Connection(broker, context, client_id, will, wake)), None
    except ConnectionEndedError as refusal:
        is_said = refusal.state is MqttState.REFUSED
        if broker.protocol != "5" or not refusal.version or not (is_said or suspected):
            raise
        first = refusal
    older = broker.model_copy(update={"protocol": "3.1.1"})
    try:
        connection = _opened(Connection(older, context, client_id, will, wake))
    except ConnectionEndedError as second:
        if second.state is MqttState.UNAUTHORISED:
            raise  # it speaks 3.1.1, and says what is wrong
        if not is_said:
            raise first from second
        raise ConnectionEndedError(
            first.state,
            f"{broker.where}: does not speak MQTT 5, and 3.1.1 was tried in vain ({second.text})",
        ) from second
    how = "hangs up at MQTT 5"
    if is_said:
        how = "does not speak MQTT 5"
    return connection, (
        f"{broker.where}: {how}; 3.1.1 is used, in which it cannot say that it refuses a message. "
        'Use a newer broker, or set mqtt.protocol to "3.1.1".'
    )


def _opened(connection: Connection) -> Connection:
    try:
        connection.open()
    except ConnectionEndedError:
        connection.release()
        raise
    return connection
