"""Detection of speech, by lips and jaw that move to and fro.

Open mouths and bared teeth of somebody who speaks look like surprise and smiles for a moment, so
that the label of a speaking face flickers. The smoother asks for more while somebody speaks
(`edge_agent.vision.smoother`). Lips that move one way only, as to a smile, are no speech.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from edge_agent.core.clock import Instant
from edge_agent.core.movements import MOVEMENTS, FaceMovements
from edge_agent.vision.movements import READ_S

WINDOW_S = 1.6
"""Time over which lips and jaw are compared: some syllables, and the pause after them."""
LEAST_TO_AND_FRO = 0.5
"""Way to and fro from which somebody speaks: what the strengths changed in all, less what they
changed from the first reading to the last, summed over lips and jaw.

Made-up speech of photographs of half A (``python -m benchmarks speech --half A``): at rest 0.03
(median; nineteen of twenty below 0.44), speaking 2.2 (nineteen of twenty above 0.67).
"""
_LIPS = tuple(
    MOVEMENTS.index(name)
    for name in (
        "jaw_open",
        "lower_lip_down",
        "upper_lip_up",
        "pucker",
        "lip_stretch",
        "lip_press",
        "smile",
    )
)
Values = npt.NDArray[np.float64]


class SpeechWatch:
    """Watches lips and jaw of followed faces. Belongs to one thread.

    Example::

        watch = SpeechWatch()
        if watch.speaks(track, frame.at, movements):
            ...
    """

    def __init__(self) -> None:
        self._readings: dict[int, deque[tuple[Instant, Values]]] = {}

    def speaks(self, track: int, at: Instant, movements: FaceMovements) -> bool:
        """Return whether a face speaks.

        Args:
            track: number of the face.
            at: when the frame was taken.
            movements: the newest reading, which may be that of the frame before.
        """
        self._forget(at)
        readings = self._readings.setdefault(track, deque())
        # More often, the noise of the readings would add up to a movement.
        if not readings or at.seconds_since(readings[-1][0]) >= READ_S:
            readings.append((at, np.array([movements.values[place] for place in _LIPS])))
        return _to_and_fro([lips for _, lips in readings]) >= LEAST_TO_AND_FRO

    def _forget(self, at: Instant) -> None:
        """Forget readings that are too old, and faces without any."""
        for readings in self._readings.values():
            while readings and at.seconds_since(readings[0][0]) > WINDOW_S:
                readings.popleft()
        self._readings = {track: those for track, those in self._readings.items() if those}


def _to_and_fro(lips: list[Values]) -> float:
    steps = np.diff(lips, axis=0)
    return float((np.abs(steps).sum(axis=0) - np.abs(steps.sum(axis=0))).sum())
