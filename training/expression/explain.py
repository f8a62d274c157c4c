"""Maps of where a float network sees a category, to check a training.

The int8 file has its own (`evidence`).

Two maps of one category. *CAM* (Zhou et al. 2016) takes the logit apart over the regions of the
last stage, exactly: it is what the published model gives on the device. *Grad-CAM* (Selvaraju et
al. 2017) works at any stage, so also at one with more and smaller regions: the stage's channels,
each weighed by the mean gradient of the logit, negative sums cut off. At the last stage Grad-CAM is
the positive part of CAM without the bias.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.datasets import EDGE, EXPRESSIONS
from training.errors import RecipeError
from training.expression.distillation import load_run
from training.expression.explain_regions import weight_map, weights_and_evidence
from training.expression.recipe import ExpressionRecipe
from training.learning.checkpoint import CHECKPOINT, WEIGHTS
from training.learning.recipe import RECIPE
from training.models.evidence import WithEvidence
from training.models.expression_network import RegionNetwork
from training.models.region_attention import RegionAttentionNet

Map = NDArray[np.float32]

_CHUNK = 128


@dataclass(frozen=True, slots=True)
class Explained:
    """One face and where the network saw its category.

    Attributes:
        name: of the picture.
        crop: uint8, 48 × 48.
        category: index into ``EXPRESSIONS``.
        probability: of the category, not calibrated.
        cam: float32, h × w: what each region of the last stage adds to the logit.
        grad_cam: float32, H × W, 0 or more: Grad-CAM at the chosen stage; of a network of region
            attention, what the views weigh there.
        weights: of the face and its six regions (``explain_regions.VIEWS``), which sum to 1; empty
            for other networks.
    """

    name: str
    crop: NDArray[np.uint8]
    category: int
    probability: float
    cam: Map
    grad_cam: Map
    weights: tuple[float, ...] = ()


def open_run(
    folder: Path, recipe: Path | None = None
) -> tuple[RegionNetwork | RegionAttentionNet, ExpressionRecipe]:
    """The averaged network of a run and its recipe: the copy in the folder, if no other is named.

    Raises:
        RecipeError: there is no checkpoint or no recipe, one cannot be read, they do not belong
            together, or the network has no class activation maps.
    """
    if not any((folder / name).is_file() for name in (CHECKPOINT, WEIGHTS)):
        raise RecipeError(
            f"--run {folder}: holds no {CHECKPOINT}; give the folder of a training run (runs/NAME)"
        )
    if recipe is None and not (folder / RECIPE).is_file():
        raise RecipeError(
            f"--run {folder}: keeps no copy of its recipe; name the recipe with --recipe"
        )
    network, form = load_run(folder, recipe)
    if not isinstance(network, RegionNetwork | RegionAttentionNet):
        raise RecipeError(
            f"--run {folder}: a network of architecture {form.network.architecture} joins all "
            "places of the face in its hidden layer, so that no map of it is exact; give a run of "
            "another architecture, or see with evaluate --covered what is lost when a part of the "
            "face is hidden"
        )
    return network.requires_grad_(False), form


def explain_faces(
    network: RegionNetwork | RegionAttentionNet,
    recipe: ExpressionRecipe,
    faces: Sequence[tuple[str, NDArray[np.uint8]]],
    *,
    category: str | None = None,
    stage: int | None = None,
) -> list[Explained]:
    """Map a category of each face.

    Args:
        network: in eval mode.
        recipe: that it was trained by.
        faces: name and aligned face, uint8, 48 × 48.
        category: what to look for; left out: the most probable one of each face.
        stage: of Grad-CAM, 1 … the number of stages; left out: the last but one. A network of
            region attention has none.

    Raises:
        RecipeError: the network has no such stage.
    """
    if isinstance(network, RegionNetwork):
        look: _Look = partial(_places, network, steps_of_stage(network, stage))
    elif stage is None:
        look = partial(_views, network)
    else:
        raise RecipeError(
            f"--stage {stage}: a network of region attention has a map of its regions' weights in "
            "the place of Grad-CAM; leave --stage out"
        )
    explained: list[Explained] = []
    for start in range(0, len(faces), _CHUNK):
        chunk = faces[start : start + _CHUNK]
        crops = torch.from_numpy(np.stack([crop for _, crop in chunk])).unsqueeze(1)
        wanted = None if category is None else EXPRESSIONS.index(category)
        seen = look(recipe.as_input(crops.float() / 255), wanted)
        shares = seen.logits.softmax(dim=1)
        for i, (name, crop) in enumerate(chunk):
            k = int(seen.categories[i])
            cam = seen.evidence[i, :, :, k].numpy()
            weights = tuple(seen.weights[i].tolist()) if seen.weights is not None else ()
            explained.append(
                Explained(name, crop, k, float(shares[i, k]), cam, seen.other[i].numpy(), weights)
            )
    return explained


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a network sees in N pictures.

    Attributes:
        logits: N × K.
        categories: N, the one that is explained.
        evidence: N × h × w × K.
        other: N × H × W: Grad-CAM, or what the views weigh.
        weights: N × 7, or None.
    """

    logits: Tensor
    categories: Tensor
    evidence: Tensor
    other: Tensor
    weights: Tensor | None = None


_Look = Callable[[Tensor, int | None], _Seen]


def _places(network: RegionNetwork, steps: int, pictures: Tensor, wanted: int | None) -> _Seen:
    with torch.no_grad():
        logits, _, evidence = WithEvidence(network)(pictures)
    categories = _chosen(logits, wanted)
    return _Seen(logits, categories, evidence, grad_cam(network, pictures, categories, steps))


def _views(network: RegionAttentionNet, pictures: Tensor, wanted: int | None) -> _Seen:
    with torch.no_grad():
        logits, weights, evidence = weights_and_evidence(network, pictures, EDGE)
    categories = _chosen(logits, wanted)
    return _Seen(logits, categories, evidence, weight_map(weights, EDGE), weights)


def _chosen(logits: Tensor, wanted: int | None) -> Tensor:
    """The category to explain of each picture: the one that is wanted, or the most probable."""
    if wanted is None:
        return logits.argmax(dim=1)
    return torch.full((len(logits),), wanted)


def steps_of_stage(network: RegionNetwork, stage: int | None) -> int:
    """How many steps of the network lie before the end of a stage (1 …).

    Left out: the last but one, if there is one.

    Raises:
        RecipeError: the network has no such stage.
    """
    ends = network.stage_ends()
    if stage is None:
        stage = max(len(ends) - 1, 1)
    if not 1 <= stage <= len(ends):
        raise RecipeError(f"--stage {stage}: the network has stages 1 to {len(ends)}")
    return ends[stage - 1]


def grad_cam(network: RegionNetwork, pictures: Tensor, categories: Tensor, steps: int) -> Tensor:
    """Grad-CAM of the first head after the first ``steps`` steps.

    ReLU(Σ_c mean_yx(∂ logit / ∂ A_c) · A_c).

    Args:
        network: in eval mode.
        pictures: N × 1 × H × W, normalised.
        categories: N, index of the logit to explain for each picture.
        steps: after how many of its steps to look.

    Returns:
        N × h × w.
    """
    layers = network.steps()
    activations = pictures
    with torch.no_grad():
        for layer in layers[:steps]:
            activations = layer(activations)
    activations.requires_grad_()
    features = activations
    for layer in layers[steps:]:
        features = layer(features)
    logits = network.logits(features)[0]
    (gradient,) = torch.autograd.grad(logits.gather(1, categories[:, None]).sum(), activations)
    weighed = gradient.mean(dim=(2, 3), keepdim=True) * activations.detach()
    supported: Tensor = weighed.sum(dim=1).relu()
    return supported


def peak(values: Map) -> tuple[float, float]:
    """Where a map is largest: x and y of the region's middle, pixels of the 48 × 48 face."""
    row, column = np.unravel_index(values.argmax(), values.shape)
    return (float(column) + 0.5) * EDGE / values.shape[1], (float(row) + 0.5) * EDGE / values.shape[
        0
    ]


def upper_share(values: Map) -> float | None:
    """Share of what supports the category that lies in the upper half of the face.

    None where nothing supports it.

    The middle of the crop is the middle of the face (`edge_agent.vision.align.TEMPLATE_BOX`),
    between eyes and nose.
    """
    rows = np.clip(values, 0, None).sum(axis=1)
    upper = np.clip(len(rows) / 2 - np.arange(len(rows)), 0, 1)
    total = float(rows.sum())
    if total > 0:
        return float((rows * upper).sum()) / total
    return None
