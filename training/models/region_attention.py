"""Region attention: the whole face and six parts of it, weighed by what is seen in each.

Wang et al. 2020, "Region attention networks for pose and occlusion robust facial expression
recognition". One backbone sees the whole face and six fixed regions of three quarters of its edge.
A first weight for each follows from its own features (self-attention), a second one from these
beside the weighed mean of all (relation-attention). Where mouth or eyes are covered, regions
without them can weigh more.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.expression_network import (
    ExpressionNetwork,
    heads_on,
    mean_over_regions,
)
from training.models.small_resnet import ResidualShape, SmallResNet

REGIONS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.5), (1.0, 0.5))
"""Where each region lies, as a share of the way down and to the right: the four corners, then the
middle of the upper edge (eyes) and of the lower edge (mouth).
"""
SHARE = 0.75
"""Edge of a region, as a share of the face's."""


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
        self,
        backbone: SmallResNet,
        channels: int,
        heads: Mapping[str, int],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.attention = nn.ModuleDict(
            {"own": nn.Linear(channels, 1), "related": nn.Linear(2 * channels, 1)}
        )
        self.dropout = nn.Dropout(dropout)
        self.heads = heads_on(2 * channels, heads)

    def parts(self) -> tuple[nn.Module, ...]:
        """The parts of the backbone, both attentions, the heads."""
        return (*self.backbone.parts()[:-1], self.attention, self.heads)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """N × 1 × H × W, float, normalised → the logits of each head, each N × its size."""
        features = by_view(mean_over_regions(self.maps(x)))
        weights, both, beside = self.weigh(features)
        pooled = self.dropout(_weighed_mean(beside, both).squeeze(1))
        logits = tuple(head(pooled) for head in self.heads.values())
        if self.training:
            return (*logits, weights.squeeze(2))
        return logits

    def maps(self, x: Tensor) -> Tensor:
        """What the backbone makes of the face and each region, view by view below one another.

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
        return RegionAttentionNet(backbone, self.widths[-1], heads, self.dropout)


def regions_of(faces: Tensor) -> list[Tensor]:
    """The whole face, made as small as a region, and each region.

    Args:
        faces: N × C × H × W.

    Returns:
        seven tensors, each N × C × 3H/4 × 3W/4.
    """
    height, width = faces.shape[-2:]
    rows = round(height * SHARE)
    columns = round(width * SHARE)
    whole = functional.interpolate(faces, size=(rows, columns), mode="bilinear")
    seen = [whole]
    for down, right in REGIONS:
        top = round((height - rows) * down)
        left = round((width - columns) * right)
        seen.append(faces[:, :, top : top + rows, left : left + columns])
    return seen


def region_bias(weights: Tensor, margin: float) -> Tensor:
    """Mean loss that asks for a region that weighs more than the whole face, by a margin.

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
