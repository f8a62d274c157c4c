"""Files that only a passphrase opens, in the format of `age` (age-encryption.org/v1).

The passphrase locks a key (`key.age`), and the key locks the files: so large ones pass through in
pieces, and a wrong passphrase is known at once. `age --decrypt --identity key.age FILE.age` opens
them without this program.
"""

from __future__ import annotations

from typing import Protocol

from edge_agent.core.errors import BackupError

SHORTEST = 8
_TRIES = 5
_TOO_MUCH_WORK = "Excessive work"


class Readable(Protocol):
    """A file that is read in pieces."""

    def read(self, size: int = ..., /) -> bytes:
        """Return the next piece, empty at the end."""


class Writable(Protocol):
    """A file that is written in pieces."""

    def write(self, chunk: bytes, /) -> int:
        """Write a piece; return how many bytes of it."""

    def flush(self) -> None:
        """Hand on what was written."""


class Lock:
    """A key that locks and opens files.

    Args:
        key: as age writes it, ``AGE-SECRET-KEY-1…``.
    """

    def __init__(self, key: str) -> None:
        from pyrage import x25519

        self._identity = x25519.Identity.from_str(key)

    def encrypt(self, source: Readable, target: Writable) -> None:
        """Write a file locked."""
        import pyrage

        pyrage.encrypt_io(source, target, [self._identity.to_public()])

    def decrypt(self, source: Readable, target: Writable) -> None:
        """Write a locked file open.

        Raises:
            BackupError: it is damaged, or was locked with another key.
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
    """Make a key; return it, and itself locked with the passphrase.

    Raises:
        BackupError: the passphrase is too short.
    """
    from pyrage import x25519

    from edge_agent.store.export.locked_key import lock_key

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
            # pyrage measures the machine, and refuses what would take it sixteen seconds
            if _TOO_MUCH_WORK not in str(error):
                raise BackupError(
                    "The passphrase does not open this archive. Nothing was changed; try again, "
                    "with the passphrase that was given when it was made."
                ) from error
    raise BackupError(
        "This machine is too slow, or too busy just now, to try the passphrase: the archive was "
        "made by one that is much quicker. Nothing was changed; try again when less runs here, or "
        "open the archive with `age` on a quicker machine (docs/backup.md)."
    )
