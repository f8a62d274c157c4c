"""The architectures of the expression classifier: the list, and our own networks.

A recipe names one with ``architecture`` in its ``[network]`` section; the section says what else it
may hold, and builds the network::

    recipe = load_recipe(Path("training/recipes/expression-fast.toml"), ExpressionRecipe)
    recipe.network.architecture   # "small-resnet"
    recipe.build_network()        # SmallResNet(…), untrained

The small residual network for grey faces uses only operations that run as int8 everywhere:
convolution, addition, ReLU, mean, full connection, and, if regions are weighed, the logistic
function and a product.

The residual network of depthwise convolutions is for processors without int8 dot products. Such a
processor (an x86-64 one with AVX2 alone, the Cortex-A72 of a Raspberry Pi 4) multiplies in 16 bits,
so a plain 3×3 convolution costs it two to ten times as much as one with those products. Here nearly
all multiply-adds lie in 1×1 convolutions.

Region attention: the whole face and six parts of it, weighed by what is seen in each.

Wang et al. 2020, "Region attention networks for pose and occlusion robust facial expression
recognition". One backbone sees the whole face and six fixed regions of three quarters of its edge.
A first weight for each follows from its own features (self-attention), a second one from these
beside the weighed mean of all (relation-attention). Where mouth or eyes are covered, regions
without them can weigh more.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from training.networks.base import (
    Block,
    ExpressionNetwork,
    NetworkSection,
    StagedNetwork,
    convolution,
    heads_on,
    mean_over_regions,
)
from training.networks.published import (
    EfficientNetLiteSection,
    MobileNetSection,
    PlainCnnSection,
    ResNetSection,
    VggSection,
)

REGIONS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.5), (1.0, 0.5))
"""Place of each region, as a share of the way down and to the right: the four corners, then the
middle of the upper edge (eyes) and of the lower edge (mouth).
"""
SHARE = 0.75
"""Edge of a region, as a share of the face's."""


class RegionAttention(nn.Module):
    """Weigh each region of the face by what is seen there: x · 2σ(w · x + b).

    As the self-attention of Wang et al. 2020, "Region attention networks for pose and occlusion
    robust facial expression recognition", but over the cells of one map, and without the sum of the
    weights below the line, so that the logits stay a sum over the regions. It begins as no
    attention at all: w = 0 and b = 0 weigh every region 1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(channels, 1, 1)
        # Weights of 0 give σ(0) = ½ everywhere, and twice that is 1.
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """N × C × h × w → the same."""
        weighed: Tensor = x * (2 * self.gate(x).sigmoid())
        return weighed


class SmallResNet(StagedNetwork):
    """A 3×3 stem at full size, then one stage a width, a mean and one head a task.

    Args:
        widths: channels of the stem and of each stage.
        blocks: residual blocks of each stage.
        strides: of the first block of each stage.
        heads: outputs by name, in order.
        dropout: share of the mean features dropped while training.
        region_attention: weigh the regions before the mean.
    """

    def __init__(
        self,
        widths: Sequence[int],
        blocks: Sequence[int],
        strides: Sequence[int],
        heads: Mapping[str, int],
        dropout: float = 0.0,
        *,
        region_attention: bool = False,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolution(1, widths[0], 3), nn.ReLU())
        stages: list[nn.Module] = []
        for before, width, count, stride in zip(
            widths[:-1], widths[1:], blocks, strides, strict=True
        ):
            stages += [
                Block(before, width, stride),
                *(Block(width, width, 1) for _ in range(count - 1)),
            ]
        # Behind the last stage, so that it can be added to a network that was trained without it.
        if region_attention:
            stages.append(RegionAttention(widths[-1]))
        self.stages = nn.Sequential(*stages)
        self._blocks = tuple(blocks)
        self.dropout = nn.Dropout(dropout)
        self.heads = heads_on(widths[-1], heads)

    def stage_ends(self) -> tuple[int, ...]:
        """Return the ends of the stages in steps: each block is one, region attention is last."""
        return tuple(1 + count for count in itertools.accumulate(self._blocks))


class ResidualShape(NetworkSection):
    """Keys of a network of a stem and stages of residual blocks."""

    widths: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1024)], ...],
        Field(min_length=2, max_length=6, description="channels of the stem and of each stage"),
    ]
    blocks: Annotated[
        tuple[Annotated[int, Field(ge=1, le=32)], ...],
        Field(min_length=1, max_length=5, description="of each stage"),
    ]
    strides: Annotated[
        tuple[Literal[1, 2], ...],
        Field(min_length=1, max_length=5, description="of the first block of each stage"),
    ]

    @model_validator(mode="after")
    def _a_width_more_than_stages(self) -> ResidualShape:
        for name, given in (("blocks", self.blocks), ("strides", self.strides)):
            if len(given) != len(self.widths) - 1:
                raise ValueError(
                    f"{len(self.widths)} widths need {len(self.widths) - 1} {name}, "
                    "one number a stage"
                )
        return self


class SmallResNetSection(ResidualShape):
    """The shape of a :class:`SmallResNet` in a recipe."""

    architecture: Literal["small-resnet"]
    region_attention: Annotated[
        bool, Field(description="weigh each region of the face before the mean")
    ] = False

    def can_learn_on(self, other: NetworkSection) -> bool:
        """Tell whether the other network has the same shape.

        Region attention may be added to a network without it: it begins as no attention.
        """
        if not isinstance(other, SmallResNetSection):
            return False
        free = {"dropout", "edge", "region_attention"}
        attention = self.region_attention or not other.region_attention
        return self.model_dump(exclude=free) == other.model_dump(exclude=free) and attention

    def build(self, heads: Mapping[str, int]) -> SmallResNet:
        """Return the network with its heads (size by name), untrained."""
        return SmallResNet(
            self.widths,
            self.blocks,
            self.strides,
            heads,
            self.dropout,
            region_attention=self.region_attention,
        )


class DepthwiseBlock(nn.Module):
    """Depthwise 3×3, then two 1×1 convolutions with a wider layer between, added to the input.

    The order of Liu et al. 2022, "A ConvNet for the 2020s", with batch norm and ReLU, which run as
    int8. A block that halves the picture or changes its channels has no shortcut.
    """

    def __init__(self, into: int, out: int, stride: int, expansion: int) -> None:
        super().__init__()
        self.adds = into == out and stride == 1
        self.depthwise = convolution(into, into, 3, stride, groups=into)
        self.widen = nn.Sequential(convolution(into, out * expansion, 1), nn.ReLU())
        self.narrow = convolution(out * expansion, out, 1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """N × into × H × W → N × out × H/stride × W/stride."""
        y = self.narrow(self.widen(self.depthwise(x)))
        if self.adds:
            y = y + x
        activated: Tensor = self.relu(y)
        return activated


class DepthwiseResNet(StagedNetwork):
    """A 3×3 stem that halves the picture, stages of depthwise blocks, a mean and the heads.

    Args:
        widths: channels of the stem and of each stage.
        blocks: of each stage.
        strides: of the first block of each stage.
        heads: outputs by name, in order.
        dropout: share of the mean features dropped while training.
        expansion: how many times wider the layer between the 1×1 convolutions is.

    Example::

        network = DepthwiseResNet((16, 32), (2,), (2,), {"expression": 8, "fer2013": 7})
        network.features(torch.zeros(1, 1, 48, 48)).shape   # 1 × 32 × 12 × 12
    """

    def __init__(
        self,
        widths: Sequence[int],
        blocks: Sequence[int],
        strides: Sequence[int],
        heads: Mapping[str, int],
        dropout: float = 0.0,
        *,
        expansion: int = 2,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolution(1, widths[0], 3, 2), nn.ReLU())
        stages: list[nn.Module] = []
        for into, out, count, stride in zip(widths[:-1], widths[1:], blocks, strides, strict=True):
            rest = [DepthwiseBlock(out, out, 1, expansion) for _ in range(count - 1)]
            stages.append(nn.Sequential(DepthwiseBlock(into, out, stride, expansion), *rest))
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(dropout)
        self.heads = heads_on(widths[-1], heads)


class DepthwiseSection(ResidualShape):
    """The shape of a :class:`DepthwiseResNet` in a recipe."""

    architecture: Literal["depthwise-resnet"]
    expansion: Annotated[
        int, Field(ge=1, le=6, description="of the layer between the 1×1 convolutions")
    ] = 2

    def build(self, heads: Mapping[str, int]) -> DepthwiseResNet:
        """Return the network with its heads (size by name), untrained."""
        return DepthwiseResNet(
            self.widths, self.blocks, self.strides, heads, self.dropout, expansion=self.expansion
        )


class RegionAttentionNet(ExpressionNetwork):
    """A backbone for the face and six of its regions, two attentions, and the heads.

    Args:
        backbone: sees a face, or a part of one; its own heads are not used.
        channels: of what the backbone gives.
        heads: outputs by name, in order.
        dropout: share of the weighed features dropped while training.

    While it trains, the logits are followed by the first weight of each picture's face and regions,
    N × 7 (the face first), for :func:`region_bias`.

    Example::

        network = RegionAttentionNet(SmallResNet((8, 16), (1,), (2,), {}), 16, {"expression": 8})
        logits, weights = network(torch.zeros(2, 1, 48, 48))
        weights.shape   # 2 × 7
    """

    float_operators = ("DIV", "LOGISTIC", "MUL", "SUM")
    """Of the weights: seven small numbers, whose sum in int8 may be 0, by which nothing is divided.

    What they weigh are some hundred numbers, so it costs nothing.
    """

    def __init__(
        self, backbone: SmallResNet, channels: int, heads: Mapping[str, int], dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.attention = nn.ModuleDict(
            {"own": nn.Linear(channels, 1), "related": nn.Linear(2 * channels, 1)}
        )
        self.dropout = nn.Dropout(dropout)
        self.heads = heads_on(2 * channels, heads)

    def parts(self) -> tuple[nn.Module, ...]:
        """Return the parts of the backbone, both attentions, the heads."""
        return (*self.backbone.parts()[:-1], self.attention, self.heads)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """N × 1 × H × W, float, normalised → the logits of each head, each N × its size."""
        features = by_view(mean_over_regions(self.maps(x)))
        weights, both, beside = self.weigh(features)
        # Region attention and heads see one row for each picture again.
        pooled = self.dropout(_weighed_mean(beside, both).squeeze(1))
        logits = tuple(head(pooled) for head in self.heads.values())
        if self.training:
            return (*logits, weights.squeeze(2))
        return logits

    def maps(self, x: Tensor) -> Tensor:
        """Return the backbone's features of the face and each region, view below view.

        N × 1 × H × W, normalised → 7N × C × h × w.
        """
        return self.backbone.features(torch.cat(regions_of(x)))

    def weigh(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Both attentions.

        Args:
            features: N × 7 × C, the mean features of the face and of each region.

        Returns:
            the first weight of each, N × 7 × 1; the product of both weights, N × 7 × 1; and what
            the latter weighs, N × 7 × 2C: the features beside their mean by the first weight.
        """
        weights = self.attention["own"](features).sigmoid()
        mean = _weighed_mean(features, weights)
        beside = torch.cat([features, mean.expand(-1, features.shape[1], -1)], dim=2)
        return weights, weights * self.attention["related"](beside).sigmoid(), beside


def by_view(rows: Tensor) -> Tensor:
    """7N × C, view by view below one another → N × 7 × C."""
    return rows.reshape(len(REGIONS) + 1, -1, rows.shape[1]).transpose(0, 1)


class RegionAttentionSection(ResidualShape):
    """The shape of a :class:`RegionAttentionNet` in a recipe: that of its backbone."""

    architecture: Literal["region-attention"]

    def build(self, heads: Mapping[str, int]) -> RegionAttentionNet:
        """Return the network with its heads (size by name), untrained."""
        backbone = SmallResNet(self.widths, self.blocks, self.strides, {})
        # Its own heads are empty: those of the whole network see both means.
        return RegionAttentionNet(backbone, self.widths[-1], heads, self.dropout)


def regions_of(faces: Tensor) -> list[Tensor]:
    """Return the whole face, made as small as a region, and each region.

    Args:
        faces: N × C × H × W.

    Returns:
        seven tensors, each N × C × 3H/4 × 3W/4.
    """
    height, width = faces.shape[-2:]
    rows = round(height * SHARE)
    columns = round(width * SHARE)
    # The face is made as small as a region, so that one backbone sees all seven alike.
    whole = functional.interpolate(faces, size=(rows, columns), mode="bilinear")
    seen = [whole]
    for down, right in REGIONS:
        top = round((height - rows) * down)
        left = round((width - columns) * right)
        seen.append(faces[:, :, top : top + rows, left : left + columns])
    return seen


def region_bias(weights: Tensor, margin: float) -> Tensor:
    """Return the mean loss that asks for a region to weigh more than the whole face, by a margin.

    Wang et al. 2020, equation 8: max(0, margin − (largest weight of a region − that of the face)).

    Args:
        weights: N × 7, the face first.
        margin: by how much.
    """
    largest = weights[:, 1:].max(dim=1).values
    return functional.relu(margin - (largest - weights[:, 0])).mean()


def _weighed_mean(values: Tensor, weights: Tensor) -> Tensor:
    """N × R × C, weighed by N × R × 1 → N × 1 × C."""
    return (values * weights).sum(dim=1, keepdim=True) / weights.sum(dim=1, keepdim=True)


Network = Annotated[
    SmallResNetSection
    | PlainCnnSection
    | VggSection
    | ResNetSection
    | MobileNetSection
    | EfficientNetLiteSection
    | RegionAttentionSection
    | DepthwiseSection,
    Field(discriminator="architecture"),
]
"""The ``[network]`` section of an expression recipe."""
