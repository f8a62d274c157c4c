"""The pages of one table and the rows in them: https://sqlite.org/fileformat2.html#b_tree_pages.

What cannot be read is passed over and counted. Where a page within a tree is bad, the file's own
map of pages tells which pages hung on it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge_agent.store.salvage.pages import PageError, Pages
from edge_agent.store.salvage.records import Value, read_number, read_record

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
