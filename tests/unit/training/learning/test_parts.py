"""Parts of a network that are frozen for some epochs, and that learn at rates of their own."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch
from torch import Tensor, nn

from training.errors import RecipeError
from training.learning.loop import begin, fit
from training.learning.rates import frozen_at
from training.learning.recipe import Schedule

pytestmark = [pytest.mark.training, pytest.mark.usefixtures("undrawn")]

SCHEDULE = Schedule(epochs=3, batch=8, peak_lr=0.1, bfloat16=False)


class Three(nn.Module):
    """A stem with batch norm, a middle, and a head."""

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
    """The parts in which anything differs, batch norm's statistics included."""
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def test_frozen_parts_stay_until_their_epoch_batch_norm_included(tmp_path: Path) -> None:
    task = Task()
    first = {name: value.clone() for name, value in task.module.state_dict().items()}
    schedule = SCHEDULE.model_copy(update={"freeze": 2, "unfreeze_at": (1, 2)})

    fit(task, schedule, tmp_path, seed=1)

    assert changed(first, task.seen[0]) == {"head"}
    assert changed(task.seen[0], task.seen[1]) == {"middle", "head"}
    assert changed(task.seen[1], task.seen[2]) == {"stem", "middle", "head"}


def test_one_epoch_unfreezes_all_and_none_nothing() -> None:
    once = SCHEDULE.model_copy(update={"freeze": 2, "unfreeze_at": (1,)})
    never = SCHEDULE.model_copy(update={"freeze": 2})

    assert [frozen_at(once, epoch) for epoch in range(3)] == [2, 0, 0]
    assert [frozen_at(never, epoch) for epoch in range(3)] == [2, 2, 2]


@pytest.mark.parametrize("optimizer", ["sgd", "muon", "adamw"])
def test_each_part_has_its_own_peak(optimizer: str) -> None:
    rates = {"optimizer": optimizer, "learning_rates": (0.1, 0.5, 1.0)}
    state = begin(Task(), SCHEDULE.model_copy(update=rates))

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
def test_what_does_not_fit_the_network_is_named(
    tmp_path: Path, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        fit(Task(), SCHEDULE.model_copy(update=wrong), tmp_path, seed=1)


def test_a_checkpoint_from_before_these_keys_is_gone_on_from(tmp_path: Path) -> None:
    fit(Task(), SCHEDULE, tmp_path, seed=1)
    path = tmp_path / "checkpoint.pt"
    held = torch.load(path, weights_only=True)
    for key in ("freeze", "unfreeze_at", "learning_rates"):
        del held["schedule"][key]
    torch.save(held, path)

    assert fit(Task(), SCHEDULE, tmp_path, seed=1, resume=True).epochs == 3
