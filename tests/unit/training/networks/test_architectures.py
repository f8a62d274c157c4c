"""Every architecture: what it gives, what it costs, its parts, and what its section refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from training.networks.architectures import (
    Network,
    RegionAttention,
    RegionAttentionNet,
    SmallResNet,
)
from training.networks.base import (
    ExpressionNetwork,
    NetworkSection,
    WithEvidence,
    multiply_adds,
    parameters,
)
from training.networks.quantize import (
    PixelInput,
    coarse_filters,
    filter_bounds,
    quantize,
    round_filters,
)

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
    "plain-cnn": 48 * 48 * 9 * 4 + 24 * 24 * 4 * 9 * 8 + 8 * 12 * 12 * 16 + 16 * 15,
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
def test_parts_of_a_network_hold_each_parameter_once_heads_last(architecture: str) -> None:
    network = build(architecture)

    held = [id(weight) for part in network.parts() for weight in part.parameters()]
    assert sorted(held) == sorted(id(weight) for weight in network.parameters())
    assert network.parts()[-1] is network.heads


@pytest.mark.parametrize("architecture", COSTS)
def test_cost_of_a_network_is_the_sum_of_its_layers(architecture: str) -> None:
    assert multiply_adds(build(architecture), torch.zeros(1, 1, 48, 48)) == COSTS[architecture]


@pytest.mark.parametrize(
    ("architecture", "millions"), [("resnet18", 11.2), ("resnet34", 21.3), ("mobilenet", 3.2)]
)
def test_a_shape_has_its_published_parameters(architecture: str, millions: float) -> None:
    """Those of the publications, less their 1000 categories and two of three colours."""
    widths = {"width": 1.0 if architecture == "mobilenet" else 64}

    assert parameters(build(architecture, **widths)) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize(
    ("architecture", "changes", "message"),
    [
        ("vgg", {"convolutions": [1]}, "2 widths need 2 convolutions"),
        ("plain-cnn", {"widths": [8] * 5}, "edge 48 cannot be halved 5 times"),
        ("depthwise-resnet", {"blocks": [1, 1]}, "2 widths need 1 blocks"),
        ("mobilenet", {"width": 1.5}, "width"),
    ],
)
def test_a_wrong_shape_is_refused(
    architecture: str, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        section(architecture, **changes)


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


def attention_net() -> RegionAttentionNet:
    torch.manual_seed(1)
    return RegionAttentionNet(SmallResNet((4, 8), (1,), (2,), {}), 8, {"expression": 8})


@pytest.mark.deep
def test_an_int8_file_divides_by_no_weights_that_sum_to_nothing() -> None:
    """A trained attention_net may find every region of some pictures nearly worthless."""
    net = attention_net().eval()
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


def like_neighbouring_pixels(places: int, size: int) -> Tensor:
    """Inputs that go together, as pixels and the features of neighbours do."""
    generator = torch.Generator().manual_seed(1)
    shared = torch.randn(places, size // 4, generator=generator)
    mixing = torch.randn(size // 4, size, generator=generator)
    return shared @ mixing + 0.3 * torch.randn(places, size, generator=generator)


def some_filters(count: int = 8, size: int = 36) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, size // 9, 3, 3, generator=generator)


def steps_of(filters: Tensor, step: float) -> Tensor:
    return step * filters.reshape(len(filters), -1).square().mean(dim=1).sqrt()


def test_answers_to_real_inputs_change_less_than_half_of_plain_rounding() -> None:
    filters = some_filters()
    inputs = like_neighbouring_pixels(2000, 36)
    steps = steps_of(filters, 0.5).reshape(-1, 1, 1, 1)
    plain = (filters / steps).round() * steps

    rounded = round_filters(filters, inputs.T @ inputs / 2000, 0.5)

    def cost(other: Tensor) -> float:
        return float((inputs @ (other - filters).reshape(8, -1).T).square().mean())

    assert cost(rounded) < 0.5 * cost(plain)


def test_filters_that_join_channels_change_and_nothing_else_does() -> None:
    torch.manual_seed(3)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.Flatten(),
        nn.Linear(256, 3),
    ).eval()
    before = {name: weight.clone() for name, weight in network.state_dict().items()}

    coarse = coarse_filters(network, torch.randn(60, 1, 8, 8), 0.5)

    changed = {
        name
        for name, weight in coarse.state_dict().items()
        if not torch.equal(weight, before[name])
    }
    assert changed == {"3.weight"}
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())


def test_the_bounds_of_a_coarse_filter_are_127_of_its_steps() -> None:
    counts = np.array([[-3, 0, 1, 2], [0, 5, -5, 1]], dtype=np.float32)
    steps = np.array([0.25, 0.011], dtype=np.float32)
    filters = (counts * steps[:, None]).reshape(2, 2, 2, 1)

    bounds = filter_bounds(filters)

    assert bounds.shape == (2, 1, 1, 1)
    assert bounds.ravel() == pytest.approx(steps * 127, rel=1e-5)
