"""Scenes composed of photographs.

Training scenes of the detector: photographs pasted at many sizes, with changed light.

A scene is either one photograph turned and scaled so that one of its faces gets a chosen size at a
chosen place, over another photograph or a plain ground, or a grid of photographs. Labels follow; a
face that is mostly cut off or covered becomes an ignored region, so that the detector is neither
rewarded nor punished for it.

Drawn grounds without a face: stripes, checks, rings, discs, soft spots, lettering, wheels.

A detector stays calm.
"""

from __future__ import annotations

import math
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent.vision.faces.detector import SHRINK_AT_ONCE
from training.faces.labelling import Picture
from training.faces.photographs import FaceBoxes, Photographs, determinant, join
from training.learning.recipe import RecipeSection

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdeghmnopqsu0123456789&@?!"
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
)
GRIDS = ((1, 2), (2, 2), (2, 3), (3, 4))


def draw_pattern(width: int, height: int, random: np.random.Generator) -> Picture:
    """Return a pattern of two colours or of soft spots, uint8, height × width × 3, BGR."""
    kind = int(random.integers(6))
    if kind == 0:
        return _soft_spots(width, height, random)
    if kind == 1:
        return _shapes(width, height, random)
    if kind == 4:
        return _lettering(width, height, random)
    if kind == 5:
        return _wheels(width, height, random)
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    angle = random.uniform(0, np.pi)
    period = random.uniform(4, 60)
    along = xs * np.cos(angle) + ys * np.sin(angle)
    across = ys * np.cos(angle) - xs * np.sin(angle)
    wave = np.sin(2 * np.pi / period * along)
    if kind == 2 and random.random() < 0.5:  # checks
        wave = wave * np.sin(2 * np.pi / (period * random.uniform(0.5, 2)) * across)
    elif kind == 3:  # rings
        wave = np.sin(
            2
            * np.pi
            / period
            * np.hypot(xs - random.uniform(0, width), ys - random.uniform(0, height))
        )
    share = (np.clip(wave * random.uniform(0.5, 8), -1, 1)[:, :, None] + 1) / 2
    dark, light = random.uniform(0, 256, (2, 3))
    return np.asarray(dark + (light - dark) * share, dtype=np.uint8)


def _soft_spots(width: int, height: int, random: np.random.Generator) -> Picture:
    """Random colours, smoothly joined: clouds, skin, folds of cloth."""
    columns, rows = random.integers(2, 24, 2)
    small = random.integers(0, 256, (rows, columns, 3)).astype(np.float32)
    spread = random.uniform(0.1, 1.0)
    toned = small.mean(axis=(0, 1)) + (small - small.mean(axis=(0, 1))) * spread
    large = cv2.resize(toned, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(large, 0, 255), dtype=np.uint8)


def _plain(width: int, height: int, random: np.random.Generator) -> Picture:
    picture = np.empty((height, width, 3), dtype=np.uint8)
    picture[:] = random.integers(0, 256, 3)
    return picture


def _color(random: np.random.Generator) -> tuple[float, ...]:
    return tuple(float(value) for value in random.integers(0, 256, 3))


def _lettering(width: int, height: int, random: np.random.Generator) -> Picture:
    """Letters and figures of all sizes, upright or leaning: signs, badges, prints on shirts."""
    picture = _plain(width, height, random)
    for _ in range(int(random.integers(2, 10))):
        letters = "".join(random.choice(list(LETTERS), int(random.integers(1, 6))))
        font = int(random.choice(FONTS)) | (cv2.FONT_ITALIC if random.random() < 0.25 else 0)
        size = float(np.exp(random.uniform(np.log(0.4), np.log(3.5))))
        place = (int(random.integers(-20, width)), int(random.integers(0, height + 20)))
        thickness = max(round(size * float(random.uniform(0.8, 4))), 1)
        cv2.putText(picture, letters, place, font, size, _color(random), thickness, cv2.LINE_AA)
    return picture


def _wheels(width: int, height: int, random: np.random.Generator) -> Picture:
    """Discs in discs with spokes and a hub: wheels, lamps, clocks, plates."""
    picture = _plain(width, height, random)
    for _ in range(int(random.integers(1, 7))):
        middle = (int(random.integers(width)), int(random.integers(height)))
        radius = float(np.exp(random.uniform(np.log(8), np.log(80))))
        flat = float(random.uniform(0.5, 1))
        turn = float(random.uniform(0, 180))
        for share in (1.0, random.uniform(0.6, 0.95), random.uniform(0.1, 0.5)):
            axes = (max(round(radius * share), 1), max(round(radius * share * flat), 1))
            if random.random() < 0.6:
                filled = -1
            else:
                filled = max(round(radius * float(random.uniform(0.05, 0.2))), 1)
            cv2.ellipse(picture, middle, axes, turn, 0, 360, _color(random), filled, cv2.LINE_AA)
        spokes = int(random.integers(0, 13))
        color = _color(random)
        thickness = max(round(radius / 20), 1)
        for angle in np.linspace(0, 2 * np.pi, spokes, endpoint=False):
            end = (
                round(middle[0] + radius * float(np.cos(angle))),
                round(middle[1] + radius * float(np.sin(angle))),
            )
            cv2.line(picture, middle, end, color, thickness, cv2.LINE_AA)
    return picture


def _shapes(width: int, height: int, random: np.random.Generator) -> Picture:
    """Filled ellipses, boxes and bars on one colour: balls, plates, furniture, fingers."""
    picture = _plain(width, height, random)
    for _ in range(int(random.integers(1, 14))):
        middle = (int(random.integers(width)), int(random.integers(height)))
        size = (int(random.integers(4, 70)), int(random.integers(4, 70)))
        color = _color(random)
        turn = float(random.uniform(0, 180))
        if random.random() < 0.5:
            cv2.ellipse(picture, (middle, size, turn), color, -1)
        else:
            corners = cv2.boxPoints((middle, size, turn))
            cv2.fillConvexPoly(picture, np.rint(corners).astype(np.int32), color)
    return picture


class Composition(RecipeSection):
    """The composition of scenes. Sizes are square roots of box areas in pixels of the scene."""

    smallest: Annotated[float, Field(gt=0, description="faces below are ignored")] = 9.0
    sizes: Annotated[
        tuple[float, float], Field(description="chosen sizes, evenly on a logarithmic scale")
    ] = (11, 230)
    largest_enlargement: Annotated[float, Field(ge=1, description="of a photograph")] = 3.0
    grid: Annotated[float, Field(ge=0, le=1, description="share of scenes that are grids")] = 0.45
    over_photograph: Annotated[
        float, Field(ge=0, le=1, description="share of the others with one behind")
    ] = 0.75
    faceless: Annotated[
        float, Field(ge=0, le=1, description="share of photographs cut to a part without faces")
    ] = 0.12
    pattern: Annotated[
        float, Field(ge=0, le=1, description="share of the others with a drawn pattern behind")
    ] = 0.5
    turn: Annotated[float, Field(ge=0, le=180, description="largest usual turn, degrees")] = 35.0
    gray: Annotated[float, Field(ge=0, le=1, description="share of gray scenes")] = 0.2
    light: Annotated[
        float, Field(ge=0, le=1, description="largest change of contrast and brightness")
    ] = 0.45
    dark: Annotated[float, Field(ge=0, le=1, description="share of scenes with little light")] = 0.2
    least_light: Annotated[
        float, Field(gt=0, le=1, description="share left in the darkest of them")
    ] = 0.12
    blur: Annotated[float, Field(ge=0, le=1, description="share of blurred scenes")] = 0.25
    noise: Annotated[float, Field(ge=0, le=1, description="share of noisy scenes")] = 0.3
    jpeg: Annotated[
        float, Field(ge=0, le=1, description="share of scenes compressed once more")
    ] = 0.15


class Composer:
    """Makes scenes from labelled photographs.

    Args:
        photographs: what scenes are made of.
        width, height: of a scene.
        how: the bounds of the changes.
    """

    def __init__(self, photographs: Photographs, width: int, height: int, how: Composition) -> None:
        self._pictures = photographs.pictures
        self._faces = photographs.faces
        self._reached = np.cumsum(photographs.weights)
        self._width = width
        self._height = height
        self._how = how

    def scene(self, first: int, random: np.random.Generator) -> tuple[Picture, FaceBoxes]:
        """Return a scene in which photograph number ``first`` has a part.

        All else is drawn from ``random``.
        """
        how = self._how
        if random.random() < how.grid:
            scene, faces = self._grid(first, random)
        else:
            scene, faces = self._ground(random)
            scene, faces = self._paste(scene, faces, first, random)
        return change_light(scene, how, random), faces.without_small(how.smallest)

    def _any(self, random: np.random.Generator) -> int:
        # Rounding may leave the last sum a little below 1, and a draw above it.
        return min(
            int(np.searchsorted(self._reached, random.random(), side="right")),
            len(self._pictures) - 1,
        )

    def _ground(self, random: np.random.Generator) -> tuple[Picture, FaceBoxes]:
        """Return a background: a photograph over the whole scene, a pattern, or one colour."""
        if random.random() < self._how.over_photograph:
            return self._cover(self._any(random), self._width, self._height, random)
        if random.random() < self._how.pattern:
            return draw_pattern(self._width, self._height, random), FaceBoxes.of(())
        plain = np.empty((self._height, self._width, 3), dtype=np.uint8)
        plain[:] = (
            random.integers(0, 256, 3) if random.random() < 0.5 else random.choice([0, 114, 255])
        )
        return plain, FaceBoxes.of(())

    def _paste(
        self, scene: Picture, behind: FaceBoxes, number: int, random: np.random.Generator
    ) -> tuple[Picture, FaceBoxes]:
        """Lay a photograph over the scene so that one of its faces gets a drawn size and place."""
        picture = self._pictures[number]
        faces = self._faces[number]
        matrix = self._placement(picture, faces, random)
        shrunk, matrix_shrunk = _shrink_first(picture, matrix, random)
        # Outside the photograph the scene stays: it is the ground that was drawn before.
        cv2.warpAffine(
            shrunk,
            for_opencv(matrix_shrunk),
            (self._width, self._height),
            dst=scene,
            borderMode=cv2.BORDER_TRANSPARENT,
        )
        height, width = picture.shape[:2]
        # By the matrix itself: only OpenCV's sampling counts from the middles of pixels.
        corners = (
            np.array([(0, 0), (width, 0), (width, height), (0, height)]) @ matrix[:, :2].T
            + matrix[:, 2]
        )
        mask = np.zeros((self._height, self._width), dtype=np.uint8)
        # Faces of the ground that lie behind the photograph are no longer to be found.
        cv2.fillConvexPoly(mask, np.rint(corners).astype(np.int32), 1)
        above = faces.move(matrix).within(0, 0, self._width, self._height)
        return scene, join([behind.behind(mask), above])

    def _placement(
        self, picture: Picture, faces: FaceBoxes, random: np.random.Generator
    ) -> NDArray[np.float64]:
        height, width = picture.shape[:2]
        sure = np.flatnonzero(~faces.ignore)
        target = random.uniform((0.05, 0.05), (0.95, 0.95)) * (self._width, self._height)
        if len(sure):
            chosen = random.choice(sure)
            size = math.exp(random.uniform(*np.log(self._how.sizes)))
            scale = min(size / float(faces.sizes[chosen]), self._how.largest_enlargement)
            center = faces.boxes[chosen].reshape(2, 2).mean(axis=0)
            # The middle stays so far inside that at most about a seventh of the face hangs out.
            room = size * 0.35
            target = np.clip(
                target, room, (max(self._width - room, room), max(self._height - room, room))
            )
        else:
            scale = max(self._width / width, self._height / height) * random.uniform(0.6, 1.6)
            center = np.array((width, height)) / 2
        turn = self._turn(random)
        mirror = -1.0 if random.random() < 0.5 else 1.0
        linear = scale * np.array(
            [[math.cos(turn) * mirror, -math.sin(turn)], [math.sin(turn) * mirror, math.cos(turn)]]
        )
        # The middle of the face, or of the photograph, comes to the drawn place.
        return np.column_stack([linear, target - linear @ center])

    def _turn(self, random: np.random.Generator) -> float:
        """Draw a turn in radians: none in one of ten cases, up to twice the usual in another."""
        degrees = random.uniform(-1, 1) * self._how.turn * (2.0 if random.random() < 0.1 else 1.0)
        if random.random() < 0.9:
            return math.radians(degrees)
        return 0.0

    def _grid(self, first: int, random: np.random.Generator) -> tuple[Picture, FaceBoxes]:
        """Photographs side by side, each covering its cell."""
        rows, columns = GRIDS[random.integers(len(GRIDS))]
        scene = np.zeros((self._height, self._width, 3), dtype=np.uint8)
        parts: list[FaceBoxes] = []
        xs = np.linspace(0, self._width, columns + 1).astype(int)
        ys = np.linspace(0, self._height, rows + 1).astype(int)
        # The photograph that the scene was drawn for has one cell; the others are drawn by weight.
        place = random.integers(rows * columns)
        for i in range(rows * columns):
            left = int(xs[i % columns])
            right = int(xs[i % columns + 1])
            top = int(ys[i // columns])
            bottom = int(ys[i // columns + 1])
            number = first if i == place else self._any(random)
            cell, faces = self._cover(number, right - left, bottom - top, random)
            scene[top:bottom, left:right] = cell
            parts.append(faces.move(np.array([[1.0, 0.0, left], [0.0, 1.0, top]])))
        return scene, join(parts)

    def _cover(
        self, number: int, width: int, height: int, random: np.random.Generator
    ) -> tuple[Picture, FaceBoxes]:
        """Return a part of a photograph that fills a rectangle.

        Sometimes one in which there is no face.
        """
        picture = self._pictures[number]
        faces = self._faces[number]
        full_height, full_width = picture.shape[:2]
        least = max(width / full_width, height / full_height)
        zoom = math.exp(random.uniform(0, math.log(1.8)))
        faceless = random.random() < self._how.faceless
        # Some parts of a photograph hold a face whatever is cut, so it is tried a few times and
        # then left.
        for _ in range(6 if faceless else 1):
            scale = least * (random.uniform(1.5, 4.0) if faceless else zoom)
            shift = -random.random(2) * (full_width * scale - width, full_height * scale - height)
            mirror = random.random() < 0.5
            linear = np.array([[-scale if mirror else scale, 0.0], [0.0, scale]])
            # Mirrored, the picture lies left of 0: it is brought back by its width.
            shift = shift + ((full_width * scale, 0.0) if mirror else (0.0, 0.0))
            matrix = turn_about(
                np.column_stack([linear, shift]), self._turn(random), (width / 2, height / 2)
            )
            placed = faces.move(matrix)
            if faceless and not (placed.share_in(0, 0, width, height) > 0).any():
                break
        shrunk, matrix = _shrink_first(picture, matrix, random)
        cell = cv2.warpAffine(
            shrunk, for_opencv(matrix), (width, height), borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(cell, dtype=np.uint8), placed.within(0, 0, width, height)


def turn_about(
    matrix: NDArray[np.float64], radians: float, about: tuple[float, float]
) -> NDArray[np.float64]:
    """``matrix`` (2 × 3), then a clockwise turn about a point."""
    cosine = math.cos(radians)
    sine = math.sin(radians)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([turn @ matrix[:, :2], turn @ (matrix[:, 2] - about) + about])


def _shrink_first(
    picture: Picture, matrix: NDArray[np.float64], random: np.random.Generator
) -> tuple[Picture, NDArray[np.float64]]:
    """Average a picture that will become much smaller to the size of a camera's frame.

    The agent only samples such a frame.
    """
    # By a drawn part of the way: the rest is sampled, as the agent samples a frame.
    scale = math.sqrt(abs(determinant(matrix))) * random.uniform(1, 1 / SHRINK_AT_ONCE)
    if scale > 0.75:
        return picture, matrix
    height, width = picture.shape[:2]
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    back = np.array([width / size[0], height / size[1]])
    shrunk = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, dtype=np.uint8), np.column_stack([matrix[:, :2] * back, matrix[:, 2]])


def for_opencv(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Change a matrix for pixels that cover i…i + 1 to OpenCV's, which are centred on i."""
    shift = matrix[:, 2] + matrix[:, :2] @ (0.5, 0.5) - 0.5
    return np.column_stack([matrix[:, :2], shift])


def change_light(scene: Picture, how: Composition, random: np.random.Generator) -> Picture:
    """Change the light and colour of a scene, and degrade it as a camera would.

    Gamma, contrast, brightness, colour; blur, noise, compression, gray.
    """
    if random.random() < how.gray:
        # Three equal channels: the network takes colours.
        scene = np.repeat(cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY)[:, :, None], 3, axis=2)
        tint = np.zeros(3)
    else:
        tint = random.uniform(-0.12, 0.12, 3)
    levels = np.arange(256, dtype=np.float64) / 255
    gamma = math.exp(random.uniform(-1, 1) * how.light)
    contrast = 1 + random.uniform(-1, 0.6) * how.light
    brightness = random.uniform(-1, 1) * how.light * 0.4
    # One curve for each colour, in a table of 256: quicker than arithmetic on every pixel.
    curve = ((levels**gamma)[:, None] - 0.5) * contrast * (1 + tint) + 0.5 + brightness
    if random.random() < how.dark:
        left = math.exp(random.uniform(math.log(how.least_light), 0))
    else:
        left = 1.0
    table = np.asarray(np.clip(curve * 255 * left, 0, 255), dtype=np.uint8)
    scene = np.asarray(cv2.LUT(scene, table[None]), dtype=np.uint8)
    if random.random() < how.blur:
        scene = _blur(scene, random)
    if random.random() < how.noise:
        # One grain for all three colours: noise of brightness.
        grain = random.standard_normal(scene.shape[:2], dtype=np.float32) * random.uniform(2, 14)
        scene = np.asarray(np.clip(scene + grain[:, :, None], 0, 255), dtype=np.uint8)
    if random.random() < how.jpeg:
        _, packed = cv2.imencode(
            ".jpg", scene, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(25, 85))]
        )
        scene = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(scene)


def _blur(scene: Picture, random: np.random.Generator) -> Picture:
    """Out of focus, or moved while the shutter was open."""
    if random.random() < 0.6:
        return np.asarray(cv2.GaussianBlur(scene, (0, 0), random.uniform(0.5, 2.0)), dtype=np.uint8)
    length = int(random.integers(2, 7))
    kernel = np.zeros((7, 7), dtype=np.float32)
    angle = random.uniform(0, math.pi)
    end = (3 + round(length / 2 * math.cos(angle)), 3 + round(length / 2 * math.sin(angle)))
    cv2.line(kernel, (6 - end[0], 6 - end[1]), end, 1.0)
    return np.asarray(cv2.filter2D(scene, -1, kernel / kernel.sum()), dtype=np.uint8)
