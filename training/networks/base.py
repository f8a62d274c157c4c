"""The base of every network: what they share, what they cost, and the evidence of regions.

A network is two classes: itself, such as ``SmallResNet``, and the ``[network]`` section of a recipe
that builds it, such as ``SmallResNetSection``. ``architectures.py`` lists the sections.

Convolution with batch norm and the residual block are parts of several networks. Costs are
multiply-adds and parameters, as the model card states them.

The evidence output says what each region of the face adds to the logits, for the device. A head
that is a full connection after a mean over all places is linear in the features, so its logit is a
sum over the places (class activation maps, Zhou et al. 2016, "Learning deep features for
discriminative localization"): logit[k] = Σ_yx (Σ_c W[k, c] · features[c, y, x] + b[k]) / (h · w).
Nothing is learned or approximated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

EVIDENCE = "evidence"
"""Name of the output in the model card."""


class ExpressionNetwork(nn.Module):
    """A network that gives the logits of several heads for grey faces.

    Attributes:
        heads: a full connection for each head, by name, in the order of the outputs. Each is the
            last layer, so that its logits can be scaled and its biases corrected after training.
    """

    heads: nn.ModuleDict

    def parts(self) -> tuple[nn.Module, ...]:
        """Return the network in parts, from the input to the heads.

        A schedule can freeze the first of them and give each a learning rate of its own.
        """
        raise NotImplementedError

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """N × 1 × H × W, float, normalised → the logits of each head, each N × its size."""
        raise NotImplementedError


class RegionNetwork(ExpressionNetwork):
    """A network whose heads take the mean of the features over all regions of the face.

    Only then is a logit a sum over the regions, so that
    :class:`training.networks.base.WithEvidence` can take it apart exactly. A subclass sets
    ``dropout`` and ``heads`` (:func:`heads_on`) and gives the steps to its features.

    Attributes:
        dropout: applied to the mean features while training.
    """

    dropout: nn.Dropout

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """N × 1 × H × W, float, normalised → the logits of each head, each N × its size."""
        return self.logits(self.features(x))

    def steps(self) -> Sequence[nn.Module]:
        """Return the steps that a picture goes through, one by one, until it is features."""
        raise NotImplementedError

    def stage_ends(self) -> tuple[int, ...]:
        """Return after how many steps each stage ends, the last at the last step or before it."""
        raise NotImplementedError

    def features(self, x: Tensor) -> Tensor:
        """N × 1 × H × W → what the last step makes of each region, N × C × h × w."""
        for step in self.steps():
            x = step(x)
        return x

    def logits(self, features: Tensor) -> tuple[Tensor, ...]:
        """N × C × h × w → the logits of each head in order, linear in the mean over h and w."""
        pooled = self.dropout(mean_over_regions(features))
        return tuple(head(pooled) for head in self.heads.values())


class StagedNetwork(RegionNetwork):
    """A network of a stem and stages, one after the other.

    Attributes:
        stem: takes the pictures.
        stages: the first takes what the stem gives.
    """

    stem: nn.Module
    stages: nn.Sequential

    def parts(self) -> tuple[nn.Module, ...]:
        """Return the stem, each stage (or block), the heads."""
        return (self.stem, *self.stages, self.heads)

    def steps(self) -> Sequence[nn.Module]:
        """Return the stem, each stage (or block)."""
        return (self.stem, *self.stages)

    def stage_ends(self) -> tuple[int, ...]:
        """Return the ends of the stages: after the stem each stage is one step."""
        return tuple(range(2, len(self.stages) + 2))


def mean_over_regions(features: Tensor) -> Tensor:
    """N × C × h × w → N × C, the mean over all regions.

    With the two axes kept, the converter needs no transposition before the mean.
    """
    return features.mean(dim=(2, 3), keepdim=True).flatten(1)


def heads_on(channels: int, heads: Mapping[str, int]) -> nn.ModuleDict:
    """Return a full connection from so many features to each head (size by name)."""
    return nn.ModuleDict({name: nn.Linear(channels, size) for name, size in heads.items()})


class NetworkSection(BaseModel, ABC):
    """The ``[network]`` section of a recipe; each architecture adds its own keys.

    A subclass adds ``architecture: Literal["its-name"]``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str
    dropout: Annotated[
        float, Field(ge=0, lt=1, description="share of the features before the heads")
    ] = 0.2
    edge: Annotated[
        Literal[48, 56, 64, 96, 112],
        Field(description="of the input, pixels; smaller pictures are enlarged"),
    ] = 48

    @abstractmethod
    def build(self, heads: Mapping[str, int]) -> ExpressionNetwork:
        """Return the network with its heads (size by name), untrained."""

    def can_learn_on(self, other: NetworkSection) -> bool:
        """Tell whether the network can start with the weights of the other one.

        It can if the other has the same shape, apart from dropout and the size of its input.
        """
        free = {"dropout", "edge"}
        return self.model_dump(exclude=free) == other.model_dump(exclude=free)


def convolution(
    into: int, out: int, kernel: int, stride: int = 1, *, groups: int = 1
) -> nn.Sequential:
    """Convolution (He initialisation) and batch norm; the picture keeps its size over the stride.

    All norms begin with the factor 1: with so few blocks, beginning each as its shortcut alone
    (factor 0) was tried and had learnt nothing after three epochs.
    """
    # No bias: the batch norm behind it has one.
    conv = nn.Conv2d(into, out, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode=fan_of(groups), nonlinearity="relu")
    return nn.Sequential(conv, nn.BatchNorm2d(out))


def fan_of(groups: int) -> Literal["fan_in", "fan_out"]:
    """Return which connections He's initialisation counts.

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


def multiply_adds(module: nn.Module, sample: Tensor) -> int:
    """Multiply-adds of the convolutions and full connections for ``sample``.

    N × C × H × W; they are counted while the network runs.
    """
    was_training = module.training
    module.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        # Batch norm would count its statistics otherwise, and change them.
        module(sample)
    module.train(was_training)
    # The counter counts a multiplication and an addition each.
    return int(counter.get_total_flops()) // 2


def parameters(module: nn.Module) -> int:
    """Learnt numbers of the network (batch norm's running statistics are not counted)."""
    return sum(parameter.numel() for parameter in module.parameters())


class WithEvidence(nn.Module):
    """A trained network with a further output, for the export; the weights are shared.

    Only a :class:`RegionNetwork` has this output: with a further layer between the regions and the
    logits, a logit is no sum over the regions, and any map would be an approximation.

    Args:
        network: its heads stay as they are.
        head: name of the head whose logits are taken apart.
    """

    def __init__(self, network: RegionNetwork, head: str = "expression") -> None:
        super().__init__()
        self.network = network
        self.head = head

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """N × 1 × H × W → the logits of each head in order, then the evidence, N × h × w × K.

        The evidence is what each cell adds to each of the K logits of the head, with the bias
        spread evenly; the sum over h and w is the logit.
        """
        features = self.network.features(x)
        head = self.network.heads[self.head]
        assert isinstance(head, nn.Linear)
        # A 1×1 convolution with the weights of the full connection gives the logit of each place.
        sums = functional.conv2d(features, head.weight[:, :, None, None], head.bias)
        cells = features.shape[2] * features.shape[3]
        return (*self.network.logits(features), (sums / cells).permute(0, 2, 3, 1))
