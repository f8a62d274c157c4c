"""Detection of speech, by lips and jaw that move to and fro.

Open mouths and bared teeth of somebody who speaks look like surprise and smiles for a moment, so
that the label of a speaking face flickers. The smoother asks for more while somebody speaks
(`edge_agent.vision.smoother`). Lips that move one way only, as to a smile, are no speech.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edge_agent.core.clock import Instant
from edge_agent.core.movements import MOVEMENTS, FaceMovements
from edge_agent.vision.movements import READ_S

WINDOW_S = 2.4
"""Time over which lips and jaw are compared: some syllables, and the pause after them."""
HOLDS_S = 1.2
"""How long somebody is taken to speak after that: a word between two pauses."""
LEAST_STEP = 0.1
"""Change from one reading to the next that counts; less is noise of the readings."""
LEAST_TO_AND_FRO = 2.0
"""Way to and fro from which somebody speaks: what the strengths changed in all, less what they
changed from the first reading to the last, summed over lips and jaw.

Of made-up speech of half A (``python -m benchmarks speech --half A``) 59 % of the time is noticed,
with ``HOLDS_S``; of still photographs that drift under noise and fade into each other (``python -m
benchmarks by_need --half a``) 0.5 % is taken for speech, and a chain that reads by need takes
another 1 % of the time for it than one that reads every frame. In 1.6 s, from 1.1 on, with lips
that stretch, these were 62, 4.6 and 6 %.
"""
_LIPS = tuple(
    MOVEMENTS.index(name)
    for name in ("jaw_open", "lower_lip_down", "upper_lip_up", "pucker", "lip_press", "smile")
)
Values = npt.NDArray[np.float64]


@dataclass(slots=True)
class _Watched:
    """The newest readings of a face, and when it last spoke."""

    readings: deque[tuple[Instant, Values]] = field(default_factory=deque)
    spoke: Instant | None = None


class SpeechWatch:
    """Watches lips and jaw of followed faces. Belongs to one thread.

    Example::

        watch = SpeechWatch()
        if watch.speaks(track, frame.at, movements):
            ...
    """

    def __init__(self) -> None:
        self._watched: dict[int, _Watched] = {}

    def speaks(self, track: int, at: Instant, movements: FaceMovements) -> bool:
        """Return whether a face speaks, or did until a moment ago.

        Args:
            track: number of the face.
            at: when the frame was taken.
            movements: the newest reading, which may be that of the frame before.
        """
        self._forget(at)
        face = self._watched.setdefault(track, _Watched())
        # More often, the noise of the readings would add up to a movement.
        if not face.readings or at.seconds_since(face.readings[-1][0]) >= READ_S:
            lips = np.array([movements.values[place] for place in _LIPS])
            face.readings.append((at, lips))
            if _to_and_fro([lips for _, lips in face.readings]) >= LEAST_TO_AND_FRO:
                face.spoke = at
        return self.spoke(track, at)

    def spoke(self, track: int, at: Instant) -> bool:
        """Return whether a face speaks, by the readings until now."""
        face = self._watched.get(track)
        if face is None or face.spoke is None:
            return False
        return at.seconds_since(face.spoke) <= HOLDS_S

    def _forget(self, at: Instant) -> None:
        """Forget readings that are too old, and faces without any."""
        for face in self._watched.values():
            while face.readings and at.seconds_since(face.readings[0][0]) > WINDOW_S:
                face.readings.popleft()
        self._watched = {track: face for track, face in self._watched.items() if face.readings}


def _to_and_fro(lips: list[Values]) -> float:
    steps = np.diff(lips, axis=0)
    steps[np.abs(steps) < LEAST_STEP] = 0.0
    return float((np.abs(steps).sum(axis=0) - np.abs(steps.sum(axis=0))).sum())
