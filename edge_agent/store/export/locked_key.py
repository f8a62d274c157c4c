"""A key that a passphrase locks, as `age` writes it (age-encryption.org/v1, recipient `scrypt`).

The library that locks the export chooses by itself how much work a passphrase is, by what the
machine does in a second: up to half a gigabyte of memory on a quick one, which a dashboard has not.
Here the work is fixed. The test opens what this writes with the program `age`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64encode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

WORK = 17
"""Binary logarithm of scrypt's N: 128 MiB of memory, half a second of a Raspberry Pi."""
LARGEST = 64 * 1024
"""Bytes that one piece holds; a key is one piece."""
_BLOCK = 8
_MEMORY = 2 * 128 * _BLOCK * 2**WORK
_LABEL = b"age-encryption.org/v1/scrypt"
_KEY_BYTES = 16
_ONLY_PIECE = bytes(11) + b"\x01"


def lock_key(key: bytes, passphrase: str) -> bytes:
    """Return a file of `age` that the passphrase opens.

    Args:
        key: at most ``LARGEST`` bytes.
        passphrase: as it is typed.

    Raises:
        ValueError: there is more than one piece.
    """
    if len(key) > LARGEST:
        raise ValueError(f"{len(key)} bytes are more than one piece")
    file_key = secrets.token_bytes(_KEY_BYTES)
    salt = secrets.token_bytes(_KEY_BYTES)
    derived = hashlib.scrypt(
        passphrase.encode(),
        salt=_LABEL + salt,
        n=2**WORK,
        r=_BLOCK,
        p=1,
        maxmem=_MEMORY,
        dklen=32,
    )
    wrapped = ChaCha20Poly1305(derived).encrypt(bytes(12), file_key, None)
    lines = ("age-encryption.org/v1", f"-> scrypt {_text(salt)} {WORK}", _text(wrapped), "---")
    head = "\n".join(lines).encode("ascii")
    code = hmac.new(_derived(file_key, b"", b"header"), head, hashlib.sha256).digest()
    nonce = secrets.token_bytes(_KEY_BYTES)
    piece = ChaCha20Poly1305(_derived(file_key, nonce, b"payload")).encrypt(_ONLY_PIECE, key, None)
    return head + f" {_text(code)}\n".encode("ascii") + nonce + piece


def _derived(file_key: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt or None, purpose).derive(file_key)


def _text(value: bytes) -> str:
    return b64encode(value).decode("ascii").rstrip("=")
