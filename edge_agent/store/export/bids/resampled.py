"""The readings of a session at one sample a second, as BIDS wants physiological recordings.

Sensors speak when they like. The readings themselves stand in ``beh``; this is a copy for programs
that read evenly sampled recordings, and its sidecar says how it was made.
"""

from __future__ import annotations

import gzip
import io
import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edge_agent.core.readings import UNUSABLE
from edge_agent.core.vitals import AnalysisOption, VitalKind
from edge_agent.store.export.bids.cells import write_json
from edge_agent.store.export.bids.names import NOT_AVAILABLE, TASK
from edge_agent.store.export.rows.typed import Row

HELD_S = 5
"""For how long a reading is the value of the samples that follow it."""
_STEP_MS = 1000
_HOW = (
    "Resampled: the newest reading of this source at each second, for at most {held} s; n/a "
    "otherwise. Readings flagged {flags} are left out. The readings as they were measured, at "
    "irregular times and with their flags, stand in the file acq-vital_beh.tsv beside this one."
)


@dataclass(frozen=True, slots=True)
class Channel:
    """What one column is a recording of."""

    kind: VitalKind
    source: str


def is_resampled(kind: VitalKind) -> bool:
    """Tell whether a kind has a level at each time: not intervals of beats, not a cuff's."""
    return kind is not VitalKind.RR_INTERVAL and kind.spec.option is not AnalysisOption.PRESSURE


def channels_of(connection: sqlite3.Connection, start_ms: int, end_ms: int) -> list[Channel]:
    """Return the channels that have a reading in a span of time."""
    rows = connection.execute(
        "SELECT DISTINCT kind, source FROM vital WHERE at >= ? AND at < ? ORDER BY kind, source",
        (start_ms, end_ms),
    )
    channels = [Channel(VitalKind(kind), source) for kind, source in rows]
    return [channel for channel in channels if is_resampled(channel.kind)]


class Resampled:
    """Writes one recording; give it the readings in order of time.

    Args:
        file: to write into.
        channels: its columns.
        start_ms: time of the first sample, UTC milliseconds.
    """

    def __init__(self, file: IO[str], channels: Iterable[Channel], start_ms: int) -> None:
        self._channels = list(channels)
        self._newest: dict[Channel, tuple[int, float]] = {}
        self._next_ms = start_ms
        self._file = file

    def take(self, row: Row) -> None:
        """Take a reading, a row of ``vital.csv``."""
        at_ms = int(row["at_ms"] or 0)
        self.write_until(at_ms)
        flags = str(row["flags"] or "").split()
        channel = Channel(VitalKind(str(row["kind"])), str(row["source"] or ""))
        if UNUSABLE.isdisjoint(flags):
            self._newest[channel] = (at_ms, float(row["value"] or 0.0))

    def write_until(self, end_ms: int) -> None:
        """Write the samples before a time."""
        while self._next_ms < end_ms:
            cells = (self._sample(channel) for channel in self._channels)
            self._file.write("\t".join(cells) + "\n")
            self._next_ms = self._next_ms + _STEP_MS

    def _sample(self, channel: Channel) -> str:
        at_ms, value = self._newest.get(channel, (-1000 * HELD_S, 0.0))
        if self._next_ms - at_ms >= 1000 * HELD_S:
            return NOT_AVAILABLE
        return repr(value) if math.isfinite(value) else NOT_AVAILABLE


@contextmanager
def resampled(path: Path, channels: Sequence[Channel], start_ms: int) -> Iterator[Resampled | None]:
    """Write a recording, which ends in ``.tsv.gz``, and its sidecar; nothing without channels."""
    if not channels:
        yield None
        return
    with (
        path.open("wb") as raw,
        # neither name nor time of the file in its head, where some look for what is private
        gzip.GzipFile("", "wb", compresslevel=2, fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as file,
    ):
        yield Resampled(file, channels, start_ms)
    write_json(path.with_name(path.name.removesuffix(".tsv.gz") + ".json"), _sidecar(channels))


def _sidecar(channels: Sequence[Channel]) -> dict[str, Any]:
    names = column_names(channels)
    how = _HOW.format(held=HELD_S, flags=", ".join(sorted(UNUSABLE)))
    content: dict[str, Any] = {
        "TaskName": TASK,
        "PhysioType": "generic",
        "SamplingFrequency": 1000 / _STEP_MS,
        "StartTime": 0,
        "Columns": names,
    }
    for name, channel in zip(names, channels, strict=True):
        content[name] = {
            "Description": f"{channel.kind.spec.label}. {how}",
            "Units": channel.kind.unit,
            "Source": channel.source,
        }
    return content


def column_names(channels: Iterable[Channel]) -> list[str]:
    """Return the name of each column: its kind; of further sources of a kind with a number."""
    names: list[str] = []
    for channel in channels:
        before = sum(name.partition("__")[0] == channel.kind.value for name in names)
        names.append(f"{channel.kind}__{before + 1}" if before else channel.kind.value)
    return names
