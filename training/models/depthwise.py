"""A residual network of depthwise convolutions, for processors without int8 dot products.

Such a processor (an x86-64 one with AVX2 alone, the Cortex-A72 of a Raspberry Pi 4) multiplies in
16 bits, so a plain 3×3 convolution costs it two to ten times as much as one with those products.
Here nearly all multiply-adds lie in 1×1 convolutions.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from training.models.expression_network import StagedNetwork, heads_on
from training.models.layers import convolution
from training.models.small_resnet import ResidualShape


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
            self.widths,
            self.blocks,
            self.strides,
            heads,
            self.dropout,
            expansion=self.expansion,
        )
