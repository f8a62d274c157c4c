"""The age of rows, by a time that is counted and not read from the clock.

A Raspberry Pi has no battery-backed clock. One that is a year ahead for an hour would make every
row a year older, and what is deleted then does not come back. So the age of rows goes by a time
that is carried on from one look to the next, hour by hour, and is kept in ``setting``:

- It goes on by what has passed: by the boot clock within one start of the machine, by the wall
  clock over a restart. A step of a day or more is not counted, for nobody can tell a long time
  without power from a wrong clock.
- Where the network has set the clock, and something was recorded under it on three days, the
  counted time takes the clock's over: that is how a month without power is caught up with. A clock
  that no time service vouches for is never believed by itself; the time is counted on all the same,
  so that such an appliance deletes too, later rather than sooner.
- Rows are deleted (``retention``) by the earlier of the two times.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edge_agent.core import clock
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import connect, read_transaction, transaction
from edge_agent.timeline.database.files import translate_errors
from edge_agent.timeline.database.setting import read_setting, write_setting

# ruff: noqa: S608 - only our own conditions are put into SQL text; values go in as parameters

DAY_MS = 24 * 3600 * 1000
LONG_MS = 31 * DAY_MS
"""So long an appliance may have been without power before somebody is asked."""
_DAYS_SEEN = 3
_LONGEST_STEP_MS = DAY_MS
_LONGEST_RUN_MS = 2 * DAY_MS
_DRIFT_MS = 3600 * 1000
_WRITE_MS = 60 * 1000
_KEY = "counted_time"


@dataclass(frozen=True, slots=True)
class CountedTime:
    """The counted time at its last update, and the clocks at that moment.

    Attributes:
        at_ms: the counted time, UTC.
        wall_ms: the wall clock.
        boot_ms: the boot clock.
        boot: the kernel's identifier of that start of the machine; empty: not known.
        days: days since 1970 on which something was recorded under a clock that the network had
            set, while it disagreed with the counted time.
    """

    at_ms: int
    wall_ms: int
    boot_ms: int = 0
    boot: str = ""
    days: tuple[int, ...] = ()

    @property
    def present_ms(self) -> int:
        """The time from which the age of rows is reckoned."""
        # The earlier of the two: what stays too long can still be deleted later.
        return min(self.at_ms, self.wall_ms)

    @property
    def ahead_ms(self) -> int:
        """By how much the clock is ahead of the counted time; negative: behind; 0: they agree."""
        apart = self.wall_ms - self.at_ms
        return apart if abs(apart) >= _DRIFT_MS else 0

    @property
    def doubt(self) -> str | None:
        """Why the clock is not trusted, and what to do; ``None``: it is, or will be soon."""
        if 0 <= self.ahead_ms <= LONG_MS:
            return None
        return (
            f"The clock says {iso_utc(self.wall_ms)[:16]}, but counted on from what was recorded "
            f"it is {iso_utc(self.at_ms)[:16]} UTC. No row is deleted by such a clock. Let the "
            "network set it; if it is right, say `affect-edge maintenance --clock-is-right`."
        )


def count_time(connection: sqlite3.Connection, *, confirmed: bool = False) -> CountedTime:
    """Advance the counted time to now, and store it.

    Args:
        connection: for writing, outside a transaction.
        confirmed: a person says that the wall clock is right.
    """
    at = clock.now()
    with transaction(connection):
        known = _read(connection)
        fresh = _carried_on(connection, known or _first(connection, at), at)
        if confirmed:
            fresh = replace(fresh, at_ms=at.wall_ms, days=())
        if known is None or confirmed or _is_worth_writing(known, fresh):
            write_setting(connection, _KEY, json.dumps(asdict(fresh), separators=(",", ":")))
    return fresh


def carry_on(path: Path) -> CountedTime:
    """Advance the stored counted time to now.

    Raises:
        StoreError: the database cannot be written.
    """
    with translate_errors(path), closing(connect(path, readonly=False)) as connection:
        return count_time(connection)


def confirm_clock(path: Path) -> CountedTime:
    """Accept the wall clock as correct, because a person says so.

    Raises:
        StoreError: the database cannot be written.
    """
    with translate_errors(path), closing(connect(path, readonly=False)) as connection:
        return count_time(connection, confirmed=True)


def clock_doubt(path: Path) -> str | None:
    """Return why the wall clock is not trusted, and what to do; ``None``: trusted or not known.

    Changes nothing.
    """
    try:
        with read_transaction(path) as connection:
            counted = last_count(connection)
    except StoreError:
        return None
    return counted.doubt if counted else None


def last_count(connection: sqlite3.Connection) -> CountedTime | None:
    """Return the counted time with the wall clock of now, changing nothing; ``None``: none yet."""
    now = clock.now()
    known = _read(connection)
    return known and replace(known, at_ms=known.at_ms + _passed_ms(known, now), wall_ms=now.wall_ms)


def boots_with_wrong_times(
    connection: sqlite3.Connection, before_ms: int, counted: CountedTime | None = None
) -> frozenset[int]:
    """Return the ids of ``boot`` rows whose timeline rows look older than they are.

    Their clock was more than a day behind that of the start before, or was set ahead by more than
    a day while the machine ran. Such rows are as old as the next start, at the most: they stay
    until that one lies before ``before_ms``.
    """
    rows = connection.execute(
        "SELECT id, boot_id, started_ms, wall_minus_boot_ms FROM boot ORDER BY id"
    ).fetchall()
    wrong = set()
    # In the order in which they were recorded, whatever their clocks said.
    for place, row in enumerate(rows):
        later = rows[place + 1] if place + 1 < len(rows) else None
        behind = place > 0 and row["started_ms"] < rows[place - 1]["started_ms"] - DAY_MS
        if later is None:
            # The newest start has no later one to compare with; only the counted time knows better.
            if behind and counted is not None and counted.ahead_ms:
                wrong.add(row["id"])
            continue
        step = later["wall_minus_boot_ms"] - row["wall_minus_boot_ms"]
        set_ahead = later["boot_id"] == row["boot_id"] and step > DAY_MS
        if (behind or set_ahead) and later["started_ms"] >= before_ms:
            wrong.add(row["id"])
    return frozenset(wrong)


def _carried_on(connection: sqlite3.Connection, known: CountedTime, now: Instant) -> CountedTime:
    synchronised = clock.is_synchronised()
    at_ms = known.at_ms + _passed_ms(known, now)
    apart = abs(now.wall_ms - at_ms)
    days = known.days
    today = now.wall_ms // DAY_MS
    # Small differences are drift, which the clock may correct at any time.
    if apart < _DRIFT_MS or (synchronised and apart < _LONGEST_STEP_MS):
        at_ms = now.wall_ms
        days = ()
    # One look at a clock that was set may be an error of the network: it takes several days.
    elif synchronised and today not in days and _is_recorded(connection, now.wall_ms):
        days = (*days, today)
        if len(days) >= _DAYS_SEEN:
            at_ms = now.wall_ms
            days = ()
    return CountedTime(at_ms, now.wall_ms, now.boot_ms, clock.boot_id(), days)


def _passed_ms(known: CountedTime, now: Instant) -> int:
    """Return the milliseconds since the last update; 0 if they are not plausible."""
    # The boot clock cannot be set, so that a longer time is believed; over a restart it tells
    # nothing.
    if known.boot == clock.boot_id() and now.boot_ms >= known.boot_ms:
        passed = now.boot_ms - known.boot_ms
        longest = _LONGEST_RUN_MS
    else:
        passed = now.wall_ms - known.wall_ms
        longest = _LONGEST_STEP_MS
    return passed if 0 <= passed < longest else 0


def _first(connection: sqlite3.Connection, now: Instant) -> CountedTime:
    """Return where to count from in a database that has no counted time yet: its last row.

    Rows of this start of the machine say nothing as long as the network has not set its clock.
    """
    believed = "(boot IS NULL OR boot NOT IN (SELECT id FROM boot WHERE boot_id = :unset))"
    values = {
        "unset": None if clock.is_synchronised() else clock.boot_id(),
        # A reading may come with a time to come, from a device whose clock is wrong.
        "until": now.wall_ms + DAY_MS,
    }
    rows = [
        connection.execute(query, values).fetchone()
        for query in (
            # by number, which is the order of recording, whatever the clock said
            f"SELECT at FROM expression WHERE {believed} ORDER BY id DESC LIMIT 1",
            f"SELECT at FROM unfit WHERE {believed} ORDER BY id DESC LIMIT 1",
            f"SELECT max(at) FROM vital WHERE at <= :until AND {believed}",
        )
    ]
    times = [row[0] for row in rows if row and row[0] is not None]
    last = max(times, default=now.wall_ms)
    # As if the machine had stopped with its last row: what has passed since is then counted once.
    return CountedTime(last, last)


def _is_recorded(connection: sqlite3.Connection, wall_ms: int) -> bool:
    """Tell whether something was recorded in the last day by the wall clock."""
    row = connection.execute(
        # The rows, too: those of a minute that goes on are in no hour yet.
        "SELECT EXISTS (SELECT 1 FROM expression_hour WHERE at > ?1 AND at <= ?2) "
        "OR EXISTS (SELECT 1 FROM expression WHERE at > ?1 AND at <= ?2) "
        "OR EXISTS (SELECT 1 FROM vital WHERE at > ?1 AND at <= ?2)",
        (wall_ms - DAY_MS, wall_ms),
    ).fetchone()
    return bool(row[0])


def _is_worth_writing(known: CountedTime, fresh: CountedTime) -> bool:
    """Tell whether to store the counted time: a minute has passed, or its state changed."""
    return (
        fresh.boot != known.boot
        or fresh.days != known.days
        or fresh.ahead_ms != known.ahead_ms
        or abs(fresh.wall_ms - known.wall_ms) >= _WRITE_MS
    )


def _read(connection: sqlite3.Connection) -> CountedTime | None:
    try:
        # Fields of a damaged setting may be of any type: then the count begins anew.
        fields: dict[str, Any] = json.loads(read_setting(connection, _KEY) or "")
        return CountedTime(**{**fields, "days": tuple(fields["days"])})
    except (ValueError, TypeError, KeyError):
        return None
