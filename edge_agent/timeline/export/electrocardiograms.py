"""Electrocardiograms that were kept, by session and source, at an even rate."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_agent.core.electrocardiogram import ECG_HZ, unpack
from edge_agent.core.process import Later
from edge_agent.timeline.export.source import ExportSource

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = Later("numpy")

HZ = ECG_HZ
"""Samples a second of the exported signal: what the sensor sends."""
LARGEST_UV = 32_767
"""Largest value of a signal of 16 bits, in steps of 1 µV."""
_JOINT_MS = 20.0
"""Two stretches that are this near to each other follow each other: times are whole ms, and the
sensor's clock is placed anew by each frame.
"""
_READ = (
    "SELECT at, interval_ms, source, samples, packed FROM ecg WHERE at >= ? AND at - interval_ms "
    "< ? ORDER BY at, id"
)
_LONGEST_MS = 600_000
"""A session that ended so long ago has all its stretches: each is some seconds long."""
Sessions = Mapping[int, tuple[int, int]]
"""Number → start and end, UTC ms."""


@dataclass(slots=True)
class Electrocardiogram:
    """What one source kept of one session.

    Attributes:
        source: of the sensor.
        stretches: begin and end of each, UTC ms, and its samples, µV.
    """

    source: str
    stretches: list[tuple[float, float, NDArray[np.int32]]] = field(default_factory=list)

    def add(self, began_ms: float, ended_ms: float, samples: list[int]) -> None:
        """Add a stretch; they come in order of time."""
        if self.stretches and abs(began_ms - self.stretches[-1][1]) < _JOINT_MS:
            began_ms = self.stretches[-1][1]
        self.stretches.append((began_ms, ended_ms, np.array(samples, dtype=np.int32)))

    @property
    def ended_ms(self) -> float:
        """When the last stretch ended."""
        return self.stretches[-1][1]

    def sample(self, base_ms: int, count: int) -> NDArray[np.float32]:
        """Return ``count`` samples from a time on, µV; NaN where nothing was kept.

        Each is the nearest one that the sensor sent. Four octets hold each number of its 24 bits.
        """
        values = np.full(count, np.nan, dtype=np.float32)
        step_ms = 1000 / HZ
        for began_ms, ended_ms, samples in self.stretches:
            if ended_ms <= began_ms:
                continue
            first = max(0, math.floor((began_ms - base_ms) / step_ms) + 1)
            last = min(count - 1, math.floor((ended_ms - base_ms) / step_ms))
            places = np.arange(first, last + 1)
            share = (base_ms + places * step_ms - began_ms) / (ended_ms - began_ms)
            nearest = np.rint(share * len(samples)).astype(int) - 1
            values[places] = samples[np.clip(nearest, 0, len(samples) - 1)]
        return values


def electrocardiograms_of(
    source: ExportSource, sessions: Sessions
) -> Iterator[tuple[int, list[Electrocardiogram]]]:
    """Yield each session that has an electrocardiogram, with one of each source, in the order in
    which they end; the stretches are read once, and a session is in memory until it has ended.

    A stretch that is damaged is left out, and one that reaches over the edges of a session is cut.

    Args:
        source: of the export; what lies outside its ranges is left out.
        sessions: those that are written.
    """
    waiting = deque(
        sorted(
            (max(first, start_ms), min(last, end_ms), number)
            for number, (start_ms, end_ms) in sessions.items()
            for first, last in source.chosen.ranges
            if max(first, start_ms) < min(last, end_ms)
        )
    )
    if not waiting:
        return
    span = (waiting[0][0], max(end for _, end, _ in waiting))
    current: list[tuple[int, int, int]] = []
    kept: dict[int, dict[str, Electrocardiogram]] = {}
    for at, interval_ms, name, count, packed in source.connection.execute(_READ, span):
        while waiting and waiting[0][0] <= at:
            current.append(waiting.popleft())
        current = [one for one in current if one[1] > at - _LONGEST_MS]
        going_on = {number for *_, number in (*current, *waiting)}
        for number in [one for one in kept if one not in going_on]:
            yield number, _by_name(kept.pop(number))
        within = [one for one in current if one[1] > at - interval_ms]
        if not within:
            continue
        try:
            samples = unpack(bytes(packed), count)
        except ValueError:
            continue
        for first_ms, last_ms, number in within:
            began_ms, ended_ms, own = _cut(at - interval_ms, at, samples, (first_ms, last_ms))
            if own:
                of_session = kept.setdefault(number, {})
                of_session.setdefault(name, Electrocardiogram(name)).add(began_ms, ended_ms, own)
    for number, of_session in kept.items():
        yield number, _by_name(of_session)


def _cut(
    began_ms: int, ended_ms: int, samples: list[int], span: tuple[int, int]
) -> tuple[float, float, list[int]]:
    """Return begin, end and samples of the part of a stretch that lies in a span: a stretch may
    reach over the edges of a session, and what is beyond them is of somebody else.
    """
    step_ms = (ended_ms - began_ms) / len(samples)
    # Of n samples the last is at the end, the first one step after the beginning.
    first, last = (math.ceil((edge - began_ms) / step_ms) - 1 for edge in span)
    first, last = max(0, first), min(len(samples), last)
    return began_ms + first * step_ms, began_ms + last * step_ms, samples[first : max(first, last)]


def _by_name(kept: Mapping[str, Electrocardiogram]) -> list[Electrocardiogram]:
    return [kept[name] for name in sorted(kept)]
