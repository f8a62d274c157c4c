"""How far the eyes of the followed face are closed, in each frame.

A face's expression is read about five times a second; a blink lasts a tenth of a second. So between
two readings of the expression the eyes are read where the face was found last: the network of the
movements alone, a quarter of a millisecond (x86-64 with VNNI), without a search for the face.
"""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.core.clock import Instant
from edge_agent.core.expression import Frame, Observation, Recognition
from edge_agent.core.movements import MOVEMENTS
from edge_agent.vision.align import crop_matrix, cut
from edge_agent.vision.movements import MovementsReader
from edge_agent.vision.quality import CROP_SIDE

FOLLOWED_S = 0.4
"""Longest time since the face was found: after that it may be elsewhere."""
_CLOSED = MOVEMENTS.index("eye_blink")
SeeEyes = Callable[[Instant, int | None, float | None], None]
"""Receives the time of a frame, the track of the participant's face, and how far its eyes are
closed, 0…1; both ``None`` where they cannot be seen."""


class EyeWatch:
    """Reads the eyes of the participant's face in each frame. Belongs to one thread.

    Args:
        reader: the network of the movements.
        see: receives the closure in each frame.

    Attributes:
        card: what the model is.

    Example::

        watch = EyeWatch(open_movements(threads=1), blinks.add_frame)
        watch.add(frame, recognizer.recognize(frame) if recognizer.is_due(frame) else None)
    """

    def __init__(self, reader: MovementsReader, see: SeeEyes) -> None:
        self.card = reader.card
        self._reader = reader
        self._see = see
        self._primary: Observation | None = None
        self._found: Instant | None = None

    def add(self, frame: Frame, seen: Recognition | None) -> None:
        """Read the eyes in a frame.

        Args:
            frame: later than the one before.
            seen: its faces; ``None`` if they were not looked for.
        """
        if seen is not None:
            self._primary, self._found = seen.primary, frame.at
        face = self._primary
        is_old = self._found is None or frame.at.seconds_since(self._found) > FOLLOWED_S
        if face is None or is_old or face.reject_reason is not None:
            self._see(frame.at, None, None)
            return
        crop = cut(frame.image, crop_matrix(face.face), CROP_SIDE)
        self._see(frame.at, face.track, self._reader.read(crop).values[_CLOSED])
