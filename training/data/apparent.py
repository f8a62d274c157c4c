"""Apparent sex and skin of people in photographs, coded by eye: `apparent_*.csv` beside this file.

How a person looks in a picture is not what the person is: nobody was asked. Each picture is coded
twice, the second time in another order::

    file,sex_1,sex_2,skin_1,skin_2
    00000.jpg,man,man,light,light

``sex`` is *woman*, *man* or *unclear* (a child, or the coder cannot say); ``skin`` is *light*,
*other*, *dark* or *unclear*. A code counts where both times agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data.datasets import table_choice, table_rows
from training.data.readings import cohens_kappa
from training.errors import DataError

UNCLEAR = "unclear"
CODES = {"sex": ("woman", "man", UNCLEAR), "skin": ("light", "other", "dark", UNCLEAR)}
"""What is coded → its codes."""
TIMES = (1, 2)


@dataclass(frozen=True, slots=True)
class Coding:
    """The codes of photographs.

    Attributes:
        agreed: *sex* or *skin* → file → the code that both codings give.
        kappa: *sex* or *skin* → Cohen's kappa of the two codings; ``None`` where it is not defined.
        coded: number of photographs.
    """

    agreed: Mapping[str, Mapping[str, str]]
    kappa: Mapping[str, float | None]
    coded: int

    def find_files(self, subject: str, *codes: str) -> frozenset[str]:
        """Return the photographs of which both codings give one of these codes."""
        return frozenset(file for file, code in self.agreed[subject].items() if code in codes)


def read_coding(path: Path) -> Coding:
    """Read the table of codes.

    Raises:
        DataError: naming file, row, column and value of the first fault.
    """
    columns = {subject: [f"{subject}_{time}" for time in TIMES] for subject in CODES}
    agreed: dict[str, dict[str, str]] = {subject: {} for subject in CODES}
    counts = {
        subject: np.zeros((len(codes), len(codes)), dtype=np.int64)
        for subject, codes in CODES.items()
    }
    files: set[str] = set()
    for row, cells in table_rows(
        path, ("file", *(name for both in columns.values() for name in both))
    ):
        file = cells["file"]
        if file in files:
            raise DataError(f"{path}: row {row}, column file: {file!r} has a row further up")
        files.add(file)
        for subject, codes in CODES.items():
            first, second = (
                table_choice(path, row, column, cells[column], codes) for column in columns[subject]
            )
            counts[subject][first, second] += 1
            if first == second:
                agreed[subject][file] = codes[first]
    kappa = {subject: cohens_kappa(table) for subject, table in counts.items()}
    return Coding(agreed, kappa, len(files))
