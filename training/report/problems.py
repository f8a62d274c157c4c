"""Problems of labelled faces, picture by picture, before anything is learnt from them.

Example::

    findings = find_problems(Path("fer2013.csv"), Path("fer2013new.csv"), cache=Path("runs/cache"))
    findings.counts["Training"]["near-copy"]   # how many, and how many of them are left out

*Near-copies*: two pictures whose difference hashes (256 bits) differ in at most ``NEARLY`` = 30
bits differ in at most one bit of at least one of sixteen bands of 16 bits: were it two in each, it
would be 32 (the pigeonhole principle; Norouzi, Punjani and Fleet 2014, "Fast exact search in
Hamming space with multi-index hashing", doi 10.1109/TPAMI.2013.231). So only pictures that share a
band, or all but one bit of it, are compared.

*No face*: blank pictures, and those in which the agent's detector sees none. The detector alone is
no judge: among the faces of FER2013 it scores 0.1 % below ``NOWHERE``, and pictures without a face
are rarer still. So it is asked only about pictures of which no network is sure what they express.

*Doubted labels*: by the rule of confident learning (Northcutt, Jiang and Chuang 2021, "Confident
learning: estimating uncertainty in dataset labels", Journal of Artificial Intelligence Research 70,
doi 10.1613/jair.1.12125). A category's threshold is the mean probability that a network gives it
where people labelled it so. A picture counts for a category whose threshold it reaches, for the
most probable one if there are several; its label is doubted when that is another. The thresholds
make up for a network that is surer of some categories than of others. Here the network must also
find the other category more probable than the label, which matters where few pictures make a
threshold.

The page shows faces: it is not for everybody's eyes. Of a folder of faces the same is said in
sentences; nothing is refused there, for a person may know better.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.core.expression import Face, Prior
from edge_agent.vision.faces.detector import FaceDetector
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import load_model
from training.data.datasets import (
    COLUMNS,
    EXPRESSIONS,
    NO,
    NO_LABEL,
    USAGES,
    YES,
    Faces,
    FolderOfFaces,
    checksum,
    load_faces,
    names_of_files,
    names_of_rows,
    read_folder,
)
from training.data.lessons import labels_of
from training.errors import csv_bytes
from training.faces.labelling import difference_hash
from training.report.calibration import probabilities
from training.report.evaluate import read_with, run_model
from training.report.figures import FACES_STYLE, html_faces, html_page, html_table

NEARLY = 30
"""Most differing bits, of 256, of two pictures that are one: half of the pictures of FER2013 that
were turned by 1.5° and brightened by 15 % differ by less from what they were, 1.3 % of different
ones do, of which most are the same photograph cut twice."""
MOST_IN_A_BUCKET = 1000
"""A picture is compared with at most so many others for each of its 272 lookups. FER2013 needs no
more; a folder of thousands of frames of one film would, and of it some copies are not found."""
_BITS = 16
_AT_ONCE = 1_000_000  # pairs that are compared together: 64 MB
_ONES = np.array([value.bit_count() for value in range(2**_BITS)], dtype=np.uint8)
ENLARGED = 160
"""Side of a picture as the detector is shown it, in pixels; a border is added."""
SURE = 0.7
"""A network that gives a category so much sees a face: of FER2013 six in seven pictures."""
NOWHERE = 0.1
"""A lower score says that there is no face. Together with networks that are unsure: 0.07 % of 1,500
faces of FER2013 and 10 % of the 148 pictures in which most of FER+'s ten people saw no face."""
HARDLY = 0.3
"""A lower score says that somebody should look: 0.3 % and 19 % of those."""
# A face that fills all of a picture is unlike those that detectors know.
_BORDER = 40
_LEAST_SCORE = 0.05
_LEAST_WIDTH = 0.3  # of the picture
JUDGES = ("expression-fast", "expression-accurate")
"""The networks that have to doubt a label together."""
BLANK = "blank"
NO_FACE = "no-face"
COPY = "near-copy"
UNLIKE = "near-copy-labelled-otherwise"
DOUBTED = "label-doubted"
KINDS = (BLANK, NO_FACE, COPY, UNLIKE, DOUBTED)
"""Kinds of what may be wrong with a picture."""
_TRAINING = USAGES.index("Training")
PAGE = "problems.html"
TABLE = "problems.csv"
SHOWN = 24
"""Pictures that are shown of each kind, at most, evenly over all."""
_TITLE = "What is wrong with the data"
_NO_FACE = """No network is sure what the picture expresses (0.7 or more), and the agent's detector
finds no face (score below 0.1), or hardly one (below 0.3), which is only to be looked at."""
_COPY = """At most 30 of the 256 bits of the difference hash differ from a picture that is kept: one
that is evaluated, else the first."""
_DOUBTED = """Both shipped networks are confident of the same other category, by the rule of
confident learning (Northcutt, Jiang and Chuang 2021, doi 10.1613/jair.1.12125). They may both be
wrong. They have learnt from Training of FER2013 with its votes, so they doubt fewer of those."""
_HEADINGS = {
    BLANK: ("Blank", "Pictures of one single grey."),
    NO_FACE: ("No face", _NO_FACE),
    COPY: ("Near-copies", _COPY),
    UNLIKE: ("Near-copies that are labelled otherwise", "One of each is labelled wrongly."),
    DOUBTED: ("Labels that the networks doubt", _DOUBTED),
}
_INTRODUCTION = """<p><strong>{left_out:,} of {given:,} pictures of {data} would be left
out.</strong> What is evaluated (PublicTest, PrivateTest) is named and stays, so that figures can be
compared. Change the column <code>leave_out</code> of <code>problems.csv</code> where you know
better, then: <code>python -m training fit … --without problems.csv</code></p>"""
FEW = 20
"""A category with fewer pictures is hardly learnt."""
UNEVEN = 10
"""The largest category may have so many times the pictures of the smallest."""
LOOKED_AT = 200
"""Pictures in which the detector looks for a face, at most."""
FOUND = 0.7
"""Least share of pictures with a face: of FER2013's the detector sees one in 95 %, of noise in
none."""
CUT_OUT = 0.45
"""Least width of the face, as a share of the picture's: of FER2013's faces 1 % are narrower."""
NAMED = 5
"""Most files that a sentence names."""


@dataclass(frozen=True, slots=True)
class PicturePairs:
    """Pairs of pictures that look nearly alike.

    Attributes:
        first: intp, n: the smaller index of each pair.
        second: intp, n: the larger index.
        bits: int64, n: how many bits of their hashes differ.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    bits: NDArray[np.int64]


def hashes_of(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the difference hash of each grey picture: uint8, N × 32."""
    # `difference_hash` takes three colours, as photographs have them.
    return np.array(
        [
            difference_hash(np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), dtype=np.uint8))
            for picture in pictures
        ],
        dtype=np.uint8,
    ).reshape(len(pictures), 32)


def near_pairs(hashes: NDArray[np.uint8]) -> PicturePairs:
    """Return all pairs that differ in at most ``NEARLY`` bits; see ``MOST_IN_A_BUCKET``.

    Of pictures with the same hash only the first is compared with others; it is paired with the
    rest, which look like whatever it looks like.

    Args:
        hashes: uint8, N × 32.
    """
    _, firsts, group = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
    # Some versions of numpy give it a second axis.
    group = group.ravel()
    # 16 bands of 16 bits: where at most 30 bits differ, some band differs in no more than one.
    bands = np.ascontiguousarray(hashes[firsts]).view(np.uint16)
    near = [_keep_near_pairs(bands, first, second) for first, second in _candidates(bands)]
    # Pictures with one hash are joined to their first; it appears with itself, which is dropped
    # below.
    first = np.concatenate([firsts[a] for a, _, _ in near] + [firsts[group]])
    second = np.concatenate([firsts[b] for _, b, _ in near] + [np.arange(len(hashes))])
    bits = np.concatenate([n for _, _, n in near] + [np.zeros(len(hashes), dtype=np.int64)])
    other = first != second
    # Each pair with the smaller index first, and once: several bands may have found it.
    ends = np.sort(np.stack([first[other], second[other]]), axis=0)
    _, once = np.unique(ends, axis=1, return_index=True)
    return PicturePairs(ends[0, once], ends[1, once], bits[other][once])


def copies_of(pairs: PicturePairs) -> dict[int, int]:
    """Return which pictures are left out as copies, each with the picture that is kept for it.

    The pictures are taken in turn: one that looks nearly like one kept before is a copy of the
    nearest of those, any other is kept. So every copy has its original beside it, and no chain of
    likenesses joins what is unlike.

    Args:
        pairs: of pictures, those that are rather kept before the others.
    """
    before: dict[int, list[tuple[int, int]]] = {}
    for one, other, bits in zip(
        pairs.first.tolist(), pairs.second.tolist(), pairs.bits.tolist(), strict=True
    ):
        before.setdefault(other, []).append((bits, one))
    copies: dict[int, int] = {}
    for at in sorted(before):
        # Equal hashes are 0 bits apart, and their first is the only one of them that is compared.
        bits, nearest = min(before[at])
        if bits == 0:
            copies[at] = copies.get(nearest, nearest)
            continue
        kept = [pair for pair in before[at] if pair[1] not in copies]
        if kept:
            copies[at] = min(kept)[1]
    return copies


def near_copies(pictures: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Return each picture that looks nearly like an earlier one: (the earlier, the picture).

    Args:
        pictures: uint8, N × 48 × 48.
    """
    copies = copies_of(near_pairs(hashes_of(pictures)))
    return [(original, at) for at, original in sorted(copies.items())]


def _candidates(bands: NDArray[np.uint16]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield pairs whose bands are equal or differ in one bit; a pair may come several times."""
    everyone = np.arange(len(bands))
    for band in bands.T:
        order = np.argsort(band, kind="stable")
        keys = band[order]
        same_until = np.searchsorted(keys, keys, side="right")
        # Those behind a picture in the order have the same band: from the next to the end of the
        # run.
        yield from _runs(order, order, everyone + 1, same_until)
        for bit in range(_BITS):
            # Only those without the bit look for those with it, so that no pair comes from both
            # sides.
            flag = np.uint16(1 << bit)
            without = order[(keys & flag) == 0]
            wanted = band[without] | flag
            begin, end = (np.searchsorted(keys, wanted, side=side) for side in ("left", "right"))
            yield from _runs(without, order, begin, end)


def _runs(
    whose: NDArray[np.intp], order: NDArray[np.intp], begin: NDArray[np.intp], end: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Pair each of ``whose`` with the pictures at its run of places in ``order``."""
    lengths = np.minimum(end - begin, MOST_IN_A_BUCKET)
    # Cut where the sum of the pairs passes another million.
    part = np.cumsum(lengths) // _AT_ONCE
    for chosen in np.split(np.arange(len(whose)), np.flatnonzero(np.diff(part)) + 1):
        count = lengths[chosen]
        first = np.repeat(whose[chosen], count)
        # 0, 1, 2 … within each run, without a loop in Python.
        within = np.arange(len(first)) - np.repeat(np.cumsum(count) - count, count)
        yield first, order[np.repeat(begin[chosen], count) + within]


def _keep_near_pairs(
    bands: NDArray[np.uint16], first: NDArray[np.intp], second: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int64]]:
    """Return those of some pairs that look nearly alike, and how many bits differ."""
    bits = _ONES[bands[first] ^ bands[second]].sum(axis=1, dtype=np.int64)
    near = bits <= NEARLY
    return first[near], second[near], bits[near]


class FaceSearch:
    """Looks for faces in cut-out pictures.

    Args:
        score: least score of a face; None: the one of the detector's card.
        width: least width of a face, as a share of the picture's.

    Raises:
        ModelError: the detector cannot be loaded.
    """

    def __init__(self, score: float | None = None, width: float = 0.15) -> None:
        model = load_model(find_model("face-detector"), kind="face-detector")
        self._detector = FaceDetector(model, score, width * ENLARGED)

    def find(self, picture: NDArray[np.uint8]) -> Sequence[Face]:
        """Find the faces of a grey picture; boxes are in pixels of an edge of ``ENLARGED``."""
        large = cv2.resize(picture, (ENLARGED, ENLARGED), interpolation=cv2.INTER_CUBIC)
        border = cv2.copyMakeBorder(large, *4 * (_BORDER,), cv2.BORDER_REPLICATE)
        return self._detector.detect(
            np.asarray(cv2.cvtColor(border, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
        )


def blank_pictures(pictures: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which pictures are of one single grey: bool, N."""
    flat = pictures.reshape(len(pictures), -1)
    return np.asarray(flat.max(axis=1) == flat.min(axis=1))


def faceless(
    pictures: NDArray[np.uint8], answers: Sequence[NDArray[np.float64]]
) -> dict[int, float]:
    """Find pictures without a clear face; return index → the detector's largest score, 0…1.

    Args:
        pictures: uint8, N × 48 × 48.
        answers: of each network, probabilities, N × K.
    """
    # The surest of all networks: one that recognizes a face is enough.
    surest = np.maximum.reduce([each.max(axis=1) for each in answers])
    search = FaceSearch(_LEAST_SCORE, _LEAST_WIDTH)
    scores = {}
    for at in np.flatnonzero(surest < SURE).tolist():
        score = max((float(face.score) for face in search.find(pictures[at])), default=0.0)
        if score < HARDLY:
            scores[at] = score
    return scores


def answers_of(
    card: Path, pictures: NDArray[np.uint8], prior: Prior = "data"
) -> NDArray[np.float64]:
    """Return probabilities of the eight categories, N × 8, as the agent computes them.

    Args:
        card: of the model.
        pictures: uint8, N × H × W.
        prior: as ``vision.prior``.
    """
    model = load_model(card, kind="expression")
    logits = read_with(run_model(model, pictures), model.card, prior)[0]["expression"]
    return probabilities(logits, model.card.temperature or 1.0)


def confident_answers(answers: NDArray[np.float64], labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the category that a network is confident of, or ``NO_LABEL``: intp, N.

    Args:
        answers: probabilities, N × K.
        labels: index of the category that people gave; ``NO_LABEL`` where there is none.
    """
    thresholds = np.full(answers.shape[1], np.inf)  # nobody was labelled so: nothing reaches it
    for category in np.unique(labels[labels != NO_LABEL]):
        # Least confidence of a category: the mean of those labelled so, the rule of confident
        # learning.
        thresholds[category] = answers[labels == category, category].mean()
    reached = np.where(answers >= thresholds, answers, -1.0)
    best = reached.argmax(axis=1)
    return np.where(reached.max(axis=1) > 0, best, NO_LABEL)


def doubted_labels(
    answers: Sequence[NDArray[np.float64]], labels: NDArray[np.intp]
) -> dict[int, int]:
    """Return the pictures whose label all networks doubt, saying the same → what they say."""
    everyone = np.arange(len(labels))
    confident = [confident_answers(each, labels) for each in answers]
    doubted = (labels != NO_LABEL) & (confident[0] != NO_LABEL) & (confident[0] != labels)
    for each, own in zip(answers, confident, strict=True):
        doubted &= own == confident[0]
        doubted &= each[everyone, own] > each[everyone, labels]
    return {int(at): int(confident[0][at]) for at in np.flatnonzero(doubted)}


@dataclass(frozen=True, slots=True)
class PictureProblem:
    """A problem of one picture.

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
        faces: pictures of the data.
        names: what each picture is called: its row, or its file.
        problems: in the order of ``KINDS``, then of the pictures; a picture may have several.
        unreadable: files that are no pictures, and are always left out.
    """

    data: Path
    faces: Faces
    names: tuple[str, ...]
    problems: tuple[PictureProblem, ...]
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
                # Copies and others may name one picture, so these counts do not add up to the
                # pictures left out.
                counts[usage][kind] = (len(some), sum(one.leave_out for one in some))
        return counts

    @property
    def left_out(self) -> set[int]:
        """The pictures that are to be left out."""
        return {one.index for one in self.problems if one.leave_out}

    def as_csv(self) -> bytes:
        """Return a row for each problem, as :mod:`training.data.datasets` reads it."""
        rows = [
            (
                *(self.names[one.index], USAGES[self.faces.usage[one.index]], one.kind),
                *("" if one.other is None else self.names[one.other], one.what),
                *(YES if one.leave_out else NO, checksum(self.faces.pictures[one.index])),
            )
            for one in self.problems
        ]
        return csv_bytes([COLUMNS, *rows], "\r\n")

    def as_text(self) -> str:
        """Return a line for each kind of each split, and what would be left out."""
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


def _problems(faces: Faces, names: list[str]) -> Iterator[PictureProblem]:
    labels = labels_of(faces)
    learnt = faces.usage == _TRAINING
    blank = blank_pictures(faces.pictures)
    for at in np.flatnonzero(blank).tolist():
        yield PictureProblem(at, BLANK, "one single grey", bool(learnt[at]))
    # Blank pictures are left aside: they would all be copies of one another.
    some = np.flatnonzero(~blank)
    if len(some) == 0:
        return
    answers = [answers_of(find_model(name), faces.pictures[some]) for name in JUDGES]
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
        yield PictureProblem(at, DOUBTED, what, bool(learnt[at]))


def _no_face(at: int, score: float, learnt: bool) -> PictureProblem:
    if score < NOWHERE:
        return PictureProblem(at, NO_FACE, f"no face is found (score {score:.2f})", learnt)
    return PictureProblem(
        at, NO_FACE, f"the face's score is low ({score:.2f}): check the picture", False
    )


def _copies(
    faces: Faces, labels: NDArray[np.intp], names: list[str], some: NDArray[np.intp]
) -> Iterator[PictureProblem]:
    """Near-copies; what is evaluated is kept, so that nothing is learnt that is evaluated."""
    learnt = faces.usage == _TRAINING
    # What is evaluated comes first, and so is what is kept of a pair.
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
        yield PictureProblem(at, kind, what, bool(learnt[at]), other)


def problems_page(findings: Findings) -> bytes:
    """Return the page: counts, then each kind with its rule and some of its pictures."""
    rows = [
        (f"{_HEADINGS[kind][0]}, {usage}", f"{number:,}", f"{out:,}")
        for usage, kinds in findings.counts.items()
        for kind, (number, out) in kinds.items()
    ]
    body = [
        f"<h1>{_TITLE}</h1>",
        _INTRODUCTION.format(
            left_out=len(findings.left_out),
            given=len(findings.faces),
            data=html.escape(findings.data.name),
        ),
        html_table(("what", "pictures", "to leave out"), rows),
    ]
    if findings.unreadable:
        names = ", ".join(map(html.escape, findings.unreadable))
        body.append(f"<p>Cannot be read, and always left out: {names}</p>")
    for kind, (heading, rule) in _HEADINGS.items():
        some = [one for one in findings.problems if one.kind == kind]
        if some:
            body.append(f"<h2>{heading}</h2><p>{rule}</p>")
            body.append(html_faces(_pictures_of(findings, one) for one in _spread(some)))
    return html_page(_TITLE, body, FACES_STYLE).encode()


def _spread(problems: list[PictureProblem]) -> list[PictureProblem]:
    """At most ``SHOWN`` of them, evenly over all."""
    # Rounded up, so that never more than `SHOWN` are left.
    step = max(1, -(-len(problems) // SHOWN))
    return problems[::step]


def _pictures_of(findings: Findings, one: PictureProblem) -> tuple[list[NDArray[np.uint8]], str]:
    pictures = [findings.faces.pictures[one.index]]
    if one.other is not None:
        pictures.append(findings.faces.pictures[one.other])
    return pictures, f"{findings.names[one.index]}: {one.what}"


def problems_of(folder: FolderOfFaces) -> list[str]:
    """Return a sentence for each problem of a folder of faces; the worst first."""
    return [
        *_unreadable(folder),
        *_categories(folder),
        *_not_faces(folder.faces.pictures),
        *_own_copies(folder),
    ]


def categories_of(faces: Faces) -> NDArray[np.intp]:
    """Return the category of each picture of a folder: int, N, index into ``EXPRESSIONS``."""
    return np.asarray(faces.votes[:, : len(EXPRESSIONS)].argmax(axis=1), dtype=np.intp)


def _unreadable(folder: FolderOfFaces) -> list[str]:
    if not folder.unreadable:
        return []
    return [
        (
            f"{_count(len(folder.unreadable), 'picture')} cannot be read, left out: "
            f"{_names(folder.unreadable)}. Remove or replace."
        )
    ]


def _categories(folder: FolderOfFaces) -> list[str]:
    counts = np.bincount(categories_of(folder.faces), minlength=len(EXPRESSIONS))
    present = {name: int(n) for name, n in zip(EXPRESSIONS, counts, strict=True) if n}
    sentences = []
    if folder.empty:
        sentences.append(
            f"no picture in {', '.join(folder.empty)}: the model keeps what it knew of it, and "
            "nothing can be said of how well."
        )
    if few := [f"{name} ({n})" for name, n in present.items() if n < FEW]:
        sentences.append(
            f"fewer than {FEW} pictures of {', '.join(few)}: too few to learn from and too few to "
            "judge by. Add pictures."
        )
    if max(present.values()) > UNEVEN * min(present.values()):
        most = max(present, key=present.__getitem__)
        least = min(present, key=present.__getitem__)
        sentences.append(
            f"{most} has {present[most]} pictures and {least} has {present[least]}: a model may "
            f"learn to say {most}. Add pictures of {least}."
        )
    return sentences


def _not_faces(pictures: NDArray[np.uint8]) -> list[str]:
    """Look for a face in some pictures, spread evenly over them."""
    # `unique`: of fewer pictures than that some places come twice.
    some = np.unique(np.linspace(0, len(pictures) - 1, LOOKED_AT).astype(int))
    search = FaceSearch()
    widths = [width for at in some if (width := _face_width(search, pictures[at])) is not None]
    share = len(widths) / len(some)
    if share < FOUND:
        return [
            (
                f"a face is found in {share:.0%} of {len(some)} pictures (at least {FOUND:.0%} are "
                "usual for cut-out faces). Are these photographs? Then cut the faces out first: "
                "python -m training crop-faces PHOTOGRAPHS --out faces"
            )
        ]
    filled = float(np.median(widths))
    if filled < CUT_OUT:
        return [
            (
                f"the faces fill {filled:.0%} of the width of their pictures: cut them out first, "
                "as the agent does: python -m training crop-faces PHOTOGRAPHS --out faces"
            )
        ]
    return []


def _face_width(search: FaceSearch, picture: NDArray[np.uint8]) -> float | None:
    """Return the largest face's width as a share of the picture's; None without a face."""
    return max((face.box.width / ENLARGED for face in search.find(picture)), default=None)


def _own_copies(folder: FolderOfFaces) -> list[str]:
    pairs = near_copies(folder.faces.pictures)
    categories = categories_of(folder.faces)
    sentences = []
    if pairs:
        sentences.append(
            f"{_count(len({second for _, second in pairs}), 'near copy', 'near copies')}, such as "
            f"{_pair(folder, pairs[0])}. Copies that are learnt and tested flatter the figures: "
            "keep one of each."
        )
    if unlike := [pair for pair in pairs if categories[pair[0]] != categories[pair[1]]]:
        shown = "; ".join(_pair(folder, pair) for pair in unlike[:NAMED])
        sentences.append(
            f"different categories in {_count(len(unlike), 'such pair')}: {shown}. "
            "One of each is labelled wrongly."
        )
    return sentences


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n} {one}" if n == 1 else f"{n} {many or one + 's'}"


def _pair(folder: FolderOfFaces, pair: tuple[int, int]) -> str:
    return " and ".join(_short(folder.files[at]) for at in pair)


def _names(files: Sequence[Path]) -> str:
    named = ", ".join(_short(path) for path in files[:NAMED])
    return f"{named} …" if len(files) > NAMED else named


def _short(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
