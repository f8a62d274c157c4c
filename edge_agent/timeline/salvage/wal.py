"""The write-ahead log of a database file, read without SQLite.

Its format: https://sqlite.org/fileformat2.html#walformat.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from edge_agent.timeline.database.schema import PAGE_BYTES

# Lengths and magic number: https://sqlite.org/fileformat2.html#walformat
_HEADER = 32
_FRAME_HEADER = 24
_MAGIC = 0x377F0682
_MASK = 0xFFFFFFFF
OUR_PAGES = (PAGE_BYTES, 4096)
"""Page size of our databases and SQLite's default, in bytes."""
# All that the file format allows: powers of two from 512 to 65,536.
PAGE_SIZES = frozenset(1 << power for power in range(9, 17))

Sums = tuple[int, int]


@dataclass(slots=True)
class Log:
    """The committed transactions of a log.

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


def log_beside(path: Path) -> Path:
    """Return the path of the log of a database."""
    return path.with_name(f"{path.name}-wal")


def has_content(path: Path) -> bool:
    """Tell whether there is a log that holds at least one frame."""
    # A header without a whole page behind it holds nothing that could be read.
    try:
        return path.stat().st_size > _HEADER + _FRAME_HEADER
    except FileNotFoundError:
        return False


def read_log(path: Path) -> Log:
    """Read a log; one that is missing or empty gives an empty ``Log``.

    SQLite stops at the first frame that is not as it was written, and forgets all later ones
    without a word. Here each frame is judged alone, so that one bad frame costs one page.

    Raises:
        OSError: it cannot be read.
    """
    log = Log()
    if not has_content(path):
        return log
    with path.open("rb") as file:
        header = file.read(_HEADER)
        magic, _, log.page_size, _, *numbers = struct.unpack(">8I", header)
        # The lowest bit of the magic number tells the byte order in which checksums are computed.
        order = ">" if magic & 1 else "<"
        salts = (numbers[0], numbers[1])
        sums: Sums | None = (numbers[2], numbers[3])
        known = magic & ~1 == _MAGIC and log.page_size in PAGE_SIZES
        header_lost = not known or add_up(header[:24], (0, 0), order) != sums
        if header_lost:
            order = "<"  # as every processor that this runs on writes it
            log.page_size = _likely_page_size(file)
            salts = _usual_salts(file, log.page_size)
            sums = None
        waiting: dict[int, int] = {}
        bad = 0
        offset = _HEADER + _FRAME_HEADER
        for header, page in _frames(file, log.page_size):
            number, size, salt1, salt2, sum1, sum2 = struct.unpack(">6I", header)
            # Checksums are cumulative: each continues the one stored in the frame before.
            before = sums
            sums = (sum1, sum2)  # a frame that is bad inside still tells where the next begins
            is_whole = (salt1, salt2) == salts and (
                before is None or add_up(header[:8] + page, before, order) == sums
            )
            # Pages are numbered from 1.
            if is_whole and number:
                waiting[number] = offset
            else:
                bad += 1
            offset += _FRAME_HEADER + log.page_size
            # Only the last frame of a transaction names the size of the database: it commits all
            # those before it.
            if size and is_whole:
                log.frames.update(waiting)
                waiting.clear()
                log.pages = size
                # Bad frames before a commit that is whole were written whole, too.
                log.lost += bad
                bad = 0
                if not log.lost and not header_lost:
                    log.before_loss = dict(log.frames)
                    log.pages_before_loss = size
    log.lost += header_lost and bool(log.frames)
    return log


def _frames(file: BinaryIO, page_size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the frames as pairs of header and page."""
    file.seek(_HEADER)
    length = _FRAME_HEADER + page_size
    while len(frame := file.read(length)) == length:
        yield frame[:_FRAME_HEADER], frame[_FRAME_HEADER:]


def _likely_page_size(file: BinaryIO) -> int:
    """Return the size with which the first two frames have the same salts, or the log ends."""
    length = os.fstat(file.fileno()).st_size
    for size in OUR_PAGES:
        salts = [header[8:16] for header, _ in islice(_frames(file, size), 2)]
        is_only = length == _HEADER + _FRAME_HEADER + size
        if len(set(salts)) == 1 and (len(salts) == 2 or is_only):
            break
    return size


def _usual_salts(file: BinaryIO, page_size: int) -> Sums:
    """Return the salts of the first frames: later ones may be left from an older log."""
    counted = Counter(header[8:16] for header, _ in islice(_frames(file, page_size), 3))
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
