"""A plain convolutional network for grey faces: convolution, pooling, dropout, full connections.

It is the textbook baseline beside the residual network. Its hidden full connection sees where in
the face a feature lies, so its logits are no sum over the regions, and its model has no evidence
output (:class:`training.models.expression_network.RegionNetwork`).
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from training.models.expression_network import ExpressionNetwork, NetworkSection, heads_on


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
        rest = edge // 2 ** len(widths)
        self.hidden = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(widths[-1] * rest * rest, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.heads = heads_on(hidden, heads)

    def parts(self) -> tuple[nn.Module, ...]:
        """Each stage, the hidden layer, the heads."""
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
    def _every_stage_halves_the_edge(self) -> "PlainCnnSection":
        if self.edge % 2 ** len(self.widths):
            raise ValueError(f"edge {self.edge} cannot be halved {len(self.widths)} times evenly")
        return self

    def can_learn_on(self, other: NetworkSection) -> bool:
        """Whether the other network has the same shape, apart from dropout."""
        return self.model_dump(exclude={"dropout"}) == other.model_dump(exclude={"dropout"})

    def build(self, heads: Mapping[str, int]) -> PlainCnn:
        """Return the network with its heads (size by name), untrained."""
        return PlainCnn(
            self.edge,
            self.widths,
            self.hidden,
            heads,
            self.dropout,
            batch_norm=self.batch_norm,
        )


def _stage(into: int, out: int, batch_norm: bool) -> nn.Sequential:
    """Halve height and width: convolution (He initialisation), batch norm, ReLU, maximum."""
    conv = nn.Conv2d(into, out, 3, padding=1, bias=not batch_norm)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    norms = [nn.BatchNorm2d(out)] * batch_norm
    return nn.Sequential(conv, *norms, nn.ReLU(), nn.MaxPool2d(2))
