"""Filters in few steps: an int8 file that packs to about half of its size.

An int8 filter usually has all of its 255 values, which look like noise to whoever packs the file. A
filter whose values are whole multiples of a coarse step needs a few bits a weight, and the file
costs the runtime what it cost before. Rounding alone would cost accuracy at that step; here each
rounding error is made good by the weights that are still to be rounded (GPTQ: Frantar et al. 2023,
"GPTQ: accurate post-training quantization for generative pre-trained transformers",
arXiv 2210.17323), so that what the filter gives for real pictures changes least.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

_LARGEST = 127
"""Steps to either side that int8 has."""
_DAMPING = 0.01
"""Share of the mean square of the inputs that keeps the equations solvable (Frantar et al. 2023)"""
_CHUNK = 50
"""Pictures at a time."""
_PLACES = 400_000
"""Enough places at which a filter lies; a large picture has thousands."""
_BLOCK = 128
"""Weights of a filter that are rounded before the errors reach those behind them."""


def coarse_filters(module: nn.Module, pictures: Tensor, step: float) -> nn.Module:
    """Return a copy whose convolutions have filters of whole multiples of a step.

    The filters that join channels are changed, one convolution after the other, each for what the
    changed ones before it give; filters of a single channel, batch norms and full connections stay.

    A convolution of few weights costs few bits, and its errors reach the answers as much as those
    of one with many. So the step falls with the root of the number of weights: with errors that
    grow with the square of the step and bits with its logarithm, that gives the least error for
    the bits of all together.

    Args:
        module: in eval mode, its convolutions in the order in which they are computed.
        pictures: what it is given, float32 N × C × H × W: some hundred real pictures.
        step: of the filters of the convolution with the most weights, as a share of the root of the
            mean square of a filter's weights. At 1 a weight takes about 2 bits there.

    Example::

        coarse = coarse_filters(network, recipe.as_input(pictures), 1.5)
    """
    changed = deepcopy(module).eval()
    layers = [
        part
        for part in changed.modules()
        if isinstance(part, nn.Conv2d) and part.groups == 1 and part.in_channels > 1
    ]
    most = max((layer.weight.numel() for layer in layers), default=1)
    for layer in layers:
        products = _input_products(layer, changed, pictures)
        own_step = step * math.sqrt(layer.weight.numel() / most)
        with torch.no_grad():
            layer.weight.copy_(round_filters(layer.weight, products, own_step))
    return changed


def round_filters(filters: Tensor, products: Tensor, step: float) -> Tensor:
    """Round filters to multiples of their step, so that their answers change least.

    Args:
        filters: O × I × h × w.
        products: mean of x · xᵀ over the inputs x of a filter, I·h·w × I·h·w.
        step: share of the root of the mean square of a filter's weights.

    Returns:
        O × I × h × w; at most 127 steps to either side.
    """
    weights = filters.detach().reshape(len(filters), -1).double()
    steps = step * weights.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-12)
    order = torch.argsort(torch.diag(products), descending=True)  # what weighs most comes first
    weights = weights[:, order]
    inverse = _inverse_root(products.double()[order][:, order])
    rounded = torch.zeros_like(weights)
    for begin in range(0, weights.shape[1], _BLOCK):
        end = min(begin + _BLOCK, weights.shape[1])
        errors = torch.zeros(len(weights), end - begin, dtype=weights.dtype)
        for column in range(begin, end):
            wanted = weights[:, column : column + 1]
            counts = (wanted / steps).round().clamp(-_LARGEST, _LARGEST)
            rounded[:, column : column + 1] = counts * steps
            error = (wanted - counts * steps) / inverse[column, column]
            weights[:, column:end] -= error @ inverse[column : column + 1, column:end]
            errors[:, column - begin : column - begin + 1] = error
        weights[:, end:] -= errors @ inverse[begin:end, end:]
    result: Tensor = rounded[:, torch.argsort(order)].reshape(filters.shape).to(filters.dtype)
    return result


def filter_bounds(filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """What 127 steps of each filter are, the steps being the largest that hold it exactly.

    A filter of no such step has its largest absolute value there, as always in int8.

    Args:
        filters: O × h × w × I.

    Returns:
        O × 1 × 1 × 1.
    """
    rows = np.abs(filters.reshape(len(filters), -1)).astype(np.float64)
    largest = rows.max(axis=1)
    counts = np.full(len(rows), _LARGEST)
    open_ones = np.flatnonzero(largest > 0)
    for count in range(1, _LARGEST):
        in_steps = rows[open_ones] / largest[open_ones, None] * count
        exact = (np.abs(in_steps - in_steps.round()) < 1e-3).all(axis=1)
        counts[open_ones[exact]] = count
        open_ones = open_ones[~exact]
        if len(open_ones) == 0:
            break
    bounds = np.where(largest > 0, largest / counts * _LARGEST, 1.0)
    return bounds.astype(np.float32).reshape(-1, 1, 1, 1)


def _inverse_root(products: Tensor) -> Tensor:
    """Upper triangular U with Uᵀ · U = the inverse of the damped matrix."""
    diagonal = torch.diag(products)
    damped = products + torch.eye(len(products)) * (_DAMPING * diagonal.mean() + 1e-12)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    root: Tensor = torch.linalg.cholesky(inverse, upper=True)
    return root


def _input_products(layer: nn.Conv2d, module: nn.Module, pictures: Tensor) -> Tensor:
    """Mean of x · xᵀ over the places at which the layer's filters lie in the pictures."""
    size = layer.weight[0].numel()
    products = torch.zeros(size, size)
    places = 0
    chunks = -(-len(pictures) // _CHUNK)
    with _inputs_of(layer) as seen, torch.no_grad():
        for first in range(chunks):
            if places >= _PLACES:
                break
            module(pictures[first::chunks])  # from all over the list, whatever its order
            while seen:
                columns = functional.unfold(
                    seen.pop(), layer.kernel_size, layer.dilation, _padding(layer), layer.stride
                )
                flat = columns.permute(1, 0, 2).reshape(size, -1)
                products += flat @ flat.T
                places += flat.shape[1]
    return products / places


@contextmanager
def _inputs_of(layer: nn.Module) -> Iterator[list[Tensor]]:
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].contiguous()))
    try:
        yield seen
    finally:
        hook.remove()


def _padding(layer: nn.Conv2d) -> tuple[int, ...]:
    assert not isinstance(layer.padding, str)  # our networks give numbers
    return layer.padding
