"""What a recipe of kind ``face-cover`` says, and the network that it describes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import Tensor

from training.expression.augment import Augmentation
from training.learning.recipe import Recipe, Section
from training.models.face_cover import FaceCoverNet

SCALE = 2 / 255
OFFSET = -1.0
"""What the network sees of a pixel: pixel × scale + offset."""

Positive = Annotated[int, Field(ge=1, le=256)]


class CoverNetwork(Section):
    """The shape of :class:`training.models.face_cover.FaceCoverNet`."""

    edge: Annotated[int, Field(ge=16, le=128, description="of the crop, pixels")] = 48
    widths: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=8)]
    strides: tuple[Literal[1, 2], ...]
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _as_many_strides_as_widths(self) -> CoverNetwork:
        if len(self.widths) != len(self.strides):
            raise ValueError(f"{len(self.widths)} widths need as many strides")
        return self

    def build(self) -> FaceCoverNet:
        """Return the network, untrained."""
        return FaceCoverNet(self.edge, self.widths, self.strides, self.dropout)


class CoverData(Section):
    """How many faces an epoch has, and what is drawn over them."""

    names: Annotated[
        list[str], Field(min_length=1, description="what is learnt from, for the model card")
    ]
    faces: Annotated[int, Field(ge=2, description="faces in an epoch")]
    drawn: Annotated[float, Field(ge=0, le=1, description="share with a thing drawn over them")]
    weights: Annotated[
        dict[str, float], Field(description="source → how often its faces are drawn, together")
    ]


class CoverRecipe(Recipe):
    """A recipe of kind ``face-cover``."""

    kind: Literal["face-cover"]
    refused: Annotated[
        float,
        Field(gt=0, lt=1, description="largest share of uncovered faces refused, on valid"),
    ]
    network: CoverNetwork
    data: CoverData
    augmentation: Augmentation = Augmentation()
    start: Annotated[
        str | None, Field(description="run folder beside this run's whose weights are learnt on")
    ] = None


def as_input(crops: Tensor) -> Tensor:
    """N × 1 × H × W, 0…1 → what the network sees."""
    return crops * (255 * SCALE) + OFFSET
