"""A few made faces with labels, and a recipe so small that a run takes a moment."""

from pathlib import Path

import numpy as np

from training.data.datasets import FER2013, NO_LABEL, VOTE_COLUMNS, Faces

RECIPE = Path(__file__).resolve().parents[3] / "training" / "recipes" / "steps" / "fast-m.toml"


def faces(n: int, *, voted: bool = True, labelled: bool = True) -> Faces:
    """Noise with the classes 0…6 in turn; the votes name the category of the same index."""
    labels = np.arange(n) % len(FER2013)
    votes = np.zeros((n, len(VOTE_COLUMNS)), dtype=np.uint8)
    if voted:
        votes[np.arange(n), labels] = 10
    return Faces(
        pictures=np.random.default_rng(1).integers(0, 256, (n, 48, 48), dtype=np.uint8),
        fer2013=labels if labelled else np.full(n, NO_LABEL, dtype=np.int64),
        votes=votes,
        usage=np.zeros(n, dtype=np.int8),
    )


def tiny_recipe() -> str:
    """The recipe of a network of one block, learnt for an epoch, as TOML."""
    head = RECIPE.read_text(encoding="utf-8").split("[network]")[0]
    return head + (
        '[network]\narchitecture = "small-resnet"\n'
        "widths = [4, 8]\nblocks = [1]\nstrides = [2]\ndropout = 0.0\n"
        "[schedule]\nepochs = 1\nbatch = 8\npeak_lr = 0.01\nbfloat16 = false\n"
    )
