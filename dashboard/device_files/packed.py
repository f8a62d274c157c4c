"""Uploaded files in memory, packed: a table of readings takes a fifth of its size."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, cast


@dataclass(frozen=True, slots=True)
class PackedBytes:
    """The bytes of a file, which never reach a disk.

    Attributes:
        content: packed by gzip.
        size: number of bytes when unpacked.
    """

    content: bytes
    size: int

    @classmethod
    def of(cls, file: BinaryIO) -> PackedBytes:
        """Pack an opened file, portion by portion, from where it stands."""
        begin, packed = file.tell(), BytesIO()
        # Level 1 takes a tenth of the time of level 9 and makes the result a third larger.
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as out:
            shutil.copyfileobj(file, out)
        return cls(packed.getvalue(), file.tell() - begin)

    def open(self) -> BinaryIO:
        """Open it; the caller closes it."""
        return cast("BinaryIO", gzip.GzipFile(fileobj=BytesIO(self.content), mode="rb"))

    def unpack(self) -> bytes:
        """Return all of its bytes."""
        with self.open() as file:
            return file.read()
