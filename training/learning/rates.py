"""Update the weights: the optimizer Muon, rates of single parts, precision, order in memory.

Muon makes momentum orthogonal, for convolutions that batch norm follows.

Parts of a network can be frozen, or have a rate of their own.

Transfer learning keeps what the first layers know of other pictures: they are frozen until the new
layers have learnt something, and learn more slowly then (Howard and Ruder 2018, "Universal language
model fine-tuning for text classification", section 3.2).

A network is computed in bfloat16 where that is quick, and in float32 elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from training.errors import RecipeError
from training.learning.recipe import Schedule

Precision = Literal["bfloat16", "float32"]

_QUICK = ("avx512_bf16", "amx_bf16")
"""PyTorch's names of the instructions that compute in bfloat16."""
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 3
"""Newton–Schulz, quintic (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural
networks").
"""
_REGISTER = 16
"""Numbers that a register of the widest processors holds."""


def place_of(module: nn.Module) -> torch.device:
    """Return the device that holds the weights of a network; the processor where it has none."""
    return next((weight.device for weight in module.parameters()), torch.device("cpu"))


def bfloat16_is_quick(device: torch.device) -> bool:
    """Tell whether bfloat16 saves time: on a GPU, and on a processor with instructions for it.

    PyTorch imitates it on other processors, and takes up to three times the time of float32 with
    AVX-512, about ten times without.
    """
    if device.type != "cpu":
        return True
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in _QUICK)


def precision_on(device: torch.device, *, bfloat16: bool) -> Precision:
    """Return the precision to compute in.

    Args:
        device: that computes.
        bfloat16: whether the recipe asks for it; it is given only where it is quick.
    """
    if bfloat16 and bfloat16_is_quick(device):
        return "bfloat16"
    return "float32"


def precision_sentence(device: torch.device, *, bfloat16: bool) -> str:
    """Say what a run computes in, and why it is not what the recipe asks for."""
    precision = precision_on(device, bfloat16=bfloat16)
    if bfloat16 and precision == "float32":
        return "learning in float32: this processor is slow at the recipe's bfloat16"
    return f"learning in {precision}"


def autocast(device: torch.device, *, bfloat16: bool) -> torch.autocast:
    """Return the context in which a network is computed with :func:`precision_on`."""
    enabled = precision_on(device, bfloat16=bfloat16) == "bfloat16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


class Muon(Optimizer):
    """Muon for the filters of convolutions; SGD with Nesterov momentum for every other parameter.

    A filter's step is its Nesterov momentum, as a matrix of output channels × the rest, with all
    singular values brought near 1. Before the step the filter is scaled to the norm √(output
    channels): batch norm takes its scale out again, so the learning rate alone says how far it
    turns, and it needs no weight decay (Jordan 2024, "94 % on CIFAR-10 in 3.29 seconds on a single
    GPU"). PyTorch's own ``Muon`` takes matrices alone.

    Args:
        module: the network; the filters are those of its convolutions without bias, which batch
            norm follows, with more than one input channel.
        groups: all parameters as SGD takes them, with ``weight_decay``; the filters are taken out
            of them and form groups of their own behind the others.
        lr: learning rate of the groups that name none.
        momentum: of all.
    """

    def __init__(
        self, module: nn.Module, groups: Iterable[dict[str, Any]], lr: float, momentum: float
    ) -> None:
        filters = [
            m.weight
            for m in module.modules()
            if isinstance(m, nn.Conv2d) and m.bias is None and m.in_channels > 1
        ]
        known = {id(weight) for weight in filters}
        parted: list[dict[str, Any]] = []
        turned: list[dict[str, Any]] = []
        # A parameter is in one group only: the filters leave the group that they came in.
        for group in groups:
            weights = list(group["params"])
            parted.append({**group, "params": [p for p in weights if id(p) not in known]})
            of_group = [p for p in weights if id(p) in known]
            if of_group:
                turned.append(
                    {**group, "params": of_group, "weight_decay": 0.0, "orthogonal": True}
                )
        if not turned:  # checkpoints count the groups
            turned.append({"params": [], "weight_decay": 0.0, "orthogonal": True})
        super().__init__(
            parted + turned,
            {"lr": lr, "momentum": momentum, "weight_decay": 0.0, "orthogonal": False},
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override] # noqa: ARG002 - PyTorch's name
        """Take one step with the gradients that are there."""
        for group in self.param_groups:
            for weight in (p for p in group["params"] if p.grad is not None):
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                change = weight.grad.add(weight, alpha=group["weight_decay"])
                momentum.mul_(group["momentum"]).add_(change)
                # Nesterov: the gradient, and the momentum as it will be after this step.
                change.add_(momentum, alpha=group["momentum"])
                if group["orthogonal"]:
                    # The scale of a filter has no effect in front of a batch norm, and would only
                    # slow its turning.
                    weight.mul_(len(weight) ** 0.5 / weight.norm())
                    change = orthogonal(change)
                weight.sub_(change, alpha=group["lr"])


def orthogonal(filters: Tensor) -> Tensor:
    """Bring the singular values of filters, O × I × H × W, near 1.

    They are the values of their O × (I·H·W) matrix.
    """
    a, b, c = _COEFFICIENTS
    last = filters.movedim(1, -1)  # as channels-last keeps them: a view, not a copy
    matrix = last.reshape(len(filters), -1)
    if bfloat16_is_quick(filters.device):  # rough is good enough here
        matrix = matrix.bfloat16()
    # The smaller side, so that the products below are of the smaller size.
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    # The iteration converges only for singular values up to 1; the norm of Frobenius is never below
    # the largest.
    x = x / (x.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    turned: Tensor = (x.T if tall else x).to(filters.dtype).reshape(last.shape).movedim(-1, 1)
    return turned


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


def check_parts(module: nn.Module, schedule: Schedule) -> None:
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


def frozen_at(schedule: Schedule, epoch: int) -> int:
    """Return how many of the first parts are frozen in an epoch, counted from 0.

    At each epoch of ``unfreeze_at`` the last of the frozen parts begins to learn; at the last of
    these epochs all that are left.
    """
    begun = sum(after <= epoch for after in schedule.unfreeze_at)
    # The last of these epochs frees all that are left, however many they are.
    if begun and begun == len(schedule.unfreeze_at):
        return 0
    return schedule.freeze - begun


def freeze(module: nn.Module, schedule: Schedule, epoch: int) -> None:
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


def rate_factors(module: nn.Module, schedule: Schedule) -> Sequence[tuple[nn.Module, float]]:
    """Return each part with the factor of its learning rate."""
    parts = parts_of(module)
    if not schedule.learning_rates:
        return [(module, 1.0)]
    return list(zip(parts, schedule.learning_rates, strict=True))


def _keep_statistics(part: nn.Module) -> None:
    for layer in part.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()


def memory_format(module: nn.Module) -> torch.memory_format:
    """Return the layout to learn a network in: channels-last, the quicker one, where that is safe.

    oneDNN, which computes PyTorch's convolutions on a processor, has a bug in that layout: the
    gradient of a 1×1 convolution with a stride writes beyond its memory when the convolution has
    fewer input channels than a register holds (8 with AVX2, 16 with AVX-512). The process then
    crashes, hangs, or learns nonsense. A network with such a convolution is learnt channels-first.
    Source: https://github.com/uxlfoundation/oneDNN/issues/6035 (seen in oneDNN 3.12, PyTorch 2.13).
    """
    convolutions = (each for each in module.modules() if isinstance(each, nn.Conv2d))
    if any(_is_struck(each) for each in convolutions):
        return torch.contiguous_format
    return torch.channels_last


def _is_struck(convolution: nn.Conv2d) -> bool:
    """Tell whether the bug may strike a convolution."""
    is_point = tuple(convolution.kernel_size) == (1, 1)
    is_strided = tuple(convolution.stride) != (1, 1)
    return is_point and is_strided and convolution.in_channels < _REGISTER
