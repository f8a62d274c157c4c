"""The learning-rate range test: learn while the rate rises, and show where the loss falls fastest.

Smith 2017, "Cyclical learning rates for training neural networks", section 3.3.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from training.errors import DataError, RecipeError, csv_bytes, write_all
from training.learning.kinds import FitRequest, plan
from training.learning.loop import CPU, TrainingTask, begin, device_of, epoch_generator, step
from training.learning.parts import freeze
from training.learning.recipe import TrainingSchedule

TABLE = "find-lr.csv"
PICTURE = "find-lr.png"
_SMOOTHING = 0.9
_DIVERGED = 3.0


@dataclass(frozen=True, slots=True)
class RateRange:
    """The learning rates of a range test.

    Attributes:
        least: the first rate.
        most: the last rate, reached after ``steps`` batches.
        steps: batches to learn; the rate rises by a constant factor from each to the next.
    """

    least: float = 1e-4
    most: float = 3.0
    steps: int = 120

    def at(self, step: int) -> float:
        """Return the rate of a batch, 0 … ``steps`` − 1."""
        # Rising by a factor: what matters is the order of magnitude of a rate.
        share = step / (self.steps - 1)
        return float(self.least * (self.most / self.least) ** share)


@dataclass(frozen=True, slots=True)
class RangeTest:
    """The loss at each learning rate.

    Attributes:
        rates: rising by a constant factor.
        losses: of the batch learnt at each rate.
        smoothed: moving average of the losses, corrected for its start (Kingma and Ba 2015, section
            3).
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]

    @property
    def steepest(self) -> float:
        """The rate at which the smoothed loss falls fastest over the logarithm of the rate.

        Rates above the one with the least loss do not count: there the loss jumps, and falls after
        each jump.
        """
        # Losses are equally spaced in the logarithm of the rate, so that a difference is a slope.
        falling = self.smoothed[: self._lowest + 1]
        falls = [after - before for before, after in itertools.pairwise(falling)]
        return self.rates[min(range(len(falls)), key=falls.__getitem__, default=0)]

    @property
    def suggested(self) -> float:
        """A peak for the one cycle: a third of the rate with the least smoothed loss.

        It is never less than the steepest rate. A third leaves a margin before the rates at which
        the loss rises again.
        """
        return max(self.rates[self._lowest] / 3, self.steepest)

    @property
    def _lowest(self) -> int:
        return min(range(len(self.smoothed)), key=self.smoothed.__getitem__)


def find_lr(
    task: TrainingTask,
    schedule: TrainingSchedule,
    rates: RateRange | None = None,
    *,
    seed: int,
    device: torch.device = CPU,
) -> RangeTest:
    """Learn a few batches while the learning rate rises, and stop when the loss has tripled.

    Args:
        task: what is learnt.
        schedule: optimizer and batch size; its own learning rates are not used.
        rates: the range; the default is that of :class:`RateRange`.
        seed: of the order of the data.
        device: to learn on.

    Raises:
        DataError: when the loss diverges before there is anything to choose from.
        RecipeError: when the bounds do not rise or the steps are too few.
    """
    rates = rates or RateRange()
    if not 0 < rates.least < rates.most or rates.steps < 10:
        raise RecipeError(
            f"from {rates.least} to {rates.most} in {rates.steps} steps: the rates must rise, in "
            "at least 10 steps"
        )
    torch.manual_seed(seed)
    state = begin(task, schedule, device)
    state.module.train()
    freeze(state.module, schedule, 0)
    tested: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    for number, batch in zip(range(rates.steps), _endless(task, seed, device), strict=False):
        rate = rates.at(number)
        for group in state.optimizer.param_groups:
            group["lr"] = rate * group["max_lr"] / schedule.peak_lr  # parts may learn more slowly
        try:
            loss = float(step(task, state, state.module, schedule, batch)[0])
        except DataError:  # no longer finite: the end of the range
            break
        tested.append(rate)
        losses.append(loss)
        smoothed.append(_smooth(losses))
        if smoothed[-1] > _DIVERGED * min(smoothed):
            break
    # Fewer tell no slope.
    if len(tested) < 3:
        raise DataError(
            f"the loss diverged at once, at a learning rate of {rates.least}; begin lower"
        )
    return RangeTest(tuple(tested), tuple(losses), tuple(smoothed))


def write_range_test(result: RangeTest, folder: Path) -> tuple[Path, Path]:
    """Write ``find-lr.csv`` and ``find-lr.png`` into ``folder``, which is made when missing.

    Raises:
        DataError: when they cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.semilogx(result.rates, result.losses, alpha=0.3, label="loss of the batch")
    axes.semilogx(result.rates, result.smoothed, label="smoothed")
    for rate, style, name in (
        (result.steepest, ":", "steepest"),
        (result.suggested, "--", "suggested peak"),
    ):
        axes.axvline(rate, linestyle=style, color="black", label=f"{name}: {rate:.3g}")
    axes.set(xlabel="learning rate", ylabel="loss", title="Learning-rate range test")
    # the loss of the last, diverging batches would hide the valley
    # The first half only: behind it the loss may be any number.
    first_half = result.smoothed[: len(result.smoothed) // 2]
    axes.set_ylim(min(result.smoothed) * 0.9, max(first_half) * 1.3)
    axes.legend()
    rows = zip(result.rates, result.losses, result.smoothed, strict=True)
    table = [("lr", "loss", "smoothed"), *([f"{each:.6g}" for each in row] for row in rows)]
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    write_all(folder, {TABLE: csv_bytes(table, "\r\n"), PICTURE: picture.getvalue()})
    return folder / TABLE, folder / PICTURE


def _endless(task: TrainingTask, seed: int, device: torch.device) -> Iterator[Sequence[Tensor]]:
    for epoch in itertools.count():
        yield from task.batches(epoch, epoch_generator(seed, epoch, device))


def _smooth(losses: Sequence[float]) -> float:
    """Exponentially weighted mean of the losses up to now; the weights sum to 1."""
    weights = [_SMOOTHING ** (len(losses) - 1 - i) for i in range(len(losses))]
    return sum(weight * loss for weight, loss in zip(weights, losses, strict=True)) / sum(weights)


def search_lr(request: FitRequest, rates: RateRange) -> tuple[float, Path]:
    """Run the learning-rate range test of a recipe.

    Returns:
        the suggested peak, and the picture that shows why.

    Raises:
        RecipeError: when the recipe, the device or the bounds cannot be used.
        DataError: when the data cannot be used, or the loss diverges at once.
    """
    device = device_of(request.device)
    prepared = plan(request)
    if prepared.first_stage is not None:
        prepared.first_stage(device)
    result = find_lr(prepared.task, prepared.schedule, rates, seed=prepared.seed, device=device)
    _, picture = write_range_test(result, request.out)
    return result.suggested, picture
