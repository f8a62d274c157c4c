"""A source is one device: the readings of a file are kept apart from those of another device.

Files say which device they are from by its serial number, else by their folder or archive. Releases
before 0.2 stored several devices of a kind as one source. Readings that are there under such a name
are the same when their file comes again: its stream keeps the old name. Streams of one kind and
source that lie between each other in time are refused: they are of two devices.
"""

from __future__ import annotations

import math
import sqlite3
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

from edge_agent.core.errors import DataFileError
from edge_agent.core.interleaving import Interleaving, first_interleaved
from edge_agent.core.texts import N_, Message, as_message
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.write.reading_imports import ReadingTable

_MOVED_MS = 10
"""Readings of one time were stored a millisecond later each."""
_GIVEN, _STORED = 0, 1
_SHARE = 0.5
"""So much of the readings of a device are there when its file comes again; of another device with
whole numbers a tenth has the same value at one time.
"""
_IN_FILE = N_(
    "{file}: {first} and {second} have readings of {what} between each other in time. They are of "
    "two devices, and would be one source ({source}). Import each by itself, with a source of its "
    "own; on the command line, such as --source left. Nothing was imported."
)
_THERE = N_(
    "{file}: its readings of {what} lie between others of the source {source} that are there "
    "already. If they are of another device, give them a source of its own; on the command line, "
    "such as --source left. If the file was changed, take its earlier import back first "
    "(affect-edge imports --undo N). Nothing was imported."
)
_MIXED = N_(
    "{file}: an import by an earlier release stored {devices} as one source, {source}. Take it "
    "back (affect-edge imports --undo N), and import the file again, to have them apart."
)


@dataclass(frozen=True, slots=True)
class SourceSeries:
    """The readings of one kind and source of a file.

    Attributes:
        kind, source: of which.
        points: time (UTC milliseconds) and value of each, in the order of time; may be called
            several times.
    """

    kind: VitalKind
    source: str
    points: Callable[[], Iterator[tuple[int, float]]]


@dataclass(slots=True)
class KnownReadings:
    """How the readings of a series overlap those that are stored under a name.

    Attributes:
        given: number of the readings of the file between the first and last stored one.
        there: number of stored readings between the first and last of the file.
        same: how many of them are the same.
        between: whether those that are only in the file lie between those that are only stored.
    """

    given: int = 0
    there: int = 0
    same: int = 0
    between: bool = False

    @property
    def is_again(self) -> bool:
        """Whether the readings are the same, sent again."""
        return self.same > 0 and self.same >= _SHARE * min(self.given, self.there)


@dataclass(slots=True)
class OldNames:
    """The names under which readings of a file are stored, and what is to be said of them.

    Attributes:
        names: kind and source of a series → source that it keeps.
        remarks: sentences about devices that are stored as one source.
    """

    names: dict[tuple[VitalKind, str], str] = field(default_factory=dict)
    remarks: list[Message] = field(default_factory=list)


def refuse_two_devices(
    file: str, streams: Iterable[tuple[VitalKind, str, Sequence[str], Iterable[tuple[int, int]]]]
) -> None:
    """Refuse readings of two devices that would be one source.

    Args:
        file: name of the file, archive or folder.
        streams: kind and source, the names of its streams, and time and stream of each reading.

    Raises:
        DataFileError: two streams of a kind and source lie between each other.
    """
    for kind, source, names, readings in streams:
        pair = first_interleaved(readings)
        if pair is not None:
            first, second = sorted(names[place] for place in pair)
            raise DataFileError(
                _IN_FILE,
                file=file,
                first=first,
                second=second,
                what=as_message(kind.spec.name_in_text),
                source=source,
            )


def old_names(
    database: Path, file: str, series: Sequence[SourceSeries], former: Mapping[str, Iterable[str]]
) -> OldNames:
    """Return which series are stored under the name that an earlier release gave them.

    Args:
        database: the timeline, which may be missing.
        file: name of the file.
        series: its readings.
        former: source → the names that it may have had. A folder that was moved has another name,
            too: sources of the same maker are compared as well.

    Raises:
        StoreError: the database cannot be read.
    """
    old = OldNames()
    if not database.exists():
        return old
    with read_transaction(database) as connection:
        for one in series:
            if one.source not in former or _meet_stored(connection, one, one.source).there:
                continue
            makers = {name.partition(":")[0] for name in (one.source, *former[one.source])}
            names = [*former[one.source], *_stored_sources(connection, one)]
            for name in dict.fromkeys(names):
                is_theirs = name in former[one.source] or name.partition(":")[0] in makers - {"csv"}
                if is_theirs and _meet_stored(connection, one, name).is_again:
                    old.names[one.kind, one.source] = name
                    break
    of_name: dict[str, list[str]] = {}
    for (_, source), name in old.names.items():
        of_name.setdefault(name, []).append(source)
    for name, sources in of_name.items():
        devices = list(dict.fromkeys(sources))
        if len(devices) > 1:
            told = Message(_MIXED, file=file, devices=", ".join(devices), source=name)
            old.remarks.append(told)
    return old


def refuse_other_device(
    database: Path, file: str, series: Iterable[SourceSeries], certain: Iterable[str] = ()
) -> None:
    """Refuse readings that lie between those of another file of the same source.

    Args:
        database: the timeline, which may be missing.
        file: name of the file.
        series: its readings, under the names under which they are to be stored.
        certain: sources that are one device by its serial number.

    Raises:
        DataFileError: readings of a kind and source lie between stored ones.
        StoreError: the database cannot be read.
    """
    if not database.exists():
        return
    known = frozenset(certain)
    with read_transaction(database) as connection:
        for one in series:
            if one.source in known:
                continue
            met = _meet_stored(connection, one, one.source)
            if met.between and not met.is_again:
                what = as_message(one.kind.spec.name_in_text)
                raise DataFileError(_THERE, file=file, what=what, source=one.source)


def stored_times(database: Path, series: SourceSeries) -> list[tuple[int, int]]:
    """Return the times of readings that are stored with the same value a few milliseconds apart.

    A stream of our own comes back over other clocks, each of which is rounded.

    Args:
        database: the timeline, which may be missing.
        series: readings of a source that is one device.

    Returns:
        Time in the file and time in the database of each.
    """
    if not database.exists():
        return []
    with read_transaction(database) as connection:
        stored = deque(_stored_points(connection, series, series.source))
    pairs = []
    for at_ms, value in series.points():
        while stored and stored[0][0] < at_ms - _MOVED_MS:
            stored.popleft()
        near = (one for one in stored if one[0] <= at_ms + _MOVED_MS)
        same = next((one for one in near if math.isclose(one[1], value)), None)
        if same is not None:
            stored.remove(same)
            if same[0] != at_ms:
                pairs.append((at_ms, same[0]))
    return pairs


def series_of(table: ReadingTable) -> list[SourceSeries]:
    """Return the series of a table."""
    # Places of the table in place of its rows: a long file is not held a second time.
    places: dict[tuple[VitalKind, str], array[int]] = {}
    for place, row in enumerate(table.rows):
        places.setdefault((table.kinds[row], table.sources[row]), array("q")).append(place)

    def point(place: int) -> tuple[int, float]:
        return table.at_ms[place], table.values[place]

    for key, own in places.items():
        if any(point(later) < point(place) for place, later in pairwise(own)):
            places[key] = array("q", sorted(own, key=point))
    return [SourceSeries(*key, partial(map, point, own)) for key, own in places.items()]


def at_stored_times(database: Path, table: ReadingTable, certain: Iterable[str]) -> ReadingTable:
    """Return the readings of a file; those that are stored already at their time there.

    Args:
        database: the timeline, which may be missing.
        table: the readings.
        certain: sources that are one device by its serial number.

    Raises:
        StoreError: the database cannot be read.
    """
    known = frozenset(certain)
    moved = {
        (one.kind, one.source): dict(stored_times(database, one))
        for one in series_of(table)
        if one.source in known
    }
    keys = list(zip(table.kinds, table.sources, strict=True))
    times = zip(table.at_ms, table.rows, strict=True)
    return replace(table, at_ms=[moved.get(keys[row], {}).get(at, at) for at, row in times])


def under_one_source(table: ReadingTable, file: str, source: str) -> ReadingTable:
    """Return the readings of a file under a source that somebody gave them; empty: their own.

    Raises:
        DataFileError: they are of two devices.
    """
    if not source:
        return table
    names = list(dict.fromkeys(table.sources))
    places = [names.index(own) for own in table.sources]
    points: dict[VitalKind, list[tuple[int, int]]] = {}
    for at_ms, row in zip(table.at_ms, table.rows, strict=True):
        points.setdefault(table.kinds[row], []).append((at_ms, places[row]))
    streams = ((kind, source, names, sorted(own)) for kind, own in points.items())
    refuse_two_devices(file, streams)
    return replace(table, sources=[source] * len(table.sources))


def _span(series: SourceSeries) -> tuple[int, int]:
    """Return a span around the first and the last reading; an empty one without readings."""
    first = last = None
    for at_ms, _ in series.points():
        first, last = (at_ms if first is None else first), at_ms
    return (0, -1) if first is None or last is None else (first - _MOVED_MS, last + _MOVED_MS)


def _stored_sources(connection: sqlite3.Connection, series: SourceSeries) -> list[str]:
    """Return the sources that have readings of a kind in the time of a series."""
    rows = connection.execute(
        "SELECT DISTINCT source FROM vital WHERE at BETWEEN ? AND ? AND kind = ? ORDER BY source",
        (*_span(series), series.kind.value),
    )
    return [source for (source,) in rows]


def _meet_stored(connection: sqlite3.Connection, series: SourceSeries, name: str) -> KnownReadings:
    """Return how the readings of a series meet those that are stored under a name."""
    return _compare(series.points(), _stored_points(connection, series, name))


def _stored_points(
    connection: sqlite3.Connection, series: SourceSeries, name: str
) -> Iterator[tuple[int, float]]:
    """Return time and value of the stored readings of a name in the time of a series."""
    return connection.execute(
        "SELECT at, value FROM vital WHERE at BETWEEN ? AND ? AND kind = ? AND source = ? ORDER BY "
        "at",
        (*_span(series), series.kind.value, name),
    )


def _compare(
    given: Iterator[tuple[int, float]], stored: Iterator[tuple[int, float]]
) -> KnownReadings:
    """Meet the readings of a file with those that are stored, both in the order of time."""
    met = KnownReadings()
    seen = Interleaving()
    waiting: deque[tuple[int, float]] = deque()
    following = next(stored, None)
    begins = None if following is None else following[0]
    for at_ms, value in given:
        while following is not None and following[0] <= at_ms + _MOVED_MS:
            waiting.append(following)
            met.there += 1
            following = next(stored, None)
        while waiting and waiting[0][0] < at_ms - _MOVED_MS:
            met.between |= seen.add(waiting.popleft()[0], _STORED) is not None
        is_inside = begins is not None and at_ms >= begins - _MOVED_MS
        met.given += is_inside and (following is not None or bool(waiting))
        same = next((one for one in waiting if math.isclose(one[1], value)), None)
        if same is None:
            met.between |= seen.add(at_ms, _GIVEN) is not None
        else:
            waiting.remove(same)
            met.same += 1
    return met
