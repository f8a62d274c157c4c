"""The architectures of the expression classifier: one entry a network.

A recipe names one with ``architecture`` in its ``[network]`` section; the section says what else it
may hold, and builds the network::

    recipe = load_recipe(Path("training/recipes/expression-fast.toml"), ExpressionRecipe)
    recipe.network.architecture   # "small-resnet"
    recipe.build_network()        # SmallResNet(…), untrained
"""

from typing import Annotated

from pydantic import Field

from training.models.depthwise import DepthwiseSection
from training.models.mobilenet import MobileNetSection
from training.models.plain_cnn import PlainCnnSection
from training.models.region_attention import RegionAttentionSection
from training.models.resnet import ResNetSection
from training.models.small_resnet import SmallResNetSection
from training.models.vgg import VggSection

Network = Annotated[
    SmallResNetSection
    | PlainCnnSection
    | VggSection
    | ResNetSection
    | MobileNetSection
    | RegionAttentionSection
    | DepthwiseSection,
    Field(discriminator="architecture"),
]
"""The ``[network]`` section of an expression recipe."""
