"""A recording of a laboratory as the rows of a study: its sessions, markers, faces and readings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_agent.core.clock import iso_utc
from edge_agent.core.readings import VitalReading
from edge_agent.core.study import MarkerKind
from edge_agent.timeline.database.schema import MOVEMENT_STEPS, NAMES, SMOOTHED
from edge_agent.timeline.intake.cells import SourceRow

_PER_MILLE = 1000
_FACE = ("at", "interval_ms", "frames", "simulated")
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "session": ("session", "participant", "start_at", "end_at", "simulated"),
    "marker": ("at", "kind", "label"),
    "expression": (*_FACE, *NAMES, *SMOOTHED, "quality"),
    "movement": (*_FACE, *MOVEMENT_STEPS),
    "vital": ("at", "kind", "value", "source", "flags"),
}
_COUNTED = {
    "session": "sessions",
    "marker": "markers",
    "expression": "expressions",
    "movement": "movements",
    "vital": "readings",
}


class RecordedEvent(Protocol):
    """A marker."""

    @property
    def at_ms(self) -> int:
        """Its time, UTC milliseconds."""

    @property
    def kind(self) -> MarkerKind:
        """Kind of event."""

    @property
    def label(self) -> str:
        """Condition or note."""


class FaceSamples(Protocol):
    """The samples of a face in a second."""

    @property
    def at_ms(self) -> int:
        """The time of the last of them, UTC milliseconds."""

    @property
    def samples(self) -> int:
        """Number of them."""

    @property
    def values(self) -> Mapping[str, float]:
        """The mean of each channel; NaN: none has it."""

    @property
    def last(self) -> Mapping[str, float]:
        """The last sample."""

    @property
    def is_simulated(self) -> bool:
        """True where nobody was there."""


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """A session of a recording.

    Attributes:
        start_ms, end_ms: when, UTC milliseconds.
        participant: code of the person.
        is_simulated: whether nobody was there.
    """

    start_ms: int
    end_ms: int
    participant: str
    is_simulated: bool


@dataclass(frozen=True, slots=True)
class RecordedRows:
    """Contents of a recording; what may be long is read when it is asked for.

    Attributes:
        sessions, markers: in the order of time.
        expressions, movements: the faces.
        readings: each with its flags.
        notes: sentences about the file, complete once it was read.
    """

    sessions: Sequence[RecordedSession]
    markers: Sequence[RecordedEvent]
    expressions: Callable[[], Iterable[FaceSamples]]
    movements: Callable[[], Iterable[FaceSamples]]
    readings: Iterable[VitalReading]
    notes: Callable[[], list[str]]


class RecordedSource:
    """A recording as a source of a study.

    Args:
        name: of the file.
        rows: what it holds.
    """

    def __init__(self, name: str, rows: RecordedRows) -> None:
        self.name = name
        self._rows = rows

    def tables(self) -> tuple[str, ...]:
        """Return which tables there are."""
        return tuple(_COLUMNS)

    def columns(self, table: str) -> frozenset[str]:
        """Return the columns of a table."""
        return frozenset(_COLUMNS[table])

    def rows(self, table: str) -> Iterator[SourceRow]:
        """Yield the rows of a table."""
        for cells in self._cells(table):
            yield SourceRow(self.name, None, cells, _COUNTED[table])

    def labels(self) -> Mapping[str, str]:
        """Return nothing: people have their codes alone."""
        return {}

    def passed_over(self) -> tuple[str, ...]:
        """Return nothing: the notes name each stream with its use."""
        return ()

    def notes(self) -> list[str]:
        """Return notes about the file."""
        return self._rows.notes()

    def _cells(self, table: str) -> Iterator[dict[str, str]]:
        if table == "session":
            return self._sessions()
        if table == "marker":
            return self._markers()
        if table == "vital":
            return self._readings()
        if table == "expression":
            return map(_expression, self._rows.expressions())
        return map(_movement, self._rows.movements())

    def _sessions(self) -> Iterator[dict[str, str]]:
        for number, one in enumerate(self._rows.sessions, start=1):
            yield {
                "session": str(number),
                "participant": one.participant,
                "start_at": iso_utc(one.start_ms),
                "end_at": iso_utc(one.end_ms),
                "simulated": str(int(one.is_simulated)),
            }

    def _markers(self) -> Iterator[dict[str, str]]:
        for one in self._rows.markers:
            yield {"at": iso_utc(one.at_ms), "kind": one.kind.value, "label": one.label}

    def _readings(self) -> Iterator[dict[str, str]]:
        for one in self._rows.readings:
            yield {
                "at": iso_utc(one.at.wall_ms),
                "kind": one.kind.value,
                "value": repr(one.value),
                "source": one.source,
                "flags": " ".join(sorted(one.flags)),
            }


def _of_face(face: FaceSamples) -> dict[str, str]:
    return {
        "at": iso_utc(face.at_ms),
        "interval_ms": "1000",
        "frames": str(face.samples),
        "simulated": str(int(face.is_simulated)),
    }


def _expression(face: FaceSamples) -> dict[str, str]:
    """Return the row of a second: the mean, and the last sample as the smoothed probabilities."""
    means = (str(round(_PER_MILLE * face.values.get(name, math.nan))) for name in NAMES)
    smoothed = (str(round(_PER_MILLE * face.last.get(name, math.nan))) for name in NAMES)
    quality = face.values.get("quality", 1.0)
    return {
        **_of_face(face),
        **dict(zip(NAMES, means, strict=True)),
        **dict(zip(SMOOTHED, smoothed, strict=True)),
        "quality": repr(quality) if math.isfinite(quality) else "",
    }


def _movement(face: FaceSamples) -> dict[str, str]:
    values = {name: face.values.get(name, math.nan) for name in MOVEMENT_STEPS}
    return _of_face(face) | {
        name: repr(value) if math.isfinite(value) else "" for name, value in values.items()
    }
