"""Every architecture: what it gives, what it costs, its parts, and what its section refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from training.networks.architectures import (
    REGIONS,
    Network,
    RegionAttention,
    RegionAttentionNet,
    SmallResNet,
    region_bias,
    regions_of,
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


@pytest.mark.parametrize(
    ("architecture", "changes", "message"),
    [
        ("vgg", {"convolutions": [1]}, "2 widths need 2 convolutions"),
        ("vgg", {"widths": [4] * 5 + [8], "convolutions": [1] * 6}, "at most 5 items"),
        ("vgg", {"edge": 56, "widths": [4] * 5, "convolutions": [1] * 5}, "halved 4 times"),
        ("plain-cnn", {"widths": [8] * 5}, "edge 48 cannot be halved 5 times"),
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
    assert not section("plain-cnn").can_learn_on(section("plain-cnn", edge=56))


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


def attention_net() -> RegionAttentionNet:
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
    net = attention_net().eval()

    with torch.no_grad():
        together = net(pictures)[0]
        alone = torch.cat([net(picture[None])[0] for picture in pictures])

    assert torch.allclose(together, alone, atol=1e-5)


def test_while_it_trains_the_weights_of_face_and_regions_follow_the_logits() -> None:
    logits, weights = attention_net().train()(torch.randn(2, 1, 48, 48))

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


def test_each_weight_is_a_whole_number_of_its_filters_steps() -> None:
    filters = some_filters()
    inputs = like_neighbouring_pixels(500, 36)

    rounded = round_filters(filters, inputs.T @ inputs / 500, 0.5)

    counts = rounded / steps_of(filters, 0.5).reshape(-1, 1, 1, 1)
    assert rounded.shape == filters.shape
    assert torch.allclose(counts, counts.round(), atol=1e-4)
    assert len(torch.unique(counts.round())) < 20


def test_the_answers_to_real_inputs_change_by_less_than_half_of_what_plain_rounding_costs() -> None:
    filters = some_filters()
    inputs = like_neighbouring_pixels(2000, 36)
    steps = steps_of(filters, 0.5).reshape(-1, 1, 1, 1)
    plain = (filters / steps).round() * steps

    rounded = round_filters(filters, inputs.T @ inputs / 2000, 0.5)

    def cost(other: Tensor) -> float:
        return float((inputs @ (other - filters).reshape(8, -1).T).square().mean())

    assert cost(rounded) < 0.5 * cost(plain)


def test_a_filter_of_zeros_and_inputs_that_are_always_zero_are_no_fault() -> None:
    filters = some_filters()
    filters[3] = 0
    inputs = like_neighbouring_pixels(500, 36)
    inputs[:, 5] = 0

    rounded = round_filters(filters, inputs.T @ inputs / 500, 0.5)

    assert bool(torch.isfinite(rounded).all())
    assert not bool(rounded[3].any())


def test_no_weight_lies_beyond_what_int8_holds() -> None:
    filters = some_filters()
    filters[0, 0, 0, 0] = 1000.0

    rounded = round_filters(filters, torch.eye(36), 0.001)

    counts = rounded / steps_of(filters, 0.001).reshape(-1, 1, 1, 1)
    assert float(counts.abs().max()) <= 127.001


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


def test_the_bounds_of_any_other_filter_are_its_largest_weight() -> None:
    filters = some_filters().permute(0, 2, 3, 1).numpy()
    filters[2] = 0

    bounds = filter_bounds(filters).ravel()

    largest = np.abs(filters.reshape(8, -1)).max(axis=1)
    assert bounds[[0, 1, 3]] == pytest.approx(largest[[0, 1, 3]], rel=1e-6)
    assert bounds[2] == 1.0
