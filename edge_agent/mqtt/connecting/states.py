"""How a connection to the broker stands, and why it ended."""

from __future__ import annotations

from enum import StrEnum


class MqttState(StrEnum):
    """State of the connection to the broker."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    SILENT = "silent"
    UNREACHABLE = "unreachable"
    UNAUTHORISED = "unauthorised"
    UNTRUSTED = "untrusted"
    REFUSED = "refused"
    STOPPED = "stopped"
    DISABLED = "disabled"


class ConnectionEndedError(Exception):
    """The connection was refused or lost.

    Attributes:
        state: the state that follows.
        text: what happened and, where a person can do something, what to do.
        version: whether the version of MQTT may be the cause.
    """

    def __init__(self, state: MqttState, text: str, *, version: bool = False) -> None:
        super().__init__(text)
        self.state = state
        self.text = text
        self.version = version
