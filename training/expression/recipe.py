"""The recipe of kind ``expression``."""

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from edge_agent.vision.models.preparation import Step, prepare
from training.data.datasets import EXPRESSIONS, FER2013
from training.expression.augment import Augmentation
from training.learning.recipe import Recipe, RecipeSection
from training.networks.architectures import Network
from training.networks.base import ExpressionNetwork

HEADS = {"expression": len(EXPRESSIONS), "fer2013": len(FER2013)}


class ExpressionData(RecipeSection):
    """The faces that are learnt from, the shares kept apart, and the scaling of the pixels."""

    usage: Annotated[Literal["Training"], Field(description="the split that is learnt from")] = (
        "Training"
    )
    cleaned: Annotated[
        bool, Field(description="learn from what training.data.fer leaves; it needs votes")
    ] = False
    held_back: Annotated[float, Field(gt=0, lt=0.5, description="share kept for curves")] = 0.02
    tested: Annotated[
        float,
        Field(
            ge=0,
            lt=0.5,
            description="share that fits nothing and chooses nothing, for the last judgement",
        ),
    ] = 0.0
    rare: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="a face is drawn (1 / the share of its category) to this power times as "
            "often as others; 0: each once an epoch",
        ),
    ] = 0.0
    mean: Annotated[float, Field(gt=0, lt=1, description="of the pixels, taken off, 0…1")] = 0.507
    deviation: Annotated[float, Field(gt=0, le=1, description="of the pixels, divided by, 0…1")] = (
        0.255
    )


class Preparation(RecipeSection):
    """The preparation of each picture before it is normalised, while learning as on the device.

    Each switch is a step of :mod:`edge_agent.vision.models.preparation`, which names its source;
    they are done in this order, and the card names those that are on.
    """

    salt_and_pepper: Annotated[bool, Field(description="median of 3 × 3")] = False
    speckle: Annotated[bool, Field(description="bilateral filter of the logarithm")] = False
    gaussian: Annotated[bool, Field(description="non-local means")] = False
    motion_blur: Annotated[bool, Field(description="unsharp mask")] = False
    uneven_light: Annotated[bool, Field(description="homomorphic filter")] = False
    min_max: Annotated[bool, Field(description="the picture's own range becomes 0…1")] = False

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are on, as a card names them."""
        every: tuple[tuple[Step, bool], ...] = (
            ("salt-and-pepper", self.salt_and_pepper),
            ("speckle", self.speckle),
            ("gaussian", self.gaussian),
            ("motion-blur", self.motion_blur),
            ("uneven-light", self.uneven_light),
            ("min-max", self.min_max),
        )
        return tuple(step for step, on in every if on)


class Loss(RecipeSection):
    """The weights of the two heads in the loss."""

    fer2013_weight: Annotated[
        float, Field(ge=0, le=10, description="weight of the second head; that of the first is 1")
    ] = 1.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1, description="of the second head")] = 0.1
    balance: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="a FER2013 class weighs (1 / its share of the pictures) to this power",
        ),
    ] = 0.25
    region_bias: Annotated[
        float,
        Field(
            ge=0, le=10, description="of the loss that asks a region to weigh more than the face"
        ),
    ] = 0.0
    region_margin: Annotated[
        float, Field(ge=0, le=1, description="by how much it should weigh more")
    ] = 0.02


class Distillation(RecipeSection):
    """Learning from the answers of finished runs.

    Hinton et al. 2015, "Distilling the knowledge in a neural network".

    The teachers answer for the very pictures that the student sees, changed alike (Beyer et al.
    2022, "Knowledge distillation: a good teacher is patient and consistent"), and for their mirror
    images: the mean of both answers is better than one of them. Asking costs more than learning, so
    they are asked for ``views`` versions of each picture, which are kept and used in turn, mirrored
    or not.
    """

    teachers: Annotated[
        tuple[str, ...], Field(min_length=1, description="run folders beside this run's folder")
    ]
    weight: Annotated[
        float, Field(gt=0, le=1, description="of the teachers' answers; the labels weigh the rest")
    ] = 0.7
    temperature: Annotated[
        float, Field(ge=1, le=10, description="that softens teachers and student")
    ] = 2.0
    views: Annotated[int, Field(ge=1, le=64, description="versions of each picture")] = 8


class FaceFeatures(RecipeSection):
    """Settings of an optional first stage: learn the features of a face-recognition network.

    :mod:`training.expression.face_features` runs it before the labels are learnt.
    """

    network: Annotated[
        str, Field(min_length=1, description="checkpoint of MobileFaceNet that --weights names")
    ]
    epochs: Annotated[int, Field(ge=1, le=1000, description="of the first stage")] = 6
    peak_lr: Annotated[
        float | None, Field(gt=0, le=10, description="of the first stage; none: schedule.peak_lr")
    ] = None
    grid: Annotated[
        int, Field(ge=1, le=6, description="regions a side on which the features are compared")
    ] = 3


class ExpressionRecipe(Recipe):
    """A recipe of kind ``expression``."""

    kind: Literal["expression"]
    uncertain_below: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="top probability under which the agent abstains, where it is not fitted",
        ),
    ]
    data: ExpressionData = ExpressionData()
    preparation: Preparation = Preparation()
    network: Network
    augmentation: Augmentation = Augmentation()
    loss: Loss = Loss()
    distillation: Distillation | None = None
    start: Annotated[
        str | None, Field(description="run folder beside this run's whose network is learnt on")
    ] = None

    base: Annotated[
        str | None,
        Field(description="file or run that --weights names, for the network to begin with"),
    ] = None
    face_features: FaceFeatures | None = None

    @model_validator(mode="after")
    def _one_beginning(self) -> "ExpressionRecipe":
        if self.face_features is not None and (self.base or self.start):
            raise ValueError("face_features, base and start exclude each other: keep one")
        return self

    @property
    def weights_needed(self) -> str | None:
        """Name of the file that ``--weights`` has to name; None where none is needed."""
        if self.face_features is not None:
            return self.face_features.network
        return self.base

    def build_network(self) -> ExpressionNetwork:
        """Return the network with both heads, untrained."""
        return self.network.build(HEADS)

    def as_input(self, pictures: Tensor) -> Tensor:
        """N × 1 × H × W, 0…1 → what the network sees.

        The card says the same as size, ``prepare``, ``scale`` and ``offset``.
        """
        if pictures.shape[-1] != self.network.edge:
            pictures = functional.interpolate(
                pictures, size=(self.network.edge,) * 2, mode="bilinear"
            )
        if steps := self.preparation.steps:
            pictures = _prepare(pictures, steps)
        return (pictures - self.data.mean) / self.data.deviation


def _prepare(pictures: Tensor, steps: tuple[Step, ...]) -> Tensor:
    """N × 1 × H × W, 0…1 → the same, prepared in the 256 greys that a device sees."""
    greys = (pictures * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    made = np.stack([prepare(picture[0], steps) for picture in greys])
    return torch.from_numpy(made).unsqueeze(1).to(pictures) / 255
