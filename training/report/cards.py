"""Cards for models made elsewhere: a copy of a TFLite file with a card that the agent takes.

The file is read as the flatbuffer that it is: what it takes, gives and costs. What it cannot say
(the order of its categories, what its pixels mean) is told by a person, and held against labelled
pictures where there are some: answers that fit far better in another order are refused with that
order. Only the order of the last layer's rows is changed, and only a file that then answers the
same in the new order is given back.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.optimize import linear_sum_assignment

from edge_agent.core import clock
from edge_agent.core.errors import ModelError
from edge_agent.vision.align import EXPRESSION_CROP, ZOOMS
from edge_agent.vision.models.card import ModelCard
from edge_agent.vision.models.model import Interpreter, TFLiteModel, load_model, open_interpreter
from training.data.datasets import EXPRESSIONS, FER2013, FER2013_AS_EXPRESSION, NO_LABEL, Faces
from training.data.lessons import labels_of, soft_targets
from training.errors import DataError, write_all
from training.report.calibration import best_temperature
from training.report.evaluate import evaluate_logits, run_model

log = logging.getLogger(__name__)

_MARK = b"TFL3"
_MARK_AT = slice(4, 8)
_CHECKED = 8  # pictures on which both orders must agree
NORMALISATIONS: Mapping[str, tuple[float, float]] = {
    "0..255": (1.0, 0.0),
    "0..1": (1 / 255, 0.0),
    "-1..1": (2 / 255, -1.0),
    "fer2013": (1 / 255 / 0.255, -0.507 / 0.255),
}
"""Forms in which a model may have learnt pixels: (scale, offset) of the card.

``fer2013`` takes off the mean of FER2013's pixels and divides by their deviation, as the recipes
here do.
"""
BETTER = 0.10
"""Another order of the categories is suspected from so much more accuracy on."""
FEWEST = 50
"""So many labelled pictures are needed to suspect it."""
MOST = 1000
"""So many are enough to suspect other pixels."""
_PROBES = 16


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output: name, shape (-1 where it is not fixed), and NumPy's name of its type."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    def as_text(self) -> str:
        """Return the tensor as a text for messages."""
        return f"{self.name!r} {' × '.join(map(str, self.shape))} {self.dtype}"


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of one inference, in convolutions and fully connected layers."""

    multiply_adds: int
    parameters: int


class TFLiteFile:
    """A file that the runtime of the agent can open.

    Args:
        path: the file.
        content: bytes of the file, if they are not to be read from ``path``.

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
        """The tensors that the model takes."""
        return tuple(map(_info, self._interpreter.get_input_details()))

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The tensors that the model gives."""
        return tuple(map(_info, self._interpreter.get_output_details()))

    def answers(self, pictures: NDArray[np.float64], output: str) -> NDArray[np.float64]:
        """Return the real values of an output for inputs of 0…1, N × the input's shape: N × K."""
        (taken,) = self._interpreter.get_input_details()
        given = next(o for o in self._interpreter.get_output_details() if o["name"] == output)
        rows = []
        for picture in pictures:
            self._interpreter.set_tensor(taken["index"], _as_type(picture, taken))
            self._interpreter.invoke()
            values = self._interpreter.get_tensor(given["index"]).astype(np.float64).ravel()
            # A float tensor has a scale of 0.
            scale, zero = given["quantization"]
            rows.append((values - zero) * scale if scale else values)
        return np.array(rows)

    def costs(self) -> Costs:
        """Count multiplications and weights, from the shapes in the file."""
        from ai_edge_litert import schema_py_generated as schema

        op = schema.BuiltinOperator
        counted = {op.CONV_2D, op.DEPTHWISE_CONV_2D, op.FULLY_CONNECTED, op.TRANSPOSE_CONV}
        model = _unpack(self.content)
        graph = model.subgraphs[0]
        total = 0
        weights: dict[int, int] = {}
        for operator in graph.operators:
            code = _code(model, operator)
            # Additions, activations and pooling are not counted.
            if code not in counted:
                continue
            shapes = [list(graph.tensors[at].shape) for at in operator.inputs[:2]]
            result = list(graph.tensors[operator.outputs[0]].shape)
            size = math.prod(shapes[1])
            # One multiplication for each weight and position of the result.
            if code == op.FULLY_CONNECTED:
                total += size * math.prod(result[:-1])
            elif code == op.TRANSPOSE_CONV:
                # A transposed convolution spreads each value of its input: its positions count.
                total += size * math.prod(graph.tensors[operator.inputs[2]].shape[1:3])
            else:
                total += size * result[1] * result[2]
            # Weights may be used by several operators; by tensor, each counts once.
            for at in operator.inputs[1:3]:
                if at >= 0 and _constant(model, graph.tensors[at]):
                    weights[int(at)] = math.prod(graph.tensors[at].shape)
        return Costs(int(total), sum(weights.values()))

    def reorder(self, output: str, order: list[int]) -> TFLiteFile:
        """Return the same model whose answer i is this one's answer ``order[i]``.

        Raises:
            DataError: the answers do not come from a full connection, so that they cannot be put
                into another order.
        """
        import flatbuffers  # type: ignore[import-untyped]

        model = _unpack(self.content)
        graph = model.subgraphs[0]
        operator = self._last_connection(model, output)
        for at in operator.inputs[1:3]:
            if at >= 0:
                _permute(model, graph.tensors[at], order)
        builder = flatbuffers.Builder(len(self.content))
        builder.Finish(model.Pack(builder), _MARK)
        changed = TFLiteFile(self.path, bytes(builder.Output()))
        shape = self.inputs[0].shape
        # Random pictures: the answers must come in the new order, whatever the file is built of.
        pictures = np.random.default_rng(0).uniform(size=(_CHECKED, *shape))
        before = self.answers(pictures, output)
        if not np.allclose(changed.answers(pictures, output), before[:, order], atol=1e-5):
            raise DataError(self._cannot_reorder())
        return changed

    def _last_connection(self, model: Any, output: str) -> Any:
        from ai_edge_litert import schema_py_generated as schema

        op = schema.BuiltinOperator
        # What may stand between the last connection and the output without changing the order.
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


def _unpack(content: bytes) -> Any:
    """Return the model as objects; constants that lie behind the flatbuffer are taken into it."""
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
    # Operators of low numbers are kept in the older field, others in the newer one.
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


@dataclass(frozen=True, slots=True)
class CardWishes:
    """A person's description of a model file.

    Attributes:
        name: of the model and its files.
        version: three numbers.
        categories: what each answer of the file means, in its order.
        normalisation: key of ``NORMALISATIONS``.
        crop: name of the crop that it learnt from.
        license: terms of the weights.
        description: a sentence or two.
        learnt_from: the data it learnt from.
        uncertain_below: top probability under which a face is uncertain.
        output: name of the tensor with the answers; None: the only one that can be.
    """

    name: str
    version: str
    categories: tuple[str, ...]
    normalisation: str
    license: str
    crop: str = EXPRESSION_CROP
    description: str = "Made elsewhere."
    learnt_from: str = "not said"
    uncertain_below: float = 0.5
    output: str | None = None


def category_of(name: str) -> str:
    """Return a category in the words of FER+ or of FER2013.

    Raises:
        DataError: there is none of that name.
    """
    plain = name.strip().lower()
    if plain in FER2013:
        return FER2013_AS_EXPRESSION[FER2013.index(plain)]
    if plain not in EXPRESSIONS:
        raise DataError(
            f"category {name!r}: the agent knows {', '.join(EXPRESSIONS)}; a model of other "
            "classes cannot be used by it"
        )
    return plain


def make_card(file: Path, wishes: CardWishes, out: Path, faces: Faces | None = None) -> ModelCard:
    """Write a copy of a model with its card into ``out``, if the agent would take both.

    Args:
        file: the TFLite file; it stays as it is.
        wishes: what a person says of it.
        out: folder for the two files.
        faces: labelled pictures to measure it on, or None.

    Raises:
        DataError: the file breaks the contract, what was said of it cannot be, or the labels say
            that its categories stand in another order. Nothing is written then.
    """
    model = TFLiteFile(file)
    taken, answer = check_file(model, wishes.output)
    order = _order(wishes.categories)
    if order != list(range(len(EXPRESSIONS))):
        model = model.reorder(answer.name, order)
        log.info("%s: the answers of the copy stand in the agent's order", file)
    card = _card(model, taken, answer, wishes)
    with TemporaryDirectory() as folder:
        loaded = _load(Path(folder), card, model.content, file)
        if faces is not None:
            truth = labels_of(faces)
            if np.count_nonzero(truth != NO_LABEL) >= FEWEST:
                _check_normalisation(loaded, faces.take(truth != NO_LABEL), wishes, file)
                _check_order(loaded, faces.take(truth != NO_LABEL), wishes.categories)
            card = _measure(loaded, card, faces)
    # Written only after all checks.
    write_all(out, {card.file: model.content, f"{card.name}.json": card.to_json().encode()})
    load_model(out / f"{card.name}.json", kind="expression")
    return card


def check_file(model: TFLiteFile, output: str | None) -> tuple[TensorInfo, TensorInfo]:
    """Return what a file takes and the output with its answers, if the agent could use both.

    Raises:
        DataError: the agent could not use them.
    """
    taken = _input_of(model)
    answer = _output_of(model, output)
    _check_logits(model, taken, answer)
    return taken, answer


def better_order(
    logits: NDArray[np.float32], truth: NDArray[np.int64]
) -> tuple[list[int], float, float]:
    """Return the order of categories that fits labels best: (order, accuracy as given, then).

    ``order[i]`` is the category that answer i seems to mean; the assignment with the most right
    answers (Kuhn 1955, "The Hungarian method").
    """
    answers = logits.argmax(axis=1)
    counts = np.zeros((len(EXPRESSIONS),) * 2, dtype=np.int64)
    np.add.at(counts, (answers, truth), 1)
    # of orders that are equally good the one as given: a category without pictures stays
    # Twice the counts times their number: the small bonus of the given order never outweighs a
    # picture.
    rows, columns = linear_sum_assignment(2 * counts * len(counts) + np.eye(len(counts)), True)
    return (
        [int(column) for column in columns],
        float(np.trace(counts) / len(truth)),
        float(counts[rows, columns].sum() / len(truth)),
    )


def _input_of(model: TFLiteFile) -> TensorInfo:
    if len(model.inputs) != 1:
        raise DataError(
            f"{model.path}: takes {len(model.inputs)} inputs ({_texts(model.inputs)}); the agent "
            "gives one, a face"
        )
    (taken,) = model.inputs
    if -1 in taken.shape:
        raise DataError(
            f"{model.path}: the shape of its input is not fixed ({taken.as_text()}); convert it "
            "with a fixed one, such as 1 × 48 × 48 × 1"
        )
    if len(taken.shape) != 4 or taken.shape[0] != 1 or taken.shape[3] != 1:
        what = "grey faces, 1 × edge × edge × 1"
        if len(taken.shape) == 4 and taken.shape[3] == 3:
            what += "; this one wants colours"
        elif len(taken.shape) == 4 and taken.shape[1] == 1:
            what += "; this one has its channels first"
        raise DataError(f"{model.path}: takes {taken.as_text()}; the agent gives {what}")
    if taken.shape[1] != taken.shape[2]:
        raise DataError(f"{model.path}: takes {taken.as_text()}; the agent's faces are square")
    return taken


def _output_of(model: TFLiteFile, wanted: str | None) -> TensorInfo:
    shape = (1, len(EXPRESSIONS))
    fitting = [one for one in model.outputs if one.shape == shape]
    if wanted is not None:
        fitting = [one for one in fitting if one.name == wanted]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise DataError(
            f"{model.path}: {len(fitting)} outputs may be the answer ({_texts(fitting)}); name "
            "one with --output"
        )
    if any(-1 in one.shape for one in model.outputs):
        raise DataError(
            f"{model.path}: the shape of an output is not fixed ({_texts(model.outputs)}); convert "
            "it with fixed shapes"
        )
    named = "" if wanted is None else f" named {wanted!r}"
    raise DataError(
        f"{model.path}: has no output{named} of 1 × 8, a number for each of "
        f"{', '.join(EXPRESSIONS)}; it gives {_texts(model.outputs)}. The agent takes models of "
        "these eight categories only"
    )


def _check_logits(model: TFLiteFile, taken: TensorInfo, answer: TensorInfo) -> None:
    pictures = np.random.default_rng(1).uniform(size=(_PROBES, *taken.shape))
    values = model.answers(pictures, answer.name)
    if not np.isfinite(values).all():
        raise DataError(f"{model.path}: answers with what is no number (NaN or infinity)")
    # Softmax outputs are recognized by their sum; int8 rounds it a little.
    if (values >= 0).all() and np.abs(values.sum(axis=1) - 1).max() < 0.05:
        raise DataError(
            f"{model.path}: gives probabilities, which sum to 1; the agent makes them itself, from "
            "logits. Convert it without its last softmax"
        )


def _order(categories: Sequence[str]) -> list[int]:
    """Return the place of each of the agent's categories among the file's answers."""
    given = [category_of(name) for name in categories]
    missing = [name for name in EXPRESSIONS if name not in given]
    if missing or len(given) != len(EXPRESSIONS):
        twice = sorted({name for name in given if given.count(name) > 1})
        what = f"without {', '.join(missing)}" if missing else ""
        if twice:
            what += f"{' and ' if what else ''}twice {', '.join(twice)}"
        raise DataError(
            f"--categories: {len(given)} names, {what or 'too many'}; name each of "
            f"{', '.join(EXPRESSIONS)} once, in the order of the file's answers"
        )
    return [given.index(name) for name in EXPRESSIONS]


def _card(
    model: TFLiteFile, taken: TensorInfo, answer: TensorInfo, wishes: CardWishes
) -> ModelCard:
    if wishes.crop not in ZOOMS:
        raise DataError(
            f"--crop {wishes.crop}: the agent cuts {' and '.join(ZOOMS)} and no other; a model "
            "of other crops reads its faces badly. Train it on faces of crop-faces"
        )
    scale, offset = NORMALISATIONS[wishes.normalisation]
    costs = model.costs()
    try:
        return ModelCard.model_validate(
            {
                "schema": 1,
                "name": wishes.name,
                "version": wishes.version,
                "kind": "expression",
                "file": f"{wishes.name}.tflite",
                "sha256": hashlib.sha256(model.content).hexdigest(),
                "license": wishes.license,
                "description": wishes.description,
                "input": {
                    "width": taken.shape[2],
                    "height": taken.shape[1],
                    "channels": 1,
                    "color": "gray",
                    "scale": scale,
                    "offset": offset,
                },
                "outputs": [
                    {
                        "name": "expression",
                        "shape": answer.shape,
                        "tensor": answer.name,
                        "labels": EXPRESSIONS,
                    }
                ],
                "temperature": 1.0,
                "uncertain_below": wishes.uncertain_below,
                "crop": wishes.crop,
                "multiply_adds": costs.multiply_adds,
                "parameters": costs.parameters,
                "training": {
                    "recipe": "made elsewhere",
                    "seed": 0,
                    "epochs": 0,
                    "data": (wishes.learnt_from,),
                    "date": clock.utc_now().date().isoformat(),
                },
                "metrics": {},
                "limits": ("Made elsewhere: how it was trained is what somebody said of it.",),
            }
        )
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))} = {fault['input']!r}: {fault['msg']}"
            for fault in error.errors()
        )
        raise DataError(f"the card of {model.path} would be wrong: {faults}") from error


def _load(folder: Path, card: ModelCard, content: bytes, file: Path) -> TFLiteModel:
    """Load copy and card as the agent does."""
    path = folder / f"{card.name}.json"
    write_all(folder, {card.file: content, path.name: card.to_json().encode()})
    try:
        return load_model(path, kind="expression")
    except ModelError as error:
        raise DataError(f"{file}: the agent would refuse it: {error}") from error


def _measure(model: TFLiteModel, card: ModelCard, faces: Faces) -> ModelCard:
    """Return the card with the figures of labelled pictures, and the temperature fitted on them."""
    logits = run_model(model, faces.pictures)
    temperature = best_temperature(logits["expression"], soft_targets(faces))
    return card.model_copy(
        update={
            "temperature": round(temperature, 4),
            "metrics": {"measured here": evaluate_logits(logits, faces).headline()},
        }
    )


def _check_normalisation(model: TFLiteModel, faces: Faces, wishes: CardWishes, file: Path) -> None:
    """Refuse a meaning of the pixels with which far less is right than with another.

    The order of the categories may be wrong, too, so each is judged by the order that suits it.
    """
    # Rounded up, so that no more than `MOST` are taken.
    step = -(-len(faces) // MOST)
    some = faces.take(np.arange(0, len(faces), step))
    right: dict[str, float] = {}
    for name, (scale, offset) in NORMALISATIONS.items():
        taken = model.card.input.model_copy(update={"scale": scale, "offset": offset})
        card = model.card.model_copy(update={"input": taken})
        with TemporaryDirectory() as folder:
            content = model.path.read_bytes()
            other = _load(Path(folder), card, content, file)
            logits = run_model(other, some.pictures)["expression"]
        right[name] = better_order(logits, labels_of(some))[2]
    best = max(right, key=right.__getitem__)
    if right[best] - right[wishes.normalisation] >= BETTER:
        raise DataError(
            f"--normalisation {wishes.normalisation}: {right[wishes.normalisation]:.1%} of "
            f"{len(some)} labelled pictures are right with it, with {best} {right[best]:.1%}. Did "
            f"the file learn from pixels so? Then give --normalisation {best}"
        )


def _check_order(model: TFLiteModel, faces: Faces, categories: Sequence[str]) -> None:
    """Refuse categories in an order that the labels contradict."""
    logits = run_model(model, faces.pictures)["expression"]
    order, given, better = better_order(logits, labels_of(faces))
    if better - given < BETTER:
        return
    stands = _order(categories)  # the copy's answer i is the file's answer stands[i]
    meant = [""] * len(order)
    for ours, category in enumerate(order):
        meant[stands[ours]] = EXPRESSIONS[category]
    raise DataError(
        f"--categories: in that order {given:.1%} of {len(faces)} labelled pictures are right, in "
        f"another one {better:.1%}: {','.join(meant)}. Is that the order of the file's answers? "
        "Then give it with --categories. (A category without pictures stands where you put it.)"
    )


def _texts(tensors: Sequence[TensorInfo]) -> str:
    return "; ".join(one.as_text() for one in tensors) or "nothing"
