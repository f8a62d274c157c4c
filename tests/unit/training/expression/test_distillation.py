"""Learning from teachers: what they are asked, what is kept, and what a student makes of it."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch

from tests.support.vision.tiny_faces import faces, tiny_recipe
from training.data.lessons import Lessons
from training.errors import RecipeError
from training.expression.augment import Augmentation
from training.expression.recipe import Distillation, ExpressionRecipe
from training.expression.task import ExpressionTask, Views, load_run, soften
from training.learning.checkpoint import CHECKPOINT, save_weights
from training.learning.recipe import RECIPE, load_recipe

pytestmark = pytest.mark.training


@pytest.fixture
def learn() -> Lessons:
    from training.data.lessons import lessons

    return lessons(faces(24))


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """A finished run of one epoch."""
    folder = tmp_path / "runs" / "teacher"
    folder.mkdir(parents=True)
    (folder / RECIPE).write_text(tiny_recipe(), encoding="utf-8")
    recipe = load_recipe(folder / RECIPE, ExpressionRecipe)
    from training.data.lessons import lessons
    from training.learning.loop import fit

    fit(ExpressionTask(recipe, lessons(faces(24)), faces(8)), recipe.schedule, folder, seed=1)
    return folder


def views(learn: Lessons, teachers: list[Path], folder: Path, count: int = 2) -> Views:
    return Views(learn, teachers, Augmentation(), count=count, seed=3, folder=folder)


def test_the_teachers_answer_for_the_changed_pictures_and_their_mirror_images(
    learn: Lessons, teacher: Path, tmp_path: Path
) -> None:
    network, recipe = load_run(teacher)
    with torch.no_grad():
        for head in network.heads.values():
            assert isinstance(head, torch.nn.Linear)
            head.weight.mul_(30)  # after an epoch it says nearly the same of every picture
    (teacher / CHECKPOINT).unlink()
    save_weights(network, teacher)
    view = views(learn, [teacher], tmp_path / "cache").view(0)

    seen = recipe.as_input(torch.from_numpy(view.pictures).unsqueeze(1).float() / 255)
    with torch.no_grad():
        heads = [head.softmax(1) for head in network(seen)]
        mirrored = [head.softmax(1) for head in network(seen.flip(-1))]
    assert not np.array_equal(view.pictures, learn.pictures)
    for said, once, again in zip((view.expression, view.fer2013), heads, mirrored, strict=True):
        assert (once - again).abs().max() > 0.05
        assert np.exp(said.astype(float)) == pytest.approx(((once + again) / 2).numpy(), abs=0.02)


def test_two_teachers_answer_with_their_mean_probabilities(
    learn: Lessons, teacher: Path, tmp_path: Path
) -> None:
    one = views(learn, [teacher], tmp_path / "one").view(0)
    both = views(learn, [teacher, teacher], tmp_path / "both").view(0)

    assert np.array_equal(one.pictures, both.pictures)
    assert np.exp(both.expression.astype(float)).sum(axis=1) == pytest.approx(1, abs=0.01)
    assert both.expression.astype(float) == pytest.approx(one.expression.astype(float), abs=0.01)


def test_a_version_is_kept_and_a_damaged_one_is_made_again(
    learn: Lessons, teacher: Path, tmp_path: Path
) -> None:
    first = views(learn, [teacher], tmp_path).view(1)
    (kept,) = tmp_path.glob("views-*/01.npz")
    written = kept.stat().st_mtime_ns

    assert np.array_equal(views(learn, [teacher], tmp_path).view(1).pictures, first.pictures)
    assert kept.stat().st_mtime_ns == written
    kept.write_bytes(kept.read_bytes()[:500])
    assert np.array_equal(views(learn, [teacher], tmp_path).view(1).pictures, first.pictures)


def test_other_teachers_are_asked_anew(learn: Lessons, teacher: Path, tmp_path: Path) -> None:
    views(learn, [teacher], tmp_path / "cache").view(0)
    network, _ = load_run(teacher)
    with torch.no_grad():
        next(network.parameters()).add_(0.1)
    (teacher / CHECKPOINT).unlink()
    save_weights(network, teacher)
    views(learn, [teacher], tmp_path / "cache").view(0)

    assert len(list((tmp_path / "cache").glob("views-*"))) == 2


def test_a_run_without_recipe_or_checkpoint_is_no_teacher(
    learn: Lessons, teacher: Path, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=r"absent.recipe\.toml: cannot be read: No such file"):
        views(learn, [tmp_path / "absent"], tmp_path)
    text = (teacher / RECIPE).read_text(encoding="utf-8")
    (teacher / RECIPE).write_text(
        text.replace("widths = [4, 8]", "widths = [4, 6]"), encoding="utf-8"
    )
    with pytest.raises(
        RecipeError, match=r"teacher: its weights belong to another network than recipe\.toml"
    ):
        views(learn, [teacher], tmp_path)


def test_softening_flattens_and_a_temperature_of_one_leaves_probabilities(learn: Lessons) -> None:
    said = np.log(np.array([[0.9, 0.1]])).astype(np.float16)

    assert soften(said, 1.0).tolist()[0] == pytest.approx([0.9, 0.1], abs=1e-3)
    assert soften(said, 2.0).tolist()[0] == pytest.approx([0.75, 0.25], abs=1e-3)


def test_a_student_that_answers_like_its_teachers_has_no_more_to_learn_from_them(
    learn: Lessons, teacher: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(teacher / RECIPE, ExpressionRecipe).model_copy(
        update={
            "distillation": Distillation(
                teachers=("teacher",), weight=1.0, temperature=1.0, views=2
            )
        }
    )
    task = ExpressionTask(recipe, learn, faces(8), views(learn, [teacher], tmp_path))
    batch = next(iter(task.batches(0, torch.Generator().manual_seed(1))))
    copy, _ = load_run(teacher)
    unlike = recipe.build_network().eval()

    _, shares, classes, expression, fer2013 = batch
    assert [t.shape[1] for t in (shares, classes, expression, fer2013)] == [8, 7, 8, 7]
    entropy = -sum(
        float((p * p.clamp(min=1e-7).log()).sum(dim=1).mean()) for p in (expression, fer2013)
    )
    with torch.no_grad():
        assert float(task.loss(copy, batch)[0]) == pytest.approx(entropy, rel=0.02)
        assert float(task.loss(unlike, batch)[0]) > entropy
