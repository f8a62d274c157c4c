"""Times of a recording, which count from no day: the day is never guessed."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from edge_agent.core import bounds
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import DataFileError, ReadingError
from edge_agent.core.readings import LocalTimes, time_ms
from edge_agent.core.texts import N_, Message
from edge_agent.vitals.health.xdf.container import Container, XdfStream, is_ours

_MEASURED_S = 5.0
"""LabRecorder measures the clock of a stream for the first time so long after it began."""
_NEAR_MS = 60_000
"""So far the head of a file and the clock of an appliance may differ: the head is written before
the first stream is found, which takes a busy computer some seconds."""
_APART_S = 86_400.0
"""Streams of one recording lie no further apart: there one has another clock."""
_EPOCH_S = 1e9
"""No computer has run for so long: a clock that says more counts from 1970."""
_OWN = "its times of day are those of the clock of Affect Edge, which its streams tell."
_NO_DAY = N_(
    "{file}: tells no time of day: its times count from when the recording computer was started. "
    "Give the time of its first sample, such as 2026-11-20T09:00:00+01:00: with import-vitals "
    "--start TIME, with import-study --starting TIME. Nothing was imported."
)
_NO_ZONE = N_(
    "{file}: was written at {written}, of which the time zone is not known. Give it, such as "
    "--timezone Europe/Berlin. Nothing was imported."
)


@dataclass(frozen=True, slots=True)
class OwnClock:
    """Statement of one of our own streams about the clock of its appliance.

    Attributes:
        stamp_s: a time by the clock of the recorder.
        wall_ms: the same time, UTC milliseconds.
        is_set: whether the network had set the appliance's clock.
    """

    stamp_s: float
    wall_ms: int
    is_set: bool


@dataclass(frozen=True, slots=True)
class WallClock:
    """Turns times of a recording into times of day.

    Attributes:
        zero_s: a time by the clock of the recorder, seconds.
        wall_ms: the same time, UTC milliseconds.
        sentence: how it is known, for people.
    """

    zero_s: float
    wall_ms: int
    sentence: str

    def at_ms(self, stamp_s: float) -> float:
        """Return UTC milliseconds of a time by the clock of the recorder."""
        return self.wall_ms + 1000 * (stamp_s - self.zero_s)


def own_clock(stream: XdfStream, shift_s: float) -> OwnClock | None:
    """Return what a stream of ours says of its clock; ``None``: earlier releases said nothing.

    Args:
        stream: the stream.
        shift_s: what must be added to its times for the clock of the recorder.
    """
    about = stream.about.at("desc", "clock")
    with suppress(ReadingError, ValueError):
        wall_ms = time_ms(about.text_at("utc"), None)
        stamp_s = float(about.text_at("local_clock"))
        if bounds.is_number(stamp_s):
            return OwnClock(stamp_s + shift_s, wall_ms, about.text_at("synchronised") == "1")
    return None


class Spot(NamedTuple):
    """Times that belong to one clock.

    Attributes:
        first_s, last_s: from when to when.
        number: of the stream whose samples they are; ``None``: its clock was measured then.
    """

    first_s: float
    last_s: float
    number: int | None = None


class OtherClocks(NamedTuple):
    """The streams with another clock than the recording.

    Attributes:
        numbers: of the streams.
        first_s, last_s: the times of all else.
    """

    numbers: frozenset[int]
    first_s: float
    last_s: float

    def without(self, container: Container) -> Container:
        """Return a recording without the times of these streams."""
        streams = {
            number: stream
            if number not in self.numbers
            else replace(stream, first_s=None, clocks=self._near(stream.clocks))
            for number, stream in container.streams.items()
        }
        return replace(container, streams=streams)

    def _near(self, pairs: array[float]) -> array[float]:
        """Return the measurements of a clock that were made while the recording was."""
        near = array("d")
        for at in range(0, len(pairs), 2):
            if self.first_s <= pairs[at] + pairs[at + 1] <= self.last_s:
                near.extend(pairs[at : at + 2])
        return near

    def are_times_of_day(self, first_s: float, clock: WallClock) -> bool:
        """Return whether a time of another clock is one of day, of about the recording's day."""
        least_ms, most_ms = clock.at_ms(self.first_s), clock.at_ms(self.last_s)
        return least_ms - 1000 * _APART_S <= 1000 * first_s <= most_ms + 1000 * _APART_S


def measurements(container: Container) -> Iterator[Spot]:
    """Yield when the clocks of the streams were measured, by the clock of the recorder."""
    for stream in container.streams.values():
        pairs = stream.clocks
        stamps = [pairs[at] + pairs[at + 1] for at in range(0, len(pairs), 2)]
        yield from (Spot(stamp, stamp) for stamp in stamps)


def other_clocks(spots: Iterable[Spot]) -> OtherClocks | None:
    """Return which streams lie so far from the others that their clock is another one."""
    groups: list[list[Spot]] = []
    last_s = 0.0
    for spot in sorted(spots, key=lambda spot: spot.first_s):
        if not groups or spot.first_s - last_s > _APART_S:
            groups.append([])
            last_s = spot.last_s
        groups[-1].append(spot)
        last_s = max(last_s, spot.last_s)
    if len(groups) < 2:
        return None
    home = max(groups, key=_rank)
    others = (spot for group in groups if group is not home for spot in group)
    return OtherClocks(
        frozenset(spot.number for spot in others if spot.number is not None),
        min(spot.first_s for spot in home),
        max(spot.last_s for spot in home),
    )


def _rank(spots: Sequence[Spot]) -> tuple[bool, bool, int]:
    """Return how sure it is that times are those of the recorder: it counts from when its computer
    was started, and measures clocks by its own.
    """
    return (
        spots[0].first_s < _EPOCH_S,
        any(spot.number is None for spot in spots),
        len({spot.number for spot in spots}),
    )


def first_samples(container: Container) -> Iterator[tuple[float, XdfStream]]:
    """Yield the time of the first sample of each stream, by the clock of the recorder."""
    for stream in container.streams.values():
        if stream.first_s is not None and not stream.problem:
            yield stream.first_s + (stream.clocks[1] if stream.clocks else 0.0), stream


def wall_clock(
    file: str,
    container: Container,
    own: Sequence[OwnClock],
    *,
    start_ms: int | None,
    zone: LocalTimes | None,
    streams: str,
) -> WallClock:
    """Return the times of day of a recording, from the best that tells them.

    Args:
        file: its name.
        container: its chunks.
        own: what our own streams say of their clocks, the best last.
        start_ms: when its first sample was, as a person says.
        zone: time zone of a head without one.
        streams: sentences about them, for the error.

    Raises:
        DataFileError: nothing tells them.
    """
    if start_ms is not None:
        first_s, stream = min(first_samples(container), default=(0.0, None), key=lambda one: one[0])
        of = f", of the stream {stream.title}," if stream else ""
        return WallClock(
            first_s, start_ms, f"its first sample{of} is at {iso_utc(start_ms)}, as given."
        )
    head = _of_head(file, container, zone)
    for clock in reversed(own):
        told = WallClock(clock.stamp_s, clock.wall_ms, "")
        apart_ms = 0.0 if head is None else abs(told.at_ms(head.zero_s) - head.wall_ms)
        if clock.is_set or head is None or apart_ms <= _NEAR_MS:
            more = ""
            if apart_ms > _NEAR_MS:
                seconds = f"{apart_ms / 1000:.0f} s from them"
                more = f" The head of the file says {container.written}, which is {seconds}."
            elif not clock.is_set and head is None:
                more = " The network had not set it, as far as is known: compare one time."
            return replace(told, sentence=_OWN + more)
    if head is None:
        problem = Message(_NO_DAY, file=file)
        raise DataFileError("{problem}\n{streams}", problem=problem, streams=streams)
    return head


def _of_head(file: str, container: Container, zone: LocalTimes | None) -> WallClock | None:
    """Return the times of day by the head of the file; ``None``: it tells none."""
    written = container.written
    if not written:
        return None
    # LabRecorder before 1.16 wrote +0100 or nothing at all; ``time_ms`` reads numbers as times.
    if not written[:4].isdecimal() or "T" not in written:
        return None
    try:
        wall_ms = time_ms(written, zone)
    except ReadingError as error:
        with suppress(ReadingError):
            time_ms(f"{written}Z", None)
            raise DataFileError(_NO_ZONE, file=file, written=written) from error
        return None
    began = [
        one.clocks[0] + one.clocks[1] - _MEASURED_S
        for one in container.streams.values()
        if one.clocks
    ]
    firsts = [*first_samples(container)]
    # Samples of ours that waited for the recorder are older than the file.
    began += [first_s for first_s, one in firsts if not (began and is_ours(one))]
    if not began:
        return None
    return WallClock(
        min(began),
        wall_ms,
        f"its times of day are those of the head of the file ({written}), where LabRecorder writes "
        "when it began, to the second: all of them may be some seconds too early. The time of its "
        "first sample counts before it, where it is given (--start, --starting).",
    )
