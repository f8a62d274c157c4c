"""Random changes to a batch of grey faces, all pictures at once, to keep the cores busy."""

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from training.learning.recipe import RecipeSection


class Augmentation(RecipeSection):
    """The limits within which a face may differ from its picture.

    Each change is drawn anew for every picture and epoch.
    """

    flip: Annotated[float, Field(ge=0, le=1, description="chance to be mirrored")] = 0.5
    roll: Annotated[
        float, Field(ge=0, le=180, description="largest turn in the picture plane, degrees")
    ] = 18.0
    scale: Annotated[float, Field(ge=0, lt=1, description="largest change of size, as a share")] = (
        0.15
    )
    shift: Annotated[
        float, Field(ge=0, lt=1, description="largest shift, as a share of the edge")
    ] = 0.1
    light: Annotated[
        float, Field(ge=0, lt=1, description="largest change of contrast and of brightness")
    ] = 0.3
    gain: Annotated[
        float, Field(ge=1, le=4, description="largest factor of all pixels, upwards or downwards")
    ] = 2.2
    gain_chance: Annotated[float, Field(ge=0, le=1, description="chance of such a factor")] = 0.3
    blur: Annotated[
        float, Field(ge=0, le=1, description="chance to lose detail as a small face does")
    ] = 0.25
    noise: Annotated[
        float, Field(ge=0, le=1, description="largest standard deviation of sensor noise")
    ] = 0.03
    erase: Annotated[
        float, Field(ge=0, le=1, description="chance that a square is covered with grey noise")
    ] = 0.5
    erase_edge: Annotated[
        float, Field(gt=0, lt=1, description="largest edge of that square, as a share")
    ] = 0.4
    mix: Annotated[
        float, Field(ge=0, le=1, description="chance that a batch is mixed, by MixUp or CutMix")
    ] = 0.0
    mix_alpha: Annotated[
        float, Field(gt=0, le=10, description="of the Beta distribution of the share mixed in")
    ] = 0.4


def augment(pictures: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Change each picture at random.

    Args:
        pictures: float32, N × 1 × H × W, 0…1.
        how: the bounds of the changes.
        generator: the only source of randomness, on the device of the pictures.

    Returns:
        float32, N × 1 × H × W, 0…1; a new tensor.
    """
    changed = move(pictures, how, generator)
    # Blur before light and noise: sensor noise comes after the lens.
    changed = _blur(changed, how.blur, generator)
    changed = _relight(changed, how, generator)
    return _erase(changed, how, generator).clamp_(0, 1)


def move(pictures: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Mirror, roll, scale and shift each picture with one resampling.

    What enters from outside repeats the border.
    """
    n = len(pictures)
    angle = _spread(n, math.radians(how.roll), generator)
    size = 1 + _spread(n, how.scale, generator)
    mirror = 1 - 2 * (_uniform(n, generator) < how.flip).float()
    cosine = torch.cos(angle) * size
    sine = torch.sin(angle) * size
    # The grid counts from −1 to 1, so that an edge is 2 long.
    across, down = (_spread(n, 2 * how.shift, generator) for _ in range(2))
    rows = [
        torch.stack([cosine * mirror, -sine, across], 1),
        torch.stack([sine * mirror, cosine, down], 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), list(pictures.shape), align_corners=False)
    return functional.grid_sample(
        pictures, grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def flip(pictures: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Mirror each picture with chance ``how.flip`` and change nothing else."""
    mirror = (_uniform(len(pictures), generator) < how.flip).view(-1, 1, 1, 1)
    return torch.where(mirror, pictures.flip(-1), pictures)


def mix(
    pictures: Tensor, targets: Sequence[Tensor], how: Augmentation, generator: torch.Generator
) -> tuple[Tensor, list[Tensor]]:
    """Mix each picture, and its targets alike, with another of the batch.

    Or, with chance 1 − ``how.mix``, do nothing.

    Half of the mixed batches are blended (MixUp, Zhang et al. 2018), the others get a rectangle of
    the other picture (CutMix, Yun et al. 2019). One share is drawn for the whole batch.

    Args:
        pictures: float32, N × 1 × H × W.
        targets: each float32, N × K: shares of categories.
        how: the chance, and the distribution of the share.
        generator: the only source of randomness.
    """
    dice, kind, top, left = torch.rand(4, generator=generator, device=generator.device).tolist()
    if dice >= how.mix:
        return pictures, list(targets)
    other = torch.randperm(len(pictures), generator=generator, device=generator.device)
    share = _beta(how.mix_alpha, generator)
    if kind < 0.5:
        mixed = pictures.lerp(pictures[other], share)
    else:
        height, width = pictures.shape[-2:]
        # The area of the rectangle is the share; its sides have the shape of the picture.
        rows = round(height * math.sqrt(share))
        columns = round(width * math.sqrt(share))
        first = int(top * (height - rows + 1))
        start = int(left * (width - columns + 1))
        mixed = pictures.clone()
        patch = (..., slice(first, first + rows), slice(start, start + columns))
        mixed[patch] = pictures[other][patch]
        # The share that the rectangle has after rounding to whole pixels.
        share = rows * columns / (height * width)
    return mixed, [target.lerp(target[other], share) for target in targets]


def _beta(alpha: float, generator: torch.Generator) -> float:
    """Return one draw from Beta(α, α), by NumPy with a seed of ``generator``.

    PyTorch's own distribution takes no generator.
    """
    seed = torch.randint(2**31, (1,), generator=generator, device=generator.device)
    numbers = np.random.default_rng(int(seed))
    return float(numbers.beta(alpha, alpha))


def _blur(pictures: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Blend some pictures with themselves at a half or a third of the resolution."""
    n = len(pictures)
    edges = pictures.shape[-2:]
    strength = _uniform(n, generator) * (_uniform(n, generator) < chance)
    half = (_uniform(n, generator) < 0.5).view(-1, 1, 1, 1)
    # Both are computed and one is chosen, for a batch is changed as a whole.
    coarse = [
        functional.interpolate(
            functional.avg_pool2d(pictures, by), size=edges, mode="bilinear", align_corners=False
        )
        for by in (2, 3)
    ]
    return torch.lerp(pictures, torch.where(half, coarse[0], coarse[1]), strength.view(-1, 1, 1, 1))


def _relight(pictures: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    n = len(pictures)
    factor = torch.exp(
        _spread(n, math.log(how.gain), generator) * (_uniform(n, generator) < how.gain_chance)
    )
    # too much light whitens, it does not come back
    pictures = (pictures * factor.view(-1, 1, 1, 1)).clamp(0, 1)
    contrast = (1 + _spread(n, how.light, generator)).view(-1, 1, 1, 1)
    brightness = _spread(n, how.light / 2, generator).view(-1, 1, 1, 1)
    mean = pictures.mean(dim=(1, 2, 3), keepdim=True)
    grain = torch.randn(pictures.shape, generator=generator, device=generator.device) * (
        _uniform(n, generator) * how.noise
    ).view(-1, 1, 1, 1)
    return (pictures - mean) * contrast + mean + brightness + grain


def _erase(pictures: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    n, _, height, width = pictures.shape
    # A chance of 0 gives an edge of 0, which covers nothing.
    edge = _uniform(n, generator) * how.erase_edge * (_uniform(n, generator) < how.erase)
    top, left = (_uniform(n, generator) * (1 - edge) for _ in range(2))
    y, x = (
        ((torch.arange(length, device=generator.device) + 0.5) / length).view(1, -1)
        for length in (height, width)
    )
    in_rows = (y > top[:, None]) & (y < (top + edge)[:, None])
    in_columns = (x > left[:, None]) & (x < (left + edge)[:, None])
    covered = (in_rows[:, :, None] & in_columns[:, None, :]).unsqueeze(1)
    hidden = torch.rand(pictures.shape, generator=generator, device=generator.device)
    return torch.where(covered, hidden, pictures)


def _uniform(n: int, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator, device=generator.device)


def _spread(n: int, limit: float, generator: torch.Generator) -> Tensor:
    """Uniform in −limit…limit."""
    return (2 * _uniform(n, generator) - 1) * limit
