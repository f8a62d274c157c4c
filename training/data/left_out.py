"""The list of pictures that somebody decided to leave out of a training.

It is a table as ``data-problems`` writes it, which a person may have changed since. Of its columns
three are read: ``picture`` (the row of a table, whose header is row 1, or the place of a file in
its folder), ``leave_out`` (yes or no) and ``crc32`` of the picture, by which a list of other data
is known.
"""

import logging
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.datasets import Faces, FolderOfFaces, load_faces, read_folder
from training.data.tables import table_rows
from training.errors import DataError

log = logging.getLogger(__name__)

COLUMNS = ("picture", "usage", "problem", "other", "what", "leave_out", "crc32")
YES, NO = "yes", "no"
FIRST_ROW = 2
"""Row of the first picture of a table, below its header."""


def load_without(data: Path, votes: Path | None, cache: Path | None, listed: Path | None) -> Faces:
    """Read faces as :func:`load_faces` does, without those that a list leaves out.

    Args:
        data: table or folder.
        votes: FER+ votes of a table, or None.
        cache: folder for the parsed table, or None.
        listed: the list; None: everything is read.

    Raises:
        DataError: the data or the list cannot be used, the list is of other data, or it leaves
            nothing.
    """
    if data.is_dir() and votes is None:
        return folder_without(data, listed).faces
    faces = load_faces(data, votes, cache=cache)
    if listed is None:
        return faces
    return faces.take(_left(listed, data, names_of_rows(len(faces)), faces.pictures))


def folder_without(folder: Path, listed: Path | None) -> FolderOfFaces:
    """Read a folder of faces as :func:`read_folder` does, without those that a list leaves out.

    Raises:
        DataError: as for :func:`load_without`.
    """
    read = read_folder(folder)
    for path in read.unreadable:
        log.warning("%s: is not a picture that can be read; it is left out", path)
    if listed is None:
        return read
    left = _left(listed, folder, names_of_files(folder, read.files), read.faces.pictures)
    files = tuple(path for path, stays in zip(read.files, left, strict=True) if stays)
    return replace(read, faces=read.faces.take(left), files=files)


def names_of_rows(count: int) -> list[str]:
    """What a list calls the pictures of a table: the numbers of their rows."""
    return [str(FIRST_ROW + at) for at in range(count)]


def names_of_files(folder: Path, files: tuple[Path, ...]) -> list[str]:
    """What a list calls the pictures of a folder: their places in it."""
    return [path.relative_to(folder).as_posix() for path in files]


def checksum(picture: NDArray[np.uint8]) -> str:
    """CRC-32 of a picture's pixels, as a list says it."""
    return f"{zlib.crc32(picture.tobytes()):08x}"


def _left(
    listed: Path, data: Path, names: list[str], pictures: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """Which pictures a list leaves: bool, N."""
    left = np.ones(len(names), dtype=bool)
    left[_listed(listed, data, names, pictures)] = False
    if not left.any():
        raise DataError(f"{listed}: leaves out every picture of {data}; nothing is left to learn")
    log.info("%s: %d of %d pictures are left out", listed, np.count_nonzero(~left), len(left))
    return left


def _listed(listed: Path, data: Path, names: list[str], pictures: NDArray[np.uint8]) -> list[int]:
    """The indices that a list leaves out; a file that is gone since needs no leaving out."""
    places = {name: at for at, name in enumerate(names)}
    chosen = []
    for row, cells in table_rows(listed, ("picture", "leave_out", "crc32")):
        choice = cells["leave_out"].strip().lower()
        if choice not in {YES, NO}:
            raise DataError(
                f"{listed}: row {row}, column leave_out: {cells['leave_out'][:40]!r} is neither "
                f"{YES} nor {NO}"
            )
        if choice == NO:
            continue
        name = cells["picture"].strip()
        at = places.get(name)
        if at is None:
            if data.is_dir() and not name.isdecimal():
                log.warning("%s: row %d: %s is not there any more", listed, row, name)
                continue
            raise DataError(
                f"{listed}: row {row}, column picture: {name[:80]!r} is no picture of {data}; is "
                "the list of other data?"
            )
        if cells["crc32"].strip() != checksum(pictures[at]):
            raise DataError(
                f"{listed}: row {row}: picture {name} of {data} is another one than when the list "
                f"was made; make it again: python -m training data-problems {data}"
            )
        chosen.append(at)
    return chosen
