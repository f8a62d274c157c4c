"""The log of changes: it begins a stream, returns pending changes, and drops confirmed ones.

The log contains keys and no content: rows are read when they are sent. So it is small, and rows
that were erased meanwhile are in no message. Triggers write it in the transaction of each change,
so that exactly the committed changes are logged.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.errors import DamageError, StoreError
from edge_agent.fleet.chunks import Chunk, read_chunk
from edge_agent.fleet.tables import (
    ROW,
    TABLES,
    TIMELINE,
    SentTable,
    drop_triggers,
    expected_triggers,
    log_new_tables,
    present_triggers,
)
from edge_agent.timeline.database.connection import BUSY_SECONDS, connect, transaction
from edge_agent.timeline.database.files import is_read_only, translate_errors
from edge_agent.timeline.database.followed_file import OpenFile, open_database
from edge_agent.timeline.database.setting import stream_epoch
from edge_agent.timeline.write.audit import AuditLine, append
from edge_agent.timeline.write.boots import stamp
from edge_agent.timeline.write.changes import Special, has_stream

ROWS_A_RANGE = 500
"""Rows of one change of a copy; about so many for readings."""
BYTES_A_CHANGE = 40
"""Largest size of a change in the log; with one face and one strap it is 28 on average."""


@dataclass(frozen=True, slots=True)
class FleetStream:
    """The state of a stream: its epoch and its confirmed position.

    Attributes:
        epoch: 16 hexadecimal digits, new ones for each new copy of the database.
        confirmed: the last position that the collector has confirmed; 0 for none.
    """

    epoch: str
    confirmed: int


class ChangeLog:
    """The log of one database, used from one thread; each method raises ``StoreError``.

    Args:
        path: the database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file: OpenFile | None = None
        self._version: int | None = None

    @property
    def was_replaced(self) -> bool:
        """True where the database is not open, or no longer the file that ``begin`` opened."""
        return self._file is None or not self._file.is_in_place

    def begin(self) -> FleetStream:
        """Return the stream of this database; a new one if the old one cannot be continued.

        A new stream begins with the whole database. It is needed the first time, after the database
        was restored or salvaged, and if changes may be missing in the log because the triggers were
        missing or different.
        """
        with self._use_connection(begins=True) as connection, transaction(connection):
            row = connection.execute("SELECT * FROM fleet_state").fetchone()
            source = stream_epoch(connection)
            if row is not None:
                log_new_tables(connection)
            # Missing triggers, or those of another version, may have let changes pass unlogged.
            whole = present_triggers(connection) == expected_triggers()
            if row is not None and row["stream"] == source and whole:
                return FleetStream(row["epoch"], row["confirmed"])
            return _begin_anew(connection, source, row["epoch"] if row else None)

    def read(self, after: int, most_rows: int) -> Chunk | None:
        """Return the changes after a position, with their rows as they are now.

        ``None``: there are none.
        """
        with self._use_connection() as connection:
            connection.execute("BEGIN")  # all queries see the same state
            try:
                return read_chunk(connection, after, most_rows)
            finally:
                # Without its end the read would keep the write-ahead log from being emptied.
                connection.execute("COMMIT")

    def confirm(self, position: int, erased: dict[int, int]) -> None:
        """Drop the changes up to a position, which the collector has confirmed.

        The newest stays, so that no position is used twice. Erasures at the collector get a line in
        the audit trail.

        Args:
            position: the last confirmed one.
            erased: number of rows erased there, by position of the erasure.
        """
        with self._use_connection() as connection, transaction(connection):
            done = connection.execute(
                "SELECT seq FROM fleet_change WHERE what = ? AND seq <= ? AND seq > "
                # Only from the last confirmation on: an erasure is noted once.
                "(SELECT confirmed FROM fleet_state) ORDER BY seq",
                (Special.ERASE, position),
            ).fetchall()
            for (seq,) in done:
                _note_receipt(connection, erased.get(seq))
            connection.execute("UPDATE fleet_state SET confirmed = ?", (position,))
            # SQLite numbers on from the largest row: in an empty table it would begin at 1 again.
            newest = "(SELECT max(seq) FROM fleet_change)"
            sql = f"DELETE FROM fleet_change WHERE seq <= ? AND seq < {newest}"
            connection.execute(sql, (position,))

    def shrink(self, most_bytes: int) -> int:
        """Drop the oldest changes beyond a size, and return their number.

        Erasures and the marks of a copy stay. A gap takes the place of the dropped changes.
        """
        most = max(1, most_bytes // BYTES_A_CHANGE)
        with self._use_connection() as connection:
            bounds = "SELECT min(seq), max(seq) FROM fleet_change"
            first, last = connection.execute(bounds).fetchone()
            if first is None or last - first < most:
                return 0
            # positions are no count: remaining older changes and gaps are far apart
            if connection.execute("SELECT count(*) FROM fleet_change").fetchone()[0] <= most:
                return 0
            with transaction(connection):
                # a tenth more, so that the next changes do not need it again
                return _drop_until(connection, last - most + most // 10)

    def refuse(self, first: int, last: int) -> None:
        """Give up changes that no broker takes: they become a gap."""
        with self._use_connection() as connection, transaction(connection):
            _to_gap(connection, first, last)

    def has_changed(self) -> bool:
        """Return whether another connection has committed since the last call."""
        with self._use_connection() as connection:
            # data_version changes only with commits of other connections, and costs no look at a
            # table.
            version = int(connection.execute("PRAGMA data_version").fetchone()[0])
        changed = version != self._version
        self._version = version
        return changed

    def newest(self) -> int:
        """Return the position of the newest change."""
        with self._use_connection() as connection:
            row = connection.execute("SELECT max(seq) FROM fleet_change").fetchone()
        return int(row[0] or 0)

    def gaps(self) -> list[tuple[int, int]]:
        """Return the gaps in the log: the position and the number of changes of each."""
        with self._use_connection() as connection:
            sql = "SELECT seq, b FROM fleet_change WHERE what = ?"
            return [(row[0], row[1]) for row in connection.execute(sql, (Special.GAP,))]

    def close(self) -> None:
        """Close the connection; ``begin`` opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._version = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _connect(self, *, begins: bool) -> sqlite3.Connection:
        # The connection would go on in a file that has lost its name.
        if self.was_replaced:
            self.close()
        if self._connection is None:
            # What is there now may be of another stream.
            if not begins:
                raise StoreError(f"{self._path}: was opened anew, and its stream is not begun yet.")
            opened = open_database(self._path, busy_seconds=BUSY_SECONDS)
            self._connection = opened.connection
            self._file = opened.file
        return self._connection

    @contextmanager
    def _use_connection(self, *, begins: bool = False) -> Iterator[sqlite3.Connection]:
        """Yield the connection; errors become ``StoreError``. Only ``begin`` opens it."""
        try:
            with translate_errors(self._path):
                yield self._connect(begins=begins)
        except StoreError as error:
            # Opened anew the next time: the file may have been mended or replaced by then.
            if isinstance(error, DamageError) or is_read_only(error):
                self.close()
            raise


def end_stream(path: Path) -> bool:
    """Remove all parts of a stream from a database; return whether there was one.

    A later stream sends the whole database again.
    """
    with translate_errors(path):
        connection = connect(path, readonly=False)
        try:
            if not has_stream(connection):
                return False
            with transaction(connection):
                drop_triggers(connection)
                connection.execute("DELETE FROM fleet_change")
                connection.execute("DELETE FROM fleet_state")
        finally:
            connection.close()
    return True


def _begin_anew(connection: sqlite3.Connection, source: str, follows: str | None) -> FleetStream:
    """Begin a stream with the whole database; keep only waiting erasures of the old one."""
    # First, so that the copy below does not log itself.
    drop_triggers(connection)
    # The collector must still forget, whatever happens to this stream.
    erasures = connection.execute(
        "SELECT a, more FROM fleet_change WHERE what = ? ORDER BY seq", (Special.ERASE,)
    ).fetchall()
    connection.execute("DELETE FROM fleet_change")
    epoch = secrets.token_hex(8)
    connection.execute(
        "INSERT INTO fleet_state (id, epoch, stream) VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE "
        "SET epoch = excluded.epoch, stream = excluded.stream, confirmed = 0, quiet = 0",
        (epoch, source),
    )
    # So the collector closes the stream that this one takes the place of.
    add = "INSERT INTO fleet_change (what, a, b, more) VALUES (?, ?, ?, ?)"
    connection.execute(add, (Special.BEGIN, None, None, json.dumps({"follows": follows})))
    for participant, more in erasures:
        connection.execute(add, (Special.ERASE, participant, None, more))
    for table in TABLES:
        # Keys go into the log, not rows: what changes meanwhile is sent as it is then.
        for start, end in _ranges(connection, table):
            connection.execute(add, (table.code * 10 + ROW, start, end, None))
    connection.execute(add, (Special.COPIED, None, None, json.dumps(_extent(connection))))
    # In the same transaction: a row between copy and triggers would never be sent.
    for sql in expected_triggers().values():
        connection.execute(sql)
    return FleetStream(epoch, 0)


def _ranges(connection: sqlite3.Connection, table: SentTable) -> Iterator[tuple[int, int]]:
    """Yield the first and last key of each portion of a table; the times for readings."""
    column = table.key[0]
    start = None
    while True:
        # From the last key on instead of an offset, which would count from the start each time.
        beyond = "" if start is None else f"WHERE {column} > {start}"
        keys = connection.execute(
            f"SELECT {column} FROM {table.name} {beyond} ORDER BY {column} LIMIT {ROWS_A_RANGE}"
        ).fetchall()
        if not keys:
            return
        start = keys[-1][0]
        yield keys[0][0], start


def _extent(connection: sqlite3.Connection) -> dict[str, int | None]:
    """Return the first and last time of the timeline; ``None`` for an empty one."""
    spans = [
        connection.execute(f"SELECT min({table.time}), max({table.time}) FROM {table.name}")
        for table in TIMELINE
    ]
    spans_there = [row for row in (span.fetchone() for span in spans) if row[0] is not None]
    return {
        "from": min((row[0] for row in spans_there), default=None),
        "to": max((row[1] for row in spans_there), default=None),
    }


def _drop_until(connection: sqlite3.Connection, until: int) -> int:
    """Drop changes before a position; each range between the remaining ones becomes a gap."""
    kept = connection.execute(
        "SELECT seq FROM fleet_change WHERE seq <= ? AND what IN (?, ?, ?) ORDER BY seq",
        (until, Special.ERASE, Special.BEGIN, Special.COPIED),
    ).fetchall()
    first = connection.execute("SELECT min(seq) FROM fleet_change").fetchone()[0]
    confirmed = connection.execute("SELECT confirmed FROM fleet_state").fetchone()[0]
    dropped = 0
    # Confirmed changes are no gap: the collector has them.
    start = max(first, confirmed + 1)
    # One more at the end closes the last range.
    for (seq,) in [*kept, (until + 1,)]:
        if start < seq:
            dropped += _to_gap(connection, start, seq - 1)
        start = max(start, seq + 1)
    return dropped


def _to_gap(connection: sqlite3.Connection, first: int, last: int) -> int:
    """Replace several changes by a gap; return their number."""
    # A row of a gap holds its first position in ``a``, which may lie before ``first``.
    earlier = connection.execute(
        "SELECT coalesce(min(a), ?) FROM fleet_change WHERE what = ? AND seq BETWEEN ? AND ?",
        (first, Special.GAP, first, last),
    ).fetchone()[0]
    start = min(first, earlier)
    connection.execute("DELETE FROM fleet_change WHERE seq BETWEEN ? AND ?", (first, last))
    connection.execute(
        "INSERT INTO fleet_change (seq, what, a, b) VALUES (?, ?, ?, ?)",
        # At the last position, so that confirming the gap confirms all that it covers.
        (last, Special.GAP, start, last - start + 1),
    )
    return int(last - first + 1)


def _note_receipt(connection: sqlite3.Connection, rows: int | None) -> None:
    how = "erased" if rows is None else f"erased with {rows} rows"
    boot, at = stamp(connection, clock.now())
    append(
        connection, AuditLine(at.wall_ms, "fleet", "fleet_erased", f"the collector has {how}", boot)
    )
