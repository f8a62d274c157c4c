"""The training loop: it learns, can be interrupted, and refuses what does not fit."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.support.vision.line_task import SCHEDULE, Line, line
from training.errors import DataError, RecipeError
from training.learning.checkpoint import (
    CHECKPOINT,
    averaged_weights,
    epochs_left,
    save_weights,
    seconds_spent,
)
from training.learning.curves import CURVES, PICTURE
from training.learning.loop import CPU, begin, fit, moving_average
from training.learning.muon import orthogonal
from training.learning.precision import precision_on
from training.learning.recipe import TrainingSchedule

pytestmark = pytest.mark.usefixtures("undrawn")


def test_the_loss_falls_and_the_curves_have_a_row_for_each_epoch(tmp_path: Path) -> None:
    fitted = fit(Line(line(), steps_per_epoch=30), SCHEDULE, tmp_path, seed=1)

    header, *rows = (tmp_path / CURVES).read_text(encoding="utf-8").splitlines()
    assert header.startswith(
        "epoch,lr,train_loss,train_error,valid_weight,pictures_per_second,seconds"
    )
    losses = [float(row.split(",")[2]) for row in rows]
    assert len(rows) == fitted.epochs == SCHEDULE.epochs
    assert losses[-1] < losses[0] / 10
    assert fitted.figures["valid_weight"] == pytest.approx(3, abs=0.3)
    assert not fitted.module.training
    assert (tmp_path / PICTURE).exists()


def test_published_weights_are_half_as_large_and_as_good_as_a_checkpoint(tmp_path: Path) -> None:
    module = line()
    save_weights(module, tmp_path)

    weights = averaged_weights(tmp_path)

    assert all(weight.dtype == torch.float32 for weight in weights.values())
    assert all(
        torch.allclose(weights[name], wanted, rtol=1e-3)
        for name, wanted in module.state_dict().items()
    )
    assert not list(tmp_path.glob(CHECKPOINT))
    assert seconds_spent(tmp_path) is None  # they do not say how long they learnt


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    first = fit(Line(line()), SCHEDULE, tmp_path / "a", seed=1).module.state_dict()
    same = fit(Line(line()), SCHEDULE, tmp_path / "b", seed=1).module.state_dict()
    other = fit(Line(line()), SCHEDULE, tmp_path / "c", seed=2).module.state_dict()

    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_a_run_that_was_interrupted_and_resumed_ends_like_one_that_was_not(tmp_path: Path) -> None:
    whole = fit(Line(line()), SCHEDULE, tmp_path / "whole", seed=1)
    with pytest.raises(KeyboardInterrupt):
        fit(Line(line(), stop_before=2), SCHEDULE, tmp_path / "cut", seed=1)

    resumed = fit(Line(line()), SCHEDULE, tmp_path / "cut", seed=1, resume=True)

    weights = resumed.module.state_dict()
    wanted = whole.module.state_dict()
    assert all(torch.equal(weights[name], wanted[name]) for name in wanted)
    assert (
        len((tmp_path / "cut" / CURVES).read_text(encoding="utf-8").splitlines())
        == 1 + SCHEDULE.epochs
    )


def test_a_checkpoint_of_another_seed_schedule_or_network_is_refused(tmp_path: Path) -> None:
    fit(Line(line()), SCHEDULE, tmp_path, seed=1)

    with pytest.raises(RecipeError, match=r"checkpoint\.pt: belongs to another seed or schedule"):
        fit(Line(line()), SCHEDULE, tmp_path, seed=2, resume=True)
    longer = SCHEDULE.model_copy(update={"epochs": 9})
    with pytest.raises(RecipeError, match="belongs to another seed or schedule"):
        fit(Line(line()), longer, tmp_path, seed=1, resume=True)
    with pytest.raises(RecipeError, match="belongs to another network"):
        fit(Line(line(width=5)), SCHEDULE, tmp_path, seed=1, resume=True)
    renamed = line()
    renamed.__class__ = type("OtherNetwork", (type(renamed),), {})
    with pytest.raises(RecipeError, match=r"is of a \w+, and the recipe describes a OtherNetwork"):
        fit(Line(renamed), SCHEDULE, tmp_path, seed=1, resume=True)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04cut off"])
def test_a_damaged_checkpoint_is_named_with_its_cure(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CHECKPOINT).write_bytes(content)

    with pytest.raises(
        RecipeError, match="not a checkpoint that can be read; remove it to begin again"
    ):
        fit(Line(line()), SCHEDULE, tmp_path, seed=1, resume=True)


def test_a_full_disk_is_named_and_leaves_no_part_of_a_checkpoint(tmp_path: Path) -> None:
    part = tmp_path / f"{CHECKPOINT}.{os.getpid()}.part"
    part.symlink_to("/dev/full")

    with pytest.raises(DataError, match=r"checkpoint\.pt: cannot be written: the disk is full"):
        fit(Line(line()), SCHEDULE, tmp_path, seed=1)

    assert not part.is_symlink()
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_loss_that_is_not_finite_stops_the_run_and_says_what_to_lower(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the loss became inf.*peak_lr"):
        fit(Line(line(), scale=float("inf")), SCHEDULE, tmp_path, seed=1)
    assert not (tmp_path / CHECKPOINT).exists()


def test_data_that_fill_no_batch_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="do not fill one batch"):
        fit(Line(line(), steps_per_epoch=0), SCHEDULE, tmp_path / "run", seed=1)
    assert not (tmp_path / "run").exists()


def test_a_run_folder_that_cannot_be_made_or_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(
        RecipeError, match=r"file.run: cannot be made \(Not a directory\); choose another --out"
    ):
        fit(Line(line()), SCHEDULE, tmp_path / "file" / "run", seed=1)

    (tmp_path / "run" / f"{CHECKPOINT}.{os.getpid()}.part").mkdir(parents=True)
    with pytest.raises(DataError, match="run.checkpoint.pt: cannot be written"):
        fit(Line(line()), SCHEDULE, tmp_path / "run", seed=1)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adamw", "peak_lr": 0.01},
        {"optimizer": "muon"},
        {"clip_norm": 0.5},
        {"bfloat16": True},
    ],
)
def test_each_choice_of_the_schedule_trains(tmp_path: Path, changes: dict[str, object]) -> None:
    fitted = fit(Line(line()), SCHEDULE.model_copy(update=changes), tmp_path, seed=1)

    assert fitted.figures["train_loss"] < 20


def test_the_moving_average_follows_fast_at_first_and_covers_the_buffers() -> None:
    module = nn.BatchNorm1d(1)
    average = moving_average(module, 0.999)
    average.update_parameters(module)
    with torch.no_grad():
        module.weight.fill_(3.0)
        assert module.running_mean is not None
        module.running_mean.fill_(5.0)

    average.update_parameters(module)

    decay = 2 / 11
    averaged = average.module.state_dict()
    assert averaged["weight"].item() == pytest.approx(1 * decay + 3 * (1 - decay))
    assert averaged["running_mean"].item() == pytest.approx(5 * (1 - decay))


@dataclass
class Worsening(Line):
    """A task whose held-back figure is least after its second epoch."""

    errors: tuple[float, ...] = (3.0, 1.0, 2.0, 2.0, 2.0, 2.0)
    checks: int = 0

    def validate(self, module: nn.Module) -> dict[str, float]:
        self.checks += 1
        return {"error": self.errors[self.checks - 1]}


WATCHED = SCHEDULE.model_copy(update={"epochs": 6, "keep_least": "error", "patience": 2})


def test_the_best_epoch_is_kept_and_the_run_ends_when_nothing_gets_better(tmp_path: Path) -> None:
    fitted = fit(Worsening(line()), WATCHED, tmp_path, seed=1)

    two = fit(Worsening(line()), WATCHED, tmp_path / "two", seed=1)
    assert fitted.epochs == 4, "two epochs after the best one"
    assert fitted.figures["epoch"] == 2
    assert fitted.figures["valid_error"] == 1.0
    assert all(
        torch.equal(weight, two.module.state_dict()[name])
        for name, weight in fitted.module.state_dict().items()
    )
    kept = averaged_weights(tmp_path)
    assert all(
        torch.equal(kept[name], weight) for name, weight in fitted.module.state_dict().items()
    )
    assert epochs_left(tmp_path / CHECKPOINT) == 0, "it is finished, though four of six were learnt"


THREE_EPOCHS = TrainingSchedule(epochs=3, batch=8, peak_lr=0.1, bfloat16=False)


class Three(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.middle = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.ReLU())
        self.head = nn.Linear(4, 2)

    def parts(self) -> tuple[nn.Module, ...]:
        return (self.stem, self.middle, self.head)

    def forward(self, x: Tensor) -> Tensor:
        answers: Tensor = self.head(self.middle(self.stem(x)))
        return answers


class Task:
    """Bright or dark? Keeps the weights that each epoch ends with."""

    steps_per_epoch = 2

    def __init__(self) -> None:
        self.module = Three()
        self.seen: list[dict[str, Tensor]] = []

    def batches(self, _: int, generator: torch.Generator) -> Iterator[Sequence[Tensor]]:
        for _step in range(self.steps_per_epoch):
            pictures = torch.rand(8, 1, 4, 4, generator=generator)
            yield pictures, (pictures.mean(dim=(1, 2, 3)) > 0.5).long()

    def loss(
        self, module: nn.Module, batch: Sequence[Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        pictures, answers = batch
        return nn.functional.cross_entropy(module(pictures), answers), {}

    def validate(self, _: nn.Module) -> Mapping[str, float]:
        held = {name: value.clone() for name, value in self.module.state_dict().items()}
        self.seen.append(held)
        return {"epochs": float(len(self.seen))}


def changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def test_frozen_parts_stay_until_their_epoch_batch_norm_included(tmp_path: Path) -> None:
    task = Task()
    first = {name: value.clone() for name, value in task.module.state_dict().items()}
    schedule = THREE_EPOCHS.model_copy(update={"freeze": 2, "unfreeze_at": (1, 2)})

    fit(task, schedule, tmp_path, seed=1)

    assert changed(first, task.seen[0]) == {"head"}
    assert changed(task.seen[0], task.seen[1]) == {"middle", "head"}
    assert changed(task.seen[1], task.seen[2]) == {"stem", "middle", "head"}


@pytest.mark.parametrize("optimizer", ["sgd", "muon", "adamw"])
def test_each_part_has_its_own_peak(optimizer: str) -> None:
    rates = {"optimizer": optimizer, "learning_rates": (0.1, 0.5, 1.0)}
    state = begin(Task(), THREE_EPOCHS.model_copy(update=rates))

    peaks = {
        id(weight): group["max_lr"]
        for group in state.optimizer.param_groups
        for weight in group["params"]
    }
    expected = (0.01, 0.05, 0.1)
    for part, peak in zip(state.module.parts(), expected, strict=True):  # type: ignore[operator]
        assert [peaks[id(weight)] for weight in part.parameters()] == pytest.approx(
            [peak] * len(list(part.parameters()))
        )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"freeze": 3}, "schedule.freeze = 3: the network has 3 parts.*freeze at most 2"),
        ({"learning_rates": (1.0,)}, "learning_rates: 1 numbers for a network of 3 parts"),
        ({"unfreeze_at": (1,)}, "unfreeze_at: 1 epochs for 0 frozen parts"),
        ({"freeze": 2, "unfreeze_at": (2, 1)}, "unfreeze_at: the epochs must rise"),
    ],
)
def test_a_wrong_freeze_is_named(tmp_path: Path, wrong: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        fit(Task(), THREE_EPOCHS.model_copy(update=wrong), tmp_path, seed=1)


ASKING = SCHEDULE.model_copy(update={"bfloat16": True})


CHANGED = "goes on in"


def processor(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, kind: True})


@pytest.mark.parametrize(
    ("kind", "wanted", "expected"),
    [
        ("avx512_bf16", True, "bfloat16"),
        ("amx_bf16", True, "bfloat16"),
        ("avx512_bf16", False, "float32"),
        ("avx512_vnni", True, "float32"),
    ],
)
def test_bfloat16_is_taken_where_it_is_asked_for_and_quick(
    kind: str, wanted: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(kind, monkeypatch)

    assert precision_on(CPU, bfloat16=wanted) == expected


def test_a_run_goes_on_on_another_kind_of_processor_and_says_what_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    processor("avx512_bf16", monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fit(Line(line(), stop_before=2), ASKING, tmp_path, seed=1)
    processor("avx2", monkeypatch)

    done = fit(Line(line()), ASKING, tmp_path, seed=1, resume=True)

    assert done.epochs == ASKING.epochs
    (said,) = [text for text in caplog.messages if CHANGED in text]
    assert said.startswith("the run learnt in bfloat16 up to here and goes on in float32")


@pytest.mark.parametrize("shape", [(5, 3, 3, 3), (40, 2, 3, 3), (8, 8, 1, 1)])
def test_an_orthogonal_filter_keeps_its_directions(shape: tuple[int, ...]) -> None:
    filters = torch.randn(shape, generator=torch.Generator().manual_seed(3)).to(
        memory_format=torch.channels_last
    )

    made = orthogonal(filters)

    sizes = torch.linalg.svdvals(made.movedim(1, -1).reshape(shape[0], -1))
    assert made.shape == filters.shape
    assert sizes.min() > 0.3
    assert sizes.max() < 1.3
    assert (made * filters).sum() > 0
