"""How the line to a broker is encrypted, and the certificate that is shown there."""

from __future__ import annotations

import logging
import ssl
import stat
from pathlib import Path

from edge_agent.config.mqtt import MqttSettings
from edge_agent.core.errors import MqttError
from edge_agent.mqtt.broker import tls_context

log = logging.getLogger(__name__)


def encryption(broker: MqttSettings) -> ssl.SSLContext | None:
    """Return what encrypts the line to a broker; ``None`` for a line without TLS.

    Raises:
        MqttError: a file of certificates or the key is missing, cannot be read, is something else,
            or certificate and key do not belong together.
    """
    if not broker.tls:
        return None
    context = tls_context(broker.ca_file)
    if broker.client_certificate is not None and broker.client_key is not None:
        _show(context, broker.client_certificate, broker.client_key)
    return context


def _show(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Let a context show a certificate to a broker that asks for one."""
    _check(certificate, "mqtt.client_certificate", "CERTIFICATE-----", "a certificate")
    _check(key, "mqtt.client_key", "PRIVATE KEY-----", "a private key")
    if key.stat().st_mode & stat.S_IROTH:
        log.warning(
            "mqtt.client_key %s: every user of this machine can read it. Take that right away: "
            "chmod o-rwx %s",
            key,
            key,
        )
    locked: list[Path] = []

    def passphrase() -> str:
        locked.append(key)  # OpenSSL asks only for a key that is encrypted
        return ""

    try:
        context.load_cert_chain(certificate, key, passphrase)
    except ssl.SSLError as error:
        if locked:
            raise MqttError(
                f"mqtt.client_key {key}: is protected by a passphrase, which nobody can type when "
                "the agent starts. Save it without: openssl pkey -in KEY -out KEY-WITHOUT"
            ) from error
        if error.reason == "KEY_VALUES_MISMATCH":
            raise MqttError(
                f"mqtt.client_key {key}: does not belong to mqtt.client_certificate "
                f"{certificate}. Name the two that were made together."
            ) from error
        raise MqttError(
            f"mqtt.client_certificate {certificate} or mqtt.client_key {key}: is damaged "
            f"({error.reason or error}). Copy both there again."
        ) from error


def _check(file: Path, setting: str, mark: str, what: str) -> None:
    """Raise ``MqttError`` where a file cannot be read or holds no PEM of the kind."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise MqttError(
            f"{setting} {file}: cannot be read ({error.strerror}). Copy it there, and let the "
            "agent's user read it."
        ) from error
    if mark.encode() not in content:
        raise MqttError(f"{setting} {file}: holds not {what} in PEM form (-----BEGIN … {mark}).")
