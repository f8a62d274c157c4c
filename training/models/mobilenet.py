"""MobileNet for grey faces, which can begin with what it learnt of other pictures.

Howard et al. 2017, "MobileNets: efficient convolutional neural networks for mobile vision
applications". It pads as TensorFlow does, so that the filters of a TFLite file fit
(:mod:`training.expression.bases.mobilenet_tflite`).
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from training.models.expression_network import NetworkSection, RegionNetwork, heads_on
from training.models.layers import fan_of

STEM = 32
"""Channels of the first convolution at width 1."""
BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)),
)
"""Channels at width 1, and stride, of each pair of a depthwise and a 1×1 convolution."""


class Convolution(nn.Module):
    """A 3×3 or 1×1 convolution with batch norm and ReLU, cut off at 6."""

    def __init__(self, into: int, out: int, size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.size = size
        self.stride = stride
        self.conv = nn.Conv2d(into, out, size, stride, groups=groups, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, mode=fan_of(groups), nonlinearity="relu")
        self.norm = nn.BatchNorm2d(out)
        self.cut = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        """N × into × H × W → N × out × H/stride × W/stride, rounded upwards, 0…6."""
        if self.size == 3:
            height, width = x.shape[-2:]
            top, bottom = self._padding(height)
            left, right = self._padding(width)
            x = functional.pad(x, (left, right, top, bottom))
        activated: Tensor = self.cut(self.norm(self.conv(x)))
        return activated

    def _padding(self, length: int) -> tuple[int, int]:
        """Zeros before and after; TensorFlow puts the odd one behind."""
        if self.stride == 2 and length % 2 == 0:
            return 0, 1
        return 1, 1


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
        self,
        width: float,
        heads: Mapping[str, int],
        stem_stride: int = 2,
        dropout: float = 0.0,
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
        """The first convolution, each of the thirteen pairs, the heads."""
        return (self.stem, *self.blocks, self.heads)

    def steps(self) -> Sequence[nn.Module]:
        """The first convolution, each pair."""
        return (self.stem, *self.blocks)

    def stage_ends(self) -> tuple[int, ...]:
        """Each pair is a stage."""
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


def _channels(full: int, width: float) -> int:
    return max(8, round(full * width))
