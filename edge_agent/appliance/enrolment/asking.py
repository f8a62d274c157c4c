"""A device asks the service where it joins, once it knows by the code that it is the right one."""

from __future__ import annotations

import http.client
import json
import ssl
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from cryptography import x509
from pydantic import BaseModel, ValidationError

from edge_agent.appliance.enrolment.code import JoinCode, pin_of
from edge_agent.appliance.enrolment.messages import (
    LARGEST_BYTES,
    ConfirmRequest,
    JoinAnswer,
    JoinRequest,
    Refusal,
)
from edge_agent.core.errors import EnrolmentError

PORT = 8443
_TIMEOUT_S = 15.0
T = TypeVar("T", bound=BaseModel)


class _Nothing(BaseModel):
    pass


@dataclass(frozen=True, slots=True)
class JoinServer:
    """Where a device joins.

    Attributes:
        host: name or address.
        port: of the service.

    Example:
        >>> server_at("https://fleet.example")
        JoinServer(host='fleet.example', port=8443)
    """

    host: str
    port: int

    def join(self, code: JoinCode, request: str) -> JoinAnswer:
        """Ask for an account; ``request`` is for a certificate (PEM).

        Raises:
            EnrolmentError: the server cannot be reached, is another one, or refuses.
        """
        message = JoinRequest(id=code.id, secret=code.secret, request=request)
        return self._ask("/join", message, code.pin, JoinAnswer)

    def confirm(self, code: JoinCode, token: str) -> None:
        """Say that the account works.

        Raises:
            EnrolmentError: as ``join``.
        """
        message = ConfirmRequest(id=code.id, secret=code.secret, token=token)
        self._ask("/confirm", message, code.pin, _Nothing)

    def _ask(self, path: str, message: BaseModel, pin: str, kind: type[T]) -> T:
        try:
            with closing(self._connected(pin)) as connection:
                head = {"Content-Type": "application/json"}
                connection.request("POST", path, message.model_dump_json(), head)
                response = connection.getresponse()
                content = response.read(LARGEST_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise EnrolmentError(
                f"{self.host}:{self.port}: cannot be reached ({error}). Does `affect-edge "
                "fleet-enrol serve` run there, and does a firewall let this port through?",
                "unreachable",
            ) from error
        return _read(content, response.status, kind)

    def _connected(self, pin: str) -> http.client.HTTPSConnection:
        """Connect, and make sure that it is the server of the code before anything is sent."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # What is checked in place of name and authority, which nobody here knows yet: its key.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            self.host, self.port, timeout=_TIMEOUT_S, context=context
        )
        connection.connect()
        shown = connection.sock.getpeercert(binary_form=True)
        if shown is None or pin_of(x509.load_der_x509_certificate(shown)) != pin:
            connection.close()
            raise EnrolmentError(
                f"{self.host}:{self.port}: is not the server that the code was made at: the "
                "fingerprint of its key differs from the last four groups of the code. Compare "
                "code and address. If both are right, somebody is between you and the server. "
                "Nothing was sent.",
                "fingerprint",
            )
        return connection


def server_at(address: str) -> JoinServer:
    """Return the server at an address, such as ``https://fleet.example:8443``.

    Raises:
        EnrolmentError: it is none.
    """
    try:
        parts = urlsplit(address if "//" in address else f"https://{address}")
        if parts.scheme == "https" and parts.hostname and parts.path in ("", "/"):
            return JoinServer(parts.hostname, parts.port or PORT)
    except ValueError:
        pass
    raise EnrolmentError(
        f"{address!r}: is no address of a server where devices join. Give it as it was shown with "
        "the code, such as https://fleet.example:8443"
    )


def _read(content: bytes, status: int, kind: type[T]) -> T:
    try:
        if status == http.client.OK:
            return kind.model_validate_json(content)
        told = Refusal.model_validate(json.loads(content))
    except (ValidationError, ValueError) as error:
        raise EnrolmentError(
            f"The server gave an answer that is not understood (HTTP {status}). Is it of another "
            "version?"
        ) from error
    raise EnrolmentError(told.text, told.refusal)
