"""How long one inference takes, as the agent does it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_agent.core import clock
from edge_agent.vision.models.model import TFLiteModel
from training.measuring.evaluate import enlarged

RUNS = 300
_WARM_UP = 30
_OUTPUTS = ("expression",)


def median_milliseconds(models: Sequence[TFLiteModel], pictures: NDArray[np.uint8]) -> list[float]:
    """Median milliseconds of RUNS inferences of each model, from pixels to logits.

    The models take turns, so that a busy machine slows all alike; a warm-up does not count.

    Args:
        models: expression models.
        pictures: uint8, N × 48 × 48; brought to the size that a model takes beforehand.
    """
    shown = [enlarged(pictures[: RUNS + _WARM_UP], model.card.input.width) for model in models]
    durations: list[list[float]] = [[] for _ in models]
    for run in range(-_WARM_UP, RUNS):
        for model, own, kept in zip(models, shown, durations, strict=True):
            picture = own[run % len(own)]
            start = clock.boot_seconds()
            model.run(picture, _OUTPUTS)
            if run >= 0:
                kept.append(clock.boot_seconds() - start)
    return [1000 * float(np.median(kept)) for kept in durations]
