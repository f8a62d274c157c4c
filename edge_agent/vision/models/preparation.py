"""Steps that prepare each picture for a model before its pixels become numbers.

A card names these steps (``input.prepare``), so that a picture is prepared in the same way in
training, in evaluation and on the device. Every step takes and returns a grey picture of whole
numbers. OpenCV is loaded by the first step that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

from edge_agent.core.process import Later

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]
else:
    np = Later("numpy")

Step = Literal["salt-and-pepper", "speckle", "gaussian", "motion-blur", "uneven-light", "min-max"]

_SPECKLE_SPREAD = 0.25
"""Logarithm of the factor by which neighbouring pixels of one surface may differ."""
_SPECKLE_REACH = 1.5
"""Pixels."""
_GRAIN = 10.0
"""Grey levels of noise that non-local means take away."""
_SHARPEN = 0.5
_LIGHT_REACH = 0.25
"""Share of the picture's shorter side: changes over longer distances count as light."""


def prepare(picture: Pixels, steps: Iterable[Step]) -> Pixels:
    """Apply steps in their order.

    Args:
        picture: uint8, height × width or height × width × 1, grey.
        steps: their names.

    Returns:
        uint8, of the same shape; the picture itself when there are no steps.
    """
    made = picture.reshape(picture.shape[:2])
    for step in steps:
        made = _STEPS[step](made)
    return made.reshape(picture.shape)


def without_salt_and_pepper(picture: Pixels) -> Pixels:
    """Remove single black and white pixels by the median of 3 × 3.

    Tukey 1977, *Exploratory Data Analysis*, chapter 7; in two dimensions Huang, Yang and Tang 1979.
    """
    import cv2

    return _grey(cv2.medianBlur(picture, 3))


def without_speckle(picture: Pixels) -> Pixels:
    """Remove multiplicative noise by a bilateral filter of the logarithm.

    The logarithm makes a factor a sum (Oppenheim, Schafer and Stockham 1968, "Nonlinear filtering
    of multiplied and convolved signals"); the filter keeps edges (Tomasi and Manduchi 1998,
    "Bilateral filtering for gray and color images").
    """
    import cv2

    logarithm = np.log1p(picture.astype(np.float32))
    return _grey(np.expm1(cv2.bilateralFilter(logarithm, 5, _SPECKLE_SPREAD, _SPECKLE_REACH)))


def without_gaussian(picture: Pixels) -> Pixels:
    """Remove additive noise by non-local means.

    Buades, Coll and Morel 2005, "A non-local algorithm for image denoising".
    """
    import cv2

    # Windows of 5 and 15 pixels: OpenCV's defaults of 7 and 21 are large for a crop of 48 × 48.
    return _grey(cv2.fastNlMeansDenoising(picture, None, _GRAIN, 5, 15))


def without_motion_blur(picture: Pixels) -> Pixels:
    """Sharpen by an unsharp mask, p + half of (p − its Gaussian of one pixel).

    Gonzalez and Woods, *Digital Image Processing*, "Unsharp masking and highboost filtering". The
    filters of Wiener and of Richardson and Lucy need direction and length of the motion, which are
    not known for a face; this one does not. It restores little: on a drawn face a third of a
    vertical blur of three pixels, and nothing of a horizontal one.
    """
    import cv2

    exact = picture.astype(np.float32)
    return _grey(exact + _SHARPEN * (exact - cv2.GaussianBlur(exact, (0, 0), 1.0)))


def without_uneven_light(picture: Pixels) -> Pixels:
    """Remove uneven light by a homomorphic filter.

    Stockham 1972, "Image processing in the context of a visual model". A pixel is light times
    reflectance, a sum after the logarithm. The part that changes slowly is taken for the light, and
    is replaced by its mean.
    """
    import cv2

    logarithm = np.log1p(picture.astype(np.float32))
    reach = _LIGHT_REACH * min(picture.shape)
    light = cv2.GaussianBlur(logarithm, (0, 0), reach, borderType=cv2.BORDER_REPLICATE)
    return _grey(np.expm1(logarithm - light + light.mean()))


def min_max(picture: Pixels) -> Pixels:
    """Stretch the picture's own range to 0…255; a picture of one single grey stays as it is."""
    darkest = int(picture.min())
    span = int(picture.max()) - darkest
    if span == 0:
        return picture
    return _grey((picture.astype(np.float32) - darkest) * np.float32(255 / span))


def _grey(values: npt.NDArray[Any]) -> Pixels:
    grey: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return grey


_STEPS: dict[Step, Callable[[Pixels], Pixels]] = {
    "salt-and-pepper": without_salt_and_pepper,
    "speckle": without_speckle,
    "gaussian": without_gaussian,
    "motion-blur": without_motion_blur,
    "uneven-light": without_uneven_light,
    "min-max": min_max,
}
