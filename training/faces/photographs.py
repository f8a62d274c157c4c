"""Labelled photographs in memory, and held-out photographs that are read from archives."""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from zipfile import BadZipFile, ZipFile
from zipfile import Path as ZipPath

import numpy as np
from numpy.typing import NDArray

from edge_agent.core.errors import PictureError
from edge_agent.vision.stills import SUFFIXES, load_picture
from training.errors import DataError
from training.faces.labelling import (
    MARKED,
    LabelledFace,
    LabelledPicture,
    Picture,
    Points,
    Shares,
    read_marked,
    read_picture,
)
from training.faces.template import MIRROR

Floats = NDArray[np.float32]

HIDDEN = 0.2
"""A face is dropped if less than this share of it is visible, and ignored up to `SEEN`.
"""
SEEN = 0.55
COVERED = 0.15
"""A face is ignored if more than this share of it is covered."""
CLEAN = "lfw_5590/"
"""The photographs whose marked points can be trusted; a third of the other collection's slipped."""


@dataclass(frozen=True, slots=True)
class FaceBoxes:
    """Faces of one picture or scene.

    Attributes:
        boxes: float32, n × 4: left, top, right, bottom.
        points: float32, n × 5 × 2, NaN where not known.
        ignore: bool, n.
        ceilings: float32, n: the most that a detector should score where it is ignored.
    """

    boxes: Floats
    points: Floats
    ignore: NDArray[np.bool_]
    ceilings: Floats

    @classmethod
    def of(cls, faces: Sequence[LabelledFace]) -> FaceBoxes:
        """Build the arrays from labels."""
        unknown = ((math.nan, math.nan),) * 5
        boxes = [(f.box.x, f.box.y, f.box.x + f.box.width, f.box.y + f.box.height) for f in faces]
        return cls(
            # Shaped even without faces, so that parts of a scene can be joined.
            np.array(boxes, dtype=np.float32).reshape(-1, 4),
            np.array([f.points or unknown for f in faces], dtype=np.float32).reshape(-1, 5, 2),
            np.array([f.ignore for f in faces], dtype=np.bool_),
            np.array([f.ceiling for f in faces], dtype=np.float32),
        )

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def sizes(self) -> Floats:
        """Square roots of the areas of the boxes."""
        return np.asarray(
            np.sqrt(np.clip(self.boxes[:, 2:] - self.boxes[:, :2], 0, None).prod(axis=1))
        )

    @property
    def sides(self) -> Floats:
        """Longer sides of the boxes."""
        return np.asarray((self.boxes[:, 2:] - self.boxes[:, :2]).max(axis=1, initial=0.0))

    def take(self, chosen: NDArray[np.bool_]) -> FaceBoxes:
        """Return the selected faces."""
        return FaceBoxes(
            self.boxes[chosen], self.points[chosen], self.ignore[chosen], self.ceilings[chosen]
        )

    def move(self, matrix: NDArray[np.float64]) -> FaceBoxes:
        """Return the faces after a similarity (2 × 3), which may mirror.

        Boxes stay upright and keep their proportions.
        """
        area = determinant(matrix)
        scale = math.sqrt(abs(area))
        # The middle is moved and the box set upright around it: a turned box would be no box.
        centers = (self.boxes[:, :2] + self.boxes[:, 2:]) / 2 @ matrix[:, :2].T + matrix[:, 2]
        half = (self.boxes[:, 2:] - self.boxes[:, :2]) / 2 * scale
        points = self.points @ matrix[:, :2].T + matrix[:, 2]
        # A mirrored face has its right eye where its left one was.
        if area < 0:
            points = points[:, MIRROR]
        boxes = np.concatenate([centers - half, centers + half], axis=1)
        return FaceBoxes(
            boxes.astype(np.float32), points.astype(np.float32), self.ignore, self.ceilings
        )

    def without_small(self, smallest: float) -> FaceBoxes:
        """Mark faces below a size (square root of the area) as ignored."""
        return FaceBoxes(
            self.boxes, self.points, self.ignore | (self.sizes < smallest), self.ceilings
        )

    def mirror(self, width: float) -> FaceBoxes:
        """Return the faces of the mirror image; the picture is ``width`` pixels wide."""
        return self.move(np.array([[-1.0, 0.0, width], [0.0, 1.0, 0.0]]))

    def within(self, left: float, top: float, right: float, bottom: float) -> FaceBoxes:
        """Return the faces in a rectangle; those mostly outside are ignored or dropped.

        Ignored regions are cut to the rectangle.
        """
        seen = self.share_in(left, top, right, bottom)
        ignore = self.ignore | (seen < SEEN)
        # A face in sight keeps its whole box, also beyond the edge: that is what is to be learnt.
        cut = np.clip(self.boxes, (left, top, left, top), (right, bottom, right, bottom))
        boxes = np.where(ignore[:, None], cut, self.boxes).astype(np.float32)
        kept = FaceBoxes(boxes, self.points, ignore, self.ceilings)
        return kept.take(seen >= HIDDEN)

    def behind(self, mask: NDArray[np.uint8]) -> FaceBoxes:
        """Return the faces behind an overlay, which covers the non-zero pixels of ``mask``.

        ``mask`` is height × width.
        """
        covered = np.zeros(len(self), dtype=np.float32)
        limit = mask.shape[::-1] * 2
        for i, (left, top, right, bottom) in enumerate(np.clip(self.boxes, 0, limit).astype(int)):
            # One pixel more: the box ends within it.
            part = mask[top : bottom + 1, left : right + 1]
            covered[i] = np.count_nonzero(part) / max(part.size, 1)
        kept = FaceBoxes(self.boxes, self.points, self.ignore | (covered > COVERED), self.ceilings)
        return kept.take(covered <= 1 - HIDDEN)

    def share_in(self, left: float, top: float, right: float, bottom: float) -> Floats:
        """Return the share of each box that lies in a rectangle."""
        low = np.maximum(self.boxes[:, :2], (left, top))
        high = np.minimum(self.boxes[:, 2:], (right, bottom))
        area = (self.boxes[:, 2:] - self.boxes[:, :2]).prod(axis=1)
        return np.asarray(
            np.clip(high - low, 0, None).prod(axis=1) / np.maximum(area, 1e-6), dtype=np.float32
        )


def determinant(matrix: NDArray[np.float64]) -> float:
    """Return the determinant of the linear part of a 2 × 3 matrix, its factor for areas.

    It is negative when the matrix mirrors.
    """
    return float(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])


def join(parts: Sequence[FaceBoxes]) -> FaceBoxes:
    """Concatenate the faces of several parts."""
    return FaceBoxes(
        np.concatenate([p.boxes for p in parts]),
        np.concatenate([p.points for p in parts]),
        np.concatenate([p.ignore for p in parts]),
        np.concatenate([p.ceilings for p in parts]),
    )


@dataclass(frozen=True, slots=True)
class Photographs:
    """Photographs in memory with their labels.

    Attributes:
        pictures: uint8, height × width × 3, BGR.
        faces: their faces.
        weights: how often each is drawn, sums to 1.
    """

    pictures: Sequence[Picture]
    faces: Sequence[FaceBoxes]
    weights: NDArray[np.float64]

    @classmethod
    def load(
        cls, folder: Path, labelled: Sequence[LabelledPicture], weights: Mapping[str, float]
    ) -> Photographs:
        """Read pictures of ``folder``.

        Raises:
            DataError: there is none, or a file cannot be read.
        """
        if not labelled:
            raise DataError(
                f"{folder}: has no pictures of a part that is needed; see column part of labels.csv"
            )
        # Weights are by folder, the first part of the name.
        shares = np.array([weights.get(p.file.split("/", maxsplit=1)[0], 1.0) for p in labelled])
        if not shares.sum() > 0:
            raise DataError(f"{folder}: data.weights of the recipe leaves no picture to learn from")
        pictures = [read_picture(folder / p.file) for p in labelled]
        return cls(pictures, [FaceBoxes.of(p.faces) for p in labelled], shares / shares.sum())

    def __len__(self) -> int:
        return len(self.pictures)


@dataclass(frozen=True, slots=True)
class PhotographArchive:
    """A zip archive, or a folder, of photographs.

    Attributes:
        place: its path.
        shares: shares of its photographs that are kept from training.
    """

    place: Path
    shares: Shares

    @classmethod
    def find(cls, folder: Path, name: str, shares: Shares) -> PhotographArchive:
        """Find ``NAME.zip`` or the folder ``NAME`` in ``folder``.

        Raises:
            DataError: there is neither.
        """
        for place in (folder / f"{name}.zip", folder / name):
            if place.exists():
                return cls(place, shares)
        raise DataError(
            f"{folder}: holds neither {name}.zip nor a folder {name}, which the recipe holds "
            "pictures out of"
        )

    def held_out(
        self, among: Collection[str] | None = None, limit: int | None = None
    ) -> Iterator[tuple[str, Picture]]:
        """Yield the photographs of the part ``test`` with their names, sorted by name.

        Args:
            among: only these names.
            limit: the largest number, taken evenly from all of them.

        Raises:
            DataError: the archive or a photograph cannot be read, or nothing of it is held out.
        """
        return self.pictures_of("test", among, limit)

    def pictures_of(
        self, part: str, among: Collection[str] | None = None, limit: int | None = None
    ) -> Iterator[tuple[str, Picture]]:
        """Yield the photographs of a part with their names, like `held_out`."""
        with self._open() as (root, names):
            chosen = [
                n
                for n in sorted(names)
                if self.shares.part(n) == part and (among is None or n in among)
            ]
            if not chosen:
                raise DataError(
                    f"{self.place}: none of its {len(names)} photographs is held out (part {part});"
                    " give more of them"
                )
            # Evenly over all, not the first ones: neighbouring names may belong together.
            step = 1 if limit is None else max(len(chosen) // limit, 1)
            for name in chosen[::step][:limit]:
                yield name, _read(root, name)

    def read_marked_points(self) -> dict[str, Points]:
        """Return the reliable points of `landmarks.csv` by name of the photograph.

        Without that table the result is empty.

        Raises:
            DataError: the archive or the table cannot be read.
        """
        with self._open() as (root, _):
            points = read_marked(root.joinpath(MARKED))
        return {name: marked for name, marked in points.items() if name.startswith(CLEAN)}

    @contextmanager
    def _open(self) -> Iterator[tuple[Traversable, list[str]]]:
        """Open the archive; yield its root and the names of its photographs."""
        if self.place.is_dir():
            files = [path for path in self.place.rglob("*") if path.suffix.lower() in SUFFIXES]
            yield self.place, [path.relative_to(self.place).as_posix() for path in files]
            return
        try:
            archive = ZipFile(self.place)
        except (OSError, BadZipFile) as error:
            raise DataError(
                f"{self.place}: is not a zip archive that can be read: {error}"
            ) from error
        with archive:
            yield (
                ZipPath(archive),
                [name for name in archive.namelist() if name.lower().endswith(SUFFIXES)],
            )


def _read(root: Traversable, name: str) -> Picture:
    try:
        return load_picture(root.joinpath(name))
    except (PictureError, BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        # as zipfile fails
        raise DataError(f"{name}: {error}") from error
