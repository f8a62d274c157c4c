"""Weights learnt elsewhere: what is taken, what stays new, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch
from torch.nn import functional

from training.errors import RecipeError
from training.expression import pretrained
from training.expression.pretrained import load_base, settle_norms
from training.networks.published import BLOCKS, MobileNet, Vgg

pytestmark = pytest.mark.training

HEADS = {"expression": 8}
GREY = (0.507, 0.255)


def made_file() -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Filters and biases as the TFLite file of a MobileNet of a quarter of the width holds them."""
    random = np.random.default_rng(3)
    held = {}

    def layer(name: str, *shape: int) -> None:
        start = f"MobilenetV1/MobilenetV1/Conv2d_{name}"
        fan = int(np.prod(shape[1:3])) * (1 if shape[0] == 1 else shape[3])
        filters = random.normal(0, (2 / fan) ** 0.5, shape)
        held[f"{start}/Conv2D_Fold;{start}/weights_quant/FakeQuant"] = filters.astype(np.float32)
        size = shape[3] if shape[0] == 1 else shape[0]
        held[f"{start}/BatchNorm_Fold/bias"] = random.normal(0, 0.1, size).astype(np.float32)

    channels = 8
    layer("0", channels, 3, 3, 3)
    for number, (full, _) in enumerate(BLOCKS, start=1):
        layer(f"{number}_depthwise", 1, 3, 3, channels)
        layer(f"{number}_pointwise", full // 4, 1, 1, channels)
        channels = full // 4
    return held


def test_a_tflite_base_sees_grey_as_three_colours_of_its_own_range(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = made_file()
    monkeypatch.setattr(pretrained, "_constants", lambda _: held)
    network = MobileNet(0.25, HEADS).eval()

    load_base(Path("base.tflite"), network, GREY)

    pixels = torch.rand(2, 1, 48, 48)
    filters, bias = (torch.from_numpy(value) for name, value in held.items() if "Conv2d_0/" in name)
    colours = ((pixels * 255 - 128) / 128).repeat(1, 3, 1, 1)
    # away from the border, which is padded with the 0 of either range
    wanted = functional.conv2d(colours, filters.permute(0, 3, 1, 2), bias, stride=2).clamp(0, 6)
    with torch.no_grad():
        found = network.stem((pixels - GREY[0]) / GREY[1])
    assert torch.allclose(found[:, :, :23, :23], wanted[:, :, :23, :23], atol=1e-4)


def test_a_tflite_base_of_another_width_or_network_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pretrained, "_constants", lambda _: made_file())
    with pytest.raises(RecipeError, match="network.width is another one"):
        load_base(Path("base.tflite"), MobileNet(0.5, HEADS), GREY)
    with pytest.raises(RecipeError, match="a base for architecture mobilenet alone"):
        load_base(Path("base.tflite"), Vgg((4,), (1,), HEADS), GREY)
    monkeypatch.undo()
    (tmp_path / "base.tflite").write_bytes(b"nothing")
    with pytest.raises(RecipeError, match="is not a TFLite file that can be read"):
        load_base(tmp_path / "base.tflite", MobileNet(0.25, HEADS), GREY)


def test_weights_of_the_same_network_leave_the_heads_new(tmp_path: Path) -> None:
    torch.manual_seed(1)
    elsewhere = Vgg((4, 8), (1, 1), {"things": 3})
    torch.save(elsewhere.state_dict(), tmp_path / "base.pt")
    network = Vgg((4, 8), (1, 1), HEADS)
    head = network.heads.state_dict()["expression.weight"].clone()

    load_base(tmp_path / "base.pt", network, GREY)

    pictures = torch.randn(2, 1, 48, 48)
    assert torch.equal(network.eval().features(pictures), elsewhere.eval().features(pictures))
    assert torch.equal(network.heads.state_dict()["expression.weight"], head)
    with pytest.raises(RecipeError, match=r"another network; this one needs stages.0.0.0.weight"):
        load_base(tmp_path / "base.pt", Vgg((5, 8), (1, 1), HEADS), GREY)


def test_norms_are_settled_without_changing_what_the_network_says() -> None:
    torch.manual_seed(1)
    network = Vgg((4, 8), (1, 1), HEADS).eval()
    pictures = 3 + 2 * torch.randn(16, 1, 48, 48)
    with torch.no_grad():
        before = network(pictures)[0]

    settle_norms(network, pictures)

    with torch.no_grad():
        after = network(pictures)[0]
        learning = network.train()(pictures)[0]
    assert torch.allclose(before, after, atol=1e-4)
    assert torch.allclose(before, learning, atol=1e-3), "batch statistics are those it settled on"
