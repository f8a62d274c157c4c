"""The networks beside the classifier: face detector, cover, movements.

The detector is small and anchor-free, with five landmarks, for int8 weights and activations. A
backbone of depthwise-separable convolutions with ReLU gives features at strides 8, 16 and 32; a
top-down neck adds the coarse to the fine; each stride has a head of its own. Each cell of a stride
answers three questions: is a face centred here (score), how far are its four sides (box), and where
are its five points (landmarks). The three come as tensors of their own, so that each is quantized
with its own range, and distances are linear in units of the stride: an exponential would spend the
256 steps on the largest faces.

A very small network says whether the mouth or the eyes of an aligned face are covered: five
convolutions, then a full connection that knows where in the crop a feature lies: mouth and eyes of
an aligned crop are always at the same places.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_agent.vision.models.card import COVER_LABELS
from training.networks.architectures import SmallResNet
from training.networks.base import ExpressionNetwork

STRIDES = (8, 16, 32)
KINDS = {"score": 1, "box": 4, "landmarks": 10}
OUTPUTS = tuple(f"{kind}_{stride}" for stride in STRIDES for kind in KINDS)
"""Names of the outputs in the order in which the network gives them."""


@dataclass(frozen=True, slots=True)
class Widths:
    """Channels: of the stem (stride 2), at strides 4, 8, 16 and 32, and of neck and heads."""

    stem: int = 16
    stage4: int = 32
    stage8: int = 64
    stage16: int = 96
    stage32: int = 128
    neck: int = 48


class ConvBlock(nn.Sequential):
    """Convolution, batch norm, ReLU; an odd ``size`` is padded to keep the picture's."""

    def __init__(
        self, inputs: int, outputs: int, size: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(
            nn.Conv2d(
                inputs,
                outputs,
                size,
                stride,
                # An even size halves without padding, as the stages do.
                size // 2 if size % 2 else 0,
                groups=groups,
                bias=False,
            ),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Separable(nn.Sequential):
    """3×3 depthwise, then 1×1, each with batch norm and ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            ConvBlock(channels, channels, 3, groups=channels), ConvBlock(channels, channels)
        )


class Residual(nn.Module):
    """A separable block added to its own input; at first it adds nothing.

    So it can be added to a trained network.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        # No activation behind the norm that is set to 0: the block begins as its input.
        self.depthwise = ConvBlock(channels, channels, 3, groups=channels)
        self.mix = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(features + self.norm(self.mix(self.depthwise(features))))


def blocks(channels: int, plain: int, residual: int = 0) -> list[nn.Module]:
    """Return plain separable blocks, then residual ones, which add their input to their output."""
    return [
        *(Separable(channels) for _ in range(plain)),
        *(Residual(channels) for _ in range(residual)),
    ]


def stage(inputs: int, outputs: int, plain: int, residual: int = 0) -> nn.Sequential:
    """Halve the resolution with one 2×2 convolution, then mix with blocks.

    A depthwise convolution with stride 2 has fewer multiply-adds, but its gradient took a quarter
    of the training.
    """
    return nn.Sequential(ConvBlock(inputs, outputs, 2, stride=2), *blocks(outputs, plain, residual))


class Head(nn.Module):
    """One shared block for score (1) and box (4) of each cell, own blocks for landmarks (10).

    With features that score and box also use, the landmarks stayed level whatever the roll of the
    head.
    """

    def __init__(
        self,
        channels: int,
        point_channels: int,
        point_blocks: int,
        residual: int = 0,
        prior: float = -4.6,
    ) -> None:
        super().__init__()
        self.shared = Separable(channels)
        self.points = nn.Sequential(*blocks(point_channels, point_blocks, residual))
        self.score = nn.Conv2d(channels, KINDS["score"], 1)
        self.box = nn.Conv2d(channels, KINDS["box"], 1)
        self.landmarks = nn.Conv2d(point_channels, KINDS["landmarks"], 1)
        # The sigmoid of −4.6 is 0.01: nearly all cells have no face, and their losses do not drown
        # the few.
        nn.init.constant_(self.score.bias, prior)  # type: ignore[arg-type]
        nn.init.constant_(self.box.bias, 2.0)  # type: ignore[arg-type]

    def forward(self, features: Tensor, point_features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        shared = self.shared(features)
        answers = (
            self.score(shared),
            self.box(shared),
            self.landmarks(self.points(point_features)),
        )
        # As the runtime reads them: cells first, channels last.
        score, box, landmarks = (answer.permute(0, 2, 3, 1) for answer in answers)
        return score, box, landmarks


class FaceDetectorNet(nn.Module):
    """The network of the face detector.

    Args:
        widths: channels of its parts.

    The input is batch × 3 × height × width, RGB in −1…1, height and width multiples of 32. The nine
    outputs come in the order of `OUTPUTS`, each batch × height/stride × width/stride × channels, as
    the runtime wants them: score is a logit; box is the distance from the middle of the cell to the
    left, upper, right and lower side, landmarks x and y of the five points from there, both in
    strides.
    """

    def __init__(self, widths: Widths | None = None) -> None:
        super().__init__()
        w = widths or Widths()
        self.stem = ConvBlock(3, w.stem, 3, stride=2)
        self.stage4 = stage(w.stem, w.stage4, 1)
        self.stage8 = stage(w.stage4, w.stage8, 2, residual=2)
        self.stage16 = stage(w.stage8, w.stage16, 2, residual=2)
        self.stage32 = stage(w.stage16, w.stage32, 2, residual=1)
        self.lateral = nn.ModuleList(ConvBlock(c, w.neck) for c in (w.stage8, w.stage16, w.stage32))
        self.merge = nn.ModuleList(Separable(w.neck) for _ in range(2))
        # Small faces have points of the neck. Larger ones, whose points matter, have them of what
        # the backbone gives.
        points = ((w.neck, 1), (w.stage16, 2, 1), (w.stage32, 2))
        self.heads = nn.ModuleList(Head(w.neck, *widths) for widths in points)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        levels: list[Tensor] = []
        features = self.stage4(self.stem(pictures))
        for part in (self.stage8, self.stage16, self.stage32):
            features = part(features)
            levels.append(features)
        necks = self._neck(levels)
        points = (necks[0], *levels[1:])
        return tuple(
            answer
            for neck, point_features, head in zip(necks, points, self.heads, strict=True)
            for answer in head(neck, point_features)
        )

    def _neck(self, levels: Sequence[Tensor]) -> list[Tensor]:
        fine, middle, coarse = (
            lateral(level) for lateral, level in zip(self.lateral, levels, strict=True)
        )
        middle = self.merge[1](middle + F.interpolate(coarse, scale_factor=2.0, mode="nearest"))
        fine = self.merge[0](fine + F.interpolate(middle, scale_factor=2.0, mode="nearest"))
        return [fine, middle, coarse]


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
            # As often rounded upwards as the padded convolutions do.
            rest = -(-rest // stride)
        self.dropout = nn.Dropout(dropout)
        self.answer = nn.Linear(widths[-1] * rest * rest, len(COVER_LABELS))

    def forward(self, crops: Tensor) -> tuple[Tensor]:
        """N × 1 × edge × edge, float, normalised → logits N × 2."""
        return (self.answer(self.dropout(self.blocks(crops).flatten(1))),)


class FaceMovementsNet(ExpressionNetwork):
    """Movements, pose and direction of the eyes of one aligned gray face.

    The stages of a :class:`training.networks.architectures.SmallResNet`; then each channel weighs
    the places of the face by itself (a depthwise convolution over the whole map, as at the end of
    MobileFaceNet, Chen et al. 2018), since a movement is where it is: a mean over all places would
    have to be told by the channel alone.

    Args:
        widths: channels of the stem and of each stage.
        blocks: residual blocks of each stage.
        strides: of the first block of each stage.
        outputs: size of each output by name, in order.
        edge: height and width of the input in pixels.
        dropout: share of the pooled features dropped while training.
    """

    def __init__(
        self,
        widths: Sequence[int],
        blocks: Sequence[int],
        strides: Sequence[int],
        outputs: Mapping[str, int],
        edge: int = 48,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone = SmallResNet(widths, blocks, strides, {})
        cells = edge // math.prod(strides)
        self.places = nn.Conv2d(widths[-1], widths[-1], cells, groups=widths[-1])
        nn.init.constant_(self.places.weight, 1 / cells**2)  # it begins as the mean
        nn.init.zeros_(self.places.bias)  # type: ignore[arg-type]
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict(
            {name: Standardised(widths[-1], size) for name, size in outputs.items()}
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """N × 1 × edge × edge, −1…1 → each output, N × its size."""
        pooled = self.dropout(self.places(self.backbone.features(x)).flatten(1))
        return tuple(head(pooled) for head in self.heads.values())

    def parts(self) -> tuple[nn.Module, ...]:
        """Stem, each stage, the weights of the places, and the outputs."""
        return (self.backbone.stem, *self.backbone.stages, self.places, self.heads)

    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """Set mean and standard deviation of the answers, all outputs one after the other."""
        begin = 0
        for head in self.heads.values():
            assert isinstance(head, Standardised)  # not yet folded
            end = begin + len(head.mean)
            head.mean.copy_(mean[begin:end])
            head.deviation.copy_(deviation[begin:end])
            begin = end

    def stretch(self, output: str, factor: Tensor, about: Tensor) -> None:
        """Change what one output answers to: about + factor × (answer − about)."""
        head = self.heads[output]
        assert isinstance(head, Standardised)  # not yet folded
        head.mean.copy_(about + factor * (head.mean - about))
        head.deviation.mul_(factor)

    def fold(self) -> FaceMovementsNet:
        """Return a copy whose outputs are single full connections, for the export."""
        copy = deepcopy(self)
        copy.heads = nn.ModuleDict(
            {
                name: head.fold()
                for name, head in copy.heads.items()
                if isinstance(head, Standardised)
            }
        )
        return copy


class Standardised(nn.Module):
    """A full connection that learns in standard deviations and answers in units.

    Degrees and strengths of 0…1 then learn equally fast.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: int, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, size)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def forward(self, pooled: Tensor) -> Tensor:
        """N × features → N × size."""
        answer: Tensor = self.linear(pooled) * self.deviation + self.mean
        return answer

    def fold(self) -> nn.Linear:
        """Return one full connection that gives the same answers."""
        folded = deepcopy(self.linear)
        with torch.no_grad():
            folded.weight.mul_(self.deviation.unsqueeze(1))
            folded.bias.mul_(self.deviation).add_(self.mean)
        return folded
