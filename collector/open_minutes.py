"""Minutes that still fill: they are rolled up once, when they are over.

A device sends six messages a minute. Its newest minute is not computed with each of them: the
stream remembers it in the transaction that writes its rows (``stream.open_minute``), and it is
rolled up with the first row of another minute, or when the device has been silent for a while.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

from collections.abc import Collection, Iterable

import psycopg

from collector.database.rollups import MINUTE_MS, Place, begins, roll_up
from collector.database.tables import SCHEMA
from collector.streams import StreamState

MOST_CLOSED = 1_000
"""Minutes that are closed in one transaction."""


def put_off(
    states: Iterable[StreamState], places: Collection[Place], emptied: Collection[Place]
) -> set[Place]:
    """Return the minutes to roll up now; the newest one of each stream becomes its open minute.

    The minute that was open before is among them, unless it is the newest still. What perhaps lost
    rows is never put off: what was erased is out of every rollup with the commit.

    Args:
        states: the streams that are locked; their ``open_minute`` is set.
        places: where a row came or went.
        emptied: those of them where perhaps nothing is left.
    """
    minutes = begins(places, MINUTE_MS)
    at_once = begins(emptied, MINUTE_MS)
    newest: dict[int, int] = {}
    for stream, at in minutes:
        newest[stream] = max(at, newest.get(stream, at))
    for state in states:
        last = newest.get(state.id)
        if last is None:
            continue
        if state.open_minute is not None:
            minutes.add((state.id, state.open_minute))
        state.open_minute = None
        if (state.id, last) not in at_once:
            minutes.discard((state.id, last))
            state.open_minute = last
    return minutes


def close_minutes(connection: psycopg.Connection, silent_s: float) -> int:
    """Roll up the open minutes of streams that are silent, at most ``MOST_CLOSED``.

    Streams that another collector holds are left to the next time.

    Args:
        connection: in autocommit mode, prepared for rollups.
        silent_s: for how long they are.

    Returns:
        How many minutes there were.
    """
    with connection.transaction():
        places = connection.execute(
            f"SELECT id, open_minute FROM {SCHEMA}.stream WHERE open_minute IS NOT NULL AND heard "
            "<= now() - make_interval(secs => %s) ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED",
            (silent_s, MOST_CLOSED),
        ).fetchall()
        if places:
            roll_up(connection, places, ())
            connection.execute(
                f"UPDATE {SCHEMA}.stream SET open_minute = NULL WHERE id = ANY(%s)",
                ([stream for stream, _ in places],),
            )
    return len(places)
