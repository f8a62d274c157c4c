"""Heart rates judged by their neighbours as they are written, whatever way they came.

What follows a reading may come later, in another transaction: with each write the stored readings
near the new ones are judged anew. So the flags do not depend on how a series was cut into writes.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from edge_agent.core.artefacts import KIND, REACH_MS, artefacts, is_judged
from edge_agent.core.clock import Instant
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.timeline.database.schema import HOUR_MS
from edge_agent.timeline.write.rollups import Span

_TOGETHER_MS = 10 * 60_000  # readings not farther apart are looked up by one query
_FLAG = frozenset({VitalFlag.ARTEFACT})
_WORDS = frozenset(VitalFlag)


class _Row(NamedTuple):
    """A stored heart rate; its time, and its flags as they are stored."""

    at_ms: int
    value: float
    flags: str


Change = tuple[VitalReading, VitalReading]
"""A stored reading before and after it was judged anew."""


def flag_artefacts(
    connection: sqlite3.Connection, written: Sequence[VitalReading]
) -> tuple[list[VitalReading], list[Change]]:
    """Flag heart rates that are far from their neighbours, in the caller's transaction.

    Args:
        connection: of the transaction.
        written: readings that were inserted in it, and are in no rollup yet.

    Returns:
        The written readings as they are stored now, and the changes of readings that were stored
            before, whose rollups are still to be changed.
    """
    new = {(one.source, one.at.wall_ms) for one in written if is_judged(one.kind, one.flags)}
    flagged: set[tuple[str, int]] = set()
    changed: list[Change] = []
    for start, end in _stretches(sorted(at for _, at in new)):
        # Twice the reach: what can be judged anew, with all its neighbours.
        near = _read_stored(connection, (start - 2 * REACH_MS, end + 2 * REACH_MS))
        for source, rows in near.items():
            before = [row for row in rows if (source, row.at_ms) not in new]
            if len(before) == len(rows):
                continue
            far = _find_far(rows)
            flagged.update((source, at) for at in far if (source, at) in new)
            changed += _judged_anew(source, before, _find_far(before), far)
    judged = list(written)
    for place, one in enumerate(written) if flagged else ():
        if one.kind is KIND and (one.source, one.at.wall_ms) in flagged:
            judged[place] = one.with_flag(VitalFlag.ARTEFACT)
    _store(connection, (after for old, after in zip(written, judged, strict=True) if old != after))
    _store(connection, (after for _, after in changed))
    return judged, changed


def flag_all_artefacts(connection: sqlite3.Connection) -> None:
    """Flag all stored heart rates that are far from their neighbours, before they are rolled up.

    For a database whose rows were not written one after the other, inside the caller's transaction.
    """
    first, last = connection.execute("SELECT min(at), max(at) FROM vital").fetchone()
    start = first
    while start is not None and start <= last:
        end = start + HOUR_MS - 1
        near = _read_stored(connection, (start - REACH_MS, end + REACH_MS))
        for source, rows in near.items():
            far = {at for at in _find_far(rows) if start <= at <= end}
            _store(connection, (after for _, after in _judged_anew(source, rows, set(), far)))
        following = connection.execute("SELECT min(at) FROM vital WHERE at > ?", (end,))
        start = following.fetchone()[0]


def _stretches(times: Sequence[int]) -> Iterator[Span]:
    """Yield first and last of times that follow each other closely."""
    start = 0
    for place, at in enumerate(times):
        if place + 1 == len(times) or times[place + 1] - at > _TOGETHER_MS:
            yield times[start], at
            start = place + 1


def _read_stored(connection: sqlite3.Connection, span: Span) -> dict[str, list[_Row]]:
    """Return the readings of a span that are judged, by source and in the order of time."""
    rows = connection.execute(
        "SELECT at, source, value, flags FROM vital WHERE at BETWEEN ? AND ? AND kind = ? "
        "ORDER BY at",
        (*span, KIND.value),
    )
    by_source: dict[str, list[_Row]] = defaultdict(list)
    judged: dict[str, bool] = {}
    for at, source, value, flags in rows:
        if flags not in judged:
            # A word that is no flag is damage, which must not keep others from being written.
            words = flags.split()
            judged[flags] = _WORDS.issuperset(words) and is_judged(KIND, _flags(flags))
        if judged[flags]:
            by_source[source].append(_Row(at, value, flags))
    return by_source


def _flags(text: str) -> frozenset[VitalFlag]:
    return frozenset(map(VitalFlag, text.split()))


def _find_far(rows: Iterable[_Row]) -> set[int]:
    """Return the times of those that are far from their neighbours."""
    return set(artefacts((at, value) for at, value, _ in rows))


def _judged_anew(
    source: str, rows: Iterable[_Row], before: set[int], after: set[int]
) -> Iterator[Change]:
    """Yield the stored readings whose verdict is another one with the new readings.

    A flag that a sender gave is not taken away: without the new readings it was no verdict.
    """
    if before == after:
        return
    for row in rows:
        if (row.at_ms in after) == (row.at_ms in before):
            continue
        flags = _flags(row.flags)
        old = VitalReading(Instant(0, row.at_ms), KIND, row.value, source, flags)
        new = replace(old, flags=flags | _FLAG if row.at_ms in after else flags - _FLAG)
        if new != old:
            yield old, new


def _store(connection: sqlite3.Connection, readings: Iterable[VitalReading]) -> None:
    connection.executemany(
        "UPDATE vital SET flags = ? WHERE at = ? AND kind = ? AND source = ?",
        (
            (" ".join(sorted(one.flags)), one.at.wall_ms, one.kind.value, one.source)
            for one in readings
        ),
    )
