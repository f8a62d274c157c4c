"""Photographs that three people read: what they agree on, and which half judges.

A published label says what one person, who is not known, called a picture. So every photograph was
read twice more by people who did not see the label. `photos_readings.csv` has the three of them,
with a category of FER+ or *unreadable* in each column; further columns are not read::

    file,published,reading_1,reading_2
    00000.jpg,anger,anger,neutral

`photos_labelled_source.csv` says where each comes from; `film` is empty for a picture of the web::

    file,film
    00000.jpg,

The true category is the one that at least two of the three give. A photograph in which they see
disgust is not judged: hardly any is left, and most that were published as such are film frames that
nobody else would call so.

Half A is what anything is chosen or fitted on; half B judges. Pictures of the web are divided one
by one, frames by their film, so that no film lies in both: a name whose SHA-256 begins below 0x80
is of half A.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.datasets import EXPRESSIONS, table_choice, table_rows
from training.errors import DataError

READERS = ("published", "reading_1", "reading_2")
UNREADABLE = "unreadable"
_SAID = (*EXPRESSIONS, UNREADABLE, "")
_NOT_JUDGED = {"disgust", UNREADABLE, ""}


@dataclass(frozen=True, slots=True)
class AgreedPhotographs:
    """The photographs on which at least two of three readers agree.

    Attributes:
        labels: file → index into ``EXPRESSIONS``, in the order of the table.
        unanimous: files on which all three agree.
        half_a: files of half A.
        films: files that are frames of a film.
    """

    labels: Mapping[str, int]
    unanimous: frozenset[str]
    half_a: frozenset[str]
    films: frozenset[str]

    def of_half(self, half: str) -> AgreedPhotographs:
        """Return the photographs of one half, ``A`` or ``B``; of any other name, all."""
        if half not in {"A", "B"}:
            return self
        return self._keep_files(
            {file for file in self.labels if (file in self.half_a) == (half == "A")}
        )

    def of_web(self) -> AgreedPhotographs:
        """Return the photographs without the frames of films."""
        return self._keep_files(set(self.labels) - self.films)

    def _keep_files(self, kept: set[str]) -> AgreedPhotographs:
        labels = {file: label for file, label in self.labels.items() if file in kept}
        return AgreedPhotographs(
            labels, self.unanimous & kept, self.half_a & kept, self.films & kept
        )


def read_agreement(readings: Path, sources: Path) -> AgreedPhotographs:
    """Read the table of what readers saw and the table of where the photographs come from.

    Raises:
        DataError: naming file, row, column and value of the first fault.
    """
    film_of = {cells["file"]: cells["film"] for _, cells in table_rows(sources, ("file", "film"))}
    labels: dict[str, int] = {}
    unanimous = set()
    for row, cells in table_rows(readings, ("file", *READERS)):
        file = cells["file"]
        if file not in film_of:
            raise DataError(
                f"{readings}: row {row}, column file: {file!r} is not in {sources}; add a row there"
            )
        categories = [
            _SAID[table_choice(readings, row, column, cells[column], _SAID)] for column in READERS
        ]
        category, readers = Counter(categories).most_common(1)[0]
        if readers < 2 or category in _NOT_JUDGED:
            continue
        labels[file] = EXPRESSIONS.index(category)
        if readers == len(READERS):
            unanimous.add(file)
    if not labels:
        raise DataError(f"{readings}: no photograph on which two readers agree")
    return AgreedPhotographs(
        labels,
        frozenset(unanimous),
        frozenset(file for file in labels if _is_of_half_a(film_of[file] or file)),
        frozenset(file for file in labels if film_of[file]),
    )


def cohens_kappa(counts: NDArray[np.int64]) -> float | None:
    """Return κ of a square table: row the first one's answer, column the second one's.

    κ = (pₒ - pₑ) / (1 - pₑ), with pₒ the share of pictures with one label, and pₑ the share that
    two people who answer independently, each as often as they do, would give. Source: Cohen 1960,
    A coefficient of agreement for nominal scales, doi 10.1177/001316446002000104. ``None`` where
    it is not defined: nothing was labelled, or both gave one label to all.
    """
    total, same = int(counts.sum()), int(np.trace(counts))
    by_chance = int((counts.sum(axis=0) * counts.sum(axis=1)).sum())  # times the total, squared
    # In whole numbers, so that complete agreement by chance is noticed exactly.
    if by_chance == total * total:
        return None
    return (same * total - by_chance) / (total * total - by_chance)


def _is_of_half_a(name: str) -> bool:
    return hashlib.sha256(name.encode()).digest()[0] < 0x80
