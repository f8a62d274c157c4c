"""The broker: password and authority from files, encryption, and state of the connection."""

from __future__ import annotations

import logging
import select
import socket
import ssl
import stat
from contextlib import suppress
from pathlib import Path

from edge_agent.config.mqtt import MqttSettings
from edge_agent.core.errors import MqttError
from edge_agent.core.files import changes_in
from edge_agent.core.texts import N_, Worded

log = logging.getLogger(__name__)


def read_password(path: Path, setting: str = "mqtt.password_file") -> str:
    """Return the first line of a password file.

    Args:
        path: the file.
        setting: key of the configuration that names it, for errors.

    Raises:
        MqttError: the file cannot be read or its first line is empty.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise MqttError(
            f"{setting} {path}: cannot be read ({error.strerror}). Write the password on its first "
            "line, and let the user of this program read it."
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
        MqttError: the file is missing, cannot be read or contains no certificate.
    """
    if ca_file is None:
        return ssl.create_default_context()
    try:
        context = ssl.create_default_context(cafile=str(ca_file))
    except ssl.SSLError as error:
        raise MqttError(
            f"mqtt.ca_file {ca_file}: contains no certificate. It must be the broker's authority "
            "in PEM form (-----BEGIN CERTIFICATE-----)."
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


def encryption(broker: MqttSettings) -> ssl.SSLContext | None:
    """Return the TLS context for a broker; ``None`` without TLS.

    Raises:
        MqttError: a certificate or the key is missing, cannot be read, is something else, or the
            two do not belong together.
    """
    if not broker.tls:
        return None
    context = tls_context(broker.ca_file)
    if broker.client_certificate is not None and broker.client_key is not None:
        _show(context, broker.client_certificate, broker.client_key)
    return context


def _show(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Load the client certificate for a broker that asks for one."""
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
    """Raise ``MqttError`` if a file cannot be read or contains no PEM of the kind."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise MqttError(
            f"{setting} {file}: cannot be read ({error.strerror}). Copy it there, and let the "
            "agent's user read it."
        ) from error
    if mark.encode() not in content:
        raise MqttError(
            f"{setting} {file}: does not contain {what} in PEM form (-----BEGIN … {mark})."
        )


class MqttState(Worded):
    """State of the connection to the broker."""

    CONNECTING = "connecting", N_("broker: connecting")
    CONNECTED = "connected", N_("broker connected"), "good"
    SILENT = "silent", N_("broker not answering"), "bad"
    UNREACHABLE = "unreachable", N_("broker not reachable"), "bad"
    UNAUTHORISED = "unauthorised", N_("broker: login refused"), "bad"
    UNTRUSTED = "untrusted", N_("broker: certificate not trusted"), "bad"
    REFUSED = "refused", N_("broker refuses the connection"), "bad"
    STOPPED = "stopped", N_("broker: connection ended")
    DISABLED = "disabled", N_("no broker set up")


class ConnectionEndedError(Exception):
    """The connection was refused or lost.

    Attributes:
        state: the state that follows.
        text: the reason and, if possible, what to do.
        version: whether the version of MQTT may be the cause.
    """

    def __init__(self, state: MqttState, text: str, *, version: bool = False) -> None:
        super().__init__(text)
        self.state = state
        self.text = text
        self.version = version


class WakeSignal:
    """A pair of sockets: ``set`` makes one of them readable, which ends a wait in ``select``.

    A thread that waits for the broker's bytes cannot also wait for a ``threading.Event``; with
    these sockets one ``select`` waits for both.

    Args:
        folder: what any program writes into its files sets the signal, too, where the system tells;
            ``None``: nothing does.

    Attributes:
        watches: whether the system tells of the folder.

    Example:
        >>> wake = WakeSignal()
        >>> wake.set()
        >>> wake.clear()
        >>> wake.close()
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        # `set` is called by threads that must never wait, even if the worker hangs and the buffer
        # is full.
        self._writer.setblocking(False)
        self._changes = None if folder is None else changes_in(folder)
        self.watches = self._changes is not None
        self._either: select.epoll | None = None
        if self._changes is not None:
            self._either = select.epoll()
            self._either.register(self._reader, select.EPOLLIN)
            self._either.register(self._changes, select.EPOLLIN)

    def fileno(self) -> int:
        """Return the file descriptor that becomes readable, for ``select``."""
        return (self._either or self._reader).fileno()

    def set(self) -> None:
        """End the wait, or the next one; may be called from any thread, also after ``close``."""
        # a full buffer wakes the reader up anyway; else the worker has ended and closed the sockets
        with suppress(OSError):
            self._writer.send(b"\0")

    def clear(self) -> None:
        """Read everything, so that the next wait lasts until the next ``set``."""
        with suppress(BlockingIOError):
            while self._reader.recv(4096):
                pass
        if self._changes is not None:
            self._changes.read()  # without waiting: ``None`` if there are none

    def close(self) -> None:
        """Close the sockets, and what tells of the folder."""
        if self._either is not None and self._changes is not None:
            self._either.close()
            self._changes.close()
        self._reader.close()
        self._writer.close()
