"""Every architecture: what it gives, what it costs, its parts, and what its section refuses."""

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch
from pydantic import TypeAdapter, ValidationError

from training.networks.architectures import Network
from training.networks.base import (
    ExpressionNetwork,
    NetworkSection,
    RegionNetwork,
    WithEvidence,
    multiply_adds,
    parameters,
)

pytestmark = pytest.mark.training

HEADS = {"expression": 8, "fer2013": 7}
SECTIONS: dict[str, dict[str, object]] = {
    "small-resnet": {"widths": [4, 8], "blocks": [1], "strides": [2]},
    "plain-cnn": {"widths": [4, 8], "hidden": 16, "batch_norm": True},
    "vgg": {"widths": [4, 8], "convolutions": [1, 2]},
    "resnet18": {"width": 4, "reduction": 4},
    "resnet34": {"width": 4, "reduction": 2},
    "mobilenet": {"width": 0.25, "stem_stride": 1},
    "region-attention": {"widths": [4, 8], "blocks": [1], "strides": [2]},
    "depthwise-resnet": {"widths": [4, 8], "blocks": [2], "strides": [2]},
}
_36 = 36 * 36 * 9 * 4 + 18 * 18 * (9 * 4 * 8 + 9 * 8 * 8 + 4 * 8)
"""Multiply-adds of the small backbone on a region of 36 × 36 pixels."""
COSTS = {
    "vgg": 48 * 48 * 9 * 4 + 24 * 24 * 9 * (4 * 8 + 8 * 8) + 8 * 15,
    "depthwise-resnet": 24 * 24 * 9 * 4  # stem
    + 12 * 12 * (9 * 4 + 4 * 16 + 16 * 8 + 9 * 8 + 8 * 16 + 16 * 8)  # two blocks
    + 8 * 15,
    "region-attention": 7 * (_36 + 8 + 16) + 16 * 15,
}


def section(architecture: str, **changes: object) -> NetworkSection:
    keys = {"architecture": architecture, **SECTIONS[architecture], **changes}
    made: NetworkSection = TypeAdapter(Network).validate_python(keys)
    return made


def build(architecture: str, **changes: object) -> ExpressionNetwork:
    torch.manual_seed(1)
    return section(architecture, **changes).build(HEADS)


@pytest.mark.parametrize("architecture", SECTIONS)
def test_each_head_gives_its_logits_whatever_the_size(architecture: str) -> None:
    network = build(architecture).eval()
    with torch.no_grad():
        expression, fer2013 = network(torch.randn(3, 1, 48, 48))

    assert expression.shape == (3, 8)
    assert fer2013.shape == (3, 7)
    assert expression.std() > 1e-3, "it differs by what is seen"


@pytest.mark.parametrize("architecture", SECTIONS)
def test_its_parts_hold_every_parameter_once_and_the_heads_are_the_last(architecture: str) -> None:
    network = build(architecture)

    held = [id(weight) for part in network.parts() for weight in part.parameters()]
    assert sorted(held) == sorted(id(weight) for weight in network.parameters())
    assert network.parts()[-1] is network.heads


@pytest.mark.parametrize("architecture", COSTS)
def test_it_costs_what_its_layers_add_up_to(architecture: str) -> None:
    assert multiply_adds(build(architecture), torch.zeros(1, 1, 48, 48)) == COSTS[architecture]


@pytest.mark.parametrize(
    ("architecture", "millions"), [("resnet18", 11.2), ("resnet34", 21.3), ("mobilenet", 3.2)]
)
def test_a_published_shape_has_the_published_number_of_parameters(
    architecture: str, millions: float
) -> None:
    """Those of the publications, less their 1000 categories and two of three colours."""
    widths = {"width": 1.0 if architecture == "mobilenet" else 64}

    assert parameters(build(architecture, **widths)) / 1e6 == pytest.approx(millions, abs=0.05)


def test_evidence_is_a_sum_over_the_regions() -> None:
    for architecture in SECTIONS:
        network = build(architecture).eval()
        if not isinstance(network, RegionNetwork):
            continue
        with torch.no_grad():
            expression, _, evidence = WithEvidence(network)(torch.randn(2, 1, 48, 48))
        assert torch.allclose(evidence.sum(dim=(1, 2)), expression, atol=1e-4), architecture


@pytest.mark.parametrize(
    ("architecture", "changes", "message"),
    [
        ("vgg", {"convolutions": [1]}, "2 widths need 2 convolutions"),
        ("vgg", {"widths": [4] * 5 + [8], "convolutions": [1] * 6}, "at most 5 items"),
        ("vgg", {"edge": 56, "widths": [4] * 5, "convolutions": [1] * 5}, "halved 4 times"),
        ("depthwise-resnet", {"blocks": [1, 1]}, "2 widths need 1 blocks"),
        ("resnet18", {"reduction": 3}, "reduction"),
        ("mobilenet", {"width": 1.5}, "width"),
    ],
)
def test_a_wrong_shape_is_refused(
    architecture: str, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        section(architecture, **changes)


def test_it_learns_on_from_its_own_shape_alone() -> None:
    for name in SECTIONS:
        one = section(name)
        assert one.can_learn_on(section(name, dropout=0.5))
        assert not any(one.can_learn_on(section(other)) for other in SECTIONS if other != name)
