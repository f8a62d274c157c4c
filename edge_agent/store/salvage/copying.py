"""Rows of each table into a new database.

The tables of a damaged database: as it lists them, else as ``schema.sql`` makes them.

How the rows of each table are carried over: what comes first, and what to do where two meet.

Writing salvaged rows into a new database: what it refuses is set aside, not lost.
"""

from __future__ import annotations

import functools
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from edge_agent.core import clock
from edge_agent.store.database.schema import StoredTable, expected_tables
from edge_agent.store.salvage.pages import Damage, Pages, Row, Tree, Value
from edge_agent.store.write.batch import set_aside
from edge_agent.store.write.rollups import Tombstones

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


LARGE = (
    "expression_hour",
    "vital_hour",
    "expression_minute",
    "vital_minute",
    "gap",
    "unfit",
    "expression",
    "vital",
)
"""Tables of the timeline: carried over while recording goes on, these in this order."""
MADE_ANEW = frozenset({"migration", "vital_kind", "sqlite_sequence"})
"""Tables that a new database has filled already."""
_NEWER_WINS = frozenset({"setting", "outbox_seq"})
_SUMS = ("_minute", "_hour", "_day")
_CHOSEN = {"least": "min", "most": "max"}


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the new database.

    Attributes:
        name: of the table.
        columns: of the table.
        key: those of its primary key.
        real: those that hold floating-point numbers.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    real: frozenset[str]

    @property
    def is_sum(self) -> bool:
        """Whether its rows add up what others hold: two for one time are added."""
        return self.name.endswith(_SUMS)

    @property
    def number(self) -> str | None:
        """The column that only numbers the rows, of a table of the timeline."""
        if self.name in LARGE and self.key == ("id",):
            return "id"
        return None

    def fitting(self, row: Mapping[str, Value]) -> dict[str, Value]:
        """Return the values that this table has columns for."""
        return {name: self._typed(name, row[name]) for name in self.columns if name in row}

    def _typed(self, name: str, value: Value) -> Value:
        # whole numbers in a REAL column are stored as integers
        return float(value) if name in self.real and isinstance(value, int) else value

    def insertion(self, names: tuple[str, ...]) -> str:
        """Return the statement that writes a row of these columns."""
        verb = "INSERT OR REPLACE" if self.name in _NEWER_WINS else "INSERT"
        text = (
            f"{verb} INTO {self.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        )
        if self.is_sum:
            sums = ", ".join(self._added(name) for name in names if name not in self.key)
            return f"{text} ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {sums}"
        return text

    def _added(self, name: str) -> str:
        if name in _CHOSEN:
            choose = _CHOSEN[name]
            own = f"coalesce({name}, excluded.{name})"
            other = f"coalesce(excluded.{name}, {name})"
            return f"{name} = {choose}({own}, {other})"
        return f"{name} = {name} + excluded.{name}"


def tables_of(connection: sqlite3.Connection) -> dict[str, Table]:
    """Return the tables of a new database that take salvaged rows: small ones, then ``LARGE``."""
    names = [
        row[0]
        for row in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
    ]
    # settings first: they hold the times that were erased; sessions before what hangs on them
    small = [name for name in names if name not in LARGE and name not in MADE_ANEW]
    small.sort(key=lambda name: (name != "setting", name != "participant", name != "session"))
    large = [name for name in LARGE if name in names]
    return {name: _table(connection, name) for name in (*small, *large)}


def _table(connection: sqlite3.Connection, name: str) -> Table:
    described = connection.execute("SELECT * FROM pragma_table_info(?)", (name,)).fetchall()
    keys = sorted((row[5], row[1]) for row in described if row[5])
    return Table(
        name,
        tuple(row[1] for row in described),
        tuple(column for _, column in keys),
        frozenset(row[1] for row in described if row[2] == "REAL"),
    )


# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


_TIMES = ("at", "started", "given", "created")
_OF_SESSION = ("marker", "self_report", "protocol_run")
_STUDY_BOUND = 200_000  # rows of a small table; one that is larger was not read rightly
LOST = "LOST"
"""Begins the code of a participant whose own row could not be read."""


class Copying:
    """Carries rows over, inside transactions that the caller holds.

    Foreign keys of the connection must be off: rows come in any order.

    Args:
        source: the damaged database.
        target: a connection to the new one.

    Attributes:
        rows: how many were written, by table.
        refused: how many were set aside, by table.
    """

    def __init__(self, source: Source, target: sqlite3.Connection) -> None:
        self.rows: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._source = source
        self._target = target
        self._tables = tables_of(target)
        self._boots: frozenset[Value] = frozenset()
        self._insertions: dict[tuple[str, tuple[str, ...]], str] = {}

    def study(self) -> None:
        """Carry over everything but the timeline, and put its references in order."""
        for name, table in self._tables.items():
            if name not in LARGE and name in self._source.tables:
                self._write(table, self._source.rows(name))
        self._adopt_orphans()
        self._continue_numbers()

    def newest(self) -> dict[str, int]:
        """Carry over the last page of each table of rows, and return these pages by table.

        New rows get later numbers so, and a start knows since when nothing was recorded. ``page``
        leaves these pages to this.
        """
        pages = {}
        for name in LARGE:
            if name not in self._source.tables or self._tables[name].is_sum:
                continue
            last = self._source.last_page(name)
            if last is not None:
                self.page(name, last)
                pages[name] = last
        return pages

    def page(self, name: str, number: int) -> None:
        """Carry over the rows on one page of a table of the timeline."""
        self._write(self._tables[name], self._not_erased(self._source.rows_on(name, number)))

    def before_loss(self, earlier: Source, numbers: Iterable[int]) -> None:
        """Carry over rows of the timeline that only an earlier state of some pages has.

        Where a page is divided, the log has one half of its rows in the old page and the other in a
        new one. If that one is lost, its rows are still in the page as it was.

        Args:
            earlier: the database up to the first page that is lost in its log.
            numbers: the pages that are others since then.
        """
        for number in numbers:
            name = earlier.table_of(number)
            if name is None or name not in LARGE or self._tables[name].is_sum:
                continue
            table = self._tables[name]
            for row in self._not_erased(earlier.rows_on(name, number)):
                self._insert_if_free(table, table.fitting(row))

    def _not_erased(self, rows: Iterable[Mapping[str, Value]]) -> Iterator[Mapping[str, Value]]:
        self._boots = frozenset(row[0] for row in self._target.execute("SELECT id FROM boot"))
        tombstones = Tombstones(self._target)
        return (row for row in rows if not _is_erased(tombstones, row))

    def _insert_if_free(self, table: Table, row: dict[str, Value]) -> None:
        self._without_lost_boot(row)
        try:
            statement = self._insertion(table, tuple(row)).replace("INSERT", "INSERT OR IGNORE", 1)
            cursor = self._target.execute(statement, tuple(row.values()))
        except (sqlite3.Error, OverflowError) as error:
            if not _is_of_the_row(error):
                raise
            return  # a damaged row: what is in the newest state of its page counts
        self.rows[table.name] += cursor.rowcount

    def _write(self, table: Table, rows: Iterable[Mapping[str, Value]]) -> None:
        erased = Tombstones(self._target).spans if table.name == "session" else ()
        for count, row in enumerate(rows):
            if count == _STUDY_BOUND and table.name not in LARGE:
                break
            if (row.get("started"), row.get("ended")) in erased:
                continue
            self._write_row(table, table.fitting(row))

    def _write_row(self, table: Table, row: dict[str, Value]) -> None:
        self._without_lost_boot(row)
        try:
            self._insert(table, row)
        except (sqlite3.Error, OverflowError) as error:
            if not _is_of_the_row(error):
                raise
            if self._is_there(table, row):
                return
            self._refuse(table, row, str(error))

    def _without_lost_boot(self, row: dict[str, Value]) -> None:
        if self._boots and row.get("boot") not in self._boots:
            row.pop("boot", None)

    def _insert(self, table: Table, row: dict[str, Value]) -> None:
        try:
            self._target.execute(self._insertion(table, tuple(row)), tuple(row.values()))
        except sqlite3.IntegrityError:
            if table.number is None or self._is_there(table, row):
                raise
            # A new row has taken the number meanwhile; nothing refers to it.
            row = {name: value for name, value in row.items() if name != table.number}
            self._target.execute(self._insertion(table, tuple(row)), tuple(row.values()))
        self.rows[table.name] += 1

    def _insertion(self, table: Table, names: tuple[str, ...]) -> str:
        """Return the statement, made once: a timeline has millions of rows."""
        key = (table.name, names)
        if key not in self._insertions:
            self._insertions[key] = table.insertion(names)
        return self._insertions[key]

    def _is_there(self, table: Table, row: Mapping[str, Value]) -> bool:
        """Tell whether the same row is there: one page may be met twice in a damaged file."""
        same = " AND ".join(f"{name} IS ?" for name in row)
        try:
            rows = self._target.execute(
                f"SELECT 1 FROM {table.name} WHERE {same}", tuple(row.values())
            )
            return rows.fetchone() is not None
        except (sqlite3.Error, OverflowError):
            return False

    def _refuse(self, table: Table, row: Mapping[str, Value], reason: str) -> None:
        self.refused[table.name] += 1
        at = next((row[name] for name in _TIMES if isinstance(row.get(name), int)), None)
        set_aside(self._target, at if isinstance(at, int) else None, table.name, row, reason)

    def _adopt_orphans(self) -> None:
        """Give rows whose participant could not be read a participant again.

        Rows whose session could not be read are set aside.
        """
        lost = self._target.execute(
            "SELECT participant FROM session UNION SELECT participant FROM consent UNION "
            "SELECT participant FROM participant_attribute EXCEPT SELECT id FROM participant"
        ).fetchall()
        for (number,) in map(tuple, lost):
            self._target.execute(
                "INSERT INTO participant (id, code, created) VALUES (?, ?, ?)",
                (number, f"{LOST}-{number}", clock.now().wall_ms),
            )
        for name in _OF_SESSION:
            self._set_aside_where(name, "session NOT IN (SELECT id FROM session)")

    def _set_aside_where(self, name: str, condition: str) -> None:
        table = self._tables[name]
        for row in self._target.execute(f"SELECT * FROM {name} WHERE {condition}").fetchall():
            values = dict(zip(table.columns, row, strict=True))
            self._refuse(table, values, "its session could not be read")
            self.rows[name] -= 1
        self._target.execute(f"DELETE FROM {name} WHERE {condition}")

    def _continue_numbers(self) -> None:
        """Let the numbers of messages go on where they were."""
        last = [
            row["seq"]
            for row in (self._source.rows("sqlite_sequence") if self._numbers_are_there else ())
            if row.get("name") == "outbox" and isinstance(row.get("seq"), int)
        ]
        self._target.execute("DELETE FROM sqlite_sequence WHERE name = 'outbox'")
        self._target.execute(
            "INSERT INTO sqlite_sequence (name, seq) "
            "SELECT 'outbox', max(?, coalesce(max(id), 0)) FROM outbox",
            (last[0] if last else 0,),
        )
        self._target.execute(
            "INSERT INTO outbox_seq (topic, last) SELECT topic, max(seq) FROM outbox "
            "WHERE seq IS NOT NULL GROUP BY topic "
            "ON CONFLICT (topic) DO UPDATE SET last = max(last, excluded.last)"
        )

    @property
    def _numbers_are_there(self) -> bool:
        return "sqlite_sequence" in self._source.tables


def _is_erased(tombstones: Tombstones, row: Mapping[str, Value]) -> bool:
    at = row.get("at", row.get("started"))
    if not isinstance(at, int) or not tombstones.spans:
        return False
    length = row.get("interval_ms", 0)
    ended = row.get("ended", at)
    if not isinstance(length, int) or not isinstance(ended, int):
        return False
    return tombstones.cover(at - length, ended)


def _is_of_the_row(error: Exception) -> bool:
    """Tell whether the row is to blame, and not the new database."""
    return isinstance(
        error,
        sqlite3.IntegrityError
        | sqlite3.DataError
        | sqlite3.ProgrammingError
        | sqlite3.InterfaceError
        | OverflowError,
    )
