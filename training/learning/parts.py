"""Parts of a network: frozen for a while, or with a learning rate of their own.

Transfer learning keeps what the first layers know of other pictures: they are frozen until the new
layers have learnt something, and learn more slowly then (Howard and Ruder 2018, "Universal language
model fine-tuning for text classification", section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from training.errors import RecipeError
from training.learning.recipe import TrainingSchedule


@runtime_checkable
class InParts(Protocol):
    """A network that can be divided."""

    def parts(self) -> tuple[nn.Module, ...]:
        """Return the parts from input to outputs; together they hold every parameter once."""
        ...


def parts_of(module: nn.Module) -> tuple[nn.Module, ...]:
    """Return the parts of a network; one that does not tell its parts is one."""
    if isinstance(module, InParts):
        return module.parts()
    return (module,)


def check_parts(module: nn.Module, schedule: TrainingSchedule) -> None:
    """Check that the schedule's ``freeze`` and ``learning_rates`` fit the network.

    Raises:
        RecipeError: naming the key and how many parts there are.
    """
    count = len(parts_of(module))
    if schedule.freeze >= count:
        raise RecipeError(
            f"schedule.freeze = {schedule.freeze}: the network has {count} parts, and the last of "
            f"them has to learn; freeze at most {count - 1}"
        )
    rates = schedule.learning_rates
    if rates and len(rates) != count:
        raise RecipeError(
            f"schedule.learning_rates: {len(rates)} numbers for a network of {count} parts; give "
            "one a part, from the input to the heads"
        )
    if len(schedule.unfreeze_at) > schedule.freeze:
        raise RecipeError(
            f"schedule.unfreeze_at: {len(schedule.unfreeze_at)} epochs for {schedule.freeze} "
            "frozen parts; give at most one a part"
        )
    if list(schedule.unfreeze_at) != sorted(set(schedule.unfreeze_at)):
        raise RecipeError("schedule.unfreeze_at: the epochs must rise")


def frozen_at(schedule: TrainingSchedule, epoch: int) -> int:
    """Return how many of the first parts are frozen in an epoch, counted from 0.

    At each epoch of ``unfreeze_at`` the last frozen part begins to learn; at the final one, all the
    rest.
    """
    begun = sum(after <= epoch for after in schedule.unfreeze_at)
    # The last of these epochs frees all that are left, however many they are.
    if begun and begun == len(schedule.unfreeze_at):
        return 0
    return schedule.freeze - begun


def freeze(module: nn.Module, schedule: TrainingSchedule, epoch: int) -> None:
    """Freeze and unfreeze the parts of a network, in training mode, for an epoch.

    The batch norm of a frozen part keeps its statistics, too. What a task froze itself stays so
    when the schedule freezes nothing.
    """
    if not schedule.freeze:
        return
    frozen = frozen_at(schedule, epoch)
    for number, part in enumerate(parts_of(module)):
        # Parts behind the frozen ones learn again, for an earlier epoch may have frozen them.
        part.requires_grad_(number >= frozen)
        if number < frozen:
            _keep_statistics(part)


def rate_factors(
    module: nn.Module, schedule: TrainingSchedule
) -> Sequence[tuple[nn.Module, float]]:
    """Return each part with the factor of its learning rate."""
    parts = parts_of(module)
    if not schedule.learning_rates:
        return [(module, 1.0)]
    return list(zip(parts, schedule.learning_rates, strict=True))


def _keep_statistics(part: nn.Module) -> None:
    for layer in part.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()
