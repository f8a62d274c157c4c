"""A second teacher, for the five points: it learns from points that people marked.

It then places the points of all faces.

YuNet's points deviate from people's by about a tenth of the eye distance, and a detector that
learns from both learns the deviation, too. A small network that sees one face at a time places them
twice as well, and in the same way in every photograph.

    python -m training.faces.points FOLDER

FOLDER is what `training.faces.labelling` has labelled. The network learns from the marked
faces of the part `train`; then it is asked about every face of the parts `train` and `valid` whose
points nobody marked, turned level and once more mirrored. Where its mean answer is near the first
teacher's, it takes its place in `labels.csv`; elsewhere (masks, profiles) that stays.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edge_agent.core.expression import Box
from training.errors import DataError
from training.faces.labelling import (
    MARKED,
    LabelledFace,
    LabelledPicture,
    Picture,
    deviation,
    read_labels,
    read_marked,
    read_picture,
    write_labels,
)
from training.faces.scenes import for_opencv
from training.faces.template import MIRROR
from training.learning.loop import fit
from training.learning.precision import place_of
from training.learning.recipe import TrainingSchedule
from training.networks.face import ConvBlock

log = logging.getLogger(__name__)

SIDE = 64
"""Side of the square that the network sees, pixels."""
MARGIN = 1.25
"""Side of the square in longer sides of the face's box."""
SAME = 0.02
"""Points of `labels.csv` this near to marked ones, in eye distances, are those: numbers there are
rounded.
"""
BELIEVED = 0.2
"""Answers whose mean distance from the first teacher's points is less are taken, eye distances."""
HELD_BACK = 20
"""One marked face in this number is held back, to measure the network."""
SCHEDULE = TrainingSchedule(
    epochs=40, batch=64, optimizer="adamw", peak_lr=0.003, weight_decay=1e-3, bfloat16=False
)
SEED = 1

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MarkedFace:
    """A face with points that people marked, 5 × 2, in pixels of its picture."""

    picture: Picture
    box: Box
    points: Points


class PointNet(nn.Sequential):
    """A small network for the five points of one face.

    N × 3 × `SIDE` × `SIDE`, RGB in −1…1 → N × 10: x and y in sides, from the middle.
    """

    def __init__(self) -> None:
        widths = (24, 48, 96, 96)
        parts: list[nn.Module] = []
        # Not strict: the inputs of a stage are the outputs of the one before, and the last feeds
        # the head.
        for inputs, outputs in zip((3, *widths), widths, strict=False):
            parts += [ConvBlock(inputs, outputs, 3, stride=2), _Residual(outputs)]
        super().__init__(*parts, nn.Flatten(), nn.Linear(widths[-1] * (SIDE // 16) ** 2, 10))


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels, 3)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(features + self.second(self.first(features)))


class PointTask:
    """Learn to place points on faces that are shifted, scaled, turned, mirrored and lit.

    It is a :class:`training.learning.loop.TrainingTask`.
    """

    def __init__(self, learn: Sequence[MarkedFace], held_back: Sequence[MarkedFace]) -> None:
        self._learn = learn
        self._held_back = held_back
        self.module: nn.Module = PointNet()
        self.steps_per_epoch = len(learn) // SCHEDULE.batch

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[Sequence[Tensor]]:
        """Squares (float32 N × 3 × `SIDE` × `SIDE`) and points (float32 N × 10)."""
        random = np.random.default_rng(
            [int(torch.randint(2**31, (1,), generator=generator, device=generator.device)), epoch]
        )
        order = random.permutation(len(self._learn))
        for start in range(0, self.steps_per_epoch * SCHEDULE.batch, SCHEDULE.batch):
            chosen = [self._learn[i] for i in order[start : start + SCHEDULE.batch]]
            squares, points = zip(*(_change(face, random) for face in chosen), strict=True)
            yield (
                _as_input(squares),
                torch.from_numpy(np.stack(points).reshape(-1, 10).astype(np.float32)),
            )

    def loss(
        self, module: nn.Module, batch: Sequence[Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the mean absolute error in sides of the square."""
        squares, points = batch
        error = functional.l1_loss(module(squares).float(), points)
        return error, {"error": error.detach()}

    def validate(self, module: nn.Module) -> Mapping[str, float]:
        """Return the mean deviation from people's points on held-back faces, in eye distances."""
        answers = place(module, [(face.picture, face.box, 0.0) for face in self._held_back])
        deviations = [
            deviation(a, face.points) for a, face in zip(answers, self._held_back, strict=True)
        ]
        return {"deviation": float(np.mean(deviations))}


def place(module: nn.Module, faces: Sequence[tuple[Picture, Box, float]]) -> list[Points]:
    """Points of faces: 5 × 2 each, in pixels of the picture.

    A face is its picture (BGR), box and roll (radians, clockwise).

    The mean of the answers for the face turned level and for its mirror image.
    """
    placed: list[Points] = []
    for start in range(0, len(faces), 64):
        matrices = [_to_square(box, -roll) for _, box, roll in faces[start : start + 64]]
        # Not strict: `faces[start:]` goes on behind this chunk.
        squares = [
            _square(picture, m) for (picture, _, _), m in zip(faces[start:], matrices, strict=False)
        ]
        with torch.no_grad():
            plain, mirrored = (
                module(
                    _as_input([s[:, :: -1 if mirror else 1] for s in squares]).to(place_of(module))
                )
                .cpu()
                .numpy()
                .reshape(-1, 5, 2)
                for mirror in (False, True)
            )
        # The mirrored answer is turned back: sides change places, and x its sign.
        mean = (plain + mirrored[:, MIRROR] * (-1.0, 1.0)) / 2
        placed += [
            _from_square(points, matrix) for points, matrix in zip(mean, matrices, strict=True)
        ]
    return placed


def relabel(
    module: nn.Module, picture: Picture, faces: Sequence[LabelledFace]
) -> list[LabelledFace]:
    """Return a picture's faces with the network's points, if it and the first teacher agree."""
    told = [
        (face, np.array(face.points))
        for face in faces
        if face.points is not None and not face.ignore
    ]
    # Turned level by the first teacher's eyes: the network learnt faces that are about upright.
    answers = place(module, [(picture, face.box, _roll(points)) for face, points in told])
    better = {
        face: replace(face, points=tuple((float(x), float(y)) for x, y in answer))
        for (face, points), answer in zip(told, answers, strict=True)
        if deviation(answer, points) < BELIEVED
    }
    return [better.get(face, face) for face in faces]


def marked_points(folder: Path) -> dict[str, Points]:
    """Marked points of all archives in ``folder`` by name of the picture in `labels.csv`."""
    return {
        f"{table.parent.name}/{name}": points
        for table in sorted(folder.glob(f"*/{MARKED}"))
        for name, points in read_marked(table).items()
    }


def is_marked(face: LabelledFace, points: Points | None) -> bool:
    """Tell whether the points of a face are those that people marked."""
    if points is None or face.points is None or face.ignore:
        return False
    return deviation(np.array(face.points), points) < SAME


def examples(
    folder: Path, pictures: Sequence[LabelledPicture], marked: Mapping[str, Points]
) -> list[MarkedFace]:
    """Return the marked faces of the part `train`.

    Raises:
        DataError: too few for a batch.
    """
    labelled = [
        MarkedFace(read_picture(folder / picture.file), face.box, marked[picture.file])
        for picture in pictures
        if picture.part == "train"
        for face in picture.faces
        if is_marked(face, marked.get(picture.file))
    ]
    if len(labelled) < 2 * SCHEDULE.batch:
        raise DataError(
            f"{folder}: only {len(labelled)} faces of the part train have points that people "
            f"marked ({MARKED} of an archive), {2 * SCHEDULE.batch} are needed; leave this step out"
        )
    return labelled


def _change(face: MarkedFace, random: np.random.Generator) -> tuple[Picture, Points]:
    box = face.box
    zoom = math.exp(random.uniform(-0.15, 0.15))
    turn = random.uniform(-0.4, 0.4)
    shift = random.uniform(-0.08, 0.08, 2) * max(box.width, box.height)
    # The box is moved a little, for detectors do not frame faces exactly.
    moved = Box(box.x + shift[0], box.y + shift[1], box.width, box.height)
    matrix = _to_square(moved, turn, zoom)
    points = (face.points @ matrix[:, :2].T + matrix[:, 2]) / SIDE - 0.5
    square = _square(face.picture, matrix)
    if random.random() < 0.5:
        square = square[:, ::-1]
        points = points[MIRROR] * (-1.0, 1.0)
    if random.random() < 0.5:
        lit = square.astype(np.float32) * random.uniform(0.6, 1.3) + random.uniform(-25, 25)
        square = np.clip(lit, 0, 255).astype(np.uint8)
    # Small faces are enlarged for the network, and soft then: it must know such ones.
    if random.random() < 0.3:
        small = cv2.resize(
            square, (int(random.integers(16, SIDE)),) * 2, interpolation=cv2.INTER_AREA
        )
        square = np.asarray(cv2.resize(small, (SIDE, SIDE)), dtype=np.uint8)
    return square, points


def _roll(points: Points) -> float:
    (x, y) = points[1] - points[0]
    return math.atan2(y, x)


def _to_square(box: Box, turn: float, zoom: float = 1.0) -> NDArray[np.float64]:
    """Return the 2 × 3 matrix from a picture to the square about a face.

    The square is turned clockwise by ``turn`` radians.
    """
    scale = zoom * SIDE / (MARGIN * max(box.width, box.height))
    cosine = math.cos(turn)
    sine = math.sin(turn)
    linear = scale * np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([linear, (SIDE / 2, SIDE / 2) - linear @ box.center])


def _from_square(points: Points, matrix: NDArray[np.float64]) -> Points:
    moved = (points.astype(np.float64) + 0.5) * SIDE - matrix[:, 2]
    return np.asarray(np.linalg.solve(matrix[:, :2], moved.T).T)


def _square(picture: Picture, matrix: NDArray[np.float64]) -> Picture:
    """Return the part of a picture that a matrix takes to the square.

    Much smaller pictures are averaged first.
    """
    scale = math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    # A picture of which only every second pixel was sampled would show patterns of its own.
    if scale < 0.6:
        size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
        back = np.array([picture.shape[1] / size[0], picture.shape[0] / size[1]])
        picture = np.asarray(
            cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8
        )
        matrix = np.column_stack([matrix[:, :2] * back, matrix[:, 2]])
    square = cv2.warpAffine(
        picture, for_opencv(matrix), (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(square, dtype=np.uint8)


def _as_input(squares: Sequence[Picture]) -> Tensor:
    rgb = np.stack(squares)[:, :, :, ::-1].transpose(0, 3, 1, 2)
    return torch.from_numpy(rgb.astype(np.float32) / 127.5 - 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="labelled photographs")
    parser.add_argument(
        "--run", type=Path, default=Path("runs/face-points"), help="folder of the training, resumed"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cv2.setNumThreads(1)
    folder = arguments.folder
    pictures = read_labels(folder)
    marked = marked_points(folder)
    faces = examples(folder, pictures, marked)
    held_back = faces[::HELD_BACK]
    task = PointTask([face for i, face in enumerate(faces) if i % HELD_BACK], held_back)
    resume = (arguments.run / "checkpoint.pt").exists()
    module = fit(task, SCHEDULE, arguments.run, seed=SEED, resume=resume).module
    changed = []
    for picture in pictures:
        told = picture.faces
        # The test part keeps its labels, so that figures stay comparable.
        if picture.part != "test" and not any(
            is_marked(face, marked.get(picture.file)) for face in told
        ):
            told = tuple(relabel(module, read_picture(folder / picture.file), told))
        changed.append(replace(picture, faces=told))
    write_labels(folder, changed)
    count = sum(
        a != b
        for p, q in zip(pictures, changed, strict=True)
        for a, b in zip(p.faces, q.faces, strict=True)
    )
    log.info("%d of %d faces have new points", count, sum(len(p.faces) for p in pictures))


if __name__ == "__main__":
    main()
