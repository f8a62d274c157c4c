"""A very small network that says whether the mouth or the eyes of an aligned face are covered.

Five convolutions, then a full connection that knows where in the crop a feature lies: mouth and
eyes of an aligned crop are always at the same places.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from edge_agent.vision.models.card import COVER_LABELS
from training.models.face_detector import ConvBlock


class FaceCoverNet(nn.Module):
    """Convolutions of 3 × 3, each with batch norm and ReLU, and one full connection.

    Args:
        edge: height and width of the input in pixels.
        widths: channels of the convolutions.
        strides: of the convolutions.
        dropout: share of the features dropped while training.

    Example::

        network = FaceCoverNet(48, (12, 24, 24, 40, 40), (2, 2, 1, 2, 1))
        (logits,) = network(torch.zeros(1, 1, 48, 48))
        logits.shape   # 1 × 2
    """

    def __init__(
        self, edge: int, widths: Sequence[int], strides: Sequence[int], dropout: float = 0.0
    ) -> None:
        super().__init__()
        pairs = itertools.pairwise((1, *widths))
        blocks = [
            ConvBlock(into, out, 3, stride)
            for (into, out), stride in zip(pairs, strides, strict=True)
        ]
        self.blocks = nn.Sequential(*blocks)
        rest = edge
        for stride in strides:
            rest = -(-rest // stride)
        self.dropout = nn.Dropout(dropout)
        self.answer = nn.Linear(widths[-1] * rest * rest, len(COVER_LABELS))

    def forward(self, crops: Tensor) -> tuple[Tensor]:
        """N × 1 × edge × edge, float, normalised → logits N × 2."""
        return (self.answer(self.dropout(self.blocks(crops).flatten(1))),)
