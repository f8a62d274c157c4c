"""Finds the faces of a camera's frames near where they are expected.

That costs a fraction of a search of each whole frame.

A face that is followed is nearly where it was a moment ago. A small piece of the frame around that
place tells where it is now, and shows it in more pixels than the whole frame, scaled down, does.
New faces are found when the whole frame is searched: at intervals, and at once when a face is not
where it should be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from edge_agent.core.clock import Instant
from edge_agent.core.expression import Box, Face, Frame
from edge_agent.vision.faces.detector import OVERLAP
from edge_agent.vision.faces.finder import FaceFinder

Picture = npt.NDArray[np.uint8]

MARGIN = 1.6
"""Side of the piece that is searched, in sides of the face: of 475 faces in portraits and scenes
(YuNet's, their places shifted by 8 % of their side) 92 % are found in it, 79 % in the whole
frame."""
SIZES_APART = 1.2
CELLS = 5
"""Pieces are of sizes this factor apart, and lie on a grid of so many cells in half of their side.
What the detector finds trembles with where exactly a piece begins, and with the box the crop, and
with it what is read. On a grid a frame gives the same piece, and so the same reading, however
often and from where the face was followed to it."""
MOST_NEAR = 2
"""More faces than this are cheaper to find in the whole frame."""
LEAST_OVERLAP = 0.6
"""Least intersection over union of a face with where it was expected. With less it has turned off
its way, or is what can be seen of it behind something; the whole frame shows better which."""


class FaceFollower:
    """Finds the faces of one frame after the other. Belongs to one thread.

    Args:
        finder: finds faces in whole frames.
        near: finds them in pieces of frames, and is quicker; ``None``: every frame is searched as a
            whole.
        max_faces: at most so many of a frame are returned, the surest.
        whole_s: seconds from one search of the whole frame to the next; may be set at any time.

    Attributes:
        searches: how many whole frames were searched.
        pieces: how many pieces of frames.

    Example::

        follower = FaceFollower(whole_frames, pieces)
        faces = follower.find(frame, expected=[])
        faces = follower.find(next_frame, expected=[face.box for face in faces])
    """

    def __init__(
        self, finder: FaceFinder, near: FaceFinder | None, max_faces: int = 8, whole_s: float = 0.5
    ) -> None:
        self._finder = finder
        self._near = near
        self._max_faces = max_faces
        self._searched: Instant | None = None
        self.searches = 0
        self.pieces = 0
        self.whole_s = whole_s

    def find(self, frame: Frame, expected: Sequence[Box]) -> list[Face]:
        """Find the faces of the next frame.

        Args:
            frame: later than the one of the last call.
            expected: where all the faces should be by now; empty when that is not known.

        Returns:
            Faces in pixels of the frame, surest first.
        """
        if self._may_look_near(frame.at, len(expected)):
            faces = self._look_near(frame.image, expected)
            if faces is not None:
                return faces
        self._searched = frame.at
        self.searches += 1
        return self._finder.detect(frame.image)[: self._max_faces]

    def _may_look_near(self, at: Instant, faces: int) -> bool:
        if self._near is None or self._searched is None or not 1 <= faces <= MOST_NEAR:
            return False
        return at.seconds_since(self._searched) < self.whole_s

    def _look_near(self, image: Picture, expected: Sequence[Box]) -> list[Face] | None:
        """Return the faces near where they are expected.

        ``None`` when one is missing or found twice.
        """
        faces: list[Face] = []
        for box in expected:
            face = self._face_near(image, box)
            if face is None or any(face.box.overlap(other.box) > OVERLAP for other in faces):
                return None
            faces.append(face)
        return sorted(faces, key=lambda face: -face.score)

    def _face_near(self, image: Picture, box: Box) -> Face | None:
        assert self._near is not None
        (x, y), reach = _on_grid(box.center, MARGIN * max(box.width, box.height) / 2)
        left = max(round(x - reach), 0)
        top = max(round(y - reach), 0)
        piece = image[top : max(round(y + reach), 0), left : max(round(x + reach), 0)]
        if piece.size == 0:  # it has left the frame
            return None
        self.pieces += 1
        faces = [_shifted(face, left, top) for face in self._near.detect(piece)]
        best = max(faces, key=lambda face: face.box.overlap(box), default=None)
        if best is not None and best.box.overlap(box) >= LEAST_OVERLAP:
            return best
        return None


def _on_grid(center: tuple[float, float], reach: float) -> tuple[tuple[float, float], float]:
    """Return middle and half of the side of the piece of the grid that is nearest, in pixels."""
    reach = SIZES_APART ** round(math.log(max(reach, 1.0), SIZES_APART))
    cell = reach / CELLS
    x, y = center
    return (round(x / cell) * cell, round(y / cell) * cell), reach


def _shifted(face: Face, x: int, y: int) -> Face:
    """Return a face of a piece in pixels of the frame that the piece was cut from."""
    box = Box(face.box.x + x, face.box.y + y, face.box.width, face.box.height)
    return replace(face, box=box, landmarks=tuple((px + x, py + y) for px, py in face.landmarks))
