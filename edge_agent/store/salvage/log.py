"""The write-ahead log of a database, read frame by frame.

Its format: https://sqlite.org/fileformat2.html#walformat

SQLite stops at the first frame that is not as it was written, and forgets all later ones without a
word. Here each frame is judged alone, so that one bad frame costs one page.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from edge_agent.store.database.schema import PAGE_BYTES

_HEADER = 32
_FRAME_HEADER = 24
_MAGIC = 0x377F0682
_MASK = 0xFFFFFFFF
OUR_PAGES = (PAGE_BYTES, 4096)
"""Bytes of a page in our databases, and what SQLite usually takes."""
PAGE_SIZES = frozenset(1 << power for power in range(9, 17))

Sums = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Log:
    """What a log holds of committed transactions.

    Attributes:
        page_size: bytes of a page.
        frames: page number → where its newest content begins in the file.
        pages: pages of the database after the last commit; 0 where there is none.
        lost: frames that are not as they were written, although later ones are.
        before_loss: the frames as of the last commit before the first that is lost, which is what
            SQLite reads; empty where none is lost.
        pages_before_loss: pages of the database then; 0 where there was no commit.
    """

    page_size: int = OUR_PAGES[0]
    frames: dict[int, int] = field(default_factory=dict)
    pages: int = 0
    lost: int = 0
    before_loss: dict[int, int] = field(default_factory=dict)
    pages_before_loss: int = 0

    @property
    def as_before_loss(self) -> Log:
        """The log as if it ended where its first frame is lost."""
        return Log(self.page_size, self.before_loss, self.pages_before_loss)

    @property
    def pages_since_loss(self) -> list[int]:
        """The pages that had another content before the first frame that is lost."""
        if not self.lost:
            return []
        newest = self.frames.items()
        return sorted(number for number, at in newest if self.before_loss.get(number) != at)


def log_beside(path: Path) -> Path:
    """Return where the log of a database lies."""
    return path.with_name(f"{path.name}-wal")


def index_beside(path: Path) -> Path:
    """Return where the index of the log, which all programs share, lies."""
    return path.with_name(f"{path.name}-shm")


def has_content(path: Path) -> bool:
    """Tell whether there is a log that holds at least one frame."""
    try:
        return path.stat().st_size > _HEADER + _FRAME_HEADER
    except FileNotFoundError:
        return False


def read_log(path: Path) -> Log:
    """Read a log; one that is missing or empty gives an empty ``Log``.

    Raises:
        OSError: it cannot be read.
    """
    if not has_content(path):
        return Log()
    with path.open("rb") as file:
        reading = _Reading(file.read(_HEADER))
        return reading.read(file)


class _Reading:
    """One pass through the frames.

    Args:
        header: of the log.
    """

    def __init__(self, header: bytes) -> None:
        magic, _, page_size, _, salt1, salt2, sum1, sum2 = struct.unpack(">8I", header)
        self._order = ">" if magic & 1 else "<"
        self._sums: Sums | None = (sum1, sum2)
        self._salts: Sums | None = (salt1, salt2)
        self._page_size = page_size
        sound = magic & ~1 == _MAGIC and page_size in PAGE_SIZES
        self._header_lost = not sound or add_up(header[:24], (0, 0), self._order) != self._sums
        if self._header_lost:
            self._order = "<"  # as every processor that this runs on writes it
            self._page_size = 0
            self._salts = None
            self._sums = None
        self._frames: dict[int, int] = {}
        self._waiting: dict[int, int] = {}
        self._bad = 0
        self._lost = 0
        self._pages = 0
        self._sound: dict[int, int] = {}
        self._sound_pages = 0

    def read(self, file: BinaryIO) -> Log:
        """Read all frames, and return what they amount to."""
        if self._page_size == 0:
            self._page_size = _likely_page_size(file)
        if self._salts is None:
            self._salts = _usual_salts(_frames(file, self._page_size))
            file.seek(_HEADER)
        for number, (header, page) in enumerate(_frames(file, self._page_size)):
            offset = _HEADER + number * (_FRAME_HEADER + self._page_size) + _FRAME_HEADER
            self._take(header, page, offset)
        lost = self._lost + (self._header_lost and bool(self._frames))
        return Log(self._page_size, self._frames, self._pages, lost, self._sound, self._sound_pages)

    def _take(self, header: bytes, page: bytes, offset: int) -> None:
        number, size, salt1, salt2, sum1, sum2 = struct.unpack(">6I", header)
        before = self._sums
        self._sums = (sum1, sum2)  # a frame that is bad inside still tells where the next begins
        if (salt1, salt2) != self._salts:
            self._bad += 1
            return
        whole = before is None or add_up(header[:8] + page, before, self._order) == self._sums
        if whole and number:
            self._waiting[number] = offset
        else:
            self._bad += 1
        if size and whole:
            self._frames.update(self._waiting)
            self._waiting.clear()
            self._pages = size
            # Bad frames before a commit that is whole were written whole, too.
            self._lost += self._bad
            self._bad = 0
            if not self._lost and not self._header_lost:
                self._sound = dict(self._frames)
                self._sound_pages = size


def _frames(file: BinaryIO, page_size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the frames as pairs of header and page."""
    length = _FRAME_HEADER + page_size
    while len(frame := file.read(length)) == length:
        yield frame[:_FRAME_HEADER], frame[_FRAME_HEADER:]


def _likely_page_size(file: BinaryIO) -> int:
    """Return the size with which the first two frames have the same salts, or the log ends."""
    for size in OUR_PAGES:
        file.seek(_HEADER)
        salts = [header[8:16] for header, _ in islice(_frames(file, size), 2)]
        file.seek(_HEADER)
        if len(set(salts)) == 1 and (len(salts) == 2 or len(file.read()) == _FRAME_HEADER + size):
            break
    file.seek(_HEADER)
    return size


def _usual_salts(frames: Iterator[tuple[bytes, bytes]]) -> Sums:
    """Return the salts of the first frames: later ones may be left from an older log."""
    counted = Counter(header[8:16] for header, _ in islice(frames, 3))
    first, second = struct.unpack(">2I", counted.most_common(1)[0][0])
    return first, second


def add_up(data: bytes, start: Sums, order: str) -> Sums:
    """Return the checksum of a log after ``data``, whose length is a multiple of eight."""
    first, second = start
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second
