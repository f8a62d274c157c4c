"""Checkpoint of a run, written whole after every epoch: all that changes while training."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel

from training.errors import RecipeError, write_whole
from training.learning.precision import Precision, precision_on
from training.learning.recipe import TrainingSchedule

log = logging.getLogger(__name__)
CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.pt"


@dataclass(frozen=True, slots=True)
class TrainingState:
    """All that changes while training.

    ``best`` holds the averaged weights of the epoch that is kept, where that is not always the
    last.
    """

    module: nn.Module
    average: AveragedModel
    optimizer: Optimizer
    cycle: OneCycleLR
    best: dict[str, Tensor] = field(default_factory=dict)


def save_checkpoint(
    folder: Path,
    state: TrainingState,
    rows: Sequence[Mapping[str, float]],
    schedule: TrainingSchedule,
    seed: int,
) -> None:
    """Write ``checkpoint.pt`` whole or not at all.

    A run that is interrupted leaves the last good epoch.

    Raises:
        RecipeError: when it cannot be written.
    """
    held = {
        "schedule": schedule.model_dump(),
        "seed": seed,
        "precision": _precision(state, schedule),
        "network": type(state.module).__name__,
        "rows": [dict(row) for row in rows],
        "module": state.module.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "cycle": state.cycle.state_dict(),
        "best": state.best,
    }
    _save(held, folder / CHECKPOINT)


def load_checkpoint(
    path: Path, state: TrainingState, schedule: TrainingSchedule, seed: int
) -> list[dict[str, float]]:
    """Load a checkpoint into ``state`` and return the rows of the epochs that it has finished.

    Without a checkpoint, change nothing and return no rows.

    Raises:
        RecipeError: when it cannot be read, or belongs to another schedule, seed or network.
    """
    if not path.exists():
        log.info("%s does not exist yet: the run begins at its first epoch", path)
        return []
    held = read_checkpoint(path)
    # A schedule that differs would bend the cycle of the learning rate in its middle.
    if held["seed"] != seed or TrainingSchedule.model_validate(held["schedule"]) != schedule:
        raise RecipeError(
            f"{path}: belongs to another seed or schedule; choose another --out, or "
            "leave --resume out"
        )
    network = type(state.module).__name__
    if held["network"] != network:
        raise RecipeError(
            f"{path}: is of a {held['network']}, and the recipe describes a {network}; choose "
            "another --out"
        )
    try:
        state.module.load_state_dict(held["module"])
        state.average.load_state_dict(held["average"])
    except RuntimeError as error:
        raise RecipeError(
            f"{path}: belongs to another network, of another shape; choose another --out"
        ) from error
    state.optimizer.load_state_dict(held["optimizer"])
    state.cycle.load_state_dict(held["cycle"])
    state.best.update(held["best"])
    rows: list[dict[str, float]] = held["rows"]
    log.info("resumed after epoch %d of %d from %s", len(rows), schedule.epochs, path)
    before, precision = held["precision"], _precision(state, schedule)
    if before != precision:  # on another kind of processor, say
        log.info(
            "the run learnt in %s up to here and goes on in %s: it ends near, but not exactly at, "
            "the weights that one kind of processor would have given",
            before,
            precision,
        )
    return rows


def _precision(state: TrainingState, schedule: TrainingSchedule) -> Precision:
    """Return what the network is computed in where it lies."""
    device = next(state.module.parameters()).device
    return precision_on(device, bfloat16=schedule.bfloat16)


def epochs_left(checkpoint: Path) -> int:
    """Return how many epochs of its schedule a run has still to do.

    Raises:
        RecipeError: when there is no checkpoint, or it cannot be read.
    """
    held = read_checkpoint(checkpoint)
    return TrainingSchedule.model_validate(held["schedule"]).epochs_left(held["rows"])


def seconds_spent(folder: Path) -> float | None:
    """Return how many seconds a run has learnt; None for published weights, which do not say.

    Raises:
        RecipeError: when it holds no checkpoint that can be read.
    """
    if _weights_alone(folder):
        return None
    return float(sum(row["seconds"] for row in read_checkpoint(folder / CHECKPOINT)["rows"]))


def averaged_weights(folder: Path) -> dict[str, Tensor]:
    """Return the averaged weights of a run, by the names they have in its network; float32.

    They are those of the epoch that the schedule keeps, and come from the checkpoint; a folder
    without one may hold ``weights.pt`` alone, as published models do.

    Raises:
        RecipeError: when there is neither, or it cannot be read.
    """
    if _weights_alone(folder):
        held = read_checkpoint(folder / WEIGHTS)
        return {
            name: weight.float() if weight.is_floating_point() else weight
            for name, weight in held.items()
        }
    checkpoint = read_checkpoint(folder / CHECKPOINT)
    if checkpoint["best"]:
        return dict(checkpoint["best"])
    # ``AveragedModel`` keeps its copy under this name, beside its own counter.
    return {
        name.removeprefix("module."): weight
        for name, weight in checkpoint["average"].items()
        if name.startswith("module.")
    }


def learn_on(module: nn.Module, start: Mapping[str, Tensor]) -> None:
    """Give ``module`` those weights of another network that have the name and shape of its own.

    Raises:
        RecipeError: there is none.
    """
    own = module.state_dict()
    fitting = {
        name: weight
        for name, weight in start.items()
        if name in own and own[name].shape == weight.shape
    }
    if not fitting:
        raise RecipeError(
            "start names a run whose network has no weight in common with this "
            "recipe's; leave it out"
        )
    log.info("learning on from %d of %d tensors of weights", len(fitting), len(own))
    # Not strict: heads of another shape keep the weights they were made with.
    module.load_state_dict(fitting, strict=False)


def _weights_alone(folder: Path) -> bool:
    return not (folder / CHECKPOINT).exists() and (folder / WEIGHTS).exists()


def save_weights(module: nn.Module, folder: Path) -> None:
    """Write ``weights.pt``: the weights in half precision, to start other runs from.

    Raises:
        RecipeError: when it cannot be written.
    """
    held = {
        # Half precision is enough to begin with, and half the size in the repository.
        name: weight.half() if weight.is_floating_point() else weight
        for name, weight in module.state_dict().items()
    }
    _save(held, folder / WEIGHTS)


def _save(held: Mapping[str, Any], path: Path) -> None:
    content = io.BytesIO()
    torch.save(held, content)  # PyTorch writing the file itself hides why it cannot
    write_whole(path, content.getbuffer())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the contents of a checkpoint, on the CPU, whatever device wrote it.

    Raises:
        RecipeError: when there is none, or it cannot be read.
    """
    try:
        # ``weights_only`` runs no code of a file that somebody else has made.
        held: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        raise RecipeError(
            f"{path}: is not a checkpoint that can be read; remove it to begin again"
        ) from error
    return held
