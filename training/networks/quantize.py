"""PyTorch network → static int8 TFLite file with its card: the only form of a published model.

The ranges of the activations are measured on real pictures (calibration). The network's outputs get
the names that the card gives them; the runtime finds them again by the tensor names written here.

Filters in few steps make a file that packs to about half of its size: an int8 filter usually has
all of its 255 values, which look like noise to whoever packs the file. A filter whose values are
whole multiples of a coarse step needs a few bits a weight, and the file costs the runtime what it
cost before. Rounding alone would cost accuracy at that step; here each rounding error is made good
by the weights that are still to be rounded (GPTQ: Frantar et al. 2023, "GPTQ: accurate
post-training quantization for generative pre-trained transformers", arXiv 2210.17323), so that what
the filter gives for real pictures changes least.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from warnings import catch_warnings, simplefilter

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer
from ai_edge_quantizer import recipe as quantizer_recipe
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.calibrator import Calibrator
from ai_edge_quantizer.qtyping import TFLOperationName
from ai_edge_quantizer.recipe_manager import RecipeManager
from ai_edge_quantizer.utils.qsv_utils import min_max_update
from ai_edge_quantizer.utils.tfl_flatbuffer_utils import (
    get_op_name_by_index,
    get_tensor_data,
    get_tensor_name,
    parse_fc_bmm_conv_tensors,
    read_model,
)
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import convert_conv2d_weight_memory_format

from edge_agent.vision.models.card import ModelCard
from edge_agent.vision.models.preparation import Step, prepare
from training.errors import DataError, write_all
from training.networks.base import multiply_adds, parameters

log = logging.getLogger(__name__)

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
CARD_SCHEMA = 1
_CHECKED = 4  # pictures on which network and file must agree
_SIGNATURE = "serving_default"


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
            mean square of a filter's weights. With a step of 1 a weight takes about 2 bits.

    Example::

        coarse = coarse_filters(network, recipe.as_input(pictures), 1.5)
    """
    changed = deepcopy(module).eval()
    layers = [
        part
        # Depthwise filters have one channel each, and too few weights to make an error good.
        for part in changed.modules()
        if isinstance(part, nn.Conv2d) and part.groups == 1 and part.in_channels > 1
    ]
    most = max((layer.weight.numel() for layer in layers), default=1)
    for layer in layers:
        # Of the network as changed so far: each layer makes good what those before it do.
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
    # A filter of zeros has no step of its own; the smallest number keeps the division possible.
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
            # The error in units of what the weights behind it can take over.
            error = (wanted - counts * steps) / inverse[column, column]
            weights[:, column:end] -= error @ inverse[column : column + 1, column:end]
            errors[:, column - begin : column - begin + 1] = error
        # What lies behind the block is corrected once for the whole block.
        weights[:, end:] -= errors @ inverse[begin:end, end:]
    # Back in the order in which the filter is stored.
    result: Tensor = rounded[:, torch.argsort(order)].reshape(filters.shape).to(filters.dtype)
    return result


def filter_bounds(filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 127 times the step of each filter, the largest step that holds it exactly.

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
        # In float32 an exact multiple may be off in its last digits.
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
    """Return the mean of x · xᵀ over all places of the layer's filters in the pictures."""
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


@dataclass(frozen=True, slots=True)
class PixelInput:
    """The input of the model: real value = pixel (0…255) × ``scale`` + ``offset``.

    Each picture is first prepared by the steps of ``prepare``
    (:mod:`edge_agent.vision.models.preparation`).
    """

    width: int
    height: int
    channels: Literal[1, 3]
    scale: float
    offset: float
    prepare: tuple[Step, ...] = ()

    def real(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 N×H×W or N×H×W×C → float32 N×H×W×C as the network sees it."""
        shaped = pixels.reshape(-1, self.height, self.width, self.channels)
        if self.prepare:
            shaped = np.stack([prepare(picture, self.prepare) for picture in shaped])
        return (shaped * np.float32(self.scale) + np.float32(self.offset)).astype(np.float32)

    def card(self) -> dict[str, object]:
        """Return the ``input`` section of the card."""
        return {
            "width": self.width,
            "height": self.height,
            "channels": self.channels,
            "color": "gray" if self.channels == 1 else "rgb",
            "layout": "NHWC",
            "scale": self.scale,
            "offset": self.offset,
            "prepare": self.prepare or None,
        }


def write_model(
    module: nn.Module,
    pixels: PixelInput,
    outputs: Mapping[str, Sequence[str]],
    *,
    calibration: NDArray[np.uint8],
    card: Mapping[str, object],
    folder: Path,
) -> Path:
    """Quantize ``module`` and write ``NAME.tflite`` and ``NAME.json`` into ``folder``.

    Args:
        module: takes float32 N × C × H × W, returns a tuple of tensors, one for each of
            ``outputs``.
        pixels: geometry and normalisation of the input.
        outputs: name of each output, in the order in which the module returns them, with the labels
            of its last axis; an empty sequence if it has none.
        calibration: uint8 N × H × W (× C): a few hundred real pictures, such as the model will see.
        card: the rest of the card (``name``, ``version``, ``kind``, ``license`` …); ``schema``,
            ``file``, ``sha256``, ``input``, ``outputs``, ``multiply_adds`` and ``parameters`` are
            added.
        folder: made when missing.

    Returns:
        the path of the card.

    Raises:
        DataError: when there is nothing to calibrate on.
        pydantic.ValidationError: when ``card`` lacks something that a card of its kind needs.

    Example::

        card = write_model(
            network,
            PixelInput(48, 48, 1, scale=1 / 64, offset=-2.0),
            {"expression": EXPRESSIONS, "fer2013": FER2013},
            calibration=faces.pictures[:400],
            card={"name": "my-faces", "version": "1.0.0", "kind": "expression", ...},
            folder=Path("runs/my-faces"),
        )
        model = load_model(card, kind="expression")
    """
    content = quantize(module, pixels, tuple(outputs), calibration)
    sample = torch.zeros(1, pixels.channels, pixels.height, pixels.width)
    name = str(card["name"])
    full: dict[str, object] = {
        "schema": CARD_SCHEMA,
        **card,
        "file": f"{name}.tflite",
        "sha256": hashlib.sha256(content).hexdigest(),
        "input": pixels.card(),
        "outputs": _describe_outputs(content, outputs),
        "multiply_adds": multiply_adds(module, sample),
        "parameters": parameters(module),
    }
    checked = ModelCard.model_validate(full)
    path = folder / f"{checked.name}.json"
    write_all(folder, {checked.file: content, path.name: checked.to_json().encode()})
    return path


def in_few_steps(
    module: nn.Module, pixels: PixelInput, calibration: NDArray[np.uint8], step: float | None
) -> nn.Module:
    """Return the network with filters rounded to ``filter_step``; unchanged if there is none.

    ``calibration`` as for :func:`write_model`.
    """
    if step is None:
        return module
    seen = torch.from_numpy(pixels.real(calibration)).permute(0, 3, 1, 2).contiguous()
    return coarse_filters(module, seen, step)


def quantize(
    module: nn.Module, pixels: PixelInput, outputs: Sequence[str], calibration: NDArray[np.uint8]
) -> bytes:
    """Return the static int8 TFLite file of ``module`` (arguments as for :func:`write_model`)."""
    if len(calibration) == 0:
        raise DataError("no picture to calibrate the int8 model on")
    # Everything that the tools print goes away with the folder; faults are exceptions.
    with TemporaryDirectory() as folder, _quiet():
        floating = Path(folder) / "float.tflite"
        convert(module, pixels, outputs, floating)
        # On the float file: an int8 one differs from the network anyway, by rounding.
        check_conversion(
            floating,
            module,
            outputs,
            [pixels.real(picture[None]) for picture in calibration[:_CHECKED]],
        )
        recipe = _recipe(module)
        ranges = _calibrate(str(floating), recipe, list(_samples(pixels, calibration)))
        # These ranges win over those that were measured.
        ranges |= _filter_ranges(floating)
        result = quantizer.Quantizer(str(floating), recipe).quantize(ranges)
    if result.quantized_model is None:
        raise DataError("the quantizer returned no model")
    content = bytes(result.quantized_model)
    log.info("int8 model: %d bytes, calibrated on %d pictures", len(content), len(calibration))
    return content


def _recipe(module: nn.Module) -> list[dict[str, Any]]:
    """Everything in int8, but for the operators that a part of the network keeps in float.

    A part names them in ``float_operators``: TFLite's names, such as ``DIV``.
    """
    manager = RecipeManager()
    manager.load_quantization_recipe(quantizer_recipe.static_wi8_ai8())
    kept = {name for part in module.modules() for name in getattr(part, "float_operators", ())}
    for name in sorted(kept):
        manager.add_quantization_config(
            ".*", TFLOperationName[name], algorithm_key=AlgorithmName.NO_QUANTIZE
        )
    recipe: list[dict[str, Any]] = manager.get_quantization_recipe()
    return recipe


def _calibrate(
    floating: str, recipe: list[dict[str, Any]], samples: list[dict[str, NDArray[np.float32]]]
) -> Any:
    """Smallest and largest value of each tensor over all samples.

    ``Quantizer.calibrate`` would keep a moving average of each sample's extremes instead, which
    cuts off what is rare: it left a detector whose logits ended at 0, and a picture whose black and
    white were clipped.
    """
    manager = RecipeManager()
    manager.load_quantization_recipe(recipe)
    measured = Calibrator(floating, qsv_update_func=min_max_update)
    with redirect_stderr(StringIO()):  # its progress bar; a fault is an exception
        measured.calibrate({_SIGNATURE: samples}, manager)
    return measured.get_model_qsvs()


def _filter_ranges(floating: Path) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Return the range of each filter for int8, so that filters of few steps keep just those.

    Depthwise convolutions, whose filters belong to channels, keep what the quantizer gives.
    """
    model = read_model(floating)
    ranges = {}
    for number, part in enumerate(model.subgraphs):
        for place, operator in enumerate(part.operators):
            if get_op_name_by_index(model, number, place) != TFLOperationName.CONV_2D:
                continue
            _, filters, _, _ = parse_fc_bmm_conv_tensors(operator, part.tensors)
            bounds = filter_bounds(get_tensor_data(filters, model.buffers))
            ranges[get_tensor_name(filters)] = {"min": -bounds, "max": bounds}
    return ranges


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep converter and quantizer off stdout, which is for the command's answer.

    Their warnings are dropped, too.
    """
    with redirect_stdout(StringIO()), catch_warnings():
        simplefilter("ignore")
        yield


class _Named(nn.Module):
    """Gives the outputs their names, which become those of the TFLite signature."""

    def __init__(self, module: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.module = module
        self.names = tuple(names)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.names, self.module(x), strict=True))


def convert(module: nn.Module, pixels: PixelInput, outputs: Sequence[str], path: Path) -> None:
    """Write ``module`` as a float TFLite file with input N × H × W × C and named outputs."""
    import litert_torch

    # The converter writes weights as they lie in memory: channels-last ones would come out
    # scrambled.
    # A copy, for the network may go on being used.
    plain = convert_conv2d_weight_memory_format(deepcopy(module), torch.contiguous_format)
    named = litert_torch.to_channel_last_io(_Named(plain, outputs).eval(), args=[0]).eval()
    sample = torch.zeros(1, pixels.height, pixels.width, pixels.channels)
    with _quiet():
        litert_torch.convert(named, (sample,)).export(str(path))


def check_conversion(
    floating: Path,
    module: nn.Module,
    outputs: Sequence[str],
    samples: Sequence[NDArray[np.float32]],
) -> None:
    """Compare a float TFLite file with the network that it was made from.

    Args:
        floating: the file, before quantization.
        module: the network.
        outputs: names of its outputs, in order.
        samples: inputs, float32 1 × H × W × C.

    Raises:
        DataError: when an output differs by more than a thousandth of its size, naming the output.
    """
    runner = Interpreter(model_path=str(floating)).get_signature_runner(_SIGNATURE)
    module.eval()
    for sample in samples:
        converted = runner(args_0=sample)
        with torch.no_grad():
            expected = module(torch.from_numpy(sample).permute(0, 3, 1, 2).contiguous())
        for name, tensor in zip(outputs, expected, strict=True):
            wanted = tensor.numpy()
            allowed = 1e-3 * max(1.0, float(np.abs(wanted).max()))
            if np.abs(converted[name] - wanted).max() > allowed:
                raise DataError(
                    f"the converter changed the network: output {name!r} differs from PyTorch's"
                )


def _samples(
    pixels: PixelInput, calibration: NDArray[np.uint8]
) -> Iterator[dict[str, NDArray[np.float32]]]:
    for picture in calibration:
        yield {"args_0": pixels.real(picture[None])}


def _describe_outputs(
    content: bytes, outputs: Mapping[str, Sequence[str]]
) -> list[dict[str, object]]:
    interpreter = Interpreter(model_content=content)
    runner = interpreter.get_signature_runner(_SIGNATURE)
    described = []
    for name, labels in outputs.items():
        # The runtime finds an output by the name of its tensor, not by that of the signature.
        detail = runner.get_output_details()[name]
        entry: dict[str, object] = {
            "name": name,
            "shape": [int(size) for size in detail["shape"]],
            "tensor": detail["name"],
        }
        if labels:
            entry["labels"] = list(labels)
        described.append(entry)
    return described
