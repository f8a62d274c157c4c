"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from edge_agent.core.errors import StoreError


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write into.

    It gets its name when the block ends well, and is gone when it does not.

    Only its owner may read it: it holds health data.

    Args:
        path: of a file that is not there yet; its folder is made when missing.

    Raises:
        StoreError: there is something at ``path``, or it cannot be written, or the disk is full.
    """
    if path.exists():
        what = "is a folder" if path.is_dir() else "is there already"
        raise StoreError(f"{path}: {what}. Name a new file for the export.")
    with saying_why(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            prefix=f".{path.name}-", suffix=".part", dir=path.parent, delete=False
        ) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).rename(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise


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
