"""A TFLite file that somebody else made: what it takes, gives and costs, and its order of answers.

The file is read as the flatbuffer that it is; what is changed is only the order of the last layer's
rows, and only a file that then answers the same in the new order is given back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.core.errors import ModelError
from edge_agent.vision.models.runtime import Interpreter, open_interpreter
from training.errors import DataError

_MARK = b"TFL3"
_MARK_AT = slice(4, 8)
_CHECKED = 8  # pictures on which both orders must agree


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output: name, shape (-1 where it is not fixed), and NumPy's name of its type."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    def as_text(self) -> str:
        """For messages."""
        return f"{self.name!r} {' × '.join(map(str, self.shape))} {self.dtype}"


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one inference, of convolutions and full connections."""

    multiply_adds: int
    parameters: int


class TFLiteFile:
    """A file that the runtime of the agent can open.

    Args:
        path: the file.
        content: its bytes, if they are not to be read from there.

    Raises:
        DataError: it cannot be read, is torn, or needs what the runtime lacks.
    """

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        self.path = path
        self.content = _read(path) if content is None else content
        if self.content[_MARK_AT] != _MARK:
            raise DataError(
                f"{path}: is no TFLite file (no {_MARK.decode()} at its beginning); give a model "
                "that was converted to TFLite, not one of Keras, PyTorch or ONNX"
            )
        self._interpreter = self._open()

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """What it takes."""
        return tuple(map(_info, self._interpreter.get_input_details()))

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """What it gives."""
        return tuple(map(_info, self._interpreter.get_output_details()))

    def answers(self, pictures: NDArray[np.float64], output: str) -> NDArray[np.float64]:
        """The real values of an output for inputs of 0…1, N × the input's shape: N × K."""
        (taken,) = self._interpreter.get_input_details()
        given = next(o for o in self._interpreter.get_output_details() if o["name"] == output)
        rows = []
        for picture in pictures:
            self._interpreter.set_tensor(taken["index"], _as_type(picture, taken))
            self._interpreter.invoke()
            values = self._interpreter.get_tensor(given["index"]).astype(np.float64).ravel()
            scale, zero = given["quantization"]
            rows.append((values - zero) * scale if scale else values)
        return np.array(rows)

    def costs(self) -> Costs:
        """Count multiplications and weights, from the shapes in the file."""
        from ai_edge_litert import schema_py_generated as schema

        op = schema.BuiltinOperator
        counted = {op.CONV_2D, op.DEPTHWISE_CONV_2D, op.FULLY_CONNECTED, op.TRANSPOSE_CONV}
        model = _unpacked(self.content)
        graph = model.subgraphs[0]
        total = 0
        weights: dict[int, int] = {}
        for operator in graph.operators:
            code = _code(model, operator)
            if code not in counted:
                continue
            shapes = [list(graph.tensors[at].shape) for at in operator.inputs[:2]]
            result = list(graph.tensors[operator.outputs[0]].shape)
            size = math.prod(shapes[1])
            if code == op.FULLY_CONNECTED:
                total += size * math.prod(result[:-1])
            elif code == op.TRANSPOSE_CONV:
                total += size * math.prod(graph.tensors[operator.inputs[2]].shape[1:3])
            else:
                total += size * result[1] * result[2]
            for at in operator.inputs[1:3]:
                if at >= 0 and _constant(model, graph.tensors[at]):
                    weights[int(at)] = math.prod(graph.tensors[at].shape)
        return Costs(int(total), sum(weights.values()))

    def reordered(self, output: str, order: list[int]) -> TFLiteFile:
        """The same model whose answer i is this one's answer ``order[i]``.

        Raises:
            DataError: the answers do not come from a full connection, so that they cannot be put
                into another order.
        """
        import flatbuffers  # type: ignore[import-untyped]

        model = _unpacked(self.content)
        graph = model.subgraphs[0]
        operator = self._last_connection(model, output)
        for at in operator.inputs[1:3]:
            if at >= 0:
                _permute(model, graph.tensors[at], order)
        builder = flatbuffers.Builder(len(self.content))
        builder.Finish(model.Pack(builder), _MARK)
        changed = TFLiteFile(self.path, bytes(builder.Output()))
        shape = self.inputs[0].shape
        pictures = np.random.default_rng(0).uniform(size=(_CHECKED, *shape))
        before = self.answers(pictures, output)
        if not np.allclose(changed.answers(pictures, output), before[:, order], atol=1e-5):
            raise DataError(self._cannot_reorder())
        return changed

    def _last_connection(self, model: Any, output: str) -> Any:
        from ai_edge_litert import schema_py_generated as schema

        op = schema.BuiltinOperator
        passing = {op.RESHAPE, op.QUANTIZE, op.DEQUANTIZE}
        graph = model.subgraphs[0]
        wanted = next(at for at in graph.outputs if graph.tensors[at].name.decode() == output)
        while True:
            maker = next((one for one in graph.operators if wanted in one.outputs), None)
            code = None if maker is None else _code(model, maker)
            if code == op.FULLY_CONNECTED:
                return maker
            if maker is None or code not in passing:
                raise DataError(self._cannot_reorder())
            wanted = maker.inputs[0]

    def _cannot_reorder(self) -> str:
        return (
            f"{self.path}: its last layer is no full connection with weights of its own, so its "
            "answers cannot be put into the agent's order; export it again with that order"
        )

    def _open(self) -> Interpreter:
        try:
            return open_interpreter(self.path, self.content, 1)
        except ModelError as error:
            cause = str(error.__cause__ or error).strip()
            if "custom op" in cause or "builtin" in cause.lower() or "Select TensorFlow" in cause:
                raise DataError(
                    f"{self.path}: needs an operation that the runtime of the agent lacks "
                    f"({cause}). Convert it with TFLite's built-in operations only"
                ) from error
            raise DataError(
                f"{self.path}: is torn or no model that the runtime can run ({cause}). Copy or "
                "convert it again"
            ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def _info(detail: dict[str, Any]) -> TensorInfo:
    signature = detail.get("shape_signature", detail["shape"])
    shape = tuple(int(side) for side in (signature if len(signature) else detail["shape"]))
    if shape and shape[0] == -1:
        shape = (1, *shape[1:])  # one picture at a time: what the runtime gives it anyway
    return TensorInfo(str(detail["name"]), shape, str(np.dtype(detail["dtype"])))


def _as_type(picture: NDArray[np.float64], taken: dict[str, Any]) -> NDArray[Any]:
    """Random inputs of the tensor's type, over its whole range."""
    dtype = np.dtype(taken["dtype"])
    if dtype.kind == "f":
        return picture.astype(dtype)
    limits = np.iinfo(dtype)
    return (picture * (limits.max - limits.min) + limits.min).astype(dtype)


def _unpacked(content: bytes) -> Any:
    """The model as objects; constants that lie behind the flatbuffer are taken into it."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        if buffer.data is None and buffer.offset > 1 and buffer.size:
            inside = content[buffer.offset : buffer.offset + buffer.size]
            buffer.data = np.frombuffer(inside, dtype=np.uint8)
            buffer.offset = buffer.size = 0
    return model


def _code(model: Any, operator: Any) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def _constant(model: Any, tensor: Any) -> bool:
    return model.buffers[tensor.buffer].data is not None


def _permute(model: Any, tensor: Any, order: list[int]) -> None:
    """Put the rows of a constant, and their scales where each row has its own, into an order."""
    data = model.buffers[tensor.buffer].data
    if data is None or tensor.shape[0] != len(order) or len(data) % len(order):
        return  # checked afterwards by running it
    rows = np.asarray(data, dtype=np.uint8).reshape(len(order), -1)
    model.buffers[tensor.buffer].data = rows[order].ravel()
    scales = tensor.quantization
    if scales is not None and scales.scale is not None and len(scales.scale) == len(order):
        scales.scale = np.asarray(scales.scale)[order]
        scales.zeroPoint = np.asarray(scales.zeroPoint)[order]
