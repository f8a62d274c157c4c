"""The tables of a damaged database, and copying their rows into a new one.

The tables are those that the damaged file lists, else as ``schema.sql`` makes them. What the new
database refuses is set aside, not lost.
"""

from __future__ import annotations

import functools
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from operator import itemgetter

from edge_agent.core import clock
from edge_agent.timeline.database.connection import insert
from edge_agent.timeline.database.creation import StoredTable, expected_tables
from edge_agent.timeline.database.tables import (
    BY_NAME,
    OF_PARTICIPANT,
    TIMELINE,
    RowOwner,
    SalvageWay,
)
from edge_agent.timeline.salvage.btrees import Damage, Layout, Tree, Value
from edge_agent.timeline.salvage.pages import Pages
from edge_agent.timeline.write.batch import set_aside
from edge_agent.timeline.write.rollups import Tombstones

_OWN_LIST = Layout(1, ("type", "name", "tbl_name", "rootpage", "sql"))
_LIKE_THE_AUDIT = "set_aside"  # its rows cannot be told from those of the audit, which has more
LARGE = tuple(table.name for table in TIMELINE if table.salvage is SalvageWay.PAGES)
"""Tables of the timeline: carried over while recording goes on, in this order."""
# sqlite_sequence is SQLite's own
MADE_ANEW = frozenset(
    {"sqlite_sequence", *(table.name for table in TIMELINE if table.salvage is SalvageWay.ANEW)}
)
"""Tables that a new database has filled already."""
_ORDER = {table.name: place for place, table in enumerate(TIMELINE)}
# All other columns of a rollup are sums.
_CHOSEN = {"least": "min", "most": "max"}
_TIMES = ("at", "started", "given", "created")
_STUDY_BOUND = 200_000  # rows of a small table; one that is larger was not read rightly
_OF_THE_ROW = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    OverflowError,
)
"""Errors for which the row is to blame, and not the new database."""
_SAME_STRETCH_MS = 60_000
"""So far may the clocks of a row be from its stretch: a device may say when it measured."""
LOST = "LOST"
"""Begins the code of a participant whose own row could not be read."""


class DamagedDatabase:
    """The readable rows of a damaged database.

    Args:
        pages: of the file and its log.

    Attributes:
        damage: what could not be read so far.
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self.damage = Damage()
        self._layouts = _layouts(pages)
        self._strays: dict[str, list[int]] = {}
        if pages.strays:
            self._adopt_strays()

    def _adopt_strays(self) -> None:
        """Assign pages that only the log contains to tables, by the shape of their rows."""
        # What the trees of the file reach has its table; only the rest must be guessed.
        reached = {number for table in self.tables for number in self.pages_of(table)}
        # This walk only looked: damage is counted when the tables are copied.
        self.damage.forget()
        for number in self._pages.strays:
            known = None if number in reached else _table_of(self._pages, number)
            if known is not None:
                name, layout = known
                self._strays.setdefault(name, []).append(number)
                self._layouts.setdefault(name, layout)

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
        # A damaged map may lead in a circle.
        while (above := self._pages.parent(page)) is not None and page not in seen:
            seen.add(page)
            page = above
        roots = {layout.root: name for name, layout in self._layouts.items()}
        return roots.get(page)

    def rows_on(self, table: str, page: int) -> Iterator[dict[str, Value]]:
        """Yield the rows of one page, as column → value."""
        layout = self._layouts[table]
        for row in self._tree(table).rows(page):
            values: dict[str, Value] = dict(zip(layout.columns, row.values, strict=False))
            if layout.rowid is not None:
                values[layout.rowid] = row.rowid
            yield values

    def rows(self, table: str) -> Iterator[dict[str, Value]]:
        """Yield all rows of a table that can be read; none of a table that is not there."""
        for page in self.pages_of(table) if table in self._layouts else ():
            yield from self.rows_on(table, page)

    def last_page(self, table: str) -> int | None:
        """Return the page with the newest rows of a table; ``None`` where there is none."""
        # With a count of damage of its own: these pages are read once more when they are copied.
        return Tree(self._pages, self._layouts[table]).last_page()

    def _tree(self, table: str) -> Tree:
        return Tree(self._pages, self._layouts[table], self.damage)


def _table_of(pages: Pages, number: int) -> tuple[str, Layout] | None:
    """Return the table that all rows of a page fit; ``None`` where several or no table does."""
    fitting = [
        (table.name, layout)
        for table in expected_tables()
        if (layout := _layout_of(table)) and layout.kinds and table.name != _LIKE_THE_AUDIT
        if Tree(pages, layout).holds_only(number)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _layouts(pages: Pages) -> dict[str, Layout]:
    """Return the tables in the file's schema; for missing ones, the most likely layout."""
    own = {table.name: table for table in _own_list(pages)}
    layouts = _right_ones(pages, own.values())
    # Nothing is guessed while the list of the file itself is complete and fits.
    if set(own) >= {table.name for table in expected_tables()} and len(layouts) == len(own):
        return layouts
    taken = {layout.root for layout in layouts.values()}
    for name, layout in _likeliest(pages, own).items():
        if name not in layouts and layout.root not in taken:
            layouts[name] = layout
    return layouts


def _own_list(pages: Pages) -> Iterator[StoredTable]:
    """Yield the tables that the file itself lists."""
    tree = Tree(pages, _OWN_LIST)
    for number in tree.pages_with_rows():
        for row in tree.rows(number):
            match row.values:
                # Page 1 is the list itself.
                case ["table", str(name), _, int(root), str(sql)] if root > 1:
                    yield StoredTable(name, root, sql)


def _likeliest(pages: Pages, own: Mapping[str, StoredTable]) -> dict[str, Layout]:
    """Return the layouts, of a new or a rewritten file, that match the file best."""
    best: dict[str, Layout] = {}
    most = -1
    for rewritten in (False, True):
        tables = expected_tables(rewritten=rewritten)
        layouts = _right_ones(pages, tables)
        known = sum(own.get(table.name) == table for table in tables)
        # A table that the file lists in the very same place tells much more than a first page that
        # only looks possible.
        right = 10 * known + len(layouts) - (len(tables) - len(layouts))
        if right > most:
            most = right
            best = layouts
    return best


def _right_ones(pages: Pages, tables: Iterable[StoredTable]) -> dict[str, Layout]:
    return {
        table.name: layout
        for table in tables
        if (layout := _layout_of(table)) and Tree(pages, layout).looks_right()
    }


@functools.cache
def _layout_of(table: StoredTable) -> Layout | None:
    """Return how a table is stored; ``None`` where its statement is damaged."""
    # SQLite lets nobody create a table of this name, so that its columns cannot be asked for.
    if table.name == "sqlite_sequence":
        return Layout(table.root, ("name", "seq"))
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute(table.sql)
            described = connection.execute(
                'SELECT name, type, pk, "notnull" OR pk FROM pragma_table_info(?)', (table.name,)
            ).fetchall()
            by_key = connection.execute(
                "SELECT wr FROM pragma_table_list(?)", (table.name,)
            ).fetchone()
        except sqlite3.Error:
            return None
    if not described or by_key is None:
        return None
    kinds = {name: kind + ("" if is_filled else "?") for name, kind, _, is_filled in described}
    keys = [name for _, name in sorted((place, name) for name, _, place, _ in described if place)]
    # A table without rowid stores its key first, whatever the order in the statement.
    if by_key[0]:
        names = (*keys, *(name for name in kinds if name not in keys))
        return Layout(table.root, names, True, None, tuple(kinds[name] for name in names))
    # ``INTEGER PRIMARY KEY`` alone is another name for the number of the row.
    number = keys[0] if len(keys) == 1 and kinds[keys[0]] == "INTEGER" else None
    return Layout(table.root, tuple(kinds), False, number, tuple(kinds.values()))


@dataclass(frozen=True, slots=True)
class SalvagedTable:
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
        """Whether the table is a rollup, where two rows for the same time are summed."""
        return self.name in BY_NAME and BY_NAME[self.name].sums

    @property
    def number(self) -> str | None:
        """The surrogate key of a table of the timeline; ``None`` where the key has a meaning."""
        return "id" if self.name in LARGE and self.key == ("id",) else None

    def fitting(self, row: Mapping[str, Value]) -> dict[str, Value]:
        """Return the values that this table has columns for."""
        return {name: self._as_stored(name, row[name]) for name in self.columns if name in row}

    def _as_stored(self, name: str, value: Value) -> Value:
        # whole numbers in a REAL column are stored as integers
        return float(value) if name in self.real and isinstance(value, int) else value

    @functools.cache  # noqa: B019 - a timeline has millions of rows, and there are few tables
    def insertion(self, names: tuple[str, ...]) -> str:
        """Return the statement that writes a row of these columns."""
        wins = self.name in BY_NAME and BY_NAME[self.name].salvage is SalvageWay.NEWER
        verb = "INSERT OR REPLACE" if wins else "INSERT"
        places = ", ".join("?" * len(names))
        text = f"{verb} INTO {self.name} ({', '.join(names)}) VALUES ({places})"
        if self.is_sum:
            sums = ", ".join(self._update_clause(name) for name in names if name not in self.key)
            return f"{text} ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {sums}"
        return text

    def _update_clause(self, name: str) -> str:
        if choose := _CHOSEN.get(name):
            other = f"excluded.{name}"
            # ``min`` and ``max`` of two values are NULL if one is: the side that has a value must
            # win.
            return f"{name} = {choose}(coalesce({name}, {other}), coalesce({other}, {name}))"
        return f"{name} = {name} + excluded.{name}"


def tables_of(connection: sqlite3.Connection) -> dict[str, SalvagedTable]:
    """Return the tables of a new database that take salvaged rows: small ones, then ``LARGE``."""
    rows = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    names = [row[0] for row in rows]
    salvaged = sorted(set(names) - MADE_ANEW, key=_ORDER.__getitem__)
    return {name: _table(connection, name) for name in salvaged}


def _table(connection: sqlite3.Connection, name: str) -> SalvagedTable:
    described = connection.execute(
        "SELECT name, type, pk FROM pragma_table_info(?)", (name,)
    ).fetchall()
    columns = tuple(column for column, _, _ in described)
    key = tuple(column for column, _, place in sorted(described, key=itemgetter(2)) if place)
    return SalvagedTable(
        name, columns, key, frozenset(c for c, kind, _ in described if kind == "REAL")
    )


# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


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

    def __init__(self, source: DamagedDatabase, target: sqlite3.Connection) -> None:
        self.rows: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._source = source
        self._target = target
        self._tables = tables_of(target)
        self._boots: Mapping[Value, int] = {}

    def study(self) -> None:
        """Carry over everything but the timeline, and put its references in order."""
        for name, table in self._tables.items():
            if name not in LARGE:
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

    def before_loss(self, earlier: DamagedDatabase, numbers: Iterable[int]) -> None:
        """Carry over rows of the timeline that are found only in an earlier version of some pages.

        When SQLite splits a page, half of its rows stay and the other half go into a new page. If
        the new page is lost, its rows are still in the earlier version of the old page.

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
        self._boots = dict(self._target.execute("SELECT id, wall_minus_boot_ms FROM boot"))
        tombstones = Tombstones(self._target)
        return (row for row in rows if not _is_erased(tombstones, row))

    def _insert_if_free(self, table: SalvagedTable, row: dict[str, Value]) -> None:
        self._mend(table, row)
        try:
            statement = table.insertion(tuple(row)).replace("INSERT", "INSERT OR IGNORE", 1)
            cursor = self._target.execute(statement, tuple(row.values()))
        except _OF_THE_ROW:
            return  # a damaged row: what is in the newest state of its page counts
        self.rows[table.name] += cursor.rowcount

    def _write(self, table: SalvagedTable, rows: Iterable[Mapping[str, Value]]) -> None:
        erased = Tombstones(self._target).spans if table.name == "session" else ()
        for count, row in enumerate(rows):
            if count == _STUDY_BOUND and table.name not in LARGE:
                break
            if (row.get("started"), row.get("ended")) in erased:
                continue
            self._write_row(table, table.fitting(row))

    def _write_row(self, table: SalvagedTable, row: dict[str, Value]) -> None:
        self._mend(table, row)
        try:
            self._insert(table, row)
        except _OF_THE_ROW as error:
            if not self._is_there(table, row):
                self._refuse(table, row, str(error))

    def _mend(self, table: SalvagedTable, row: dict[str, Value]) -> None:
        if self._boots:
            boot = self._boot_of(row)
            # The row is whole without the reference: only its boot could not be read.
            row.pop("boot", None)
            if boot is not None:
                row["boot"] = boot
        if table.name != "gap":
            return
        if self._boots and row.get("started_boot") not in self._boots:
            row.pop("started_boot", None)
        match row.get("started"), row.get("ended"):
            # Earlier releases dated some by the readings that were lost; the upgrade does the same.
            case int(started), int(ended) if ended < started:
                row["ended"] = started

    def _boot_of(self, row: Mapping[str, Value]) -> Value:
        """Return by which row of ``boot`` a row is dated; ``None`` where that could not be read.

        The new database counts its own from 1, so a number alone may be that of another stretch;
        and the stretch in which the file was lost goes on there, under another number.
        """
        number, at, boot_ms = (row.get(name) for name in ("boot", "at", "boot_ms"))
        if not isinstance(at, int) or not isinstance(boot_ms, int):
            return number if number in self._boots else None
        apart = {one: abs(at - boot_ms - offset) for one, offset in self._boots.items()}
        if number in apart and apart[number] <= _SAME_STRETCH_MS:
            return number
        near = [one for one, by in apart.items() if by <= clock.CLOCK_JUMP_MS]
        return near[-1] if near else None

    def _insert(self, table: SalvagedTable, row: dict[str, Value]) -> None:
        try:
            self._target.execute(table.insertion(tuple(row)), tuple(row.values()))
        except sqlite3.IntegrityError:
            if table.number is None or self._is_there(table, row):
                raise
            # A new row has taken the number meanwhile; nothing refers to it.
            row = {name: value for name, value in row.items() if name != table.number}
            self._target.execute(table.insertion(tuple(row)), tuple(row.values()))
        self.rows[table.name] += 1

    def _is_there(self, table: SalvagedTable, row: Mapping[str, Value]) -> bool:
        """Tell whether the row was copied already: a damaged file may refer to a page twice."""
        # ``IS`` and not ``=``: NULL equals nothing, and most rows have one.
        same = " AND ".join(f"{name} IS ?" for name in row)
        try:
            rows = self._target.execute(
                f"SELECT 1 FROM {table.name} WHERE {same}", tuple(row.values())
            )
            return rows.fetchone() is not None
        except (sqlite3.Error, OverflowError):
            return False

    def _refuse(self, table: SalvagedTable, row: Mapping[str, Value], reason: str) -> None:
        self.refused[table.name] += 1
        at = next((row[name] for name in _TIMES if isinstance(row.get(name), int)), None)
        set_aside(self._target, at if isinstance(at, int) else None, table.name, row, reason)

    def _adopt_orphans(self) -> None:
        """Put references in order: a new database refers to nothing that could not be read.

        Rows of a lost participant get one of their own; rows of a lost session or alert are set
        aside; where the clock of a row is lost, its time is never moved.
        """
        named = " UNION ".join(f"SELECT participant FROM {one.name}" for one in OF_PARTICIPANT)
        lost = self._target.execute(f"{named} EXCEPT SELECT id FROM participant").fetchall()
        for (number,) in map(tuple, lost):
            code, created = f"{LOST}-{number}", clock.now().wall_ms
            insert(self._target, "participant", id=number, code=code, created=created)
        self._target.execute(
            "UPDATE standing_session SET begun = NULL WHERE begun NOT IN (SELECT id FROM session)"
        )
        for table in (one for one in TIMELINE if one.name not in LARGE):
            for time in table.moved:
                self._target.execute(
                    f"UPDATE {table.name} SET {time.boot} = NULL WHERE {time.boot} NOT IN "
                    "(SELECT id FROM boot)"
                )
            if table.whose in {RowOwner.SESSION, RowOwner.ALERT}:
                self._refuse_orphans(table.name, table.whose.value)

    def _refuse_orphans(self, name: str, owner: str) -> None:
        of_none = f"FROM {name} WHERE {owner} NOT IN (SELECT id FROM {owner})"
        for row in self._target.execute(f"SELECT * {of_none}").fetchall():
            self._refuse(self._tables[name], dict(row), f"its {owner} could not be read")
            self.rows[name] -= 1
        self._target.execute(f"DELETE {of_none}")

    def _continue_numbers(self) -> None:
        """Continue the sequence numbers of messages where they ended."""
        last = [
            row["seq"]
            for row in self._source.rows("sqlite_sequence")
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


def _is_erased(tombstones: Tombstones, row: Mapping[str, Value]) -> bool:
    at = row.get("at", row.get("started"))
    # Without erased times, which is the rule, nothing needs to be compared.
    if not isinstance(at, int) or not tombstones.spans:
        return False
    # A row is stamped with the end of its interval.
    length = row.get("interval_ms", 0)
    ended = row.get("ended", at)
    if not isinstance(length, int) or not isinstance(ended, int):
        return False
    return tombstones.cover(at - length, ended)
