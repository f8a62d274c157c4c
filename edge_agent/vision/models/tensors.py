"""The tensors of a model: checks of shape and type, quantization, and the table of input values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_agent.core.errors import ModelError
from edge_agent.vision.models.card import InputCard

_TYPES = (np.int8, np.uint8, np.float32)
# half a step of the quantization; the scales of card and file are rounded differently
_HALF_A_STEP = 0.5001


def check_shape(
    detail: Mapping[str, Any], expected: tuple[int, ...], what: str, path: Path
) -> None:
    """Refuse a tensor whose shape or type is not what card and code expect."""
    shape = tuple(int(side) for side in detail["shape"])
    if shape != expected:
        raise ModelError(
            f"{path}: {what} has shape {shape}, the card says {expected}. "
            "Card and file are not of one model; install it again."
        )
    if detail["dtype"] not in _TYPES:
        raise ModelError(
            f"{path}: {what} has type {np.dtype(detail['dtype'])}; int8, uint8 or "
            "float32 is expected."
        )


def quantization(detail: Mapping[str, Any], path: Path) -> tuple[float, int]:
    """Return scale and zero point of a tensor: real = (q − zero point) × scale.

    1 and 0 for float32.
    """
    if detail["dtype"] == np.float32:
        return 1.0, 0
    scale, zero = detail["quantization"]
    if not scale > 0 or len(detail["quantization_parameters"]["scales"]) != 1:
        raise ModelError(
            f"{path}: tensor {detail['name']!r} is whole numbers without one scale; quantize it "
            "per tensor."
        )
    return float(scale), int(zero)


def lookup_table(entry: Mapping[str, Any], card: InputCard, path: Path) -> npt.NDArray[Any]:
    """Return 256 entries of the input's type: what each pixel value becomes."""
    scale, zero = quantization(entry, path)
    real = np.arange(256, dtype=np.float64) * card.scale + card.offset
    if entry["dtype"] == np.float32:
        return real.astype(np.float32)
    exact = real / scale + zero
    limits = np.iinfo(entry["dtype"])
    shifted = np.arange(256) + int(limits.min)
    if np.abs(shifted - exact).max() <= _HALF_A_STEP:
        # as near as rounding, also where it lies halfway
        return shifted.astype(entry["dtype"])
    table: npt.NDArray[Any] = np.clip(np.rint(exact), limits.min, limits.max).astype(entry["dtype"])
    return table


def xor_mask(table: npt.NDArray[Any]) -> np.uint8 | None:
    """Return the bits that the table flips, where that is all it does.

    The usual table, from 0…255 to −128…127, flips the highest bit, which is a hundred times faster
    than looking up.
    """
    if table.itemsize == 1:
        pixels = np.arange(256, dtype=np.uint8)
        values = table.view(np.uint8)
        if np.array_equal(values, pixels ^ values[0]):
            return np.uint8(values[0])
    return None
