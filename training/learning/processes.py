"""Several processes learn together: each takes its part of every batch.

Their gradients are averaged.

Started by PyTorch's own ``torchrun --nproc-per-node N -m training fit …``, which tells each process
its number in the environment; without it there is one process, and nothing here does anything.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from training.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's place among those that learn together."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one process that checks, logs and writes."""
        return self.rank == 0

    def part(self, batch: Sequence[Tensor]) -> list[Tensor]:
        """This process's rows of a batch: every ``count``-th, the same number for each process.

        Raises:
            RecipeError: when the batch cannot be shared out evenly.
        """
        size = len(batch[0])
        if size % self.count:
            raise RecipeError(
                f"schedule.batch = {size} cannot be shared by {self.count} "
                "processes; choose a multiple"
            )
        return [tensor[self.rank :: self.count] for tensor in batch]

    def shared(self, module: nn.Module) -> nn.Module:
        """``module`` itself when alone.

        Otherwise wrapped so that the gradients of all processes are averaged.
        """
        if self.count == 1:
            return module
        return DistributedDataParallel(module)


@contextmanager
def processes(device: torch.device) -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started, and leave them in the end.

    All but the first only warn.
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
    """The device that ``--device`` names: ``cpu``, ``cuda``, ``cuda:1`` ….

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
