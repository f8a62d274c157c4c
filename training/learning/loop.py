"""The one training loop: every model is trained by :func:`fit`, whatever it learns.

A model brings a :class:`Task` (its network, its batches, its loss, its validation); the loop brings
the schedule, the moving average of the weights, checkpoints, curves and determinism. The random
state of an epoch follows from the seed and the epoch's number alone, so a run that was interrupted
and resumed ends with the weights of one that was not.

Several processes can learn together: each takes its part of every batch, and the gradients are
averaged. They are started by PyTorch's own ``torchrun --nproc-per-node N -m training fit …``, which
tells each process its number in the environment; without it there is one process.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

import click
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel

from edge_agent.core import clock
from training.errors import DataError, RecipeError
from training.learning.checkpoint import CHECKPOINT, TrainingState, load_checkpoint, save_checkpoint
from training.learning.curves import write_curves
from training.learning.memory import memory_format
from training.learning.muon import Muon
from training.learning.parts import check_parts, freeze, rate_factors
from training.learning.precision import autocast, place_of, precision_sentence
from training.learning.recipe import TrainingSchedule

log = logging.getLogger(__name__)
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Processes:
    """The place of this process among those that learn together."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Tell whether this is the one process that checks, logs and writes."""
        return self.rank == 0

    def part(self, batch: Sequence[Tensor]) -> list[Tensor]:
        """Return this process's rows of a batch: every ``count``-th, as many for each process.

        Raises:
            RecipeError: when the batch cannot be shared out evenly.
        """
        size = len(batch[0])
        if size % self.count:
            raise RecipeError(
                f"schedule.batch = {size} cannot be shared by {self.count} "
                "processes; choose a multiple"
            )
        # Taken in turns and not in halves: a batch may be sorted, and every process sees the same
        # mix.
        return [tensor[self.rank :: self.count] for tensor in batch]

    def share(self, module: nn.Module) -> nn.Module:
        """``module`` itself when alone.

        Otherwise wrapped so that the gradients of all processes are averaged.
        """
        if self.count == 1:
            return module
        return DistributedDataParallel(module)


@contextmanager
def processes(device: torch.device) -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started, and leave them in the end.

    All but the first log warnings alone.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    rank = distributed.get_rank()
    level = logging.getLogger().level
    if rank:
        logging.getLogger().setLevel(logging.WARNING)
    try:
        yield Processes(rank, count)
    finally:
        logging.getLogger().setLevel(level)
        distributed.destroy_process_group()


def device_of(name: str) -> torch.device:
    """Return the device that ``--device`` names: ``cpu``, ``cuda``, ``cuda:1`` ….

    ``auto`` is the first GPU, or the CPU.

    Raises:
        RecipeError: when there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RecipeError(f"--device {name}: no such device; use auto, cpu or cuda") from error
    if device.type not in {"cpu", "cuda"}:
        raise RecipeError(f"--device {name}: this program learns on cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RecipeError(
            f"--device {name}: PyTorch finds {torch.cuda.device_count()} GPUs here; use cpu"
        )
    return device


class TrainingTask(Protocol):
    """The task that a model brings to the loop.

    ``module``
        the network to train, float32. The loop lays it out in memory, trains it in place and
        averages a copy.
    ``steps_per_epoch``
        how many batches :meth:`batches` yields.
    """

    @property
    def module(self) -> nn.Module: ...

    @property
    def steps_per_epoch(self) -> int: ...

    def batches(self, epoch: int, generator: torch.Generator, /) -> Iterator[Sequence[Tensor]]:
        """Return one epoch of training batches, shuffled and augmented.

        ``generator`` is the only source of random numbers.

        A batch is any sequence of tensors that :meth:`loss` understands; the loop lays the
        four-dimensional ones out as the network's weights
        (:func:`training.learning.memory.memory_format`) and changes nothing else.
        """
        ...

    def loss(
        self, module: nn.Module, batch: Sequence[Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the scalar to minimise, and detached figures whose means go into the curves.

        Called under bfloat16 autocast when the recipe asks for it and the device is quick at it:
        compute the loss itself in float32 (``outputs.float()``).
        """
        ...

    def validate(self, module: nn.Module) -> Mapping[str, float]:
        """Return figures of ``module`` on held-back data; the same keys every time.

        Called each epoch with the averaged weights on the device that learns, in eval mode, without
        gradients, never under autocast.
        """
        ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """The result of a run: the averaged network in eval mode, and its row of the curves.

    Both are of the last epoch, or of the epoch that the schedule keeps.
    """

    module: nn.Module
    figures: Mapping[str, float]
    epochs: int
    seconds: float


def fit(
    task: TrainingTask,
    schedule: TrainingSchedule,
    folder: Path,
    *,
    seed: int,
    resume: bool = False,
    device: torch.device = CPU,
) -> Fitted:
    """Train ``task`` to the end of ``schedule`` and return its averaged network, on the CPU.

    The schedule may keep the network of its best epoch, and end early (``patience``).

    ``folder`` receives ``checkpoint.pt`` after every epoch, and ``curves.csv`` and ``curves.png``.
    With ``resume`` the run continues after the checkpoint's epoch; without one it begins. Under
    ``torchrun`` each process learns from its part of every batch; only the first checks, writes and
    returns, the others end here.

    Raises:
        RecipeError: when the checkpoint belongs to another schedule, seed or network, or cannot be
            read; when ``folder`` cannot be written; when the processes cannot share a batch evenly.
        DataError: when the loss is not finite or an epoch has no batch.
        SystemExit: in every process but the first, at the end.

    Example::

        prepared = plan(request)  # training.learning.kinds
        fitted = fit(prepared.task, prepared.schedule, request.out, seed=prepared.seed)
        card = prepared.publish(fitted)
    """
    if task.steps_per_epoch < 1:
        raise DataError(
            "the training data do not fill one batch; give more pictures or a smaller "
            "schedule.batch"
        )
    _make_folder(folder)
    torch.manual_seed(seed)
    with processes(device) as team:
        state = begin(task, schedule, device)
        if resume:
            rows = load_checkpoint(folder / CHECKPOINT, state, schedule, seed)
        else:
            rows = []
        if schedule.freeze and team.count > 1:
            # A frozen part gives no gradient, for which the other processes would wait.
            raise RecipeError(
                f"schedule.freeze = {schedule.freeze}: several processes share the gradients of "
                "all parts; start one process"
            )
        log.info(precision_sentence(device, bfloat16=schedule.bfloat16))
        learner = _Learner(task, schedule, state, team.share(state.module), team, device)
        while schedule.epochs_left(rows):
            row = learner.epoch(len(rows), seed)
            rows.append(row)
            if team.first:
                # Before the checkpoint, which holds the best weights, too.
                _keep_best(state, schedule, rows)
                save_checkpoint(folder, state, rows, schedule, seed)
                write_curves(folder, rows)
            log.info(
                "epoch %d of %d: %s; %s",
                len(rows),
                schedule.epochs,
                ", ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "epoch"),
                time_left(rows, schedule.epochs_left(rows)),
            )
        # The others have nothing to return; their process ends here.
        if not team.first:
            raise SystemExit(0)
    # A copy on the processor: the device is free for the next run.
    averaged = deepcopy(state.average.module).eval().to(CPU)
    kept = schedule.kept_epoch(rows)
    if state.best:
        averaged.load_state_dict(state.best)
        log.info("kept: the network of epoch %d of %d", kept + 1, len(rows))
    return Fitted(averaged, rows[kept], len(rows), sum(row["seconds"] for row in rows))


def _keep_best(
    state: TrainingState, schedule: TrainingSchedule, rows: Sequence[Mapping[str, float]]
) -> None:
    """Copy the averaged weights when the newest epoch is the one to keep."""
    if schedule.keep_least is not None and schedule.kept_epoch(rows) == len(rows) - 1:
        state.best.update(deepcopy(state.average.module.state_dict()))


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Split the parameters so that biases and batch norm are not decayed."""
    # Decay of a bias or a norm does not keep a function simple, it only moves it.
    decayed = [p for p in module.parameters() if p.requires_grad and p.dim() > 1]
    others = [p for p in module.parameters() if p.requires_grad and p.dim() <= 1]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def moving_average(module: nn.Module, decay: float) -> AveragedModel:
    """Return an exponential moving average of weights and buffers.

    At first it follows fast: decay ≤ (1 + n) / (10 + n).
    """

    def blend(averaged: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
        n = int(updates)
        # A long average of few steps would still be mostly the random weights of the start.
        return averaged + (1 - min(decay, (1 + n) / (10 + n))) * (current - averaged)

    return AveragedModel(module, avg_fn=blend, use_buffers=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(
            f"{folder}: cannot be made ({error.strerror}); choose another --out"
        ) from error


def begin(
    task: TrainingTask, schedule: TrainingSchedule, device: torch.device = CPU
) -> TrainingState:
    """Network, average, optimizer and cycle as they are before the first step."""
    module = task.module.to(device)
    module = convert_conv2d_weight_memory_format(module, memory_format(module))
    check_parts(module, schedule)
    groups = [
        {**group, "lr": schedule.peak_lr * factor}
        for part, factor in rate_factors(module, schedule)
        for group in parameter_groups(part, schedule.weight_decay)
    ]
    optimizer: Optimizer
    match schedule.optimizer:
        case "sgd":
            optimizer = SGD(
                groups,
                lr=schedule.peak_lr,
                momentum=schedule.momentum,
                nesterov=schedule.momentum > 0,
            )
        case "muon":
            optimizer = Muon(module, groups, lr=schedule.peak_lr, momentum=schedule.momentum)
        case "adamw":
            optimizer = AdamW(groups, lr=schedule.peak_lr, betas=(schedule.momentum, 0.999))
    # One step more than are taken: PyTorch raises if the cycle is stepped beyond its end.
    steps = schedule.epochs * task.steps_per_epoch + 1
    cycle = OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=steps,
        # a rise that ends before the first step divides by zero
        pct_start=max(schedule.warmup, 1.5 / steps),
        # The momentum of a cycle would rise where the rate falls; here it stays.
        cycle_momentum=False,
    )
    return TrainingState(module, moving_average(module, schedule.ema_decay), optimizer, cycle)


def epoch_generator(seed: int, epoch: int, device: torch.device = CPU) -> torch.Generator:
    """Return the random numbers of one epoch, drawn on the device that learns.

    Dropout and the like draw from the global state, seeded alike.
    """
    # The factor is larger than any number of epochs: neighbouring seeds share no epoch's draw.
    torch.manual_seed(seed * 100_003 + epoch)
    return torch.Generator(device).manual_seed(seed * 100_003 + epoch)


@dataclass(frozen=True, slots=True)
class _Learner:
    """The learner that runs the epochs of a task."""

    task: TrainingTask
    schedule: TrainingSchedule
    state: TrainingState
    shared: nn.Module
    team: Processes
    device: torch.device

    def epoch(self, epoch: int, seed: int) -> dict[str, float]:
        """Learn for an epoch, check the averaged network, and return the row of the curves."""
        started = clock.boot_seconds()
        figures = self._train(epoch, epoch_generator(seed, epoch, self.device))
        trained = clock.boot_seconds() - started
        rate = max(self.state.cycle.get_last_lr())  # of the part that learns fastest
        row: dict[str, float] = {"epoch": epoch + 1, "lr": float(rate)}
        row |= {f"train_{name}": value for name, value in figures.items()}
        row |= {f"valid_{name}": value for name, value in self._check().items()}
        row["pictures_per_second"] = self.task.steps_per_epoch * self.schedule.batch / trained
        row["seconds"] = clock.boot_seconds() - started
        return row

    def _train(self, epoch: int, generator: torch.Generator) -> dict[str, float]:
        self.state.module.train()
        freeze(self.state.module, self.schedule, epoch)
        sums: dict[str, Tensor] = {}
        steps = 0
        # A task may yield more batches than it says; the cycle counts on the number.
        batches = itertools.islice(self.task.batches(epoch, generator), self.task.steps_per_epoch)
        hidden = not (self.team.first and sys.stderr.isatty())
        label = f"epoch {epoch + 1} of {self.schedule.epochs}"
        with click.progressbar(
            batches, self.task.steps_per_epoch, label=label, file=sys.stderr, hidden=hidden
        ) as progress:
            # Figures are kept as tensors and read once, at the end of the epoch.
            for batch in progress:
                loss, figures = step(
                    self.task, self.state, self.shared, self.schedule, self.team.part(batch)
                )
                self.state.cycle.step()
                for name, value in {"loss": loss, **figures}.items():
                    # as a tensor: a number would wait for the GPU after every step
                    sums[name] = sums.get(name, torch.zeros_like(value)) + value
                steps += 1
        if steps == 0:
            raise DataError("an epoch yielded no batch")
        return {name: float(value) / steps for name, value in sums.items()}

    def _check(self) -> Mapping[str, float]:
        """Return figures of the averaged network on held-back data, by the first process alone."""
        if not self.team.first:
            return {}
        self.state.average.eval()
        with torch.no_grad():
            return self.task.validate(self.state.average.module)


def step(
    task: TrainingTask,
    state: TrainingState,
    shared: nn.Module,
    schedule: TrainingSchedule,
    batch: Sequence[Tensor],
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Make one step of optimizer and average; return the loss and the task's figures, detached."""
    device = place_of(state.module)
    layout = memory_format(state.module)
    # The layout of the weights, or each convolution would copy its input first.
    ready = [t.to(device, memory_format=layout) if t.dim() == 4 else t.to(device) for t in batch]
    with autocast(device, bfloat16=schedule.bfloat16):
        loss, figures = task.loss(shared, ready)
    if not torch.isfinite(loss):
        raise DataError(
            f"the loss became {loss.item()}; lower schedule.peak_lr "
            f"({schedule.peak_lr}) in the recipe"
        )
    state.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    if schedule.clip_norm is not None:
        nn.utils.clip_grad_norm_(state.module.parameters(), schedule.clip_norm)
    state.optimizer.step()
    state.average.update_parameters(state.module)
    return loss.detach(), figures


def time_left(rows: Sequence[Mapping[str, float]], left: int) -> str:
    """Say how long ``left`` epochs will still take, by the median of the last five."""
    if left <= 0:
        return "done"
    # A median: the first epoch also loads data, and one may have been slowed by another program.
    seconds = left * median(row["seconds"] for row in rows[-5:])
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours:
        return f"about {hours} h {minutes:02d} min left"
    if minutes:
        return f"about {minutes} min left"
    return f"about {math.ceil(seconds)} s left"
