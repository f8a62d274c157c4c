"""The pages of a database file, each in its newest state: from the log, else from the file."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from edge_agent.timeline.salvage.wal import OUR_PAGES, PAGE_SIZES, Log, log_beside, read_log

_DATABASE_MAGIC = b"SQLite format 3\0"
# An entry of the pointer map: a byte for the kind of page, four for the number of its parent.
# https://sqlite.org/fileformat2.html#pointer_map_or_ptrmap_pages
_MAP_ENTRY = 5
_ROOT = 1
_CHILD = 5


class PageError(Exception):
    """A database page, or a part of it, is invalid."""


class Pages:
    """The pages of a database; make one with ``open_pages``.

    Args:
        file: descriptor of the database.
        log_file: descriptor of its log; ``None`` without one.
        log: what the log holds.

    Attributes:
        refused: how often the disk refused to read; the next time it may not.
        knows_parents: whether the file keeps for each page which page points to it.
    """

    def __init__(self, file: int, log_file: int | None, log: Log) -> None:
        self._file = file
        self._log_file = log_file
        self._log = log
        self.refused = 0
        length = os.fstat(file).st_size
        self.size = _page_size(file, log)
        # The newest pages may be in the log only, beyond the end of the file.
        self.count = max(log.pages, length // self.size)
        self._has_holes = length // self.size < log.pages
        # A page of the map describes the pages that follow it: it is the first of its group.
        self._map_group = self.size // _MAP_ENTRY + 1
        self.knows_parents = False
        with suppress(PageError):
            self.knows_parents = _looks_like_map(self.read(2)[:50])

    def read(self, number: int) -> bytes:
        """Return the bytes of a page.

        Raises:
            PageError: there is no such page, or it cannot be read.
        """
        if not 1 <= number <= self.count:
            raise PageError(f"there is no page {number}")
        offset = self._log.frames.get(number)
        try:
            if offset is not None and self._log_file is not None:
                page = os.pread(self._log_file, self.size, offset)
            else:
                page = os.pread(self._file, self.size, (number - 1) * self.size)
        except OSError as error:
            self.refused += 1
            raise PageError(f"page {number} cannot be read") from error
        if len(page) != self.size:
            raise PageError(f"page {number} is cut off")
        return page

    @property
    def strays(self) -> tuple[int, ...]:
        """Pages of the log whose table is unknown, because the file is truncated."""
        return tuple(sorted(self._log.frames)) if self._has_holes else ()

    @property
    def since_loss(self) -> list[int]:
        """Pages in the log whose content differs from that before its first damaged frame."""
        log = self._log
        newest = log.frames.items() if log.lost else ()
        return sorted(number for number, at in newest if log.before_loss.get(number) != at)

    def parent(self, number: int) -> int | None:
        """Return the parent of a page in its tree; ``None``: it has none, or it is unknown."""
        # Page 1 has no entry: the first group begins with the map on page 2.
        group = (number - 2) // self._map_group * self._map_group + 2
        place = (number - group - 1) * _MAP_ENTRY
        if not self.knows_parents or place < 0:  # a page of the map
            return None
        try:
            kind, parent = struct.unpack_from(">BI", self.read(group), place)
        except PageError:
            return None
        return parent if kind == _CHILD else None

    def children(self, number: int) -> Iterator[int]:
        """Yield the pages whose parent is this page."""
        for group in range(2, self.count + 1, self._map_group) if self.knows_parents else ():
            try:
                page = self.read(group)
            except PageError:
                continue
            entries = struct.iter_unpack(">BI", page[: (self._map_group - 1) * _MAP_ENTRY])
            for place, (kind, parent) in enumerate(entries, start=group + 1):
                # The last page of the map has room for pages behind the end of the file.
                if kind == _CHILD and parent == number and place <= self.count:
                    yield place


@contextmanager
def open_pages(
    path: Path, log_path: Path | None = None, *, before_loss: bool = False
) -> Iterator[Pages]:
    """Open the pages of a database as they stand in its file and its log.

    Args:
        path: the database.
        log_path: its log; ``None``: the one beside it.
        before_loss: take from the log only what was committed before its first lost frame, as
            SQLite does; else later commits that can be read, too.

    Raises:
        OSError: the database or its log cannot be opened.
    """
    log_path = log_path or log_beside(path)
    log = read_log(log_path)
    if before_loss:
        log = Log(log.page_size, log.before_loss, log.pages_before_loss)
    with ExitStack() as opened:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        opened.callback(os.close, file)
        log_file = None
        if log.frames:
            log_file = os.open(log_path, os.O_RDONLY | os.O_CLOEXEC)
            opened.callback(os.close, log_file)
        yield Pages(file, log_file, log)


def _page_size(file: int, log: Log) -> int:
    if log.frames:
        return log.page_size
    header = os.pread(file, 100, 0)
    if header.startswith(_DATABASE_MAGIC):
        size = int.from_bytes(header[16:18], "big")
        if size in PAGE_SIZES:
            return size
    # The second page of our databases is the map; at another size another page lies there.
    maps = (size for size in OUR_PAGES if _looks_like_map(os.pread(file, 50, size)))
    return next(maps, OUR_PAGES[-1])


def _looks_like_map(page: bytes) -> bool:
    # The first entries are those of root pages; a page of a tree begins with 2, 5, 10 or 13.
    entries = struct.iter_unpack(">BI", page[: len(page) // _MAP_ENTRY * _MAP_ENTRY])
    return [kind == _ROOT and not at for kind, at in entries].count(True) >= 3
