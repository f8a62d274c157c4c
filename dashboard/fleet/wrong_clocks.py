"""Clocks of devices that are off, and where on one time axis their rows belong.

A row keeps the time that its device gave it; only where devices are put together is it moved, in
the answer. ``fleet.clock`` says when, by the clock of PostgreSQL, a machine was started: a message
that left it some time after that start came so much later. Rows of ``boot`` say by which line of
wall clock minus boot clock the rows of a stretch of time are dated now, whatever was moved since.
The difference of the two is what they are off by.

Nothing is moved where a server of time has set the clock of a stretch, where no two messages agree
on how far it is off, and what is less than half a step of the rollups that are read. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

FOREVER_MS = 2**62
_LATE_MS = 60_000  # a step of the clock is noticed so late: rows belong to the row of before
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Measured:
    """A row of ``boot`` beside a row of ``fleet.clock`` of the same start of the machine.

    Attributes:
        stream: whose row of ``boot`` it is.
        device: whose stream it is.
        boot: its number.
        boot_id: start of the machine.
        start_ms: when its stretch began, by its own line.
        offset_ms: wall clock minus boot clock, by which its rows are dated now.
        synchronised: whether a server of time had set that clock, or has told since.
        began_ms: start of the machine by the clock of PostgreSQL; ``None``: not known.
        from_ms: boot clock from when on this was measured.
        to_ms: boot clock until when it was heard.
        doubt_ms: how exact that is.
    """

    stream: int
    device: str
    boot: int
    boot_id: str
    start_ms: int
    offset_ms: int
    synchronised: bool
    began_ms: int | None = None
    from_ms: int = 0
    to_ms: int = 0
    doubt_ms: int = 0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Times of a device that belong together, by its own clock.

    Attributes:
        stream: of the rows.
        device: whose.
        boot: the row of ``boot`` that they point to.
        start_ms: from when on.
        end_ms: until when.
        ahead_ms: how far its clock was ahead; 0: not known, or not to be corrected.
        doubt_ms: how exact that is.
    """

    stream: int
    device: str
    boot: int
    start_ms: int
    end_ms: int
    ahead_ms: int
    doubt_ms: int

    def moved_by(self, step_ms: int) -> int:
        """Return by how many ms its rows are moved: a whole number of steps."""
        return -((2 * self.ahead_ms + step_ms) // (2 * step_ms)) * step_ms


@dataclass(frozen=True, slots=True)
class ClockOff:
    """A device whose times are moved in an answer.

    Attributes:
        device: its name.
        ahead_ms: how far its clock was ahead, the newest figure of the range.
        doubt_ms: how exact that is.
    """

    device: str
    ahead_ms: int
    doubt_ms: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the rollups of a stream whose rows are moved by the same step."""

    stream: int
    start_ms: int
    end_ms: int
    by_ms: int


@dataclass(frozen=True, slots=True)
class MixedPiece:
    """A part in which rows of several stretches have the same times: they are read by ``boot``.

    Attributes:
        stream: whose rows.
        start_ms: from when on, by the clock of the device.
        end_ms: until when.
        by_ms: by how much rows are moved, by the row of ``boot`` that they point to; others stay.
    """

    stream: int
    start_ms: int
    end_ms: int
    by_ms: Mapping[int, int]


def stretches(rows: Iterable[Measured]) -> list[Stretch]:
    """Return the stretches of streams, those of each in order of their rows of ``boot``.

    Args:
        rows: by stream and row of ``boot``, and by time where a start was measured several times.
    """
    of_stream: dict[int, dict[int, list[Measured]]] = defaultdict(dict)
    for row in rows:
        of_stream[row.stream].setdefault(row.boot, []).append(row)
    return [
        stretch
        for boots in of_stream.values()
        for boot, end_ms in _ends(boots).items()
        for stretch in _cut(boots[boot], end_ms)
    ]


def _ends(boots: Mapping[int, Sequence[Measured]]) -> dict[int, int]:
    """Return until when the rows of each row of ``boot`` may reach, by its own line."""
    of_start: dict[str, list[Measured]] = {}
    for rows in boots.values():
        of_start.setdefault(rows[0].boot_id, []).append(rows[-1])
    ends: dict[int, int] = {}
    starts = [
        sorted(rows, key=lambda row: (row.start_ms - row.offset_ms, row.boot))
        for rows in of_start.values()
    ]
    for number, rows in enumerate(starts):
        for row, following in pairwise(rows):
            ends[row.boot] = row.offset_ms + following.start_ms - following.offset_ms + _LATE_MS
        ends[rows[-1].boot] = _end_of_start(
            rows[-1],
            earlier=[start[-1] for start in starts[:number]],
            later=[boots[start[0].boot][0] for start in starts[number + 1 :]],
        )
    return ends


def _end_of_start(last: Measured, *, earlier: Sequence[Measured], later: Sequence[Measured]) -> int:
    """Return until when the rows of the last stretch of a start may reach, by its own line.

    It had ended when the next one began that was measured, and began itself after what was measured
    before it. Without both, its clock is taken to go on over a restart, and not back.
    """
    if not later:
        return FOREVER_MS
    ended_ms = next((one.began_ms for one in later if one.began_ms is not None), None)
    began_ms = last.began_ms
    if began_ms is None:
        known = (one.began_ms + one.to_ms for one in reversed(earlier) if one.began_ms is not None)
        began_ms = next(known, None)
    if began_ms is not None and ended_ms is not None:
        return max(last.offset_ms + ended_ms - began_ms, last.start_ms) + _LATE_MS
    if later[0].start_ms <= last.start_ms:
        return FOREVER_MS
    return later[0].start_ms + _LATE_MS


def _cut(rows: Sequence[Measured], end_ms: int) -> list[Stretch]:
    """Return the stretches of a row of ``boot``: one, or one for each time it was measured."""
    first = rows[0]
    start_ms = first.start_ms - _LATE_MS
    known = [row for row in rows if row.began_ms is not None and not row.synchronised]
    starts = [row.began_ms for row in known if row.began_ms is not None]
    if not known:
        return [Stretch(first.stream, first.device, first.boot, start_ms, end_ms, 0, 0)]
    # each figure counts until the next one; the first also for what was before it
    cuts = [
        start_ms,
        *(min(max(row.offset_ms + row.from_ms, start_ms), end_ms) for row in known[1:]),
        end_ms,
    ]
    return [
        Stretch(row.stream, row.device, row.boot, start, end, row.offset_ms - began, row.doubt_ms)
        for row, began, (start, end) in zip(known, starts, pairwise(cuts), strict=True)
        if start < end
    ]


def pieces(
    of_stream: Sequence[Stretch], span: Span, step_ms: int
) -> tuple[list[Piece], list[MixedPiece]] | None:
    """Return how the rows of one stream are read so that they lie where they belong.

    All of the stream that belongs into the range is in exactly one of them; none are left where all
    of it is moved out of the range. ``None``: no stretch is moved into the range or out of it, the
    stream is read as it is.

    Args:
        of_stream: the stretches of the stream.
        span: the range that is asked for, half-open, by the clock of PostgreSQL.
        step_ms: of the rollups that are read.
    """
    moves = {stretch.moved_by(step_ms) for stretch in of_stream} | {0}
    if not any(_concerns(stretch, span, step_ms) for stretch in of_stream):
        return None
    stream = of_stream[0].stream
    first = (span[0] - max(moves)) // step_ms * step_ms
    last = span[1] - min(moves)
    cuts = {first, last}
    for stretch in of_stream:
        for at in (stretch.start_ms, stretch.end_ms):
            cell = at // step_ms * step_ms
            # the step in which one stretch ends and another begins has rows of both
            cuts |= {one for one in (cell, cell + step_ms) if first < one < last}
    whole: list[Piece] = []
    mixed: list[MixedPiece] = []
    for start, end in pairwise(sorted(cuts)):
        there = [one for one in of_stream if one.start_ms < end and one.end_ms > start]
        by = {one.boot: one.moved_by(step_ms) for one in there}
        if len(set(by.values())) > 1:
            mixed += _mixed_within(MixedPiece(stream, start, end, by), span)
        else:
            _add(whole, Piece(stream, start, end, next(iter(by.values()), 0)))
    return [one for one in (_within(piece, span) for piece in whole) if one is not None], mixed


def _concerns(stretch: Stretch, span: Span, step_ms: int) -> bool:
    by_ms = stretch.moved_by(step_ms)
    return by_ms != 0 and any(
        stretch.start_ms + move < span[1] and stretch.end_ms + move > span[0] for move in (0, by_ms)
    )


def _add(whole: list[Piece], piece: Piece) -> None:
    """Add a piece, to the last one where they belong together."""
    if whole and (whole[-1].end_ms, whole[-1].by_ms) == (piece.start_ms, piece.by_ms):
        piece = Piece(piece.stream, whole.pop().start_ms, piece.end_ms, piece.by_ms)
    whole.append(piece)


def _within(piece: Piece, span: Span) -> Piece | None:
    """Return the part of a piece that lies in a range once it is moved."""
    start_ms = max(piece.start_ms, span[0] - piece.by_ms)
    end_ms = min(piece.end_ms, span[1] - piece.by_ms)
    return Piece(piece.stream, start_ms, end_ms, piece.by_ms) if start_ms < end_ms else None


def _mixed_within(piece: MixedPiece, span: Span) -> list[MixedPiece]:
    """Return the part of which some row lies in a range once it is moved, if there is any."""
    moves = {0, *piece.by_ms.values()}
    start_ms = max(piece.start_ms, span[0] - max(moves))
    end_ms = min(piece.end_ms, span[1] - min(moves))
    if start_ms >= end_ms:
        return []
    return [MixedPiece(piece.stream, start_ms, end_ms, piece.by_ms)]


def clocks_off(moved: Iterable[Stretch], span: Span, step_ms: int) -> tuple[ClockOff, ...]:
    """Return the devices whose times are moved in a range, by name; of each the newest figure.

    Args:
        moved: stretches of the streams that are moved.
        span: the range.
        step_ms: of the rollups that are read.
    """
    newest = {
        one.device: ClockOff(one.device, one.ahead_ms, one.doubt_ms)
        for one in sorted(moved, key=lambda stretch: (stretch.stream, stretch.boot))
        if _concerns(one, span, step_ms)
    }
    return tuple(newest[device] for device in sorted(newest))
