"""A passkey of software: answers as a browser does, and can lie in each part of an answer."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT = 0x01
VERIFIED = 0x04
ATTESTED = 0x40


@dataclass(slots=True)
class SoftAuthenticator:
    """One passkey, with what it says of itself.

    Attributes:
        host: what it takes the name of the page to be.
        origin: what the browser says of the page.
        flags: present and verified, as a good one says.
        count: how often it has signed; 0 stays 0, as with passkeys that are copied to a cloud.
    """

    host: str = "localhost"
    origin: str = "http://localhost"
    flags: int = PRESENT | VERIFIED
    count: int = 0
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    handle: str = ""
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def make(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return what a browser answers to the options of a new passkey."""
        self.handle = options["user"]["id"]
        data = self._head(ATTESTED) + bytes(16) + len(self.id).to_bytes(2, "big") + self.id
        data += cbor2.dumps(self._public_key())
        attestation = {"fmt": "none", "attStmt": {}, "authData": data}
        return self._answer(
            clientDataJSON=self._client_data("webauthn.create", options["challenge"]),
            attestationObject=cbor2.dumps(attestation),
        )

    def sign(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return what a browser answers to the options of a login."""
        if self.count:
            self.count += 1
        client_data = self._client_data("webauthn.get", options["challenge"])
        data = self._head(0)
        signature = self.key.sign(
            data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256())
        )
        answer = self._answer(
            clientDataJSON=client_data, authenticatorData=data, signature=signature
        )
        answer["response"]["userHandle"] = self.handle
        return answer

    def _answer(self, **parts: bytes) -> dict[str, Any]:
        number = text_of(self.id)
        response = {name: text_of(value) for name, value in parts.items()}
        return {"id": number, "rawId": number, "type": "public-key", "response": response}

    def _head(self, flags: int) -> bytes:
        host = hashlib.sha256(self.host.encode()).digest()
        return host + bytes([self.flags | flags]) + self.count.to_bytes(4, "big")

    def _client_data(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def _public_key(self) -> dict[int, Any]:
        numbers = self.key.public_key().public_numbers()
        point = (numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big"))
        return {1: 2, 3: -7, -1: 1, -2: point[0], -3: point[1]}


def text_of(value: bytes) -> str:
    """Return bytes as browsers write them."""
    return urlsafe_b64encode(value).decode().rstrip("=")


def bytes_of(text: str) -> bytes:
    """Return what a browser wrote."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
