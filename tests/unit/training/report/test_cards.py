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
from tests.support.vision.tiny_model import tiny_tflite
from tests.support.vision.training_runs import training_here
from training.data.datasets import EXPRESSIONS, NO_LABEL, VOTE_COLUMNS, Faces
from training.errors import DataError
from training.report.cards import CardWishes, TFLiteFile, make_card

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
def test_a_model_made_elsewhere_is_installed(file: Path, tmp_path: Path) -> None:
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

    other = model.reorder(output.tensor, [7, 6, 5, 4, 3, 2, 1, 0])

    pictures = np.random.default_rng(2).uniform(size=(2, 1, 48, 48, 1))
    assert np.allclose(
        other.answers(pictures, output.tensor), model.answers(pictures, output.tensor)[:, ::-1]
    )
    costs = model.costs()
    assert costs.multiply_adds == pytest.approx(card.multiply_adds, rel=0.01)
    assert costs.parameters == pytest.approx(card.parameters, rel=0.02)


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
        (tiny_tflite("int16"), "the agent would refuse it.*int16"),
        (changed(pattern_model(), any_width), "shape of its input is not fixed"),
        (changed(pattern_model(), unknown_operation), "an operation that the runtime.*FlexErf"),
        (changed(pattern_model(), softmax_at_the_end), "gives probabilities.*last softmax"),
        (pattern_model()[:-300], "is torn"),
        (b"\x80\x04keras of another kind", "is no TFLite file"),
        (tiny_tflite("float32", np.full((8, 16), np.inf, np.float32)), "no number"),
    ],
)
def test_a_wrong_file_is_refused(file: Path, tmp_path: Path, content: bytes, words: str) -> None:
    file.write_bytes(content)

    with pytest.raises(DataError, match=words):
        make_card(file, wishes(), tmp_path / "out")

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"categories": EXPRESSIONS[:7]}, "7 names, without contempt"),
        ({"categories": ("smiling", "not smiling")}, "'smiling': the agent knows neutral"),
        (
            {"crop": "mtcnn"},
            "--crop mtcnn: the agent cuts fer2013-v1 and fer2013-v1-close and no other",
        ),
        ({"version": "two"}, "version = 'two'"),
    ],
)
def test_what_cannot_be_is_refused(
    file: Path, tmp_path: Path, said: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        make_card(file, wishes(**said), tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_a_wrong_order_is_known_by_the_labels(file: Path, tmp_path: Path) -> None:
    meaning = [4, 5, 6, 1, 3, 2, 0, 7]

    with pytest.raises(DataError, match="another one 100.0%") as refusal:
        make_card(file, wishes(), tmp_path / "out", pattern_faces(meaning))

    right = tuple(EXPRESSIONS[category] for category in meaning)
    assert ",".join(right) in str(refusal.value)
    card = make_card(file, wishes(categories=right), tmp_path / "out", pattern_faces(meaning))
    assert card.metrics["measured here"]["ferplus_accuracy"] == 1.0


# The command


def test_the_command_says_what_is_missing(file: Path, tmp_path: Path) -> None:
    done = training_here("card", file, "--out", tmp_path / "out")
    assert done.returncode == 1, done.stderr
    assert "--categories is missing: the file does not say it" in done.stderr

    said = ["--categories", ",".join(EXPRESSIONS), "--normalisation", "-1..1", "--license", "MIT"]
    done = training_here("card", file, "--out", tmp_path / "out", *said)
    assert done.returncode == 0, done.stderr

    assert "not measured: nobody knows" in done.stdout
    card = load_model(tmp_path / "out" / "some-model.json", kind="expression").card
    assert (card.input.scale, card.input.offset) == (2 / 255, -1.0)
