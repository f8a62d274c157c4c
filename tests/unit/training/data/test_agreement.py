"""How far labels and votes agree, counted by hand."""

import numpy as np
import pytest

from training.data.datasets import FER2013, VOTE_COLUMNS, Faces
from training.data.fer import agreement


def test_labels_votes_and_pairs_of_votes_are_counted() -> None:
    votes = np.zeros((3, len(VOTE_COLUMNS)), dtype=np.uint8)
    votes[0, VOTE_COLUMNS.index("happiness")] = 10  # all, and as labelled
    votes[1, VOTE_COLUMNS.index("neutral")] = 8  # a majority for another category
    votes[1, VOTE_COLUMNS.index("sadness")] = 2
    votes[2, VOTE_COLUMNS.index("fear")] = 5  # no majority
    votes[2, VOTE_COLUMNS.index("surprise")] = 5
    labels = [FER2013.index(name) for name in ("happy", "sad", "fear")]
    pictures = np.zeros((3, 48, 48), dtype=np.uint8)

    found = agreement(Faces(pictures, np.array(labels), votes, np.zeros(3, dtype=np.int8)))

    assert (found.pictures, found.clear) == (3, 2)
    assert found.label_and_majority == pytest.approx(1 / 2)
    assert found.label_and_vote == pytest.approx((10 + 2 + 5) / 30)
    # pairs of 90: all; 8 · 7 + 2 · 1; 5 · 4 twice
    assert found.two_votes == pytest.approx((90 + 58 + 40) / 270)
