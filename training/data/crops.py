"""Cut faces out of your own photographs, exactly as the agent cuts them, to learn from them.

What comes out is a folder as `training.data.datasets.load_folder` reads it: a subfolder a category,
a picture a face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from edge_agent.core.errors import PictureError
from edge_agent.core.expression import Face
from edge_agent.vision.align import EXPRESSION_CROP, Picture, crop_face
from edge_agent.vision.faces.detector import FaceDetector
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import load_model
from edge_agent.vision.stills import find_pictures, load_picture
from training.data.datasets import EDGE, EXPRESSIONS, folder_category
from training.data.photographs import DetectionSet, LabelledPhotographs
from training.errors import DataError, check_new_folder, write_whole

MIN_FACE = 24
"""Smallest face that is cut out, in pixels of the photograph: as small as the agent reads them by
default.
"""

LEFT_OUT = "left out: "
"""Begins the line of :meth:`Tally.as_text` that counts what was left out."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A photograph, and the name of the face to cut out of it.

    Attributes:
        photograph: the file.
        face: subfolder and name, relative to the folder of the faces.
    """

    photograph: Path
    face: Path


@dataclass(slots=True)
class Tally:
    """The result of cutting photographs; it grows while they are cut.

    Attributes:
        faces: how many faces were written, by category.
        several: photographs with more than one face, of which the largest was taken.
        without: photographs in which no face was found.
        unreadable: the faults of photographs that could not be read.
    """

    faces: dict[str, int] = field(default_factory=dict)
    several: list[Path] = field(default_factory=list)
    without: list[Path] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def as_text(self, out: Path) -> str:
        """Return a sentence or two, and what was left out, by name."""
        by_category = ", ".join(
            f"{category} {count}" for category, count in sorted(self.faces.items())
        )
        left_out = f"{len(self.without)} without a face, {len(self.unreadable)} unreadable"
        lines = [
            f"{out}: {sum(self.faces.values())} faces ({by_category})",
            f"several faces, of which the largest was taken: {len(self.several)} photographs",
            *([f"{LEFT_OUT}{left_out}"] if self.without or self.unreadable else []),
            *(f"no face: {path}" for path in self.without),
            *(f"unreadable: {what}" for what in self.unreadable),
        ]
        return "\n".join(lines)


class FaceCutter:
    """Finds the faces of a photograph with the agent's detector, and cuts out the largest.

    Args:
        size: side of a cut-out face in pixels.

    Raises:
        ModelError: the detector cannot be loaded.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._detector = FaceDetector(
            load_model(find_model("face-detector"), kind="face-detector"), None, MIN_FACE
        )

    def cut(self, image: Picture) -> tuple[Picture | None, Sequence[Face]]:
        """Return the largest face, uint8, size × size, gray, or None, and all faces."""
        faces = self._detector.detect(image)
        if not faces:
            return None, faces
        largest = max(faces, key=lambda face: face.box.area)
        return crop_face(image, largest, self._size, EXPRESSION_CROP), faces


def aligned_faces(
    paths: Sequence[Path], *, aligned: bool
) -> tuple[list[tuple[str, Picture]], list[str]]:
    """Read faces as a network sees them, and a sentence for each picture that was left out.

    A face is its name and uint8, 48 × 48.

    Args:
        paths: pictures and folders of pictures.
        aligned: the pictures are cut-out faces; otherwise photographs, of which the largest face is
            cut out.
    """
    cutter = None if aligned else FaceCutter(EDGE)
    faces: list[tuple[str, Picture]] = []
    left_out: list[str] = []
    for path in find_pictures(paths):
        try:
            image = load_picture(path)
        except PictureError as error:
            left_out.append(str(error))
            continue
        face = _whole(image) if cutter is None else cutter.cut(image)[0]
        if face is None:
            left_out.append(
                f"{path}: no face; if it is one that was cut out already, add --aligned"
            )
        else:
            faces.append((path.name, face))
    return faces, left_out


def plan_cuts(
    photographs: Path, out: Path, labels: Path | None = None, classes: Sequence[str] = ()
) -> list[Cut]:
    """Decide which face comes from which photograph, before anything is written.

    Args:
        photographs: a folder with a subfolder a category, each with photographs, also in subfolders
            of its own; or, with ``labels``, any folder.
        out: where the faces are to go: a new or empty folder outside ``photographs``.
        labels: table with the columns ``file`` (below ``photographs``) and ``emotion``.
        classes: names of the subfolders, where they are not the categories.

    Raises:
        DataError: the folders, names or labels cannot be used; the text says which.
    """
    if not photographs.is_dir():
        raise DataError(f"{photographs}: is no folder; give the folder of your photographs")
    check_new_folder(out, photographs)
    if labels is not None:
        cuts = _by_label(photographs, labels)
    else:
        cuts = _by_folder(photographs, classes)
    first: dict[Path, Path] = {}
    for cut in cuts:
        other = first.setdefault(cut.face, cut.photograph)
        if other != cut.photograph:
            raise DataError(
                f"{cut.photograph} and {other} would both become {cut.face}; rename one of them"
            )
    return cuts


def cut_one(
    cut: Cut, out: Path, cutter: FaceCutter, tally: Tally, detections: DetectionSet | None = None
) -> None:
    """Cut the largest face out of one photograph and write it below ``out``.

    The result is added to ``tally``; the photograph and all its faces to ``detections``.

    Raises:
        DataError: the face cannot be written.
    """
    try:
        image = load_picture(cut.photograph)
        crop, faces = cutter.cut(image)
    except PictureError as error:
        tally.unreadable.append(str(error))
        return
    if crop is None:
        tally.without.append(cut.photograph)
        return
    if len(faces) > 1:
        tally.several.append(cut.photograph)
    if detections is not None:
        detections.add("-".join(cut.face.with_suffix("").parts), image, [f.box for f in faces])
    write_whole(out / cut.face, cv2.imencode(".png", crop)[1].tobytes())
    category = cut.face.parts[0]
    tally.faces[category] = tally.faces.get(category, 0) + 1


def _whole(image: Picture) -> Picture:
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(gray, (EDGE, EDGE), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _by_label(photographs: Path, labels: Path) -> list[Cut]:
    labelled = LabelledPhotographs(photographs, labels)
    cuts = []
    for name, label in zip(labelled.files, labelled.labels, strict=True):
        file = Path(name)
        below = file.relative_to(file.anchor)  # a table may name files by their whole path
        cuts.append(Cut(photographs / file, _face(EXPRESSIONS[label], below.parts)))
    return cuts


def _by_folder(photographs: Path, classes: Sequence[str]) -> list[Cut]:
    cuts: list[Cut] = []
    for path in find_pictures([photographs]):
        parts = path.relative_to(photographs).parts
        if path == photographs:
            raise DataError(
                f"{photographs}: holds no photograph in a subfolder named {', '.join(EXPRESSIONS)}"
            )
        if path.is_dir():
            raise DataError(
                f"{path}: this user may not read the folder; allow it: chmod a+rx '{path}'"
            )
        if len(parts) == 1:
            raise DataError(
                f"{path}: lies in no subfolder that says its category; put it into one named "
                f"{', '.join(EXPRESSIONS)}, or give a table with --by-label"
            )
        if parts[0] not in classes:
            folder_category(photographs / parts[0])
        cuts.append(Cut(path, _face(parts[0], parts[1:])))
    return cuts


def _face(category: str, parts: Sequence[str]) -> Path:
    """Name a face: its category, then the folders and the name of its photograph in one."""
    return Path(category, "-".join(parts)).with_suffix(".png")
