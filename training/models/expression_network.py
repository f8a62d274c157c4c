"""What every network of the expression classifier has, whatever its architecture.

A network file such as ``small_resnet.py`` holds two classes: the network, and the ``[network]``
section of a recipe that builds it. ``architectures.py`` lists the sections.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn


class ExpressionNetwork(nn.Module):
    """A network that gives the logits of several heads for grey faces.

    Attributes:
        heads: a full connection for each head, by name, in the order of the outputs. Each is the
            last layer, so that its logits can be scaled and its biases corrected after training.
    """

    heads: nn.ModuleDict

    def parts(self) -> tuple[nn.Module, ...]:
        """The network in parts, from the input to the heads.

        A schedule can freeze the first of them and give each a learning rate of its own.
        """
        raise NotImplementedError

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """N × 1 × H × W, float, normalised → the logits of each head, each N × its size."""
        raise NotImplementedError


class RegionNetwork(ExpressionNetwork):
    """A network whose heads take the mean of the features over all regions of the face.

    Only then is a logit a sum over the regions, so that
    :class:`training.models.evidence.WithEvidence` can take it apart exactly. A subclass sets
    ``dropout`` and ``heads`` (:func:`heads_on`) and gives the steps to its features.

    Attributes:
        dropout: applied to the mean features while training.
    """

    dropout: nn.Dropout

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """N × 1 × H × W, float, normalised → the logits of each head, each N × its size."""
        return self.logits(self.features(x))

    def steps(self) -> Sequence[nn.Module]:
        """What a picture goes through, one after the other, until it is features."""
        raise NotImplementedError

    def stage_ends(self) -> tuple[int, ...]:
        """After how many steps each stage ends; the last one ends at the last step or before it."""
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
        """The stem, each stage (or block), the heads."""
        return (self.stem, *self.stages, self.heads)

    def steps(self) -> Sequence[nn.Module]:
        """The stem, each stage (or block)."""
        return (self.stem, *self.stages)

    def stage_ends(self) -> tuple[int, ...]:
        """After the stem each stage is one step."""
        return tuple(range(2, len(self.stages) + 2))


def mean_over_regions(features: Tensor) -> Tensor:
    """N × C × h × w → N × C, the mean over all regions.

    With the two axes kept, the converter needs no transposition before the mean.
    """
    return features.mean(dim=(2, 3), keepdim=True).flatten(1)


def heads_on(channels: int, heads: Mapping[str, int]) -> nn.ModuleDict:
    """A full connection from so many features to each head (size by name)."""
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
        Literal[48, 56, 64],
        Field(description="of the input, pixels; smaller pictures are enlarged"),
    ] = 48

    @abstractmethod
    def build(self, heads: Mapping[str, int]) -> ExpressionNetwork:
        """Return the network with its heads (size by name), untrained."""

    def can_learn_on(self, other: "NetworkSection") -> bool:
        """Whether the network can start with the weights of the other one.

        It can if the other has the same shape, apart from dropout and the size of its input.
        """
        free = {"dropout", "edge"}
        return self.model_dump(exclude=free) == other.model_dump(exclude=free)
