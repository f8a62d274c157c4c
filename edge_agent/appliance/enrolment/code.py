"""The code that lets a device join: short enough to be typed, good once, and bound to one server.

Seven groups of five signs. The first finds the code, the next two are its secret (50 random bits;
a guesser has five tries), and the last four are the beginning of the hash of the server's public
key (100 bits). So the device knows the server before it sends anything: nothing is trusted at first
sight.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge_agent.core.errors import EnrolmentError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32 (crockford.com/base32.html): without I, L, O and U."""
ID_SIGNS, SECRET_SIGNS, PIN_SIGNS = 5, 10, 20
_GROUP = 5
_SIGNS = ID_SIGNS + SECRET_SIGNS + PIN_SIGNS
_MISREAD = str.maketrans("ILO", "110")
_BITS = 5


@dataclass(frozen=True, slots=True)
class JoinCode:
    """A code for one device.

    Attributes:
        id: by which the server finds it; not secret.
        secret: known to who was given the code; the server keeps only a hash.
        pin: beginning of the hash of the server's public key.

    Example:
        >>> parse_code("00000-11111-11111-22222-22222-22222-2222o").pin
        '22222222222222222220'
    """

    id: str
    secret: str
    pin: str

    def __str__(self) -> str:
        signs = self.id + self.secret + self.pin
        return "-".join(signs[at : at + _GROUP] for at in range(0, _SIGNS, _GROUP))

    def __repr__(self) -> str:
        return f"JoinCode({self.id!r})"  # a log shall not show the secret


def draw_code(pin: str) -> JoinCode:
    """Draw a code for the server whose public key has this pin."""
    return JoinCode(_drawn(ID_SIGNS), _drawn(SECRET_SIGNS), pin)


def parse_code(text: str) -> JoinCode:
    """Read a code as somebody typed it: small letters, blanks, and O for 0 are understood.

    Raises:
        EnrolmentError: it cannot be one.
    """
    signs = re.sub(r"[\s-]", "", text).upper().translate(_MISREAD)
    wrong = sorted(set(signs) - set(ALPHABET))
    if wrong:
        raise EnrolmentError(
            f"The code holds {''.join(wrong)[:10]!r}, which no code does. Type it as it was shown.",
            "no_code",
        )
    if len(signs) != _SIGNS:
        raise EnrolmentError(
            f"The code has {len(signs)} signs; it must be {_SIGNS}, seven groups of five. Type it "
            "as it was shown.",
            "no_code",
        )
    secret_at, pin_at = ID_SIGNS, ID_SIGNS + SECRET_SIGNS
    return JoinCode(signs[:secret_at], signs[secret_at:pin_at], signs[pin_at:])


def pin_of(certificate: x509.Certificate) -> str:
    """Return the pin of a server: the beginning of the SHA-256 of its public key."""
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    number = int.from_bytes(hashlib.sha256(public).digest())
    shift = 256 - _BITS * PIN_SIGNS
    number >>= shift
    signs = [ALPHABET[number >> _BITS * at & 31] for at in reversed(range(PIN_SIGNS))]
    return "".join(signs)


def _drawn(count: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(count))
