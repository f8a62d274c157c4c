"""Recipe, task and card of the network that reads movements, pose and look (``face-movements``).

It learns the answers of another network, MediaPipe's face landmarker, which sees each face in
colour and large (:mod:`training.expression.movement_faces` cuts the faces,
``training/expression/movement_labels.py`` asks the teacher). What it then finds is an estimate of
what the teacher would say.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from edge_agent.core.movements import LOOK, MOVEMENTS, NAMES, POSE
from edge_agent.vision.align import CROP_NAME
from edge_agent.vision.models.card import ModelCard
from edge_agent.vision.models.model import load_model
from edge_agent.vision.movements import MovementsReader
from training.errors import DataError, write_whole
from training.expression.augment import Augmentation, augment
from training.learning.checkpoint import averaged_weights, learn_on, save_weights
from training.learning.kinds import SMALL_EPOCHS, SMALL_PICTURES, FitRequest, TrainingPlan
from training.learning.loop import Fitted
from training.learning.precision import place_of
from training.learning.recipe import Recipe, RecipeSection, load_recipe
from training.networks.architectures import ResidualShape
from training.networks.face import FaceMovementsNet
from training.networks.quantize import PixelInput, in_few_steps, write_model

log = logging.getLogger(__name__)

FILE = "faces.npz"
ANSWERS = "answers.npz"
PARTS = ("train", "valid", "test")
SCALE = 2 / 255
OFFSET = -1.0
"""The network sees pixel × scale + offset."""

HEADS = {"movements": MOVEMENTS, "pose": POSE, "look": LOOK}
SIZES = {name: len(labels) for name, labels in HEADS.items()}
_MIRRORED = np.array(
    [-1.0 if name in ("yaw", "roll", "look_x") else 1.0 for name in NAMES], np.float32
)
"""What a mirrored face answers: movements are means of left and right and stay."""
_POSE = [NAMES.index(name) for name in POSE]
_LEAST_DEVIATION = 0.02
"""A movement that the teacher hardly ever sees is not blown up to the size of the others."""
VARIES = 0.1
"""Least standard deviation of a movement whose correlation counts."""
_BEND = 0.5
"""Error of an angle or of the look, in standard deviations, from which the loss grows linearly
(Huber 1964)."""
_MOVEMENT_BEND = 4.0
"""The same of a movement. A movement is rare: a loss that grows linearly early asks for the median,
which is rest, and the strong movements come out faint."""
SLOPE = 0.9
"""Least slope against the teacher, on the faces that are watched, to which a movement is
stretched."""
_MOST_STRETCH = 3.0
"""Beyond that it would be noise that is stretched."""

CALIBRATION_PICTURES = 400
_CHUNK = 512

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MovementFaces:
    """Faces with the teacher's answers.

    Attributes:
        pixels: uint8, N × 48 × 48, gray.
        answers: float32, N × 21, in the order of ``NAMES``; the roll is that of the crop.
        part: int8, N: index into ``PARTS``.
        source: text, N: ``fer2013``, ``lfw``, ``net`` or ``portraits``.
        angle: float32, N: degrees by which each crop was turned to be upright.
    """

    pixels: NDArray[np.uint8]
    answers: Values
    part: NDArray[np.int8]
    source: NDArray[np.str_]
    angle: Values

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> MovementFaces:
        """Return the faces at a mask or at indices."""
        return MovementFaces(*(getattr(self, name)[chosen] for name in MovementFaces.__slots__))

    def of_part(self, part: str) -> MovementFaces:
        """Return the faces of one part."""
        return self.take(self.part == PARTS.index(part))


def load_movement_faces(folder: Path) -> MovementFaces:
    """Read the faces that were cut and labelled; those in which the teacher saw none are left out.

    Raises:
        DataError: a file is missing or is not of that form.
    """
    try:
        with np.load(folder / FILE) as faces, np.load(folder / ANSWERS) as answers:
            pose = answers["pose"].astype(np.float32)
            # The crop was turned upright: in it the roll is what the face has beyond that.
            pose[:, 2] += faces["angle"]
            columns = np.concatenate([answers["movements"], pose, answers["look"]], axis=1)
            everything = MovementFaces(
                faces["pixels"],
                columns.astype(np.float32),
                faces["part"],
                faces["source"],
                faces["angle"],
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{folder}: holds no faces with movements that can be read ({error}); cut them with "
            "python -m training.expression.movement_faces and let the teacher answer with "
            "training/expression/movement_labels.py"
        ) from error
    known = everything.take(np.asarray(np.isfinite(everything.answers).all(axis=1)))
    log.info("%d faces; the teacher saw none in %d", len(known), len(everything) - len(known))
    return known


def half_size_agreement(folder: Path) -> dict[str, float]:
    """Return how the teacher agrees with itself on the same photographs at half the size.

    Returns:
        figures as :func:`figures` gives them; none when it was not asked.
    """
    with np.load(folder / FILE) as faces, np.load(folder / ANSWERS) as answers:
        if "half_rows" not in answers:
            return {}
        rows = answers["half_rows"]
        columns = [("movements", "half_movements"), ("pose", "half_pose"), ("look", "half_look")]
        whole = np.concatenate([answers[name][rows] for name, _ in columns], axis=1)
        half = np.concatenate([answers[name] for _, name in columns], axis=1)
        held_out = faces["part"][rows] == PARTS.index("test")
    known = held_out & np.isfinite(whole).all(axis=1) & np.isfinite(half).all(axis=1)
    return figures(half[known], whole[known])


class MovementNetwork(ResidualShape):
    """The shape of :class:`training.networks.face.FaceMovementsNet`."""

    architecture: Literal["face-movements"] = "face-movements"

    def build(self, heads: Mapping[str, int]) -> FaceMovementsNet:
        """Return the network with its outputs (size by name), untrained."""
        return FaceMovementsNet(
            self.widths, self.blocks, self.strides, heads, self.edge, self.dropout
        )


class MovementData(RecipeSection):
    """The faces of an epoch."""

    names: Annotated[
        list[str], Field(min_length=1, description="what is learnt from, for the model card")
    ]
    faces: Annotated[int, Field(ge=2, description="faces in an epoch")]
    weights: Annotated[
        dict[str, float], Field(description="source → how often its faces are drawn, together")
    ]


class MovementRecipe(Recipe):
    """A recipe of kind ``face-movements``."""

    kind: Literal["face-movements"]
    start: Annotated[
        str | None, Field(description="run folder beside this run's whose weights are learnt on")
    ] = None
    pose_weight: Annotated[
        float, Field(gt=0, le=100, description="weight of an angle's error; a movement's is 1")
    ] = 2.0
    network: MovementNetwork
    data: MovementData
    augmentation: Augmentation

    @model_validator(mode="after")
    def _answers_stay_right(self) -> MovementRecipe:
        how = self.augmentation
        if how.flip or how.roll or how.mix:
            raise ValueError(
                f"augmentation: flip = {how.flip}, roll = {how.roll} and mix = {how.mix} must be "
                "0: they would change the answers (half of the faces are mirrored with theirs)"
            )
        return self


class MovementTask:
    """Learn the teacher's answers, each in units of its standard deviation.

    Args:
        recipe: the recipe.
        learn: the training set.
        held_back: the validation set, checked after each epoch.
        start: weights to learn on, where name and shape are the network's own.
    """

    def __init__(
        self,
        recipe: MovementRecipe,
        learn: MovementFaces,
        held_back: MovementFaces,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._recipe = recipe
        self._learn = learn
        self._held_back = held_back
        self._chance = _chances(learn, recipe.data.weights)
        torch.manual_seed(recipe.seed)  # of the first weights; every epoch has a seed of its own
        network = recipe.network.build(SIZES)
        if start is not None:
            learn_on(network, start)
        deviation = learn.answers.std(axis=0).clip(min=_LEAST_DEVIATION)
        network.standardise(
            torch.from_numpy(learn.answers.mean(axis=0)), torch.from_numpy(deviation)
        )
        self.module: nn.Module = network
        weight = torch.ones(len(NAMES))
        weight[_POSE] = recipe.pose_weight
        # Errors are divided by the deviation, and angles weigh more.
        self._weight = weight / torch.from_numpy(deviation)
        self.steps_per_epoch = recipe.data.faces // recipe.schedule.batch

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[Sequence[Tensor]]:
        """Crops (float32 N × 1 × 48 × 48, as the network sees them) and answers (N × 21)."""
        device = generator.device
        random = np.random.default_rng(
            [int(torch.randint(2**31, (1,), generator=generator, device=device)), epoch]
        )
        size = self._recipe.schedule.batch
        signs = torch.from_numpy(_MIRRORED).to(device)
        for _ in range(self.steps_per_epoch):
            chosen = random.choice(len(self._learn), size, p=self._chance)
            pixels = torch.from_numpy(self._learn.pixels[chosen]).unsqueeze(1).to(device)
            answers = torch.from_numpy(self._learn.answers[chosen]).to(device)
            mirrored = torch.rand(size, generator=generator, device=device) < 0.5
            pixels = torch.where(mirrored.view(-1, 1, 1, 1), pixels.flip(-1), pixels)
            # Answers of left and right change their sign with the picture.
            answers = torch.where(mirrored.view(-1, 1), answers * signs, answers)
            changed = augment(pixels.float() / 255, self._recipe.augmentation, generator)
            yield as_input(changed), answers

    def loss(
        self, module: nn.Module, batch: Sequence[Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Huber's loss of each answer, in standard deviations; angles weigh more."""
        pixels, answers = batch
        given = torch.cat([head.float() for head in module(pixels)], dim=1)
        weight = self._weight.to(given.device)
        error = (given - answers) * weight
        none = torch.zeros_like(error)
        count = len(MOVEMENTS)
        moved = functional.huber_loss(error[:, :count], none[:, :count], delta=_MOVEMENT_BEND)
        turned = functional.smooth_l1_loss(error[:, count:], none[:, count:], beta=_BEND)
        each = (count * moved + (len(NAMES) - count) * turned) / len(NAMES)
        return each, {"angle": (given - answers)[:, _POSE].abs().mean().detach()}

    def validate(self, module: nn.Module) -> Mapping[str, float]:
        """Return the mean and least correlation of what varies, and the angles' mean error."""
        measures = figures(predict(module, self._held_back.pixels), self._held_back.answers)
        return {
            "correlation": measures["correlation, mean"],
            "least": measures["correlation, least"],
            "slope": measures["slope, least"],
            "degrees": float(
                np.mean([measures[f"{name}, mean error in degrees"] for name in POSE])
            ),
        }


def as_input(crops: Tensor) -> Tensor:
    """N × 1 × H × W, 0…1 → what the network sees."""
    return crops * (255 * SCALE) + OFFSET


def _chances(faces: MovementFaces, weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Return how often each face is drawn: its source's weight, shared out evenly; sums to 1."""
    chance = np.zeros(len(faces))
    for source, weight in weights.items():
        chosen = np.asarray(faces.source == source)
        if not chosen.any():
            known = ", ".join(sorted(set(faces.source.tolist())))
            raise DataError(f"data.weights: there are no faces of {source!r}; there are {known}")
        chance[chosen] = weight / chosen.sum()
    of_all: NDArray[np.float64] = chance / chance.sum()
    return of_all


def predict(module: nn.Module, crops: NDArray[np.uint8]) -> Values:
    """Return the answers for uint8 N × 48 × 48 crops: float32 N × 21, in the order of ``NAMES``."""
    module.eval()
    answers = []
    with torch.no_grad():
        for chunk in torch.split(torch.from_numpy(crops).unsqueeze(1), _CHUNK):
            seen = as_input(chunk.to(place_of(module)).float() / 255)
            answers.append(torch.cat([head.float() for head in module(seen)], dim=1).cpu().numpy())
    return np.concatenate(answers)


def figures(given: Values, truth: Values) -> dict[str, float]:
    """Compare answers with the teacher's.

    Args:
        given: N × 21, in the order of ``NAMES``.
        truth: the teacher's, likewise.

    Returns:
        the correlation (Pearson's r) of each movement that varies by ``VARIES`` or more, their mean
        and least; the slope of each movement (by how much our answer rises where the teacher's
        rises by 1) and the least; correlation and mean absolute error of each angle, in degrees;
        the correlation of the look.
    """
    measures: dict[str, float] = {"faces": len(given)}
    columns = {name: (given[:, place], truth[:, place]) for place, name in enumerate(NAMES)}
    # The correlation of something that hardly varies is chance.
    varying = [name for name in MOVEMENTS if columns[name][1].std() >= VARIES]
    strengths = {name: _correlation(*columns[name]) for name in varying}
    if strengths:
        measures["correlation, mean"] = round(float(np.mean(list(strengths.values()))), 4)
        measures["correlation, least"] = min(strengths.values())
    measures |= {f"{name}, correlation": value for name, value in strengths.items()}
    slopes = {name: slope(*columns[name]) for name in MOVEMENTS if columns[name][1].std() > 0}
    if slopes:
        measures["slope, least"] = min(slopes.values())
    measures |= {f"{name}, slope": value for name, value in slopes.items()}
    for name in POSE:
        ours, theirs = columns[name]
        measures[f"{name}, correlation"] = _correlation(ours, theirs)
        measures[f"{name}, mean error in degrees"] = round(float(np.abs(ours - theirs).mean()), 2)
    measures |= {f"{name}, correlation": _correlation(*columns[name]) for name in LOOK}
    return measures


def _correlation(ours: Values, theirs: Values) -> float:
    # Pearson's r of a constant is not defined.
    if ours.std() == 0 or theirs.std() == 0:
        return 0.0
    return round(float(np.corrcoef(ours, theirs)[0, 1]), 4)


def slope(ours: Values, theirs: Values) -> float:
    """Return by how much our answer rises where the teacher's rises by 1 (least squares)."""
    about = theirs - theirs.mean(dtype=np.float64)
    return round(float((about * ours).sum(dtype=np.float64) / (about**2).sum()), 4)


def stretches(given: Values, truth: Values) -> Values:
    """Return by how much to stretch each movement about its mean, so that its slope is ``SLOPE``.

    A network that is taught rare, strong movements answers them too faintly, since its answer is
    a mean over all faces that look alike.

    Args:
        given: the network's answers, N × 21, as it gives them.
        truth: the teacher's, likewise.

    Returns:
        float32, 16: 1 where the slope is as large already, and 3 at most.
    """
    factors = np.ones(len(MOVEMENTS), np.float32)
    steps = np.linspace(1.0, _MOST_STRETCH, 201, dtype=np.float32)
    for place in range(len(MOVEMENTS)):
        ours, theirs = given[:, place], truth[:, place]
        if theirs.std() == 0:
            continue
        mean = ours.mean()
        for factor in steps:
            factors[place] = factor
            # The agent cuts answers off at 0 and 1, which takes a part of the slope.
            if slope((mean + factor * (ours - mean)).clip(0, 1), theirs) >= SLOPE:
                break
    return factors


def plan_movements(request: FitRequest) -> TrainingPlan:
    """Make ready what ``request.recipe`` describes; publishing writes into ``request.out``.

    Raises:
        RecipeError: when the recipe cannot be used.
        DataError: when the faces cannot.
    """
    recipe = load_recipe(request.recipe, MovementRecipe)
    faces = load_movement_faces(request.data)
    if request.small:
        recipe, faces = _small(recipe, faces)
    parts = {part: faces.of_part(part) for part in PARTS}
    for part, chosen in parts.items():
        if len(chosen) < 2:
            raise DataError(f"{request.data}: the part {part} has {len(chosen)} faces; it needs 2")
    log.info("learning from %d faces, %d held back", len(parts["train"]), len(parts["valid"]))
    cv2.setNumThreads(1)

    def publish(fitted: Fitted) -> Path:
        _stretch(fitted.module, parts["valid"])
        save_weights(fitted.module, request.out)
        path = _write(fitted, recipe, request, parts["train"])
        model = load_model(path, kind="face-movements")
        metrics = evaluate(MovementsReader(model), parts["test"])
        # The angles are those in the picture, because the agent reports the roll there.
        tested = parts["test"]
        metrics["test, float"] = figures(
            in_picture(predict(fitted.module, tested.pixels), tested.angle),
            in_picture(tested.answers, tested.angle),
        )
        agreement = half_size_agreement(request.data)
        if agreement:
            metrics["teacher at half the size"] = agreement
        card = model.card.model_copy(update={"metrics": metrics})
        write_whole(path, card.to_json().encode())
        return path

    start = None
    # A finished run has its weights already.
    if recipe.start is not None and not request.finished:
        start = averaged_weights(request.run_folder(recipe.start))
    task = MovementTask(recipe, parts["train"], parts["valid"], start)
    return TrainingPlan(task, recipe.schedule, recipe.seed, publish)


def _stretch(module: nn.Module, watched: MovementFaces) -> None:
    """Stretch each movement of the trained network (:func:`stretches`).

    Once more does not change it.
    """
    assert isinstance(module, FaceMovementsNet)  # plan_movements built it
    given = predict(module, watched.pixels)
    factors = stretches(given, watched.answers)
    mean = given[:, : len(MOVEMENTS)].mean(axis=0)
    module.stretch("movements", torch.from_numpy(factors), torch.from_numpy(mean))
    told = zip(MOVEMENTS, factors.tolist(), strict=True)
    log.info("stretched: %s", ", ".join(f"{name} × {by:.2f}" for name, by in told if by > 1))


def in_picture(answers: Values, angle: Values) -> Values:
    """Return answers (N × 21) with the roll in the picture instead of that in the crop."""
    moved = answers.copy()
    moved[:, NAMES.index("roll")] -= angle
    return moved


def evaluate(reader: MovementsReader, faces: MovementFaces) -> dict[str, dict[str, float]]:
    """Return the figures of a model on faces, as the agent reads them: all, and of each source.

    The roll is that in the picture, from which the crop was turned.
    """
    given = np.array(
        [
            reader.read(crop, angle=angle).values
            for crop, angle in zip(faces.pixels, faces.angle.tolist(), strict=True)
        ],
        dtype=np.float32,
    )
    truth = in_picture(faces.answers, faces.angle)
    measures = {"test": figures(given, truth)}
    for source in sorted(set(faces.source.tolist())):
        chosen = faces.source == source
        if chosen.sum() > 1:
            measures[f"test, {source}"] = figures(given[chosen], truth[chosen])
    return measures


def evaluation_text(card: ModelCard, measures: Mapping[str, Mapping[str, float]]) -> str:
    """Return the figures as a table: a row for each figure, a column for each split."""
    splits = list(measures)
    names = list(dict.fromkeys(name for figures in measures.values() for name in figures))
    width = max(map(len, names))
    widths = [max(len(split), 8) for split in splits]
    head = "  ".join(f"{split:>{size}}" for split, size in zip(splits, widths, strict=True))
    lines = [f"{card.name} {card.version}", f"{'':{width}}  {head}"]
    for name in names:
        values = [measures[split].get(name) for split in splits]
        shown = ["–" if value is None else f"{value:g}" for value in values]
        row = "  ".join(f"{text:>{size}}" for text, size in zip(shown, widths, strict=True))
        lines.append(f"{name:{width}}  {row}")
    return "\n".join(lines) + "\n"


def _write(
    fitted: Fitted, recipe: MovementRecipe, request: FitRequest, learn: MovementFaces
) -> Path:
    assert isinstance(fitted.module, FaceMovementsNet)  # plan_movements built it
    order = np.random.default_rng(recipe.seed).permutation(len(learn))[:CALIBRATION_PICTURES]
    hours = round(fitted.seconds / 3600, 2)
    card = request.card(
        recipe,
        fitted,
        recipe.data.names,
        hours=hours,
        watts=request.watts,
        teacher="MediaPipe face landmarker",
    )
    edge = recipe.network.edge
    pixels = PixelInput(edge, edge, 1, scale=SCALE, offset=OFFSET)
    seen = learn.pixels[order]
    return write_model(
        # The export has no step that scales answers: it is folded into the last layer.
        in_few_steps(fitted.module.fold(), pixels, seen, recipe.filter_step),
        pixels,
        HEADS,
        calibration=seen,
        card={**card, "crop": CROP_NAME},
        folder=request.out,
    )


def _small(recipe: MovementRecipe, faces: MovementFaces) -> tuple[MovementRecipe, MovementFaces]:
    """Few faces of each part and source and few steps, for trying whether everything works."""
    sources = sorted(set(faces.source.tolist()))
    chosen = [
        np.flatnonzero((faces.part == part) & (faces.source == source))[
            : SMALL_PICTURES // len(sources)
        ]
        for part in range(len(PARTS))
        for source in sources
    ]
    batch = min(recipe.schedule.batch, 16)
    schedule = recipe.schedule.model_copy(update={"epochs": SMALL_EPOCHS, "batch": batch})
    data = recipe.data.model_copy(update={"faces": 2 * batch})
    small = recipe.model_copy(update={"schedule": schedule, "data": data})
    return small, faces.take(np.concatenate(chosen))
