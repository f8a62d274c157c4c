"""The files of an export: one file, those of an archive, or those of a folder."""

from __future__ import annotations

import gzip
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from edge_agent.core.errors import DataFileError

HEAD_BYTES = 65_536
MAX_BYTES = 64 * 2**30
"""What all files of an archive may have unpacked; the largest exports have some gigabytes."""
MAX_MEMBERS = 200_000
MAX_INNER_BYTES = 2 * 2**30
"""Packed size of an archive within an archive."""
MAX_HELD_BYTES = 16 * 2**20
"""A larger one lies in a temporary file while it is read."""
GZIPPED = ".fit.gz"
DAMAGED_GZIP = (gzip.BadGzipFile, EOFError, zlib.error)
_DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error)


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an export.

    Attributes:
        name: its own name, without folders.
        size: how many bytes it has.
        open: opens it; closed by who opened it.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO]

    def head(self) -> bytes:
        """Return its first bytes."""
        with self.open() as file, suppress(*DAMAGED_GZIP):
            return file.read(HEAD_BYTES)
        return b""

    def unpacked(self) -> Member:
        """Return a packed FIT file as the file in it, anything else as it is."""
        if not self.name.lower().endswith(GZIPPED):
            return self
        return replace(self, open=lambda: cast("BinaryIO", _Gzipped(self.open())))


class _Gzipped(gzip.GzipFile):
    """A gzip file that closes the one that it reads."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(fileobj=file, mode="rb")
        self._packed = file

    def close(self) -> None:
        super().close()
        self._packed.close()


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn what the system and archives raise while a file is read into ``DataFileError``."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataFileError(f"{name}: no such file.") from error
    except OSError as error:
        raise DataFileError(f"{name}: cannot be read ({error.strerror or error}).") from error
    except (*_DAMAGED, EOFError, UnicodeDecodeError) as error:
        raise DataFileError(
            f"{name}: the archive is damaged ({error}). Nothing was imported; export it again."
        ) from error
    except (RuntimeError, NotImplementedError) as error:  # a password, or a rare way of packing
        raise DataFileError(
            f"{name}: cannot be unpacked here ({error}). Unpack it, and name the folder."
        ) from error


@contextmanager
def members_of(path: Path) -> Iterator[list[Member]]:
    """Give the files of an export for the length of the block, in order of their names.

    Raises:
        DataFileError: it is not there, cannot be read, or is an archive that is damaged or too
            large.
    """
    with ExitStack() as opened:
        with readable(str(path)):
            if path.is_dir():
                files = [_on_disk(file) for file in sorted(path.rglob("*")) if file.is_file()]
            elif zipfile.is_zipfile(path):
                files = _packed(path.name, opened.enter_context(zipfile.ZipFile(path)))
            else:
                files = [_on_disk(path)]
            members = [one for each in files for one in _inside(each, opened)]
        yield [member.unpacked() for member in members]


def _inside(member: Member, opened: ExitStack) -> list[Member]:
    """Return the files of an archive within an export, such as Garmin's; else the file itself."""
    if not member.name.lower().endswith(".zip"):
        return [member]
    if member.size > MAX_INNER_BYTES:
        raise DataFileError(
            f"{member.name}: the archive in the export is larger than {MAX_INNER_BYTES // 2**20} "
            "MiB. Unpack it, and name the folder."
        )
    with readable(member.name):
        # a packed file cannot be read from its middle, which an archive is
        copy = SpooledTemporaryFile(max_size=MAX_HELD_BYTES)  # noqa: SIM115 - the stack closes it
        opened.enter_context(copy)
        with member.open() as file:
            shutil.copyfileobj(file, copy)
        return _packed(member.name, opened.enter_context(zipfile.ZipFile(copy)))


def _on_disk(path: Path) -> Member:
    return Member(
        path.name, path.stat().st_size, cast("Callable[[], BinaryIO]", partial(path.open, "rb"))
    )


def _packed(name: str, archive: zipfile.ZipFile) -> list[Member]:
    files = [info for info in archive.infolist() if info.filename[-1:] not in {"", "/"}]
    if len(files) > MAX_MEMBERS or sum(info.file_size for info in files) > MAX_BYTES:
        raise DataFileError(
            f"{name}: unpacked it would have more than {MAX_BYTES // 2**30} GiB or "
            f"{MAX_MEMBERS:,} files. That is no export of one person."
        )
    return [
        Member(
            info.filename.rpartition("/")[2],
            info.file_size,
            cast("Callable[[], BinaryIO]", partial(archive.open, info)),
        )
        for info in sorted(files, key=lambda info: info.filename)
    ]
