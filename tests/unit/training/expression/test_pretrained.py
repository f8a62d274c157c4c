"""Weights learnt elsewhere: what is taken, what stays new, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.support.vision.tiny_faces import faces, tiny_recipe
from training.data.lessons import lessons
from training.errors import RecipeError
from training.expression import pretrained
from training.expression.face_features import (
    FaceFeaturesTask,
    features_of,
    first_stage_seconds,
    learn_face_features,
)
from training.expression.pretrained import (
    MobileFaceNet,
    as_face_input,
    load_base,
    load_face_network,
    settle_norms,
)
from training.expression.recipe import ExpressionRecipe
from training.learning.recipe import load_recipe
from training.networks.architectures import RegionAttentionNet, SmallResNet
from training.networks.published import (
    BLOCKS,
    Convolution,
    EfficientNetLite,
    MobileNet,
    PlainCnn,
    Vgg,
)

pytestmark = pytest.mark.usefixtures("undrawn")


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


def test_a_tflite_base_sees_grey_as_three_colours(monkeypatch: pytest.MonkeyPatch) -> None:
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


def made_checkpoint(network: EfficientNetLite) -> dict[str, torch.Tensor]:
    """Convolutions and batch norms in the order and with the shapes of the published checkpoint."""
    generator = torch.Generator().manual_seed(3)
    held = {}
    layers = [layer for layer in network.modules() if isinstance(layer, Convolution)]
    for number, layer in enumerate(layers):
        out, into, *kernel = layer.conv.weight.shape
        shape = (out, into if number else 3, *kernel)
        held[f"{number}.conv.weight"] = torch.randn(shape, generator=generator) / math.prod(
            shape[1:]
        )
        for part in ("weight", "bias", "running_mean", "running_var"):
            held[f"{number}.bn.{part}"] = torch.rand(out, generator=generator) + 0.5
        held[f"{number}.bn.num_batches_tracked"] = torch.tensor(7)
    return held | {"fc.weight": torch.zeros(10, 1280), "fc.bias": torch.zeros(10)}


def test_a_checkpoint_of_efficientnet_lite_sees_grey_as_three_colours(tmp_path: Path) -> None:
    network = EfficientNetLite(HEADS).eval()
    held = made_checkpoint(network)
    torch.save(held, tmp_path / "base.pth")

    load_base(tmp_path / "base.pth", network, GREY)

    pixels = torch.rand(2, 1, 48, 48)
    colours = ((pixels * 255 - 127) / 128).repeat(1, 3, 1, 1)
    convolved = functional.conv2d(colours, held["0.conv.weight"], stride=2)
    mean, variance, weight, bias = (
        held[f"0.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    norm = functional.batch_norm(convolved, mean, variance, weight, bias, eps=1e-3)
    wanted = norm.clamp(0, 6)
    with torch.no_grad():
        answer = network.stem((pixels - GREY[0]) / GREY[1])
    assert torch.allclose(answer[:, :, :23, :23], wanted[:, :, :23, :23], atol=1e-4)
    with pytest.raises(RecipeError, match="a base for architecture efficientnet-lite0 alone"):
        load_base(tmp_path / "base.pth", MobileNet(0.25, HEADS), GREY)
    del held["3.conv.weight"]
    torch.save(held, tmp_path / "base.pth")
    with pytest.raises(RecipeError, match="convolutions where the recipe's network has"):
        load_base(tmp_path / "base.pth", network, GREY)


def test_a_base_of_another_network_is_refused(
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


def write_graph(folder: Path) -> Path:
    """A TensorFlow.js graph of a MobileNet of a quarter of the width: filters of 1, biases of 0."""
    nodes: list[dict[str, Any]] = []
    constants: list[dict[str, Any]] = []
    channels = 3

    def layer(name: str, op: str, *shape: int) -> None:
        nodes.append({"name": f"{name}/act", "op": op, "input": ["x", f"{name}/filters"]})
        ones = {"dtype": "uint8", "scale": 0.5, "min": 0.5}
        size = shape[2] if op.startswith("Depthwise") else shape[3]
        constants.extend(
            {"name": key, "shape": dimensions, "dtype": "float32", "quantization": ones}
            for key, dimensions in (
                (f"{name}/filters", shape),
                (f"{name}_bn/batchnorm_1/mul", (size,)),
                (f"{name}_bn/batchnorm_1/sub", (size,)),
            )
        )

    layer("stem", "Conv2D", 3, 3, channels, 8)
    channels = 8
    for number, (full, _) in enumerate(BLOCKS):
        layer(f"dw{number}", "DepthwiseConv2dNative", 3, 3, channels, 1)
        layer(f"pw{number}", "Conv2D", 1, 1, channels, full // 4)
        channels = full // 4
    count = sum(math.prod(one["shape"]) for one in constants)
    (folder / "base.bin").write_bytes(bytes(count - 8) + bytes(range(8)))
    graph = {
        "modelTopology": {"node": nodes},
        "weightsManifest": [{"paths": ["base.bin"], "weights": constants}],
    }
    path = folder / "base.json"
    path.write_text(json.dumps(graph))
    return path


def test_a_base_of_tensorflow_js_takes_colours_of_0_to_255(tmp_path: Path) -> None:
    network = MobileNet(0.25, HEADS).eval()

    load_base(write_graph(tmp_path), network, GREY)

    colours = 3 * 130 - 103.939 - 116.779 - 123.68
    stem = network.stem
    with torch.no_grad():
        grey = torch.full((1, 1, 48, 48), (130 / 255 - GREY[0]) / GREY[1])
        found = stem.norm(stem.conv(grey))
    assert torch.allclose(found, torch.tensor(colours * 9 * 0.5 + 0.5), rtol=1e-4)
    last = [layer for layer in network.modules() if isinstance(layer, Convolution)][-1]
    assert last.norm.bias.tolist()[-2:] == [3.5, 4.0], "the last eight constants count upwards"


@pytest.mark.parametrize(
    "text", ["{}", "[", '{"modelTopology": {"node": []}, "weightsManifest": []}']
)
def test_a_graph_of_another_network_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "base.json").write_text(text)
    with pytest.raises(RecipeError, match=r"--weights .*base\.json: .*(no TensorFlow|no conv)"):
        load_base(tmp_path / "base.json", MobileNet(0.25, HEADS), GREY)


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


def test_network_has_the_layers_of_the_published_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(3)
    made = MobileFaceNet()
    held = made.state_dict()
    torch.save({"epoch": 68, "net_state_dict": held}, tmp_path / "made.ckpt")

    network = load_face_network(tmp_path / "made.ckpt")

    assert {name: tuple(held[name].shape) for name in _SOME} == _SOME
    assert sum(weight.numel() for weight in made.parameters()) == 999_552
    assert not network.training
    assert not any(weight.requires_grad for weight in network.parameters())
    seen = as_face_input(torch.rand(2, 1, 48, 48))
    assert seen.shape == (2, 3, 112, 96)
    assert network.features(seen).shape == (2, 512, 7, 6)
    assert network(seen).shape == (2, 128)


_SOME = {
    "conv1.prelu.weight": (64,),
    "dw_conv1.conv.weight": (64, 1, 3, 3),
    "blocks.5.conv.6.weight": (128, 256, 1, 1),
    "blocks.12.conv.3.weight": (512, 1, 3, 3),
    "linear7.conv.weight": (512, 1, 7, 6),
    "linear1.bn.running_mean": (128,),
}


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    torch.save({"weights": {}}, tmp_path / "other.ckpt")
    torch.save({"net_state_dict": {"conv1.conv.weight": torch.zeros(1)}}, tmp_path / "short.ckpt")

    with pytest.raises(RecipeError, match=r"other\.ckpt: has no net_state_dict"):
        load_face_network(tmp_path / "other.ckpt")
    with pytest.raises(RecipeError, match=r"short\.ckpt: is of another network than MobileFaceNet"):
        load_face_network(tmp_path / "short.ckpt")
    with pytest.raises(RecipeError, match="not a checkpoint that can be read"):
        load_face_network(tmp_path / "none.ckpt")


SECTION = '[face_features]\nnetwork = "made.ckpt"\nepochs = 3\npeak_lr = 0.03\n'


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("face") / "made.ckpt"
    torch.save({"epoch": 1, "net_state_dict": MobileFaceNet().state_dict()}, path)
    return path


def recipe(folder: Path, text: str = SECTION) -> ExpressionRecipe:
    path = folder / "tiny.toml"
    path.write_text(tiny_recipe() + text, encoding="utf-8")
    return load_recipe(path, ExpressionRecipe)


def test_face_features_are_learnt_once_without_the_heads(tmp_path: Path, weights: Path) -> None:
    form = recipe(tmp_path)
    torch.manual_seed(2)
    network = form.build_network()
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    held_back = faces(4).pictures
    task = FaceFeaturesTask(network, form, lessons(faces(16)), held_back, weights)

    learnt = learn_face_features(task, form, tmp_path, resume=False, device=torch.device("cpu"))
    again = learn_face_features(task, form, tmp_path, resume=True, device=torch.device("cpu"))

    assert first_stage_seconds(tmp_path) > 0
    assert first_stage_seconds(tmp_path / "elsewhere") == 0
    rows = (tmp_path / "face-features" / "curves.csv").read_text(encoding="utf-8").splitlines()
    column = rows[0].split(",").index("train_difference")
    differences = [float(row.split(",")[column]) for row in rows[1:]]
    assert len(differences) == 3
    assert differences[-1] < differences[0]
    assert all(torch.equal(learnt[name], again[name]) for name in learnt)
    changed = {name for name in before if not torch.equal(before[name], learnt[name])}
    assert "stem.0.0.weight" in changed
    assert not any(name.startswith("heads.") for name in changed)


def test_region_attention_learns_them_on_whole_face_and_plain_cnn_cannot() -> None:
    backbone = SmallResNet((4, 8), (1,), (2,), {})
    attention = RegionAttentionNet(backbone, 8, {"expression": 8})
    plain = PlainCnn(48, (4, 8), 16, {"expression": 8})

    assert features_of(attention, torch.zeros(2, 1, 48, 48)).shape == (2, 8, 18, 18)
    with pytest.raises(RecipeError, match="plain-cnn joins the regions.*choose another"):
        features_of(plain, torch.zeros(2, 1, 48, 48))
