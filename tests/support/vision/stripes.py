"""A real, predictable TFLite model of 48 × 48 pixels: the bright stripe is the category."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.support.vision.tiny_model import expression_card, tiny_tflite, write_model
from training.data.datasets import (
    EXPRESSIONS,
    FER2013_AS_EXPRESSION,
    NO_LABEL,
    USAGES,
    VOTE_COLUMNS,
    Faces,
)

EDGE = 48
STRIPE = EDGE // len(EXPRESSIONS)


def stripe_model(folder: Path, **changes: Any) -> Path:
    """Write the model and its card; return the TFLite file.

    Its logit k is eight times the brightness of stripe k.
    """
    weights = np.zeros((len(EXPRESSIONS), EDGE, EDGE), dtype=np.float32)
    for k in range(len(EXPRESSIONS)):
        weights[k, k * STRIPE : (k + 1) * STRIPE] = 8 / (STRIPE * EDGE)
    content = tiny_tflite(weights=weights.reshape(len(EXPRESSIONS), -1), shape=(1, EDGE, EDGE, 1))
    card = expression_card(content)
    card["input"] |= {"width": EDGE, "height": EDGE}
    folder.mkdir(parents=True, exist_ok=True)
    return write_model(folder, content, card | changes).with_suffix(".tflite")


def stripe_faces(
    n: int, *, usage: str = "PublicTest", wrong_every: int = 5, voted: bool = True, seed: int = 1
) -> Faces:
    """Pictures with a bright stripe.

    The label is another category in every ``wrong_every``-th, 0: never.

    Every seventh category in turn, contempt excepted, since FER2013 has no class for it.
    """
    shown = np.arange(n) % (len(EXPRESSIONS) - 1)
    pictures = np.random.default_rng(seed).integers(0, 40, (n, EDGE, EDGE), dtype=np.uint8)
    for picture, k in zip(pictures, shown, strict=True):
        picture[k * STRIPE : (k + 1) * STRIPE] += np.uint8(60 + 20 * (k % 3))
    labels = shown.copy()
    if wrong_every:
        labels[::wrong_every] = (labels[::wrong_every] + 1) % (len(EXPRESSIONS) - 1)
    votes = np.zeros((n, len(VOTE_COLUMNS)), dtype=np.uint8)
    if voted:
        votes[np.arange(n), labels] = 10
    names = [FER2013_AS_EXPRESSION.index(EXPRESSIONS[label]) for label in labels]
    return Faces(
        pictures,
        np.array(names, dtype=np.int64),
        votes,
        np.full(n, USAGES.index(usage), dtype=np.int8),
    )


def joined(*parts: Faces) -> Faces:
    """Several sets of faces as one table."""
    return Faces(
        np.concatenate([part.pictures for part in parts]),
        np.concatenate([part.fer2013 for part in parts]),
        np.concatenate([part.votes for part in parts]),
        np.concatenate([part.usage for part in parts]),
    )


def unlabelled(faces: Faces) -> Faces:
    """The same pictures, of which nobody says anything."""
    return Faces(
        faces.pictures, np.full(len(faces), NO_LABEL), np.zeros_like(faces.votes), faces.usage
    )
