"""The bounds of what others send: times, numbers, texts and tables that can be stored and shown.

Commands, messages, requests, files and corrections keep to them. What this machine stamps itself
does not have to: a clock that is not set may begin in 1970, and its rows are recorded and moved
when it is set. So an ``Instant`` with a boot clock may lie before the year 2000. A value or a time
that is only implausible is flagged, see ``core.given_readings``. The bounds of tables in text
files keep a file from filling the memory, a page or a message.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields
from enum import Enum
from itertools import groupby
from typing import TYPE_CHECKING, TextIO, TypeVar, cast

from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError, StudyError, shown_value

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

EARLIEST_MS = 946_684_800_000
"""2000-01-01, UTC milliseconds: an earlier time comes from a clock that was not set."""
LATEST_MS = 4_102_444_800_000
"""2100-01-01: times end before it."""
LARGEST = 1e9
"""No vital has a larger value; sums of squares of a year of such values stay finite."""
SOURCE_LENGTH = 500
"""Characters of the source of a reading; that of a file holds its name."""
MOST_AT_ONCE = 10_000
"""Entries of a list in one command; more are sent in portions."""
NOTED_ALIKE = 10
"""Equal lines of the audit trail that are written in full within an hour; more are counted."""
NOTED_EACH = 100
"""Lines of one actor and action that are written in full within an hour; more are counted."""
NOTED_IN_AN_HOUR = 400_000
"""Characters that the dashboard may add to the audit trail in full, which nothing makes shorter;
what is more is counted."""
COLUMNS_MOST = 1000
NAMES_MOST = 20_000
"""Characters of all names of columns: pages and messages repeat them."""
LINE_MOST = 1024 * 1024
"""Characters: each empty cell of a line takes eight times its length in memory."""
MOST_WORK = 8_000_000
"""Steps of reading one file that a page takes: lines, each 256 characters of a long one, names of
files. A study of two million rows takes half of them.
"""
STEPS_KEPT = 800
"""Steps for what is kept in memory until a file is read: a person, a session, a source; each takes
up to two kilobytes. A page reads 5,000 sessions beside two million rows.
"""
STEPS_OF_TIMES = 100
"""Steps for two times that are kept so, some two hundred bytes."""
OF_ONE_TIME = 1_000
"""Rows that share their time and are kept together without counting; no sensor gives so many."""
ERRORS_SHOWN = 20
"""Faults of one text that are named; where each is, is looked up in the whole text."""
_STEP_CHARACTERS = 256
_CELLS_OF_A_STEP = 20
_STEPS_AT_ONCE = 1_000
T = TypeVar("T")
_WORK: ContextVar[Callable[[int], None] | None] = ContextVar("work", default=None)
COMMAND_LINE = "command line"
DASHBOARD = "dashboard service"
"""The dashboard itself, where no account asked for what it does."""
PROGRAMS = frozenset({"agent", "appliance", "fleet", "mqtt", COMMAND_LINE, DASHBOARD})
"""Names in the audit trail that are those of no account and no token."""
_WHOLE = 2**53  # beyond it, JSON and JavaScript do not tell whole numbers apart
_TEXT_LENGTH = 2_000
_LENGTHS = {
    "document": 100_000,
    "plan": 1_000_000,
    "source": SOURCE_LENGTH,
    "sources": SOURCE_LENGTH,
}
"""Characters of a text, by the name of its field, where they are not ``_TEXT_LENGTH``."""
_WRITTEN_PRINTABLE = frozenset({"detail", "error", "file"})
"""Texts of other programs, which ``printable`` changes where they are stored."""
_JSON = frozenset({"document", "parts", "plan"})
_LENGTHS_OF_TIME = frozenset({"spent_ms", "planned_ms", "stood_ms"})
# Controls, line separators, marks that turn the direction of writing, and halves of pairs.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def fold_name(actor: str) -> str:
    """Return a name in the audit trail without what people overlook: capitals, doubled blanks."""
    return " ".join(actor.casefold().split())


def is_time(at_ms: float) -> bool:
    """Return whether UTC milliseconds lie in the years 2000 to 2099."""
    return EARLIEST_MS <= at_ms < LATEST_MS


def is_number(value: float) -> bool:
    """Return whether a value is finite and not beyond ``LARGEST``."""
    return math.isfinite(value) and abs(value) <= LARGEST


def is_printable(text: str) -> bool:
    """Return whether a text holds no control character and nothing that breaks its line."""
    return _UNPRINTABLE.search(text) is None


def printable(text: str) -> str:
    r"""Return a text on one line: what ``is_printable`` refuses is written as its escape.

    Example:
        >>> printable("one\ntwo\x1b[2J")
        'one\\ntwo\\x1b[2J'
    """
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


def check_sent(name: str, value: object) -> None:
    """Refuse a value of a command that is out of bounds, or holds one that is.

    Whole numbers of fields that end with ``_ms`` are times, unless they are lengths of time.

    Args:
        name: of the argument, or of the field.
        value: a number, a text, an instant, or a dataclass, list or table of such.

    Raises:
        StudyError: it is so; the sentence names the field and the value.
    """
    match value:
        case None | bool() | Enum() | bytes():  # bytes keep to the size of a question
            pass
        case int() | float():
            _check_number(name, value)
        case str():
            _check_text(name, value)
        case Instant():
            _check_instant(name, value)
        case Mapping():
            check_sent(name, list(value))
            check_sent(name, list(value.values()))
        case Sequence() | Set():
            if len(value) > MOST_AT_ONCE:
                raise StudyError(
                    f"{name}: {len(value):,} at once; at most {MOST_AT_ONCE:,} are taken."
                )
            for one in value:
                check_sent(name, one)
        case _:
            # A type that is no dataclass has no bounds, which is a mistake of ours.
            for field in fields(cast("DataclassInstance", value)):
                check_sent(field.name, getattr(value, field.name))


def _check_number(name: str, value: float) -> None:
    if isinstance(value, float):
        if not is_number(value):
            raise _refusal(name, value, f"is not a number between ±{LARGEST:,.0f}")
    elif name.endswith("_ms") and name not in _LENGTHS_OF_TIME:
        if not is_time(value):
            raise _refusal(name, value, "is not a time between the years 2000 and 2100")
    elif abs(value) >= _WHOLE:
        raise _refusal(name, value, f"is too large; give less than {_WHOLE:,}")


def _check_instant(name: str, at: Instant) -> None:
    # With a boot clock it is of this machine, whose wall clock may not be set.
    earliest_ms = 0 if at.boot_ms > 0 else EARLIEST_MS
    if not earliest_ms <= at.wall_ms < LATEST_MS:
        raise _refusal(name, at.wall_ms, "is not a time between the years 2000 and 2100")
    if not 0 <= at.boot_ms < LATEST_MS:
        raise _refusal(name, at.boot_ms, "is not the time since a machine started")


def check_length(what: str, text: str, most: int) -> None:
    """Refuse a text that is longer than is kept.

    Raises:
        StudyError: it is so.
    """
    if len(text) > most:
        raise StudyError(f"{what}: {len(text):,} characters; at most {most:,} are kept.")


def _check_text(name: str, text: str) -> None:
    check_length(name, text, _LENGTHS.get(name, _TEXT_LENGTH))
    if name not in _WRITTEN_PRINTABLE | _JSON and not is_printable(text):
        raise _refusal(name, text, "has a control character; give printable characters on one line")


def _refusal(name: str, value: object, why: str) -> StudyError:
    return StudyError(f"{name}: {shown_value(value)} {why}. Nothing was done.", field=name)


@contextmanager
def limited_work(refusal: DataFileError) -> Iterator[None]:
    """Limit the steps of reading in the block, whichever way leads through a file.

    A small file may hold any number of lines, and most of them may become no row.

    Args:
        refusal: raised beyond ``MOST_WORK``.
    """
    left = MOST_WORK

    def watch(steps: int) -> None:
        nonlocal left
        left -= steps
        if left < 0:
            raise refusal

    token = _WORK.set(watch)
    try:
        yield
    finally:
        _WORK.reset(token)


def add_work(steps: int) -> None:
    """Count steps of reading; without ``limited_work`` they have no limit.

    Raises:
        DataFileError: they are too many.
    """
    watch = _WORK.get()
    if watch is not None:
        watch(steps)


def together(rows: Iterable[T], time_of: Callable[[T], Hashable]) -> Iterator[list[T]]:
    """Yield rows that follow each other and share their time in one list, which memory must hold.

    Raises:
        DataFileError: as ``add_work``.
    """
    for _, group in groupby(rows, time_of):
        kept: list[T] = []
        for row in group:
            kept.append(row)
            if len(kept) > OF_ONE_TIME:
                add_work(STEPS_KEPT)
        yield kept


def add_work_of_cells(count: int) -> None:
    """Count the cells of a row that has more than any table; others are counted by their lines.

    Raises:
        DataFileError: as ``add_work``.
    """
    if count > COLUMNS_MOST:
        add_work(count // _CELLS_OF_A_STEP)


def bounded_lines(file: TextIO, name: str) -> Iterator[str]:
    """Yield the lines of a text file.

    Args:
        file: opened.
        name: of it, for the message.

    Raises:
        DataFileError: a line has more than ``LINE_MOST`` characters, or as ``add_work``.
    """
    number = steps = 0
    # Not `for line in file`: that reads a line of gigabytes before its length can be checked.
    while line := file.readline(LINE_MOST + 1):
        number += 1
        if len(line) > LINE_MOST:
            raise DataFileError(
                f"{name}, line {number}: is longer than {LINE_MOST} characters. Is it a table, one "
                "row a line?"
            )
        steps += 1 + len(line) // _STEP_CHARACTERS
        if steps >= _STEPS_AT_ONCE:
            add_work(steps)
            steps = 0
        yield line


def within(cells: list[str], columns: int) -> list[str]:
    """Return the cells of a row without empty ones behind the last column."""
    end = len(cells)
    while end > columns and not cells[end - 1].strip():
        end -= 1
    return cells if end == len(cells) else cells[:end]


def check_header(name: str, header: Sequence[str]) -> None:
    """Refuse a table of too many columns, or of too long names.

    Raises:
        DataFileError: there are more than ``COLUMNS_MOST``, or ``NAMES_MOST`` characters.
    """
    letters = sum(map(len, header))
    if len(header) > COLUMNS_MOST or letters > NAMES_MOST:
        raise DataFileError(
            f"{name}: its first row names {len(header)} columns in {letters} characters; at most "
            f"{COLUMNS_MOST} columns and {NAMES_MOST} characters are read. Keep only the columns "
            "that are needed."
        )
