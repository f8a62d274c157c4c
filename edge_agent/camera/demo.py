"""A camera for machines without one: it moves over two real portraits.

The portraits lie in ``portraits/`` and are in the public domain: Eileen Collins, smiling (NASA,
S92-43679), and Grace Hopper, serious (United States Navy); both photographs were made by the United
States government. They are the ones that scikit-image and Matplotlib bring as test pictures.

The picture is a pure function of the seconds since the start. A cycle has 28 s: 12 s of the smiling
woman, 2 s over empty background, 12 s of the serious one, 2 s back. With each portrait the view
zooms, drifts and tilts a little, the light changes, and for about two seconds the picture is darker
and blurred.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge_agent.camera.base import Camera, Pace, closed_error
from edge_agent.camera.decoding import decode_file
from edge_agent.config.camera import Rotation
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import CameraError, CameraReason

if TYPE_CHECKING:
    from edge_agent.core.expression import Image

log = logging.getLogger(__name__)

SMILING = "astronaut"
SERIOUS = "grace_hopper"
"""Names that ``shown_at`` gives."""
SHOWN_S = 12.0
EMPTY_S = 2.0
"""Seconds of each stretch with a face, and of each without."""
_STRETCH_S = SHOWN_S + EMPTY_S
# of the empty stretch, moving away from one portrait, and as long moving to the next
_MOVING_S = 0.7
_REFERENCE_HEIGHT = 480.0  # blur and drift are given for this picture height
_DIM_AT_S = 8.3
_DIM_WIDTH_S = 0.7
FOLDER = Path(__file__).with_name("portraits")


@dataclass(frozen=True, slots=True)
class Portrait:
    """A photograph with the place and height of its face, in pixels."""

    name: str
    file: str
    face_x: float
    face_y: float
    face_height: float


PORTRAITS = (
    Portrait(SMILING, "astronaut.jpg", 223.0, 120.0, 113.0),
    Portrait(SERIOUS, "grace_hopper.jpg", 268.0, 227.0, 212.0),
)


@dataclass(frozen=True, slots=True)
class View:
    """The view of the camera in one instant.

    Attributes:
        x: middle of the view on the wall, in face heights.
        y: likewise, down.
        face: height of a face in the picture, as a share of the picture's height.
        tilt: degrees.
        light: factor on all pixels.
        blur: standard deviation in pixels at a picture height of 480.
    """

    x: float
    y: float
    face: float
    tilt: float
    light: float
    blur: float


def shown_at(seconds: float) -> str | None:
    """Return the portrait in the picture ``seconds`` after the start; ``None`` between two."""
    turn, within = divmod(seconds, _STRETCH_S)
    if within < SHOWN_S:
        return PORTRAITS[int(turn) % 2].name
    return None


class DemoCamera(Camera):
    """Moves over the two portraits for ever.

    Attributes:
        simulated: always true.
        started: when the schedule began; ``shown_at`` counts from here.

    Args:
        width: of the frames, pixels.
        height: of the frames, pixels.
        fps: frames per second.
        rotate: clockwise rotation, degrees.
        seed: varies drift and light; the schedule stays.

    Raises:
        CameraError: a portrait is missing from the installation.

    Example:
        >>> with DemoCamera(width=640, height=480, fps=15) as camera:
        ...     camera.read().image.shape
        (480, 640, 3)
    """

    simulated = True
    repeats = True

    def __init__(
        self, *, width: int, height: int, fps: float, rotate: Rotation = 0, seed: int = 1
    ) -> None:
        super().__init__("demo", rotate)
        self._size = (width, height)
        self._pace = Pace(fps, self._closed)
        self._wall = Wall([load_portrait(portrait) for portrait in PORTRAITS])
        self._phases = np.random.default_rng(seed).uniform(0, 2 * math.pi, 6)
        self._shown: str | None = None
        self.started = clock.now()

    def _next_frame(self) -> tuple[Image, Instant]:
        if not self._pace.wait():
            raise closed_error(self.name)
        at = clock.now()
        seconds = at.seconds_since(self.started)
        if (shown := shown_at(seconds)) != self._shown:
            self._shown = shown
            log.debug("demo camera shows %s", shown or "nobody")
        return self.picture_at(seconds), at

    def picture_at(self, seconds: float) -> Image:
        """Return the picture ``seconds`` after the start, before rotation.

        It is the same for the same seed.
        """
        width, height = self._size
        return self._wall.draw(self.view_at(seconds), width, height)

    def view_at(self, seconds: float) -> View:
        """Return where the camera looks ``seconds`` after its start."""
        turn, within = divmod(seconds, _STRETCH_S)
        here = int(turn) % 2
        way = _smooth((within - SHOWN_S) / _MOVING_S)
        way += _smooth((within - _STRETCH_S + _MOVING_S) / _MOVING_S)
        if way <= 1:
            along = here + (0.5 - here) * way
        else:
            along = 0.5 + (0.5 - here) * (way - 1)
        a, b, c, d, e, f = (float(phase) for phase in self._phases)
        dim = math.exp(-(((within - _DIM_AT_S) / _DIM_WIDTH_S) ** 2))
        return View(
            x=self._wall.distance * along + 0.16 * math.sin(0.53 * seconds + a),
            y=0.14 + 0.10 * math.sin(0.41 * seconds + b),
            # 14 s: each stretch sees near and far
            face=0.34 + 0.12 * math.sin(0.449 * seconds + c),
            tilt=4.0 * math.sin(0.37 * seconds + d),
            light=(1.0 + 0.12 * math.sin(0.61 * seconds + e)) * (1 - 0.35 * dim),
            blur=0.5 + 0.3 * math.sin(0.29 * seconds + f) + 1.3 * dim,
        )


class Wall:
    """The portraits side by side on one large soft background, all faces equally tall.

    The camera looks at parts of it.

    Args:
        portraits: each with its picture, left to right.
    """

    _FACE = 190  # pixels of a face on the wall
    _TOP, _BELOW, _SIDE = 1.9, 3.1, 2.6  # background around the middle of a face, in face heights

    distance = 7.0
    """From one face to the next, in face heights."""

    def __init__(self, portraits: list[tuple[Portrait, Image]]) -> None:
        tiles = [self._tile(portrait, image) for portrait, image in portraits]
        self._pixels = _join_tiles(tiles, round(0.8 * self._FACE))
        self._origin = (self.distance / 2 * self._FACE, self._TOP * self._FACE)

    def draw(self, view: View, width: int, height: int) -> Image:
        """Return the view as a picture: uint8, height × width × 3, BGR."""
        unit = min(height, width * 0.75)  # narrow pictures show a smaller face, not a part of one
        scale = view.face * unit / self._FACE
        x = self._origin[0] + view.x * self._FACE
        y = self._origin[1] + view.y * self._FACE
        turn = cv2.getRotationMatrix2D((x, y), view.tilt, scale)
        turn[:, 2] += np.array([width / 2 - x, height / 2 - y])
        edge = cv2.BORDER_REPLICATE
        seen = cv2.warpAffine(self._pixels, turn, (width, height), borderMode=edge)
        sigma = view.blur * unit / _REFERENCE_HEIGHT
        if sigma > 0.3:
            seen = cv2.GaussianBlur(seen, (0, 0), sigma)
        return np.asarray(cv2.convertScaleAbs(seen, alpha=view.light), dtype=np.uint8)

    def _tile(self, portrait: Portrait, image: Image) -> Image:
        """Return a portrait, its face in the middle, fading into a blurred, darker copy."""
        face = self._FACE
        size = (round(self.distance * face), round((self._TOP + self._BELOW) * face))
        scale = face / portrait.face_height
        place = np.array(
            [
                [scale, 0, size[0] / 2 - scale * portrait.face_x],
                [0, scale, self._TOP * face - scale * portrait.face_y],
            ]
        )
        sharp = cv2.warpAffine(
            image, place, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT_101
        )
        mask = cv2.warpAffine(_feather(image.shape[:2]), place, size)[..., np.newaxis]
        # Blurred at an eighth of the size, where a wide blur costs little.
        small = cv2.resize(sharp, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
        soft = cv2.GaussianBlur(small, (0, 0), 7)
        ground = 0.62 * cv2.resize(soft, size, interpolation=cv2.INTER_CUBIC)
        return np.asarray(np.clip(mask * sharp + (1 - mask) * ground, 0, 255), dtype=np.uint8)


def load_portrait(portrait: Portrait, folder: Path = FOLDER) -> tuple[Portrait, Image]:
    """Read a portrait.

    Raises:
        CameraError: it is missing or damaged.
    """
    path = folder / portrait.file
    try:
        image = decode_file(path)
    except OSError:
        image = None
    if image is None:
        raise CameraError(
            CameraReason.NOT_FOUND,
            f"demo: the portrait {path} is missing or damaged.",
            "Install Affect Edge again, or make a new checkout.",
        )
    return portrait, image


def _feather(shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return a mask of a picture's shape that falls smoothly from 1 inside to 0 at its edges."""
    height, width = shape
    reach = 0.14 * min(height, width)
    across = np.clip(np.minimum(np.arange(width), np.arange(width)[::-1]) / reach, 0, 1)
    down = np.clip(np.minimum(np.arange(height), np.arange(height)[::-1]) / reach, 0, 1)
    across, down = (edge * edge * (3 - 2 * edge) for edge in (across, down))
    return np.asarray(np.outer(down, across), dtype=np.float32)


def _join_tiles(tiles: list[Image], reach: int) -> Image:
    """Return the tiles side by side, the seams made soft over ``reach`` pixels on both sides."""
    wall = np.concatenate(tiles, axis=1)
    position = tiles[0].shape[1]
    around = np.s_[:, position - reach : position + reach]
    seam = wall[around].astype(np.float32)
    weight = np.linspace(0, 1, 2 * reach, dtype=np.float32)[np.newaxis, :, np.newaxis]
    weight = weight * weight * (3 - 2 * weight)
    wall[around] = (seam[:, :1] * (1 - weight) + seam[:, -1:] * weight).astype(np.uint8)
    return wall


def _smooth(value: float) -> float:
    """Return the smoothstep of ``value``: 0 below 0, 1 above 1."""
    value = min(max(value, 0.0), 1.0)
    return value * value * (3 - 2 * value)
