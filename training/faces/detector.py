"""Train the face detector: recipe, targets, loss, and the task for the one training loop.

A recipe describes the network and how it learns.

Example::

    recipe = load_recipe(Path("training/recipes/face-detector.toml"), DetectorRecipe)
    recipe.network.build()   # FaceDetectorNet(…), untrained

Targets say which cell of the detector answers for which face, and with what; the loss says how far
its answers are from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from edge_agent.vision.faces.detector import STRIDES, Candidates, decode, letterbox, merge
from training.faces.labelling import Picture, Shares
from training.faces.photographs import FaceBoxes, Photographs
from training.faces.scenes import Composer, Composition
from training.faces.trial import evaluate_detections
from training.learning.checkpoint import learn_on
from training.learning.precision import place_of
from training.learning.recipe import Recipe, RecipeSection
from training.networks.face import OUTPUTS, FaceDetectorNet, Widths

SIZES = {8: (0.0, 36.0), 16: (26.0, 120.0), 32: (84.0, float("inf"))}
"""Sizes of face (square root of the area, pixels of the scene) that each stride answers for.

Neighbours overlap.
"""
NEARLY = 1.3
"""A size beyond the bounds by at most this factor is no background: the cell may say what it
likes.
"""
CORE = (0.75, 0.22)
"""A cell answers for a face when it is nearer to its middle, along both axes, than the larger of
these two: in strides, and in sizes of the face."""
RING = 1.7
"""Cells farther away by at most this factor may say what they like."""
SCALE = 2 / 255
OFFSET = -1.0
"""The network sees pixel × scale + offset."""
LOW = 0.05
"""Detections with a lower score are dropped when a network is evaluated."""


@dataclass(frozen=True, slots=True)
class Targets:
    """The targets of each of the n cells (all strides in order, row by row).

    Attributes:
        answers: bool, n: whether the cell answers for a face.
        ceilings: float32, n: the most that the score of another cell should be: 0 for background, 1
            for any.
        boxes: float32, n × 4: left, top, right, bottom of the face, pixels of the scene.
        points: float32, n × 10: its points, NaN where not known.
    """

    answers: NDArray[np.bool_]
    ceilings: NDArray[np.float32]
    boxes: NDArray[np.float32]
    points: NDArray[np.float32]


@cache
def cell_middles(width: int, height: int) -> tuple[tuple[int, NDArray[np.float32]], ...]:
    """Return of each stride the middles of its cells in pixels of the scene, float32, n × 2."""
    cells = []
    # The order of strides, and of cells within one, is that of the network's outputs.
    for stride in STRIDES:
        ys, xs = np.mgrid[0 : height // stride, 0 : width // stride]
        # Half a cell further: the middle of a cell, not its corner.
        cells.append(
            (
                stride,
                ((np.stack([xs.ravel(), ys.ravel()], axis=1) + 0.5) * stride).astype(np.float32),
            )
        )
    return tuple(cells)


def assign(faces: FaceBoxes, width: int, height: int) -> Targets:
    """Say for every cell of a scene of ``width`` × ``height`` pixels what it should answer."""
    sure = faces.take(~faces.ignore)
    doubtful = faces.take(faces.ignore)
    parts = [
        _assign_stride(sure, _ceilings(doubtful, stride, width, height), stride, middles)
        for stride, middles in cell_middles(width, height)
    ]
    return Targets(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _ceilings(doubtful: FaceBoxes, stride: int, width: int, height: int) -> NDArray[np.float32]:
    """Ceilings of the cells of one stride when there are only doubtful regions.

    Where they overlap, the higher.
    """
    ceilings = np.zeros((height // stride, width // stride), dtype=np.float32)
    # Negative indices would count from the other side of the map.
    corners = np.clip(doubtful.boxes / stride, 0, None).round().astype(int)
    for (left, top, right, bottom), ceiling in zip(corners, doubtful.ceilings, strict=True):
        # A region smaller than a cell still marks one.
        region = ceilings[top : max(bottom, top + 1), left : max(right, left + 1)]
        # A view: the maximum is written into the map itself.
        np.maximum(region, ceiling, out=region)
    return ceilings.ravel()


def _assign_stride(
    faces: FaceBoxes, ceilings: NDArray[np.float32], stride: int, middles: NDArray[np.float32]
) -> tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    n = len(middles)
    if len(faces) == 0:
        none = np.zeros((n, 4), dtype=np.float32), np.full((n, 10), np.nan, dtype=np.float32)
        return np.zeros(n, dtype=np.bool_), ceilings, *none
    centers = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    sizes = faces.sizes
    # The larger of both distances: the core of a face is a square.
    distance = np.abs(middles[:, None] - centers[None]).max(axis=2)
    core = np.maximum(CORE[0] * stride, CORE[1] * sizes)
    low, high = SIZES[stride]
    fits = (sizes >= low) & (sizes < high)
    # Faces a little too small or large for this stride are another stride's to name, and no
    # background here.
    nearly = (sizes >= low / NEARLY) & (sizes < high * NEARLY)
    ceilings[((distance <= core * RING) & nearly).any(axis=1)] = 1
    # In cores: the smaller of two faces that claim a cell is not drowned by the larger.
    relative = np.where((distance <= core) & fits, distance / core, np.inf)
    # Where nothing claims a cell this is the first face; `answers` keeps it from counting.
    nearest = relative.argmin(axis=1)
    answers = np.isfinite(relative.min(axis=1))
    return answers, ceilings, faces.boxes[nearest], faces.points[nearest].reshape(n, 10)


class Weights(RecipeSection):
    """The weights of the parts of the loss; the score weighs 1."""

    box: Annotated[float, Field(ge=0, description="1 − generalised intersection over union")] = 1.5
    sides: Annotated[float, Field(ge=0, description="error of the sides in sizes of the face")] = (
        2.0
    )
    landmarks: Annotated[
        float, Field(ge=0, description="error of the points in sizes of the face")
    ] = 20.0
    landmark_beta: Annotated[
        float, Field(gt=0, description="error of a point below which it counts squared")
    ] = 0.05


class DetectorLoss(nn.Module):
    """Loss of the answers for scenes of ``width`` × ``height`` pixels.

    Score: quality focal loss (Li et al. 2020, "Generalized focal loss") towards the mean of 1 and
    the intersection over union that the cell's own box reaches: that overlap alone stays low for
    small faces, however sure they are, so that no one threshold suited small and large. A cell
    without a face is drawn down to its ceiling, 0 for background, and left alone below it. Box:
    generalised intersection over union (Rezatofighi et al. 2019) and a smooth L1 of the sides.
    Landmarks: smooth L1. Distances are divided by the size of the face; all is averaged over the
    cells that answer for a face.
    """

    middles: Tensor
    strides: Tensor

    def __init__(self, width: int, height: int, weights: Weights) -> None:
        super().__init__()
        cells = list(cell_middles(width, height))
        self.register_buffer(
            "middles", torch.cat([torch.from_numpy(middles) for _, middles in cells])
        )
        self.register_buffer(
            "strides", torch.cat([torch.full((len(m), 1), float(stride)) for stride, m in cells])
        )
        self._weights = weights

    def forward(
        self,
        answers: Sequence[Tensor],
        faces: Tensor,
        ceilings: Tensor,
        boxes: Tensor,
        points: Tensor,
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Loss and its parts.

        Args:
            answers: the network's outputs, score, box, landmarks of each stride in turn, N × rows ×
                columns × numbers.
            faces, ceilings, boxes, points: stacked `Targets`: N × cells (× 4, × 10).
        """
        logits, sides, offsets = (flat(answers[kind::3]) for kind in range(3))
        # At least 1: a batch may hold no face at all.
        count = faces.sum().clamp(min=1)
        strides = self.strides.expand(len(faces), -1, -1)[faces]
        middles = self.middles.expand(len(faces), -1, -1)[faces]
        wanted = boxes[faces]
        # Errors count in sizes of the face, so that small faces matter as much as large ones.
        size = (wanted[:, 2:] - wanted[:, :2]).prod(dim=1, keepdim=True).sqrt()
        reach = sides[faces] * strides
        # The outputs are distances from the middle of the cell to the four sides, in strides.
        predicted = torch.cat([middles - reach[:, :2], middles + reach[:, 2:]], dim=1)
        overlap, generalised = overlaps(predicted, wanted)
        box = (1 - generalised).sum() / count
        side = _smooth((predicted - wanted) / size, 0.05).mean(dim=1).sum() / count
        error = (middles.repeat(1, 5) + offsets[faces] * strides - points[faces]) / size
        known = error.isfinite()
        # The nan of an unknown point is replaced before the loss: 0 × nan would still be nan.
        landmarks = _smooth(
            torch.where(known, error, 0.0), self._weights.landmark_beta
        ).sum() / known.sum().clamp(min=1)
        # Detached: the score learns how good the box is, and must not move the box.
        score = self._score(logits.squeeze(2), faces, ceilings, overlap.detach()).sum() / count
        weights = self._weights
        total = score + weights.box * box + weights.sides * side + weights.landmarks * landmarks
        figures = {
            "score": score,
            "box": box,
            "landmarks": landmarks,
            "overlap": overlap.sum() / count,
        }
        return total, {name: value.detach() for name, value in figures.items()}

    @staticmethod
    def _score(logits: Tensor, faces: Tensor, ceilings: Tensor, overlap: Tensor) -> Tensor:
        quality = ceilings.clone()
        quality[faces] = (1 + overlap.clamp(min=0.0)) / 2
        score = logits.sigmoid()
        # No weight for background below its ceiling, so a doubtful region may stay anything up to
        # there.
        weight = (score - quality).square() * (faces | (score > ceilings))
        entropy = functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
        return weight * entropy

    def doubt(self, answers: Sequence[Tensor], faces: Tensor, ceilings: Tensor) -> Tensor:
        """Return the score's part of the loss, summed over each scene (N), for perfect boxes."""
        logits = flat(answers[0::3]).squeeze(2)
        return self._score(logits, faces, ceilings, torch.ones_like(logits)[faces]).sum(dim=1)


def flat(levels: Sequence[Tensor]) -> Tensor:
    """Outputs of one kind of all strides as N × cells × numbers in float32.

    Each output is N × rows × columns × numbers.
    """
    return torch.cat([level.float().flatten(1, 2) for level in levels], dim=1)


def overlaps(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union of boxes pair by pair, plain and generalised.

    N × 4 each, ``second`` not empty.
    """
    low = torch.maximum(first[:, :2], second[:, :2])
    high = torch.minimum(first[:, 2:], second[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=1)
    area = (first[:, 2:] - first[:, :2]).clamp(min=0).prod(dim=1)
    union = (area + (second[:, 2:] - second[:, :2]).prod(dim=1) - shared).clamp(min=1e-6)
    plain = shared / union
    # The smallest box around both: what it holds beside them says how far apart boxes lie.
    hull_low = torch.minimum(first[:, :2], second[:, :2])
    hull_high = torch.maximum(first[:, 2:], second[:, 2:])
    hull = (hull_high - hull_low).clamp(min=0).prod(dim=1).clamp(min=1e-6)
    return plain, plain - (hull - union) / hull


def _smooth(error: Tensor, beta: float) -> Tensor:
    return functional.smooth_l1_loss(error, torch.zeros_like(error), beta=beta, reduction="none")


Positive = Annotated[int, Field(ge=1, le=4096)]


class DetectorNetwork(RecipeSection):
    """The shape of :class:`training.networks.face.FaceDetectorNet`."""

    width: Annotated[
        int, Field(ge=64, le=1024, multiple_of=32, description="of the input, pixels")
    ] = 256
    height: Annotated[
        int, Field(ge=64, le=1024, multiple_of=32, description="of the input, pixels")
    ] = 192
    stem: Positive = 16
    stages: Annotated[
        tuple[Positive, Positive, Positive, Positive], Field(description="at strides 4, 8, 16, 32")
    ]
    neck: Positive = 48

    def build(self) -> FaceDetectorNet:
        """Return the network, untrained."""
        return FaceDetectorNet(Widths(self.stem, *self.stages, self.neck))


class DetectorData(RecipeSection):
    """The draw of photographs: how often each comes, and how large the scenes made of them are."""

    names: Annotated[
        list[str], Field(min_length=1, description="what is learnt from, for the model card")
    ]
    scenes: Annotated[int, Field(ge=1, description="scenes in an epoch")]
    weights: Annotated[
        dict[str, float], Field(description="folder → weight of each of its pictures, else 1")
    ]
    shares: Annotated[
        dict[str, Shares],
        Field(
            default_factory=dict, description="folder → shares of its pictures that are held out"
        ),
    ]
    hardness: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="0: drawn by weight; 1: that times what they cost the start network",
        ),
    ] = 0.0
    width: Annotated[
        int, Field(ge=64, le=1024, multiple_of=32, description="of a scene, pixels")
    ] = 256
    height: Annotated[
        int, Field(ge=64, le=1024, multiple_of=32, description="of a scene, pixels")
    ] = 192


class DetectorRecipe(Recipe):
    """A recipe of kind ``face-detector``."""

    kind: Literal["face-detector"]
    teacher: Annotated[str, Field(min_length=1, description="whose answers the labels are")]
    start: Annotated[
        str | None, Field(description="run folder beside this run's whose weights are learnt on")
    ] = None
    frozen: Annotated[
        tuple[str, ...], Field(description="parts of the network that stay as they are")
    ] = ()
    false_share: Annotated[
        float, Field(gt=0, lt=1, description="largest share of false faces for the threshold")
    ]
    network: DetectorNetwork
    data: DetectorData
    composition: Composition = Composition()
    loss: Weights = Weights()


class DetectorTask:
    """Learn to find faces in scenes made of photographs.

    A :class:`training.learning.loop.TrainingTask`.
    """

    def __init__(
        self,
        recipe: DetectorRecipe,
        learn: Photographs,
        held_back: Photographs,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        scene = recipe.data
        self._recipe = recipe
        self._loss = DetectorLoss(scene.width, scene.height, recipe.loss)
        self.module: nn.Module = recipe.network.build()
        self.steps_per_epoch = scene.scenes // recipe.schedule.batch
        if start is not None:
            learn_on(self.module, start)
            learn = drawn_by_cost(learn, costs(self.module, learn, recipe), scene.hardness)
        self._learn = learn
        self._held_back = held_back
        self._composer = Composer(learn, scene.width, scene.height, recipe.composition)
        for name in recipe.frozen:
            self.module.get_submodule(name).requires_grad_(False)

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[Sequence[Tensor]]:
        """Scenes (float32 N×3×H×W) and their targets.

        Answers and ceilings N×cells, boxes N×cells×4, points N×cells×10.

        Half of a batch is the mirror image of the other: a scene takes half as long to make as to
        learn from. A thread makes the next batch while the network learns from this one.
        """
        # One draw from the generator of the epoch, so that a resumed run sees the scenes it would
        # have.
        random = np.random.default_rng(
            [int(torch.randint(2**31, (1,), generator=generator, device=generator.device)), epoch]
        )
        # One worker: two would draw from the random numbers in an order that changes from run to
        # run.
        with ThreadPoolExecutor(1) as worker:
            following = worker.submit(self._next_batch, random)
            for left in range(self.steps_per_epoch - 1, -1, -1):
                batch = following.result()
                if left:
                    following = worker.submit(self._next_batch, random)
                yield batch

    def loss(
        self, module: nn.Module, batch: Sequence[Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """See :class:`training.faces.detector.DetectorLoss`."""
        for name in self._recipe.frozen:  # nor may its batch norm drift
            self.module.get_submodule(name).eval()
        pictures, *targets = batch
        result: tuple[Tensor, Mapping[str, Tensor]] = self._loss.to(pictures.device)(
            module(pictures), *targets
        )
        return result

    def validate(self, module: nn.Module) -> Mapping[str, float]:
        """Recall, false share and landmark error on whole photographs at a score of 0.5."""
        evaluation = evaluate_detections(
            predict(module, self._held_back.pictures, self._recipe.network), self._held_back.faces
        )
        return evaluation.at(0.5).figures()

    def _next_batch(self, random: np.random.Generator) -> Sequence[Tensor]:
        scene = self._recipe.data
        batch = self._recipe.schedule.batch
        # Rounded up: with an odd batch one scene comes without its mirror image.
        numbers = random.choice(len(self._learn), (batch + 1) // 2, p=self._learn.weights)
        scenes = [self._composer.scene(int(number), random) for number in numbers]
        scenes += [
            (picture[:, ::-1], faces.mirror(scene.width)) for picture, faces in scenes[: batch // 2]
        ]
        targets = [assign(faces, scene.width, scene.height) for _, faces in scenes]
        # BGR to RGB, which the network takes.
        pictures = np.stack([picture[:, :, ::-1] for picture, _ in scenes])
        return as_input(pictures), *(
            torch.from_numpy(np.stack([getattr(t, name) for t in targets]))
            for name in Targets.__dataclass_fields__
        )


def costs(module: nn.Module, learn: Photographs, recipe: DetectorRecipe) -> NDArray[np.float64]:
    """Return the loss of a network's scores on each photograph, shown as a whole.

    Missed faces, false ones and doubts count.
    """
    network = recipe.network
    smallest = recipe.composition.smallest
    loss = DetectorLoss(network.width, network.height, recipe.loss)
    module.eval()
    costs_of_chunks: list[Tensor] = []
    # In chunks, for all photographs at once would not fit in memory.
    for start in range(0, len(learn), 32):
        pixels = []
        targets = []
        for picture, faces in zip(
            learn.pictures[start : start + 32], learn.faces[start : start + 32], strict=True
        ):
            seen, scale = letterbox(picture, network.width, network.height)
            pixels.append(seen)
            shown = faces.move(np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]]))
            targets.append(assign(shown.without_small(smallest), network.width, network.height))
        answers, ceilings = (
            # Boxes and points are left out: `doubt` asks for scores alone.
            torch.from_numpy(np.stack([getattr(t, name) for t in targets]))
            for name in ("answers", "ceilings")
        )
        with torch.no_grad():
            costs_of_chunks.append(
                loss.doubt(module(as_input(np.stack(pixels))), answers, ceilings)
            )
    module.train()
    return torch.cat(costs_of_chunks).double().numpy()


def drawn_by_cost(learn: Photographs, cost: NDArray[np.float64], hardness: float) -> Photographs:
    """Photographs drawn by weight and cost.

    None more than five times as often as by weight, or less than a fifth.
    """
    # Costs are compared with their mean as drawn now, so that the sum of the weights stays about
    # one.
    share = np.clip(cost / max(float((cost * learn.weights).sum()), 1e-9), 0.2, 5.0) ** hardness
    weights = learn.weights * share
    return replace(learn, weights=weights / weights.sum())


def predict(
    module: nn.Module, pictures: Sequence[Picture], network: DetectorNetwork
) -> list[Candidates]:
    """Detections of a network, float32, at a low threshold, in pixels of whole photographs.

    The photographs are BGR.
    """
    detections = []
    for start in range(0, len(pictures), 32):
        boxed = [
            letterbox(picture, network.width, network.height)
            for picture in pictures[start : start + 32]
        ]
        with torch.no_grad():
            inputs = as_input(np.stack([pixels for pixels, _ in boxed]))
            answers = module(inputs.to(place_of(module)))
        for i, (_, scale) in enumerate(boxed):
            outputs = {
                # One at a time: the agent's decoding takes a single picture.
                name: answer[i : i + 1].cpu().numpy()
                for name, answer in zip(OUTPUTS, answers, strict=True)
            }
            detections.append(in_picture(merge(decode(outputs, LOW)), scale))
    return detections


def in_picture(detected: Candidates, scale: float) -> Candidates:
    """Detections in pixels of a picture that was scaled by ``scale`` for the network."""
    return Candidates(
        detected.scores, detected.boxes / np.float32(scale), detected.points / np.float32(scale)
    )


def as_input(pictures: NDArray[np.uint8]) -> Tensor:
    """uint8 N × height × width × 3 → what the network sees, float32 N × 3 × height × width."""
    return torch.from_numpy(pictures).float().mul_(SCALE).add_(OFFSET).permute(0, 3, 1, 2)
