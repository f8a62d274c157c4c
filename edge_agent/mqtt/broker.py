"""Where the broker is, who we are there, and how its certificate is checked."""

from __future__ import annotations

import math
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge_agent.core.errors import MqttError


@dataclass(frozen=True, slots=True)
class Broker:
    """Address, account and protocol of the broker.

    Attributes:
        host: name or address; with ``tls`` it must be the one in the broker's certificate.
        port: 1883 is usual without TLS, 8883 with it.
        username: account at the broker; ``None`` connects without one.
        password: of the account; never part of the object's text, so that no log shows it.
        tls: encrypt, and check certificate and host name.
        ca_file: certificate authority (PEM); ``None``: the system's authorities.
        client_certificate: shown to a broker that wants one (PEM); only with ``tls``.
        client_key: the key that belongs to it (PEM, without a passphrase).
        protocol: version of MQTT.
        transport: ``tcp``, or ``websockets`` where only HTTP gets through.
        websocket_path: what is asked for with ``websockets``.
        keepalive: longest silence in seconds before the client sends a ping.

    Example:
        >>> Broker(host="mqtt.example", port=8883, tls=True).keepalive
        30
    """

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    protocol: Literal["3.1.1", "5"] = "5"
    transport: Literal["tcp", "websockets"] = "tcp"
    websocket_path: str = "/mqtt"
    keepalive: int = 30

    @property
    def where(self) -> str:
        """Host and port, as people write them."""
        return f"{self.host}:{self.port}"


def read_password(path: Path, setting: str = "mqtt.password_file") -> str:
    """Return the first line of a password file.

    Args:
        path: the file.
        setting: what names it, for errors.

    Raises:
        MqttError: the file cannot be read or its first line is empty.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise MqttError(
            f"{setting} {path}: cannot be read ({error.strerror}). Write the password on its first "
            "line, and let the user read it who runs this."
        ) from error
    except UnicodeDecodeError as error:
        raise MqttError(
            f"{setting} {path}: is not UTF-8 text. Write the password on its first line."
        ) from error
    if not lines or not lines[0]:
        raise MqttError(f"{setting} {path}: its first line is empty. Write the password there.")
    return lines[0]


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a TLS context that checks the broker's certificate and host name.

    Args:
        ca_file: the authority (PEM) to trust; ``None``: the system's authorities.

    Raises:
        MqttError: the file is missing, cannot be read or holds no certificate.
    """
    if ca_file is None:
        return ssl.create_default_context()
    try:
        context = ssl.create_default_context(cafile=str(ca_file))
    except ssl.SSLError as error:
        raise MqttError(
            f"mqtt.ca_file {ca_file}: holds no certificate. It must be the broker's authority in "
            "PEM form (-----BEGIN CERTIFICATE-----)."
        ) from error
    except OSError as error:
        raise MqttError(
            f"mqtt.ca_file {ca_file}: cannot be read ({error.strerror}). Copy the certificate of "
            "the broker's authority there, or leave ca_file out to trust the system's."
        ) from error
    # From Python 3.13 on, strict checking is the default. It refuses authorities without a key
    # usage extension, such as those made as mosquitto's manual says. Signature, validity and host
    # name are checked as before.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def packet_bytes(topic: str, payload: bytes) -> int:
    """Return the size of a PUBLISH packet at QoS 1 without properties (MQTT 5, 3.3)."""
    rest = 2 + len(topic.encode()) + 2 + 1 + len(payload)  # lengths, topic, number, properties
    length_bytes = max(1, math.ceil(rest.bit_length() / 7))
    return 1 + length_bytes + rest
