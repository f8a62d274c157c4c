"""CK+ (Lucey et al. 2010): its table or its folders, and folds that keep people apart.

Its pictures are a few frames of sequences of 118 people, so that nearly every picture has a
neighbour of the same person with the same expression. A split that does not keep people apart
measures how well faces are recognised again, and is warned of.

Example::

    portraits = read_ck_plus(Path("CK+48"))
    parts = folds(portraits, 10)
    for sentence in warnings_of(portraits, parts):
        print(sentence)
    write_parts(parts, Path("folds"))    # folds/fold-01/learn/happiness/S010_….png
"""

import re
import shutil
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.datasets import (
    EDGE,
    PICTURES,
    USAGES,
    folder_category,
    table_choice,
    table_pixels,
    table_rows,
)
from training.errors import DataError, write_whole

CATEGORIES = (
    *("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt"),
)
"""What the numbers 0 … 7 of the table's column ``emotion`` mean."""
LEARN = "learn"
TEST = "test"

_SUBJECT = re.compile(r"S(\d{3})[_-]", re.IGNORECASE)
_COLUMNS = ("emotion", "pixels", "Usage")


@dataclass(frozen=True, slots=True)
class CollectedPicture:
    """A picture of the collection.

    Attributes:
        name: name of the file, without a suffix; in a table ``row-00002`` and so on.
        category: what the person was asked to show, one of :data:`CATEGORIES`.
        picture: uint8, 48 × 48, grey.
        subject: the person, such as ``S010``; None: not told.
        usage: the table's own split, one of ``USAGES``; None in a folder.
    """

    name: str
    category: str
    picture: NDArray[np.uint8]
    subject: str | None = None
    usage: str | None = None


Parts = Mapping[str, Sequence[CollectedPicture]]
"""Folder of a part (``fold-01/learn``) → what lies in it."""


def read_ck_plus(data: Path) -> list[CollectedPicture]:
    """Read the table (columns ``emotion``, ``pixels``, ``Usage``), or a folder with a subfolder a
    category, whose pictures say in their names who they show (``S010_004_00000017.png``).

    Raises:
        DataError: naming file and, in a table, row, column and value of the first fault.
    """
    if data.is_dir():
        try:
            portraits = _of_folder(data)
        except OSError as error:
            raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error
    else:
        portraits = [_of_row(data, row, cells) for row, cells in table_rows(data, _COLUMNS)]
    if not portraits:
        raise DataError(f"{data}: holds no picture")
    return portraits


def _of_row(path: Path, row: int, cells: Mapping[str, str]) -> CollectedPicture:
    numbers = tuple(map(str, range(len(CATEGORIES))))
    category = table_choice(path, row, "emotion", cells["emotion"], numbers)
    usage = table_choice(path, row, "Usage", cells["Usage"], USAGES)
    pixels = np.frombuffer(table_pixels(path, row, cells["pixels"]), dtype=np.uint8)
    picture = pixels.reshape(EDGE, EDGE)
    return CollectedPicture(f"row-{row:05}", CATEGORIES[category], picture, usage=USAGES[usage])


def _of_folder(folder: Path) -> list[CollectedPicture]:
    portraits: dict[tuple[str, str], CollectedPicture] = {}
    for subfolder in sorted(path for path in folder.iterdir() if path.is_dir()):
        if subfolder.name.startswith("."):
            continue
        category = folder_category(subfolder)
        for path in sorted(subfolder.iterdir()):
            if path.suffix.lower() not in PICTURES:
                continue
            if (category, path.stem) in portraits:
                raise DataError(
                    f"{path}: another picture of {category} has the name {path.stem!r}, too; "
                    "rename one of them"
                )
            portraits[category, path.stem] = _of_file(path, category)
    return list(portraits.values())


def _of_file(path: Path, category: str) -> CollectedPicture:
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise DataError(f"{path}: is not a picture that can be read; remove or replace it")
    height, width = picture.shape
    if height != width:
        raise DataError(
            f"{path}: is {width} × {height} pixels, and a cut-out face is square; "
            "cut the faces out first: python -m training crop-faces"
        )
    small = cv2.resize(picture, (EDGE, EDGE), interpolation=cv2.INTER_AREA)
    named = _SUBJECT.match(path.stem)
    subject = None
    if named is not None:
        subject = f"S{named[1]}"
    return CollectedPicture(path.stem, category, np.asarray(small, dtype=np.uint8), subject=subject)


def own_split(portraits: Sequence[CollectedPicture]) -> dict[str, list[CollectedPicture]]:
    """Return the table's own split: ``Training`` to learn from, and its two tests.

    Raises:
        DataError: when the table has nothing to learn from, or nothing to test with.
    """
    by_usage = {usage: [one for one in portraits if one.usage == usage] for usage in USAGES}
    parts = {usage: chosen for usage, chosen in by_usage.items() if chosen}
    if USAGES[0] not in parts or len(parts) < 2:
        raise DataError(
            f"column Usage: only {', '.join(parts)} stands there; a split needs {USAGES[0]} and "
            f"{' or '.join(USAGES[1:])}"
        )
    return parts


def folds(portraits: Sequence[CollectedPicture], count: int) -> dict[str, list[CollectedPicture]]:
    """Return folds: each picture is tested once, and nobody is in both training and test of a fold.

    People are dealt to the folds in turn, in the order of their names. A picture that does not say
    who it shows goes to a fold by its checksum.

    Raises:
        DataError: when there are too few people, or a fold has nothing to test with.
    """
    known = sorted({one.subject for one in portraits if one.subject is not None})
    if known and len(known) < count:
        raise DataError(f"--folds {count}: only {len(known)} people are named; take fewer folds")
    # Dealt by name, so that each fold has about as many people.
    fold_of = {subject: number % count for number, subject in enumerate(known)}
    places = [
        fold_of.get(one.subject or "", zlib.crc32(one.picture.tobytes()) % count)
        for one in portraits
    ]
    parts: dict[str, list[CollectedPicture]] = {}
    for number in range(count):
        test = [one for one, place in zip(portraits, places, strict=True) if place == number]
        learn = [one for one, place in zip(portraits, places, strict=True) if place != number]
        if not test or not learn:
            raise DataError(
                f"--folds {count}: {len(portraits)} pictures leave a fold empty; take fewer folds"
            )
        parts[f"fold-{number + 1:02}/{LEARN}"] = learn
        parts[f"fold-{number + 1:02}/{TEST}"] = test
    return parts


def warnings_of(portraits: Sequence[CollectedPicture], parts: Parts) -> list[str]:
    """Return sentences on what a figure of these parts should not be taken for; empty: none."""
    sentences = []
    unnamed = [one for one in portraits if one.subject is None]
    if unnamed:
        sentences.append(
            f"{len(unnamed)} of {len(portraits)} pictures do not say whom they show (the first: "
            f"{unnamed[0].name}), so the same person may be learnt and tested; a figure of this "
            "split says how well faces are recognised again, too"
        )
    # Byte for byte, since the table has no names.
    learnt = {one.picture.tobytes() for one in parts.get(USAGES[0], ())}
    for name, chosen in parts.items():
        copies = sum(one.picture.tobytes() in learnt for one in chosen)
        if copies and name != USAGES[0]:
            sentences.append(
                f"{copies} of {len(chosen)} pictures of {name} lie in {USAGES[0]}, too"
            )
    return sentences


def write_parts(parts: Parts, out: Path) -> None:
    """Write each part as a folder with a subfolder a category, as ``fit`` and ``evaluate`` read it.

    Raises:
        DataError: it cannot be written; then nothing is left.
    """
    import cv2

    place = out.resolve()
    # Beside the target: the folder appears whole or not at all.
    made = place.with_name(f".{place.name}.part")
    shutil.rmtree(made, ignore_errors=True)  # of a run that was killed
    try:
        for name, portraits in parts.items():
            for one in portraits:
                content = cv2.imencode(".png", one.picture)[1].tobytes()
                write_whole(made / name / one.category / f"{one.name}.png", content)
        made.replace(place)
    except OSError as error:
        raise DataError(
            f"--out {out}: cannot be written ({error.strerror}); name another folder"
        ) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def summary(parts: Parts) -> str:
    """Return a line for each part: pictures, people, and how many of each category."""
    lines = []
    for name, portraits in parts.items():
        people = {one.subject for one in portraits if one.subject is not None}
        counts = Counter(one.category for one in portraits)
        shown = ", ".join(f"{counts[category]} {category}" for category in sorted(counts))
        lines.append(f"{name}: {len(portraits)} pictures of {len(people) or '?'} people ({shown})")
    return "\n".join(lines)
