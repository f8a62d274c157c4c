"""Regions of the face: where they lie, how they are weighed, and the loss that asks for one."""

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from torch import nn

from training.networks.architectures import (
    REGIONS,
    RegionAttentionNet,
    SmallResNet,
    region_bias,
    regions_of,
)
from training.networks.quantize import PixelInput, quantize

pytestmark = pytest.mark.training


def network() -> RegionAttentionNet:
    torch.manual_seed(1)
    return RegionAttentionNet(SmallResNet((4, 8), (1,), (2,), {}), 8, {"expression": 8})


def test_six_regions_of_three_quarters_and_the_whole_face() -> None:
    face = torch.arange(48 * 48.0).reshape(1, 1, 48, 48)

    whole, *regions = regions_of(face)

    assert whole.shape == (1, 1, 36, 36)
    assert whole.mean().item() == pytest.approx(face.mean().item(), rel=0.01)
    assert [region[0, 0, 0, 0].item() for region in regions] == [0, 12, 576, 588, 6, 582]
    assert all(region.shape == (1, 1, 36, 36) for region in regions)
    assert len(regions) == len(REGIONS) == 6


def test_each_picture_is_weighed_by_itself() -> None:
    """Regions of all pictures are one batch inside, and must not change places."""
    pictures = torch.randn(3, 1, 48, 48)
    net = network().eval()

    with torch.no_grad():
        together = net(pictures)[0]
        alone = torch.cat([net(picture[None])[0] for picture in pictures])

    assert torch.allclose(together, alone, atol=1e-5)


def test_while_it_trains_the_weights_of_face_and_regions_follow_the_logits() -> None:
    logits, weights = network().train()(torch.randn(2, 1, 48, 48))

    assert logits.shape == (2, 8)
    assert weights.shape == (2, 7)
    assert (weights > 0).all()
    assert (weights < 1).all()


def test_the_bias_is_nothing_once_a_region_weighs_more_by_the_margin() -> None:
    weights = torch.tensor([[0.5, 0.6, 0.1], [0.5, 0.4, 0.3]])

    assert region_bias(weights[:1], 0.02).item() == 0
    assert region_bias(weights[1:], 0.02).item() == pytest.approx(0.12)
    assert region_bias(weights, 0.02).item() == pytest.approx(0.06)


@pytest.mark.deep
def test_an_int8_file_divides_by_no_weights_that_sum_to_nothing() -> None:
    """A trained network may find every region of some pictures nearly worthless."""
    net = network().eval()
    for attention in net.attention.values():
        assert isinstance(attention, nn.Linear)
        attention.weight.data.mul_(40.0)
        attention.bias.data.fill_(-9.0)
    pixels = PixelInput(48, 48, 1, 1 / 64, -2.0)
    pictures = np.random.default_rng(1).integers(0, 256, (60, 48, 48), dtype=np.uint8)
    pictures[::3] //= 6  # dark ones, in which little is seen

    content = quantize(net, pixels, ("expression",), pictures)

    runner = Interpreter(model_content=content).get_signature_runner("serving_default")
    scale, zero = runner.get_input_details()["args_0"]["quantization"]
    out_scale, out_zero = runner.get_output_details()["expression"]["quantization"]
    for picture in pictures:
        sample = pixels.real(picture[None])
        with torch.no_grad():
            (wanted,) = net(torch.from_numpy(sample).permute(0, 3, 1, 2))
        levels = np.clip(np.round(sample / scale + zero), -128, 127).astype(np.int8)
        given = (runner(args_0=levels)["expression"] - float(out_zero)) * out_scale
        assert np.abs(given - wanted.numpy()).max() < 0.1
