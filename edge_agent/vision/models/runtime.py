"""The runtime that executes models: LiteRT, or tflite-runtime where LiteRT is not installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from edge_agent.core.errors import ModelError
from edge_agent.vision.models.card import ModelCard


class Interpreter(Protocol):
    """What we call of LiteRT's and tflite-runtime's interpreter, which are the same."""

    def allocate_tensors(self) -> None: ...
    def get_input_details(self) -> list[dict[str, Any]]: ...
    def get_output_details(self) -> list[dict[str, Any]]: ...
    def set_tensor(self, index: int, value: npt.NDArray[Any]) -> None: ...
    def get_tensor(self, index: int) -> npt.NDArray[Any]: ...
    def get_tensor_details(self) -> list[dict[str, Any]]: ...
    def resize_tensor_input(
        self, input_index: int, tensor_size: list[int], strict: bool = False
    ) -> None: ...
    def invoke(self) -> None: ...


def _interpreter_class(file: Path) -> Any:
    """Return LiteRT's interpreter, or that of tflite-runtime where LiteRT is not installed."""
    try:
        from ai_edge_litert.interpreter import Interpreter as LiteRT

        return LiteRT
    except ImportError:
        pass
    try:
        from tflite_runtime.interpreter import Interpreter as TFLiteRuntime

        return TFLiteRuntime
    except ImportError as error:
        raise ModelError(
            f"{file}: no runtime for TFLite models is installed ({error}). Install ai-edge-litert, "
            "or tflite-runtime."
        ) from error


def open_interpreter(file: Path, content: bytes, threads: int) -> Interpreter:
    """Hand the bytes to the runtime.

    Its errors are of several kinds, and all mean a file that cannot be run.
    """
    runtime = _interpreter_class(file)
    try:
        interpreter = cast("Interpreter", runtime(model_content=content, num_threads=threads))
        interpreter.allocate_tensors()
        # names of tensors that are no text are noticed only when they are asked for
        interpreter.get_input_details()
        interpreter.get_output_details()
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f"{file}: is no TFLite model that this runtime can run ({error}). Install the model "
            "again."
        ) from error
    return interpreter


def resize_input(
    interpreter: Interpreter, card: ModelCard, size: tuple[int, int], file: Path
) -> None:
    """Let a convolutional model take pictures of another size.

    The runtime works out the shapes anew, but for those that the file holds as constants: the sizes
    to which features are enlarged, two whole numbers that are the input's divided by a stride.
    """
    width, height = size
    if any(len(output.shape) != 4 for output in card.outputs):
        raise ModelError(
            f"{file}: cannot take pictures of {width} × {height}, its outputs have no places."
        )
    try:
        taken = int(interpreter.get_input_details()[0]["index"])
        interpreter.resize_tensor_input(taken, [1, height, width, card.input.channels])
        for detail in interpreter.get_tensor_details():
            if detail["dtype"] != np.int32 or list(detail["shape"]) != [2]:
                continue
            rows, columns = (int(value) for value in interpreter.get_tensor(detail["index"]))
            stride = card.input.height // max(rows, 1)
            if (rows * stride, columns * stride) == (card.input.height, card.input.width):
                enlarged = np.array([height // stride, width // stride], dtype=np.int32)
                interpreter.set_tensor(detail["index"], enlarged)
        interpreter.allocate_tensors()
        # names of tensors that are no text are noticed only when they are asked for
        interpreter.get_input_details()
        interpreter.get_output_details()
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f"{file}: cannot take pictures of {width} × {height} ({error})."
        ) from error
