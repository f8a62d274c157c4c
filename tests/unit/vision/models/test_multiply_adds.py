"""The multiply-adds in a card are those of the model file, counted operator by operator."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import pytest

from edge_agent.vision.models.card import find_model, read_card

schema: Any = pytest.importorskip(
    "ai_edge_litert.schema_py_generated", reason="this runtime brings no reader of model files"
)


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


@pytest.mark.parametrize("name", ["expression-accurate", "expression-fast", "face-detector"])
def test_the_card_says_what_the_file_costs(name: str) -> None:
    path = find_model(name)
    card = read_card(path)
    assert multiply_adds(path.with_name(card.file)) == card.multiply_adds
