"""The parts of a logit: exact for a network that ends in a mean and a full connection."""

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch

from training.networks.architectures import RegionAttention, SmallResNet
from training.networks.base import WithEvidence

pytestmark = pytest.mark.training


def network(*, attention: bool = False) -> SmallResNet:
    torch.manual_seed(3)
    heads = {"expression": 8, "fer2013": 7}
    return SmallResNet(
        (4, 8, 16), (1, 1), (2, 2), heads, dropout=0.5, region_attention=attention
    ).eval()


def attentive() -> SmallResNet:
    """Return a network that has learnt to look at some regions more than at others."""
    made = network(attention=True)
    (attention,) = (part for part in made.modules() if isinstance(part, RegionAttention))
    with torch.no_grad():
        attention.gate.weight.normal_()
    return made


def test_attention_begins_as_none_and_then_weighs_the_regions() -> None:
    faces = torch.randn(3, 1, 24, 24)

    with torch.no_grad():
        plain, begun, learnt = (
            made.features(faces) for made in (network(), network(attention=True), attentive())
        )

    assert torch.equal(begun, plain)
    weights = learnt / plain.where(plain > 0, 1)
    seen = (plain > 0).any(dim=1)
    weight = weights.amax(dim=1)[seen]
    assert weight.max() > 1.2 and weight.min() < 0.8 and weight.min() >= 0 and weight.max() <= 2
    torch.testing.assert_close(learnt, plain * weights.amax(dim=1, keepdim=True))


@pytest.mark.parametrize("module", [network(), attentive()], ids=["mean", "attention"])
def test_the_evidence_of_all_regions_sums_to_the_logit(module: SmallResNet) -> None:
    faces = torch.randn(3, 1, 24, 24)

    with torch.no_grad():
        expression, fer2013, evidence = WithEvidence(module)(faces)
        wanted = module(faces)

    assert evidence.shape == (3, 6, 6, 8)
    torch.testing.assert_close(evidence.sum(dim=(1, 2)), expression, rtol=1e-5, atol=1e-6)
    assert torch.equal(expression, wanted[0]) and torch.equal(fer2013, wanted[1])


def test_what_lies_far_from_a_region_does_not_change_its_evidence() -> None:
    explained = WithEvidence(network())
    face = torch.randn(1, 1, 96, 96)
    other = face.clone()
    other[:, :, 60:] = 0

    with torch.no_grad():
        before = explained(face)[-1]
        after = explained(other)[-1]

    # of a logit with its bias spread over as many regions, only the regions near the change differ
    assert torch.equal(before[:, :10], after[:, :10])
    assert not torch.equal(before[:, 14:], after[:, 14:])


def test_another_head_can_be_taken_apart() -> None:
    with torch.no_grad():
        _expression, fer2013, evidence = WithEvidence(network(), head="fer2013")(
            torch.randn(1, 1, 24, 24)
        )

    torch.testing.assert_close(evidence.sum(dim=(1, 2)), fer2013, rtol=1e-5, atol=1e-6)
