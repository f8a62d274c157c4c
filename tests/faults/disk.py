"""A disk that fails on command, and what a power cut may leave of files that were being written.

``disk.c`` is compiled once and preloaded into a recorder. It keeps a journal of what was written to
the database and its log, and of each fsync that returned. What was not followed by one may be on
the card, or not, or in part: a sector is written whole or not at all.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

SOURCE = Path(__file__).with_name("disk.c")
SECTOR = 512
_HEAD = struct.Struct("<cBqq")
_PARTS = {1: "", 2: "-wal"}


class DiskError(StrEnum):
    """What the disk answers."""

    NO_SPACE = "S"
    INPUT_OUTPUT = "I"
    READ_ONLY = "R"
    READS_FAIL = "E"


@dataclass(frozen=True, slots=True)
class Change:
    """A record of the journal: ``W`` written, ``T`` cut to a size, ``U`` deleted, ``S`` synced."""

    what: bytes
    part: str
    at: int
    data: bytes


def why_no_library() -> str:
    """Return why the disk cannot be made to fail here; an empty text where it can."""
    return "" if shutil.which("gcc") else "gcc is not installed; on Debian: apt install gcc"


def build_library(folder: Path) -> Path:
    """Compile ``disk.c`` and return the library to preload."""
    library = folder / "disk.so"
    words = ["gcc", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl", "-lpthread"]
    subprocess.run(words, check=True, capture_output=True)
    return library


def read_journal(journal: Path) -> Iterator[Change]:
    """Return the records of a journal; the last one may be cut off."""
    content = journal.read_bytes() if journal.exists() else b""
    at = 0
    while at + _HEAD.size <= len(content):
        what, part, offset, size = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        if at + size > len(content):
            return
        yield Change(what, _PARTS[part], offset, content[at : at + size])
        at += size


def cut_power(database: Path, before: Path, journal: Path, chance: random.Random) -> int:
    """Replace the files of a database by what a power cut may leave of them.

    Args:
        database: the file; the process that wrote to it is dead.
        before: a copy of the database, as its process found it.
        journal: what was written since.
        chance: decides what of the unsynced writes reached the card.

    Returns:
        How many writes were lost or torn.
    """
    changes = list(read_journal(journal))
    hurt = 0
    for part in _PARTS.values():
        image = bytearray(_content(before.with_name(before.name + part)))
        mine = [change for change in changes if change.part == part]
        synced = max((i for i, change in enumerate(mine) if change.what in b"SU"), default=-1)
        for number, change in enumerate(mine):
            if change.what != b"W" or number <= synced:
                _apply(image, change)
            else:
                hurt += _apply_by_chance(image, change, chance)
        database.with_name(database.name + part).write_bytes(image)
    database.with_name(f"{database.name}-shm").unlink(missing_ok=True)
    return hurt


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _apply(image: bytearray, change: Change) -> None:
    if change.what == b"U":
        image.clear()
    elif change.what == b"T":
        missing = change.at - len(image)
        image.extend(bytes(max(0, missing)))
        del image[change.at :]
    elif change.what == b"W":
        _put(image, change.at, change.data)


def _apply_by_chance(image: bytearray, change: Change, chance: random.Random) -> bool:
    """Write all of it, nothing, or some of its sectors; return whether something is missing."""
    fate = chance.choice(("whole", "lost", "torn"))
    if fate == "whole":
        _put(image, change.at, change.data)
    elif fate == "torn":
        for start in range(0, len(change.data), SECTOR):
            if chance.random() < 0.5:
                _put(image, change.at + start, change.data[start : start + SECTOR])
    return fate != "whole"


def _put(image: bytearray, at: int, data: bytes) -> None:
    missing = at - len(image)
    image.extend(bytes(max(0, missing)))
    image[at : at + len(data)] = data
