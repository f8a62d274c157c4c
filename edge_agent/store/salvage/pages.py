"""Pages, log, trees and records without SQLite.

The write-ahead log of a database, read frame by frame.

Its format: https://sqlite.org/fileformat2.html#walformat

SQLite stops at the first frame that is not as it was written, and forgets all later ones without a
word. Here each frame is judged alone, so that one bad frame costs one page.

The pages of a database file in their newest state: from its log, else from the file.

The values of one row as the file holds them.

Their format: https://sqlite.org/fileformat2.html#record_format

The pages of one table and the rows in them: https://sqlite.org/fileformat2.html#b_tree_pages.

What cannot be read is passed over and counted. Where a page within a tree is bad, the file's own
map of pages tells which pages hung on it.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


_DATABASE_MAGIC = b"SQLite format 3\0"
_MAP_ENTRY = 5
_ROOT = 1
_CHILD = 5


class PageError(Exception):
    """A page, or a part of it, is not what it has to be."""


class Pages:
    """The pages of a database; make one with ``open_pages``.

    Args:
        file: descriptor of the database.
        log_file: descriptor of its log; ``None`` without one.
        log: what the log holds.

    Attributes:
        refused: how often the disk refused to read; the next time it may not.
    """

    def __init__(self, file: int, log_file: int | None, log: Log) -> None:
        self._file = file
        self._log_file = log_file
        self._log = log
        self.refused = 0
        length = os.fstat(file).st_size
        self.size = _page_size(file, log)
        self.count = max(log.pages, length // self.size)
        self._has_holes = length // self.size < log.pages
        self._map_group = self.size // _MAP_ENTRY + 1
        self._has_map = self._second_is_map()

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
        """Pages of the log, where the file is too short to tell what they belong to."""
        if not self._has_holes:
            return ()
        return tuple(sorted(self._log.frames))

    @property
    def since_loss(self) -> list[int]:
        """Pages that the log has, and that were others before its first frame that is lost."""
        return self._log.pages_since_loss

    @property
    def knows_parents(self) -> bool:
        """Whether the file keeps for each page which page points to it."""
        return self._has_map

    def parent(self, number: int) -> int | None:
        """Return the page that points to this one within a tree; ``None``: none, or unknown."""
        if not self._has_map:
            return None
        try:
            kind, parent = self._map_entry(number)
        except PageError:
            return None
        return parent if kind == _CHILD else None

    def children(self, number: int) -> Iterator[int]:
        """Yield the pages that name this one as the page that points to them."""
        for group in range(2, self.count + 1, self._map_group) if self._has_map else ():
            try:
                page = self.read(group)
            except PageError:
                continue
            entries = struct.iter_unpack(">BI", page[: (self._map_group - 1) * _MAP_ENTRY])
            for place, (kind, parent) in enumerate(entries, start=group + 1):
                if kind == _CHILD and parent == number and place <= self.count:
                    yield place

    def _map_entry(self, number: int) -> tuple[int, int]:
        group = (number - 2) // self._map_group * self._map_group + 2
        place = (number - group - 1) * _MAP_ENTRY
        if place < 0:
            raise PageError(f"page {number} is a page of the map")
        kind, parent = struct.unpack_from(">BI", self.read(group), place)
        return kind, parent

    def _second_is_map(self) -> bool:
        try:
            return _looks_like_map(self.read(2)[:50])
        except PageError:
            return False


@contextmanager
def open_pages(
    path: Path, log_path: Path | None = None, *, before_loss: bool = False
) -> Iterator[Pages]:
    """Open the pages of a database.

    Args:
        path: the database.
        log_path: its log; ``None``: the one beside it.
        before_loss: read the log up to the first frame that is lost, as SQLite does, and not what
            can be read of it behind that.

    Raises:
        OSError: one of them cannot be opened.
    """
    log_path = log_path or log_beside(path)
    log = read_log(log_path)
    if before_loss:
        log = log.as_before_loss
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    log_file = None
    try:
        if log.frames:
            log_file = os.open(log_path, os.O_RDONLY | os.O_CLOEXEC)
        yield Pages(file, log_file, log)
    finally:
        os.close(file)
        if log_file is not None:
            os.close(log_file)


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


Value = int | float | str | bytes | None
_WIDTHS = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
_LAST_INTEGER = 6
_REAL = 7
_ZERO = 8
_ONE = 9
_LONGEST_NUMBER = 9


def read_number(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of variable length, and where the next byte is.

    Raises:
        PageError: the bytes end within it.
    """
    value = 0
    for count in range(1, _LONGEST_NUMBER + 1):
        if at >= len(data):
            raise PageError("a number is cut off")
        byte = data[at]
        at += 1
        if count == _LONGEST_NUMBER:
            return (value << 8) | byte, at
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, at
    raise PageError("a number is too long")


def read_record(payload: bytes) -> list[Value]:
    """Return the values of a row.

    Raises:
        PageError: the bytes are no row; lengths that do not add up tell.
    """
    length, at = read_number(payload, 0)
    if not at <= length <= len(payload):
        raise PageError("the header of a row has an impossible length")
    kinds = []
    while at < length:
        kind = payload[at]
        if kind < 0x80:  # nearly all: a call for each would double the time of a long timeline
            at += 1
        else:
            kind, at = read_number(payload, at)
        kinds.append(kind)
    values = []
    for kind in kinds:
        value, at = _read_value(payload, at, kind)
        values.append(value)
    if at != len(payload):
        raise PageError("the lengths of a row do not add up")
    return values


def _read_value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind in {10, 11}:
        raise PageError("a value has no known kind")
    width = _WIDTHS[kind] if kind <= _ONE else (kind - 12) // 2
    end = at + width
    data = payload[at:end]
    if len(data) != width:
        raise PageError("a value is cut off")
    if kind == 0:
        return None, end
    if kind <= _LAST_INTEGER:
        return int.from_bytes(data, "big", signed=True), end
    if kind == _REAL:
        return float(struct.unpack(">d", data)[0]), end
    if kind in {_ZERO, _ONE}:
        return kind - _ZERO, end
    if kind % 2 == 0:
        return data, end
    try:
        return data.decode("utf-8"), end
    except UnicodeDecodeError as error:
        raise PageError("a text is no text") from error


_ROW_LEAF = 13
_ROW_INNER = 5
_KEY_LEAF = 10
_KEY_INNER = 2
_FILE_HEADER = 100
_LOOKS = 100  # pages that are looked at for the last one that can be read
_LARGEST_ROWID = 1 << 48  # more rows than a card has atoms to write them; larger ones are damage


@dataclass(slots=True)
class Damage:
    """What could not be read of a table.

    Attributes:
        pages: that are no pages of the table, or cannot be read.
        rows: in pages that can be read otherwise.
    """

    pages: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is stored.

    Attributes:
        rowid: its number; ``None`` in a table without.
        values: in the order of storing; a row may have fewer than its table has columns.
    """

    rowid: int | None
    values: list[Value]


class Tree:
    """One table in the file.

    Args:
        pages: of the file.
        root: number of its first page.
        by_key: whether the table is ``WITHOUT ROWID``.
        width: how many columns it has.
    """

    def __init__(self, pages: Pages, root: int, *, by_key: bool, width: int) -> None:
        self.damage = Damage()
        self._pages = pages
        self._root = root
        self._by_key = by_key
        self._width = width
        self._leaf = _KEY_LEAF if by_key else _ROW_LEAF
        self._inner = _KEY_INNER if by_key else _ROW_INNER

    def pages_with_rows(self) -> Iterator[int]:
        """Yield the numbers of the pages that hold rows, in the order of their keys where known."""
        waiting = [self._root]
        seen = {self._root}
        while waiting:
            number = waiting.pop()
            kind = self._kind(number)
            if kind == self._leaf or (kind == self._inner and self._by_key):
                yield number
            if kind == self._leaf:
                continue
            children = self._children(number, whole=kind == self._inner)
            fresh = [child for child in children if child not in seen]
            seen.update(fresh)
            waiting.extend(reversed(fresh))

    def last_page(self) -> int | None:
        """Return the page with the highest keys that can be read; ``None`` where none was near.

        Only the way is read: a timeline may be larger than what a card gives in ten seconds.
        """
        waiting = [self._root]
        seen = {self._root}
        for _ in range(_LOOKS):
            if not waiting:
                break
            number = waiting.pop()
            kind = self._kind(number)
            if kind == self._leaf:
                if any(True for _ in self.rows(number)):
                    return number
                continue
            children = self._children(number, whole=kind == self._inner)
            fresh = [child for child in children if child not in seen]
            seen.update(fresh)
            waiting.extend(fresh)
        return None

    def rows(self, number: int) -> Iterator[Row]:
        """Yield the rows of a page; those that cannot be read are counted in ``damage``."""
        try:
            page = self._pages.read(number)
            cells = _cells(page, number)
        except PageError:
            self.damage.pages += 1
            return
        for cell in cells:
            try:
                row = self._row(page, cell, inner=self._kind(number) == self._inner)
            except PageError:
                self.damage.rows += 1
            else:
                yield row

    def holds_only(self, number: int, fits: Callable[[Row], bool]) -> bool:
        """Tell whether a page is a lowest one of such a tree, with rows, and all of them fit.

        It ends at the first that does not: a log may hold a thousand pages of any table.
        """
        if self._kind(number) != self._leaf:
            return False
        try:
            page = self._pages.read(number)
            cells = _cells(page, number)
            return bool(cells) and all(fits(self._row(page, cell, inner=False)) for cell in cells)
        except PageError:
            return False

    def looks_right(self) -> bool:
        """Tell whether the root page may be one of such a table."""
        kind = self._kind(self._root)
        if kind == self._inner:
            return True
        return kind == self._leaf and all(
            len(row.values) <= self._width for row in self.rows(self._root)
        )

    def _kind(self, number: int) -> int | None:
        try:
            page = self._pages.read(number)
        except PageError:
            return None
        return page[_start(number)]

    def _children(self, number: int, *, whole: bool) -> list[int]:
        """Return the pages below one; with the help of the map where the page is not whole."""
        children: list[int] = []
        if whole:
            children = _pointers(self._pages.read(number), number)
        wanted = {self._leaf, self._inner}
        known = self._pages.knows_parents
        good = [
            child
            for child in children
            if self._kind(child) in wanted
            and (not known or self._pages.parent(child) in {number, None})
        ]
        if not whole or len(good) < len(children):
            if not whole:
                self.damage.pages += 1
            # A page whose first byte is bad counts as lost when it is looked at, not here.
            good += [child for child in self._pages.children(number) if child not in good]
        return good

    def _row(self, page: bytes, at: int, *, inner: bool) -> Row:
        if inner:
            at += 4  # the page below it
        length, at = read_number(page, at)
        rowid = None
        if not self._by_key:
            rowid, at = read_number(page, at)
            if not 0 <= rowid < _LARGEST_ROWID:
                raise PageError("the number of a row is impossible")
        values = read_record(self._payload(page, at, length))
        if len(values) > self._width:
            raise PageError("a row has too many values")
        return Row(rowid, values)

    def _payload(self, page: bytes, at: int, length: int) -> bytes:
        """Return the bytes of a row, those on further pages included."""
        if length > self._pages.size * self._pages.count:
            raise PageError("a row is longer than the file")
        local = self._local_bytes(length)
        parts = [page[at : at + local]]
        left = length - local
        following = 0
        if left:
            following = _unsigned(page, at + local)
        while left > 0:
            further = self._pages.read(following)
            parts.append(further[4 : 4 + left])
            left -= len(parts[-1])
            following = _unsigned(further, 0)
        payload = b"".join(parts)
        if len(payload) != length:
            raise PageError("a row is cut off")
        return payload

    def _local_bytes(self, length: int) -> int:
        """Return how many bytes of a row lie on its own page."""
        size = self._pages.size
        most = size - 35
        if self._by_key:
            most = (size - 12) * 64 // 255 - 23
        if length <= most:
            return length
        least = (size - 12) * 32 // 255 - 23
        local = least + (length - least) % (size - 4)
        if local <= most:
            return local
        return least


def _start(number: int) -> int:
    """Return where the header of a page begins: on the first page, behind that of the file."""
    return _FILE_HEADER if number == 1 else 0


def _unsigned(data: bytes, at: int) -> int:
    if at + 4 > len(data):
        raise PageError("a pointer is cut off")
    return int(struct.unpack_from(">I", data, at)[0])


def _cells(page: bytes, number: int) -> list[int]:
    """Return where the cells of a page begin, without places that are impossible."""
    start = _start(number)
    header = 12 if page[start] in {_ROW_INNER, _KEY_INNER} else 8
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    first = start + header
    if first + 2 * count > len(page):
        raise PageError("a page has more rows than room")
    places = struct.unpack_from(f">{count}H", page, first)
    return [place for place in places if first + 2 * count <= place < len(page)]


def _pointers(page: bytes, number: int) -> list[int]:
    """Return the pages that an inner page points to; none that cannot be."""
    try:
        cells = _cells(page, number)
    except PageError:
        cells = []
    pointers = [_unsigned(page, cell) for cell in cells if cell + 4 <= len(page)]
    pointers.append(_unsigned(page, _start(number) + 8))
    return pointers
