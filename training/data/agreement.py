"""Agreement of people on the labels of FER2013.

It is a bound on what a classifier can get right of the labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.data.datasets import Faces
from training.data.lessons import majority, own_labels


@dataclass(frozen=True, slots=True)
class AgreementShares:
    """Shares, 0…1, over the pictures of Training.

    Attributes:
        pictures: how many there are.
        clear: how many have a FER+ majority among the eight categories.
        label_and_majority: of these, where the FER2013 label is that majority.
        label_and_vote: mean share of a picture's votes that name its FER2013 label.
        two_votes: chance that two of a picture's votes are the same.
    """

    pictures: int
    clear: int
    label_and_majority: float
    label_and_vote: float
    two_votes: float

    def sentence(self) -> str:
        """Return all figures as a sentence for people."""
        return (
            f"{self.pictures:,} pictures, {self.clear:,} with a majority of FER+ votes: the "
            f"FER2013 label is that majority in {self.label_and_majority:.1%}, one vote names "
            f"the FER2013 label in {self.label_and_vote:.1%}, two votes are the same in "
            f"{self.two_votes:.1%}"
        )


def agreement(faces: Faces) -> AgreementShares:
    """Compare the FER2013 labels with the FER+ votes, and these with one another."""
    clear = majority(faces.votes)
    known = clear >= 0
    own = own_labels(faces)
    votes = faces.votes.astype(np.int64)
    count = votes.sum(axis=1)
    named = votes[np.arange(len(votes)), own][count > 0] / count[count > 0]
    pairs = count * (count - 1)
    same = (votes * (votes - 1)).sum(axis=1)[pairs > 0] / pairs[pairs > 0]
    return AgreementShares(
        pictures=len(faces),
        clear=int(known.sum()),
        label_and_majority=float((own[known] == clear[known]).mean()),
        label_and_vote=float(named.mean()),
        two_votes=float(same.mean()),
    )
