"""The words for a connection that did not come to stand or ended, each with what to do."""

from __future__ import annotations

import ssl

from paho.mqtt.client import WebsocketConnectionError
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.config.mqtt import MqttSettings
from edge_agent.mqtt.connecting.states import ConnectionEndedError, MqttState

# reason codes of MQTT 5, section 2.4
_UNSUPPORTED_PROTOCOL = 0x84
_LOGIN_REFUSED = frozenset({0x86, 0x87, 0x8A})
_TAKEN_OVER = 0x8E
_VAGUE = "HANDSHAKE_FAILURE"
_ALERTS = (
    "CERTIFICATE_REQUIRED",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_UNKNOWN",
    "UNSUPPORTED_CERTIFICATE",
    "BAD_CERTIFICATE",
    "UNKNOWN_CA",
    _VAGUE,
)
"""What a broker sends that wants a certificate, or another; the last, of TLS 1.2, for none."""


def not_reached(broker: MqttSettings, error: Exception) -> ConnectionEndedError:
    """Return why there is no line to the broker."""
    where = broker.where
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectionEndedError(
            MqttState.UNTRUSTED,
            f"{where}: the certificate is not trusted ({error.verify_message}). mqtt.ca_file "
            "must be the authority that signed it, and mqtt.host the name in it.",
        )
    if isinstance(error, ssl.SSLError):
        refused = certificate_refused(broker, str(error))
        if refused is not None:
            return refused
        return ConnectionEndedError(
            MqttState.UNTRUSTED,
            f"{where}: no encrypted connection ({error.reason or error}). Is mqtt.port the "
            "broker's TLS port? Else set mqtt.tls = false.",
        )
    if isinstance(error, (WebsocketConnectionError, LookupError)):
        return ConnectionEndedError(
            MqttState.UNREACHABLE,
            f"{where}: opens no WebSocket at {broker.websocket_path}. Is this the broker's port "
            'for WebSockets, and its mqtt.websocket_path? Else set mqtt.transport to "tcp".',
        )
    reason = getattr(error, "strerror", None) or error
    text = f"{where}: cannot be reached ({reason})."
    if broker.tls and isinstance(error, ConnectionResetError):
        text += " A broker hangs up like this where mqtt.port is not its TLS port: set that one, "
        text += "or mqtt.tls = false."
    return ConnectionEndedError(MqttState.UNREACHABLE, text)


def certificate_refused(broker: MqttSettings, complaint: str) -> ConnectionEndedError | None:
    """Return the words for a broker that refuses our certificate, or wants one.

    Args:
        broker: at the other end.
        complaint: what OpenSSL says, with the name of the alert (RFC 8446, section 6.2).

    Returns:
        ``None`` where the complaint is about something else.
    """
    alert = next((one for one in _ALERTS if one in complaint.replace(" ", "_").upper()), None)
    if alert is None or (alert == _VAGUE and broker.client_certificate is not None):
        return None
    if broker.client_certificate is None:
        none = "none"
        if alert == _VAGUE:
            none = "none, it seems"
        text = (
            f"{broker.where}: wants a certificate and gets {none}. Set mqtt.client_certificate and "
            "mqtt.client_key to those that the broker's keeper made for this appliance."
        )
    else:
        text = (
            f"{broker.where}: does not take mqtt.client_certificate {broker.client_certificate} "
            f"({alert.lower().replace('_', ' ')}). It must be valid now and signed by the "
            "authority that the broker trusts (mosquitto: cafile)."
        )
    return ConnectionEndedError(MqttState.UNAUTHORISED, text)


def ended(
    broker: MqttSettings, answer: ReasonCode | None, end: ReasonCode | None
) -> ConnectionEndedError:
    """Return why a connection is over.

    Args:
        broker: at the other end.
        answer: to the log-in; ``None``: there was none.
        end: the last reason code of the connection; ``None``: there was none.
    """
    where = broker.where
    reason = end
    if answer is not None and answer.is_failure:
        # the answer to the login says more than the end of the connection that follows it
        reason = answer
    code = 0
    if reason is not None:
        code = reason.value
    if code == _UNSUPPORTED_PROTOCOL:
        other = "3.1.1" if broker.protocol == "5" else "5"
        return ConnectionEndedError(
            MqttState.REFUSED,
            f'{where}: does not speak MQTT {broker.protocol}. Set mqtt.protocol to "{other}".',
            version=True,
        )
    if code in _LOGIN_REFUSED:
        return _login_refused(broker, reason)
    if code == _TAKEN_OVER:
        return ConnectionEndedError(
            MqttState.REFUSED,
            f"{where}: another appliance of the same name took over. Give each its own "
            "device.name.",
        )
    if answer is None:
        return _hung_up(broker)
    if answer.is_failure:
        return ConnectionEndedError(
            MqttState.REFUSED, f"{where}: refuses the connection ({reason})."
        )
    return ConnectionEndedError(MqttState.UNREACHABLE, f"{where}: connection lost ({reason}).")


def _login_refused(broker: MqttSettings, reason: ReasonCode | None) -> ConnectionEndedError:
    who = "visitors without a name"
    if broker.username:
        who = f"user {broker.username!r}"
    return ConnectionEndedError(
        MqttState.UNAUTHORISED,
        f"{broker.where}: refuses {who} ({reason}). Check mqtt.username and the password.",
    )


def right_port(broker: MqttSettings) -> str:
    """Return what to look at where something listens that does not greet as a broker does."""
    port, other = "without TLS", "mqtt.tls = true"
    if broker.tls:
        port, other = "with TLS", "mqtt.tls = false"
    text = f"Is it a broker, and mqtt.port its port {port} (else set {other})"
    if broker.transport == "tcp":
        return f'{text} and without WebSockets (else set mqtt.transport = "websockets")?'
    return f"{text}, and mqtt.websocket_path the broker's?"


def _hung_up(broker: MqttSettings) -> ConnectionEndedError:
    """Return the words for a broker that ended the connection before it said anything."""
    text = f"{broker.where}: hung up without a greeting. {right_port(broker)}"
    if broker.tls and broker.client_certificate is None:
        text += " If it wants a certificate, set mqtt.client_certificate and mqtt.client_key."
    return ConnectionEndedError(MqttState.UNREACHABLE, text, version=True)
