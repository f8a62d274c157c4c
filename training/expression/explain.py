"""Maps of where a float network sees a category, to check a training.

The int8 file has its own (`evidence`).

*CAM* (Zhou et al. 2016) takes the logit apart over the regions of the last stage, exactly: it is
what the published model gives on the device. *Grad-CAM* (Selvaraju et al. 2017) works at any stage,
so also at one with more and smaller regions: the stage's channels, each weighed by the mean
gradient of the logit, negative sums cut off. At the last stage Grad-CAM is the positive part of CAM
without the bias.

A network of region attention is linear in the features of each view, given its weights, so its
logit, too, is a sum over the places of all seven views: with the heads' weights W₁ on the weighed
features and W₂ on the mean beside them, the place (y, x) of view r adds
(β_r / Σβ · W₁ + α_r / Σα · W₂) · F_r[y, x] / (h · w); α is the first weight, β the product of both
(:class:`training.networks.architectures.RegionAttentionNet`). The maps of the views are laid over
the face where they belong and added up, so that the sum of the map is the logit. That the weights
themselves follow from the features is not in the map: it says what the network adds up, not what
would happen if a region were covered (``evaluate --covered`` says that).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from edge_agent.vision.drawing import over_crop, scale, tint
from training.data.datasets import EDGE, EXPRESSIONS
from training.errors import RecipeError, csv_bytes
from training.expression.recipe import ExpressionRecipe
from training.expression.task import load_run
from training.learning.checkpoint import CHECKPOINT, WEIGHTS
from training.learning.recipe import RECIPE
from training.networks.architectures import REGIONS, SHARE, RegionAttentionNet, by_view
from training.networks.base import RegionNetwork, WithEvidence, mean_over_regions

VIEWS = (
    "face",
    "upper left",
    "upper right",
    "lower left",
    "lower right",
    "upper middle",
    "lower middle",
)
"""The views in the order of the weights; left and right as the picture shows them."""
# The first view is the whole face.
_PLACES = ((0.0, 0.0, 1.0), *((down, right, SHARE) for down, right in REGIONS))
_CHUNK = 128
TABLE = "explained.csv"
_COLUMNS = 8
_BANDS = 4
_SIDE = 144  # of an enlarged face, pixels
_LABEL = 76
_TITLE = 44
_GAP = 6
_HEADER = (
    "file",
    "category",
    "probability",
    "cam_peak_x",
    "cam_peak_y",
    "cam_upper_half",
    "cam_lower_half",
    "grad_cam_peak_x",
    "grad_cam_peak_y",
    "grad_cam_upper_half",
    "grad_cam_lower_half",
)


def weights_and_evidence(
    network: RegionAttentionNet, pictures: Tensor, side: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the logits of the first head, what each view weighs, and what each place adds.

    Args:
        network: in eval mode.
        pictures: N × 1 × H × W, normalised.
        side: of the maps.

    Returns:
        N × K; N × 7, which sum to 1; N × side × side × K, which sum to the logits.
    """
    maps = network.maps(pictures)
    features = by_view(mean_over_regions(maps))
    first, both, _ = network.weigh(features)
    # As the network does in its weighed means.
    alpha, beta = (weights / weights.sum(dim=1, keepdim=True) for weights in (first, both))
    head = network.heads["expression"]
    assert isinstance(head, nn.Linear)
    own, beside = head.weight.chunk(2, dim=1)  # each K × C
    cells = maps.shape[2] * maps.shape[3]
    # The bias belongs to no place: it is spread evenly, so that the sum of the map is the logit.
    total = head.bias.expand(len(pictures), side, side, -1) / side**2
    for view, (down, right, share) in enumerate(_PLACES):
        of_view = maps[view * len(pictures) : (view + 1) * len(pictures)]
        heads = beta[:, view, :, None] * own + alpha[:, view, :, None] * beside  # N × K × C
        added = torch.einsum("nkc,nchw->nkhw", heads, of_view) / cells
        rows = spread(maps.shape[2], down, share, side)
        columns = spread(maps.shape[3], right, share, side)
        total = total + torch.einsum("yh,nkhw,xw->nyxk", rows, added, columns)
    return network(pictures)[0], beta.squeeze(2), total


def weight_map(weights: Tensor, side: int) -> Tensor:
    """Spread the weight of each view evenly over its place: N × 7 → N × side × side, sum 1."""
    total = torch.zeros(len(weights), side, side)
    for view, (down, right, share) in enumerate(_PLACES):
        place = spread(1, down, share, side) @ spread(1, right, share, side).T
        total += weights[:, view, None, None] * place
    return total


def spread(cells: int, where: float, share: float, side: int) -> Tensor:
    """Return how the cells of a view are spread over the pixels of an axis: side × cells.

    Each column sums to 1.

    Args:
        cells: of the view, along the axis.
        where: the view's place, 0 at one end, 1 at the other.
        share: of the axis that the view covers.
        side: pixels of the axis.
    """
    length = round(side * share)
    begin = round((side - length) * where)
    # A cell may cover a part of a pixel: it gives each pixel as much as it covers.
    edges = begin + torch.arange(cells + 1) * length / cells
    pixels = torch.arange(side)[:, None]
    overlap = torch.minimum(edges[1:], pixels + 1) - torch.maximum(edges[:-1], pixels)
    return overlap.clamp(min=0) * cells / length


Map = NDArray[np.float32]


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
    """Return the averaged network of a run and its recipe: the folder's copy, if none is named.

    Args:
        folder: of a run, or of ``train``, which holds one in ``run``.
        recipe: its recipe, where the folder keeps no copy.

    Raises:
        RecipeError: there is no checkpoint or no recipe, one cannot be read, they do not belong
            together, or the network has no class activation maps.
    """
    if not _holds_weights(folder) and _holds_weights(folder / "run"):
        folder = folder / "run"
    if not _holds_weights(folder):
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


def _holds_weights(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (CHECKPOINT, WEIGHTS))


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
    """The logits of a network for N pictures, and the maps that explain them.

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
    categories = _choose_category(logits, wanted)
    return _Seen(logits, categories, evidence, grad_cam(network, pictures, categories, steps))


def _views(network: RegionAttentionNet, pictures: Tensor, wanted: int | None) -> _Seen:
    with torch.no_grad():
        logits, weights, evidence = weights_and_evidence(network, pictures, EDGE)
    categories = _choose_category(logits, wanted)
    return _Seen(logits, categories, evidence, weight_map(weights, EDGE), weights)


def _choose_category(logits: Tensor, wanted: int | None) -> Tensor:
    """Return the category to explain of each picture: the wanted or the most probable one."""
    if wanted is None:
        return logits.argmax(dim=1)
    return torch.full((len(logits),), wanted)


def steps_of_stage(network: RegionNetwork, stage: int | None) -> int:
    """Return how many steps of the network lie before the end of a stage (1 …).

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
    # Gradients are needed from here on only, which saves the memory of the layers before.
    activations.requires_grad_()
    features = activations
    for layer in layers[steps:]:
        features = layer(features)
    logits = network.logits(features)[0]
    # Pictures do not depend on each other, so that one sum gives the gradient of each.
    (gradient,) = torch.autograd.grad(logits.gather(1, categories[:, None]).sum(), activations)
    weighed = gradient.mean(dim=(2, 3), keepdim=True) * activations.detach()
    supported: Tensor = weighed.sum(dim=1).relu()
    return supported


def peak(values: Map) -> tuple[float, float]:
    """Return the peak of a map: x and y of the region's middle, pixels of the 48 × 48 face."""
    row, column = np.unravel_index(values.argmax(), values.shape)
    return (float(column) + 0.5) * EDGE / values.shape[1], (float(row) + 0.5) * EDGE / values.shape[
        0
    ]


def upper_share(values: Map) -> float | None:
    """Return the share of what supports the category that lies in the upper half of the face.

    None where nothing supports it.

    The middle of the crop is the middle of the face (`edge_agent.vision.align.TEMPLATE_BOX`),
    between eyes and nose.
    """
    rows = np.clip(values, 0, None).sum(axis=1)
    # A row across the middle counts half.
    upper = np.clip(len(rows) / 2 - np.arange(len(rows)), 0, 1)
    total = float(rows.sum())
    if total > 0:
        return float((rows * upper).sum()) / total
    return None


def artefacts(explained: Sequence[Explained]) -> dict[str, bytes]:
    """File name → content: a table with a row for each face, and sheets of 32 faces each."""
    files = {TABLE: table(explained)}
    for number, start in enumerate(range(0, len(explained), _COLUMNS * _BANDS), start=1):
        files[f"sheet-{number:02}.png"] = sheet(explained[start : start + _COLUMNS * _BANDS])
    return files


def table(explained: Sequence[Explained]) -> bytes:
    """CSV: peaks in pixels of the 48 × 48 face.

    Shares of what supports the category, empty where nothing does.
    """
    weights: tuple[str, ...] = ()
    if explained and explained[0].weights:
        weights = tuple(f"weight_{view.replace(' ', '_')}" for view in VIEWS)
    rows: list[tuple[str, ...]] = [_HEADER + weights]
    for face in explained:
        # the map of weights is no Grad-CAM: its columns stay empty
        finer = [""] * 4 if face.weights else _figures(face.grad_cam)
        figures = (*_figures(face.cam), *finer, *(f"{one:.4f}" for one in face.weights))
        rows.append((face.name, EXPRESSIONS[face.category], f"{face.probability:.4f}", *figures))
    return csv_bytes(rows, "\r\n")


def summary(explained: Sequence[Explained]) -> str:
    """Return a line for each category: its faces, and where on average what supports it lies."""
    lines = []
    for index, category in enumerate(EXPRESSIONS):
        faces = [face for face in explained if face.category == index]
        if faces:
            cam = _mean_upper([f.cam for f in faces])
            lines.append(
                f"{category:10} {len(faces):5}   in the upper half of the face: CAM {cam}, "
                f"{_other_words(faces)}"
            )
    return "\n".join(lines)


def _other_words(faces: Sequence[Explained]) -> str:
    """Return the second map of some faces, in words."""
    if not faces[0].weights:
        return f"Grad-CAM {_mean_upper([f.grad_cam for f in faces])}"
    means = np.mean([face.weights for face in faces], axis=0)
    return "weights: " + ", ".join(
        f"{view} {mean:.0%}" for view, mean in zip(VIEWS, means, strict=True)
    )


def sheet(explained: Sequence[Explained]) -> bytes:
    """PNG: in bands, the faces, below them CAM, below that Grad-CAM or the weights of the regions.

    Each map is on its own scale.
    """
    columns = min(len(explained), _COLUMNS)
    other = "Weights" if explained[0].weights else "Grad-CAM"
    bands = -(-len(explained) // columns)
    height = _TITLE + 3 * (_SIDE + _GAP)
    canvas = Image.new("RGB", (_LABEL + columns * (_SIDE + _GAP), bands * height), "white")
    pen = ImageDraw.Draw(canvas)
    for place, face in enumerate(explained):
        band, column = divmod(place, columns)
        x = _LABEL + column * (_SIDE + _GAP)
        y = band * height
        caption = f"{_short(face.name)}\n{EXPRESSIONS[face.category]} {face.probability:.0%}"
        pen.multiline_text((x, y + 4), caption, font=ImageFont.load_default(13), fill="black")
        gray = np.asarray(
            cv2.resize(face.crop, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC), dtype=np.uint8
        )
        # The first row of each band is the face alone.
        rows = (("", np.zeros_like(face.cam)), ("CAM", face.cam), (other, face.grad_cam))
        for row, (name, values) in enumerate(rows):
            top = y + _TITLE + row * (_SIDE + _GAP)
            canvas.paste(Image.fromarray(tint(gray, scale(over_crop(values, _SIDE)))), (x, top))
            if column == 0 and name:
                label = f"{name}\n{values.shape[0]} x {values.shape[1]}"
                pen.multiline_text(
                    (4, top + _SIDE // 2 - 16), label, font=ImageFont.load_default(13), fill="black"
                )
    content = io.BytesIO()
    canvas.save(content, format="PNG")
    return content.getvalue()


def _short(name: str) -> str:
    if len(name) <= 20:
        return name
    return f"...{name[-17:]}"


def _figures(values: Map) -> list[str]:
    share = upper_share(values)
    if share is None:
        shares = ["", ""]
    else:
        shares = [f"{share:.4f}", f"{1 - share:.4f}"]
    return [*(f"{value:.1f}" for value in peak(values)), *shares]


def _mean_upper(maps: Sequence[Map]) -> str:
    shares = [share for share in map(upper_share, maps) if share is not None]
    if shares:
        return f"{np.mean(shares):.0%}"
    return "nothing supports it"
