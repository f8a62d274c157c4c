"""A network in the style of VGG for grey faces: nothing but 3×3 convolutions and maxima.

Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image recognition",
with batch norm after each convolution, and with the mean over the regions in the place of the two
wide full connections, which held nine tenths of its parameters: so it can explain itself.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import nn

from training.models.expression_network import NetworkSection, RegionNetwork, heads_on
from training.models.layers import convolution


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
            _stage(into, out, count) for (into, out), count in zip(pairs, convolutions, strict=True)
        ]
        self.stages = nn.ModuleList(stages)
        self.halve = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)
        self.heads = heads_on(widths[-1], heads)

    def parts(self) -> tuple[nn.Module, ...]:
        """Each stage, the heads."""
        return (*self.stages, self.heads)

    def steps(self) -> Sequence[nn.Module]:
        """The first stage; then a maximum and a stage in turns."""
        rest = ((self.halve, stage) for stage in self.stages[1:])
        return (self.stages[0], *itertools.chain.from_iterable(rest))

    def stage_ends(self) -> tuple[int, ...]:
        """After one step, then after two more each."""
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
    def _a_number_of_convolutions_a_stage(self) -> "VggSection":
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


def _stage(into: int, out: int, count: int) -> nn.Sequential:
    """So many convolutions, each with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for channels in (into, *[out] * (count - 1)):
        layers += [convolution(channels, out, 3), nn.ReLU()]
    return nn.Sequential(*layers)
