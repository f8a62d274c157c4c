"""The one training loop: every model is trained by :func:`fit`, whatever it learns.

A model brings a :class:`Task` (its network, its batches, its loss, its validation); the loop brings the schedule, the
moving average of the weights, checkpoints, curves and determinism. The random state of an epoch follows from the
seed and the epoch's number alone, so a run that was interrupted and resumed ends with the weights of one that was not.
"""

import csv
import itertools
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel

from training.errors import DataError, RecipeError
from training.recipe import Schedule

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
CURVES = "curves.csv"


class Task(Protocol):
    """What a model brings to the loop.

    ``module``
        the network to train, float32. The loop makes it channels-last, trains it in place and averages a copy.
    ``steps_per_epoch``
        how many batches :meth:`batches` yields.
    """

    @property
    def module(self) -> nn.Module: ...

    @property
    def steps_per_epoch(self) -> int: ...

    def batches(self, epoch: int, generator: torch.Generator, /) -> Iterator[Sequence[Tensor]]:
        """One epoch of training batches: shuffled and augmented with ``generator`` and nothing else random.

        A batch is any sequence of tensors that :meth:`loss` understands; the loop makes the four-dimensional ones
        channels-last and changes nothing else.
        """
        ...

    def loss(self, module: nn.Module, batch: Sequence[Tensor]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The scalar to minimise, and detached figures to average over the epoch into the curves.

        Called under bfloat16 autocast when the recipe asks for it: compute the loss itself in float32
        (``outputs.float()``).
        """
        ...

    def validate(self, module: nn.Module) -> Mapping[str, float]:
        """Figures of ``module`` on held-back data; the same keys every time.

        Called each epoch with the averaged weights, in eval mode, without gradients, never under autocast.
        """
        ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """The end of a run: the averaged network in eval mode, and the last epoch's row of the curves."""

    module: nn.Module
    figures: Mapping[str, float]
    epochs: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _State:
    """All that changes while training and that a checkpoint must hold."""

    module: nn.Module
    average: AveragedModel
    optimizer: Optimizer
    cycle: OneCycleLR


def fit(task: Task, schedule: Schedule, folder: Path, *, seed: int, resume: bool = False) -> Fitted:
    """Train ``task`` to the end of ``schedule`` and return its averaged network.

    ``folder`` receives ``checkpoint.pt`` after every epoch and ``curves.csv``, one row an epoch. With ``resume`` the
    run continues after the checkpoint's epoch; without one it begins.

    Raises:
        RecipeError: when the checkpoint belongs to another schedule, seed or network, or cannot be read; when
            ``folder`` cannot be written.
        DataError: when the loss is not finite or an epoch has no batch.
    """
    if task.steps_per_epoch < 1:
        raise DataError("the training data do not fill one batch; give more pictures or a smaller schedule.batch")
    _make_folder(folder)
    torch.manual_seed(seed)
    state = _begin(task, schedule)
    rows = _resume(folder / CHECKPOINT, state, schedule, seed) if resume else []
    for epoch in range(len(rows), schedule.epochs):
        started = time.monotonic()
        figures = _train_epoch(task, state, schedule, _epoch_generator(seed, epoch), epoch)
        trained = time.monotonic() - started
        state.average.eval()
        with torch.no_grad():
            checked = task.validate(state.average.module)
        row: dict[str, float] = {"epoch": epoch + 1, "lr": float(state.cycle.get_last_lr()[0])}
        row |= {f"train_{name}": value for name, value in figures.items()}
        row |= {f"valid_{name}": value for name, value in checked.items()}
        row["pictures_per_second"] = task.steps_per_epoch * schedule.batch / trained
        row["seconds"] = time.monotonic() - started
        rows.append(row)
        try:
            _save(folder, state, rows, schedule, seed)
        except (OSError, RuntimeError) as error:  # torch.save turns a full disk into a RuntimeError
            raise RecipeError(
                f"{folder}: the checkpoint cannot be written ({error}); make room or permission"
            ) from error
        log.info("epoch %d of %d: %s", epoch + 1, schedule.epochs, _sentence(row))
    averaged = deepcopy(state.average.module).eval()
    return Fitted(averaged, rows[-1], len(rows), sum(row["seconds"] for row in rows))


def epochs_left(checkpoint: Path) -> int:
    """How many epochs of its schedule a run has still to do.

    Raises:
        RecipeError: when there is no checkpoint, or it cannot be read.
    """
    held = _read_checkpoint(checkpoint)
    return int(held["schedule"]["epochs"]) - len(held["rows"])


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Split the parameters so that biases and batch norm are not decayed."""
    decayed = [p for p in module.parameters() if p.requires_grad and p.dim() > 1]
    others = [p for p in module.parameters() if p.requires_grad and p.dim() <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def moving_average(module: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of weights and buffers; at first it follows fast: decay ≤ (1 + n) / (10 + n)."""

    def blend(averaged: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
        n = int(updates)
        return averaged + (1 - min(decay, (1 + n) / (10 + n))) * (current - averaged)

    return AveragedModel(module, avg_fn=blend, use_buffers=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(f"{folder}: cannot be made ({error.strerror}); choose another --out") from error


def _begin(task: Task, schedule: Schedule) -> _State:
    module = convert_conv2d_weight_memory_format(task.module, torch.channels_last)
    groups = parameter_groups(module, schedule.weight_decay)
    optimizer: Optimizer
    if schedule.optimizer == "sgd":
        optimizer = SGD(groups, lr=schedule.peak_lr, momentum=schedule.momentum, nesterov=schedule.momentum > 0)
    else:
        optimizer = AdamW(groups, lr=schedule.peak_lr, betas=(schedule.momentum, 0.999))
    cycle = OneCycleLR(
        optimizer,
        max_lr=schedule.peak_lr,
        total_steps=schedule.epochs * task.steps_per_epoch + 1,
        pct_start=schedule.warmup,
        cycle_momentum=False,
    )
    return _State(module, moving_average(module, schedule.ema_decay), optimizer, cycle)


def _epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """The random numbers of one epoch; dropout and the like draw from the global state, seeded alike."""
    torch.manual_seed(seed * 100_003 + epoch)
    return torch.Generator().manual_seed(seed * 100_003 + epoch)


def _train_epoch(
    task: Task, state: _State, schedule: Schedule, generator: torch.Generator, epoch: int
) -> dict[str, float]:
    state.module.train()
    sums: dict[str, float] = {}
    steps = 0
    for batch in itertools.islice(task.batches(epoch, generator), task.steps_per_epoch):
        loss, figures = _step(task, state, schedule, batch)
        for name, value in {"loss": loss, **figures}.items():
            sums[name] = sums.get(name, 0.0) + float(value)
        steps += 1
    if steps == 0:
        raise DataError("an epoch yielded no batch")
    return {name: value / steps for name, value in sums.items()}


def _step(
    task: Task, state: _State, schedule: Schedule, batch: Sequence[Tensor]
) -> tuple[Tensor, Mapping[str, Tensor]]:
    ready = [t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t for t in batch]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=schedule.bfloat16):
        loss, figures = task.loss(state.module, ready)
    if not torch.isfinite(loss):
        raise DataError(f"the loss became {loss.item()}; lower schedule.peak_lr ({schedule.peak_lr}) in the recipe")
    state.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    if schedule.clip_norm is not None:
        nn.utils.clip_grad_norm_(state.module.parameters(), schedule.clip_norm)
    state.optimizer.step()
    state.cycle.step()
    state.average.update_parameters(state.module)
    return loss.detach(), figures


def _save(folder: Path, state: _State, rows: Sequence[Mapping[str, float]], schedule: Schedule, seed: int) -> None:
    """Write checkpoint and curves whole or not at all: a run that is cut off leaves the last good epoch."""
    held = {
        "schedule": schedule.model_dump(),
        "seed": seed,
        "rows": [dict(row) for row in rows],
        "module": state.module.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "cycle": state.cycle.state_dict(),
    }
    try:
        part = folder / f"{CHECKPOINT}.part"
        torch.save(held, part)
        part.replace(folder / CHECKPOINT)
        part = folder / f"{CURVES}.part"
        with part.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, fieldnames=list(rows[0]))
            table.writeheader()
            table.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in rows)
        part.replace(folder / CURVES)
    except (OSError, RuntimeError) as error:  # torch.save turns a full disk into a RuntimeError
        raise RecipeError(f"{folder}: the checkpoint cannot be written ({error}); make room or permission") from error


def _resume(path: Path, state: _State, schedule: Schedule, seed: int) -> list[dict[str, float]]:
    """Load a checkpoint into ``state`` and return the rows of the epochs it has behind it."""
    if not path.exists():
        log.info("%s does not exist yet: the run begins at its first epoch", path)
        return []
    held = _read_checkpoint(path)
    if held["seed"] != seed or held["schedule"] != schedule.model_dump():
        raise RecipeError(f"{path}: belongs to another seed or schedule; choose another --out, or leave --resume out")
    try:
        state.module.load_state_dict(held["module"])
        state.average.load_state_dict(held["average"])
    except RuntimeError as error:
        raise RecipeError(f"{path}: belongs to another network; choose another --out") from error
    state.optimizer.load_state_dict(held["optimizer"])
    state.cycle.load_state_dict(held["cycle"])
    rows: list[dict[str, float]] = held["rows"]
    log.info("resumed after epoch %d of %d from %s", len(rows), schedule.epochs, path)
    return rows


def _read_checkpoint(path: Path) -> dict[str, Any]:
    try:
        held: dict[str, Any] = torch.load(path, weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        raise RecipeError(f"{path}: is not a checkpoint that can be read; remove it to begin again") from error
    return held


def _sentence(row: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "epoch")
