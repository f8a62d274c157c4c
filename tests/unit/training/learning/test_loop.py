"""The training loop: it learns, can be interrupted, and refuses what does not fit."""

from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch
from torch import nn

from tests.support.vision.line_task import SCHEDULE, Line, line
from training.errors import DataError, RecipeError
from training.learning.checkpoint import (
    CHECKPOINT,
    CURVES,
    PICTURE,
    averaged_weights,
    epochs_left,
    save_weights,
    seconds_spent,
)
from training.learning.loop import fit, moving_average, parameter_groups, time_left

pytestmark = [pytest.mark.training, pytest.mark.usefixtures("undrawn")]


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


def test_the_averaged_weights_of_a_run_can_be_taken_from_its_checkpoint(tmp_path: Path) -> None:
    fitted = fit(Line(line()), SCHEDULE, tmp_path, seed=1)

    weights = averaged_weights(tmp_path)

    assert weights.keys() == fitted.module.state_dict().keys()
    assert all(
        torch.equal(weights[name], wanted) for name, wanted in fitted.module.state_dict().items()
    )
    assert seconds_spent(tmp_path) == fitted.seconds > 0


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


def test_resuming_a_run_that_ended_trains_no_more(tmp_path: Path) -> None:
    done = fit(Line(line()), SCHEDULE, tmp_path, seed=1)

    again = fit(Line(line(), stop_before=4), SCHEDULE, tmp_path, seed=1, resume=True)

    wanted = done.module.state_dict()
    assert all(
        torch.equal(weight, wanted[name]) for name, weight in again.module.state_dict().items()
    )


def test_resuming_where_nothing_was_saved_begins_at_the_first_epoch(tmp_path: Path) -> None:
    assert fit(Line(line()), SCHEDULE, tmp_path, seed=1, resume=True).epochs == SCHEDULE.epochs


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

    (tmp_path / "run" / f"{CHECKPOINT}.part").mkdir(parents=True)
    with pytest.raises(RecipeError, match="run: the checkpoint cannot be written"):
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


def test_biases_and_norms_are_not_decayed() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))

    decayed, others = parameter_groups(module, 0.1)

    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert decayed["params"] == [module[0].weight]


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


def test_a_run_of_a_single_step_ends(tmp_path: Path) -> None:
    shortest = SCHEDULE.model_copy(update={"epochs": 1})

    for steps in (1, 2, 3, 4):
        assert (
            fit(Line(line(), steps_per_epoch=steps), shortest, tmp_path / str(steps), seed=1).epochs
            == 1
        )


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


def test_a_resumed_run_still_knows_its_best_epoch(tmp_path: Path) -> None:
    whole = fit(Worsening(line()), WATCHED, tmp_path / "whole", seed=1)
    with pytest.raises(KeyboardInterrupt):
        fit(Worsening(line(), stop_before=3), WATCHED, tmp_path / "parts", seed=1)

    fitted = fit(Worsening(line(), errors=(2.0,)), WATCHED, tmp_path / "parts", seed=1, resume=True)

    assert fitted.epochs == whole.epochs == 4
    assert fitted.figures["epoch"] == 2
    assert all(
        torch.equal(weight, whole.module.state_dict()[name])
        for name, weight in fitted.module.state_dict().items()
    )


def test_a_figure_to_watch_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    watched = SCHEDULE.model_copy(update={"keep_least": "loss"})

    with pytest.raises(RecipeError, match=r"keep_least = 'loss' .* there are weight$"):
        fit(Line(line()), watched, tmp_path, seed=1)


@pytest.mark.parametrize(
    ("seconds", "left", "words"),
    [
        ([10.0, 10.0, 400.0], 3, "about 30 s left"),
        ([100.0], 18, "about 30 min left"),
        ([100.0], 180, "about 5 h 00 min left"),
        ([100.0], 0, "done"),
    ],
)
def test_the_time_that_is_left_is_said_by_the_median_of_the_last_epochs(
    seconds: list[float], left: int, words: str
) -> None:
    assert time_left([{"seconds": each} for each in seconds], left) == words
