"""Real TFLite files of a few hundred bytes: fully connected layers, and a fitting card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edge_agent.core.expression import EMOTIONS

INPUT_SCALE = 1 / 255
INPUT_ZERO = -128
OUTPUT_SCALE = 0.25
OUTPUT_ZERO = 3
SIDE = 4
_CODES = {
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "float32": schema.TensorType.FLOAT32,
}
_CODES |= {"int16": schema.TensorType.INT16}


def brightness_weights(labels: int = len(EMOTIONS)) -> npt.NDArray[np.float32]:
    """Weights with which output i is the mean brightness (0…1) of the picture times i."""
    return np.outer(np.arange(labels), np.full(SIDE * SIDE, 1 / (SIDE * SIDE))).astype(np.float32)


class _Graph:
    """Collects tensors and buffers of one subgraph."""

    def __init__(self) -> None:
        self.buffers = [schema.BufferT()]
        self.tensors: list[Any] = []

    def add(
        self,
        name: str,
        dtype: str,
        shape: Sequence[int],
        quantization: tuple[Sequence[float], Sequence[int]] | None = None,
        content: npt.NDArray[Any] | None = None,
    ) -> int:
        """Add a tensor, with its constant content if it has one; return its number."""
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.shape = name.encode(), _CODES[dtype], list(shape)
        if quantization is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = (
                list(part) for part in quantization
            )
        if content is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(content.tobytes(), np.uint8)
            self.buffers.append(buffer)
            tensor.buffer = len(self.buffers) - 1
        self.tensors.append(tensor)
        return len(self.tensors) - 1


def tiny_tflite(
    dtype: str = "int8",
    weights: npt.NDArray[np.float32] | None = None,
    *,
    shape: Sequence[int] = (1, SIDE, SIDE, 1),
    output: str = "logits",
    extra_input: bool = False,
    output_quantization: tuple[Sequence[float], Sequence[int]] = ((OUTPUT_SCALE,), (OUTPUT_ZERO,)),
) -> bytes:
    """Return a TFLite file that multiplies the flattened input by ``weights`` (labels × pixels).

    Args:
        dtype: of input and output: int8, uint8 (its zero points shifted by 128), float32, or int16,
            which we refuse.
        weights: left out: `brightness_weights`.
        shape: of the input tensor.
        output: name of the output tensor.
        extra_input: adds a second input that nothing reads.
        output_quantization: scales and zero points of the output (int8 and uint8).
    """
    weights = brightness_weights() if weights is None else weights
    graph = _Graph()
    exact = dtype == "float32"
    shift = 128 if dtype == "uint8" else 0
    source_zero = INPUT_ZERO + shift
    output_zeros = [zero + shift for zero in output_quantization[1]]
    if dtype == "int16":  # always symmetric
        source_zero = 0
        output_zeros = [0]
    source = graph.add("pixels", dtype, shape, None if exact else ([INPUT_SCALE], [source_zero]))
    result = graph.add(
        output,
        dtype,
        (1, weights.shape[0]),
        None if exact else (output_quantization[0], output_zeros),
    )
    step = float(np.abs(weights).max()) / 127 or 1.0
    whole = weights if exact else np.rint(weights / step).astype(np.int16) + shift
    weight_type = "int8" if dtype == "int16" else dtype
    constant = graph.add(
        "weights",
        weight_type,
        weights.shape,
        None if exact else ([step], [shift]),
        whole.astype(np.dtype(weight_type)),
    )
    inputs = [source] + ([graph.add("another", dtype, shape, ([1.0], [0]))] if extra_input else [])
    return _pack(graph, inputs, [(result, [source, constant, -1], False)])


def explained_tflite() -> bytes:
    """Return the int8 file of `tiny_tflite` with the evidence of its 4 × 4 pixels as output.

    What a pixel adds to logit i is its brightness (0…1) times i / 16.
    """
    graph = _Graph()
    source = graph.add("pixels", "int8", (1, SIDE, SIDE, 1), ([INPUT_SCALE], [INPUT_ZERO]))
    logits = graph.add("logits", "int8", (1, len(EMOTIONS)), ([OUTPUT_SCALE], [OUTPUT_ZERO]))
    evidence = graph.add("evidence", "int8", (1, SIDE, SIDE, len(EMOTIONS)), ([1 / 256], [-128]))
    whole = _whole_constant(graph, "weights", brightness_weights())
    single = _whole_constant(graph, "weight of a pixel", brightness_weights()[:, :1])
    return _pack(
        graph,
        [source],
        [(logits, [source, whole, -1], False), (evidence, [source, single, -1], True)],
    )


def _whole_constant(graph: _Graph, name: str, weights: npt.NDArray[np.float32]) -> int:
    step = float(np.abs(weights).max()) / 127
    return graph.add(
        name, "int8", weights.shape, ([step], [0]), np.rint(weights / step).astype(np.int8)
    )


def explained_card(content: bytes, **changes: Any) -> dict[str, Any]:
    """Return the card of `explained_tflite`."""
    card = expression_card(content)
    labels = card["outputs"][0]["labels"]
    evidence = {
        "name": "evidence",
        "shape": [1, SIDE, SIDE, 8],
        "tensor": "evidence",
        "labels": labels,
    }
    return card | {"outputs": [*card["outputs"], evidence]} | changes


def _pack(graph: _Graph, inputs: list[int], layers: Sequence[tuple[int, list[int], bool]]) -> bytes:
    """Write the flatbuffer of a model of fully connected layers.

    Each layer is (result, operands, whether on the last axis alone).
    """
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 4
    subgraph = schema.SubGraphT()
    subgraph.tensors = graph.tensors
    subgraph.inputs = inputs
    subgraph.outputs = [result for result, _, _ in layers]
    subgraph.operators = [_connected(*layer) for layer in layers]
    model = schema.ModelT()
    model.version = 3
    model.operatorCodes = [code]
    model.subgraphs = [subgraph]
    model.buffers = graph.buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _connected(result: int, operands: list[int], last_axis_alone: bool) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs = operands
    operator.outputs = [result]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    operator.builtinOptions.keepNumDims = last_axis_alone
    return operator


def expression_card(content: bytes, **changes: Any) -> dict[str, Any]:
    """Return the card, as a dictionary, of an expression model made by `tiny_tflite`."""
    return {
        "schema": 1,
        "name": "tiny",
        "version": "1.0.0",
        "kind": "expression",
        "file": "tiny.tflite",
        "sha256": hashlib.sha256(content).hexdigest(),
        "license": "Apache-2.0",
        "description": "The brighter the picture, the later the category.",
        "input": {
            "width": SIDE,
            "height": SIDE,
            "channels": 1,
            "color": "gray",
            "layout": "NHWC",
            "scale": INPUT_SCALE,
            "offset": 0.0,
        },
        "outputs": [
            {
                "name": "expression",
                "shape": [1, 8],
                "tensor": "logits",
                "labels": [e.value for e in EMOTIONS],
            }
        ],
        "temperature": 1.0,
        "uncertain_below": 0.45,
        "crop": "fer2013-v1",
        "multiply_adds": 128,
        "parameters": 128,
        "training": {"recipe": "none", "seed": 0, "epochs": 0, "data": [], "date": "2026-01-01"},
        "metrics": {},
        "limits": [],
    } | changes


def write_model(folder: Path, content: bytes, card: dict[str, Any]) -> Path:
    """Write file and card into ``folder``; return the path of the card."""
    (folder / card["file"]).write_bytes(content)
    path = folder / f"{card['name']}.json"
    path.write_text(json.dumps(card), encoding="utf-8")
    return path
