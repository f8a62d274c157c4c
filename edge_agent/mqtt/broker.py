"""Password and authority of a broker, from their files, and the size of a packet."""

from __future__ import annotations

import math
import ssl
from pathlib import Path

from edge_agent.core.errors import MqttError


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
