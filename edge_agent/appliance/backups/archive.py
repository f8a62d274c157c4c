"""The archive of an appliance: a ZIP file with a list, stored without compression and sealed.

Its last 64 characters are the SHA-256 of everything before them, so that no bit can change unseen
(``head -c -64 FILE | sha256sum``). Nothing is compressed: what an archive says of its size is so,
and it cannot swell. ``docs/backup.md`` describes it for those who have no Affect Edge.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from edge_agent.appliance.backups.manifest import ArchivedFile, Manifest
from edge_agent.appliance.backups.passphrase import Lock, Readable, Writable, open_lock
from edge_agent.core.errors import BackupError

MANIFEST = "manifest.json"
KEY = "key.age"
LOCKED = ".age"
SEAL_CHARACTERS = 64
_CHUNK = 1 << 20
_LARGEST_MANIFEST = 64 << 20
_LARGEST_KEY = 10_000
_AGAIN = "Nothing was changed. Take another copy of the archive, or another archive."


class ArchiveWriter:
    """Writes an archive from its first byte to its seal.

    Args:
        file: open for reading and writing, empty.
        lock: locks every file; ``None`` leaves them open.
        locked_key: the key of ``lock``, locked with the passphrase.
    """

    def __init__(
        self, file: IO[bytes], lock: Lock | None = None, locked_key: bytes | None = None
    ) -> None:
        self._file = file
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._lock = lock
        if locked_key is not None:
            self._zip.writestr(_member(KEY), locked_key)

    def add(self, path: str, source: Readable, *, private: bool) -> ArchivedFile:
        """Write a file; return what the list says of it."""
        reader = _Counted(source)
        self._write(path, reader)
        return ArchivedFile(
            path=path, bytes=reader.bytes, sha256=reader.digest.hexdigest(), private=private
        )

    def close(self, manifest: Manifest) -> None:
        """Write the list and the seal."""
        self._write(MANIFEST, io.BytesIO(manifest.model_dump_json(indent=2).encode()))
        self._zip.comment = b"0" * SEAL_CHARACTERS
        self._zip.close()
        seal = _digest(self._file).encode("ascii")
        self._file.seek(-SEAL_CHARACTERS, os.SEEK_END)
        self._file.write(seal)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _write(self, path: str, source: Readable) -> None:
        name = path if self._lock is None else path + LOCKED
        with self._zip.open(_member(name), "w", force_zip64=True) as member:
            if self._lock is None:
                shutil.copyfileobj(source, member, _CHUNK)
            else:
                self._lock.encrypt(source, member)


class Archive:
    """An archive whose seal and list are right."""

    def __init__(self, path: Path, zip_file: zipfile.ZipFile, lock: Lock | None) -> None:
        self._path = path
        self._zip = zip_file
        self._lock = lock
        text = io.BytesIO()
        self._copy(MANIFEST, text, _LARGEST_MANIFEST)
        try:
            self.manifest = Manifest.model_validate_json(text.getvalue())
        except ValidationError as error:
            what = error.errors()[0]
            where = ".".join(str(part) for part in what["loc"][:3])
            raise BackupError(
                f"{path}: its {MANIFEST} is not one that this version of Affect Edge knows "
                f"({where}: {what['msg']}). {_AGAIN}"
            ) from error
        self._check_members()

    @property
    def is_locked(self) -> bool:
        """Whether a passphrase opened it."""
        return self._lock is not None

    def extract(self, file: ArchivedFile, target: Writable) -> None:
        """Write a file of the archive, and compare it with the list.

        Raises:
            BackupError: it is not what the list says; the target is worth nothing then.
        """
        written = self._copy(file.path, target, file.bytes)
        if (written.bytes, written.digest.hexdigest()) != (file.bytes, file.sha256):
            raise BackupError(
                f"{self._path}: {file.path} in it is not what its list says: the archive is "
                f"damaged or was changed. {_AGAIN}"
            )

    def check(self, files: Iterable[ArchivedFile]) -> None:
        """Read files and compare them with the list.

        Raises:
            BackupError: one of them is not what the list says.
        """
        with Path(os.devnull).open("wb") as nowhere:
            for file in files:
                self.extract(file, nowhere)

    def _copy(self, path: str, target: Writable, most: int) -> _Counted:
        writer = _Counted(target, self._path, most)
        try:
            with self._member(path) as member:
                if self._lock is None:
                    shutil.copyfileobj(member, writer, _CHUNK)
                else:
                    self._lock.decrypt(member, writer)
        except KeyError as error:
            raise BackupError(f"{self._path}: holds no {path}. {_AGAIN}") from error
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise BackupError(f"{self._path}: {path} in it is damaged. {_AGAIN}") from error
        return writer

    def _member(self, path: str) -> IO[bytes]:
        """Open a file of the archive.

        Raises:
            KeyError: there is none.
            BackupError: its place in the archive is none.
        """
        try:
            return self._zip.open(path + LOCKED * self.is_locked)
        except (OSError, ValueError, struct.error) as error:
            raise BackupError(
                f"{self._path}: {path} in it cannot be read ({error}). {_AGAIN}"
            ) from error

    def _check_members(self) -> None:
        end = LOCKED * self.is_locked
        wanted = {f"{path}{end}" for path in (MANIFEST, *(f.path for f in self.manifest.files))}
        if self.is_locked:
            wanted.add(KEY)
        odd = wanted ^ set(self._zip.namelist())
        if odd or len(self._zip.namelist()) != len(wanted):
            raise BackupError(
                f"{self._path}: its list and what is in it differ "
                f"({', '.join(sorted(odd)[:3]) or 'a file twice'}). {_AGAIN}"
            )


@contextmanager
def open_archive(path: Path, ask_passphrase: Callable[[], str]) -> Iterator[Archive]:
    """Open an archive after reading all of it for its seal.

    Args:
        path: the file.
        ask_passphrase: called where one is needed.

    Raises:
        BackupError: it cannot be read, is no archive, damaged, or the passphrase is wrong.
    """
    with ExitStack() as opened:
        try:
            file = opened.enter_context(path.open("rb"))
            _check_seal(path, file)
            zip_file = opened.enter_context(zipfile.ZipFile(file))
            for member in zip_file.infolist():
                _check_member(path, member)
            archive = Archive(path, zip_file, _lock_of(zip_file, ask_passphrase))
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
            raise BackupError(
                f"{path}: is no archive of ours, or damaged ({error}). {_AGAIN}"
            ) from error
        except OSError as error:
            raise BackupError(
                f"{error.filename or path}: {error.strerror or error}. Nothing was changed."
            ) from error
        yield archive


def _check_seal(path: Path, file: IO[bytes]) -> None:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - SEAL_CHARACTERS))
    seal = file.read(SEAL_CHARACTERS)
    if seal != _digest(file).encode("ascii"):
        file.seek(0)
        if file.read(2) != b"PK":
            raise BackupError(
                f"{path}: is no archive that `affect-edge backup` made. Nothing was changed; name "
                "such an archive, or a copy of the database."
            )
        raise BackupError(f"{path}: is damaged or not complete: its checksum is wrong. {_AGAIN}")


def _digest(file: IO[bytes]) -> str:
    """Return the SHA-256 of everything before the seal."""
    left = file.seek(0, os.SEEK_END) - SEAL_CHARACTERS
    file.seek(0)
    digest = hashlib.sha256()
    while left > 0:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            break
        left -= len(chunk)
        digest.update(chunk)
    return digest.hexdigest()


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    """Refuse what our own archives never hold."""
    kind = stat.S_IFMT(member.external_attr >> 16)
    stored = member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1
    if member.is_dir() or kind not in {0, stat.S_IFREG} or not stored:
        raise BackupError(
            f"{path}: holds {member.filename[:80]!r}, which is compressed, encrypted or no plain "
            f"file: no `affect-edge backup` writes such a thing. {_AGAIN}"
        )


def _lock_of(zip_file: zipfile.ZipFile, ask_passphrase: Callable[[], str]) -> Lock | None:
    if KEY not in zip_file.namelist():
        return None
    with zip_file.open(KEY) as member:
        return open_lock(member.read(_LARGEST_KEY), ask_passphrase())


def _member(name: str) -> zipfile.ZipInfo:
    """Return the head of a member: no time, for the clock may be unset, and private."""
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFREG | 0o600) << 16
    return member


class _Counted:
    """A file that counts and hashes what passes, and takes no more than it may."""

    def __init__(
        self, file: Readable | Writable, path: Path | None = None, most: int | None = None
    ) -> None:
        self._file: Any = file
        self._path = path
        self._most = most
        self.bytes = 0
        self.digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        chunk: bytes = self._file.read(size)
        self._count(chunk)
        return chunk

    def write(self, chunk: bytes, /) -> int:
        self._count(chunk)
        written: int = self._file.write(chunk)
        return written

    def flush(self) -> None:
        self._file.flush()

    def _count(self, chunk: bytes) -> None:
        self.bytes += len(chunk)
        self.digest.update(chunk)
        if self._most is not None and self.bytes > self._most:
            raise BackupError(f"{self._path}: a file in it is larger than its list says. {_AGAIN}")
