"""The precision in which a network is computed: bfloat16 where that is quick, else float32."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

Precision = Literal["bfloat16", "float32"]
_QUICK = ("avx512_bf16", "amx_bf16")
"""PyTorch's names of the instructions that compute in bfloat16."""


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
