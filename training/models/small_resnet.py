"""A small residual network for grey faces.

It uses only operations that run as int8 everywhere: convolution, addition, ReLU, mean, full
connection, and, if regions are weighed, the logistic function and a product.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from training.models.expression_network import NetworkSection, StagedNetwork, heads_on
from training.models.layers import Block, convolution


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
        if region_attention:
            stages.append(RegionAttention(widths[-1]))
        self.stages = nn.Sequential(*stages)
        self._blocks = tuple(blocks)
        self.dropout = nn.Dropout(dropout)
        self.heads = heads_on(widths[-1], heads)

    def stage_ends(self) -> tuple[int, ...]:
        """Each block is a step; region attention follows the last stage."""
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
    def _a_width_more_than_stages(self) -> "ResidualShape":
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
        """Whether the other network has the same shape.

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
