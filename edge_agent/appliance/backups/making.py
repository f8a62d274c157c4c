"""Making an archive of the appliance, beside a running agent."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

import edge_agent
from edge_agent.appliance.backups.archive import ArchiveWriter, open_archive
from edge_agent.appliance.backups.inventory import Inventory, read_inventory
from edge_agent.appliance.backups.manifest import DASHBOARD, DATABASE, ArchivedFile, Manifest
from edge_agent.appliance.backups.parts import Parts
from edge_agent.appliance.backups.passphrase import new_lock
from edge_agent.core import clock
from edge_agent.core.errors import BackupError
from edge_agent.store.database.dashboard_file import read_as_owner
from edge_agent.store.database.replacement import sync_folder
from edge_agent.store.database.schema import connect, copy_database
from edge_agent.store.database.sqlite_errors import translate_errors
from edge_agent.store.upkeep.verification import forget_cached_pages, verify

_SPARE_BYTES = 100_000_000
"""Space that the copy of the database must leave free in the data folder."""


def make_backup(
    database: Path, parts: Parts, target: Path, device: str, passphrase: str | None = None
) -> Manifest:
    """Write everything that makes the appliance into one file, and read it back.

    The file gets its name when it is complete and verified; only its owner may read it.

    Args:
        database: of the appliance; an agent may record into it.
        parts: the other files.
        target: the archive; one of ours in its place is replaced.
        device: name of the appliance.
        passphrase: locks the archive; ``None`` leaves it open.

    Raises:
        BackupError: it cannot be written, a file cannot be read, or the disk is full.
        StoreError: the database cannot be read or is damaged.
    """
    fresh = target.with_name(f".{target.name}.part")
    with _saying_why(target):
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "w+b") as file, _copy_of(database) as (copy, contents):
                _check_space(target.parent, copy, parts)
                _write(file, database, (copy, contents), parts, device, passphrase)
                forget_cached_pages(fresh)
            with open_archive(fresh, lambda: passphrase or "") as archive:
                manifest = archive.manifest
                archive.check(manifest.files)
            fresh.replace(target)
            sync_folder(target.parent)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
    return manifest


def _write(
    file: IO[bytes],
    database: Path,
    copied: tuple[IO[bytes], Inventory],
    parts: Parts,
    device: str,
    passphrase: str | None,
) -> None:
    lock = locked_key = None
    if passphrase is not None:
        lock, locked_key = new_lock(passphrase)
    writer = ArchiveWriter(file, lock, locked_key)
    copy, contents = copied
    files = [writer.add(DATABASE, copy, private=False)]
    for source in parts.sources:
        if source.path == DASHBOARD:
            with read_as_owner(database) as connection:
                accounts = BytesIO(connection.serialize())
            files.append(writer.add(DASHBOARD, accounts, private=True))
        else:
            files.append(_add(writer, source.file, source.path))
    writer.close(
        Manifest(
            made=clock.iso_utc(clock.now().wall_ms),
            device=device,
            program=edge_agent.__version__,
            contents=contents,
            files=tuple(files),
            settings=parts.settings,
            left_out=parts.left_out,
            environment=parts.environment,
        )
    )


def _add(writer: ArchiveWriter, file: Path, path: str) -> ArchivedFile:
    with file.open("rb") as source:
        private = os.fstat(source.fileno()).st_mode & 0o077 == 0
        return writer.add(path, source, private=private)


@contextmanager
def _copy_of(database: Path) -> Iterator[tuple[IO[bytes], Inventory]]:
    """Give a verified copy of the database, open, and what is in it.

    The copy has lost its name by then: nothing of it stays, however this process ends. Before, it
    has one that an erasure finds.
    """
    copy = database.with_name(f"{database.name}.backup-for-archive")
    with translate_errors(database):
        try:
            with closing(connect(database, readonly=True)) as connection:
                pages = connection.execute("PRAGMA page_count").fetchone()[0]
                size = pages * connection.execute("PRAGMA page_size").fetchone()[0]
                _require(database.parent, size + _SPARE_BYTES, "to copy the database aside")
                copy_database(connection, copy)
            verify(copy)
            contents = read_inventory(copy)
            file = copy.open("rb")
        finally:
            copy.unlink(missing_ok=True)
    with file:
        yield file, contents


def _check_space(folder: Path, copy: IO[bytes], parts: Parts) -> None:
    sizes = [source.file.stat().st_size for source in parts.sources]
    needed = os.fstat(copy.fileno()).st_size + sum(sizes)
    _require(folder, needed + needed // 1000 + 1_000_000, "for the archive")


def _require(folder: Path, needed: int, what: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BackupError(
            f"{folder}: {free / 1e6:.0f} MB are free, {needed / 1e6:.0f} MB are needed {what}. "
            "Free space, or name a file on another disk. No archive was made."
        )


@contextmanager
def _saying_why(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            why = "the disk is full, or takes no file so large. Free space, or name another disk"
        elif error.errno == errno.ENOENT:
            why = "there is no such folder. Make it, or name another"
        else:
            why = f"cannot be written or read ({error.strerror or error}). Name another file"
        raise BackupError(f"{error.filename or target}: {why}. No archive was made.") from error


def check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse to write over anything but an older archive, and over that unless it is wanted.

    Raises:
        BackupError: there is something else, or ``overwrite`` was not said.
    """
    if target.is_dir():
        raise BackupError(f"{target}: is a folder. Name a file in it, such as {target}/affect.zip.")
    if not target.exists():
        return
    if not overwrite:
        raise BackupError(f"{target}: is there already. Name another file, or say --overwrite.")
    with _saying_why(target), target.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    if not is_zip or not target.is_file():
        raise BackupError(f"{target}: is no archive of ours, so it is not replaced. Name another.")
