"""Labelled faces: the FER2013 table, the FER+ votes beside it, or a folder of pictures.

Tables are CSV, plain or compressed, read row by row. Everything is checked while it is read; a
fault names the file, the row (the header is row 1) and the column, and then nothing is loaded. What
was parsed is kept as arrays in a cache folder, because parsing takes longer than an epoch of a
small run.

A list of pictures that a training leaves out is a table as ``data-problems`` writes it, which a
person may have changed since. Of its columns three are read: ``picture`` (the row of a table, whose
header is row 1, or the place of a file in its folder), ``leave_out`` (yes or no) and ``crc32`` of
the picture, by which a list of other data is known.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import logging
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from edge_agent.core.expression import EMOTIONS
from edge_agent.vision.models.card import FER2013_LABELS
from training.errors import DataError, write_arrays

log = logging.getLogger(__name__)

_OPEN_BY_SUFFIX: dict[str, Callable[..., TextIO]] = {".gz": gzip.open, ".xz": lzma.open}
EDGE = 48
"""Height and width of a FER2013 picture in pixels."""
EXPRESSIONS = tuple(emotion.value for emotion in EMOTIONS)
"""The eight FER+ categories, in the order of the vote columns and of the model's first head."""
FER2013 = FER2013_LABELS
"""The seven FER2013 classes, in the order of their numbers and of the model's second head."""
FER2013_AS_EXPRESSION = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
USAGES = ("Training", "PublicTest", "PrivateTest")
VOTE_COLUMNS = (*EXPRESSIONS, "unknown", "NF")
NO_LABEL = -1
_FER2013_COLUMNS = ("emotion", "pixels", "Usage")
PICTURES = {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".webp"}
_CACHE_FORM = 1
COLUMNS = ("picture", "usage", "problem", "other", "what", "leave_out", "crc32")
YES, NO = "yes", "no"
FIRST_ROW = 2
"""Row of the first picture of a table, below its header."""


@contextlib.contextmanager
def _open_table(path: Path) -> Iterator[TextIO]:
    """Open a plain, gzip or xz table as text; raise a DataError for every fault."""
    try:
        open_text = _OPEN_BY_SUFFIX.get(path.suffix, open)
        with open_text(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield file
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: is cut off or not a {path.suffix} file: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is not a table in text form: {error}") from error


def table_rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a table as (number, cells by column).

    The header is row 1 and may hold further columns.

    Raises:
        DataError: naming the file, and the row where it is torn or the column that is missing.
    """
    with _open_table(path) as file:
        table = csv.reader(file)
        header = [name.strip() for name in next(table, [])]
        missing = [name for name in columns if name not in header]
        if missing:
            raise DataError(
                f"{path}: row 1: column {missing[0]} is missing; expected {', '.join(columns)}"
            )
        for row, cells in enumerate(table, start=2):
            if len(cells) != len(header):
                raise DataError(
                    f"{path}: row {row}: holds {len(cells)} columns where the header "
                    f"names {len(header)}"
                )
            yield row, dict(zip(header, cells, strict=True))


@dataclass(frozen=True, slots=True)
class Faces:
    """Pictures of faces with the labels that people gave them.

    ``pictures``
        uint8, N × 48 × 48, grey.
    ``fer2013``
        int64, N: index into :data:`FER2013`, or -1 where there is no such label.
    ``votes``
        uint8, N × 10: the FER+ votes in the order of :data:`VOTE_COLUMNS`; a row of zeros where
        nobody voted.
    ``usage``
        int8, N: index into :data:`USAGES`.
    """

    pictures: NDArray[np.uint8]
    fer2013: NDArray[np.int64]
    votes: NDArray[np.uint8]
    usage: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Faces:
        """Return the faces at a mask or at indices."""
        return Faces(
            self.pictures[chosen], self.fer2013[chosen], self.votes[chosen], self.usage[chosen]
        )

    def of_usage(self, usage: str) -> Faces:
        """Return the faces of one split.

        Raises:
            DataError: when there is no such split, or it is empty.
        """
        if usage not in USAGES:
            raise DataError(f"usage {usage!r} is not one of {', '.join(USAGES)}")
        chosen = self.take(self.usage == USAGES.index(usage))
        if len(chosen) == 0:
            raise DataError(f"the data hold no picture of usage {usage}")
        return chosen

    def without_blank(self) -> Faces:
        """Return the faces without pictures of one single grey (FER2013 has twelve, all black)."""
        flat = self.pictures.reshape(len(self), -1)
        return self.take(flat.max(axis=1) != flat.min(axis=1))


def load_faces(data: Path, votes: Path | None = None, *, cache: Path | None = None) -> Faces:
    """Read a FER2013 table, with its FER+ votes if given, or a folder of pictures.

    The table is ``.csv``, ``.csv.gz`` or ``.csv.xz``.

    Row i of ``votes`` belongs to row i of ``data``; the votes may go on further (the published file
    holds splits that a copy of the data may lack). ``cache`` is a folder for the parsed arrays;
    without it nothing is kept.

    Raises:
        DataError: naming the file and, in a table, the row and the column.

    Example::

        faces = load_faces(Path("fer2013.csv.xz"), Path("fer2013new.csv"))
        len(faces.of_usage("PublicTest"))   # 3589
        own = load_faces(Path("faces"))     # faces/happiness/….png, faces/anger/….png
    """
    if data.is_dir():
        if votes is not None:
            raise DataError(
                f"--votes belong to a FER2013 table, and {data} is a folder; leave --votes out"
            )
        return load_folder(data)
    if cache is not None:
        faces = _read_through_cache(data, cache)
    else:
        faces = read_fer2013(data)
    if votes is None:
        return faces
    return replace(faces, votes=read_votes(votes, faces.usage))


def read_fer2013(path: Path) -> Faces:
    """Parse a FER2013 table (columns ``emotion``, ``pixels``, ``Usage``), without votes.

    Raises:
        DataError: naming file, row and column of the first fault.
    """
    # One growing block of bytes: lists of numbers would take many times the memory.
    pictures = bytearray()
    labels = []
    usages = []
    for row, cells in table_rows(path, _FER2013_COLUMNS):
        labels.append(table_choice(path, row, "emotion", cells["emotion"], tuple("0123456")))
        pictures += table_pixels(path, row, cells["pixels"])
        usages.append(table_choice(path, row, "Usage", cells["Usage"], USAGES))
    if not labels:
        raise DataError(f"{path}: holds no picture, only a header")
    return Faces(
        pictures=np.frombuffer(bytes(pictures), dtype=np.uint8).reshape(-1, EDGE, EDGE),
        fer2013=np.array(labels, dtype=np.int64),
        votes=np.zeros((len(labels), len(VOTE_COLUMNS)), dtype=np.uint8),
        usage=np.array(usages, dtype=np.int8),
    )


def read_votes(path: Path, usage: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Parse the FER+ votes of the pictures whose splits are ``usage``: uint8, N × 10.

    Raises:
        DataError: naming file, row and column of the first fault; also when the rows cannot belong
            to the pictures.
    """
    counts: list[list[int]] = []
    for row, cells in table_rows(path, ("Usage", "Image name", *VOTE_COLUMNS)):
        # Further rows belong to splits that this copy of the data lacks.
        if len(counts) == len(usage):
            break
        split = cells["Usage"]
        wanted = USAGES[usage[len(counts)]]
        # Votes have no other key than their row: the split is the only sign that both tables fit.
        if split != wanted:
            raise DataError(
                f"{path}: row {row}, column Usage: {split!r} where the picture of that row is "
                f"{wanted}; the votes belong to another copy of the data"
            )
        counts.append([_count(path, row, name, cells[name]) for name in VOTE_COLUMNS])
    if len(counts) < len(usage):
        raise DataError(f"{path}: holds {len(counts)} rows of votes for {len(usage)} pictures")
    return np.array(counts, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class FolderOfFaces:
    """Pictures of faces from a folder, and the files that could not be read.

    Attributes:
        faces: the pictures that could be read; each counts as ten votes for its category.
        files: path of each picture.
        unreadable: files that could not be read, and were left out.
        empty: categories whose subfolder holds no picture.
    """

    faces: Faces
    files: tuple[Path, ...]
    unreadable: tuple[Path, ...]
    empty: tuple[str, ...]


def load_folder(folder: Path, usage: str = "Training") -> Faces:
    """Read pictures of faces from one subfolder a category, named as in FER+ or as in FER2013.

    A picture counts as ten votes for its category. It is made grey and scaled to 48 × 48 pixels.
    One that cannot be read is named in the log, and left out.

    Raises:
        DataError: naming the subfolder that cannot be used.
    """
    read = read_folder(folder, usage)
    for path in read.unreadable:
        log.warning("%s: is not a picture that can be read; it is left out", path)
    return read.faces


def read_folder(folder: Path, usage: str = "Training") -> FolderOfFaces:
    """Read a folder as :func:`load_folder` does, and tell which file each picture is.

    Raises:
        DataError: naming the subfolder that cannot be used.
    """
    pictures, categories, unreadable, empty = read_subfolders(folder, folder_category)
    if not pictures:
        raise DataError(f"{folder}: holds no picture in a subfolder named {', '.join(EXPRESSIONS)}")
    faces = _with_labels(np.stack(list(pictures.values())), categories, usage)
    return FolderOfFaces(faces, tuple(pictures), tuple(unreadable), tuple(empty))


def read_subfolders(
    folder: Path, category_of: Callable[[Path], str]
) -> tuple[dict[Path, NDArray[np.uint8]], list[str], list[Path], list[str]]:
    """Read the pictures of all subfolders, grey, 48 × 48.

    Args:
        folder: holds the subfolders.
        category_of: what the pictures of a subfolder are labelled.

    Returns:
        each picture by its file, their labels, the files that cannot be read, and the labels of
        subfolders without a picture.
    """
    import cv2

    pictures: dict[Path, NDArray[np.uint8]] = {}
    categories: list[str] = []
    unreadable: list[Path] = []
    empty: list[str] = []
    # Hidden folders, such as those of a file manager, name no category.
    for subfolder in sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    ):
        category = category_of(subfolder)
        before = len(pictures)
        # Sorted, for file systems list in their own order.
        for path in sorted(path for path in subfolder.iterdir() if path.suffix.lower() in PICTURES):
            picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if picture is None:
                unreadable.append(path)
                continue
            scaled = cv2.resize(picture, (EDGE, EDGE), interpolation=cv2.INTER_AREA)
            pictures[path] = np.asarray(scaled, dtype=np.uint8)
            categories.append(category)
        if len(pictures) == before:
            empty.append(category)
    return pictures, categories, unreadable, empty


def _with_labels(pictures: NDArray[np.uint8], categories: Sequence[str], usage: str) -> Faces:
    """Return pictures with the category that one person gave each."""
    fer2013 = [
        FER2013_AS_EXPRESSION.index(name) if name in FER2013_AS_EXPRESSION else NO_LABEL
        for name in categories
    ]
    votes = [[10 if name == category else 0 for name in VOTE_COLUMNS] for category in categories]
    return Faces(
        pictures=pictures,
        fer2013=np.array(fer2013, dtype=np.int64),
        votes=np.array(votes, dtype=np.uint8),
        usage=np.full(len(pictures), USAGES.index(usage), dtype=np.int8),
    )


def folder_category(subfolder: Path) -> str:
    """Return the category that a subfolder is named for, in the words of FER+ or of FER2013.

    Raises:
        DataError: when there is none of that name.
    """
    category = category_named(subfolder.name)
    if category is None:
        raise DataError(f"{subfolder}: no category has this name; use {', '.join(EXPRESSIONS)}")
    return category


def category_named(name: str) -> str | None:
    """Return the category of a name in the words of FER+ or of FER2013; ``None``: there is none."""
    name = name.lower()
    if name in FER2013:
        return FER2013_AS_EXPRESSION[FER2013.index(name)]
    return name if name in EXPRESSIONS else None


def split_held_back(faces: Faces, share: float) -> tuple[Faces, Faces]:
    """Set aside about ``share`` of the faces: (to learn from, held back).

    Decided by the picture itself, so that the cut is the same for every seed and copies of a
    picture stay together.
    """
    held = checksum_fraction(faces.pictures) < share
    return faces.take(~held), faces.take(held)


def split_tested(faces: Faces, share: float) -> tuple[Faces, Faces]:
    """Set aside about ``share`` of the faces for the last judgement: (the rest, tested).

    They fit nothing and choose nothing; see :func:`is_tested`.
    """
    tested = is_tested(faces.pictures, faces.fer2013, share)
    return faces.take(~tested), faces.take(tested)


def indices_tested(faces: Faces, share: float) -> NDArray[np.intp]:
    """Return the places of the faces that are set aside for the last judgement, without blank ones:
    those of ``split_tested(faces.without_blank(), share)[1]``.
    """
    flat = faces.pictures.reshape(len(faces), -1)
    places = np.flatnonzero(flat.max(axis=1) != flat.min(axis=1))
    shown = faces.take(places)
    return places[is_tested(shown.pictures, shown.fer2013, share)]


def is_tested(
    pictures: NDArray[np.uint8], classes: NDArray[np.int64], share: float
) -> NDArray[np.bool_]:
    """Return which pictures are set aside for the last judgement: a share of each class.

    Of 15 pictures of a class, chance alone may set 1 aside or 7. Which ones of a class are decided
    by the pictures themselves, from the other end than in :func:`split_held_back`; copies of a
    picture stay together, also those that are of two classes.

    Args:
        pictures: N × H × W.
        classes: of each picture.
        share: 0…1; of a class with two different pictures or more at least one is set aside.
    """
    fractions = checksum_fraction(pictures)
    tested = np.zeros(len(pictures), dtype=bool)
    for one in np.unique(classes) if share > 0 else ():
        different = np.unique(fractions[classes == one])
        count = max(round(share * len(different)), min(1, len(different) - 1))
        tested |= np.isin(fractions, different[len(different) - count :])
    return tested


def checksum_fraction(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return a number in 0…1 for each picture, from its CRC-32.

    It is as good as random, but always the same for a picture and its copies.
    """
    return (
        np.array([zlib.crc32(picture.tobytes()) for picture in pictures], dtype=np.float64) / 2**32
    )


def _read_through_cache(path: Path, cache: Path) -> Faces:
    """Read a table from the cache, or parse it and put it there; a changed file has another key."""
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    # By size and time: reading all of it for a checksum would take much of what is saved.
    key = f"{_CACHE_FORM}|{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
    kept = cache / f"fer2013-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    if kept.exists():
        with (
            contextlib.suppress(OSError, ValueError, KeyError, EOFError, BadZipFile),
            kept.open("rb") as file,  # np.load would leave a damaged file open
            np.load(file) as arrays,
        ):
            return Faces(arrays["pictures"], arrays["fer2013"], arrays["votes"], arrays["usage"])
    faces = read_fer2013(path)
    try:
        write_arrays(
            kept,
            pictures=faces.pictures,
            fer2013=faces.fer2013,
            votes=faces.votes,
            usage=faces.usage,
        )
    except DataError as error:  # what cannot be kept is parsed again next time
        log.warning("the parsed table is not kept: %s", error)
    return faces


def table_choice(path: Path, row: int, column: str, text: str, choices: tuple[str, ...]) -> int:
    """Return the index of a cell's text among the allowed ones.

    Raises:
        DataError: naming file, row, column and value, when the text is not allowed.
    """
    if text.strip() not in choices:
        raise DataError(
            f"{path}: row {row}, column {column}: {text[:40]!r} is not one of {', '.join(choices)}"
        )
    return choices.index(text.strip())


def table_pixels(path: Path, row: int, text: str) -> bytes:
    """Return the 48 × 48 grey pixels of a cell, row by row.

    Raises:
        DataError: naming file, row, column and value of the first fault.
    """
    try:
        # `bytes` also refuses what is not in 0…255.
        pixels = bytes(map(int, text.split()))
    except ValueError as error:
        raise DataError(
            f"{path}: row {row}, column pixels: {_not_a_grey(text)!r} is not a number from 0 to 255"
        ) from error
    if len(pixels) != EDGE * EDGE:
        raise DataError(
            f"{path}: row {row}, column pixels: {len(pixels)} values where "
            f"{EDGE * EDGE} make a picture"
        )
    return pixels


def _not_a_grey(text: str) -> str:
    """Return the first value of a cell that is no grey of eight bits."""
    for value in text.split():
        try:
            bytes([int(value)])
        except ValueError:
            return value[:40]
    return ""


def _count(path: Path, row: int, column: str, text: str) -> int:
    # Votes are kept in 8 bits, which would wrap silently.
    if not text.strip().isdecimal() or int(text) > 255:
        raise DataError(
            f"{path}: row {row}, column {column}: {text[:40]!r} is not a number of votes"
        )
    return int(text)


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
    return faces.take(_mask_of_left(listed, data, names_of_rows(len(faces)), faces.pictures))


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
    left = _mask_of_left(listed, folder, names_of_files(folder, read.files), read.faces.pictures)
    files = tuple(path for path, stays in zip(read.files, left, strict=True) if stays)
    return replace(read, faces=read.faces.take(left), files=files)


def names_of_rows(count: int) -> list[str]:
    """Return the names that a list gives the pictures of a table: the numbers of their rows."""
    return [str(FIRST_ROW + at) for at in range(count)]


def names_of_files(folder: Path, files: tuple[Path, ...]) -> list[str]:
    """Return the names that a list gives the pictures of a folder: their places in it."""
    return [path.relative_to(folder).as_posix() for path in files]


def checksum(picture: NDArray[np.uint8]) -> str:
    """CRC-32 of a picture's pixels, as a list says it."""
    return f"{zlib.crc32(picture.tobytes()):08x}"


def _mask_of_left(
    listed: Path, data: Path, names: list[str], pictures: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """Tell which pictures a list leaves: bool, N."""
    left = np.ones(len(names), dtype=bool)
    left[_read_left_out(listed, data, names, pictures)] = False
    if not left.any():
        raise DataError(f"{listed}: leaves out every picture of {data}; nothing is left to learn")
    log.info("%s: %d of %d pictures are left out", listed, np.count_nonzero(~left), len(left))
    return left


def _read_left_out(
    listed: Path, data: Path, names: list[str], pictures: NDArray[np.uint8]
) -> list[int]:
    """Return the indices that a list leaves out; a file that is gone since needs no leaving out."""
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
        # In a table every row still is there, so an unknown name means other data; files may be
        # deleted.
        if at is None:
            if data.is_dir() and not name.isdecimal():
                log.warning("%s: row %d: %s is not there any more", listed, row, name)
                continue
            raise DataError(
                f"{listed}: row {row}, column picture: {name[:80]!r} is no picture of {data}; is "
                "the list of other data?"
            )
        # Rows shift when a table is changed: the number alone would leave out another picture.
        if cells["crc32"].strip() != checksum(pictures[at]):
            raise DataError(
                f"{listed}: row {row}: picture {name} of {data} is another one than when the list "
                f"was made; make it again: python -m training data-problems {data}"
            )
        chosen.append(at)
    return chosen
