"""Follows faces over frames by the overlap of their boxes, and chooses the participant's face among them.

A track identifies a face from frame to frame, never a person: whoever leaves and comes back gets a new number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.clock import Instant
from edge_agent.domain import Box, Face


@dataclass(slots=True)
class _Track:
    box: Box
    seen: Instant


class Tracker:
    """Gives each face the number of the track it continues, or a new one.

    Matching is greedy by descending overlap, which for the few faces before an appliance gives what an optimal
    assignment gives.

    Args:
        min_overlap: least intersection over union of a face with where its track was last seen.
        lost_after_s: seconds without a face after which a track ends.
    """

    def __init__(self, min_overlap: float = 0.2, lost_after_s: float = 1.0) -> None:
        self._min_overlap = min_overlap
        self._lost_after_s = lost_after_s
        self._tracks: dict[int, _Track] = {}
        self._next = 1

    def update(self, faces: Sequence[Face], at: Instant) -> list[tuple[int, Face]]:
        """Match the faces of one frame.

        Args:
            faces: found in the frame.
            at: when the frame was taken; not before that of the last call.

        Returns:
            Number of the track and face, in the order of ``faces``; every number once.
        """
        for number in [n for n, track in self._tracks.items() if at.seconds_since(track.seen) > self._lost_after_s]:
            del self._tracks[number]
        matched = self._match(faces)
        numbered: list[tuple[int, Face]] = []
        for index, face in enumerate(faces):
            number = matched.get(index, self._next)
            if number == self._next:
                self._next += 1
            self._tracks[number] = _Track(face.box, at)
            numbered.append((number, face))
        return numbered

    def _match(self, faces: Sequence[Face]) -> dict[int, int]:
        """Return index of face → number of the track it continues."""
        pairs = [
            (overlap, index, number)
            for index, face in enumerate(faces)
            for number, track in self._tracks.items()
            if (overlap := face.box.overlap(track.box)) >= self._min_overlap
        ]
        pairs.sort(key=lambda pair: (-pair[0], pair[2]))
        matched: dict[int, int] = {}
        for _, index, number in pairs:
            if index not in matched and number not in matched.values():
                matched[index] = number
        return matched


class PrimaryChooser:
    """Chooses the participant's face: the largest and most central one, without jumping between similar ones.

    Args:
        lead: how many times as prominent another face must be to take over from one that is still there.
        hold_s: seconds for which a face that is gone is waited for before another becomes primary.
    """

    def __init__(self, lead: float = 1.5, hold_s: float = 0.5) -> None:
        self._lead = lead
        self._hold_s = hold_s
        self._track: int | None = None
        self._seen: Instant | None = None

    def choose(self, faces: Sequence[tuple[int, Face]], width: int, height: int, at: Instant) -> int | None:
        """Return the track of the participant's face; ``None`` when there is none or it is still waited for.

        Args:
            faces: track and face, as `Tracker.update` returns them.
            width: of the frame, pixels.
            height: of the frame, pixels.
            at: when the frame was taken.
        """
        weights = {track: prominence(face.box, width, height) for track, face in faces}
        present = weights.get(self._track) if self._track is not None else None
        if present is None and self._seen is not None and at.seconds_since(self._seen) <= self._hold_s:
            return None
        best = max(weights, key=weights.__getitem__, default=None)
        if best is not None and (present is None or weights[best] > present * self._lead):
            self._track = best
        elif best is None:
            self._track = None
        self._seen = at if self._track is not None else None
        return self._track


def prominence(box: Box, width: int, height: int) -> float:
    """Return the area of a face in square pixels, halved from the middle of the picture to its corner."""
    x, y = box.center
    distance = math.hypot(x - width / 2, y - height / 2) / math.hypot(width / 2, height / 2)
    return box.area * (1 - 0.5 * min(distance, 1.0))
