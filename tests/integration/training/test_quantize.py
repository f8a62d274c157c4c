"""From a network to an int8 file that says the same."""

from pathlib import Path
from zlib import compress

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from edge_agent.vision.models.model import load_model
from tests.support.vision.training_runs import LONG_RUN
from training.data.datasets import EXPRESSIONS, FER2013
from training.errors import DataError
from training.networks.architectures import RegionAttention, SmallResNet
from training.networks.base import EVIDENCE, WithEvidence
from training.networks.quantize import (
    PixelInput,
    check_conversion,
    convert,
    in_few_steps,
    quantize,
    write_model,
)

pytestmark = LONG_RUN

PIXELS = PixelInput(48, 48, 1, scale=1 / 64, offset=-2.0)
OUTPUTS = ("expression", "fer2013")
LABELS = {"expression": EXPRESSIONS, "fer2013": FER2013}
CARD = {
    "name": "tiny",
    "version": "1.0.0",
    "kind": "expression",
    "license": "Apache-2.0",
    "description": "A test.",
    "temperature": 1.0,
    "uncertain_below": 0.45,
    "crop": "fer2013-v1",
    "training": {"recipe": "tiny.toml", "seed": 1, "epochs": 0, "data": [], "date": "2026-01-01"},
    "metrics": {},
    "limits": [],
}


def network(seed: int = 1, *, attention: bool = False) -> SmallResNet:
    torch.manual_seed(seed)
    made = SmallResNet(
        (8, 16), (1,), (2,), {"expression": 8, "fer2013": 7}, region_attention=attention
    ).eval()
    for part in made.modules():
        if isinstance(part, RegionAttention):  # as if it had learnt
            nn.init.normal_(part.gate.weight)
    return made


def pictures(n: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Pictures that differ: noise around another grey each."""
    random = np.random.default_rng(2)
    greys = np.linspace(0, 155, n, dtype=np.uint8)[:, None, None]
    return random.integers(0, 100, (n, 48, 48), dtype=np.uint8) + greys


def test_the_int8_file_says_what_the_network_says(tmp_path: Path) -> None:
    module = network(attention=True)
    convert_conv2d_weight_memory_format(module, torch.channels_last)
    seen = pictures(40)

    card = write_model(
        module, PIXELS, LABELS, calibration=seen, card=CARD, folder=tmp_path / "models"
    )

    model = load_model(card, kind="expression")
    with torch.no_grad():
        wanted = module(torch.from_numpy(PIXELS.real(seen)).permute(0, 3, 1, 2))
    for name, expected in zip(OUTPUTS, wanted, strict=True):
        found = np.concatenate([model.run(picture)[name] for picture in seen])
        assert np.corrcoef(found.ravel(), expected.numpy().ravel())[0, 1] > 0.99


@pytest.mark.deep
def test_evidence_of_regions_leaves_the_int8_answers_alone(tmp_path: Path) -> None:
    module = network()
    seen = pictures(40)
    plain = write_model(
        module, PIXELS, LABELS, calibration=seen, card=CARD, folder=tmp_path / "plain"
    )
    card = write_model(
        WithEvidence(module),
        PIXELS,
        LABELS | {EVIDENCE: LABELS["expression"]},
        calibration=seen,
        card=CARD,
        folder=tmp_path / "explained",
    )

    before = load_model(plain, kind="expression")
    after = load_model(card, kind="expression")
    with torch.no_grad():
        wanted = WithEvidence(module)(torch.from_numpy(PIXELS.real(seen)).permute(0, 3, 1, 2))[
            -1
        ].numpy()
    found = np.concatenate([after.run(picture)[EVIDENCE] for picture in seen])
    assert found.shape == wanted.shape == (40, 24, 24, 8)
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.99
    for picture in seen:
        first = before.run(picture)
        second = after.run(picture)
        assert all(np.array_equal(first[name], second[name]) for name in OUTPUTS)


@pytest.mark.deep
def test_coarse_filters_pack_smaller_and_answer_alike(tmp_path: Path) -> None:
    seen = pictures(40)
    fine = network()
    coarse = in_few_steps(fine, PIXELS, seen, 0.5)

    cards = {
        name: write_model(
            module, PIXELS, LABELS, calibration=seen, card=CARD, folder=tmp_path / name
        )
        for name, module in (("fine", fine), ("coarse", coarse))
    }

    filters = {
        name: filters_of(card.with_suffix(".tflite").read_bytes()) for name, card in cards.items()
    }
    assert len(np.unique(max(filters["coarse"], key=np.size))) < 25
    assert max(len(np.unique(one)) for one in filters["coarse"]) < 50
    packed = {
        name: sum(len(compress(one.tobytes())) for one in found) for name, found in filters.items()
    }
    assert packed["coarse"] < 0.65 * packed["fine"]
    model = load_model(cards["coarse"], kind="expression")
    with torch.no_grad():
        wanted = coarse(torch.from_numpy(PIXELS.real(seen)).permute(0, 3, 1, 2))
    for name, expected in zip(OUTPUTS, wanted, strict=True):
        said = np.concatenate([model.run(picture)[name] for picture in seen])
        assert np.corrcoef(said.ravel(), expected.numpy().ravel())[0, 1] > 0.99


def filters_of(content: bytes) -> list[NDArray[np.int8]]:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    return [
        interpreter.get_tensor(tensor["index"])
        for tensor in interpreter.get_tensor_details()
        if len(tensor["shape"]) == 4 and tensor["shape"][0] > 1
    ]


def test_a_file_that_is_not_of_this_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "float.tflite"
    convert(network(seed=1), PIXELS, OUTPUTS, path)
    samples = [PIXELS.real(pictures(1))]

    check_conversion(path, network(seed=1), OUTPUTS, samples)
    with pytest.raises(DataError, match="output 'expression' differs from PyTorch's"):
        check_conversion(path, network(seed=2), OUTPUTS, samples)


def test_without_a_picture_there_is_nothing_to_calibrate_on() -> None:
    with pytest.raises(DataError, match="no picture to calibrate"):
        quantize(network(), PIXELS, OUTPUTS, pictures(0))
