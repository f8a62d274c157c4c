"""PyTorch network → static int8 TFLite file with its card: the only form of a published model.

The ranges of the activations are measured on real pictures (calibration). The network's outputs get
the names that the card gives them; the runtime finds them again by the tensor names written here.
"""

import hashlib
import logging
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
from torch.nn.utils import convert_conv2d_weight_memory_format

from edge_agent.vision.models.card import ModelCard
from edge_agent.vision.models.preparation import Step, prepare
from training.errors import DataError
from training.models.coarse_filters import coarse_filters, filter_bounds
from training.models.cost import multiply_adds, parameters

log = logging.getLogger(__name__)

CARD_SCHEMA = 1
_CHECKED = 4  # pictures on which network and file must agree
_SIGNATURE = "serving_default"


@dataclass(frozen=True, slots=True)
class PixelInput:
    """What the model is given: real value = pixel (0…255) × ``scale`` + ``offset``.

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
        """The ``input`` section of the card."""
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
    folder.mkdir(parents=True, exist_ok=True)
    (folder / checked.file).write_bytes(content)
    path = folder / f"{checked.name}.json"
    path.write_text(checked.to_json(), encoding="utf-8")
    return path


def in_few_steps(
    module: nn.Module, pixels: PixelInput, calibration: NDArray[np.uint8], step: float | None
) -> nn.Module:
    """The network with the filters of a recipe's ``filter_step``; itself if there is none.

    ``calibration`` as for :func:`write_model`.
    """
    if step is None:
        return module
    seen = torch.from_numpy(pixels.real(calibration)).permute(0, 3, 1, 2).contiguous()
    return coarse_filters(module, seen, step)


def quantize(
    module: nn.Module, pixels: PixelInput, outputs: Sequence[str], calibration: NDArray[np.uint8]
) -> bytes:
    """The static int8 TFLite file of ``module`` (arguments as for :func:`write_model`)."""
    if len(calibration) == 0:
        raise DataError("no picture to calibrate the int8 model on")
    with TemporaryDirectory() as folder, _quiet():
        floating = Path(folder) / "float.tflite"
        convert(module, pixels, outputs, floating)
        check_conversion(
            floating,
            module,
            outputs,
            [pixels.real(picture[None]) for picture in calibration[:_CHECKED]],
        )
        recipe = _recipe(module)
        ranges = _calibrate(str(floating), recipe, list(_samples(pixels, calibration)))
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
    """What int8 is to span of each filter, so that filters of few steps keep just those.

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
