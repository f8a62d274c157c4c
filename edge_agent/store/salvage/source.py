"""The tables of a damaged database: as it lists them, else as our migrations make them."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from edge_agent.store.database.schema import MIGRATIONS, StoredTable, expected_tables
from edge_agent.store.salvage.pages import Pages
from edge_agent.store.salvage.records import Value
from edge_agent.store.salvage.trees import Damage, Row, Tree

_SCHEMA_ROOT = 1
_SCHEMA_WIDTH = 5
_OF_SQLITE = "sqlite_sequence"


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a table are stored.

    Attributes:
        root: number of its first page.
        columns: in the order of storing.
        by_key: whether it is ``WITHOUT ROWID``.
        rowid: the column that is the number of the row; ``None`` without one.
    """

    root: int
    columns: tuple[str, ...]
    by_key: bool
    rowid: str | None


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

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that may be read."""
        return tuple(self._layouts)

    def pages_of(self, table: str) -> Iterator[int]:
        """Yield the pages that hold rows of a table, always in the same order."""
        yield from self._tree(table).pages_with_rows()

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
        numbers = _tree_of(self._pages, self._layouts[table]).pages_with_rows()
        return next(iter(deque(numbers, maxlen=1)), None)

    def _tree(self, table: str) -> Tree:
        tree = _tree_of(self._pages, self._layouts[table])
        tree.damage = self.damage.setdefault(table, Damage())
        return tree


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
    """Return the layouts of the version that agrees best with what is there."""
    best: dict[str, Layout] = {}
    most = -1
    for version in range(len(MIGRATIONS), 0, -1):
        for rewritten in (False, True):
            tables = expected_tables(version, rewritten=rewritten)
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


def _layout_of(table: StoredTable) -> Layout | None:
    """Return how a table is stored; ``None`` where its statement is damaged."""
    if table.name == _OF_SQLITE:
        return Layout(table.root, ("name", "seq"), by_key=False, rowid=None)
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute(table.sql)
            columns = connection.execute("SELECT * FROM pragma_table_info(?)", (table.name,))
            described = [(row[1], row[2], row[5]) for row in columns]
            without_rowid = connection.execute(
                "SELECT wr FROM pragma_table_list(?)", (table.name,)
            ).fetchone()
        except sqlite3.Error:
            return None
    if not described or without_rowid is None:
        return None
    names = tuple(name for name, _, _ in described)
    keys = [(place, name) for name, _, place in described if place]
    if without_rowid[0]:
        first = [name for _, name in sorted(keys)]
        names = (*first, *(name for name in names if name not in first))
        return Layout(table.root, names, by_key=True, rowid=None)
    number = None
    if len(keys) == 1 and {d[0]: d[1] for d in described}[keys[0][1]] == "INTEGER":
        number = keys[0][1]
    return Layout(table.root, names, by_key=False, rowid=number)
