"""What a recipe of the face detector says, and the network that it describes.

Example::

    recipe = load_recipe(Path("training/recipes/face-detector.toml"), DetectorRecipe)
    recipe.network.build()   # FaceDetectorNet(…), untrained
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from training.faces.compose import Composition
from training.faces.labelling.split import Shares
from training.faces.loss import Weights
from training.learning.recipe import Recipe, Section
from training.models.face_detector import FaceDetectorNet, Widths

Positive = Annotated[int, Field(ge=1, le=4096)]


class DetectorNetwork(Section):
    """The shape of :class:`training.models.face_detector.FaceDetectorNet`."""

    width: Annotated[
        int, Field(ge=64, le=1024, multiple_of=32, description="of the input, pixels")
    ] = 256
    height: Annotated[
        int, Field(ge=64, le=1024, multiple_of=32, description="of the input, pixels")
    ] = 192
    stem: Positive = 16
    stages: Annotated[
        tuple[Positive, Positive, Positive, Positive], Field(description="at strides 4, 8, 16, 32")
    ]
    neck: Positive = 48

    def build(self) -> FaceDetectorNet:
        """The network, untrained."""
        return FaceDetectorNet(Widths(self.stem, *self.stages, self.neck))


class DetectorData(Section):
    """How often which photographs are drawn, and how large the scenes are that are made of them."""

    names: Annotated[
        list[str], Field(min_length=1, description="what is learnt from, for the model card")
    ]
    scenes: Annotated[int, Field(ge=1, description="scenes in an epoch")]
    weights: Annotated[
        dict[str, float], Field(description="folder → weight of each of its pictures, else 1")
    ]
    shares: Annotated[
        dict[str, Shares],
        Field(
            default_factory=dict, description="folder → shares of its pictures that are held out"
        ),
    ]
    hardness: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="0: drawn by weight; 1: that times what they cost the start network",
        ),
    ] = 0.0
    width: Annotated[
        int, Field(ge=64, le=1024, multiple_of=32, description="of a scene, pixels")
    ] = 256
    height: Annotated[
        int, Field(ge=64, le=1024, multiple_of=32, description="of a scene, pixels")
    ] = 192


class DetectorRecipe(Recipe):
    """A recipe of kind ``face-detector``."""

    kind: Literal["face-detector"]
    teacher: Annotated[str, Field(min_length=1, description="whose answers the labels are")]
    start: Annotated[
        str | None, Field(description="run folder beside this run's whose weights are learnt on")
    ] = None
    frozen: Annotated[
        tuple[str, ...], Field(description="parts of the network that stay as they are")
    ] = ()
    false_share: Annotated[
        float, Field(gt=0, lt=1, description="largest share of false faces for the threshold")
    ]
    network: DetectorNetwork
    data: DetectorData
    composition: Composition = Composition()
    loss: Weights = Weights()
