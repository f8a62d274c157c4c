"""K folds of the learnt split: each picture is evaluated once, by a network that did not learn it.

Example::

    learnt, others = divide(faces, Fold(2, 5))
    others["fold 2 of 5"]   # a fifth of Training
"""

import zlib
from dataclasses import replace

import numpy as np

from training.data.datasets import USAGES, Faces
from training.errors import DataError
from training.learning.kinds import Fold

_LEARNT = "Training"
_SALT = b"fold"
"""Before a picture's bytes, so that folds and the held-back share are drawn apart."""


def divide(faces: Faces, fold: Fold) -> tuple[Faces, dict[str, Faces]]:
    """What is learnt, and by its name what is evaluated: both of Training alone.

    A picture's own checksum decides its fold, so that copies lie in one fold.

    Raises:
        DataError: when the fold holds no picture, or all of them.
    """
    training = faces.of_usage(_LEARNT)
    checksums = [zlib.crc32(_SALT + picture.tobytes()) for picture in training.pictures]
    inside = np.array([value % fold.count + 1 == fold.number for value in checksums])
    if not inside.any() or inside.all():
        raise DataError(
            f"{fold.name}: holds {int(inside.sum())} of {len(training)} pictures; choose fewer "
            "folds, or give more pictures"
        )
    chosen = training.take(inside)
    # not the split that biases and temperature are fitted on
    usage = np.full(len(chosen), USAGES.index("PrivateTest"), dtype=np.int8)
    return training.take(~inside), {fold.name: replace(chosen, usage=usage)}
