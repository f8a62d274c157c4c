"""What the detector is punished for, and the shapes of its network."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from edge_agent.core.expression import Box
from edge_agent.vision.faces.detector import STRIDES
from training.errors import DataError
from training.faces.detector import (
    DetectorLoss,
    DetectorRecipe,
    DetectorTask,
    Targets,
    Weights,
    assign,
    costs,
)
from training.faces.labelling import LabelledFace, LabelledPicture
from training.faces.photographs import FaceBoxes, Photographs
from training.faces.scenes import Composer, Composition
from training.learning.recipe import load_recipe
from training.networks.face import OUTPUTS

POINTS = ((14.0, 18.0), (26.0, 18.0), (20.0, 25.0), (15.0, 32.0), (25.0, 32.0))


def faces(*boxes: tuple[float, float, float, float], ignored: int = 0) -> FaceBoxes:
    """Faces: x, y, width, height; the last ones are ignored regions."""
    labels = [
        LabelledFace(Box(*box), POINTS, i >= len(boxes) - ignored) for i, box in enumerate(boxes)
    ]
    return FaceBoxes.of(labels)


def perfect(targets_of: FaceBoxes) -> tuple[list[torch.Tensor], tuple[torch.Tensor, ...]]:
    """Outputs of a network for 256 × 192 that say just what they should, and the targets."""
    targets = assign(targets_of, 256, 192)
    answers, ceilings, boxes, points = (
        torch.from_numpy(getattr(targets, name))[None] for name in Targets.__dataclass_fields__
    )
    outputs: list[torch.Tensor] = []
    start = 0
    for stride in STRIDES:
        rows = 192 // stride
        columns = 256 // stride
        part = slice(start, start := start + rows * columns)
        ys, xs = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        middle = torch.stack([xs.flatten(), ys.flatten()], dim=1).add(0.5).mul(stride)[None]
        box = boxes[:, part]
        sides = torch.cat([middle - box[..., :2], box[..., 2:] - middle], dim=2) / stride
        offsets = (points[:, part] - middle.repeat(1, 1, 5)).nan_to_num() / stride
        logits = torch.where(answers[:, part], 12.0, -12.0)[..., None]
        outputs += [v.reshape(1, rows, columns, -1) for v in (logits, sides, offsets)]
    return outputs, (answers, ceilings, boxes, points)


def test_perfect_answers_cost_nothing_and_every_error_costs_something() -> None:
    answers, targets = perfect(
        faces((10, 10, 20, 30), (100, 40, 120, 110), (30, 100, 60, 60), ignored=1)
    )
    loss = DetectorLoss(256, 192, Weights())
    assert float(loss(answers, *targets)[0]) < 1e-3
    for changed in range(9):
        worse = [answer - 20.0 if i == changed else answer for i, answer in enumerate(answers)]
        total, figures = loss(worse, *targets)
        assert float(total) > 0.05, OUTPUTS[changed]
        assert set(figures) == {"score", "box", "landmarks", "overlap"}


def test_a_doubtful_region_costs_only_above_its_ceiling() -> None:
    doubtful = LabelledFace(Box(64, 64, 32, 32), None, ignore=True, ceiling=0.25)
    loss = DetectorLoss(256, 192, Weights())

    def cost(logit: float) -> float:
        answers, targets = perfect(FaceBoxes.of([doubtful]))
        region = targets[1][:, : 24 * 32].reshape(1, 24, 32, 1) > 0
        answers[0] = torch.where(region, logit, answers[0])
        return float(loss(answers, *targets)[0])

    assert cost(-12.0) == cost(-1.2) == pytest.approx(0, abs=1e-3)
    assert 0.1 < cost(0.0) < cost(2.0)


RECIPE = Path(__file__).resolve().parents[4] / "training" / "recipes" / "face-detector.toml"


FROZEN_POINTS = ((44.0, 40.0), (58.0, 40.0), (51.0, 47.0), (45.0, 54.0), (57.0, 54.0))


def test_frozen_parts_stay_and_the_others_learn() -> None:
    random = np.random.default_rng(2)
    pictures = [random.integers(0, 256, (96, 128, 3), dtype=np.uint8) for _ in range(4)]
    faces = [FaceBoxes.of([LabelledFace(Box(36, 28, 30, 34), FROZEN_POINTS)]) for _ in pictures]
    photographs = Photographs(pictures, faces, np.full(4, 0.25))
    recipe = load_recipe(RECIPE, DetectorRecipe)
    recipe = recipe.model_copy(
        update={
            "frozen": ("stem", "stage4", "stage8", "heads.1.shared"),
            "data": recipe.data.model_copy(update={"scenes": 16}),
            "schedule": recipe.schedule.model_copy(update={"batch": 8}),
        }
    )
    task = DetectorTask(recipe, photographs, photographs)
    before = {name: value.clone() for name, value in task.module.state_dict().items()}
    learnt = [p for p in task.module.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learnt, 0.1)
    task.module.train()
    for batch in task.batches(0, torch.Generator().manual_seed(1)):
        optimizer.zero_grad()
        task.loss(task.module, batch)[0].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    changed = {
        name
        for name, value in task.module.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert not [name for name in changed if name.startswith(recipe.frozen)]
    assert {
        "stage16.0.0.weight",
        "stage16.0.1.running_mean",
        "heads.1.points.0.0.0.weight",
    } <= changed


def photographs(*faces: tuple[LabelledFace, ...]) -> Photographs:
    pictures = [np.full((96, 128, 3), 90, dtype=np.uint8)] * len(faces)
    return Photographs(
        pictures, [FaceBoxes.of(each) for each in faces], np.full(len(faces), 1 / len(faces))
    )


def test_missed_faces_cost_and_doubtful_regions_do_not() -> None:
    recipe = load_recipe(RECIPE, DetectorRecipe)
    face = LabelledFace(Box(40, 30, 30, 30), None)
    tiny = LabelledFace(Box(40, 30, 3, 3), None)
    doubtful = LabelledFace(Box(40, 30, 30, 30), None, ignore=True, ceiling=0.5)
    untrained = recipe.network.build()
    nothing, one, two, doubt, small = costs(
        untrained,
        photographs(
            (), (face,), (face, LabelledFace(Box(80, 10, 30, 30), None)), (doubtful,), (tiny,)
        ),
        recipe,
    )
    assert doubt < nothing
    assert small <= nothing < 0.1 * one < 0.1 * two
    assert untrained.training


SCENE_POINTS = ((24.0, 28.0), (36.0, 28.0), (30.0, 35.0), (25.0, 42.0), (35.0, 42.0))


QUIET = Composition(grid=0, over_photograph=0, faceless=0, gray=0, light=0, blur=0, noise=0, jpeg=0)


def face(x: float, y: float, width: float, height: float, *, ignore: bool = False) -> LabelledFace:
    return LabelledFace(Box(x, y, width, height), None if ignore else SCENE_POINTS, ignore)


def photograph() -> npt.NDArray[np.uint8]:
    """A dark picture of 60 × 80 with a bright face and a red spot on its first eye.

    The face reaches from 18, 20 to 42, 48.
    """
    picture = np.full((80, 60, 3), 40, dtype=np.uint8)
    picture[20:48, 18:42] = 200
    picture[26:30, 22:26] = (0, 0, 255)
    return picture


def bright_faces(count: int = 1) -> Photographs:
    faces = FaceBoxes.of([face(18, 20, 24, 28)])
    return Photographs([photograph()] * count, [faces] * count, np.full(count, 1 / count))


def test_face_cut_by_the_edge_is_kept_or_ignored_by_its_visible_part() -> None:
    faces = FaceBoxes.of([face(-2, 0, 10, 10), face(-6, 0, 10, 10), face(-9, 0, 10, 10)])
    within = faces.within(0, 0, 100, 100)
    assert within.ignore.tolist() == [False, True]
    assert within.boxes[0].tolist() == [-2, 0, 8, 10]
    assert within.boxes[1].tolist() == [0, 0, 4, 10]


def red_spot(
    scene: npt.NDArray[np.uint8], box: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64] | None:
    """Middle of the red pixels within a box, or nothing where there are few."""
    left, top, right, bottom = np.clip(box, 0, (256, 192, 256, 192)).astype(int)
    part = scene[top:bottom, left:right].astype(int)
    spots = np.argwhere((part[:, :, 2] > 150) & (part[:, :, :2] < 80).all(axis=2))
    return None if len(spots) < 4 else np.asarray(spots.mean(axis=0)[::-1] + 0.5 + (left, top))


def test_the_label_of_a_scene_lies_on_the_face_whatever_was_drawn() -> None:
    composer = Composer(bright_faces(), 256, 192, QUIET)
    random = np.random.default_rng(5)
    checked = 0
    for _ in range(60):
        scene, faces = composer.scene(0, random)
        assert scene.shape == (192, 256, 3)
        for box, points in zip(
            faces.boxes[~faces.ignore], faces.points[~faces.ignore], strict=True
        ):
            place = red_spot(scene, box)
            if place is not None:
                nearest = min(math.dist(place, eye) for eye in points[:2])
                assert nearest < max(0.08 * (box[2] - box[0]), 1.0)
                checked += 1
    assert checked > 25


def test_doubtful_regions_have_a_ceiling_and_an_empty_scene_is_background() -> None:
    doubtful = LabelledFace(Box(96, 96, 64, 64), None, ignore=True, ceiling=0.25)
    targets = assign(FaceBoxes.of([face(64, 64, 64, 64, ignore=True), doubtful]), 256, 192)
    assert not targets.answers.any()
    fine = targets.ceilings[: 24 * 32].reshape(24, 32)
    assert (fine[8:16, 8:16] == 1).all(), "the higher one where two overlap"
    assert (fine == 1).sum() == 64
    assert (fine == 0.25).sum() == 64 - 16
    assert not assign(FaceBoxes.of([]), 256, 192).ceilings.any()


def test_a_part_without_pictures_and_weights_that_leave_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pictures of a part"):
        Photographs.load(tmp_path, [], {})
    with pytest.raises(DataError, match=r"data\.weights"):
        Photographs.load(tmp_path, [LabelledPicture("p/a.png", "train", ())], {"p": 0.0})
