"""The expression classifier's task: network, loss, batches, and the model's confidence."""

from __future__ import annotations

import re
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
from training.expression.fit import align_heads
from training.expression.recipe import Distillation, ExpressionRecipe, Loss
from training.expression.task import ExpressionTask, Views, class_weights, load_run, predict, soften
from training.learning.checkpoint import CHECKPOINT, save_weights
from training.learning.recipe import RECIPE, load_recipe
from training.networks.architectures import SmallResNet
from training.networks.base import multiply_adds, parameters
from training.report.calibration import best_temperature, bias_corrected_temperature
from training.report.evaluate import enlarged

FAST_RECIPE = Path(__file__).resolve().parents[4] / "training" / "recipes" / "expression-fast.toml"


def recipe(batch: int = 8) -> ExpressionRecipe:
    published = load_recipe(FAST_RECIPE, ExpressionRecipe).model_copy(
        update={"loss": Loss(balance=0.0)}
    )
    network = published.network.model_copy(
        update={"widths": (4, 8), "blocks": (1,), "strides": (2,), "dropout": 0.0}
    )
    schedule = published.schedule.model_copy(update={"batch": batch})
    return published.model_copy(update={"network": network, "schedule": schedule})


def task(n: int = 20, *, voted: bool = True, labelled: bool = True) -> ExpressionTask:
    return ExpressionTask(recipe(), lessons(faces(n, voted=voted, labelled=labelled)), faces(10))


class Says(nn.Module):
    """A network that says the same for every picture."""

    def __init__(self, expression: Tensor, fer2013: Tensor) -> None:
        super().__init__()
        self.said = (expression, fer2013)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(said.expand(len(x), -1) for said in self.said)


def test_the_network_has_a_head_for_each_set_of_labels_and_costs_what_was_chosen() -> None:
    network = load_recipe(FAST_RECIPE, ExpressionRecipe).build_network()

    expression, fer2013 = network(torch.zeros(2, 1, 48, 48))

    assert (expression.shape, fer2013.shape) == ((2, len(EXPRESSIONS)), (2, len(FER2013)))
    assert multiply_adds(network, torch.zeros(1, 1, 48, 48)) <= 45e6
    assert parameters(network) <= 0.75e6


def test_the_seed_of_the_recipe_decides_the_first_weights() -> None:
    learn = lessons(faces(16))
    held_back = faces(8)
    other_seed = recipe().model_copy(update={"seed": 2})
    first, same, other = (
        ExpressionTask(each, learn, held_back) for each in (recipe(), recipe(), other_seed)
    )

    weights = [
        torch.cat([p.flatten() for p in made.module.parameters()]) for made in (first, same, other)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_network_learns_on_from_one_of_its_shape_and_its_attention_begins_as_none() -> None:
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


def test_multiply_adds_are_those_counted_by_hand_and_the_network_keeps_its_mode() -> None:
    network = SmallResNet((4, 8), (1,), (2,), {"head": 3}).train()

    stem = 48 * 48 * 9 * 4
    first = 24 * 24 * 9 * 4 * 8
    second = 24 * 24 * 9 * 8 * 8
    shortcut = 24 * 24 * 4 * 8
    assert (
        multiply_adds(network, torch.zeros(1, 1, 48, 48))
        == stem + first + second + shortcut + 8 * 3
    )
    assert network.training


def test_widths_and_blocks_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    for key in ("blocks", "strides"):
        text = re.sub(rf"{key} = \[(\d), ", f"{key} = [", FAST_RECIPE.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")

        with pytest.raises(
            RecipeError, match=rf"network\.small-resnet: Value error, 4 widths need 3 {key}"
        ):
            load_recipe(path, ExpressionRecipe)


def test_an_epoch_shows_each_face_at_most_once_and_drops_what_fills_no_batch() -> None:
    learnt = task(20)

    batches = list(learnt.batches(0, torch.Generator().manual_seed(1)))

    assert len(batches) == learnt.steps_per_epoch == 2
    pictures, shares, classes = batches[0]
    assert pictures.shape == (8, 1, 48, 48)
    assert shares.shape == (8, len(EXPRESSIONS))
    assert classes.shape == (8, len(FER2013))
    assert torch.cat([batch[2] for batch in batches]).sum(dim=0).max() <= 3


def test_the_loss_of_an_undecided_network_is_the_entropy_of_a_guess() -> None:
    learnt = task()
    batch = next(iter(learnt.batches(0, torch.Generator().manual_seed(1))))

    loss, figures = learnt.loss(Says(torch.zeros(8), torch.zeros(7)), batch)

    assert figures["expression"].item() == pytest.approx(np.log(8), rel=1e-5)
    assert figures["fer2013"].item() == pytest.approx(np.log(7), rel=1e-5)
    assert loss.item() == pytest.approx(np.log(8) + np.log(7), rel=1e-5)


def test_faces_without_one_of_the_labels_teach_the_other_head_alone() -> None:
    learnt = task(labelled=False)
    batch = next(iter(learnt.batches(0, torch.Generator().manual_seed(1))))

    loss, figures = learnt.loss(Says(torch.zeros(8), torch.zeros(7)), batch)

    assert figures["fer2013"].item() == 0
    assert loss.item() == pytest.approx(np.log(8), rel=1e-5)


def test_rare_classes_weigh_more_and_the_mean_weight_is_one() -> None:
    shares = torch.eye(7)[torch.tensor([0] * 16 + [1] + [2] * 4)]

    weights = class_weights(shares, balance=0.5)

    assert weights[1] / weights[0] == pytest.approx(4)
    assert weights[2] / weights[0] == pytest.approx(2)
    assert (shares * weights).sum() == pytest.approx(len(shares))
    assert torch.allclose(class_weights(shares, balance=0.0), torch.ones(7))


def test_validation_counts_each_head_right_where_it_is() -> None:
    learnt = (
        task()
        # the ten held-back faces have the classes 0…6, 0, 1, 2; their votes the categories of the
        # same index
    )
    says = Says(torch.eye(8)[1] * 9, torch.eye(7)[5] * 9)

    figures = learnt.validate(says)

    assert figures["accuracy"] == pytest.approx(2 / 10)
    assert figures["fer2013_accuracy"] == pytest.approx(1 / 10)
    assert figures["cross_entropy"] > 5


def test_a_larger_input_is_made_of_the_same_pictures_enlarged() -> None:
    larger = recipe().model_copy(
        update={"network": recipe().network.model_copy(update={"edge": 64})}
    )
    pictures = torch.linspace(0, 1, 48).expand(2, 1, 48, 48)

    seen = larger.as_input(pictures)

    assert seen.shape == (2, 1, 64, 64)
    assert torch.allclose(seen.mean(), recipe().as_input(pictures).mean(), atol=1e-3)
    assert enlarged(np.zeros((2, 48, 48), dtype=np.uint8), 64).shape == (2, 64, 64)
    assert predict(larger.build_network(), faces(3).pictures, larger)[0].shape == (3, 8)


def test_predictions_do_not_depend_on_how_the_pictures_are_gathered() -> None:
    learnt = task()
    pictures = faces(5).pictures

    together = predict(learnt.module, pictures, recipe())
    alone = [predict(learnt.module, pictures[i : i + 1], recipe()) for i in range(5)]

    assert np.allclose(together[0], np.concatenate([one[0] for one in alone]), atol=1e-5)
    assert np.allclose(together[1], np.concatenate([one[1] for one in alone]), atol=1e-5)


def test_aligning_corrects_the_second_heads_biases_and_one_temperature_fits_both() -> None:
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


def test_heads_stay_as_they_are_where_one_kind_of_label_is_missing() -> None:
    network = recipe().build_network().eval()
    before = [weight.clone() for weight in network.heads.parameters()]

    align_heads(network, faces(8, voted=False), recipe())

    assert all(
        torch.equal(now, then) for now, then in zip(network.heads.parameters(), before, strict=True)
    )


def test_the_recipe_for_faces_of_ones_own_can_learn_on_from_the_published_model() -> None:
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
