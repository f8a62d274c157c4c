"""The trees of tables and their rows, read from pages without SQLite.

What cannot be read is passed over and counted. Where a page within a tree is bad, the file's own
map of pages tells which pages hung on it. Formats of the pages of a table and of a row:
https://sqlite.org/fileformat2.html#b_tree_pages and #record_format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from edge_agent.timeline.salvage.pages import PageError, Pages

# Bytes of a value by its serial type, 0 to 9; the types 8 and 9 are the numbers 0 and 1 themselves.
_WIDTHS = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
_REAL = 7
_ZERO = 8
_ONE = 9
_LONGEST_NUMBER = 9
# First byte of a page. Trees of rows hold rows in their leaves only; trees of keys, in which tables
# without rowid are stored, in all pages.
_ROW_LEAF = 13
_ROW_INNER = 5
_KEY_LEAF = 10
_KEY_INNER = 2
_INNER = {_ROW_INNER, _KEY_INNER}
_FILE_HEADER = 100
_LOOKS = 100  # pages that are looked at for the last one that can be read
_LARGEST_ROWID = 1 << 48  # more rows than a card has atoms to write them; larger ones are damage
_TYPES: dict[str, type | tuple[type, ...]] = {
    "INTEGER": int,
    "TEXT": str,
    "REAL": (int, float),
    "BLOB": bytes,
}


Value = int | float | str | bytes | None


def read_number(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of variable length, and the offset of the byte after it.

    Raises:
        PageError: the bytes end within it.
    """
    value = 0
    for count in range(1, _LONGEST_NUMBER + 1):
        if at >= len(data):
            raise PageError("a number is cut off")
        byte = data[at]
        at += 1
        # The ninth byte counts with all of its eight bits.
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
    # SQLite keeps these two types for itself; they are never in a file.
    if kind in {10, 11}:
        raise PageError("a value has no known kind")
    # From 12 on, the type holds the length: even ones are blobs, odd ones are texts.
    width = _WIDTHS[kind] if kind <= _ONE else (kind - 12) // 2
    end = at + width
    data = payload[at:end]
    if len(data) != width:
        raise PageError("a value is cut off")
    if kind == 0:
        return None, end
    if kind < _REAL:
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


@dataclass(slots=True)
class Damage:
    """The number of unreadable pages and rows of a table.

    Attributes:
        pages: pages that cannot be read, or do not belong to the table.
        rows: unreadable rows on pages that are otherwise readable.
    """

    pages: int = 0
    rows: int = 0

    def forget(self) -> None:
        """Reset the counts; allowed while a table is being read."""
        self.pages = self.rows = 0


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as it is stored.

    Attributes:
        rowid: its number; ``None`` in a table without.
        values: in the order of storing; a row may have fewer than its table has columns.
    """

    rowid: int | None
    values: list[Value]


@dataclass(frozen=True, slots=True)
class Layout:
    """A table in the file, and how its rows are stored.

    Attributes:
        root: number of its first page.
        columns: in the order of storing.
        by_key: whether it is ``WITHOUT ROWID``.
        rowid: the column that is the number of the row; ``None`` without one.
        kinds: what each column holds, ``INTEGER`` or ``TEXT`` …; ``?`` behind what may be NULL.
    """

    root: int
    columns: tuple[str, ...]
    by_key: bool = False
    rowid: str | None = None
    kinds: tuple[str, ...] = ()

    def may_hold(self, row: StoredRow) -> bool:
        """Tell whether the values of a row fit the columns of this table."""
        # Strict, for this judges pages whose table is only guessed.
        if len(row.values) != len(self.columns) or (row.rowid is None) != self.by_key:
            return False
        return all(
            # A row stores NULL for the column that is its number; the number stands before the row.
            name == self.rowid or _fits(kind, value)
            for name, kind, value in zip(self.columns, self.kinds, row.values, strict=True)
        )


def _fits(kind: str, value: Value) -> bool:
    if value is None:
        return kind.endswith("?")
    wanted = _TYPES.get(kind.rstrip("?"))
    return wanted is None or isinstance(value, wanted)


class Tree:
    """The pages of one table.

    Args:
        pages: of the file.
        table: where it begins.
        damage: is added to; ``None``: a new one.
    """

    def __init__(self, pages: Pages, table: Layout, damage: Damage | None = None) -> None:
        self.damage = damage or Damage()
        self._pages = pages
        self._table = table
        self._leaf = _KEY_LEAF if table.by_key else _ROW_LEAF
        self._inner = _KEY_INNER if table.by_key else _ROW_INNER

    def pages_with_rows(self) -> Iterator[int]:
        """Yield the numbers of the pages that hold rows, in the order of their keys where known."""
        for number, kind in self._walk():
            if kind == self._leaf or (kind == self._inner and self._table.by_key):
                yield number

    def last_page(self) -> int | None:
        """Return the last readable page by key; ``None`` if none is found within a few pages.

        It reads only the path to that page: reading a whole timeline may take longer than ten
        seconds.
        """
        for number, kind in islice(self._walk(backwards=True), _LOOKS):
            if kind == self._leaf and any(True for _ in self.rows(number)):
                return number
        return None

    def _walk(self, *, backwards: bool = False) -> Iterator[tuple[int, int | None]]:
        """Yield number and kind of all pages, each before its children."""
        waiting = [self._table.root]
        # A damaged pointer may lead back to a page above it: each page is read once.
        seen = {self._table.root}
        while waiting:
            number = waiting.pop()
            kind = self._kind(number)
            yield number, kind
            if kind != self._leaf:
                children = self._children(number, whole=kind == self._inner)
                fresh = [child for child in children if child not in seen]
                seen.update(fresh)
                # The last one is taken first from ``waiting``.
                waiting.extend(fresh if backwards else reversed(fresh))

    def rows(self, number: int) -> Iterator[StoredRow]:
        """Yield the rows of a page; those that cannot be read are counted in ``damage``."""
        try:
            page = self._pages.read(number)
            cells = _cells(page, number)
        except PageError:
            self.damage.pages += 1
            return
        inner = page[_start(number)] == self._inner
        for cell in cells:
            try:
                row = self._row(page, cell, inner=inner)
            except PageError:
                self.damage.rows += 1
            else:
                yield row

    def holds_only(self, number: int) -> bool:
        """Tell whether a page is a non-empty leaf of such a tree and all its rows fit the table.

        It stops at the first row that does not fit: a log may hold thousands of pages.
        """
        if self._kind(number) != self._leaf:
            return False
        try:
            page = self._pages.read(number)
            cells = _cells(page, number)
            rows = (self._row(page, cell, inner=False) for cell in cells)
            return bool(cells) and all(map(self._table.may_hold, rows))
        except PageError:
            return False

    def looks_right(self) -> bool:
        """Tell whether the root page may be one of such a table."""
        root = self._table.root
        kind = self._kind(root)
        width = len(self._table.columns)
        if kind == self._inner:
            return True
        return kind == self._leaf and all(len(row.values) <= width for row in self.rows(root))

    def _kind(self, number: int) -> int | None:
        try:
            page = self._pages.read(number)
        except PageError:
            return None
        return page[_start(number)]

    def _children(self, number: int, *, whole: bool) -> list[int]:
        """Return the children of a page; a damaged page's children are found by the pointer map."""
        children = _pointers(self._pages.read(number), number) if whole else []
        wanted = {self._leaf, self._inner}
        good = [
            child
            for child in children
            if self._kind(child) in wanted and not self._is_of_another(child, number)
        ]
        if not whole or len(good) < len(children):
            if not whole:
                self.damage.pages += 1
            # A page whose first byte is bad counts as lost when it is looked at, not here.
            good += [child for child in self._pages.children(number) if child not in good]
        return good

    def _is_of_another(self, child: int, number: int) -> bool:
        """Tell whether a page belongs to another one than the page that points to it.

        The map may be damaged as well as the pointer: another page must confirm what the map says.
        """
        parent = self._pages.parent(child)
        if parent in {number, None}:
            return False
        try:
            page = self._pages.read(parent)
        except PageError:
            return False
        return page[_start(parent)] in _INNER and child in _pointers(page, parent)

    def _row(self, page: bytes, at: int, *, inner: bool) -> StoredRow:
        if inner:
            at += 4  # the page below it
        length, at = read_number(page, at)
        rowid = None
        if not self._table.by_key:
            rowid, at = read_number(page, at)
            if not 0 <= rowid < _LARGEST_ROWID:
                raise PageError("the number of a row is impossible")
        values = read_record(self._payload(page, at, length))
        if len(values) > len(self._table.columns):
            raise PageError("a row has too many values")
        return StoredRow(rowid, values)

    def _payload(self, page: bytes, at: int, length: int) -> bytes:
        """Return the bytes of a row, those on further pages included."""
        if length > self._pages.size * self._pages.count:
            raise PageError("a row is longer than the file")
        local = self._local_bytes(length)
        parts = [page[at : at + local]]
        left = length - local
        following = _read_unsigned(page, at + local) if left else 0
        while left > 0:
            further = self._pages.read(following)
            parts.append(further[4 : 4 + left])
            left -= len(parts[-1])
            # An overflow page begins with the number of the next one.
            following = _read_unsigned(further, 0)
        payload = b"".join(parts)
        if len(payload) != length:
            raise PageError("a row is cut off")
        return payload

    def _local_bytes(self, length: int) -> int:
        """Return how many bytes of a row are stored on its own page, without overflow pages."""
        # How SQLite divides a long row: its U, X, M and K, as in
        # https://sqlite.org/fileformat2.html#b_tree_pages; no byte of our pages is reserved.
        size = self._pages.size
        most = size - 35
        if self._table.by_key:
            most = (size - 12) * 64 // 255 - 23
        if length <= most:
            return length
        least = (size - 12) * 32 // 255 - 23
        local = least + (length - least) % (size - 4)
        return local if local <= most else least


def _start(number: int) -> int:
    """Return the offset of a page's header; on the first page it follows the file header."""
    return _FILE_HEADER if number == 1 else 0


def _read_unsigned(data: bytes, at: int) -> int:
    if at + 4 > len(data):
        raise PageError("a pointer is cut off")
    return int(struct.unpack_from(">I", data, at)[0])


def _cells(page: bytes, number: int) -> list[int]:
    """Return the offsets of the cells of a page; impossible offsets are left out."""
    start = _start(number)
    # The header of an inner page ends with one more pointer, to the page of the largest keys.
    header = 12 if page[start] in {_ROW_INNER, _KEY_INNER} else 8
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    first = start + header
    if first + 2 * count > len(page):
        raise PageError("a page has more rows than room")
    places = struct.unpack_from(f">{count}H", page, first)
    return [place for place in places if first + 2 * count <= place < len(page)]


def _pointers(page: bytes, number: int) -> list[int]:
    """Return the pages that an inner page points to; impossible numbers are left out."""
    try:
        cells = _cells(page, number)
    except PageError:
        cells = []
    # A pointer may be damaged alone: ``Tree`` compares each with the map before it follows it.
    pointers = [_read_unsigned(page, cell) for cell in cells if cell + 4 <= len(page)]
    pointers.append(_read_unsigned(page, _start(number) + 8))
    return pointers
