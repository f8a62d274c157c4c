"""Where the sessions of a BIDS data set lie in time.

Its files count seconds from the start of a recording. When that was stands in ``acq_time`` of the
tables of sessions or scans; where it stands nowhere, or was moved before the year 2000 so that
nobody is known by it, whoever imports says when the first session began.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from itertools import groupby

from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import DataFileError, ReadingError
from edge_agent.core.reading_times import time_ms
from edge_agent.store.intake.bids.contents import extent
from edge_agent.store.intake.bids.files import BidsFile, Node, tsv_rows

_APART_MS = 3_600_000
_SHORTEST_MS = 1_000
_BETWEEN_MS = 1_000


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A file, and when its second 0 was, UTC milliseconds."""

    file: BidsFile
    zero_ms: int


@dataclass(slots=True)
class Place:
    """A session of a data set.

    Attributes:
        subject: label of its participant's folder.
        name: label of its own folder; empty where there is none.
        path: of the folder.
        told: what the table of sessions says of it.
        line: where; ``None``: nowhere.
        start_ms: its start, UTC milliseconds.
        end_ms: its end.
        files: its files.
        is_invented: whether its time was not told.
    """

    subject: str
    name: str
    path: str
    told: Mapping[str, str]
    line: int | None
    start_ms: int = 0
    end_ms: int = 0
    files: list[PlacedFile] = field(default_factory=list)
    is_invented: bool = False

    @property
    def number(self) -> str:
        """Its number, where the data set is ours; else empty."""
        return self.told.get("session", "")


def place_sessions(root: Node, files: Iterable[BidsFile], first_ms: int | None) -> list[Place]:
    """Return the sessions of a data set, placed in time.

    Args:
        root: the data set.
        files: those of all participants, in order.
        first_ms: when the first session of which no time is told began.

    Raises:
        DataFileError: a session tells no time, and ``first_ms`` is not there either.
    """
    places = []
    next_ms = first_ms
    data = [file for file in files if file.suffix not in {"sessions", "scans"}]
    key = _session_of
    for (subject, name), group in groupby(sorted(data, key=key), key):
        place = _place(root, subject, name)
        members = list(group)
        if "start_at" in place.told:
            _put_as_told(place, members)
        else:
            start_ms = _told_start(root, place)
            if start_ms is None:
                start_ms = _needed(next_ms, place)
                place.is_invented = True
            _put(place, members, start_ms, _scans(root, place))
            if place.is_invented:
                next_ms = place.end_ms + _APART_MS
        places.append(place)
    return places


def _session_of(file: BidsFile) -> tuple[str, str]:
    return file.entities.get("sub", ""), file.entities.get("ses", "")


def _needed(first_ms: int | None, place: Place) -> int:
    if first_ms is None:
        raise DataFileError(
            f"{place.path}: tells no time from the year 2000 on (acq_time in the table of sessions "
            "or scans). Say when the first session began: --starting TIME. The others then follow "
            "an hour apart."
        )
    return first_ms


def _place(root: Node, subject: str, name: str) -> Place:
    """Return a session with what the table of sessions says of it."""
    path = f"sub-{subject}/ses-{name}" if name else f"sub-{subject}"
    table = root / f"sub-{subject}" / f"sub-{subject}_sessions.tsv"
    if name and table.is_file():
        for line, cells in tsv_rows(table, table.name):
            if cells.get("session_id") == f"ses-{name}":
                return Place(subject, name, path, cells, line)
    return Place(subject, name, path, {}, None)


def _put_as_told(place: Place, files: Iterable[BidsFile]) -> None:
    """Place a session of ours: all its files count from its start."""
    start_ms = _time(place.told["start_at"])
    end_ms = _time(place.told.get("end_at", ""))
    if start_ms is None:
        raise DataFileError(f"{place.path}: start_at is no time. Export the data set again.")
    place.start_ms = start_ms
    place.end_ms = start_ms if end_ms is None else end_ms
    place.files = [PlacedFile(file, start_ms) for file in files]


def _put(place: Place, files: Iterable[BidsFile], start_ms: int, scans: Mapping[str, int]) -> None:
    """Place a session whose files count from the start of their own recordings.

    A recording is what has the same task and run. One whose time is not told follows the one
    before after a second.
    """
    place.start_ms = start_ms
    free_ms = start_ms
    for name, group in groupby(sorted(files, key=_recording), _recording):
        members = list(group)
        extents = [extent(file) for file in members]
        first_ms = round(1000 * min(first for first, _ in extents))
        last_ms = round(1000 * max(last for _, last in extents))
        zero_ms = scans.get(name, free_ms - first_ms)
        place.start_ms = min(place.start_ms, zero_ms + first_ms)
        place.files += [PlacedFile(file, zero_ms) for file in members]
        free_ms = max(free_ms, zero_ms + last_ms + _BETWEEN_MS)
    place.end_ms = max(free_ms, place.start_ms + _SHORTEST_MS)


def _recording(file: BidsFile) -> str:
    return f"{file.entities.get('task', '')} {file.entities.get('run', '')}"


def _told_start(root: Node, place: Place) -> int | None:
    """Return when a session began, as its table or that of its scans tells it."""
    told = _time(place.told.get("acq_time", ""))
    if told is None:
        return min(_scans(root, place).values(), default=None)
    return told


def _scans(root: Node, place: Place) -> dict[str, int]:
    """Return when each recording of a session began, by the table of its scans."""
    folder = root / f"sub-{place.subject}"
    stem = f"sub-{place.subject}"
    if place.name:
        folder = folder / f"ses-{place.name}"
        stem = f"{stem}_ses-{place.name}"
    table = folder / f"{stem}_scans.tsv"
    starts: dict[str, int] = {}
    if not table.is_file():
        return starts
    for _, cells in tsv_rows(table, table.name):
        at_ms = _time(cells.get("acq_time", ""))
        parts = cells.get("filename", "").rpartition("/")[2].partition(".")[0].split("_")
        entities = dict(part.split("-", 1) for part in parts if "-" in part)
        name = f"{entities.get('task', '')} {entities.get('run', '')}"
        if at_ms is not None:
            starts[name] = min(at_ms, starts.get(name, at_ms))
    return starts


def _time(text: str) -> int | None:
    """Return UTC milliseconds; ``None`` for no time, or one that was moved for anonymity."""
    try:
        return time_ms(text, UTC) if text else None
    except ReadingError:
        return None


def told_of(places: Iterable[Place]) -> list[str]:
    """Return what is worth knowing of the times, in sentences."""
    invented = [place for place in places if place.is_invented]
    if not invented:
        return []
    note = (
        f"The data set tells no time of {len(invented)} sessions: they stand an hour apart from "
        f"{iso_utc(invented[0].start_ms)} on. Their dates mean nothing."
    )
    return [note]
