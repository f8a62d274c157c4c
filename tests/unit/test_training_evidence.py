"""The parts of a logit: exact for a network that ends in a mean and a full connection."""

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch

from training.models.evidence import WithEvidence
from training.models.small_resnet import SmallResNet

pytestmark = pytest.mark.training


def network() -> SmallResNet:
    torch.manual_seed(3)
    return SmallResNet((4, 8, 16), (1, 1), (2, 2), {"expression": 8, "fer2013": 7}, dropout=0.5).eval()


def test_the_evidence_of_all_regions_sums_to_the_logit() -> None:
    module, faces = network(), torch.randn(3, 1, 24, 24)

    with torch.no_grad():
        expression, fer2013, evidence = WithEvidence(module)(faces)
        wanted = module(faces)

    assert evidence.shape == (3, 6, 6, 8)
    torch.testing.assert_close(evidence.sum(dim=(1, 2)), expression, rtol=1e-5, atol=1e-6)
    assert torch.equal(expression, wanted[0]) and torch.equal(fer2013, wanted[1])


def test_what_lies_far_from_a_region_does_not_change_its_evidence() -> None:
    explained, face = WithEvidence(network()), torch.randn(1, 1, 96, 96)
    other = face.clone()
    other[:, :, 60:] = 0

    with torch.no_grad():
        before, after = explained(face)[-1], explained(other)[-1]

    # of a logit with its bias spread over as many regions, only the regions near the change differ
    assert torch.equal(before[:, :10], after[:, :10])
    assert not torch.equal(before[:, 14:], after[:, 14:])


def test_another_head_can_be_taken_apart() -> None:
    with torch.no_grad():
        _expression, fer2013, evidence = WithEvidence(network(), head="fer2013")(torch.randn(1, 1, 24, 24))

    torch.testing.assert_close(evidence.sum(dim=(1, 2)), fer2013, rtol=1e-5, atol=1e-6)
