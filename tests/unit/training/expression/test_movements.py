"""Movements: what the network learns, what a recipe may say, and how figures are computed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edge_agent.core.movements import MOVEMENTS, NAMES
from tests.support.vision.portraits import detector, smiling
from training.errors import DataError, RecipeError
from training.expression.movement_faces import part_of, photographs, region
from training.expression.movements import (
    ANSWERS,
    FILE,
    SLOPE,
    MovementFaces,
    MovementRecipe,
    MovementTask,
    figures,
    half_size_agreement,
    in_picture,
    load_movement_faces,
    slope,
    stretches,
)
from training.learning.recipe import load_recipe
from training.networks.face import FaceMovementsNet

RECIPE = Path(__file__).resolve().parents[4] / "training" / "recipes" / "face-movements.toml"


def made_faces(count: int = 64) -> MovementFaces:
    """Crops whose brightness is the smile and whose slope from left to right is the yaw."""
    random = np.random.default_rng(3)
    smile = random.random(count)
    yaw = random.uniform(-1, 1, count)
    slope = np.linspace(-60, 60, 48)
    pixels = 80 + 90 * smile[:, None, None] + (yaw[:, None] * slope)[:, None, :]
    answers = np.zeros((count, len(NAMES)), np.float32)
    answers[:, NAMES.index("smile")] = smile
    answers[:, NAMES.index("yaw")] = 40 * yaw
    whole = np.repeat(pixels, 48, axis=1).clip(0, 255).astype(np.uint8)
    none = np.zeros(count, np.float32)
    return MovementFaces(whole, answers, none.astype(np.int8), np.full(count, "lfw"), none)


def recipe() -> MovementRecipe:
    given = load_recipe(RECIPE, MovementRecipe)
    network = given.network.model_copy(
        update={"widths": (4, 8), "blocks": (1,), "strides": (2,), "dropout": 0.0}
    )
    data = given.data.model_copy(update={"faces": 64, "weights": {"lfw": 1.0}})
    schedule = given.schedule.model_copy(update={"batch": 32})
    return given.model_copy(update={"network": network, "data": data, "schedule": schedule})


def test_a_mirrored_face_is_learnt_with_mirrored_answers() -> None:
    task = MovementTask(recipe(), made_faces(), made_faces(8))
    (pixels, answers), *_ = task.batches(0, torch.Generator().manual_seed(1))
    slope = (pixels[..., 30:].mean((1, 2, 3)) - pixels[..., :18].mean((1, 2, 3))).numpy()
    yaw = answers[:, NAMES.index("yaw")].numpy()
    told = np.abs(yaw) > 8
    assert (np.sign(slope[told]) == np.sign(yaw[told])).all()
    assert {-1.0, 1.0} == set(np.sign(yaw[told]).tolist())


def test_the_loss_counts_every_answer_in_its_own_standard_deviation() -> None:
    task = MovementTask(recipe(), made_faces(), made_faces(8))
    pixels, answers = next(task.batches(0, torch.Generator().manual_seed(1)))

    class Wrong(torch.nn.Module):
        def __init__(self, column: int, by: float) -> None:
            super().__init__()
            self.column, self.by = column, by

        def forward(self, _: torch.Tensor) -> tuple[torch.Tensor, ...]:
            given = answers.clone()
            given[:, self.column] += self.by
            return given[:, :16], given[:, 16:19], given[:, 19:]

    deviation = made_faces().answers.std(axis=0)
    losses = [
        float(
            task.loss(
                Wrong(NAMES.index(name), float(deviation[NAMES.index(name)])), [pixels, answers]
            )[0]
        )
        for name in ("smile", "yaw")
    ]
    assert losses[0] > 0
    # the angle weighs twice and grows linearly: |2| − 0.25; the movement as its square: ½
    assert losses[1] / losses[0] == pytest.approx(1.75 / 0.5, rel=1e-4)


def test_the_network_begins_at_the_mean_and_folds_into_single_connections() -> None:
    task = MovementTask(recipe(), made_faces(), made_faces(8))
    network = task.module.eval()
    assert isinstance(network, FaceMovementsNet)
    pictures = torch.rand(5, 1, 48, 48) * 2 - 1
    plain = network.fold()
    for head, folded in zip(network(pictures), plain(pictures), strict=True):
        torch.testing.assert_close(head, folded, rtol=1e-4, atol=1e-4)
    assert all(isinstance(head, torch.nn.Linear) for head in plain.heads.values())
    biases = [
        head.bias.detach() for head in plain.heads.values() if isinstance(head, torch.nn.Linear)
    ]
    mean = torch.cat(biases).numpy()
    np.testing.assert_allclose(mean, made_faces().answers.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("key", ["flip = 0.5", "roll = 9.0", "mix = 0.5"])
def test_a_change_that_would_make_answers_wrong_is_refused(key: str, tmp_path: Path) -> None:
    name = key.split(" ", maxsplit=1)[0]
    lines = [line for line in RECIPE.read_text().splitlines() if not line.startswith(f"{name} =")]
    (tmp_path / "r.toml").write_text("\n".join([*lines, key]))
    with pytest.raises(RecipeError, match="would change the answers"):
        load_recipe(tmp_path / "r.toml", MovementRecipe)


def test_a_source_without_faces_is_named() -> None:
    given = recipe()
    data = given.data.model_copy(update={"weights": {"nowhere": 1.0}})
    with pytest.raises(DataError, match="no faces of 'nowhere'; there are lfw"):
        MovementTask(given.model_copy(update={"data": data}), made_faces(), made_faces(8))


def test_figures_are_those_of_what_varies() -> None:
    random = np.random.default_rng(1)
    truth = np.zeros((200, len(NAMES)), np.float32)
    smile, jaw, yaw = (NAMES.index(name) for name in ("smile", "jaw_open", "yaw"))
    truth[:, smile] = random.random(200)
    truth[:, jaw] = random.random(200) * 0.1  # varies less than 0.1
    truth[:, yaw] = random.normal(0, 10, 200)
    given = truth.copy()
    given[:, yaw] += 3.0
    found = figures(given, truth)
    assert found["correlation, mean"] == found["correlation, least"] == 1.0
    assert "jaw_open, correlation" not in found
    assert found["yaw, correlation"] == 1.0
    assert found["yaw, mean error in degrees"] == 3.0
    given[:, smile] = random.random(200)
    expected = np.corrcoef(given[:, smile], truth[:, smile])[0, 1]
    assert figures(given, truth)["smile, correlation"] == pytest.approx(expected, abs=1e-4)


def test_figures_faint_answers_have_their_slope() -> None:
    truth = np.zeros((100, len(NAMES)), np.float32)
    smile, jaw = NAMES.index("smile"), NAMES.index("jaw_open")
    truth[:, smile] = truth[:, jaw] = np.linspace(0, 1, 100)
    given = truth.copy()
    given[:, jaw] = 0.1 + truth[:, jaw] / 4
    found = figures(given, truth)
    assert (found["smile, slope"], found["jaw_open, slope"]) == (1.0, 0.25)
    assert found["slope, least"] == 0.25
    assert "frown, slope" not in found, "the teacher's frown does not vary"


def test_stretches_faint_movement_reaches_the_slope_and_stays_there() -> None:
    random = np.random.default_rng(1)
    truth = np.zeros((500, len(NAMES)), np.float32)
    smile, jaw, frown = (MOVEMENTS.index(name) for name in ("smile", "jaw_open", "frown"))
    truth[:, [smile, jaw, frown]] = (random.random(500) ** 3)[:, None]
    given = truth.copy()
    given[:, jaw] = 0.1 + truth[:, jaw] / 2
    given[:, frown] = 0.1 + truth[:, frown] / 20
    factors = stretches(given, truth)
    assert factors[smile] == 1.0
    assert factors[jaw] == pytest.approx(2 * SLOPE, abs=0.3)
    assert factors[frown] == 3.0, "no more than three times"
    mean = given[:, jaw].mean()
    given[:, jaw] = mean + factors[jaw] * (given[:, jaw] - mean)
    assert slope(given[:, jaw].clip(0, 1), truth[:, jaw]) == pytest.approx(SLOPE, abs=0.02)
    assert stretches(given, truth)[jaw] == 1.0, "once is enough"


def test_stretch_network_answers_further_from_the_mean() -> None:
    network = MovementTask(recipe(), made_faces(), made_faces(8)).module.eval()
    assert isinstance(network, FaceMovementsNet)
    pictures = torch.rand(5, 1, 48, 48) * 2 - 1
    before, pose, _ = network(pictures)
    factor, about = torch.linspace(1, 3, len(MOVEMENTS)), torch.full((len(MOVEMENTS),), 0.2)
    network.stretch("movements", factor, about)
    after, same, _ = network(pictures)
    torch.testing.assert_close(after, about + factor * (before - about))
    assert torch.equal(pose, same)


def test_a_network_learns_on_from_weights_and_answers_in_the_new_units() -> None:
    first = MovementTask(recipe(), made_faces(), made_faces(8)).module.state_dict()
    weights = {name: torch.full_like(weight, 0.5) for name, weight in first.items()}
    module = MovementTask(recipe(), made_faces(), made_faces(8), weights).module.state_dict()
    learnt, unit = "heads.pose.linear.weight", "heads.pose.deviation"
    assert torch.equal(module[learnt], weights[learnt])
    assert torch.equal(module[unit], first[unit]), "that of the faces to learn from"


def test_the_roll_is_judged_in_the_picture() -> None:
    answers = np.zeros((2, len(NAMES)), np.float32)
    answers[:, NAMES.index("roll")] = [3.0, -2.0]
    turned = in_picture(answers, np.array([20.0, 0.0], np.float32))
    assert turned[:, NAMES.index("roll")].tolist() == [-17.0, -2.0]
    assert np.count_nonzero(turned) == 2


def test_one_person_is_in_one_part_and_all_parts_occur() -> None:
    assert part_of("lfw_5590/A_Person_0001.jpg") == part_of("lfw_5590/A_Person_0012.jpg")
    parts = [part_of(f"net_7876/{number}_0_0.jpg") for number in range(2000)]
    shares = np.bincount(parts, minlength=3) / len(parts)
    assert shares == pytest.approx([0.80, 0.05, 0.15], abs=0.03)


def test_the_largest_face_of_a_photograph_is_cut_with_the_region_around_it(tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("in/a.png", cv2.imencode(".png", smiling())[1].tobytes())
        packed.writestr(
            "in/wall.png", cv2.imencode(".png", np.full((90, 90, 3), 99, np.uint8))[1].tobytes()
        )
        packed.writestr("elsewhere/b.png", b"")
    ((name, crop, around, angle),) = photographs(path, "in/", detector())
    assert (name, crop.shape, around.shape) == ("in/a.png", (48, 48), (192, 192, 3))
    assert abs(angle) < 10
    (face,) = detector().detect(smiling())
    assert region(smiling()[:120, :200], face.box).shape == (192, 192, 3)  # beyond the border


def save_answers(folder: Path, faces: MovementFaces, *, half: bool = False) -> None:
    """Write a teacher's answers; it saw no face in the third."""
    pose = np.zeros((len(faces), 3))
    pose[2] = np.nan
    movements, look = faces.answers[:, :16], faces.answers[:, 19:]
    if half:
        np.savez(
            folder / ANSWERS,
            movements=movements,
            pose=pose,
            look=look,
            half_rows=np.arange(len(faces)),
            half_movements=movements,
            half_pose=pose,
            half_look=look,
        )
    else:
        np.savez(folder / ANSWERS, movements=movements, pose=pose, look=look)


def test_answers_come_with_the_roll_of_crop_and_unseen_faces_are_left_out(tmp_path: Path) -> None:
    count = 6
    faces = made_faces(count)
    np.savez(
        tmp_path / FILE,
        pixels=faces.pixels,
        part=np.full(count, 2, np.int8),
        source=faces.source,
        angle=np.full(count, 20.0),
    )
    with pytest.raises(DataError, match="let the teacher answer"):
        load_movement_faces(tmp_path)
    save_answers(tmp_path, faces)
    loaded = load_movement_faces(tmp_path)
    assert len(loaded) == count - 1
    assert loaded.answers[:, NAMES.index("roll")].tolist() == [20.0] * (count - 1)
    assert half_size_agreement(tmp_path) == {}
    save_answers(tmp_path, faces, half=True)
    agreement = half_size_agreement(tmp_path)
    assert agreement["faces"] == count - 1
    assert agreement["smile, correlation"] == 1.0
