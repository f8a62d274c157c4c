"""What is doubtful about a folder of faces, said before hours are spent on learning from it.

Nothing is refused here: a person may know better. Each problem is one sentence that names what it
is about, and what to do.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.datasets import EXPRESSIONS, Faces, FolderOfFaces
from training.problems.copies import near_copies
from training.problems.faceless import ENLARGED, FaceSearch

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
"""How many files a sentence names."""


def problems_of(folder: FolderOfFaces) -> list[str]:
    """Return a sentence for each problem of a folder of faces; the worst first."""
    return [
        *_unreadable(folder),
        *_categories(folder),
        *_not_faces(folder.faces.pictures),
        *_copies(folder),
    ]


def categories_of(faces: Faces) -> NDArray[np.intp]:
    """The category of each picture of a folder: int, N, index into ``EXPRESSIONS``."""
    return np.asarray(faces.votes[:, : len(EXPRESSIONS)].argmax(axis=1), dtype=np.intp)


def _unreadable(folder: FolderOfFaces) -> list[str]:
    if not folder.unreadable:
        return []
    return [
        (
            f"{len(folder.unreadable)} pictures cannot be read and are left out: "
            f"{_names(folder.unreadable)}. Remove or replace them."
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
    """The width of the largest face as a share of the picture's; None where no face is found."""
    return max((face.box.width / ENLARGED for face in search.find(picture)), default=None)


def _copies(folder: FolderOfFaces) -> list[str]:
    pairs = near_copies(folder.faces.pictures)
    categories = categories_of(folder.faces)
    sentences = []
    if pairs:
        sentences.append(
            f"{len({second for _, second in pairs})} pictures look nearly like another one, such "
            f"as {_pair(folder, pairs[0])}. Copies that are learnt and tested flatter the figures: "
            "keep one of each."
        )
    if unlike := [pair for pair in pairs if categories[pair[0]] != categories[pair[1]]]:
        shown = "; ".join(_pair(folder, pair) for pair in unlike[:NAMED])
        sentences.append(
            f"{len(unlike)} pairs of such pictures have different categories: {shown}. "
            "One of each is labelled wrongly."
        )
    return sentences


def _pair(folder: FolderOfFaces, pair: tuple[int, int]) -> str:
    return " and ".join(_short(folder.files[at]) for at in pair)


def _names(files: Sequence[Path]) -> str:
    named = ", ".join(_short(path) for path in files[:NAMED])
    return f"{named} …" if len(files) > NAMED else named


def _short(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
