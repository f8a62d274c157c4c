"""Making an archive of the appliance, beside a running agent.

It holds the database, the configuration, and the files that the configuration names.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

import edge_agent
from edge_agent.appliance import archive
from edge_agent.appliance.archive import CONFIG, DASHBOARD, ArchivedSetting, ArchiveWriter, Manifest
from edge_agent.config.environment import ENV_PREFIX
from edge_agent.config.settings import Settings
from edge_agent.core import clock
from edge_agent.core.errors import BackupError
from edge_agent.core.files import room_in
from edge_agent.core.owners import as_owner_of, open_folder_given, open_given
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.database.copy import copy_database
from edge_agent.timeline.database.dashboard_file import (
    PROTOCOLS,
    dashboard_file,
    own_folder,
    read_as_owner,
)
from edge_agent.timeline.database.files import PREPARED, forget_cached_pages, translate_errors
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.export.age import new_lock
from edge_agent.timeline.upkeep.soundness import verify

_FOLDERS = frozenset({"dashboard.protocols"})
"""Keys of the configuration that name a folder."""
"""Space that the copy of the database, and an archive beside it, must leave free for recording."""
_LARGEST_FILE = 10_000_000_000
"""Bytes of a file in the data folder; a film of a protocol has 4 GB, a model 400 MB at most."""


@dataclass(frozen=True, slots=True)
class BackupFile:
    """A file that goes into an archive."""

    file: Path
    path: str


@dataclass(frozen=True, slots=True)
class Parts:
    """The files of an appliance, without its database.

    Attributes:
        sources: the configuration and all files that it names.
        settings: the keys that name them.
        left_out: sentences about files that they name and that do not exist.
        environment: names of the environment variables that override the configuration.
    """

    sources: tuple[BackupFile, ...]
    settings: tuple[ArchivedSetting, ...]
    left_out: tuple[str, ...]
    environment: tuple[str, ...]


def parts_of(
    settings: Settings, config: Path | None, data: Path, *, only_readable: bool = False
) -> Parts:
    """Find the files of an appliance.

    Args:
        settings: its configuration.
        config: the file that it was read from; ``None``: there is none.
        data: the data folder.
        only_readable: leave out what this user may not read, instead of refusing.

    Raises:
        BackupError: a file cannot be read.
        StoreError: this user may not read the data folder.
    """
    sources: dict[str, BackupFile] = {}
    named = []
    left_out = []
    if config is not None:
        sources[CONFIG] = BackupFile(config, CONFIG)
    with translate_errors(data):
        own = dashboard_file(data / DATABASE_NAME)
        if own.exists():
            sources[DASHBOARD] = BackupFile(own, DASHBOARD)
        sources |= {one.path: one for one in _own_protocols(own_folder(data) / PROTOCOLS)}
    for key, value in named_files(settings):
        file = Path(value).expanduser().absolute()
        if not file.exists():
            left_out.append(f"{key} = {value}: does not exist")
            continue
        if only_readable and not _is_readable(file):
            left_out.append(f"{key} = {value}: only root may read it")
            continue
        path = _place(file, key, data.absolute(), config)
        # Else a link there would have all files behind it archived.
        if path.startswith("data/") and file.is_dir() and key not in _FOLDERS:
            raise _not_followed(file)
        named.append(ArchivedSetting(key=key, value=value, path=path))
        for source in _files(file, path, is_model=key.startswith("vision.")):
            # Files may be named by several settings, such as one with certificate and key; they are
            # kept once.
            sources.setdefault(source.path, source)
    for source in sources.values():
        is_data = source.path.startswith("data/") and source.path != DASHBOARD
        if is_data and (source.file.is_symlink() or not source.file.is_file()):
            raise _not_followed(source.file)
        if not os.access(source.file, os.R_OK):
            raise BackupError(
                f"{source.file}: cannot be read, but the archive needs it. Run as root (sudo), or "
                "as the user that may read it. No archive was made."
            )
    environment = tuple(sorted(name for name in os.environ if name.startswith(ENV_PREFIX)))
    return Parts(tuple(sources.values()), tuple(named), tuple(left_out), environment)


def _is_readable(file: Path) -> bool:
    """Return whether this user may read a file, or a folder with all that lies in it."""
    inner = file.rglob("*") if file.is_dir() else ()
    return all(os.access(one, os.R_OK) for one in (file, *inner))


def named_files(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each key that names a file or folder of this machine, with its value."""
    for key in archive.FILE_KEYS:
        section, name = key.split(".")
        value = getattr(getattr(settings, section), name)
        # A name without a slash is that of a shipped model, which every appliance has.
        if value is not None and ("/" in str(value) or not key.startswith("vision.")):
            yield key, str(value)


def _own_protocols(folder: Path) -> Iterator[BackupFile]:
    """Yield the protocols that were made or brought in the browser, with their media."""
    for file in sorted(folder.glob("[!.]*/**/[!.]*")):
        # A link there may lead to what its owner may not read.
        if file.is_file() and not file.is_symlink():
            yield BackupFile(file, f"{archive.OWN_PROTOCOLS}/{file.relative_to(folder)}")


def _place(file: Path, key: str, data: Path, config: Path | None) -> str:
    """Return the path of a file in the archive, from its place on the appliance."""
    if file.is_relative_to(data) and file != data:
        # The data folder has files of the programs' own names, which a setting must not overwrite.
        path = f"data/{file.relative_to(data)}"
        if not archive.is_our_own(path):
            return path
    beside = None if config is None else config.absolute().parent
    if beside and file.is_relative_to(beside) and file != beside:
        path = f"config/{file.relative_to(beside)}"
        # The configuration has that name in the archive; a named file must not take its place. Nor
        # does an archive bring what a machine trusts.
        if path != CONFIG and not archive.is_trusted(path):
            return path
    return f"other/{key}/{file.name}"


def _files(file: Path, path: str, *, is_model: bool) -> Iterator[BackupFile]:
    """Yield a file, the files of a folder, or a model with its card."""
    if file.is_dir():
        for inner in sorted(file.rglob("*")):
            was_set_aside = ".replaced." in inner.name or inner.name.endswith(PREPARED)
            if inner.is_file() and not was_set_aside:
                yield BackupFile(inner, f"{path}/{inner.relative_to(file)}")
        return
    # A folder is named whole, a model is two files: card and network.
    yield BackupFile(file, path)
    for end in (".json", ".tflite"):
        beside = file.with_suffix(end)
        if is_model and beside != file and beside.is_file() and file.suffix != ".onnx":
            yield BackupFile(beside, str(Path(path).with_suffix(end)))


def make_backup(
    database: Path,
    parts: Parts,
    target: Path,
    device: str,
    passphrase: str | None = None,
    aside: Path | None = None,
) -> Manifest:
    """Write the files of the appliance into one archive, and read it back.

    The file gets its name when it is complete and verified; only its owner may read it.

    Args:
        database: of the appliance; an agent may record into it.
        parts: the other files.
        target: the archive; an older archive is replaced.
        device: name of the appliance.
        passphrase: locks the archive; ``None`` leaves it unlocked.
        aside: folder in which the database is copied meanwhile; ``None``: beside the database.

    Raises:
        BackupError: it cannot be written, a file cannot be read, or the disk is full.
        StoreError: the database cannot be read or is damaged.
    """
    # In the folder of the target, for a file can only be renamed within one disk.
    fresh = f".{target.name}.part"
    with _saying_why(target), _open_folder(target.parent) as folder:
        with suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=folder)
        # Refused where it exists: a link that another user laid there would be written through.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        handle = os.open(fresh, flags, 0o600, dir_fd=folder)
        try:
            with os.fdopen(handle, "w+b") as file:
                with _copy_of(database, aside or database.parent) as (copy, contents):
                    _check_space(target.parent, database, copy, parts)
                    _write(file, database, (copy, contents), parts, device, passphrase)
                # The check below must read the disk, not the pages that were just written.
                forget_cached_pages(Path(f"/proc/self/fd/{handle}"))
                # Read back before the old archive goes, by its handle: whose folder it is may
                # have exchanged what has its name.
                with archive.open_archive(target, lambda: passphrase or "", handle) as made:
                    manifest = made.manifest
                    made.check(manifest.files)
            os.replace(fresh, target.name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=folder)
            raise
    return manifest


@contextmanager
def _open_folder(folder: Path) -> Iterator[int]:
    """Open a folder once: its path may lead elsewhere a moment later."""
    handle = open_folder_given(folder)
    try:
        yield handle
    finally:
        os.close(handle)


def _write(
    file: IO[bytes],
    database: Path,
    copied: tuple[IO[bytes], archive.Inventory],
    parts: Parts,
    device: str,
    passphrase: str | None,
) -> None:
    lock = locked_key = None
    # One key for all files, and it alone is locked with the passphrase.
    if passphrase is not None:
        lock, locked_key = new_lock(passphrase)
    writer = ArchiveWriter(file, lock, locked_key)
    try:
        writer.close(_write_files(writer, database, copied, parts, device))
    except BaseException:
        writer.abandon()
        raise


def _write_files(
    writer: ArchiveWriter,
    database: Path,
    copied: tuple[IO[bytes], archive.Inventory],
    parts: Parts,
    device: str,
) -> Manifest:
    """Write each file; return the list of them."""
    copy, contents = copied
    files = [writer.add(archive.DATABASE, copy, private=False)]
    for source in parts.sources:
        if source.path == DASHBOARD:
            with read_as_owner(database) as connection:
                # A copy in memory: the file of the accounts is small, and may change while it is
                # read.
                accounts = BytesIO(connection.serialize())
                number = connection.execute("SELECT count(*) FROM account").fetchone()[0]
            contents = contents.model_copy(update={"accounts": number})
            files.append(writer.add(DASHBOARD, accounts, private=True))
        else:
            files.append(_add(writer, source.file, source.path))
    return Manifest(
        made=clock.iso_utc(clock.now().wall_ms),
        device=device,
        program=edge_agent.__version__,
        contents=contents,
        files=tuple(files),
        settings=parts.settings,
        left_out=parts.left_out,
        environment=parts.environment,
    )


def _add(writer: ArchiveWriter, file: Path, path: str) -> archive.ArchivedFile:
    # The dashboard's user may write into folders of the data folder: with a link there, the archive
    # would bring it a file that it may not read, once it is restored; a pipe would never end.
    is_data = path.startswith("data/")
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with as_owner_of(file):
            handle = os.open(file, flags | (os.O_NOFOLLOW if is_data else 0))
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise _not_followed(file) from error
    with os.fdopen(handle, "rb") as source:
        there = os.fstat(handle)
        if not stat.S_ISREG(there.st_mode):
            raise _not_followed(file)
        _refuse_too_large(file, path, there.st_size)
        return writer.add(path, source, private=there.st_mode & 0o077 == 0)


def _refuse_too_large(file: Path, path: str, size: int) -> None:
    """Refuse what only claims to be so large: a file of the agent's user may have no content."""
    if path.startswith("data/") and size > _LARGEST_FILE:
        raise BackupError(
            f"{file}: is larger than {_LARGEST_FILE:,} bytes, and nothing that the data folder "
            "keeps for the configuration has so many. See who made it, and delete it. No archive "
            "was made."
        )


def _not_followed(file: Path) -> BackupError:
    return BackupError(
        f"{file}: is a link, a folder or a pipe where a file has to be, so it was not read. Name "
        "the file itself in the configuration. No archive was made."
    )


@contextmanager
def _copy_of(database: Path, aside: Path) -> Iterator[tuple[IO[bytes], archive.Inventory]]:
    """Yield an open, verified copy of the database, and its inventory.

    The copy has no name any more by then, so nothing of it remains, however this process ends.
    Until then its name is one that an erasure finds.
    """
    copy = aside / f"{database.name}.backup-for-archive"
    with as_owner_of(database), translate_errors(database):
        try:
            with closing(connect(database, readonly=True)) as connection:
                pages = connection.execute("PRAGMA page_count").fetchone()[0]
                size = pages * connection.execute("PRAGMA page_size").fetchone()[0]
                # Asked before, for a full disk would also stop the agent's recording.
                # It has no name when it is read, and whoever has the archive can delete here.
                room = room_in(database.parent, is_needed=True)
                _require(database.parent, size, room, "to copy the database aside")
                copy_database(connection, copy)
            verify(copy)
            contents = archive.read_inventory(copy)
            # Opened, then unlinked in `finally`: the space is freed even if this process is killed.
            file = copy.open("rb")
        finally:
            copy.unlink(missing_ok=True)
    with file:
        yield file, contents


def _check_space(folder: Path, database: Path, copy: IO[bytes], parts: Parts) -> None:
    sizes = [source.file.stat().st_size for source in parts.sources]
    for source, size in zip(parts.sources, sizes, strict=True):
        _refuse_too_large(source.file, source.path, size)
    needed = os.fstat(copy.fileno()).st_size + sum(sizes)
    # A thousandth and a megabyte more: headers, the list, and the envelopes of locked files.
    needed += needed // 1000 + 1_000_000
    _require(folder, needed, room_in(folder, data=database.parent), "for the archive")


def _require(folder: Path, needed: int, room: int, what: str) -> None:
    if room < needed:
        raise BackupError(
            f"{folder}: {needed / 1e6:.0f} MB are needed {what}, and {max(0, room) / 1e6:.0f} MB "
            "may be written without touching what is reserved. Free space, or name a file on "
            "another disk. No archive was made."
        )


@contextmanager
def _saying_why(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            why = "the disk is full, or the file is too large for it. Free space, or use another"
        elif error.errno == errno.ENOENT:
            why = "there is no such folder. Make it, or name another"
        elif error.errno in {errno.ELOOP, errno.ENOTDIR} and error.filename == str(target.parent):
            why = "a link leads there from a folder of another user. Name the folder itself"
        else:
            why = f"cannot be written or read ({error.strerror or error}). Name another file"
        # The archive is written beside its place, under a name that nobody typed.
        named = error.filename if error.errno != errno.ENOENT else target
        raise BackupError(f"{named or target}: {why}. No archive was made.") from error


def check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse to overwrite a file, unless it is an older archive and ``overwrite`` is set.

    Raises:
        BackupError: the file exists and may not be replaced.
    """
    if target.is_dir():
        raise BackupError(f"{target}: is a folder. Name a file in it, such as {target}/affect.zip.")
    if not target.exists():
        return
    if not overwrite:
        raise BackupError(f"{target}: exists already. Name another file, or add --overwrite.")
    is_zip = False
    if target.is_file():  # a pipe would wait for who writes
        with _saying_why(target), os.fdopen(open_given(target), "rb") as file:
            is_zip = file.read(2) == b"PK"
    if not is_zip:
        raise BackupError(
            f"{target}: is not an archive of `affect-edge backup`, so it is not replaced. Name "
            "another file."
        )
