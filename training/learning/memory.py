"""The order in memory in which a network is learnt."""

from __future__ import annotations

import torch
from torch import nn

_REGISTER = 16
"""Numbers that a register of the widest processors holds."""


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
