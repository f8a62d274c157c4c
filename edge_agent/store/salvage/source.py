"""The tables of a damaged database: as it lists them, else as ``schema.sql`` makes them."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from edge_agent.store.database.schema import StoredTable, expected_tables
from edge_agent.store.salvage.pages import Pages
from edge_agent.store.salvage.records import Value
from edge_agent.store.salvage.trees import Damage, Row, Tree

_SCHEMA_ROOT = 1
_SCHEMA_WIDTH = 5
_OF_SQLITE = "sqlite_sequence"
_LIKE_THE_AUDIT = "set_aside"  # its rows cannot be told from those of the audit, which has more


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a table are stored.

    Attributes:
        root: number of its first page.
        columns: in the order of storing.
        by_key: whether it is ``WITHOUT ROWID``.
        rowid: the column that is the number of the row; ``None`` without one.
        kinds: what each column holds, ``INTEGER`` or ``TEXT`` …; ``?`` behind what may be NULL.
    """

    root: int
    columns: tuple[str, ...]
    by_key: bool
    rowid: str | None
    kinds: tuple[str, ...] = ()

    def may_hold(self, row: Row) -> bool:
        """Tell whether a row may be one of this table, by its values alone."""
        if len(row.values) != len(self.columns) or (row.rowid is None) != self.by_key:
            return False
        return all(
            name == self.rowid or _fits(kind, value)
            for name, kind, value in zip(self.columns, self.kinds, row.values, strict=True)
        )


class Source:
    """What can be read of a damaged database.

    Args:
        pages: of the file and its log.

    Attributes:
        damage: by table; so far.
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self.damage: dict[str, Damage] = {}
        self._layouts = _layouts(pages)
        self._strays: dict[str, list[int]] = {}
        if pages.strays:
            self._adopt_strays()

    def _adopt_strays(self) -> None:
        """Find the tables of pages that only the log has, by what their rows look like."""
        reached = {number for table in self.tables for number in self.pages_of(table)}
        self.damage.clear()
        for number in self._pages.strays:
            for table in [] if number in reached else _tables_of(self._pages, number):
                self._strays.setdefault(table.name, []).append(number)
                self._layouts.setdefault(table.name, table.layout)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that may be read."""
        return tuple(self._layouts)

    def pages_of(self, table: str) -> Iterator[int]:
        """Yield the pages that hold rows of a table, always in the same order."""
        yield from self._tree(table).pages_with_rows()
        yield from self._strays.get(table, [])

    def table_of(self, page: int) -> str | None:
        """Return the table that a page belongs to by the map of pages; ``None``: not known."""
        seen: set[int] = set()
        while (above := self._pages.parent(page)) is not None and page not in seen:
            seen.add(page)
            page = above
        roots = {layout.root: name for name, layout in self._layouts.items()}
        return roots.get(page)

    def rows_on(self, table: str, page: int) -> Iterator[dict[str, Value]]:
        """Yield the rows of one page, as column → value."""
        layout = self._layouts[table]
        for row in self._tree(table).rows(page):
            yield _named(layout, row)

    def rows(self, table: str) -> Iterator[dict[str, Value]]:
        """Yield all rows of a table that can be read."""
        for page in self.pages_of(table):
            yield from self.rows_on(table, page)

    def last_page(self, table: str) -> int | None:
        """Return the page with the newest rows of a table; ``None`` where there is none."""
        return _tree_of(self._pages, self._layouts[table]).last_page()

    def _tree(self, table: str) -> Tree:
        tree = _tree_of(self._pages, self._layouts[table])
        tree.damage = self.damage.setdefault(table, Damage())
        return tree


@dataclass(frozen=True, slots=True)
class _Known:
    """A table that we make, and how it is stored."""

    name: str
    layout: Layout


def _tables_of(pages: Pages, number: int) -> list[_Known]:
    """Return the table that all rows of a page fit; none where several or no table does."""
    fitting = []
    for table in expected_tables():
        layout = _layout_of(table)
        if layout is None or not layout.kinds or table.name == _LIKE_THE_AUDIT:
            continue
        tree = _tree_of(pages, layout)
        if tree.holds_only(number, layout.may_hold):
            fitting.append(_Known(table.name, layout))
    return fitting if len(fitting) == 1 else []


_TYPES: dict[str, type | tuple[type, ...]] = {
    "INTEGER": int,
    "TEXT": str,
    "REAL": (int, float),
    "BLOB": bytes,
}


def _fits(kind: str, value: Value) -> bool:
    if value is None:
        return kind.endswith("?")
    wanted = _TYPES.get(kind.rstrip("?"))
    return wanted is None or isinstance(value, wanted)


def _named(layout: Layout, row: Row) -> dict[str, Value]:
    values: dict[str, Value] = dict(zip(layout.columns, row.values, strict=False))
    if layout.rowid is not None:
        values[layout.rowid] = row.rowid
    return values


def _layouts(pages: Pages) -> dict[str, Layout]:
    """Return the tables: those of the file's own list, and the others where we would put them."""
    own = {table.name: table for table in _own_list(pages)}
    layouts = {}
    for table in own.values():
        layout = _layout_of(table)
        if layout is not None and _tree_of(pages, layout).looks_right():
            layouts[table.name] = layout
    if set(own) >= {table.name for table in expected_tables()} and len(layouts) == len(own):
        return layouts
    taken = {layout.root for layout in layouts.values()}
    for name, layout in _likeliest(pages, own).items():
        if name not in layouts and layout.root not in taken:
            layouts[name] = layout
    return layouts


def _own_list(pages: Pages) -> Iterator[StoredTable]:
    """Yield the tables that the file itself lists."""
    tree = Tree(pages, _SCHEMA_ROOT, by_key=False, width=_SCHEMA_WIDTH)
    for number in tree.pages_with_rows():
        for row in tree.rows(number):
            match row.values:
                case ["table", str(name), _, int(root), str(sql)] if root > 1:
                    yield StoredTable(name, root, sql)


def _likeliest(pages: Pages, own: Mapping[str, StoredTable]) -> dict[str, Layout]:
    """Return the layouts, of a new file or a rewritten one, that agree best with what is there."""
    best: dict[str, Layout] = {}
    most = -1
    for rewritten in (False, True):
        tables = expected_tables(rewritten=rewritten)
        layouts = _right_ones(pages, tables)
        known = sum(table.name in own and own[table.name] == table for table in tables)
        right = 10 * known + len(layouts) - (len(tables) - len(layouts))
        if right > most:
            most = right
            best = layouts
    return best


def _right_ones(pages: Pages, tables: Sequence[StoredTable]) -> dict[str, Layout]:
    layouts = {}
    for table in tables:
        layout = _layout_of(table)
        if layout is not None and _tree_of(pages, layout).looks_right():
            layouts[table.name] = layout
    return layouts


def _tree_of(pages: Pages, layout: Layout) -> Tree:
    return Tree(pages, layout.root, by_key=layout.by_key, width=len(layout.columns))


@functools.cache
def _layout_of(table: StoredTable) -> Layout | None:
    """Return how a table is stored; ``None`` where its statement is damaged."""
    if table.name == _OF_SQLITE:
        return Layout(table.root, ("name", "seq"), by_key=False, rowid=None)
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute(table.sql)
            columns = connection.execute("SELECT * FROM pragma_table_info(?)", (table.name,))
            described = [(row[1], row[2], row[5], row[3]) for row in columns]
            without_rowid = connection.execute(
                "SELECT wr FROM pragma_table_list(?)", (table.name,)
            ).fetchone()
        except sqlite3.Error:
            return None
    if not described or without_rowid is None:
        return None
    names = tuple(row[0] for row in described)
    keys = [(row[2], row[0]) for row in described if row[2]]
    kinds = {row[0]: row[1] + ("" if row[3] or row[2] else "?") for row in described}
    if without_rowid[0]:
        first = [name for _, name in sorted(keys)]
        names = (*first, *(name for name in names if name not in first))
        return Layout(table.root, names, True, None, tuple(kinds[name] for name in names))
    number = None
    if len(keys) == 1 and kinds[keys[0][1]] == "INTEGER":
        number = keys[0][1]
    return Layout(table.root, names, False, number, tuple(kinds.values()))
