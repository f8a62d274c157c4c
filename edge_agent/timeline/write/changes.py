"""The log of changes that the collector of a fleet has not confirmed yet.

Triggers write the log; ``edge_agent.fleet`` makes them, reads it and empties it. Where there is no
fleet, nothing here writes anything. The sender of the stream tells the agent how it stands.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, runtime_checkable


class Special(IntEnum):
    """The values of ``fleet_change.what`` for changes that are no row of a table.

    Attributes:
        NOTHING: what stood here may not be told any more.
        ERASE: a participant was erased: ``a`` is their number, ``more`` the spans as JSON.
        GAP: the changes from ``a`` to this one will not come; ``b`` of them.
        COPIED: all rows of the start of the stream have been sent; ``more`` says of which time.
        BEGIN: the first change of a stream; ``more`` says which stream it follows.
    """

    NOTHING = 0
    ERASE = 1
    GAP = 2
    COPIED = 3
    BEGIN = 4


def has_stream(connection: sqlite3.Connection) -> bool:
    """Tell whether changes of this database are logged for a fleet."""
    return connection.execute("SELECT 1 FROM fleet_state").fetchone() is not None


@contextmanager
def unlogged_deletions(connection: sqlite3.Connection) -> Iterator[None]:
    """Delete rows in the block, inside the caller's transaction, without logging for the fleet.

    For rows that only this device does not keep any more, and for those that are reported in
    another way.
    """
    if not has_stream(connection):
        yield
        return
    # Counted and not set, for such blocks may lie within each other.
    connection.execute("UPDATE fleet_state SET quiet = quiet + 1")
    yield  # an error rolls the transaction back, and the mark with it
    connection.execute("UPDATE fleet_state SET quiet = quiet - 1")


def log_erasure(
    connection: sqlite3.Connection, participant: int, spans: Sequence[tuple[int, int]]
) -> None:
    """Log an erasure for the fleet: of a participant and their time, in the caller's transaction.

    The keys and times of erased readings are removed from the log.
    """
    if not has_stream(connection):
        return
    for start, end in spans:
        # From 10 on, ``what`` is a row of a table; the smaller numbers are those of ``Special``.
        connection.execute(
            "UPDATE fleet_change SET what = ?, a = NULL, b = NULL, more = NULL "
            "WHERE what >= 10 AND more IS NOT NULL AND a >= ? AND a < ?",
            (Special.NOTHING, start, end),
        )
    epoch = connection.execute("SELECT epoch FROM fleet_state").fetchone()[0]
    told = json.dumps({"epoch": epoch, "spans": [list(span) for span in spans]})
    connection.execute(
        "INSERT INTO fleet_change (what, a, more) VALUES (?, ?, ?)",
        (Special.ERASE, participant, told),
    )


@dataclass(frozen=True, slots=True)
class ReplicationStanding:
    """The stream at one moment.

    Attributes:
        state: of the connection to the broker, as ``mqtt.state`` of the health.
        waiting: changes that the collector has not confirmed.
        confirmed: the last position that it has confirmed.
        error: what is wrong and what to do; ``None``: nothing is.
        error_s: how long something has been wrong.
        given_up: changes that were given up, and of which the collector has not heard yet.
    """

    state: str = "connecting"
    waiting: int = 0
    confirmed: int = 0
    error: str | None = None
    error_s: float = 0.0
    given_up: int = 0


@runtime_checkable
class Replicates(Protocol):
    """A worker that sends the timeline."""

    @property
    def standing(self) -> ReplicationStanding:
        """The present state of the stream; readable from any thread."""
