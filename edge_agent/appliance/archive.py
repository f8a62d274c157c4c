"""The archive of an appliance: a ZIP file with a list, stored without compression and sealed.

Its last 64 characters are the SHA-256 of everything before them, so that no bit can change unseen
(``head -c -64 FILE | sha256sum``). Nothing is compressed: what an archive says of its size is so,
and it cannot swell. The list says what is in it, where it came from, and the SHA-256 of each file.
``docs/backup.md`` describes it for those who have no Affect Edge.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sqlite3
import stat
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import BackupError, StoreError
from edge_agent.core.owners import as_owner_of, open_given
from edge_agent.timeline.database.dashboard_file import FILE_NAME as DASHBOARD_NAME
from edge_agent.timeline.database.files import PREPARED, refuse_pipe, translate_errors
from edge_agent.timeline.database.schema import APPLICATION_ID, DATABASE_NAME
from edge_agent.timeline.database.tables import TIMELINE, Move
from edge_agent.timeline.database.untrusted_file import set_bounds
from edge_agent.timeline.export.age import Lock, Readable, Writable, open_lock

# ruff: noqa: S608 - only our own names are put into SQL text


_TIMED = tuple(table.name for table in TIMELINE if table.move is Move.ROWS)
DATABASE = f"data/{DATABASE_NAME}"
DASHBOARD = f"data/{DASHBOARD_NAME}"
CONFIG = "config/affect-edge.toml"
OWN_PROTOCOLS = "data/own-protocols"
"""Protocols that were made or brought in the browser, wherever the dashboard's folder is."""
ROOTS = ("data", "config", "other")
"""First parts of paths: below the data folder, beside the configuration, anywhere else."""
FILE_KEYS = (
    "dashboard.certificate",
    "dashboard.key",
    "dashboard.protocols",
    "mqtt.password_file",
    "mqtt.ca_file",
    "mqtt.client_certificate",
    "mqtt.client_key",
    "vision.expression_model",
    "vision.detector_model",
    "alerts.notify_file",
)
"""Keys of the configuration that name a file or folder which the appliance needs."""
_MOST_FILES = 100_000
_OWN = {"live.sock", "exports", "from-backup", DASHBOARD_NAME}
_TRUSTED = {
    *("release-signers", "release-revoked", "release-signers.d"),
    *("parts", "parts.before", "packages", "user", "web-user"),
}
"""Names beside the configuration of what says whom and what this machine trusts."""
MANIFEST = "manifest.json"
KEY = "key.age"
LOCKED = ".age"
SEAL_CHARACTERS = 64
_CHUNK = 1 << 20
_LARGEST_MANIFEST = 64 << 20
_LARGEST_KEY = 10_000
_AGAIN = "Nothing was changed. Take another copy of the archive, or another archive."


class Inventory(BaseModel):
    """The contents of a database, in numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = Field(ge=0, description="Version of its schema")
    participants: int = Field(ge=0, description="Participants")
    sessions: int = Field(ge=0, description="Sessions")
    accounts: int = Field(0, ge=0, description="Accounts of the dashboard, in an archive")
    rows: int = Field(
        ge=0, description="Rows of the timeline: expressions, movements, unfit frames, vitals"
    )
    newest: str | None = Field(description="Time of the newest of these rows, UTC")

    @property
    def sentence(self) -> str:
        """A sentence about the contents, for people."""
        newest = f"newest row {self.newest}" if self.newest else "no row"
        # they lie in a database of their own, which archives hold and daily copies do not
        accounts = f"{self.accounts} accounts, " if self.accounts else ""
        return (
            f"{self.participants:,} participants, {self.sessions:,} sessions, {self.rows:,} rows, "
            f"{newest}, {accounts}schema {self.schema_version}"
        )


def open_as_it_is(path: Path) -> sqlite3.Connection:
    """Open a database of Affect Edge for reading, without making a file beside it.

    Raises:
        StoreError: it is a database of another program.
        sqlite3.Error: it cannot be opened or read.
    """
    refuse_pipe(path)
    how = "mode=ro"
    if not path.with_name(f"{path.name}-wal").exists():
        # Without a WAL the file is taken as immutable: SQLite then makes no -shm file beside it,
        # which a write-protected stick would refuse.
        how = "mode=ro&immutable=1"  # a stick may be write-protected
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?{how}", uri=True)
    try:
        set_bounds(path, connection)
        connection.row_factory = sqlite3.Row
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise StoreError(f"{path}: is a database, but not one of Affect Edge.")
    except BaseException:
        connection.close()
        raise
    return connection


def read_inventory(path: Path) -> Inventory:
    """Count what is in a database.

    Raises:
        StoreError: it is damaged, not one of ours, or cannot be read.
    """
    with as_owner_of(path), translate_errors(path), closing(open_as_it_is(path)) as connection:
        # Asked for first: a database of an earlier schema lacks some of the tables.
        there = {
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        }

        def count(table: str) -> int:
            if table not in there:
                return 0
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

        times = [
            connection.execute(f"SELECT max(at) FROM {table}").fetchone()[0]
            for table in _TIMED
            if table in there
        ]
        newest = max((time for time in times if time is not None), default=None)
        return Inventory(
            schema_version=connection.execute("PRAGMA user_version").fetchone()[0],
            participants=count("participant"),
            sessions=count("session"),
            rows=sum(count(table) for table in _TIMED),
            newest=_time_text(newest),
        )


def _time_text(wall_ms: int | None) -> str | None:
    try:
        return None if wall_ms is None else iso_utc(wall_ms)
    except (ValueError, OverflowError, OSError):  # no clock has ever shown such a time
        return None


def _plain(text: str) -> str:
    parts = PurePosixPath(text).parts
    odd = not text.isprintable() or "\\" in text or "//" in text
    # Normal form only: what Python would shorten could otherwise name a file twice.
    if odd or len(parts) < 2 or parts[0] not in ROOTS or ".." in parts or "." in text.split("/"):
        raise ValueError("is no path below data/, config/ or other/")
    return text


ArchivePath = Annotated[str, Field(max_length=1000), AfterValidator(_plain)]


class ArchiveTable(BaseModel):
    """The rules that all tables of the list have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ArchivedFile(ArchiveTable):
    """A file of the archive."""

    path: ArchivePath = Field(description="Its path in the archive")
    bytes: int = Field(ge=0, description="Its size")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of its content")
    private: bool = Field(description="Whether only its owner could read it")


class ArchivedSetting(ArchiveTable):
    """A key of the configuration that names a file or folder."""

    key: Literal[FILE_KEYS] = Field(description="Section and key")  # type: ignore[valid-type]
    value: str = Field(max_length=4096, description="Its value: where it lay on the appliance")
    path: ArchivePath = Field(description="Where it is in the archive")


class Manifest(ArchiveTable):
    """The table of contents of an archive."""

    format: Literal["affect-edge-backup"] = "affect-edge-backup"
    format_version: Literal[1] = 1
    made: str = Field(max_length=40, description="When, UTC")
    device: str = Field(max_length=40, description="Name of the appliance")
    program: str = Field(max_length=40, description="Version of Affect Edge that made it")
    contents: Inventory = Field(description="What is in the database")
    files: tuple[ArchivedFile, ...] = Field(max_length=_MOST_FILES, description="Every file")
    settings: tuple[ArchivedSetting, ...] = Field(
        (), max_length=len(FILE_KEYS), description="Files that the settings name"
    )
    left_out: tuple[str, ...] = Field((), description="What the settings name and was not there")
    environment: tuple[str, ...] = Field(
        (), description="Names of environment variables that were laid over the configuration"
    )

    @model_validator(mode="after")
    def _only_what_belongs_to_an_appliance(self) -> Manifest:
        paths = [file.path for file in self.files]
        if DATABASE not in paths or len(set(paths)) < len(paths):
            raise ValueError(f"lists a path twice, or no {DATABASE}")
        allowed = {DATABASE, DASHBOARD, CONFIG}
        named = [OWN_PROTOCOLS, *(setting.path for setting in self.settings)]
        for path in paths:
            if path in allowed:
                continue
            if is_trusted(path):
                raise ValueError(f"{path} says whom a machine trusts, which no archive brings")
            # A foreign archive could otherwise bring a WAL of its own, which SQLite would play into
            # the restored database.
            if not any(belongs_to(path, name) for name in named) or is_our_own(path):
                raise ValueError(f"{path} belongs to no setting")
        return self

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)


def belongs_to(path: str, setting: str) -> bool:
    """Return whether a path is that of a setting, lies in it, or is the model beside its card."""
    place = PurePosixPath(setting)
    mine = PurePosixPath(path)
    # Only files of a model may lie beside what a setting names; anything else could be smuggled in.
    beside = mine.suffix in {".json", ".tflite"} and mine.with_suffix("") == place.with_suffix("")
    return mine == place or place in mine.parents or beside


def is_our_own(path: str) -> bool:
    """Return whether a path is a file that the programs themselves keep in the data folder."""
    parts = PurePosixPath(path).parts
    return parts[0] == "data" and (parts[1].startswith("affect-edge.") or parts[1] in _OWN)


def is_trusted(path: str) -> bool:
    """Return whether a path is a file by which updates and the installer know what to trust.

    An archive brings none: whoever made it could otherwise sign releases for this machine.
    """
    root, name, *_ = PurePosixPath(path).parts
    # Under the name of a prepared file, the configuration itself would be exchanged.
    return root == "config" and (name in _TRUSTED or name.endswith(PREPARED))


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
        # First, so that a reader can ask for the passphrase before anything else.
        if locked_key is not None:
            self._zip.writestr(_member(KEY), locked_key)

    def add(self, path: str, source: Readable, *, private: bool) -> ArchivedFile:
        """Write a file; return its entry for the list."""
        reader = _Counted(source)
        self._write(path, reader)
        return ArchivedFile(
            path=path, bytes=reader.bytes, sha256=reader.digest.hexdigest(), private=private
        )

    def abandon(self) -> None:
        """Leave the file as it is: the ZIP file would write its end when it is forgotten, into a
        file that is closed by then.
        """
        self._zip.fp = None

    def close(self, manifest: Manifest) -> None:
        """Write the list and the seal."""
        self._write(MANIFEST, io.BytesIO(manifest.model_dump_json(indent=2).encode()))
        # The seal is the comment of the ZIP file, its very last bytes, which unzip ignores. Zeros
        # hold its place, so that the length in the end record is right before the hash is taken.
        self._zip.comment = b"0" * SEAL_CHARACTERS
        self._zip.close()
        seal = _digest(self._file).encode("ascii")
        self._file.seek(-SEAL_CHARACTERS, os.SEEK_END)
        self._file.write(seal)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _write(self, path: str, source: Readable) -> None:
        name = path if self._lock is None else path + LOCKED
        # The size is not known beforehand, and the header must leave room for a large one.
        with self._zip.open(_member(name), "w", force_zip64=True) as member:
            if self._lock is None:
                shutil.copyfileobj(source, member, _CHUNK)
            else:
                self._lock.encrypt(source, member)


class Archive:
    """An archive whose seal and list were verified."""

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
        """Whether the archive is locked with a passphrase."""
        return self._lock is not None

    def extract(self, file: ArchivedFile, target: Writable) -> None:
        """Extract a file of the archive, and compare it with the list.

        Raises:
            BackupError: it differs from the list; the target must not be used then.
        """
        written = self._copy(file.path, target, file.bytes)
        if (written.bytes, written.digest.hexdigest()) != (file.bytes, file.sha256):
            raise BackupError(
                f"{self._path}: its file {file.path} differs from the archive's list, so the "
                f"archive is damaged or was changed. {_AGAIN}"
            )

    def check(self, files: Iterable[ArchivedFile]) -> None:
        """Read files and compare them with the list.

        Raises:
            BackupError: one of them differs from the list.
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
        # zipfile raises NotImplementedError for a compression that it does not know, and
        # RuntimeError for an encrypted member.
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise BackupError(f"{self._path}: {path} in it is damaged. {_AGAIN}") from error
        return writer

    def _member(self, path: str) -> IO[bytes]:
        """Open a file of the archive.

        Raises:
            KeyError: there is no such file.
            BackupError: the archive's directory points to a wrong place.
        """
        try:
            # A locked file is another name in the archive: one that was left open cannot pass for
            # it.
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
        # Both ways: what the list lacks, and what the archive lacks.
        odd = wanted ^ set(self._zip.namelist())
        # A zip file may hold a name twice, which a set does not show.
        if odd or len(self._zip.namelist()) != len(wanted):
            raise BackupError(
                f"{self._path}: its list and its files differ "
                f"({', '.join(sorted(odd)[:3]) or 'a file twice'}). {_AGAIN}"
            )


@contextmanager
def open_archive(
    path: Path, ask_passphrase: Callable[[], str], handle: int | None = None
) -> Iterator[Archive]:
    """Open an archive after reading all of it for its seal.

    Args:
        path: the file.
        ask_passphrase: called if the archive is locked.
        handle: the open file, which stays open; ``None``: it is opened.

    Raises:
        BackupError: it cannot be read, is no archive, damaged, or the passphrase is wrong.
    """
    with ExitStack() as opened:
        try:
            number = open_given(path) if handle is None else os.dup(handle)
            file = opened.enter_context(os.fdopen(number, "rb"))
            _check_seal(path, file)
            zip_file = opened.enter_context(zipfile.ZipFile(file))
            # Before anything is read: the members tell whether another program made the archive.
            for member in zip_file.infolist():
                _check_member(path, member)
            archive = Archive(path, zip_file, _lock_of(zip_file, ask_passphrase))
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
            raise BackupError(
                f"{path}: is not an archive of `affect-edge backup`, or is damaged ({error}). "
                f"{_AGAIN}"
            ) from error
        except OSError as error:
            raise BackupError(
                f"{error.filename or path}: {error.strerror or error}. Nothing was changed."
            ) from error
        yield archive


def _check_seal(path: Path, file: IO[bytes]) -> None:
    size = file.seek(0, os.SEEK_END)
    # A file shorter than a seal is read from its start.
    file.seek(max(0, size - SEAL_CHARACTERS))
    seal = file.read(SEAL_CHARACTERS)
    if seal != _digest(file).encode("ascii"):
        file.seek(0)
        # Only to say it rightly: another file, or an archive that is damaged.
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
    """Refuse members that our own archives never contain."""
    # APPNOTE.TXT 4.4.15: the upper 16 bits are the Unix mode; 4.4.4: bit 0 of the flags is
    # encryption.
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
    """Return the header of a private member, without a time, since the clock may be unset."""
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFREG | 0o600) << 16
    return member


class _Counted:
    """A file that counts and hashes the bytes that pass, up to a limit."""

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
        # At once and not at the end: the disk would be full of it by then.
        if self._most is not None and self.bytes > self._most:
            raise BackupError(f"{self._path}: a file in it is larger than its list says. {_AGAIN}")
