"""Events of the physiological recordings of a BIDS data set: beats, responses, markers.

BIDS 1.11 has a file for what happens at times of its own beside an evenly sampled recording
(suffix ``physioevents``). Intervals between beats stand there as measured, which no rate of samples
could hold. The file has no head; its sidecar names the columns.
"""

from __future__ import annotations

import csv
import gzip
import heapq
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import IO, Any

from edge_agent.core.study import MarkerKind
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.export.column import Column
from edge_agent.timeline.export.rows import Row, Value, whole

TIMESTAMP = "timestamp"
"""The column of the recording whose clock the events share."""
SKIN_RESPONSES = "skin_response.csv"
"""Name among the tables of an appliance: the responses of skin conductance that were found."""
BEAT = "beat"
SKIN_RESPONSE = "skin_response"
PROTOCOL = "protocol"
"""The kind of a marker that a protocol noted of its own course."""
_MARKER = "A marker, which stands in the events of the session, too"
_KINDS: Mapping[str, str] = {
    BEAT: "The end of an interval between two beats, as the sensor measured it",
    SKIN_RESPONSE: "A response of skin conductance, from its beginning to its peak",
    **{kind.value: _MARKER for kind in MarkerKind},
    PROTOCOL: "What a protocol noted of its own course, which stands in the events, too",
}
COLUMNS = (
    Column(
        "onset", "number", f"When, on the clock of {TIMESTAMP}: from the start of the session", "s"
    ),
    Column("duration", "number", "How long it lasted; 0: an instant; n/a: not known", "s"),
    Column("trial_type", "string", "What it is"),
    Column("message", "string", "Label of a marker"),
    Column(
        "value",
        "number",
        "Of a beat: the interval that ends with it, in seconds. Of a skin response: its amplitude "
        "from the trough to the peak, in uS",
    ),
    Column("source", "string", "The sensor"),
    Column("flags", "string", "Doubts about a beat, as recorded"),
)


@dataclass(frozen=True, slots=True)
class PhysioEvent:
    """One event of a recording.

    Attributes:
        at_ms: when, UTC milliseconds.
        lasted_ms: how long; ``None`` where nobody knows.
        kind: ``trial_type``.
        message: label of a marker.
        value: interval in seconds, or amplitude in µS; ``None``: it has none.
        source: the sensor; empty: none measured it.
        flags: doubts, as recorded.
    """

    at_ms: int
    lasted_ms: int | None
    kind: str
    message: str = ""
    value: float | None = None
    source: str = ""
    flags: str = ""

    def cells(self, start_ms: int) -> tuple[Value, ...]:
        """Return the values of ``COLUMNS``; times in seconds from a start."""
        lasted = None if self.lasted_ms is None else self.lasted_ms / 1000
        about = (self.message, self.value, self.source, self.flags)
        return ((self.at_ms - start_ms) / 1000, lasted, self.kind, *about)


def beat_of(row: Row) -> PhysioEvent:
    """Return an interval between beats, a row of ``vital.csv``, as an event."""
    value = row["value"]
    return PhysioEvent(
        whole(row["at_ms"]),
        0,
        BEAT,
        value=float(value) if isinstance(value, int | float) else None,
        source=str(row["source"] or ""),
        flags=str(row["flags"] or ""),
    )


def is_beat(row: Row) -> bool:
    """Tell whether a row of ``vital.csv`` is an interval between beats."""
    return row["kind"] == VitalKind.RR_INTERVAL


def skin_responses_of(tables: Mapping[str, str]) -> dict[int, list[PhysioEvent]]:
    """Return the responses of skin conductance by session, in order of time.

    Args:
        tables: of an appliance; none where nobody computed them.
    """
    responses: defaultdict[int, list[PhysioEvent]] = defaultdict(list)
    for row in csv.DictReader(io.StringIO(tables.get(SKIN_RESPONSES, ""), newline="")):
        began_ms = int(row["began_ms"])
        responses[int(row["session"])].append(
            PhysioEvent(
                began_ms,
                int(row["at_ms"]) - began_ms,
                SKIN_RESPONSE,
                value=float(row["amplitude"]),
                source=row["source"],
            )
        )
    return {number: sorted(own, key=attrgetter("at_ms")) for number, own in responses.items()}


class PhysioEvents:
    """Writes the events of one recording; give it the beats in order of time.

    Args:
        file: to write into.
        start_ms: start of the session, UTC milliseconds.
        others: what is no beat, in order of time.
        line: makes a line of values.
    """

    def __init__(
        self, file: IO[str], start_ms: int, others: Iterable[PhysioEvent], line: Any
    ) -> None:
        self._file = file
        self._start_ms = start_ms
        self._others = list(others)
        self._line = line
        self._place = 0
        self.written = 0

    def add(self, beat: PhysioEvent) -> None:
        """Write a beat, and before it what came before it."""
        self._write_until(beat.at_ms)
        self._write(beat)

    def finish(self) -> None:
        """Write what came after the last beat."""
        while self._place < len(self._others):
            self._write_next()

    def _write_until(self, at_ms: int) -> None:
        # A marker at the time of a beat comes first, as if it were its cause.
        while self._place < len(self._others) and self._others[self._place].at_ms <= at_ms:
            self._write_next()

    def _write_next(self) -> None:
        self._write(self._others[self._place])
        self._place += 1

    def _write(self, event: PhysioEvent) -> None:
        self._file.write(self._line(event.cells(self._start_ms)))
        self.written += 1


def merge_events(*parts: Iterable[PhysioEvent]) -> Iterator[PhysioEvent]:
    """Yield events of several kinds, each in order of time, in one order."""
    return heapq.merge(*parts, key=attrgetter("at_ms"))


@contextmanager
def packed_text(path: Path) -> Iterator[IO[str]]:
    """Open a packed text to write into; its head has neither name nor time of the file."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=2, fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as file,
    ):
        yield file


def sidecar(described: Mapping[str, Any], *, has_skin: bool) -> dict[str, Any]:
    """Return the sidecar of all files of events.

    Args:
        described: the data dictionary of ``COLUMNS``.
        has_skin: whether responses of skin conductance were looked for.
    """
    about = "Beats as measured, and the markers of the session, on the clock of the recording."
    if has_skin:
        about += (
            " Responses of skin conductance are computed from the measured samples, as the "
            "documentation of the program says under Statistics: rises from trough to peak of the "
            "threshold in SkinResponseThreshold or more."
        )
    levels = {"Levels": dict(_KINDS)}
    trial_type = {**described["trial_type"], **levels}
    return {
        "Columns": [column.name for column in COLUMNS],
        "Description": about,
        "OnsetSource": TIMESTAMP,
        **described,
        "trial_type": trial_type,
    }
