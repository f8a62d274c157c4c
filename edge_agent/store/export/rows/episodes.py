"""Runs of one smoothed emotion, found while the rows pass by.

The view ``episode`` would sort all of them first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edge_agent.core.clock import iso_utc
from edge_agent.store.database.tables import EPISODE_GAP_MS

FaceRow = tuple[int, int, str | None, int, int]
"""Of a row of the participant's face: its end, length (ms), label (``None``: uncertain), simulated,
frames.
"""

_LONGEST_ROW_MS = 60_000  # record.interval allows no longer one


@dataclass(slots=True)
class Run:
    """A run of one smoothed emotion; times in milliseconds since 1970 UTC."""

    start_ms: int
    end_ms: int
    emotion: str | None
    rows: int
    frames: int
    simulated: int

    @property
    def values(self) -> tuple[str | float | int, ...]:
        """The values of a row of ``episode.csv``."""
        start = iso_utc(self.start_ms)
        end = iso_utc(self.end_ms)
        seconds = (self.end_ms - self.start_ms) / 1000
        shown = self.emotion or "uncertain"
        return (
            start,
            self.start_ms,
            end,
            self.end_ms,
            seconds,
            shown,
            self.rows,
            self.frames,
            self.simulated,
        )


def episodes_of(rows: Iterable[FaceRow]) -> Iterator[Run]:
    """Yield the episodes in order of their start.

    As in the view, another emotion or 3 s without a row end one.

    Simulated rows make episodes of their own beside the others.

    Args:
        rows: of the participant's face, in order of time.
    """
    running: dict[int, Run] = {}
    ended: list[Run] = []
    run: Run | None = None
    for at, interval, emotion, simulated, frames in rows:
        if run is None or run.simulated != simulated:
            run = running.get(simulated)
        if (
            run is not None
            and run.emotion == emotion
            and at - interval - run.end_ms <= EPISODE_GAP_MS
        ):
            run.end_ms = at
            run.rows += 1
            run.frames += frames
            continue
        for kind, one in list(running.items()):
            if kind == simulated or at - one.end_ms > EPISODE_GAP_MS + _LONGEST_ROW_MS:
                ended.append(running.pop(kind))
        run = running[simulated] = Run(at - interval, at, emotion, 1, frames, simulated)
        if len(running) == 1:  # nothing that began earlier still goes on
            yield from sorted(ended, key=lambda one: one.start_ms)
            ended = []
    yield from sorted([*ended, *running.values()], key=lambda one: one.start_ms)
