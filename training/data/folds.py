"""K folds of the learnt split: each picture is evaluated once, by a network that did not learn it.

Example::

    learnt, others = Fold(2, 5).divide(faces)
    others["fold 2 of 5"]   # a fifth of Training
"""

import zlib
from dataclasses import dataclass, replace

import numpy as np

from training.data.datasets import USAGES, Faces
from training.errors import DataError

_LEARNT = "Training"
_SALT = b"fold"
"""Before a picture's bytes, so that folds and the held-back share are drawn apart."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One of several folds.

    Attributes:
        number: which, 1 … ``count``.
        count: how many there are.
    """

    number: int
    count: int

    @property
    def name(self) -> str:
        """As a card calls it."""
        return f"fold {self.number} of {self.count}"

    @property
    def left_out(self) -> str:
        """What a card says of what was learnt."""
        return f"without {self.name}"

    def divide(self, faces: Faces) -> tuple[Faces, dict[str, Faces]]:
        """What is learnt, and by its name what is evaluated: both of Training alone.

        A picture's own checksum decides its fold, so that copies lie in one fold.

        Raises:
            DataError: when the fold holds no picture, or all of them.
        """
        training = faces.of_usage(_LEARNT)
        checksums = [zlib.crc32(_SALT + picture.tobytes()) for picture in training.pictures]
        inside = np.array([value % self.count + 1 == self.number for value in checksums])
        if not inside.any() or inside.all():
            raise DataError(
                f"{self.name}: holds {int(inside.sum())} of {len(training)} pictures; choose fewer "
                "folds, or give more pictures"
            )
        fold = training.take(inside)
        # not the split that biases and temperature are fitted on
        evaluated = replace(
            fold, usage=np.full(len(fold), USAGES.index("PrivateTest"), dtype=np.int8)
        )
        return training.take(~inside), {self.name: evaluated}
