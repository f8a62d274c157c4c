"""Writing salvaged rows into a new database: what it refuses is set aside, not lost."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from edge_agent.core import clock
from edge_agent.store.salvage.records import Value
from edge_agent.store.salvage.source import Source
from edge_agent.store.salvage.tables import LARGE, Table, tables_of
from edge_agent.store.write.set_aside import set_aside
from edge_agent.store.write.tombstones import Tombstones

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
