"""Faces followed over frames by overlap and motion, and which of them is the participant's.

A track identifies a face from frame to frame, never a person: no picture of a face is kept or
compared, and a person who leaves and comes back after the tracker's memory gets a new number.

SciPy's ``linear_sum_assignment`` solves what `assign` does, but importing it costs the agent 41 MB
of resident memory (it has 120 MB for everything) and 0.3 s of processor time at the start
(measured, SciPy 1.17 after NumPy and OpenCV). For the few faces of a frame a page of Python is as
fast; the tests compare both.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from edge_agent.core.clock import Instant
from edge_agent.core.expression import Box, Face

VELOCITY_S = 0.25
"""Time constant with which the velocity of a track follows what is measured."""
REACH = 0.5
REACH_PER_S = 1.0
FARTHEST = 1.5
"""Largest distance of a face from its expected path, in sides of the face: at once, more for each
second without the face, and at most."""
MOST_GROWTH = 3.0
"""Ratio of the areas in two sightings above which they are different faces; half of a face that
comes out from behind another is still the same face."""
MOST_GROWTH_IN_MOTION = 1.25
"""The same, above which one sighting shows only a part of the face: the middle of a part says
nothing about its motion. A face that moves behind another shrinks from frame to frame.
"""
CONFIRM_S = 0.3
"""Age from which a second sighting confirms a track, so that slow cameras need not wait for a
third.
"""
_STALE_PER_S = 0.5
_STALE = 0.2
# Above 2.2, the largest cost of a pair that is not forbidden: a face is left alone only where no
# pair is possible, or where another face needs the track.
_UNASSIGNED = 2.5


def assign(costs: Sequence[Sequence[float]], unassigned: float) -> list[int | None]:
    """Assign rows to columns, or leave them unassigned, so that the total cost is least.

    Args:
        costs: for each row its cost with each column; ``math.inf`` forbids a pair. No column is
            assigned twice.
        unassigned: cost of an unassigned row; pairs that cost more are never made.

    Returns:
        For each row its column, or ``None``.
    """
    if not costs:
        return []
    columns = len(costs[0])
    # One extra column for each row, which leaves it unassigned: there is always a solution.
    alone = [unassigned] * len(costs)
    extended = [[*row, *alone] for row in costs]
    return [column if column < columns else None for column in _cheapest(extended)]


def _cheapest(costs: list[list[float]]) -> list[int]:
    """Solve for no more rows than columns by successive shortest paths.

    Jonker & Volgenant 1987; Crouse 2016.

    Prices of rows and columns keep every reduced cost (cost − row's price − column's price) at or
    above 0, and at 0 for the pairs made so far. Each further row gets a column by the cheapest path
    of alternately new and present pairs.
    """
    rows = len(costs)
    columns = len(costs[0])
    row_price = [0.0] * rows
    column_price = [0.0] * columns
    column_of = [-1] * rows
    row_of = [-1] * columns
    for start in range(rows):
        reached = [math.inf] * columns
        came_from: dict[int, int] = {}
        # Columns whose cheapest path is not known yet.
        open_columns = set(range(columns))
        row = start
        length = 0.0
        while True:
            base = length - row_price[row]
            for column in open_columns:
                through = base + costs[row][column] - column_price[column]
                if through < reached[column]:
                    reached[column] = through
                    came_from[column] = row
            # As in Dijkstra's search: the nearest open column is final.
            column = min(open_columns, key=reached.__getitem__)
            length = reached[column]
            open_columns.remove(column)
            # A free column ends the path; a taken one sends its row on to look for another.
            if row_of[column] < 0:
                break
            row = row_of[column]
        # Afterwards reduced costs are 0 along the path, and below 0 nowhere.
        row_price[start] += length
        for passed in set(range(columns)) - open_columns:
            column_price[passed] += reached[passed] - length
            if row_of[passed] >= 0:
                row_price[row_of[passed]] += length - reached[passed]
        # Back along the path, each row takes the column it was reached by.
        while True:
            row = came_from[column]
            row_of[column], column_of[row], column = row, column, column_of[row]
            if row == start:
                break
    return column_of


class FaceMemory:
    """The time to wait for a missing face: ``seconds``, or longer at a low frame rate.

    At least two frames must fit into it, or a slow camera would lose a face at every frame.

    Args:
        seconds: the shortest wait.

    Example:
        >>> memory = FaceMemory(0.5)
        >>> memory.advance(Instant(0, 0))
        0.5
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last: Instant | None = None
        self._pause = 0.0

    def advance(self, at: Instant) -> float:
        """Take in when a frame was taken; return seconds."""
        pause = 0.0 if self._last is None else at.seconds_since(self._last)
        # The shorter of the last two pauses: a camera that stalled once is not a slow one.
        seconds = max(self._seconds, 2 * min(pause, self._pause))
        self._last = at
        self._pause = pause
        return seconds


@dataclass(slots=True, eq=False)
class _Track:
    """One face. ``number`` is ``None`` until it is confirmed.

    ``velocity`` is in pixels per second.
    """

    number: int | None
    box: Box
    first: Instant
    seen: Instant
    sightings: int = 1
    velocity: tuple[float, float] = (0.0, 0.0)

    def predict(self, at: Instant) -> Box:
        """Return the expected place of the face at constant velocity."""
        seconds = max(at.seconds_since(self.seen), 0.0)
        x, y = self.velocity
        box = self.box
        return Box(box.x + x * seconds, box.y + y * seconds, box.width, box.height)

    def update(self, box: Box, at: Instant) -> None:
        """Update place and velocity with a new sighting."""
        seconds = at.seconds_since(self.seen)
        if seconds > 0 and _are_alike(box.area, self.box.area, MOST_GROWTH_IN_MOTION):
            share = -math.expm1(-seconds / VELOCITY_S)
            (x, y), (old_x, old_y), (across, down) = box.center, self.box.center, self.velocity
            across += share * ((x - old_x) / seconds - across)
            down += share * ((y - old_y) / seconds - down)
            self.velocity = across, down
        self.box = box
        self.seen = at
        self.sightings += 1

    def cost(self, face: Box, at: Instant) -> float:
        """Return the cost of assigning a face to this track; ``math.inf`` if it cannot be the same.

        The face may lie anywhere near the path from its last place to its expected one, since
        people stop; the nearer to the expected place, the lower the cost.
        """
        expected = self.predict(at)
        if not _are_alike(face.area, expected.area, MOST_GROWTH):
            return math.inf
        hidden = max(at.seconds_since(self.seen), 0.0)
        # The geometric mean of both sizes: neither a half-hidden face nor a whole one dominates.
        side = math.sqrt(math.sqrt(face.area * expected.area))
        reach = min(REACH + REACH_PER_S * hidden, FARTHEST) * side
        if _distance_to_way(face.center, self.box.center, expected.center) > reach:
            return math.inf
        way = math.dist(self.box.center, expected.center)
        off = math.dist(face.center, expected.center) / (reach + way)
        return 1 - face.overlap(expected) + off + min(_STALE_PER_S * hidden, _STALE)


def _are_alike(one: float, other: float, most: float) -> bool:
    """Return whether two areas differ by a factor of at most ``most``."""
    return 1 / most <= one / other <= most


def _distance_to_way(
    point: tuple[float, float], start: tuple[float, float], end: tuple[float, float]
) -> float:
    """Return the distance of a point from the straight line between two places."""
    way = complex(end[0] - start[0], end[1] - start[1])
    to_point = complex(point[0] - start[0], point[1] - start[1])
    gone = (to_point * way.conjugate()).real / abs(way) ** 2 if way else 0.0
    return abs(to_point - way * min(max(gone, 0.0), 1.0))


class Tracker:
    """Gives each face the number of its track, or a new number once it was seen often enough.

    All faces of a frame are assigned together, with the least total cost: first to the confirmed
    tracks, the rest to the others. The cost of a pair grows with the distance from the expected
    place and falls with the overlap of the boxes. A hidden face is expected to keep its velocity
    for the tracker's memory, so it is found again on the other side of an obstacle.

    A face is reported only when it was confirmed by ``confirm_frames`` frames in a row, or by two
    that are at least 0.3 s apart: detectors report things that are no faces, but rarely at one
    place in every frame.

    Args:
        lost_after_s: memory: seconds without a face after which a track ends; at least the time of
            two frames.
        confirm_frames: frames in a row that confirm a track; 1 believes every face at once.

    Example:
        >>> tracker = Tracker(confirm_frames=1)
        >>> face = Face(Box(100, 100, 80, 80), 0.9, ())
        >>> [number for number, _ in tracker.update([face], Instant(boot_ms=0, wall_ms=0))]
        [1]
    """

    def __init__(self, lost_after_s: float = 1.5, confirm_frames: int = 3) -> None:
        self._memory = FaceMemory(lost_after_s)
        self._confirm_frames = confirm_frames
        self._tracks: list[_Track] = []
        self._numbers = 0
        self._last: Instant | None = None

    def update(self, faces: Sequence[Face], at: Instant) -> list[tuple[int, Face]]:
        """Match the faces of one frame.

        Args:
            faces: found in the frame, with boxes that are not empty.
            at: when the frame was taken; not before that of the last call.

        Returns:
            Number of the track and face, in the order of ``faces``, for the confirmed ones; no
            number twice.
        """
        memory = self._memory.advance(at)
        self._last = at
        self._tracks = [track for track in self._tracks if at.seconds_since(track.seen) <= memory]
        seen: list[_Track] = []
        for face, known in zip(faces, self._match(faces, at), strict=True):
            if known is not None:
                known.update(face.box, at)
            seen.append(known or _Track(None, face.box, at, at))
        self._tracks = [
            *seen,
            *(track for track in self._tracks if track.number is not None and track not in seen),
        ]
        numbers = [self._number(track, at) for track in seen]
        pairs = zip(numbers, faces, strict=True)
        return [(number, face) for number, face in pairs if number is not None]

    def forget(self) -> None:
        """End all tracks: later faces are new people until they are confirmed."""
        self._tracks = []

    @property
    def is_confirming(self) -> bool:
        """Whether a face still has to be confirmed by further frames."""
        return any(track.number is None for track in self._tracks)

    def steady(self, at: Instant) -> list[Box]:
        """Return the expected places of the faces.

        Empty unless each face is confirmed and was seen in the last frame.
        """
        known = all(track.number is not None and track.seen == self._last for track in self._tracks)
        return [track.predict(at) for track in self._tracks] if known else []

    def _match(self, faces: Sequence[Face], at: Instant) -> list[_Track | None]:
        """Return the track that each face continues."""
        matched: list[_Track | None] = [None] * len(faces)
        # Confirmed tracks choose first: a new one must not take the face of a person who is
        # followed.
        for confirmed in (True, False):
            tracks = [track for track in self._tracks if (track.number is not None) == confirmed]
            left = [index for index, track in enumerate(matched) if track is None]
            if not tracks or not left:
                continue
            costs = [[track.cost(faces[index].box, at) for track in tracks] for index in left]
            for index, column in zip(left, assign(costs, _UNASSIGNED), strict=True):
                matched[index] = None if column is None else tracks[column]
        return matched

    def _number(self, track: _Track, at: Instant) -> int | None:
        """Return the number of a track; assign it when the track is confirmed."""
        if track.number is None and (
            track.sightings >= self._confirm_frames
            or (track.sightings >= 2 and at.seconds_since(track.first) >= CONFIRM_S)
        ):
            self._numbers += 1
            track.number = self._numbers
        return track.number


class PrimaryFaceSelector:
    """Selects the participant's face: the largest and most central one.

    It does not jump between similar faces.

    Args:
        lead: factor by which another face must be more prominent to replace one that is still
            there.
        takeover_s: seconds for which it must lead without a break: a person who walks past the
            camera is not the participant.
        hold_s: seconds to wait for a missing face before another one is selected, longer at low
            frame rates. Best equal to the tracker's memory, within which a face keeps its number.

    Example:
        >>> selector = PrimaryFaceSelector()
        >>> near = Face(Box(270, 190, 100, 100), 0.9, ())
        >>> far = Face(Box(0, 0, 40, 40), 0.9, ())
        >>> selector.select([(1, far), (2, near)], 640, 480, Instant(boot_ms=0, wall_ms=0))
        2
    """

    def __init__(self, lead: float = 1.5, takeover_s: float = 1.0, hold_s: float = 1.5) -> None:
        self._lead = lead
        self._takeover_s = takeover_s
        self._memory = FaceMemory(hold_s)
        self._track: int | None = None
        self._seen: Instant | None = None
        self._rival: tuple[int, Instant] | None = None

    def select(
        self, faces: Sequence[tuple[int, Face]], width: int, height: int, at: Instant
    ) -> int | None:
        """Return the track of the participant's face.

        ``None`` when there is none, or while a missing face may still come back.

        Args:
            faces: track and face, as `Tracker.update` returns them.
            width: of the frame, pixels.
            height: of the frame, pixels.
            at: when the frame was taken.
        """
        weights = {track: prominence(face.box, width, height) for track, face in faces}
        best = max(weights, key=weights.__getitem__, default=None)
        present = weights.get(self._track) if self._track is not None else None
        # At every frame, needed or not: it measures the pace of the frames.
        memory = self._memory.advance(at)
        if present is not None:
            leading = {track for track, weight in weights.items() if weight > present * self._lead}
            rival = self._taken_over(leading, best, at)
            self._track = self._track if rival is None else rival
        elif self._seen is not None and at.seconds_since(self._seen) <= memory:
            self._rival = None
            return None
        else:
            self._track = best
            self._rival = None
        self._seen = at if self._track is not None else None
        return self._track

    def forget(self) -> None:
        """Forget the participant; the next face can be selected at once."""
        self._track = None
        self._seen = None
        self._rival = None

    def _taken_over(self, leading: Collection[int], best: int | None, at: Instant) -> int | None:
        """Return the face that takes over; ``None`` while none has led for long enough.

        The first face that leads stays the rival for as long as it leads, even if another one is a
        little larger now.
        """
        # Neither a lead nor the wait begins anew while the rival leads.
        if self._rival is not None and self._rival[0] not in leading:
            self._rival = None
        if self._rival is None and best is not None and best in leading:
            # An absence ends the wait of a rival, too: the place is free then.
            self._rival = best, at
        if self._rival is None or at.seconds_since(self._rival[1]) < self._takeover_s:
            return None
        rival = self._rival[0]
        self._rival = None
        return rival


def prominence(box: Box, width: int, height: int) -> float:
    """Return the area of a face in square pixels, weighted by its place.

    The weight falls from 1 in the middle of the picture to 0.5 in its corners.
    """
    x, y = box.center
    distance = math.hypot(x - width / 2, y - height / 2) / math.hypot(width / 2, height / 2)
    return box.area * (1 - 0.5 * min(distance, 1.0))
