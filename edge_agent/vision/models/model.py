"""A model in the runtime: ``NAME.tflite``, checked against its card before anything is run.

A model whose hash, labels, shapes or types disagree with its card is refused with a sentence that
names the file, the value found and the value expected. LiteRT runs it, or tflite-runtime if LiteRT
is not installed. OpenCV is needed only for a card with steps of preparation.

The runtime checks the format of a file, but not the sizes in it: a few changed bytes can make it
allocate gigabytes. Therefore a model from somewhere else is first tried in a separate process with
little memory and time, and the reason for its end is reported.

    python -m edge_agent.vision.models.model CARD
"""

from __future__ import annotations

import math
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from edge_agent.core.errors import ModelError
from edge_agent.core.owners import as_owner_of, rights_of_children
from edge_agent.vision.models.card import (
    MODELS_FOLDER,
    InputCard,
    ModelCard,
    ModelKind,
    OutputCard,
    find_model,
    read_card,
    read_model,
    refuse_as_root,
    shipped_models,
)
from edge_agent.vision.models.preparation import prepare

_TYPES = (np.int8, np.uint8, np.float32)
# half a step of the quantization; the scales of card and file are rounded differently
_HALF_A_STEP = 0.5001
MEMORY_BYTES = 384 << 20
"""Less than the memory limit of the agent's unit; the shipped models take a tenth."""
CPU_SECONDS = 10
"""For loading, and for running once; the largest shipped model takes 0.01 s of a server's."""
WAIT_SECONDS = 60.0
_REFUSED = 3


class Interpreter(Protocol):
    """The methods of an interpreter that we call, which LiteRT and tflite-runtime share."""

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
    """Return LiteRT's interpreter, or that of tflite-runtime if LiteRT is not installed."""
    with suppress(ImportError):
        from ai_edge_litert.interpreter import Interpreter as LiteRT

        return LiteRT
    try:
        from tflite_runtime.interpreter import Interpreter as TFLiteRuntime

        return TFLiteRuntime
    except ImportError as error:
        raise ModelError(
            f"{file}: no runtime for TFLite models is installed ({error}). Install ai-edge-litert, "
            "or tflite-runtime."
        ) from error


def open_interpreter(file: Path, content: bytes, threads: int) -> Interpreter:
    """Load the bytes of a model into the runtime.

    The runtime raises errors of several kinds; each means that the file cannot be run.
    """
    runtime = _interpreter_class(file)
    try:
        # From the bytes that were checked, not from the path, whose file may have changed since.
        interpreter = cast("Interpreter", runtime(model_content=content, num_threads=threads))
        _allocate(interpreter)
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f"{file}: is no TFLite model that this runtime can run ({error}). Install the model "
            "again."
        ) from error
    return interpreter


def _allocate(interpreter: Interpreter) -> None:
    interpreter.allocate_tensors()
    # names of tensors that are no text are noticed only when they are asked for
    interpreter.get_input_details()
    interpreter.get_output_details()


def resize_input(
    interpreter: Interpreter, card: ModelCard, size: tuple[int, int], file: Path
) -> None:
    """Change the input size of a convolutional model.

    The runtime computes the new shapes, except for those that the file holds as constants: the
    sizes to which features are enlarged. These are pairs of whole numbers, the input size divided
    by a stride.
    """
    width, height = size
    # Logits of a fixed number come after a dense layer, which fits one input size only.
    if any(len(output.shape) != 4 for output in card.outputs):
        raise ModelError(
            f"{file}: cannot take pictures of {width} × {height}: its outputs have no rows and "
            "columns. Only convolutional models can."
        )
    try:
        taken = int(interpreter.get_input_details()[0]["index"])
        interpreter.resize_tensor_input(taken, [1, height, width, card.input.channels])
        for detail in interpreter.get_tensor_details():
            # The sizes are int32 pairs; other constants are of other types or shapes.
            if detail["dtype"] != np.int32 or list(detail["shape"]) != [2]:
                continue
            rows, columns = (int(value) for value in interpreter.get_tensor(detail["index"]))
            stride = card.input.height // max(rows, 1)
            if (rows * stride, columns * stride) == (card.input.height, card.input.width):
                enlarged = np.array([height // stride, width // stride], dtype=np.int32)
                interpreter.set_tensor(detail["index"], enlarged)
        _allocate(interpreter)
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f"{file}: cannot take pictures of {width} × {height} ({error})."
        ) from error


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
    # With one scale for each channel a lookup by pixel value would not do.
    if not scale > 0 or len(detail["quantization_parameters"]["scales"]) != 1:
        raise ModelError(
            f"{path}: tensor {detail['name']!r} is quantized without one scale for the whole "
            "tensor. Quantize it per tensor."
        )
    return float(scale), int(zero)


def lookup_table(entry: Mapping[str, Any], card: InputCard, path: Path) -> npt.NDArray[Any]:
    """Return a table of 256 entries: the input value for each pixel value."""
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
    """Return the bits that the table flips, or ``None`` if it does anything else.

    The usual table, from 0…255 to −128…127, flips the highest bit; XOR is a hundred times faster
    than a table lookup.
    """
    values = table.view(np.uint8)
    if table.itemsize == 1 and np.array_equal(values, np.arange(256, dtype=np.uint8) ^ values[0]):
        return np.uint8(values[0])
    return None


__all__ = ["ModelCard", "TFLiteModel", "find_model", "load_model", "read_card", "shipped_models"]

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RawOutput:
    """An output as the model gives it; real value = (values − zero) × scale.

    Attributes:
        values: of the card's shape; int8, uint8 or float32.
        scale: real value of one step; 1 for float32.
        zero: the stored number for a real 0; 0 for float32.
    """

    values: npt.NDArray[Any]
    scale: float = 1.0
    zero: int = 0

    def level(self, real: float) -> float:
        """Return the least stored value whose real value is at least ``real``."""
        if self.values.dtype.kind == "f":
            return real
        # Rounded up: the stored value just below would be a smaller real one.
        return math.ceil(real / self.scale + self.zero)

    def real(self, values: npt.NDArray[Any]) -> Values:
        """Convert stored values to new float32 real numbers."""
        real: Values = values.astype(np.float32)
        if self.values.dtype.kind != "f":
            real -= np.float32(self.zero)
            real *= np.float32(self.scale)
        return real

    def rows(self, places: npt.NDArray[np.intp]) -> list[list[float]]:
        """Return the values at some places as lists of real numbers.

        Places index all axes but the last, flattened.
        """
        # Only these are converted: a map has many values, and few of them are faces.
        some = self.values.reshape(-1, self.values.shape[-1])[places].tolist()
        return [[(value - self.zero) * self.scale for value in row] for row in some]


def load_model(
    card_path: Path, *, kind: ModelKind, threads: int = 1, size: tuple[int, int] | None = None
) -> TFLiteModel:
    """Load a model after checking that file and card agree.

    Args:
        card_path: the JSON file; the TFLite file that it names lies beside it.
        kind: the kind that is needed.
        threads: threads of one inference.
        size: width and height of the input, instead of the card's; convolutional models only.

    Raises:
        ModelError: see `read_card`; or the kind is another; or the TFLite file is missing, has
            another SHA-256, cannot be run, disagrees with the card in shape, type or tensor names,
            or does not support another size; or no runtime is installed; or root asks for one that
            another user may have written.
    """
    card = read_card(card_path)
    if card.kind != kind:
        raise ModelError(
            f"{card_path}: this is a model of kind {card.kind!r}; {kind!r} is needed here. Choose "
            "another model."
        )
    file = card_path.with_name(card.file)
    refuse_as_root(file)
    interpreter = open_interpreter(file, read_model(file, card), threads)
    if size is None or size == (card.input.width, card.input.height):
        return _try(TFLiteModel(card, file, interpreter))
    resize_input(interpreter, card, size, file)
    return _try(TFLiteModel(_resize_card(card, size), file, interpreter))


def _try(model: TFLiteModel) -> TFLiteModel:
    """Run a model once, since some damage shows only then, and return it."""
    try:
        model.run(np.zeros(model.card.input.shape[1:], dtype=np.uint8))
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f"{model.path}: this runtime can load the model, but not run it ({error}). The file is "
            "damaged, or was made for another runtime; install the model again."
        ) from error
    return model


class TFLiteModel:
    """A loaded model: pixels in, float32 arrays out.

    Made by `load_model`; may be called from several threads.

    Attributes:
        card: what the model is.
        path: its TFLite file.

    Example::

        model = load_model(path, kind="expression")
        model.run(pixels)["expression"].shape  # (1, 8)
    """

    def __init__(self, card: ModelCard, path: Path, interpreter: Interpreter) -> None:
        self.card = card
        self.path = path
        self._interpreter = interpreter
        # An interpreter has one set of tensors; two threads would overwrite each other's.
        self._lock = threading.Lock()
        entry = _input_of(interpreter, card, path)
        self._input_index = int(entry["index"])
        self._table = lookup_table(entry, card.input, path)
        self._mask = xor_mask(self._table)
        self._buffer = np.empty(card.input.shape, dtype=self._table.dtype)
        tensors = {str(detail["name"]): detail for detail in interpreter.get_output_details()}
        self._outputs = {output.name: _Output.of(output, tensors, path) for output in card.outputs}

    def run(self, pixels: Pixels, names: Collection[str] | None = None) -> dict[str, Values]:
        """Run the model on one picture.

        Args:
            pixels: uint8, height × width × channels of the card's input (RGB, or gray also as
                height × width).
            names: outputs to read, others cost nothing then; left out: all.

        Returns:
            Output name of the card → new float32 array of the card's shape; raw values (logits),
            dequantized.

        Raises:
            ValueError: the pixels have another type or shape.
        """
        with self.answering(pixels) as answer:
            raw = {name: answer(name) for name in self._outputs if names is None or name in names}
        return {name: output.real(output.values) for name, output in raw.items()}

    @contextmanager
    def answering(self, pixels: Pixels) -> Iterator[Callable[[str], RawOutput]]:
        """Run the model on one picture, for callers that need few of its numbers.

        Args:
            pixels: as for `run`.

        Yields:
            A function that returns an output by its name in the card, not dequantized. Other
            threads wait until the block ends.

        Raises:
            ValueError: the pixels have another type or shape.
        """
        expected = self.card.input.shape[1:]
        # Gray may come without its last axis.
        allowed = {expected, expected[: 2 if expected[2] == 1 else 3]}
        if pixels.dtype != np.uint8 or pixels.shape not in allowed:
            raise ValueError(
                f"{self.card.name} takes uint8 pixels of shape {expected}, got {pixels.dtype} "
                f"{pixels.shape}"
            )
        if self.card.input.prepare:
            pixels = prepare(pixels, self.card.input.prepare)
        with self._lock:
            self._fill(pixels.reshape(self._buffer.shape))
            self._interpreter.set_tensor(self._input_index, self._buffer)
            self._interpreter.invoke()
            yield self._read

    def _read(self, name: str) -> RawOutput:
        """Return a copy of an output."""
        output = self._outputs[name]
        # get_tensor copies. LiteRT's `tensor()` gives a view instead, and refuses to run while one
        # exists.
        return RawOutput(self._interpreter.get_tensor(output.index), output.scale, output.zero)

    def _fill(self, pixels: Pixels) -> None:
        """Write pixels into the buffer as the input's type."""
        if self._mask is not None:
            np.bitwise_xor(pixels, self._mask, out=self._buffer.view(np.uint8))
        else:
            # with mode "clip" NumPy writes straight into ``out``; a uint8 is never out of the
            # table's range
            np.take(self._table, pixels, out=self._buffer, mode="clip")


@dataclass(frozen=True, slots=True)
class _Output:
    """Index, scale and zero point of one output."""

    index: int
    scale: float
    zero: int

    @classmethod
    def of(cls, card: OutputCard, tensors: Mapping[str, dict[str, Any]], path: Path) -> _Output:
        """Find the tensor that ``card`` names, and check it."""
        detail = tensors.get(card.tensor)
        if detail is None:
            raise ModelError(
                f"{path}: output {card.name!r} should be tensor {card.tensor!r}, which the file "
                f"does not have. It has: {', '.join(tensors)}. Card and file are not of one model; "
                "install it again."
            )
        check_shape(detail, card.shape, f"output {card.name!r}", path)
        return cls(int(detail["index"]), *quantization(detail, path))


def _resize_card(card: ModelCard, size: tuple[int, int]) -> ModelCard:
    """Return the card of a model whose input was resized."""
    width, height = size
    outputs = []
    for output in card.outputs:
        _, rows, columns, numbers = output.shape
        shape = 1, rows * height // card.input.height, columns * width // card.input.width, numbers
        outputs.append(output.model_copy(update={"shape": shape}))
    taken = card.input.model_copy(update={"width": width, "height": height})
    return card.model_copy(update={"input": taken, "outputs": tuple(outputs)})


def _input_of(interpreter: Interpreter, card: ModelCard, path: Path) -> dict[str, Any]:
    """Return the input tensor after comparing it with the card."""
    inputs = interpreter.get_input_details()
    if len(inputs) != 1:
        names = ", ".join(str(entry["name"]) for entry in inputs)
        raise ModelError(
            f"{path}: a model with one input is expected, this one has {len(inputs)}: {names}."
        )
    check_shape(inputs[0], card.input.shape, "input", path)
    return inputs[0]


def try_apart(card_path: Path) -> None:
    """Load a model and run it once in another process, unless it is a shipped one.

    Root starts it as the user whose folder the model lies in.

    Raises:
        ModelError: as from `load_model`; or the model takes too much memory or time, or ends the
            process.
    """
    if card_path.resolve().parent == MODELS_FOLDER.resolve():
        return
    # -P keeps the working folder out of sys.path: a file there could take the place of a module.
    words = [sys.executable, "-P", "-m", __name__, str(card_path.absolute())]
    try:
        with as_owner_of(card_path):
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=WAIT_SECONDS,
                check=False,
                **rights_of_children(),
            )
    except OSError as error:
        raise ModelError(
            f"{card_path}: cannot be tried by the user whose folder it is ({error.strerror}). Run "
            "the command as that user."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise _too_much(card_path) from error
    if done.returncode == _REFUSED:
        raise ModelError(done.stdout.decode(errors="replace").strip())
    if done.returncode != 0:
        raise _too_much(card_path)


def limit() -> None:
    """Limit processor time and memory of this process to those that a model may take."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    # RLIMIT_DATA, not RLIMIT_AS: libraries and thread stacks reserve far more addresses than
    # memory.
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    # A crash is expected here; it must not fill the disk with a core file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _too_much(card_path: Path) -> ModelError:
    return ModelError(
        f"{card_path}: its TFLite file cannot be loaded within {MEMORY_BYTES >> 20} MB and "
        f"{CPU_SECONDS} s of the processor, or ends the program that tries. It is damaged, or too "
        "large for the agent; use another."
    )


def main(card_path: Path) -> int:
    """Load a model and run it once; return the exit code."""
    limit()
    try:
        load_model(card_path, kind=read_card(card_path).kind)
    except ModelError as error:
        print(error)
        return _REFUSED
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
