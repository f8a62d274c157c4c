"""The precision that a network is computed in: bfloat16 where that is quick, float32 elsewhere."""

from typing import Literal

import torch

Precision = Literal["bfloat16", "float32"]

_QUICK = frozenset({"AVX512"})
"""PyTorch's names of the instruction sets that help with bfloat16."""


def bfloat16_is_quick(device: torch.device) -> bool:
    """Tell whether bfloat16 saves time: on a GPU, and on a processor with AVX-512.

    On other processors PyTorch takes about ten times the time of float32
    (``python -m benchmarks.precision`` measures it).
    """
    return device.type != "cpu" or torch.backends.cpu.get_cpu_capability() in _QUICK


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
        kind = torch.backends.cpu.get_cpu_capability()
        return f"learning in float32: this processor ({kind}) is slow at the recipe's bfloat16"
    return f"learning in {precision}"


def autocast(device: torch.device, *, bfloat16: bool) -> torch.autocast:
    """Return the context in which a network is computed with :func:`precision_on`."""
    enabled = precision_on(device, bfloat16=bfloat16) == "bfloat16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
