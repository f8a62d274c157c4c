"""What the detector is punished for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from training.faces.targets import cell_middles
from training.learning.recipe import Section


class Weights(Section):
    """How the parts of the loss are weighed; the score weighs 1."""

    box: Annotated[float, Field(ge=0, description="1 − generalised intersection over union")] = 1.5
    sides: Annotated[float, Field(ge=0, description="error of the sides in sizes of the face")] = (
        2.0
    )
    landmarks: Annotated[
        float, Field(ge=0, description="error of the points in sizes of the face")
    ] = 20.0
    landmark_beta: Annotated[
        float, Field(gt=0, description="error of a point below which it counts squared")
    ] = 0.05


class DetectorLoss(nn.Module):
    """Loss of the answers for scenes of ``width`` × ``height`` pixels.

    Score: quality focal loss (Li et al. 2020, "Generalized focal loss") towards the mean of 1 and
    the intersection over union that the cell's own box reaches: that overlap alone stays low for
    small faces, however sure they are, so that no one threshold suited small and large. A cell
    without a face is drawn down to its ceiling, 0 for background, and left alone below it. Box:
    generalised intersection over union (Rezatofighi et al. 2019) and a smooth L1 of the sides.
    Landmarks: smooth L1. Distances are divided by the size of the face; all is averaged over the
    cells that answer for a face.
    """

    middles: Tensor
    strides: Tensor

    def __init__(self, width: int, height: int, weights: Weights) -> None:
        super().__init__()
        cells = list(cell_middles(width, height))
        self.register_buffer(
            "middles", torch.cat([torch.from_numpy(middles) for _, middles in cells])
        )
        self.register_buffer(
            "strides", torch.cat([torch.full((len(m), 1), float(stride)) for stride, m in cells])
        )
        self._weights = weights

    def forward(
        self,
        answers: Sequence[Tensor],
        faces: Tensor,
        ceilings: Tensor,
        boxes: Tensor,
        points: Tensor,
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Loss and its parts.

        Args:
            answers: the network's outputs, score, box, landmarks of each stride in turn, N × rows ×
                columns × numbers.
            faces, ceilings, boxes, points: stacked `Targets`: N × cells (× 4, × 10).
        """
        logits, sides, offsets = (flat(answers[kind::3]) for kind in range(3))
        count = faces.sum().clamp(min=1)
        strides = self.strides.expand(len(faces), -1, -1)[faces]
        middles = self.middles.expand(len(faces), -1, -1)[faces]
        wanted = boxes[faces]
        size = (wanted[:, 2:] - wanted[:, :2]).prod(dim=1, keepdim=True).sqrt()
        reach = sides[faces] * strides
        predicted = torch.cat([middles - reach[:, :2], middles + reach[:, 2:]], dim=1)
        overlap, generalised = overlaps(predicted, wanted)
        box = (1 - generalised).sum() / count
        side = _smooth((predicted - wanted) / size, 0.05).mean(dim=1).sum() / count
        error = (middles.repeat(1, 5) + offsets[faces] * strides - points[faces]) / size
        known = error.isfinite()
        landmarks = _smooth(
            torch.where(known, error, 0.0), self._weights.landmark_beta
        ).sum() / known.sum().clamp(min=1)
        score = self._score(logits.squeeze(2), faces, ceilings, overlap.detach()).sum() / count
        weights = self._weights
        total = score + weights.box * box + weights.sides * side + weights.landmarks * landmarks
        figures = {
            "score": score,
            "box": box,
            "landmarks": landmarks,
            "overlap": overlap.sum() / count,
        }
        return total, {name: value.detach() for name, value in figures.items()}

    @staticmethod
    def _score(logits: Tensor, faces: Tensor, ceilings: Tensor, overlap: Tensor) -> Tensor:
        quality = ceilings.clone()
        quality[faces] = (1 + overlap.clamp(min=0.0)) / 2
        score = logits.sigmoid()
        weight = (score - quality).square() * (faces | (score > ceilings))
        entropy = functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
        return weight * entropy

    def doubt(self, answers: Sequence[Tensor], faces: Tensor, ceilings: Tensor) -> Tensor:
        """The score's part of the loss, summed over each scene (N), with every box perfect."""
        logits = flat(answers[0::3]).squeeze(2)
        return self._score(logits, faces, ceilings, torch.ones_like(logits)[faces]).sum(dim=1)


def flat(levels: Sequence[Tensor]) -> Tensor:
    """Outputs of one kind of all strides as N × cells × numbers in float32.

    Each output is N × rows × columns × numbers.
    """
    return torch.cat([level.float().flatten(1, 2) for level in levels], dim=1)


def overlaps(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union of boxes pair by pair, plain and generalised.

    N × 4 each, ``second`` not empty.
    """
    low = torch.maximum(first[:, :2], second[:, :2])
    high = torch.minimum(first[:, 2:], second[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=1)
    area = (first[:, 2:] - first[:, :2]).clamp(min=0).prod(dim=1)
    union = (area + (second[:, 2:] - second[:, :2]).prod(dim=1) - shared).clamp(min=1e-6)
    plain = shared / union
    hull_low = torch.minimum(first[:, :2], second[:, :2])
    hull_high = torch.maximum(first[:, 2:], second[:, 2:])
    hull = (hull_high - hull_low).clamp(min=0).prod(dim=1).clamp(min=1e-6)
    return plain, plain - (hull - union) / hull


def _smooth(error: Tensor, beta: float) -> Tensor:
    return functional.smooth_l1_loss(error, torch.zeros_like(error), beta=beta, reduction="none")
