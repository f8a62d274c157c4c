"""What several networks are made of: convolution with batch norm, and the residual block."""

from typing import Literal

from torch import Tensor, nn


def convolution(
    into: int, out: int, kernel: int, stride: int = 1, *, groups: int = 1
) -> nn.Sequential:
    """Convolution (He initialisation) and batch norm; the picture keeps its size over the stride.

    All norms begin with the factor 1: with so few blocks, beginning each as its shortcut alone
    (factor 0) was tried and had learnt nothing after three epochs.
    """
    conv = nn.Conv2d(into, out, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode=fan_of(groups), nonlinearity="relu")
    return nn.Sequential(conv, nn.BatchNorm2d(out))


def fan_of(groups: int) -> Literal["fan_in", "fan_out"]:
    """Which connections He's initialisation counts.

    PyTorch counts the outputs of all groups together, which leaves depthwise filters near 0.
    """
    if groups == 1:
        return "fan_out"
    return "fan_in"


class Block(nn.Module):
    """Two 3×3 convolutions with batch norm, added to the input.

    He et al. 2016, "Deep residual learning".
    """

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.first = convolution(into, out, 3, stride)
        self.second = convolution(out, out, 3)
        self.shortcut = (
            nn.Identity() if into == out and stride == 1 else convolution(into, out, 1, stride)
        )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """N × into × H × W → N × out × H/stride × W/stride."""
        y = self.second(self.relu(self.first(x)))
        activated: Tensor = self.relu(y + self.shortcut(x))
        return activated
