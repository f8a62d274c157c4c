"""Read the weights of a published MobileNet v1 out of its TFLite file (uint8, norms folded in)."""

from pathlib import Path

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from training.errors import RecipeError
from training.models.mobilenet import BLOCKS, Convolution, MobileNet

_LAYER = "MobilenetV1/MobilenetV1/Conv2d_"
_FILTERS = "/weights_quant/"
_BIAS = "/BatchNorm_Fold/bias"
_PIXELS = (128 / 255, 128 / 255)
"""What the published network takes off a pixel of 0…1, and what it divides by then."""


def load_mobilenet(path: Path, network: MobileNet, grey: tuple[float, float]) -> None:
    """Set the filters of a network, and the offsets of its norms, from a TFLite file.

    value = scale × (stored − zero point). The filters of the three colours are added, as a grey
    picture has the same number in each, and scaled to the pixels that this network takes. Batch
    norms get no statistics (:func:`training.expression.bases.load.settle_norms`).

    Args:
        path: of the file.
        network: changed in place.
        grey: what the network takes off a pixel of 0…1, and what it divides by then.

    Raises:
        RecipeError: when the file cannot be read, or is no MobileNet v1 of that width.
    """
    tensors = _constants(path)
    mean, deviation = grey
    factor = deviation / _PIXELS[1]
    offset = (mean - _PIXELS[0]) / _PIXELS[1]
    filters, bias = _layer(path, tensors, "0")
    summed = filters.transpose(0, 3, 1, 2).sum(axis=1, keepdims=True)
    bias = bias + offset * summed.sum(axis=(1, 2, 3))
    _set(path, network.stem, summed * factor, bias)
    for number in range(1, len(BLOCKS) + 1):
        block = network.blocks[number - 1]
        depthwise, point = block.children()
        filters, bias = _layer(path, tensors, f"{number}_depthwise")
        _set(path, depthwise, filters.transpose(3, 0, 1, 2), bias)
        filters, bias = _layer(path, tensors, f"{number}_pointwise")
        _set(path, point, filters.transpose(0, 3, 1, 2), bias)


def _constants(path: Path) -> dict[str, NDArray[np.float32]]:
    """Filters and biases by name, as real values."""
    try:
        interpreter = Interpreter(model_path=str(path))
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise RecipeError(
            f"--weights {path}: is not a TFLite file that can be read: {error}"
        ) from error
    held = {}
    for detail in interpreter.get_tensor_details():
        name = detail["name"]
        is_bias = name.endswith(_BIAS) and ";" not in name  # activations have several names
        if not (is_bias or _FILTERS in name):
            continue
        scale, zero = detail["quantization"]
        stored = interpreter.get_tensor(detail["index"])
        held[name] = (np.float32(scale) * (stored.astype(np.int64) - zero)).astype(np.float32)
    return held


def _layer(
    path: Path, tensors: dict[str, NDArray[np.float32]], layer: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Filters, O × h × w × I (depthwise: 1 × h × w × C), and biases, O, of a layer."""
    start = f"{_LAYER}{layer}"
    filters = [value for name, value in tensors.items() if f"{start}{_FILTERS}" in name]
    biases = [value for name, value in tensors.items() if name == f"{start}{_BIAS}"]
    if len(filters) != 1 or len(biases) != 1:
        raise RecipeError(
            f"--weights {path}: is no MobileNet v1 with its batch norms folded in; it has no layer "
            f"{start}"
        )
    return filters[0], biases[0]


def _set(
    path: Path,
    layer: object,
    filters: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> None:
    """Give a layer filters, O × I × h × w, and biases, O."""
    assert isinstance(layer, Convolution)
    wanted = tuple(layer.conv.weight.shape)
    if filters.shape != wanted:
        raise RecipeError(
            f"--weights {path}: filters of {filters.shape} where the network has {wanted}; "
            "network.width is another one"
        )
    with torch.no_grad():
        layer.conv.weight.copy_(torch.from_numpy(np.ascontiguousarray(filters)))
        layer.norm.bias.copy_(torch.from_numpy(bias.astype(np.float32)))
