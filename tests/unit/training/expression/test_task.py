"""The expression classifier's task: network, loss, batches, and the model's confidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.vision.tiny_faces import faces, tiny_recipe
from training.data.datasets import EXPRESSIONS, FER2013
from training.data.lessons import Lessons, lessons, majority
from training.errors import RecipeError
from training.expression.augment import Augmentation
from training.expression.fit import align_heads, with_fitting_batch
from training.expression.recipe import Distillation, ExpressionRecipe, Loss
from training.expression.task import (
    ExpressionTask,
    Views,
    class_weights,
    draw_weights,
    load_run,
    predict,
)
from training.learning.checkpoint import CHECKPOINT, save_weights
from training.learning.recipe import RECIPE, load_recipe
from training.networks.base import multiply_adds, parameters
from training.report.calibration import best_temperature, bias_corrected_temperature

FAST_RECIPE = Path(__file__).resolve().parents[4] / "training" / "recipes" / "expression-fast.toml"


def test_rare_categories_are_drawn_more_often_and_unlabelled_faces_as_mean() -> None:
    shares = torch.eye(3)[torch.tensor([0] * 8 + [1] * 2)]
    shares = torch.cat([shares, torch.zeros(1, 3)])
    weights = draw_weights(shares, 1.0)
    assert float(weights[:8].sum()) == pytest.approx(float(weights[8:10].sum()))
    assert float(weights[10]) == pytest.approx(float(weights[:10].mean()))
    assert draw_weights(shares, 0.0).tolist() == [1.0] * 11


def test_faces_without_a_label_come_behind_the_lessons_and_have_no_shares() -> None:
    known = lessons(faces(4))
    more = known.with_unlabelled(np.zeros((3, 48, 48), np.uint8))
    assert len(more) == len(known) + 3
    assert not more.expression[-3:].any()
    assert not more.fer2013[-3:].any()
    np.testing.assert_array_equal(more.expression[:-3], known.expression)


def recipe(batch: int = 8) -> ExpressionRecipe:
    published = load_recipe(FAST_RECIPE, ExpressionRecipe).model_copy(
        update={"loss": Loss(balance=0.0)}
    )
    network = published.network.model_copy(
        update={"widths": (4, 8), "blocks": (1,), "strides": (2,), "dropout": 0.0}
    )
    schedule = published.schedule.model_copy(update={"batch": batch})
    return published.model_copy(update={"network": network, "schedule": schedule})


@pytest.mark.parametrize(
    ("faces_known", "taken"), [(100, 32), (32, 32), (31, 8), (27, 8), (8, 4), (3, 2), (1, 2)]
)
def test_faces_that_fill_no_batch_are_learnt_in_smaller_ones(
    faces_known: int, taken: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert with_fitting_batch(recipe(32), faces_known).schedule.batch == taken
    said = f"{faces_known} faces fill no batch of schedule.batch = 32: they are learnt in batches"
    assert (said in caplog.text) == (taken < 32)


def task(n: int = 20, *, voted: bool = True, labelled: bool = True) -> ExpressionTask:
    return ExpressionTask(recipe(), lessons(faces(n, voted=voted, labelled=labelled)), faces(10))


class Says(nn.Module):
    def __init__(self, expression: Tensor, fer2013: Tensor) -> None:
        super().__init__()
        self.said = (expression, fer2013)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(said.expand(len(x), -1) for said in self.said)


def test_network_has_head_for_each_set_of_labels_and_costs_what_was_chosen() -> None:
    network = load_recipe(FAST_RECIPE, ExpressionRecipe).build_network()

    expression, fer2013 = network(torch.zeros(2, 1, 48, 48))

    assert (expression.shape, fer2013.shape) == ((2, len(EXPRESSIONS)), (2, len(FER2013)))
    assert multiply_adds(network, torch.zeros(1, 1, 48, 48)) <= 45e6
    assert parameters(network) <= 0.75e6


def test_network_learns_on_from_one_of_shape_and_attention_begins_as_none() -> None:
    plain = recipe()
    attentive = plain.model_copy(
        update={"network": plain.network.model_copy(update={"region_attention": True})}
    )
    wider = plain.network.model_copy(update={"widths": (4, 9)})
    assert attentive.network.can_learn_on(plain.network) and attentive.network.can_learn_on(
        attentive.network
    )
    assert not plain.network.can_learn_on(attentive.network) and not wider.can_learn_on(
        plain.network
    )

    start = plain.build_network()
    learning = ExpressionTask(attentive, lessons(faces(16)), faces(8), start=start)

    seen = torch.randn(4, 1, 48, 48)
    with torch.no_grad():
        for said, before in zip(learning.module.eval()(seen), start.eval()(seen), strict=True):
            assert torch.equal(said, before)
    batch = next(learning.batches(0, torch.Generator().manual_seed(1)))
    learning.loss(learning.module.train(), batch)[0].backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad for name, p in learning.module.named_parameters() if ".gate." in name]
    assert len(gradients) == 2 and all(
        gradient is not None and gradient.abs().max() > 0 for gradient in gradients
    )


def test_the_loss_of_an_undecided_network_is_the_entropy_of_a_guess() -> None:
    learnt = task()
    batch = next(iter(learnt.batches(0, torch.Generator().manual_seed(1))))

    loss, figures = learnt.loss(Says(torch.zeros(8), torch.zeros(7)), batch)

    assert figures["expression"].item() == pytest.approx(np.log(8), rel=1e-5)
    assert figures["fer2013"].item() == pytest.approx(np.log(7), rel=1e-5)
    assert loss.item() == pytest.approx(np.log(8) + np.log(7), rel=1e-5)


def test_rare_classes_weigh_more_and_the_mean_weight_is_one() -> None:
    shares = torch.eye(7)[torch.tensor([0] * 16 + [1] + [2] * 4)]

    weights = class_weights(shares, balance=0.5)

    assert weights[1] / weights[0] == pytest.approx(4)
    assert weights[2] / weights[0] == pytest.approx(2)
    assert (shares * weights).sum() == pytest.approx(len(shares))
    assert torch.allclose(class_weights(shares, balance=0.0), torch.ones(7))


def test_aligning_corrects_the_second_heads_biases() -> None:
    known = faces(64)
    made = recipe()
    network = made.build_network().eval()
    with torch.no_grad():
        for weight in network.heads.parameters():
            weight.mul_(8)
    before = predict(network, known.pictures, made)
    own, bias = bias_corrected_temperature(before[1], known.fer2013)

    align_heads(network, known, made)

    first, second = predict(network, known.pictures, made)
    shared = best_temperature(first, np.eye(8, dtype=np.float32)[majority(known.votes)])
    assert np.array_equal(first, before[0])
    assert second == pytest.approx((before[1] / own + bias) * shared, rel=1e-3, abs=1e-3)


def test_recipe_for_faces_of_ones_own_can_learn_on_from_published_model() -> None:
    own = load_recipe(FAST_RECIPE.with_name("own-faces.toml"), ExpressionRecipe)
    assert own.start == "expression-fast"
    published = load_recipe(
        FAST_RECIPE.parents[1] / "weights" / own.start / "recipe.toml", ExpressionRecipe
    )

    assert own.network.can_learn_on(published.network)


@pytest.fixture
def learn() -> Lessons:
    from training.data.lessons import lessons

    return lessons(faces(24))


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
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


def test_teachers_answer_for_mirror_images(learn: Lessons, teacher: Path, tmp_path: Path) -> None:
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


def test_a_damaged_version_is_made_again(learn: Lessons, teacher: Path, tmp_path: Path) -> None:
    first = views(learn, [teacher], tmp_path).view(1)
    (kept,) = tmp_path.glob("views-*/01.npz")
    written = kept.stat().st_mtime_ns

    assert np.array_equal(views(learn, [teacher], tmp_path).view(1).pictures, first.pictures)
    assert kept.stat().st_mtime_ns == written
    kept.write_bytes(kept.read_bytes()[:500])
    assert np.array_equal(views(learn, [teacher], tmp_path).view(1).pictures, first.pictures)


def test_an_incomplete_run_is_no_teacher(learn: Lessons, teacher: Path, tmp_path: Path) -> None:
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


def test_a_student_stops_at_its_teachers(learn: Lessons, teacher: Path, tmp_path: Path) -> None:
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
