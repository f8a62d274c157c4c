"""MobileFaceNet, which tells people apart by their faces: what a face network knows of faces.

Chen et al. 2018, "MobileFaceNets: efficient CNNs for accurate real-time face verification on mobile
devices", table 1, for faces of 112 × 96 pixels in three colours. Names of layers are those of its
published PyTorch checkpoints.
"""

from torch import Tensor, nn
from torch.nn import functional

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
    middle = large[..., left : left + WIDTH]
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
