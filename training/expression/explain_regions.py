"""Maps of a network of region attention: what each view weighs, and what adds to a category.

Given its weights, the network is linear in the features of each view, so its logit, too, is a sum
over the places of all seven views (class activation maps, Zhou et al. 2016): with the heads'
weights W₁ on the weighed features and W₂ on the mean beside them, the place (y, x) of view r adds
(β_r / Σβ · W₁ + α_r / Σα · W₂) · F_r[y, x] / (h · w); α is the first weight, β the product of both
(:class:`training.models.region_attention.RegionAttentionNet`). The maps of the views are laid over
the face where they belong and added up, so that the sum of the map is the logit.

That the weights themselves follow from the features is not in the map: it says what the network
adds up, not what would happen if a region were covered (``evaluate --covered`` says that).
"""

import torch
from torch import Tensor, nn

from training.models.expression_network import mean_over_regions
from training.models.region_attention import REGIONS, SHARE, RegionAttentionNet, by_view

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
_PLACES = ((0.0, 0.0, 1.0), *((down, right, SHARE) for down, right in REGIONS))


def weights_and_evidence(
    network: RegionAttentionNet, pictures: Tensor, side: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The logits of the first head, what each view weighs, and what each place adds.

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
    alpha, beta = (weights / weights.sum(dim=1, keepdim=True) for weights in (first, both))
    head = network.heads["expression"]
    assert isinstance(head, nn.Linear)
    own, beside = head.weight.chunk(2, dim=1)  # each K × C
    cells = maps.shape[2] * maps.shape[3]
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
    """What the views weigh, each spread evenly over its place: N × 7 → N × side × side, sum 1."""
    total = torch.zeros(len(weights), side, side)
    for view, (down, right, share) in enumerate(_PLACES):
        place = spread(1, down, share, side) @ spread(1, right, share, side).T
        total += weights[:, view, None, None] * place
    return total


def spread(cells: int, where: float, share: float, side: int) -> Tensor:
    """How the cells of a view are spread over the pixels of an axis: side × cells.

    Each column sums to 1.

    Args:
        cells: of the view, along the axis.
        where: the view's place, 0 at one end, 1 at the other.
        share: of the axis that the view covers.
        side: pixels of the axis.
    """
    length = round(side * share)
    begin = round((side - length) * where)
    edges = begin + torch.arange(cells + 1) * length / cells
    pixels = torch.arange(side)[:, None]
    overlap = torch.minimum(edges[1:], pixels + 1) - torch.maximum(edges[:-1], pixels)
    return overlap.clamp(min=0) * cells / length
