"""Published networks for grey faces: MobileNet, EfficientNet-Lite0, ResNet, VGG, and a plain one.

MobileNet for grey faces, which can begin with what it learnt of other pictures.

Howard et al. 2017, "MobileNets: efficient convolutional neural networks for mobile vision
applications". It pads as TensorFlow does, so that the filters of a TFLite file fit
(:mod:`training.expression.pretrained`).

EfficientNet-Lite0 for grey faces, as published but for its input.

Tan and Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks"; the
*lite* networks leave out what small processors are slow at: squeeze-and-excitation, and swish,
which ReLU6 replaces. It pads as TensorFlow does, too.

A plain convolutional network for grey faces: convolution, pooling, dropout, full connections.

It is the textbook baseline beside the residual network. Its hidden full connection sees where in
the face a feature lies, so its logits are no sum over the regions, and its model has no evidence
output (:class:`training.networks.base.RegionNetwork`).

ResNet18 and ResNet34 for grey faces, as published but for the size of their stem.

He et al. 2016, "Deep residual learning for image recognition". The stem of the large pictures that
they were made for quarters height and width at once; of a face of 48 × 48 pixels that leaves
12 × 12 regions, so a stem that halves them, or that leaves them as they are, can be chosen.

A network in the style of VGG for grey faces: nothing but 3×3 convolutions and maxima.

Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image recognition",
with batch norm after each convolution, and with the mean over the regions in the place of the two
wide full connections, which held nine tenths of its parameters: so it can explain itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from training.networks.base import (
    Block,
    ExpressionNetwork,
    NetworkSection,
    RegionNetwork,
    StagedNetwork,
    convolution,
    fan_of,
    heads_on,
)

STEM = 32
"""Channels of the first convolution at width 1."""
BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)),
)
"""Channels at width 1, and stride, of each pair of a depthwise and a 1×1 convolution."""
_LITE_STAGES = (
    *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
    *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
)
"""Blocks, filter size, stride of the first block, expansion and channels of each stage."""
_LITE_FEATURES = 1280
_BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
_STAGES = 4


class Convolution(nn.Module):
    """A convolution with batch norm and, unless told otherwise, ReLU, cut off at 6."""

    def __init__(
        self,
        into: int,
        out: int,
        size: int,
        stride: int = 1,
        groups: int = 1,
        *,
        active: bool = True,
    ) -> None:
        super().__init__()
        self.size = size
        self.stride = stride
        self.conv = nn.Conv2d(into, out, size, stride, groups=groups, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, mode=fan_of(groups), nonlinearity="relu")
        self.norm = nn.BatchNorm2d(out)
        self.cut = nn.ReLU6() if active else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """N × into × H × W → N × out × H/stride × W/stride, rounded upwards, 0…6."""
        if self.size > 1:
            height, width = x.shape[-2:]
            top, bottom = self._padding(height)
            left, right = self._padding(width)
            x = functional.pad(x, (left, right, top, bottom))
        activated: Tensor = self.cut(self.norm(self.conv(x)))
        return activated

    def _padding(self, length: int) -> tuple[int, int]:
        """Zeros before and after; TensorFlow puts the odd one behind."""
        # What is missing so that the last filter ends where the picture does.
        missing = (math.ceil(length / self.stride) - 1) * self.stride + self.size - length
        before = max(missing, 0) // 2
        return before, max(missing, 0) - before


class MobileNet(RegionNetwork):
    """A 3×3 convolution, then thirteen pairs of a depthwise and a 1×1 one, a mean and the heads.

    Args:
        width: share of the published channels.
        heads: outputs by name, in order.
        stem_stride: of the first convolution; 2 as published, 1 keeps more of a small face.
        dropout: share of the mean features dropped while training.

    Example::

        network = MobileNet(0.5, {"expression": 8, "fer2013": 7}, stem_stride=1)
        network.features(torch.zeros(1, 1, 48, 48)).shape   # 1 × 512 × 3 × 3
    """

    def __init__(
        self, width: float, heads: Mapping[str, int], stem_stride: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__()
        channels = _channels(STEM, width)
        self.stem = Convolution(1, channels, 3, stem_stride)
        blocks = []
        for full, stride in BLOCKS:
            out = _channels(full, width)
            depthwise = Convolution(channels, channels, 3, stride, groups=channels)
            blocks.append(nn.Sequential(depthwise, Convolution(channels, out, 1)))
            channels = out
        self.blocks = nn.ModuleList(blocks)
        self.dropout = nn.Dropout(dropout)
        self.heads = heads_on(channels, heads)

    def parts(self) -> tuple[nn.Module, ...]:
        """Return the first convolution, each of the thirteen pairs, the heads."""
        return (self.stem, *self.blocks, self.heads)

    def steps(self) -> Sequence[nn.Module]:
        """Return the first convolution, each pair."""
        return (self.stem, *self.blocks)

    def stage_ends(self) -> tuple[int, ...]:
        """Return the ends of the stages: each pair is a stage."""
        return tuple(range(2, len(self.blocks) + 2))


class MobileNetSection(NetworkSection):
    """The shape of a :class:`MobileNet` in a recipe."""

    architecture: Literal["mobilenet"]
    width: Annotated[float, Field(gt=0, le=1, description="share of the published channels")] = 0.5
    stem_stride: Annotated[
        Literal[1, 2], Field(description="of the first convolution; 2 as published")
    ] = 2

    def build(self, heads: Mapping[str, int]) -> MobileNet:
        """Return the network with its heads (size by name), untrained."""
        return MobileNet(self.width, heads, self.stem_stride, self.dropout)


class InvertedBottleneck(nn.Module):
    """A wider 1×1 convolution, a depthwise one, a narrow 1×1; added to the input if it fits.

    Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks".
    """

    def __init__(self, into: int, out: int, size: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = into * expansion
        # The first block has no wider layer.
        widen = [Convolution(into, wide, 1)] * (expansion > 1)
        self.layers = nn.Sequential(
            *widen,
            Convolution(wide, wide, size, stride, groups=wide),
            Convolution(wide, out, 1, active=False),
        )
        self.adds = stride == 1 and into == out

    def forward(self, x: Tensor) -> Tensor:
        """N × into × H × W → N × out × H/stride × W/stride."""
        made: Tensor = self.layers(x)
        return x + made if self.adds else made


class EfficientNetLite(StagedNetwork):
    """EfficientNet-Lite0: a 3×3 stem, seven stages of inverted bottlenecks, a 1×1 convolution.

    Args:
        heads: outputs by name, in order.
        dropout: share of the mean features dropped while training.

    Example::

        network = EfficientNetLite({"expression": 8, "fer2013": 7})
        network.features(torch.zeros(1, 1, 112, 112)).shape   # 1 × 1280 × 4 × 4
    """

    def __init__(self, heads: Mapping[str, int], dropout: float = 0.0) -> None:
        super().__init__()
        channels = STEM
        self.stem = Convolution(1, channels, 3, 2)
        stages: list[nn.Module] = []
        for count, size, stride, expansion, out in _LITE_STAGES:
            blocks = [InvertedBottleneck(channels, out, size, stride, expansion)]
            blocks += [InvertedBottleneck(out, out, size, 1, expansion) for _ in range(count - 1)]
            stages.append(nn.Sequential(*blocks))
            channels = out
        stages.append(Convolution(channels, _LITE_FEATURES, 1))
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(dropout)
        self.heads = heads_on(_LITE_FEATURES, heads)


class EfficientNetLiteSection(NetworkSection):
    """The shape of an :class:`EfficientNetLite` in a recipe."""

    architecture: Literal["efficientnet-lite0"]

    def build(self, heads: Mapping[str, int]) -> EfficientNetLite:
        """Return the network with its heads (size by name), untrained."""
        return EfficientNetLite(heads, self.dropout)


def _channels(full: int, width: float) -> int:
    return max(8, round(full * width))


class PlainCnn(ExpressionNetwork):
    """Stages of a 3×3 convolution, ReLU and a 2×2 maximum, then a hidden layer and the heads.

    With batch norm between convolution and ReLU it learns faster, and Muon can turn its filters.

    Args:
        edge: height and width of the input in pixels; each stage halves it.
        widths: channels of each stage.
        hidden: size of the hidden full connection.
        heads: outputs by name, in order.
        dropout: share dropped before the hidden layer and before the heads while training.
        batch_norm: normalise what each convolution gives.

    Example::

        network = PlainCnn(48, (16, 32, 64), 128, {"expression": 8, "fer2013": 7})
        expression, fer2013 = network(torch.zeros(1, 1, 48, 48))
        expression.shape   # 1 × 8
    """

    def __init__(
        self,
        edge: int,
        widths: Sequence[int],
        hidden: int,
        heads: Mapping[str, int],
        dropout: float = 0.0,
        *,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        stages = [_stage(into, out, batch_norm) for into, out in itertools.pairwise((1, *widths))]
        self.stages = nn.Sequential(*stages)
        # Each stage halves the edge.
        rest = edge // 2 ** len(widths)
        self.hidden = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(widths[-1] * rest * rest, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.heads = heads_on(hidden, heads)

    def parts(self) -> tuple[nn.Module, ...]:
        """Return each stage, the hidden layer, the heads."""
        return (*self.stages, self.hidden, self.heads)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """N × 1 × edge × edge, float, normalised → the logits of each head, each N × its size."""
        features = self.hidden(self.stages(x).flatten(1))
        return tuple(head(features) for head in self.heads.values())


class PlainCnnSection(NetworkSection):
    """The shape of a :class:`PlainCnn` in a recipe."""

    architecture: Literal["plain-cnn"]
    widths: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1024)], ...], Field(min_length=1, max_length=5)
    ]
    hidden: Annotated[int, Field(ge=1, le=4096, description="size of the hidden layer")]
    batch_norm: Annotated[bool, Field(description="normalise what each convolution gives")] = False

    @model_validator(mode="after")
    def _check_edge(self) -> PlainCnnSection:
        if self.edge % 2 ** len(self.widths):
            raise ValueError(f"edge {self.edge} cannot be halved {len(self.widths)} times evenly")
        return self

    def can_learn_on(self, other: NetworkSection) -> bool:
        """Tell whether the other network has the same shape, apart from dropout."""
        return self.model_dump(exclude={"dropout"}) == other.model_dump(exclude={"dropout"})

    def build(self, heads: Mapping[str, int]) -> PlainCnn:
        """Return the network with its heads (size by name), untrained."""
        return PlainCnn(
            self.edge, self.widths, self.hidden, heads, self.dropout, batch_norm=self.batch_norm
        )


def _stage(into: int, out: int, batch_norm: bool) -> nn.Sequential:
    """Halve height and width: convolution (He initialisation), batch norm, ReLU, maximum."""
    # A batch norm has the bias of its convolution.
    conv = nn.Conv2d(into, out, 3, padding=1, bias=not batch_norm)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    norms = [nn.BatchNorm2d(out)] * batch_norm
    return nn.Sequential(conv, *norms, nn.ReLU(), nn.MaxPool2d(2))


Reduction = Literal[1, 2, 4]


class ResNet(StagedNetwork):
    """A stem, four stages of residual blocks, a mean and the heads.

    Args:
        blocks: of each stage; every stage but the first halves height and width.
        width: channels of stem and first stage; each further stage has twice as many.
        heads: outputs by name, in order.
        reduction: by how much the stem divides height and width: 4 is the published one.
        dropout: share of the mean features dropped while training.

    Example::

        network = ResNet((2, 2, 2, 2), 64, {"expression": 8, "fer2013": 7})
        network.features(torch.zeros(1, 1, 48, 48)).shape   # 1 × 512 × 2 × 2
    """

    def __init__(
        self,
        blocks: Sequence[int],
        width: int,
        heads: Mapping[str, int],
        reduction: Reduction = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.stem = _stem(width, reduction)
        widths = [width * 2**number for number in range(_STAGES)]
        stages = [_resnet_stage(widths[0], widths[0], blocks[0], 1)]
        for number in range(1, _STAGES):
            stages.append(_resnet_stage(widths[number - 1], widths[number], blocks[number], 2))
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(dropout)
        self.heads = heads_on(widths[-1], heads)


class ResNetSection(NetworkSection):
    """The shape of a :class:`ResNet` in a recipe."""

    architecture: Literal["resnet18", "resnet34"]
    width: Annotated[
        int, Field(ge=4, le=256, description="channels of the first stage; 64 as published")
    ] = 64
    reduction: Annotated[
        Reduction, Field(description="by how much the stem divides height and width")
    ] = 4

    def build(self, heads: Mapping[str, int]) -> ResNet:
        """Return the network with its heads (size by name), untrained."""
        blocks = _BLOCKS[self.architecture]
        return ResNet(blocks, self.width, heads, self.reduction, self.dropout)


def _stem(width: int, reduction: Reduction) -> nn.Sequential:
    """7×7 with stride 2 and a 3×3 maximum as published, or a 3×3 convolution for small pictures."""
    if reduction == 4:
        large = convolution(1, width, 7, 2)
        return nn.Sequential(large, nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1))
    return nn.Sequential(convolution(1, width, 3, reduction), nn.ReLU())


def _resnet_stage(into: int, out: int, count: int, stride: int) -> nn.Sequential:
    rest = [Block(out, out, 1) for _ in range(count - 1)]
    return nn.Sequential(Block(into, out, stride), *rest)


class Vgg(RegionNetwork):
    """Stages of 3×3 convolutions; between two stages a 2×2 maximum halves height and width.

    Args:
        widths: channels of each stage.
        convolutions: how many each stage has.
        heads: outputs by name, in order.
        dropout: share of the mean features dropped while training.

    Example::

        network = Vgg((32, 64, 128), (2, 2, 2), {"expression": 8, "fer2013": 7})
        network.features(torch.zeros(1, 1, 48, 48)).shape   # 1 × 128 × 12 × 12
    """

    def __init__(
        self,
        widths: Sequence[int],
        convolutions: Sequence[int],
        heads: Mapping[str, int],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        pairs = itertools.pairwise((1, *widths))
        stages = [
            _vgg_stage(into, out, count)
            for (into, out), count in zip(pairs, convolutions, strict=True)
        ]
        self.stages = nn.ModuleList(stages)
        self.halve = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)
        self.heads = heads_on(widths[-1], heads)

    def parts(self) -> tuple[nn.Module, ...]:
        """Return each stage, the heads."""
        return (*self.stages, self.heads)

    # The maximum has no weights, so that one serves for all stages.
    def steps(self) -> Sequence[nn.Module]:
        """Return the first stage, then a maximum and a stage in turns."""
        rest = ((self.halve, stage) for stage in self.stages[1:])
        return (self.stages[0], *itertools.chain.from_iterable(rest))

    def stage_ends(self) -> tuple[int, ...]:
        """Return the ends of the stages: after one step, then after two more each."""
        return tuple(range(1, 2 * len(self.stages), 2))


class VggSection(NetworkSection):
    """The shape of a :class:`Vgg` in a recipe."""

    architecture: Literal["vgg"]
    widths: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1024)], ...], Field(min_length=1, max_length=5)
    ]
    convolutions: Annotated[
        tuple[Annotated[int, Field(ge=1, le=8)], ...], Field(min_length=1, max_length=5)
    ]

    @model_validator(mode="after")
    def _check_stages(self) -> VggSection:
        if len(self.convolutions) != len(self.widths):
            raise ValueError(
                f"{len(self.widths)} widths need {len(self.widths)} convolutions, one number a "
                "stage"
            )
        halvings = len(self.widths) - 1
        if self.edge % 2**halvings:
            raise ValueError(f"edge {self.edge} cannot be halved {halvings} times evenly")
        return self

    def build(self, heads: Mapping[str, int]) -> Vgg:
        """Return the network with its heads (size by name), untrained."""
        return Vgg(self.widths, self.convolutions, heads, self.dropout)


def _vgg_stage(into: int, out: int, count: int) -> nn.Sequential:
    """So many convolutions, each with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for channels in (into, *[out] * (count - 1)):
        layers += [convolution(channels, out, 3), nn.ReLU()]
    return nn.Sequential(*layers)
