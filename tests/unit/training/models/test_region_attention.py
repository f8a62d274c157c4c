"""Regions of the face: where they lie, how they are weighed, and the loss that asks for one."""

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch

from training.models.region_attention import (
    REGIONS,
    RegionAttentionNet,
    region_bias,
    regions_of,
)
from training.models.small_resnet import SmallResNet

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
