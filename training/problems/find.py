"""What is wrong with labelled faces, picture by picture, before anything is learnt from them.

Example::

    findings = find_problems(Path("fer2013.csv"), Path("fer2013new.csv"), cache=Path("runs/cache"))
    findings.counts["Training"]["near-copy"]   # how many, and how many of them are left out
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.datasets import (
    EXPRESSIONS,
    FER2013_AS_EXPRESSION,
    NO_LABEL,
    USAGES,
    Faces,
    load_faces,
    read_folder,
)
from training.data.left_out import COLUMNS, NO, YES, checksum, names_of_files, names_of_rows
from training.data.lessons import majority
from training.problems.copies import copies_of, hashes_of, near_pairs
from training.problems.faceless import NOWHERE, blank_pictures, faceless
from training.problems.labels import answers_of, doubted_labels

BLANK = "blank"
NO_FACE = "no-face"
COPY = "near-copy"
UNLIKE = "near-copy-labelled-otherwise"
DOUBTED = "label-doubted"
KINDS = (BLANK, NO_FACE, COPY, UNLIKE, DOUBTED)
"""What may be wrong with a picture."""
_TRAINING = USAGES.index("Training")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one picture.

    Attributes:
        index: of the picture.
        kind: one of ``KINDS``.
        what: a sentence about it.
        leave_out: whether a training should do without the picture.
        other: index of the picture that it looks like, or None.
    """

    index: int
    kind: str
    what: str
    leave_out: bool
    other: int | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """All problems of some data.

    Attributes:
        data: table or folder.
        faces: its pictures.
        names: what each picture is called: its row, or its file.
        problems: in the order of ``KINDS``, then of the pictures; a picture may have several.
        unreadable: files that are no pictures, and are always left out.
    """

    data: Path
    faces: Faces
    names: tuple[str, ...]
    problems: tuple[Problem, ...]
    unreadable: tuple[str, ...]

    @property
    def counts(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Split → kind → how many pictures it has, and how many of these are to be left out."""
        counts: dict[str, dict[str, tuple[int, int]]] = {}
        for number, usage in enumerate(USAGES):
            if not (self.faces.usage == number).any():
                continue
            of_split = [one for one in self.problems if self.faces.usage[one.index] == number]
            counts[usage] = {}
            for kind in KINDS:
                some = [one for one in of_split if one.kind == kind]
                counts[usage][kind] = (len(some), sum(one.leave_out for one in some))
        return counts

    @property
    def left_out(self) -> set[int]:
        """The pictures that are to be left out."""
        return {one.index for one in self.problems if one.leave_out}

    def as_csv(self) -> bytes:
        """A row for each problem, as :mod:`training.data.left_out` reads it."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        for one in self.problems:
            writer.writerow(
                (
                    self.names[one.index],
                    USAGES[self.faces.usage[one.index]],
                    one.kind,
                    "" if one.other is None else self.names[one.other],
                    one.what,
                    YES if one.leave_out else NO,
                    checksum(self.faces.pictures[one.index]),
                )
            )
        return text.getvalue().encode()

    def as_text(self) -> str:
        """A line for each kind of each split, and what would be left out."""
        lines = [
            f"{usage}: {kind} {number:,}, of which {out:,} to leave out"
            for usage, kinds in self.counts.items()
            for kind, (number, out) in kinds.items()
        ]
        if self.unreadable:
            lines.append(f"cannot be read, always left out: {', '.join(self.unreadable)}")
        lines.append(
            f"in all {len(self.left_out):,} of {len(self.faces):,} pictures would be left out"
        )
        return "\n".join(lines)


def find_problems(data: Path, votes: Path | None, *, cache: Path | None) -> Findings:
    """Look for problems in a FER2013 table or a folder of faces.

    Only pictures that are learnt from are ever to be left out: those of PublicTest and PrivateTest
    are named, but a figure on fewer of them could be compared with none.

    Args:
        data: table or folder.
        votes: FER+ votes of a table; their majority is then the label, else the table's own is.
        cache: folder for the parsed table, or None.

    Raises:
        DataError: the data cannot be used.
    """
    unreadable: tuple[str, ...] = ()
    if data.is_dir() and votes is None:
        folder = read_folder(data)
        faces = folder.faces
        names = names_of_files(data, folder.files)
        unreadable = tuple(names_of_files(data, folder.unreadable))
    else:
        faces = load_faces(data, votes, cache=cache)
        names = names_of_rows(len(faces))
    problems = tuple(_problems(faces, names))
    return Findings(data, faces, tuple(names), problems, unreadable)


def labels_of(faces: Faces) -> NDArray[np.intp]:
    """The category of each picture that people gave, or ``NO_LABEL``: intp, N.

    The majority of the votes; where nobody voted, the FER2013 class.
    """
    as_expression = np.array([EXPRESSIONS.index(name) for name in FER2013_AS_EXPRESSION])
    own = np.where(faces.fer2013 == NO_LABEL, NO_LABEL, as_expression[faces.fer2013])
    voted = faces.votes.any(axis=1)
    return np.asarray(np.where(voted, majority(faces.votes), own), dtype=np.intp)


def _problems(faces: Faces, names: list[str]) -> Iterator[Problem]:
    labels = labels_of(faces)
    learnt = faces.usage == _TRAINING
    blank = blank_pictures(faces.pictures)
    for at in np.flatnonzero(blank).tolist():
        yield Problem(at, BLANK, "one single grey", bool(learnt[at]))
    some = np.flatnonzero(~blank)
    if len(some) == 0:
        return
    answers = answers_of(faces.pictures[some])
    for within, score in faceless(faces.pictures[some], answers).items():
        at = int(some[within])
        yield _no_face(at, score, bool(learnt[at]))
    yield from sorted(
        _copies(faces, labels, names, some), key=lambda one: (KINDS.index(one.kind), one.index)
    )
    for within, answer in doubted_labels(answers, labels[some]).items():
        at = int(some[within])
        what = (
            f"labelled {EXPRESSIONS[labels[at]]}, the networks are confident of "
            f"{EXPRESSIONS[answer]}"
        )
        yield Problem(at, DOUBTED, what, bool(learnt[at]))


def _no_face(at: int, score: float, learnt: bool) -> Problem:
    if score < NOWHERE:
        return Problem(at, NO_FACE, f"no face is found (score {score:.2f})", learnt)
    return Problem(at, NO_FACE, f"hardly a face is found (score {score:.2f}): look at it", False)


def _copies(
    faces: Faces, labels: NDArray[np.intp], names: list[str], some: NDArray[np.intp]
) -> Iterator[Problem]:
    """Near-copies; what is evaluated is kept, so that nothing is learnt that is evaluated."""
    learnt = faces.usage == _TRAINING
    order = some[np.argsort(learnt[some], kind="stable")]
    for within, original in copies_of(near_pairs(hashes_of(faces.pictures[order]))).items():
        at, other = int(order[within]), int(order[original])
        what = f"looks nearly like {names[other]} of {USAGES[faces.usage[other]]}"
        kind = COPY
        if labels[at] != labels[other] and NO_LABEL not in (labels[at], labels[other]):
            kind = UNLIKE
            what += (
                f"; labelled {EXPRESSIONS[labels[at]]} here and {EXPRESSIONS[labels[other]]} there"
            )
        yield Problem(at, kind, what, bool(learnt[at]), other)
