"""The one definition of the crops of a face that models see, in training and on the device.

A face is turned, scaled and shifted (never sheared or mirrored) so that its five landmarks come as
near as possible to where they lie in the pictures of FER2013, which the models learned from. What
reads expressions sees the same crop from nearer.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Collection, Mapping
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.core.errors import ModelError
from edge_agent.core.expression import Box, Face

Picture = npt.NDArray[np.uint8]
Points = npt.ArrayLike
Matrix = npt.NDArray[np.float64]

CROP_NAME = "fer2013-v1"
"""Name of the crop of ``TEMPLATE`` in the card of a model; it changes when the template does.

Covers and movements are read in it, and the limits of ``quality.py`` were measured in it.
"""

EXPRESSION_CROP = "fer2013-v1-close"
"""Name of the crop of photographs and cameras for models of expressions that learned from FER2013.

Through the detector's landmarks FER2013's faces look smaller than they are: in ``TEMPLATE``'s crop
the faces of photographs lie looser than in FER2013's pictures.
"""

ZOOMS: Mapping[str, float] = MappingProxyType({CROP_NAME: 1.0, EXPRESSION_CROP: 1.15})
"""Crop → how much larger the face is in it than in that of ``TEMPLATE``, about the crop's middle.

1.15 was chosen on half A of the photographs that people read, for both shipped models
(`training/RESULTS.md` has the table).
"""

TEMPLATE: npt.NDArray[np.float32] = np.array(
    [[0.3200, 0.3827], [0.6800, 0.3827], [0.5000, 0.5937], [0.3473, 0.7516], [0.6527, 0.7516]],
    dtype=np.float32,
)
"""Right eye, left eye, nose, right and left mouth corner in the unit square of the crop.

Median over the 27,176 of 28,709 FER2013 Training pictures (enlarged four times, the edge repeated
around them) in which face-detector 1.4.0 finds a face, averaged with its mirror image:
``training/faces/template.py``.
"""
TEMPLATE.setflags(write=False)

TEMPLATE_BOX = Box(0.1096, -0.0152, 0.7808, 1.0265)
"""The detector's box in the unit square of the crop, measured in the same way."""

# Only a part that is one pixel thin, and so cannot be halved, needs a larger warp than twice the
# crop; the bound keeps its memory small.
_MAX_OVERSAMPLING = 16
_EDGE = 2  # pixels around the crop that interpolation may touch
_WHOLE = Box(0.0, 0.0, 1.0, 1.0)
_MAX_SIDE = 32766  # OpenCV's warpAffine counts pixels of a side in 16 bits.


def align_face(image: Picture, landmarks: Points, size: int, crop: str = CROP_NAME) -> Picture:
    """Cut out a face so that its landmarks fall on ``TEMPLATE``, enlarged as the crop says.

    Args:
        image: uint8, height × width × 3 (BGR) or height × width (gray).
        landmarks: five points (x, y) in pixels of ``image``, in the order of
            ``core.expression.Face.landmarks``.
        size: side of the crop in pixels.
        crop: its name, of ``ZOOMS``.

    Returns:
        uint8, ``size`` × ``size``, gray. What lies outside the image repeats its nearest edge
        pixel.

    Raises:
        ValueError: image, landmarks or size have the wrong type or shape, or the landmarks are not
            finite or coincide.
    """
    return cut(image, closer(landmark_matrix(landmarks), crop), size)


def align_box(image: Picture, box: Box, size: int, crop: str = CROP_NAME) -> Picture:
    """Cut out a face upright by its box alone, for faces whose landmarks cannot be used.

    The middle of the box comes to the middle of ``TEMPLATE_BOX`` and its area to the same area,
    both enlarged as the crop says.

    Args:
        image: as for `align_face`.
        box: the detector's box in pixels of ``image``.
        size: side of the crop in pixels.
        crop: its name, of ``ZOOMS``.

    Returns:
        uint8, ``size`` × ``size``, gray.

    Raises:
        ValueError: the box is empty or not finite, or image or size are wrong as for `align_face`.
    """
    return cut(image, closer(box_matrix(box), crop), size)


def landmark_matrix(landmarks: Points) -> Matrix:
    """Return the transform from the picture to the unit square of the crop, from landmarks.

    It rotates, scales and shifts.

    Returns:
        float64, 2 × 3.

    Raises:
        ValueError: the landmarks are no five finite points, or coincide.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape != TEMPLATE.shape:
        raise ValueError(
            f"landmarks must be five points (x, y), got an array of shape {points.shape}"
        )
    return similarity(points, TEMPLATE)


def box_matrix(box: Box) -> Matrix:
    """Return the transform from the picture to the unit square of the crop, computed from a box.

    Returns:
        float64, 2 × 3.

    Raises:
        ValueError: the box is empty or not finite.
    """
    is_finite = all(map(math.isfinite, (box.x, box.y, box.width, box.height)))
    if not is_finite or box.width <= 0 or box.height <= 0:
        raise ValueError(f"a face needs a box with a finite place and a positive size, got {box}")
    # Areas compare as squares of sides, hence the root.
    scale = math.sqrt(TEMPLATE_BOX.area / box.area)
    (from_x, from_y) = box.center
    (to_x, to_y) = TEMPLATE_BOX.center
    return np.array([[scale, 0.0, to_x - scale * from_x], [0.0, scale, to_y - scale * from_y]])


def closer(to_unit: Matrix, crop: str) -> Matrix:
    """Return the transform to the unit square of another crop, float64, 2 × 3.

    Args:
        to_unit: that to the crop of ``TEMPLATE``.
        crop: name of the other one, of ``ZOOMS``.
    """
    zoom = ZOOMS[crop]
    enlarged = to_unit * zoom
    # The middle of the unit square stays where it is.
    enlarged[:, 2] += (1 - zoom) / 2
    return enlarged


def similarity(source: Points, target: Points) -> Matrix:
    """Find the rotation, scale and shift that bring ``source`` nearest to ``target``.

    Nearest means the least sum of squared distances.

    The solution of Umeyama (1991) without reflection. In the plane it has a closed form: with
    points as complex numbers z → a·z + b, a = Σ conj(z − z̄)(w − w̄) / Σ |z − z̄|² and b = w̄ −
    a·z̄.

    Args:
        source: n × 2 points, n ≥ 2.
        target: n × 2 points.

    Returns:
        float64, 2 × 3, as ``cv2.warpAffine`` takes it.

    Raises:
        ValueError: a coordinate is not finite, or all source points coincide.
    """
    before = np.asarray(source, dtype=np.float64).tolist()
    after = np.asarray(target, dtype=np.float64).tolist()
    # cv2.estimateAffinePartial2D fits by RANSAC or LMEDS, which may ignore a landmark. This fit
    # uses all five.
    z = [complex(*point) for point in before]
    w = [complex(*point) for point in after]
    finite = all(map(cmath.isfinite, z + w))
    if not finite or max(max(axis) - min(axis) for axis in zip(*before, strict=True)) < 1e-6:
        raise ValueError(
            f"no similarity can be found from points that coincide or are not finite: {before}"
        )
    z_mean = sum(z) / len(z)
    w_mean = sum(w) / len(w)
    turned = sum((p - z_mean).conjugate() * (q - w_mean) for p, q in zip(z, w, strict=True))
    a = turned / sum(abs(p - z_mean) ** 2 for p in z)
    b = w_mean - a * z_mean
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def cut(image: Picture, to_unit: Matrix, size: int) -> Picture:
    """Warp ``image`` by a map onto the unit square.

    A face larger than the crop is averaged, not subsampled.

    Args:
        image: as for `align_face`.
        to_unit: float64, 2 × 3, from pixels of ``image`` to the unit square of the crop.
        size: side of the crop in pixels.

    Returns:
        uint8, ``size`` × ``size``, gray.

    Raises:
        ValueError: image or size are wrong as for `align_face`.
    """
    return CropCutter(image, to_unit).cut(to_unit, size)


class CropCutter:
    """Cuts several crops of one face out of one gray copy of its part of the picture.

    Args:
        image: as for `align_face`.
        to_unit: as for `cut`, of the widest of the crops.

    Raises:
        ValueError: the image is wrong as for `align_face`.
    """

    def __init__(self, image: Picture, to_unit: Matrix) -> None:
        check_picture(image)
        if image.size == 0 or max(image.shape) > _MAX_SIDE:
            raise ValueError(
                f"cannot cut a crop out of a picture of shape {image.shape}; sides go up to "
                f"{_MAX_SIDE}"
            )
        self._size = image.shape[1], image.shape[0]
        across, down = _spans(self._size, to_unit)
        self._left, self._top = across.start, down.start
        part = image[down, across]
        if part.ndim == 3:
            part = np.asarray(cv2.cvtColor(part, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        self._gray = part

    def cut(self, to_unit: Matrix, size: int) -> Picture:
        """Return a crop that lies within the widest one, as the function `cut` does.

        Raises:
            ValueError: the size is wrong.
        """
        if size < 1:
            raise ValueError(f"cannot cut a crop of {size} pixels")
        across, down = _spans(self._size, to_unit)
        part = self._gray[
            down.start - self._top : down.stop - self._top,
            across.start - self._left : across.stop - self._left,
        ]
        return _warp_part(part, (across.start, down.start), to_unit, size)


def _warp_part(part: Picture, corner: tuple[int, int], to_unit: Matrix, size: int) -> Picture:
    """Return a crop from the gray part of the picture that begins at a corner."""
    left, top = corner
    # How many pixels of the picture one pixel of the crop stands for, along a side.
    shrink = 1.0 / (math.hypot(to_unit[0, 0], to_unit[1, 0]) * size)
    half = 1
    # warpAffine reads four pixels for each of the crop and knows no area interpolation (it takes
    # INTER_AREA for linear). A large face would be subsampled, so it is halved first.
    while shrink >= 2 and min(part.shape) >= 2:
        part = _halve(part)
        half = half * 2
        shrink = shrink / 2
    # Less than 2 is left after halving, but for a part that is a thin strip: hence the bound.
    side = size * min(max(math.ceil(shrink), 1), _MAX_OVERSAMPLING)
    matrix = to_unit * side
    # OpenCV's pixel i covers i − 0.5 … i + 0.5; shift the unit square's corner to that pixel's
    # outer edge.
    matrix[:, 2] += matrix[:, 0] * (left + half / 2) + matrix[:, 1] * (top + half / 2) - 0.5
    matrix[:, :2] *= half
    crop = cv2.warpAffine(
        part, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    if side > size:
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(crop, dtype=np.uint8)


def check_crop(model: str, crop: str | None, known: Collection[str] = (CROP_NAME,)) -> None:
    """Refuse a model that was trained with another crop than those that are cut for its kind.

    Raises:
        ModelError: the crop is another one.
    """
    if crop not in known:
        raise ModelError(
            f"model {model!r} was trained with the crop {crop!r}, this program cuts "
            f"{' or '.join(map(repr, known))} for it. Install a model that was made for this "
            "version of the program."
        )


def check_picture(image: Picture) -> None:
    """Check the type and shape of a picture.

    Raises:
        ValueError: the array is not uint8, gray or BGR.
    """
    is_picture = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if image.dtype != np.uint8 or not is_picture:
        raise ValueError(
            f"a picture is uint8, gray or BGR; got {image.dtype} of shape {image.shape}"
        )


def share_outside(image: Picture, to_unit: Matrix, part: Box = _WHOLE) -> float:
    """Return the share of a part of a crop that lies outside the picture, 0…1.

    `cut` fills that area by repeating the picture's edge.

    Args:
        image: as for `align_face`.
        to_unit: float64, 2 × 3, from pixels of ``image`` to the unit square of the crop.
        part: in the unit square; left out: the whole crop.
    """
    height, width = image.shape[:2]
    square = _corners(to_unit, part)
    # Not by cv2.intersectConvexConvex, which is wrong where edges of the two lie on each other.
    inside = _clip(square, [z.real for z in square])
    inside = _clip(inside, [width - z.real for z in inside])
    inside = _clip(inside, [z.imag for z in inside])
    inside = _clip(inside, [height - z.imag for z in inside])
    # Rounding may leave the share a little outside of 0…1.
    return min(max(1.0 - _area(inside) / _area(square), 0.0), 1.0)


def _corners(to_unit: Matrix, part: Box = _WHOLE) -> list[complex]:
    """Return the corners of a part of the unit square in pixels of the picture, in order."""
    a = complex(to_unit[0, 0], to_unit[1, 0])
    b = complex(to_unit[0, 2], to_unit[1, 2])
    left, top = part.x, part.y
    right, below = left + part.width, top + part.height
    corners = ((left, top), (right, top), (right, below), (left, below))
    return [(complex(*corner) - b) / a for corner in corners]


def _clip(polygon: list[complex], depths: list[float]) -> list[complex]:
    """Return the part of a convex polygon on one side of a line.

    The side is given by each corner's depth: below 0 is beyond the line.
    """
    # Usually the whole crop lies inside: nothing to clip on this side.
    if min(depths, default=0.0) >= 0:
        return polygon
    # One step of polygon clipping (Sutherland and Hodgman 1974).
    kept = []
    for i, (start, before) in enumerate(zip(polygon, depths, strict=True)):
        end = polygon[i - 1]
        after = depths[i - 1]
        # The edge crosses the line: its point on it becomes a corner of what is kept.
        if (before < 0) != (after < 0):
            kept.append(start + (end - start) * (before / (before - after)))
        if before >= 0:
            kept.append(start)
    return kept


def _area(polygon: list[complex]) -> float:
    # The shoelace formula: the imaginary part of conj(z)·w is the cross product of z and w.
    return abs(sum((z.conjugate() * polygon[i - 1]).imag for i, z in enumerate(polygon))) / 2


def _halve(gray: Picture) -> Picture:
    """Return a picture of half the size, each pixel the mean of four.

    An odd last row or column is left out.
    """
    # Even sizes: OpenCV averages 2 × 2 blocks much faster than it does any other ratio.
    width = gray.shape[1] // 2
    height = gray.shape[0] // 2
    even = gray[: height * 2, : width * 2]
    half = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(half, dtype=np.uint8)


def _spans(size: tuple[int, int], to_unit: Matrix) -> tuple[slice, slice]:
    """Return columns and rows under the unit square, at least one each, of a picture so large."""
    corners = _corners(to_unit)
    spans = []
    for values, length in (
        ([z.real for z in corners], size[0]),
        ([z.imag for z in corners], size[1]),
    ):
        start = math.floor(min(max(min(values) - _EDGE, 0), length - 1))
        # At least one pixel, also where the crop lies beside the picture.
        spans.append(slice(start, math.ceil(min(max(max(values) + _EDGE, start + 1), length))))
    return spans[0], spans[1]


def crop_face(image: Picture, face: Face, size: int, crop: str = CROP_NAME) -> Picture:
    """Return a crop of a face as models see it.

    It is cut by the face's landmarks, or by its box where they cannot be used.

    Args:
        image: uint8, height × width × 3 (BGR) or height × width (gray).
        face: in pixels of ``image``.
        size: side of the crop in pixels.
        crop: its name, of ``ZOOMS``: that of the model's card.
    """
    return cut(image, crop_matrix(face, crop), size)


def crop_matrix(face: Face, crop: str = CROP_NAME) -> Matrix:
    """Return the transform from pixels of the picture to the unit square of a face's crop.

    float64, 2 × 3; ``crop`` as for `crop_face`.
    """
    try:
        matrix = landmark_matrix(face.landmarks)
    except ValueError:  # landmarks that coincide
        matrix = box_matrix(face.box)
    return closer(matrix, crop)
