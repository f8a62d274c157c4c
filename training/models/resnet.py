"""ResNet18 and ResNet34 for grey faces, as published but for the size of their stem.

He et al. 2016, "Deep residual learning for image recognition". The stem of the large pictures that
they were made for quarters height and width at once; of a face of 48 × 48 pixels that leaves
12 × 12 regions, so a stem that halves them, or that leaves them as they are, can be chosen.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from training.models.expression_network import NetworkSection, StagedNetwork, heads_on
from training.models.layers import Block, convolution

_BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
_STAGES = 4

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
        stages = [_stage(widths[0], widths[0], blocks[0], 1)]
        for number in range(1, _STAGES):
            stages.append(_stage(widths[number - 1], widths[number], blocks[number], 2))
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


def _stage(into: int, out: int, count: int, stride: int) -> nn.Sequential:
    rest = [Block(out, out, 1) for _ in range(count - 1)]
    return nn.Sequential(Block(into, out, stride), *rest)
