"""A task so small that whole runs of the training loop take a moment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.learning.recipe import TrainingSchedule

SCHEDULE = TrainingSchedule(epochs=4, batch=8, peak_lr=0.1, bfloat16=False)


def line(width: int = 3) -> nn.Module:
    torch.manual_seed(11)
    return nn.Sequential(nn.Linear(width, 1), nn.Dropout(0.01))


@dataclass
class Line:
    """Learn y = x₁ + 2 x₂ + 3 x₃; as a Task."""

    module: nn.Module
    steps_per_epoch: int = 6
    stop_before: int | None = None
    scale: float = 1.0

    def batches(self, epoch: int, generator: torch.Generator, /) -> Iterator[Sequence[Tensor]]:
        if epoch == self.stop_before:
            raise KeyboardInterrupt
        for _ in range(self.steps_per_epoch):
            x = torch.randn(8, 3, generator=generator)
            yield x, x @ torch.tensor([[1.0], [2.0], [3.0]])

    def loss(
        self, module: nn.Module, batch: Sequence[Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        x, y = batch
        error = (module(x).float() - y).square().mean() * self.scale
        return error, {"error": error.detach()}

    def validate(self, module: nn.Module) -> Mapping[str, float]:
        assert not module.training
        return {"weight": float(next(module.parameters())[0, 2])}
