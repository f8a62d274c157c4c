"""Encryption with a passphrase, in the format of `age` (age-encryption.org/v1).

The passphrase locks a key (`key.age`, recipient `scrypt`), and the key locks the files. So large
files are processed in pieces, and a wrong passphrase is noticed at once. `age --decrypt --identity
key.age FILE.age` opens them without this program.

The library pyrage chooses the work of scrypt by the speed of the machine: up to half a gigabyte of
memory on a fast one, which a dashboard does not have. Here the work is fixed. A test opens these
files with the program `age`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64encode
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge_agent.core.errors import BackupError

SHORTEST = 8
_TRIES = 5
_TOO_MUCH_WORK = "Excessive work"
WORK = 17
"""Binary logarithm of scrypt's N: 128 MiB of memory, half a second of a Raspberry Pi."""
LARGEST = 64 * 1024
"""Bytes that one piece holds; a key is one piece."""
_BLOCK = 8
_MEMORY = 2 * 128 * _BLOCK * 2**WORK
_LABEL = b"age-encryption.org/v1/scrypt"
_KEY_BYTES = 16
# STREAM nonce of the first and last piece: counter 0 in 11 bytes, then the mark of the last one.
_ONLY_PIECE = bytes(11) + b"\x01"


class Readable(Protocol):
    """A file that is read in pieces."""

    def read(self, size: int = ..., /) -> bytes:
        """Return the next piece, empty at the end."""


class Writable(Protocol):
    """A file that is written in pieces."""

    def write(self, chunk: bytes, /) -> int:
        """Write a piece; return the number of bytes written."""

    def flush(self) -> None:
        """Flush buffered bytes."""


class Lock:
    """A key that locks and opens files.

    Args:
        key: as age writes it, ``AGE-SECRET-KEY-1…``.
    """

    def __init__(self, key: str) -> None:
        from pyrage import x25519

        self._identity = x25519.Identity.from_str(key)

    def encrypt(self, source: Readable, target: Writable) -> None:
        """Encrypt a file."""
        import pyrage

        pyrage.encrypt_io(source, target, [self._identity.to_public()])

    def decrypt(self, source: Readable, target: Writable) -> None:
        """Decrypt a file.

        Raises:
            BackupError: it is damaged, or was encrypted with another key.
        """
        import pyrage

        try:
            pyrage.decrypt_io(source, target, [self._identity])
        except (pyrage.DecryptError, ValueError) as error:
            raise BackupError(f"a locked file is damaged ({error})") from error
        except OSError as error:
            if error.errno is None:  # of the library; those of the system have a number
                raise BackupError(f"a locked file is damaged ({error})") from error
            raise


def new_lock(passphrase: str) -> tuple[Lock, bytes]:
    """Make a key; return it, and a copy that is locked with the passphrase.

    Raises:
        BackupError: the passphrase is too short.
    """
    from pyrage import x25519

    if len(passphrase) < SHORTEST:
        raise BackupError(
            f"The passphrase has {len(passphrase)} characters; take at least {SHORTEST}, better "
            "five words. Without it nobody can open the archive, you included."
        )
    key = str(x25519.Identity.generate())
    return Lock(key), lock_key(f"{key}\n".encode("ascii"), passphrase)


def open_lock(locked_key: bytes, passphrase: str) -> Lock:
    """Return the key that a passphrase opens.

    Raises:
        BackupError: it is not the right one, or the key is damaged.
    """
    import pyrage
    from pyrage import passphrase as locked

    for _ in range(_TRIES):
        try:
            return Lock(locked.decrypt(locked_key, passphrase).decode("ascii").strip())
        except (pyrage.DecryptError, pyrage.IdentityError, UnicodeDecodeError) as error:
            # pyrage measures the machine, and refuses work of more than sixteen seconds
            if _TOO_MUCH_WORK not in str(error):
                raise BackupError(
                    "The passphrase does not open this archive. Nothing was changed; try again, "
                    "with the passphrase that was given when it was made."
                ) from error
    raise BackupError(
        "This machine is too slow, or too busy just now, to check the passphrase: the archive was "
        "made on a much faster one. Nothing was changed; try again when less runs here, or open "
        "the archive with `age` on a faster machine (docs/backup.md)."
    )


def lock_key(key: bytes, passphrase: str) -> bytes:
    """Encrypt a key with a passphrase, as a file of `age`.

    Args:
        key: at most ``LARGEST`` bytes.
        passphrase: as it is typed.

    Raises:
        ValueError: the key does not fit into one piece.
    """
    if len(key) > LARGEST:
        raise ValueError(f"{len(key)} bytes are more than one piece")
    file_key = secrets.token_bytes(_KEY_BYTES)
    salt = secrets.token_bytes(_KEY_BYTES)
    # The label before the salt, r = 8, p = 1 and a zero nonce are those of the format's scrypt
    # recipient.
    derived = hashlib.scrypt(
        passphrase.encode(), salt=_LABEL + salt, n=2**WORK, r=_BLOCK, p=1, maxmem=_MEMORY, dklen=32
    )
    wrapped = ChaCha20Poly1305(derived).encrypt(bytes(12), file_key, None)
    lines = ("age-encryption.org/v1", f"-> scrypt {_text(salt)} {WORK}", _text(wrapped), "---")
    head = "\n".join(lines).encode("ascii")
    # The header's MAC ends before the blank after "---", as the format demands.
    code = hmac.new(_derive_key(file_key, b"", b"header"), head, hashlib.sha256).digest()
    nonce = secrets.token_bytes(_KEY_BYTES)
    piece = ChaCha20Poly1305(_derive_key(file_key, nonce, b"payload")).encrypt(
        _ONLY_PIECE, key, None
    )
    return head + f" {_text(code)}\n".encode("ascii") + nonce + piece


def _derive_key(file_key: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt or None, purpose).derive(file_key)


def _text(value: bytes) -> str:
    return b64encode(value).decode("ascii").rstrip("=")
