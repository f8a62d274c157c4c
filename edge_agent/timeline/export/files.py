"""Files and folders that appear under their name only when they are complete."""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.timeline.export.rows import RowBlock
from edge_agent.timeline.export.table_schemas import DESCRIPTION, FILES, unchanged_files

_UNFINISHED = ".part"
_MADE_S = 60.0
_FOLDER_ONLY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file to write into.

    It gets its name if the block succeeds, and is deleted if it raises. Only its owner may
    read it: it holds health data.

    Args:
        path: of a file that is not there yet; its folder is made when missing.

    Raises:
        StoreError: there is something at ``path``, or it cannot be written, or the disk is full.
    """
    check_new(path)
    with saying_why(path), folder_beside(path) as folder:
        unfinished = folder / "file"
        with open(unfinished, "xb", opener=partial(os.open, mode=0o600)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """Make a folder beside a file or folder, for what is not complete yet; it goes with the block.

    Only its owner may read it. What killed exports of the same name left is deleted first.

    Args:
        target: what is written; its folder is made when missing.

    Raises:
        OSError: it cannot be made.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep_beside(target)
    with tempfile.TemporaryDirectory(
        prefix=f".{target.name}-", suffix=_UNFINISHED, dir=target.parent
    ) as name:
        # The lock ends with the process, however it ends.
        held = os.open(name, _FOLDER_ONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(held)


def _sweep_beside(target: Path) -> None:
    """Delete the folders of earlier exports of a name whose processes have ended."""
    for left in target.parent.glob(f".{glob.escape(target.name)}-*{_UNFINISHED}"):
        with suppress(OSError):
            held = os.open(left, _FOLDER_ONLY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # one that another export has just made, and not locked yet
                if clock.now().wall_ms / 1000 - os.fstat(held).st_mtime > _MADE_S:
                    shutil.rmtree(left)
            finally:
                os.close(held)


def check_new(path: Path) -> None:
    """Refuse a name that is taken.

    Raises:
        StoreError: there is something at ``path``.
    """
    if path.exists():
        what = "is a folder" if path.is_dir() else "is there already"
        raise StoreError(f"{path}: {what}. Name a new file for the export.")


@contextmanager
def saying_why(target: Path) -> Iterator[None]:
    """Turn what the file system raises while an export is written into ``StoreError``."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            why = "the disk is full. Free space, or name a folder on another disk"
        else:
            why = (
                f"cannot be written ({error.strerror or error}). Name another folder, or free space"
            )
        raise StoreError(f"{target}: {why}. Nothing was exported.") from error


def check_target_folder(folder: Path, ending: str = "") -> None:
    """Refuse a folder whose files an export would delete or leave beside its own.

    An earlier export of the same format may be there, if nothing was changed or added since.

    Args:
        folder: the folder for the export; it may not be there.
        ending: of the files of the format, such as ``.csv``; empty: the folder must be empty.

    Raises:
        StoreError: it holds something else, or it cannot be read, or it is a file.
    """
    try:
        if not folder.exists():
            return
        if not folder.is_dir():
            raise StoreError(f"{folder}: is a file. Name a folder for the export.")
        foreign = _foreign_files(folder, ending)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be read ({error.strerror}). Name another folder."
        ) from error
    if foreign and not ending:
        raise StoreError(f"{folder}: is not empty. Name a new folder for the export.")
    if foreign:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        raise StoreError(
            f"{folder}: is not empty, and {', '.join(foreign[:3])}{more} would be lost or taken "
            "for a part of the export. Name a new folder. Only an earlier export of the same "
            "format to which nothing was changed or added is replaced."
        )


def _foreign_files(folder: Path, ending: str) -> list[str]:
    """Return the names in a folder that are not files of an unchanged export of a format."""
    there = sorted(folder.iterdir())
    ours = {f"{name}{ending}" for name in FILES} if ending else set()
    hashes = unchanged_files(folder / DESCRIPTION) if ours and there else None
    if hashes is None:
        return [path.name for path in there]
    return [
        path.name
        for path in there
        if path.name != DESCRIPTION
        and not (
            path.name in ours
            and path.is_file()
            and not path.is_symlink()
            and hashes.get(path.name) == f"sha256:{sha256_of(path)}"
        )
    ]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a folder to write into; its files get their place when the block ends well.

    What is in ``target`` was accepted by ``check_target_folder``: files of the same names.

    Raises:
        StoreError: it cannot be written, or the disk is full.
    """
    with saying_why(target), folder_beside(target) as folder:
        staged = folder / "staged"
        staged.mkdir()
        yield staged
        if not target.exists():
            staged.rename(target)
            return
        for file in staged.iterdir():
            file.replace(target / file.name)


def move_into_zip(files: Iterable[Path], folder: Path, out: Path | IO[bytes]) -> None:
    """Put the files of a folder into a new zip as they are; each is deleted when it is in."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            archive.write(file, file.relative_to(folder))
            file.unlink()


def write_blocks(file: IO[bytes], blocks: Iterable[RowBlock]) -> tuple[int, str, int]:
    """Write blocks into an open file; return bytes, SHA-256 and rows.

    A second thread encodes, compresses and writes one block while the next one is read: neither
    needs Python's lock for long.
    """
    digest = hashlib.sha256()
    size = 0
    rows = 0

    def write(data: bytes) -> None:
        file.write(data)
        digest.update(data)

    with ThreadPoolExecutor(1, thread_name_prefix="export-write") as writer:
        writing = writer.submit(write, b"")
        for block in blocks:
            data = block.text.encode()
            size += len(data)
            rows += block.rows
            writing.result()
            writing = writer.submit(write, data)
        writing.result()
    return size, digest.hexdigest(), rows
