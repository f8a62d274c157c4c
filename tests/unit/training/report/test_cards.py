"""A TFLite file made elsewhere gets a card that the agent takes, or hears why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from scipy.linalg import hadamard

from edge_agent.appliance.models import ModelPlace, install_model
from edge_agent.config.loading import load_settings
from edge_agent.vision.models.card import MODELS_FOLDER, read_card
from edge_agent.vision.models.model import load_model
from tests.support.vision.tiny_faces import faces as noise_faces
from tests.support.vision.tiny_model import tiny_tflite
from tests.support.vision.training_runs import training_here
from training.data.datasets import EXPRESSIONS, NO_LABEL, VOTE_COLUMNS, Faces
from training.errors import DataError
from training.report.cards import CardWishes, TFLiteFile, better_order, make_card

TEMPLATES = hadamard(16)[1:9]


"""Eight patterns of 4 × 4 pixels, each bright in its own half."""


def wishes(**changes: Any) -> CardWishes:
    said: dict[str, Any] = {
        "name": "elsewhere",
        "version": "1.0.0",
        "categories": EXPRESSIONS,
        "normalisation": "0..1",
        "license": "CC0-1.0",
    }
    return CardWishes(**said | changes)


def pattern_model() -> bytes:
    """Answers i for a picture of template i."""
    return tiny_tflite("float32", TEMPLATES.astype(np.float32))


def pattern_faces(meaning: list[int], count: int = 80) -> Faces:
    """Pictures of the templates in turn; template i shows the category ``meaning[i]``."""
    shown = np.arange(count) % 8
    small = np.where(TEMPLATES[shown].reshape(-1, 4, 4) > 0, 255, 0).astype(np.uint8)
    votes = np.zeros((count, len(VOTE_COLUMNS)), dtype=np.uint8)
    votes[np.arange(count), np.array(meaning)[shown]] = 10
    return Faces(
        small.repeat(12, axis=1).repeat(12, axis=2),
        np.full(count, NO_LABEL, dtype=np.int64),
        votes,
        np.zeros(count, dtype=np.int8),
    )


def changed(content: bytes, change: Callable[[Any], None]) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def any_width(model: Any) -> None:
    model.subgraphs[0].tensors[0].shapeSignature = [1, -1, -1, 1]


def any_count(model: Any) -> None:
    model.subgraphs[0].tensors[0].shapeSignature = [-1, 4, 4, 1]


def unknown_operation(model: Any) -> None:
    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = b"FlexErf"
    model.subgraphs[0].operators[0].builtinOptionsType = 0
    model.subgraphs[0].operators[0].builtinOptions = None


def softmax_at_the_end(model: Any) -> None:
    graph = model.subgraphs[0]
    shares = schema.TensorT()
    shares.name, shares.type, shares.shape = b"shares", schema.TensorType.FLOAT32, [1, 8]
    graph.tensors.append(shares)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SOFTMAX
    code.version = 1
    model.operatorCodes.append(code)
    softmax = schema.OperatorT()
    softmax.opcodeIndex = 1
    softmax.inputs, softmax.outputs = [graph.outputs[0]], [len(graph.tensors) - 1]
    softmax.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
    softmax.builtinOptions = schema.SoftmaxOptionsT()
    softmax.builtinOptions.beta = 1.0
    graph.operators.append(softmax)
    graph.outputs = [len(graph.tensors) - 1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "Some Model.tflite"
    path.write_bytes(pattern_model())
    return path


# What the agent takes
def test_a_model_made_elsewhere_is_installed_with_the_card_made_here(
    file: Path, tmp_path: Path
) -> None:
    card = make_card(file, wishes(), tmp_path / "out", pattern_faces(list(range(8))))
    config = tmp_path / "affect-edge.toml"
    config.write_text("", encoding="utf-8")
    (tmp_path / "data").mkdir()

    install_model(
        ModelPlace(config, tmp_path / "data"), [str(tmp_path / "out" / "elsewhere.tflite")]
    )

    configured = Path(load_settings(config).vision.expression_model)
    assert read_card(configured) == card
    assert card.metrics["measured here"]["ferplus_accuracy"] == 1.0
    assert (card.multiply_adds, card.parameters) == (128, 128)
    assert card.temperature is not None and card.temperature < 1, "it is surer than it said"


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_answers_in_another_order_are_put_into_the_agents(tmp_path: Path, dtype: str) -> None:
    file = tmp_path / "other.tflite"
    file.write_bytes(tiny_tflite(dtype, TEMPLATES.astype(np.float32)))
    before = file.read_bytes()
    order = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt"]
    meaning = [4, 5, 6, 1, 3, 2, 0, 7]

    card = make_card(
        file, wishes(categories=tuple(order)), tmp_path / "out", pattern_faces(meaning)
    )

    assert card.metrics["measured here"]["ferplus_accuracy"] == 1.0
    assert file.read_bytes() == before, "the file stays as it is"


def test_a_shipped_model_is_reordered_too_and_costs_what_its_card_says() -> None:
    path = MODELS_FOLDER / "expression-fast.tflite"
    model = TFLiteFile(path)
    card = read_card(path.with_suffix(".json"))
    output = card.output("expression")
    assert output is not None

    other = model.reordered(output.tensor, [7, 6, 5, 4, 3, 2, 1, 0])

    pictures = np.random.default_rng(2).uniform(size=(2, 1, 48, 48, 1))
    assert np.allclose(
        other.answers(pictures, output.tensor), model.answers(pictures, output.tensor)[:, ::-1]
    )
    costs = model.costs()
    assert costs.multiply_adds == pytest.approx(card.multiply_adds, rel=0.01)
    assert costs.parameters == pytest.approx(card.parameters, rel=0.02)


def test_an_input_for_any_number_of_pictures_is_taken_for_one(file: Path, tmp_path: Path) -> None:
    file.write_bytes(changed(pattern_model(), any_count))

    assert make_card(file, wishes(), tmp_path / "out").input.shape == (1, 4, 4, 1)


# What is refused, and why
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (tiny_tflite("float32", np.ones((7, 16), np.float32)), "has no output of 1 × 8.*1 × 7"),
        (tiny_tflite(extra_input=True), "takes 2 inputs"),
        (
            tiny_tflite(weights=np.ones((8, 48), np.float32), shape=(1, 4, 4, 3)),
            "this one wants colours",
        ),
        (tiny_tflite(shape=(1, 1, 4, 4)), "this one has its channels first"),
        (tiny_tflite(shape=(1, 2, 8, 1)), "the agent's faces are square"),
        (tiny_tflite("int16"), "the agent would refuse it.*int16"),
        (tiny_tflite(output_quantization=((0.25,) * 8, (3,) * 8)), "scale"),
        (changed(pattern_model(), any_width), "shape of its input is not fixed"),
        (changed(pattern_model(), unknown_operation), "an operation that the runtime.*FlexErf"),
        (changed(pattern_model(), softmax_at_the_end), "gives probabilities.*last softmax"),
        (pattern_model()[:-300], "is torn"),
        (b"", "is no TFLite file"),
        (b"\x80\x04keras of another kind", "is no TFLite file"),
        (tiny_tflite("float32", np.full((8, 16), np.inf, np.float32)), "no number"),
    ],
)
def test_a_file_that_breaks_the_contract_is_refused_with_the_reason(
    file: Path, tmp_path: Path, content: bytes, words: str
) -> None:
    file.write_bytes(content)

    with pytest.raises(DataError, match=words):
        make_card(file, wishes(), tmp_path / "out")

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"categories": EXPRESSIONS[:7]}, "7 names, without contempt"),
        ({"categories": (*EXPRESSIONS[:7], "happy")}, "without contempt and twice happiness"),
        ({"categories": ("smiling", "not smiling")}, "'smiling': the agent knows neutral"),
        ({"crop": "mtcnn"}, "--crop mtcnn: the agent cuts fer2013-v1 and no other"),
        ({"version": "two"}, "version = 'two'"),
        ({"output": "absent"}, "no output named 'absent'"),
    ],
)
def test_what_cannot_be_is_refused(
    file: Path, tmp_path: Path, said: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        make_card(file, wishes(**said), tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_categories_in_a_wrong_order_are_known_by_the_labels_and_the_right_one_is_said(
    file: Path, tmp_path: Path
) -> None:
    meaning = [4, 5, 6, 1, 3, 2, 0, 7]

    with pytest.raises(DataError, match="another one 100.0%") as refusal:
        make_card(file, wishes(), tmp_path / "out", pattern_faces(meaning))

    right = tuple(EXPRESSIONS[category] for category in meaning)
    assert ",".join(right) in str(refusal.value)
    card = make_card(file, wishes(categories=right), tmp_path / "out", pattern_faces(meaning))
    assert card.metrics["measured here"]["ferplus_accuracy"] == 1.0


def test_pixels_that_mean_something_else_are_known_by_the_labels(tmp_path: Path) -> None:
    shifted = TEMPLATES.astype(np.float32) + np.arange(8, dtype=np.float32)[:, None]
    file = tmp_path / "signed.tflite"
    file.write_bytes(tiny_tflite("float32", shifted))  # right only where a mean picture is 0
    known = pattern_faces(list(range(8)))

    with pytest.raises(DataError, match="Then give --normalisation -1..1"):
        make_card(file, wishes(normalisation="0..255"), tmp_path / "out", known)

    right = make_card(file, wishes(normalisation="-1..1"), tmp_path / "out", known)
    assert right.metrics["measured here"]["ferplus_accuracy"] == 1.0


def test_too_few_labels_and_categories_without_pictures_change_no_order(
    file: Path, tmp_path: Path
) -> None:
    few = pattern_faces([1, 0, 2, 3, 4, 5, 6, 7], 16)
    assert make_card(file, wishes(), tmp_path / "out", few).metrics["measured here"]

    logits = np.eye(8, dtype=np.float32)[[0, 1, 1]]
    assert better_order(logits, np.array([0, 1, 1])) == (list(range(8)), 1.0, 1.0)


def test_a_model_that_knows_nothing_is_measured_and_not_accused(file: Path, tmp_path: Path) -> None:
    card = make_card(file, wishes(), tmp_path / "out", noise_faces(700))

    assert card.metrics["measured here"]["ferplus_accuracy"] < 0.3


# The command


def test_the_command_says_what_is_missing_where_there_is_nobody_to_ask(
    file: Path, tmp_path: Path
) -> None:
    done = training_here("card", file, "--out", tmp_path / "out")
    assert done.returncode == 1, done.stderr
    assert "--categories is missing: the file does not say it" in done.stderr

    said = ["--categories", ",".join(EXPRESSIONS), "--normalisation", "-1..1", "--license", "MIT"]
    done = training_here("card", file, "--out", tmp_path / "out", *said)
    assert done.returncode == 0, done.stderr

    assert "not measured: nobody knows" in done.stdout
    card = load_model(tmp_path / "out" / "some-model.json", kind="expression").card
    assert (card.input.scale, card.input.offset) == (2 / 255, -1.0)


def test_the_command_asks_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, file: Path, tmp_path: Path
) -> None:
    class Terminal:
        def __init__(self) -> None:
            self.lines = ["", "0..1", "MIT"]

        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("training.commands.measure.sys.stdin", terminal)
    asked: list[str] = []

    def prompt(text: str, *, default: str, **_: object) -> str:
        asked.append(text)
        return terminal.lines.pop(0) or default

    monkeypatch.setattr("click.prompt", prompt)

    done = training_here("card", file, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert asked == ["categories", "normalisation", "license"]
