"""FER2013 without copies and doubtful labels.

The rules, in this order, for the pictures of all splits:

1. *Blank*: a picture of one single grey is left out.
2. *No majority*: a picture whose FER+ votes have no majority among the eight categories
   (:func:`training.data.lessons.majority`) is left out; so is what most saw no face in.
3. *Another label*: a picture whose majority is not its FER2013 label is left out.
4. *Copy*: of pictures that are the same byte for byte one is left: the one of PublicTest or
   PrivateTest, if there is one, so that nothing is learnt that is evaluated, else the first.

What is left is easier than FER2013: people agree on it. A figure on it says nothing about FER2013.

``python -m training.data.fer --data fer2013.csv --votes fer2013new.csv`` prints how many each rule
leaves, and how far people agree (``agreement.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from edge_agent.core.command_line import Command
from training.data.agreement import agreement
from training.data.datasets import NO_LABEL, USAGES, Faces, load_faces
from training.data.lessons import majority, own_labels
from training.errors import DataError


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The faces that are left, and how many pictures of each split each rule removed.

    Attributes:
        faces: the faces that are left, in their order.
        counts: split → rule → pictures; ``given`` and ``kept`` are the first and last.
    """

    faces: Faces
    counts: dict[str, dict[str, int]]

    def as_text(self) -> str:
        """Return a line for each split."""
        return "\n".join(
            f"{usage}: " + ", ".join(f"{name} {count:,}" for name, count in rules.items())
            for usage, rules in self.counts.items()
        )


def clean(faces: Faces) -> Cleaned:
    """Remove the faces that the rules of this module exclude.

    Raises:
        DataError: when there are no votes, or nothing is left.
    """
    if not faces.votes.any():
        raise DataError("a cleaned set needs people's votes; give --votes fer2013new.csv")
    flat = faces.pictures.reshape(len(faces), -1)
    clear = majority(faces.votes)
    own = own_labels(faces)
    rules = {
        "blank": flat.max(axis=1) == flat.min(axis=1),
        "no majority": clear == NO_LABEL,
        "another label": clear != own,
    }
    left = np.ones(len(faces), dtype=bool)
    taken: dict[str, NDArray[np.bool_]] = {}
    for name, leaves_out in rules.items():
        taken[name] = left & leaves_out
        left &= ~leaves_out
    taken["copies"] = left & _copies(flat, faces.usage, left)
    left &= ~taken["copies"]
    if not left.any():
        raise DataError("no picture is left: in none is the majority of votes its FER2013 label")
    counts = {}
    for number, usage in enumerate(USAGES):
        of_split = faces.usage == number
        if of_split.any():
            gone = {name: int((of_split & one).sum()) for name, one in taken.items()}
            kept = int((of_split & left).sum())
            counts[usage] = {"given": int(of_split.sum()), **gone, "kept": kept}
    return Cleaned(faces.take(left), counts)


def _copies(
    flat: NDArray[np.uint8], usage: NDArray[np.int8], left: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Tell which pictures are copies of one that is kept; only those still left count."""
    training = USAGES.index("Training")
    # the first of equal pictures is kept, so those that are evaluated stand before the others
    order = np.concatenate(
        [np.flatnonzero(left & (usage != training)), np.flatnonzero(left & (usage == training))]
    )
    _, first = np.unique(flat[order], axis=0, return_index=True)
    copies = left.copy()
    copies[order[first]] = False
    return copies


@click.command(cls=Command)
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--votes", type=click.Path(path_type=Path), required=True)
@click.option("--cache", type=click.Path(path_type=Path), default=Path("runs/cache"))
def main(data: Path, votes: Path, cache: Path) -> None:
    """Say how many pictures each rule leaves, and how far people agree on those of Training."""
    faces = load_faces(data, votes, cache=cache)
    click.echo(clean(faces).as_text())
    click.echo(agreement(faces.of_usage("Training")).sentence())


if __name__ == "__main__":
    main()
