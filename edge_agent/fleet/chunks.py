"""Messages with a range of the log of changes and its rows, and the collector's confirmations.

A message is CBOR (RFC 8949), compressed with zlib (RFC 1950). The map inside has these keys:

``schema``: 2. ``device``: who sends. ``epoch``: which stream, 16 hexadecimal digits.
``first``, ``last``: the positions that it covers. ``sent``: when, in ms since 1970, by the device's
clock, and ``synchronised`` whether that clock was set. ``boot``: how the kernel's name of this
start of the machine begins, and ``boot_ms`` the ms since then; both are left out where it is not
known. ``absent``: rows that were gone before they were sent. ``changes``: a list of ``[position,
table, "row", values]`` with the columns of ``edge_agent.fleet.tables``; ``[position, table, "gone",
key]``; and with an empty table ``begin``, ``copied``, ``erase`` and ``gap`` with a map.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from io import BytesIO
from typing import Any

from pydantic import ValidationError

from edge_agent.core.errors import AffectEdgeError
from edge_agent.fleet.tables import BOOT_CHARACTERS, BY_CODE, BY_NAME, GONE, SCHEMA, SentTable
from edge_agent.mqtt.payloads import Confirmation
from edge_agent.timeline.write.changes import Special

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


Change = list[Any]
"""Position, name of a table (or empty), kind of the change, and values."""
LARGEST_BYTES = 16 * 1024 * 1024
"""Largest unpacked message; larger ones are refused, so that none can fill the memory."""
_SPECIAL = frozenset({"begin", "copied", "erase", "gap"})
_LARGEST_NUMBER = 2**63 - 1
_NUMBERS = ("first", "last", "sent", "absent")


@dataclass(frozen=True, slots=True)
class Chunk:
    """The contents of one message: the changes of a range of positions.

    Attributes:
        first: the first position that it covers.
        last: the last one.
        changes: in order; a position may have none, if its row was deleted, or many, in a copy.
        absent: number of logged rows that were deleted before they could be sent.
    """

    first: int
    last: int
    changes: tuple[Change, ...]
    absent: int


@dataclass(frozen=True, slots=True)
class _Entry:
    seq: int
    what: int
    a: int
    b: int | None
    more: str | None

    @property
    def table(self) -> SentTable:
        return BY_CODE[self.what // 10]

    @property
    def is_row(self) -> bool:
        return self.what >= 10 and self.what % 10 != GONE

    @property
    def is_range(self) -> bool:
        return self.is_row and self.b is not None


def read_chunk(connection: sqlite3.Connection, after: int, most_rows: int) -> Chunk | None:
    """Return the next changes, of about ``most_rows`` rows; ``None`` for no changes."""
    entries = [
        _Entry(*row)
        for row in connection.execute(
            "SELECT seq, what, a, b, more FROM fleet_change WHERE seq > ? ORDER BY seq LIMIT ?",
            (after, most_rows),
        )
    ]
    if not entries:
        return None
    # A range before the limit ends the message, or is one alone if it comes first.
    for number, entry in enumerate(entries):
        if entry.is_range:  # a message of its own: it has as many rows as one may have
            entries = entries[: max(1, number)]
            break
    changes: list[Change] = []
    absent = 0
    rows = dict(_single_rows(connection, entries))
    for entry in entries:
        new = list(_changes_of(connection, entry, rows))
        # A deleted row leaves no change, yet its position must be covered.
        absent += not new and entry.is_row
        changes += new
    # A gap reaches back to its first dropped position, and the collector expects no hole there.
    is_gap = entries[0].what == Special.GAP
    first = entries[0].a if is_gap else entries[0].seq
    return Chunk(first, entries[-1].seq, tuple(changes), absent)


def _changes_of(
    connection: sqlite3.Connection, entry: _Entry, rows: dict[tuple[int, Any], Change]
) -> Iterator[Change]:
    """Yield the changes of one entry of the log."""
    # The rest of a key in `more` belongs to rows; for the others it is their content.
    more = json.loads(entry.more) if entry.more and not entry.is_row else None
    if entry.what < 10:
        match entry.what:
            case Special.ERASE:
                yield [entry.seq, "", "erase", {"participant": entry.a, **(more or {})}]
            case Special.GAP:
                yield [entry.seq, "", "gap", {"first": entry.a, "changes": entry.b}]
            case Special.COPIED:
                yield [entry.seq, "", "copied", more or {}]
            case Special.BEGIN:
                yield [entry.seq, "", "begin", more or {}]
    elif not entry.is_row:
        # The key of three columns is in `more`; otherwise the time, to place what is gone, is in
        # `b`.
        key = [entry.a, *(more or [entry.b])]
        yield [entry.seq, entry.table.name, "gone", key]
    elif entry.is_range:
        table = entry.table
        column = table.key[0]
        for row in connection.execute(
            f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {column} BETWEEN ? AND ?",
            (entry.a, entry.b),
        ):
            yield [entry.seq, table.name, "row", list(row)]
    else:
        values = rows.get((entry.what, _key(entry)))
        if values is not None:
            yield [entry.seq, entry.table.name, "row", values]


def _key(entry: _Entry) -> Any:
    if entry.more:
        return (entry.a, *json.loads(entry.more))
    return entry.a


def _single_rows(
    connection: sqlite3.Connection, entries: Sequence[_Entry]
) -> Iterator[tuple[tuple[int, Any], Change]]:
    """Yield the rows of entries with a single row, by table and key."""
    wanted: dict[int, list[Any]] = defaultdict(list)
    for entry in entries:
        if entry.is_row and not entry.is_range:
            wanted[entry.what].append(_key(entry))
    for what, keys in wanted.items():
        table = BY_CODE[what // 10]
        columns = ", ".join(table.columns)
        if len(table.key) == 1:
            # One parameter for all keys: SQLite limits the number of parameters in a statement.
            sql = f"SELECT {columns} FROM {table.name} WHERE id IN (SELECT value FROM json_each(?))"
            for row in connection.execute(sql, (json.dumps(keys),)):
                yield (what, row[0]), list(row)
            continue
        sql = f"SELECT {columns} FROM {table.name} WHERE at = ? AND kind = ? AND source = ?"
        for key in keys:
            for row in connection.execute(sql, key):
                yield (what, key), list(row)


class MessageError(AffectEdgeError):
    """A message cannot be read; the text has the reason."""


@dataclass(frozen=True, slots=True)
class TimelineMessage:
    """A message of the stream; the module's docstring describes its fields."""

    device: str
    epoch: str
    first: int
    last: int
    sent: int
    synchronised: bool
    absent: int
    changes: tuple[list[Any], ...]
    boot: str = ""
    boot_ms: int = 0


def encode(message: TimelineMessage) -> bytes:
    """Encode a message."""
    import cbor2  # only with the extra fleet

    content: dict[str, Any] = {"schema": SCHEMA}
    content |= {one.name: getattr(message, one.name) for one in fields(message)}
    if not message.boot:
        del content["boot"], content["boot_ms"]
    return zlib.compress(cbor2.dumps(content), level=6)


def decode(payload: bytes) -> TimelineMessage:
    """Decode a message.

    Raises:
        MessageError: it is no message of this stream, has a newer schema, or is too large.
    """
    import cbor2  # only with the extra fleet

    unpacker = zlib.decompressobj()
    try:
        # With a limit: a few kilobytes of zlib can unpack to gigabytes.
        raw = unpacker.decompress(payload, LARGEST_BYTES)
    except zlib.error as error:
        raise MessageError(f"is not compressed with zlib: {error}") from error
    # Not only an error: a full buffer looks like a message that is cut off, and both are refused.
    if not unpacker.eof:
        raise MessageError(f"is cut off, or has more than {LARGEST_BYTES} bytes unpacked")
    try:
        content = cbor2.load(BytesIO(raw))
    except (cbor2.CBORDecodeError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise MessageError(f"is no CBOR: {error}") from error
    if not isinstance(content, dict):
        raise MessageError("is no map")
    if content.get("schema") not in range(1, SCHEMA + 1):
        raise MessageError(
            f"has the schema {content.get('schema')!r}, this collector reads {SCHEMA}; update it"
        )
    return _check_content(content, content["schema"])


def _check_content(content: dict[Any, Any], schema: int) -> TimelineMessage:
    device = content.get("device")
    epoch = content.get("epoch")
    if not (isinstance(device, str) and 0 < len(device) <= 200 and "\0" not in device):
        raise MessageError(f"has no device, but {device!r:.80}")
    if not (isinstance(epoch, str) and len(epoch) == 16 and epoch.isalnum()):
        raise MessageError(f"has no epoch, but {epoch!r:.80}")
    first, last, sent, absent = (_number(content, key) for key in _NUMBERS)
    if not 0 < first <= last:
        raise MessageError(f"covers the positions {first} to {last}")
    changes = content.get("changes")
    if not isinstance(changes, list):
        raise MessageError("has no list of changes")
    # Positions may repeat, in a copy, but never go back.
    at = first
    for change in changes:
        _check_change(change, at, last, schema)
        at = change[0]
    synchronised = content.get("synchronised") is True
    start = _start_of_machine(content)
    return TimelineMessage(
        device, epoch, first, last, sent, synchronised, absent, tuple(changes), *start
    )


def _start_of_machine(content: dict[Any, Any]) -> tuple[str, int]:
    """Return start of the machine and its boot clock; empty values if they are wrong.

    They only serve to measure the clock, so no message is refused for them.
    """
    boot, boot_ms = content.get("boot"), content.get("boot_ms")
    is_name = isinstance(boot, str) and 0 < len(boot) <= BOOT_CHARACTERS and boot.isprintable()
    if not is_name or isinstance(boot_ms, bool) or not isinstance(boot_ms, int):
        return "", 0
    return str(boot), boot_ms


def _number(content: dict[Any, Any], key: str) -> int:
    value = content.get(key)
    # `True` is an `int` for Python; and SQLite takes no more than 64 bits.
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _LARGEST_NUMBER:
        raise MessageError(f"has no number in {key!r}, but {value!r:.80}")
    return value


def _check_change(change: object, at: int, last: int, schema: int) -> None:
    """Check a change, and complete a row of a device that does not have all columns yet."""
    if not (isinstance(change, list) and len(change) == 4 and isinstance(change[0], int)):
        raise MessageError(f"has a change that is none: {change!r:.80}")
    position, table, what, values = change
    if not (isinstance(table, str) and isinstance(what, str)):
        raise MessageError(f"has a change of {table!r:.40} that is called {what!r:.40}")
    if not at <= position <= last:
        raise MessageError(f"has a change at {position}, out of order")
    if table == "" and what in _SPECIAL and isinstance(values, dict):
        return
    sent = BY_NAME.get(table)
    if sent is None or what not in {"row", "gone"} or not isinstance(values, list):
        raise MessageError(f"has a change of {table!r:.40} that is called {what!r:.40}")
    added = sent.values_after(schema) if what == "row" else []
    wanted = len(sent.columns) - len(added)
    if what == "gone":
        # A reading is named by three values, a row by its id and its time.
        wanted = 3 if len(sent.key) == 3 else 2
    if len(values) != wanted:
        raise MessageError(f"has {len(values)} values of {table}, not {wanted}")
    values += added


def read_confirmation(payload: bytes) -> Confirmation:
    """Parse a confirmation of a collector; raises ``MessageError`` if it is none."""
    try:
        return Confirmation.model_validate_json(payload)
    except ValidationError as error:
        raise MessageError(f"is no confirmation: {error.errors()[0]['msg']}") from error
