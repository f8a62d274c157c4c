"""Selects the participant's face among the faces of a frame."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from edge_agent.core.clock import Instant
from edge_agent.core.expression import Box, Face
from edge_agent.vision.faces.memory import FaceMemory


class PrimaryFaceSelector:
    """Selects the participant's face: the largest and most central one.

    It does not jump between similar faces.

    Args:
        lead: factor by which another face must be more prominent to replace one that is still
            there.
        takeover_s: seconds for which it must lead without a break: a person who walks past the
            camera is not the participant.
        hold_s: seconds for which a missing face is waited for before another one is selected; best
            the tracker's memory, within which the face keeps its number. Longer at low frame rates.

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

        ``None`` when there is none or it is still waited for.

        Args:
            faces: track and face, as `Tracker.update` returns them.
            width: of the frame, pixels.
            height: of the frame, pixels.
            at: when the frame was taken.
        """
        weights = {track: prominence(face.box, width, height) for track, face in faces}
        best = max(weights, key=weights.__getitem__, default=None)
        present = weights.get(self._track) if self._track is not None else None
        memory = self._memory.at(at)
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
        """Wait for nobody any longer; the next face may be the participant's at once."""
        self._track = None
        self._seen = None
        self._rival = None

    def _taken_over(self, leading: Collection[int], best: int | None, at: Instant) -> int | None:
        """Follow which other face leads, and since when; return it when it takes over.

        As long as it does, it is the rival, whether or not another is now a little larger.
        """
        if self._rival is not None and self._rival[0] not in leading:
            self._rival = None
        if self._rival is None and best is not None and best in leading:
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
