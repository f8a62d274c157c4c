"""Models and their cards: what agrees is run exactly, what disagrees is refused by name."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_agent.core.errors import ModelError
from edge_agent.core.expression import EMOTIONS
from edge_agent.vision.models import model as module
from edge_agent.vision.models.card import MODELS_FOLDER, find_model, read_card, shipped_models
from edge_agent.vision.models.model import load_model
from tests.support.vision.tiny_model import (
    OUTPUT_SCALE,
    SIDE,
    brightness_weights,
    expression_card,
    tiny_tflite,
    write_model,
)


def save(folder: Path, content: bytes | None = None, **changes: Any) -> Path:
    """Write a tiny expression model whose card has ``changes``; return the card's path."""
    content = tiny_tflite() if content is None else content
    return write_model(folder, content, expression_card(content, **changes))


def refusal(card: Path, kind: Any = "expression") -> str:
    """Load a model that must be refused; return what the user is told."""
    with pytest.raises(ModelError) as refused:
        load_model(card, kind=kind)
    return str(refused.value)


def multiply_adds(file: Path) -> int:
    """Count the multiply-adds of the convolutions and full connections of a TFLite file."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(file.read_bytes(), 0))
    (graph,) = model.subgraphs
    kinds = schema.BuiltinOperator
    total = 0
    for operator in graph.operators:
        kind = model.operatorCodes[operator.opcodeIndex].builtinCode
        if kind not in {kinds.CONV_2D, kinds.DEPTHWISE_CONV_2D, kinds.FULLY_CONNECTED}:
            continue
        weights = graph.tensors[operator.inputs[1]].shape
        places = 1
        if kind != kinds.FULLY_CONNECTED:
            places = prod(graph.tensors[operator.outputs[0]].shape[1:3].tolist())
        total += places * prod(weights.tolist())
    return total


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
def test_every_input_type_gives_the_real_values_that_the_card_describes(
    dtype: str, tmp_path: Path
) -> None:
    weights = brightness_weights()
    model = load_model(save(tmp_path, tiny_tflite(dtype, weights)), kind="expression")
    for brightness in (0, 1, 90, 254, 255):
        logits = model.run(np.full((SIDE, SIDE), brightness, np.uint8))["expression"]
        assert logits.dtype == np.float32
        assert logits.shape == (1, 8)
        expected = weights.sum(axis=1) * brightness / 255
        # Half a step of the output, and half a step of the input times a gain of 7.
        tolerance = 1e-5 if dtype == "float32" else OUTPUT_SCALE / 2 + 7 / 510
        assert np.abs(logits[0] - expected).max() <= tolerance


def test_scale_and_offset_of_the_card_are_applied(tmp_path: Path) -> None:
    entry = expression_card(b"")["input"] | {"scale": 2 / 255, "offset": -0.5}
    logits = load_model(save(tmp_path, input=entry), kind="expression")
    brightest = [
        float(logits.run(np.full((SIDE, SIDE), v, np.uint8))["expression"].max())
        for v in (0, 63, 127, 191, 255)
    ]
    # −0.5 → 0 and 1.5 → 1, the ends of the int8 tensor
    assert brightest == [0.0, 0.0, 3.5, 7.0, 7.0]


def test_raw_outputs_hold_the_same_numbers_before_they_become_real(tmp_path: Path) -> None:
    for dtype in ("int8", "uint8", "float32"):
        model = load_model(save(tmp_path, tiny_tflite(dtype)), kind="expression")
        pixels = np.full((SIDE, SIDE), 200, np.uint8)
        with model.answering(pixels) as answer:
            raw = answer("expression")
        real = model.run(pixels)["expression"]
        assert raw.values.dtype == dtype
        assert np.array_equal(raw.real(raw.values), real)
        for threshold in (-0.1, 0.0, 1.3, float(real[0, 4]), 100.0):
            assert np.array_equal(raw.values >= raw.level(threshold), real >= np.float32(threshold))


def test_a_convolutional_model_takes_pictures_of_another_size() -> None:
    shipped = load_model(find_model("face-detector"), kind="face-detector")
    small = load_model(find_model("face-detector"), kind="face-detector", size=(96, 64))
    assert small.card.input.shape == (1, 64, 96, 3)
    assert small.card.sha256 == shipped.card.sha256
    picture = np.random.default_rng(1).integers(0, 256, shipped.card.input.shape[1:], np.uint8)
    before = shipped.run(picture)
    found = small.run(np.full((64, 96, 3), 7, np.uint8))
    assert found["score_8"].shape == (1, 8, 12, 1)
    assert found["box_32"].shape == (1, 2, 3, 4)
    # A plain surface has no faces at any size, and away from the edges its features do not depend
    # on the size.
    plain = shipped.run(np.full(shipped.card.input.shape[1:], 7, np.uint8))
    assert found["score_8"].max() < 0
    assert found["score_8"][0, 0, 0, 0] == pytest.approx(plain["score_8"][0, 0, 0, 0], abs=1.0)
    for name, values in shipped.run(picture).items():  # the other one is as it was
        assert np.array_equal(values, before[name])


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((SIDE, SIDE + 1), np.uint8), np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((4, 4))],
    ids=["wrong side", "wrong channels", "wrong type"],
)
def test_pixels_of_another_shape_or_type_are_a_mistake_of_the_caller(
    pixels: Any, tmp_path: Path
) -> None:
    model = load_model(save(tmp_path), kind="expression")
    with pytest.raises(ValueError, match=r"tiny takes uint8 pixels of shape \(4, 4, 1\)"):
        model.run(pixels)


def test_several_threads_may_share_a_model(tmp_path: Path) -> None:
    model = load_model(save(tmp_path), kind="expression")

    def brightest(value: int) -> float:
        return float(model.run(np.full((SIDE, SIDE), value, np.uint8))["expression"].max())

    values = [0, 255] * 200
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(brightest, values)) == [7.0 * value / 255 for value in values]


def test_the_card_survives_being_written_and_read_again(tmp_path: Path) -> None:
    card = read_card(save(tmp_path, metrics={"PublicTest": {"accuracy": 0.65, "n": 3589}}))
    copy = tmp_path / "copy.json"
    copy.write_text(card.to_json(), encoding="utf-8")
    assert read_card(copy) == card
    assert json.loads(card.to_json())["schema"] == 1
    assert '"n": 3589' in card.to_json()
    assert card.output("expression") == card.outputs[0]
    assert card.output("fer2013") is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"schema": 1,\n "name": }', "line 2"),
        (b"\xff\xfe", "UTF-8"),
        (b"[]", "the model card is wrong: "),
        (b"[" * 100_000, "not JSON"),
        (None, "NAME.json"),
    ],
    ids=["not JSON", "not text", "not an object", "nested without end", "missing"],
)
def test_a_broken_card_is_named_with_its_fault(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    card = tmp_path / "broken.json"
    if content is not None:
        card.write_bytes(content)
    message = refusal(card)
    assert message.startswith(str(card)) and said in message
    assert "cannot be read (Is a directory)" in refusal(tmp_path)


LABELS = [e.value for e in EMOTIONS]


def outputs(**changes: Any) -> dict[str, Any]:
    output = {"name": "expression", "shape": [1, 8], "tensor": "logits", "labels": LABELS}
    return {"outputs": [output | changes]}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": 2}, "schema = 2: input should be 1"),
        ({"colour": "blue"}, "colour = 'blue': extra inputs"),
        ({"name": "a/b"}, "name = 'a/b'"),
        ({"file": "../../etc/x.tflite"}, "file = '../../etc/x.tflite'"),
        ({"temperature": None}, "needs 'temperature'"),
        ({"score_threshold": 0.5}, "has no 'score_threshold'"),
        (outputs(labels=LABELS[::-1]), "found contempt, fear"),
        (outputs(labels=None), "sadness, anger, disgust, fear, contempt; found none"),
        (outputs(shape=[1, 7]), "8 labels, but its shape (1, 7) needs 7"),
        (outputs(name="something"), "an output named 'expression' is needed; found something"),
        ({"outputs": outputs()["outputs"] * 2}, "two outputs have one name"),
        ({"input": {"width": 4}}, "input.height: is missing"),
        (
            {"input": expression_card(b"")["input"] | {"channels": 3}},
            "color 'gray' does not have 3 channels",
        ),
    ],
)
def test_a_card_that_breaks_the_format_names_key_value_and_what_is_allowed(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    card = save(tmp_path)
    card.write_text(json.dumps(expression_card(tiny_tflite()) | changes), encoding="utf-8")
    message = refusal(card)
    assert message.startswith(str(card)) and said in message


@pytest.mark.parametrize(
    "content", [b"", b"not a model", tiny_tflite()[:300]], ids=["empty", "text", "truncated"]
)
def test_a_file_that_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    assert "is no TFLite model that this runtime can run" in refusal(save(tmp_path, content))


def test_a_file_that_is_missing_changed_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    card = save(tmp_path)
    file = tmp_path / "tiny.tflite"
    assert "of kind 'expression'; 'face-detector' is needed" in refusal(card, kind="face-detector")
    with pytest.raises(ModelError, match=r"tiny\.tflite: cannot take pictures of 8 × 8"):
        load_model(card, kind="expression", size=(8, 8))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    message = refusal(card)
    said = json.loads(card.read_text())["sha256"]
    assert said in message and message.startswith(str(file)) and "SHA-256" in message
    file.unlink()
    message = refusal(card)
    assert str(file) in message and "no such file" in message
    file.mkdir()
    assert "cannot be read (Is a directory)" in refusal(card)


@pytest.mark.parametrize(
    ("content", "changes", "said"),
    [
        (
            tiny_tflite(),
            {"input": expression_card(b"")["input"] | {"width": 8}},
            "input has shape (1, 4, 4, 1), the card says (1, 4, 8, 1)",
        ),
        (tiny_tflite(weights=brightness_weights(7)), {}, "has shape (1, 7), the card says (1, 8)"),
        (tiny_tflite(output="other"), {}, "should be tensor 'logits', which the file does not ha"),
        (tiny_tflite(extra_input=True), {}, "one input is expected, this one has 2: pixels, anot"),
        (tiny_tflite(output_quantization=((), ())), {}, "quantized without one scale"),
        (tiny_tflite("int16"), {}, "input has type int16; int8, uint8 or float32 is expected"),
    ],
    ids=["input shape", "output shape", "tensor name", "two inputs", "not quantized", "type"],
)
def test_a_file_that_disagrees_with_card_says_what_was_found_and_expected(
    content: bytes, changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    message = refusal(save(tmp_path, content, **changes))
    assert message.startswith(str(tmp_path / "tiny.tflite")) and said in message


def test_without_any_runtime_the_cure_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for runtime in ("ai_edge_litert", "tflite_runtime"):
        monkeypatch.setitem(sys.modules, f"{runtime}.interpreter", None)
    assert "Install ai-edge-litert, or tflite-runtime" in refusal(save(tmp_path))


@pytest.mark.parametrize("path", shipped_models().values(), ids=shipped_models())
def test_a_shipped_model_loads_under_its_own_name_and_costs_what_card_says(path: Path) -> None:
    card = read_card(path)
    assert find_model(card.name) == path == find_model(path.with_suffix(".tflite"))
    result = load_model(path, kind=card.kind).run(np.zeros(card.input.shape[1:], np.uint8))
    shapes = {name: values.shape for name, values in result.items()}
    assert {output.name: output.shape for output in card.outputs} == shapes
    if card.kind != "face-cover":
        assert multiply_adds(path.with_name(card.file)) == card.multiply_adds


def test_every_shipped_tflite_file_has_a_card() -> None:
    assert {p.stem for p in MODELS_FOLDER.glob("*.tflite")} == set(shipped_models())
    with pytest.raises(ModelError, match="there is no model 'nonsense'. Shipped: "):
        find_model("nonsense")


# A model of others is loaded in another process first, which has little memory and time


def test_a_model_of_others_is_tried_apart_before_it_is_installed_or_used(tmp_path: Path) -> None:
    content = tiny_tflite()
    card = write_model(tmp_path, content, expression_card(content))
    module.try_apart(card)
    module.try_apart(MODELS_FOLDER / "expression-fast.json")
    card.with_suffix(".tflite").write_bytes(content + b"more")
    with pytest.raises(ModelError, match="the card says"):
        module.try_apart(card)


@pytest.mark.parametrize(
    ("name", "few"), [("MEMORY_BYTES", 1 << 20), ("CPU_SECONDS", -1), ("WAIT_SECONDS", 0.01)]
)
def test_model_that_takes_too_much_time_or_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, few: float
) -> None:
    content = tiny_tflite()
    card = write_model(tmp_path, content, expression_card(content))
    if name == "WAIT_SECONDS":
        monkeypatch.setattr(module, name, few)
    else:
        starved = f"import {module.__name__} as t, sys, pathlib; t.{name} = {few}; "
        starved += "sys.exit(t.main(pathlib.Path(sys.argv[-1])))"
        run = subprocess.run
        monkeypatch.setattr(
            module.__name__ + ".subprocess.run",
            lambda words, **rest: run([words[0], "-c", starved, words[-1]], **rest),
        )
    with pytest.raises(ModelError, match=r"cannot be loaded within|cannot run|is no TFLite model"):
        module.try_apart(card)


def test_the_process_that_tries_says_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "limit", lambda: None)  # it would hold for the other tests, too
    content = tiny_tflite()
    card = write_model(tmp_path, content, expression_card(content))
    assert module.main(card) == 0
    card.with_suffix(".tflite").unlink()
    assert module.main(card) == 3
    assert "no such file" in capsys.readouterr().out
