"""Pictures worse than a data set's: what the steps of a preparation are there to take out again.

Each kind draws from a generator of its own, so that the same pictures are spoilt alike each time.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]
Spoil = Callable[[NDArray[np.float64], np.random.Generator], NDArray[np.float64]]

_GRAIN = 20.0
_PEPPERED = 0.05
_SPECKLED = 0.2
_MOVED = 5
_DARKEST = 0.3


def spoilt(pictures: Pictures, kind: str) -> Pictures:
    """Spoil pictures in one of ``NOISES``.

    Args:
        pictures: uint8, N × H × W.
        kind: name of the noise.

    Returns:
        uint8, N × H × W.
    """
    _, spoil = NOISES[kind]
    changed = spoil(pictures.astype(np.float64), np.random.default_rng(1))
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def _gaussian(pictures: NDArray[np.float64], chance: np.random.Generator) -> NDArray[np.float64]:
    return pictures + chance.normal(0, _GRAIN, pictures.shape)


def _salt_and_pepper(
    pictures: NDArray[np.float64], chance: np.random.Generator
) -> NDArray[np.float64]:
    drawn = chance.random(pictures.shape)
    salted = np.where(drawn < _PEPPERED / 2, 0.0, pictures)
    return np.where(drawn > 1 - _PEPPERED / 2, 255.0, salted)


def _speckle(pictures: NDArray[np.float64], chance: np.random.Generator) -> NDArray[np.float64]:
    return pictures * (1 + chance.normal(0, _SPECKLED, pictures.shape))


def _motion_blur(pictures: NDArray[np.float64], chance: np.random.Generator) -> NDArray[np.float64]:
    del chance
    along = np.full((1, _MOVED), 1 / _MOVED)
    return np.stack(
        [cv2.filter2D(one, -1, along, borderType=cv2.BORDER_REPLICATE) for one in pictures]
    )


def _uneven_light(
    pictures: NDArray[np.float64], chance: np.random.Generator
) -> NDArray[np.float64]:
    del chance
    return pictures * np.linspace(_DARKEST, 1.0, pictures.shape[2])


NOISES: dict[str, tuple[str, Spoil]] = {
    "Gaussian": (f"noise is added, standard deviation {_GRAIN:.0f} of 255", _gaussian),
    "salt and pepper": (f"{_PEPPERED:.0%} of the pixels are black or white", _salt_and_pepper),
    "speckle": (
        f"each pixel is multiplied by 1 + noise, standard deviation {_SPECKLED}",
        _speckle,
    ),
    "motion blur": (f"the mean of {_MOVED} pixels side by side", _motion_blur),
    "uneven light": (
        f"light falls from 1 at the right edge to {_DARKEST} at the left one",
        _uneven_light,
    ),
}
"""Kind → what it does in words, and the function that does it."""
