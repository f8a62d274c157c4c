"""How far two people agree about the same pictures, beyond what chance gives."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.labelling.labels import ANSWERS, Mark


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two people and the pictures that both have labelled.

    Attributes:
        first, second: their names.
        pictures: how many both have labelled.
        same: how many of these have one label.
        kappa: Cohen's; ``None`` where it is not defined: no picture, or both said the same one
            category of all.
        confused: (what the first said, what the second said, how often), the most frequent first.
    """

    first: str
    second: str
    pictures: int
    same: int
    kappa: float | None
    confused: tuple[tuple[str, str, int], ...]


def pair_agreement(
    names: tuple[str, str], first: Mapping[str, Mark], second: Mapping[str, Mark]
) -> PairAgreement:
    """Compare what two people said of the pictures that both have labelled.

    κ = (pₒ - pₑ) / (1 - pₑ), with pₒ the share of pictures with one label, and pₑ the share that
    two people who answer independently, each as often as they do, would give. Source: Cohen 1960,
    A coefficient of agreement for nominal scales, doi 10.1177/001316446002000104.
    """
    counts = np.zeros((len(ANSWERS), len(ANSWERS)), dtype=np.int64)
    for file in first.keys() & second.keys():
        row, column = (ANSWERS.index(str(marks[file].emotion)) for marks in (first, second))
        counts[row, column] += 1
    total = int(counts.sum())
    same = int(np.trace(counts))
    apart = [
        (ANSWERS[row], ANSWERS[column], int(counts[row, column]))
        for row, column in np.argwhere(counts)
        if row != column
    ]
    ordered = tuple(sorted(apart, key=lambda one: -one[2]))
    return PairAgreement(*names, total, same, _kappa(counts, total, same), ordered)


def _kappa(counts: NDArray[np.int64], total: int, same: int) -> float | None:
    by_chance = int((counts.sum(axis=0) * counts.sum(axis=1)).sum())  # times the total, squared
    if by_chance == total * total:
        return None
    return (same * total - by_chance) / (total * total - by_chance)
