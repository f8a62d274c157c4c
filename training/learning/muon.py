"""The optimizer Muon: momentum made orthogonal, for convolutions that batch norm follows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from training.learning.precision import bfloat16_is_quick

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 3
"""Newton–Schulz, quintic (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural
networks").
"""


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
