"""Evidence maps and the drawing of `affect-edge classify --explain`.

A map is signed: its values are parts of a logit, positive where a region supports the category and
negative where it speaks against it. The colours are two that people with any colour blindness tell
apart (vermilion and blue of Okabe and Ito 2008), laid over a gray picture with an opacity that
grows with the value, so regions without evidence stay gray.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from edge_agent.core.errors import PictureError
from edge_agent.core.expression import EMOTIONS, Emotion, Expression
from edge_agent.vision.align import Matrix, Picture
from edge_agent.vision.recognizer import Explanation, FaceReading, Recognizer
from edge_agent.vision.stills import describe_error, describe_picture, load_picture

Map = npt.NDArray[np.float32]

SUPPORTS = (213, 94, 0)
AGAINST = (0, 114, 178)
"""RGB."""
STRONGEST = 0.8
"""Opacity of the largest value."""
_LARGEST_PHOTOGRAPH = (900, 720)
_MOST_ENLARGED = 4.0
_FACE = 240  # side of an enlarged crop
_CARD = (540, 320)
_MARGIN = 20
_LEGEND = 72
_MOST_DRAWN = 24
_INK = (32, 33, 36)
_FAINT = (100, 104, 110)
_PAPER = (255, 255, 255)
_BAR = (160, 164, 170)
_BAR_GROUND = (238, 239, 241)


def cells_of(parts: npt.NDArray[np.float32], emotion: Emotion) -> Map:
    """Return the map of one category, height × width, from all parts, height × width × 8."""
    return np.ascontiguousarray(parts[:, :, EMOTIONS.index(emotion)])


def over_crop(cells: Map, side: int) -> Map:
    """Spread the cells of a map, which tile the crop, over it by cubic interpolation.

    By the geometry of its strides a network with 6 × 6 cells looks 3.5 pixels of 48 further left
    and up, but each cell sees half of the face. Measured on 120 PublicTest faces, as the mean
    correlation of a place's evidence with the logit that is lost when the place is blurred: 0.31
    with cells that tile the crop, 0.28 with cells so moved.

    Args:
        cells: float32, h × w.
        side: of the result, in pixels.

    Returns:
        float32, ``side`` × ``side``.
    """
    spread = cv2.resize(cells, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(spread, dtype=np.float32)


def over_picture(values: Map, to_crop: Matrix, width: int, height: int) -> Map:
    """Lay a map of the crop over the picture that the crop was cut from; 0 outside the crop.

    Args:
        values: float32, n × n, of the crop.
        to_crop: float64, 2 × 3, from pixels of the picture to the unit square of the crop.
        width: of the picture.
        height: of the picture.

    Returns:
        float32, ``height`` × ``width``.
    """
    side = values.shape[0]
    matrix = to_crop * side
    # OpenCV counts from the middle of the first pixel
    matrix[:, 2] += matrix[:, :2].sum(axis=1) * 0.5 - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(values, matrix, (width, height), flags=flags)
    return np.asarray(laid, dtype=np.float32)


def corners(to_crop: Matrix) -> npt.NDArray[np.float64]:
    """Return the corners of the crop in pixels of the picture, 4 × 2, clockwise from upper left."""
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    return np.asarray((square - to_crop[:, 2]) @ np.linalg.inv(to_crop[:, :2]).T)


def scale(values: Map) -> Map:
    """Scale a map so that its largest absolute value is 1; a map of zeros stays as it is."""
    # A map of zeros must not divide by zero.
    return np.asarray(values / max(float(np.abs(values).max()), 1e-9), dtype=np.float32)


def tint(gray: Picture, values: Map) -> Picture:
    """Colour a gray picture by a map.

    Args:
        gray: uint8, height × width.
        values: float32, height × width, −1…1: the colour grows stronger from 0 to both ends.

    Returns:
        uint8, height × width × 3, RGB.
    """
    opacity = (STRONGEST * np.clip(np.abs(values), 0, 1))[:, :, None]
    supports, against = (np.array(colour, np.float32) for colour in (SUPPORTS, AGAINST))
    colour = np.where((values > 0)[:, :, None], supports, against)
    mixed = gray[:, :, None] * (1 - opacity) + colour * opacity
    return np.asarray(np.rint(mixed), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class _Face:
    """A face ready to be drawn: its number, and the map of its category over the crop, −1…1."""

    number: int
    explanation: Explanation
    values: npt.NDArray[np.float32]

    @classmethod
    def of(cls, number: int, explanation: Explanation) -> _Face:
        cells = cells_of(explanation.parts, explanation.reading.expression.dominant)
        return cls(number, explanation, scale(over_crop(cells, _FACE)))


def draw_explanations(image: Picture, explanations: Sequence[Explanation]) -> Image.Image:
    """Draw the evidence for the label of each face.

    On the left the photograph in gray, with the map of each face's most probable category over it;
    beside it each face as the classifier saw it, with its map and its eight probabilities. Each
    face has its own scale of colours.

    Args:
        image: uint8, height × width × 3 (BGR) or height × width (gray): the photograph.
        explanations: its faces, at least one.
    """
    faces = [_Face.of(i, explanation) for i, explanation in enumerate(explanations, start=1)]
    photograph = _photograph(image, faces)
    down = max(1, round(photograph.height / _CARD[1]))
    columns = math.ceil(len(faces) / down)
    height = max(photograph.height, min(down, len(faces)) * _CARD[1])
    width = photograph.width + columns * (_CARD[0] + _MARGIN)
    canvas = Image.new("RGB", (width + 2 * _MARGIN, height + _LEGEND + 2 * _MARGIN), _PAPER)
    canvas.paste(photograph, (_MARGIN, _MARGIN))
    for place, face in enumerate(faces):
        column, row = divmod(place, down)
        left = photograph.width + 2 * _MARGIN + column * (_CARD[0] + _MARGIN)
        canvas.paste(_card(face), (left, _MARGIN + row * _CARD[1]))
    canvas.paste(_legend(width), (_MARGIN, height + 2 * _MARGIN))
    return canvas


def headline(reading: FaceReading) -> str:
    """Return the label of a face: flaw, category or *uncertain*, and the largest probability."""
    dominant = reading.expression.dominant.value
    sure = percent(reading.expression.confidence)
    if reading.reject_reason is not None:
        return f"{reading.reject_reason.value.replace('_', ' ')}: {dominant} {sure}"
    if reading.emotion is not None:
        return f"{dominant} {sure}"
    return f"uncertain: {dominant} {sure}"


def percent(probability: float) -> str:
    """Format a probability for the drawing."""
    return f"{probability:.1%}".replace("%", " %")


def explain_picture(
    path: Path, recognizer: Recognizer, *, name_all: bool = False
) -> tuple[dict[str, Any], Image.Image | None]:
    """Read one picture and return its JSON line (see `classify_pictures`) and its drawing.

    There is no drawing of a picture without faces; of many faces, the surest are drawn.

    Raises:
        ModelError: the classifier was exported without the evidence of regions.
    """
    try:
        image = load_picture(path)
    except PictureError as error:
        return describe_error(path, error), None
    explanations = recognizer.explain_picture(image)
    readings = [explanation.reading for explanation in explanations]
    line = describe_picture(path, image, readings, name_all=name_all)
    if not explanations:
        return line, None
    return line, draw_explanations(image, explanations[:_MOST_DRAWN])


def check_place(drawing: Path, picture: Path) -> None:
    """Check before the work begins that a drawing of a picture can be written.

    Raises:
        PictureError: the name is not that of a PNG, its folder is missing, it is a folder, or it is
            the picture itself.
    """
    if drawing.suffix.lower() != ".png":
        raise PictureError(f"{drawing}: a drawing is a PNG; give it a name that ends in .png.")
    try:
        if not drawing.parent.is_dir():
            raise PictureError(f"{drawing}: there is no folder {drawing.parent}; make it first.")
        if drawing.is_dir():
            raise PictureError(
                f"{drawing}: is a folder; name a file in it, such as {drawing / 'evidence.png'}."
            )
        if drawing.exists() and picture.exists() and drawing.samefile(picture):
            raise PictureError(
                f"{drawing}: is the picture itself and would be overwritten; choose another name."
            )
    except OSError as error:
        raise PictureError(f"{drawing}: cannot be written ({error.strerror}).") from error


def save_png(drawing: Image.Image, path: Path) -> None:
    """Write a drawing whole or not at all.

    Raises:
        PictureError: it cannot be written there.
    """
    # To memory first: the file is written at once, or not begun.
    content = BytesIO()
    drawing.save(content, format="PNG")
    # Beside the target, for a file can only be renamed within one disk.
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content.getvalue())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise PictureError(
            f"{path}: the drawing cannot be written ({error.strerror or error})."
        ) from error


def _photograph(image: Picture, faces: Sequence[_Face]) -> Image.Image:
    """Return the photograph in gray at a handy size, with maps, outlines and numbers."""
    gray: npt.NDArray[Any] = image
    if image.ndim != 2:
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    full = gray.shape[::-1]
    scale = min(_LARGEST_PHOTOGRAPH[0] / full[0], _LARGEST_PHOTOGRAPH[1] / full[1], _MOST_ENLARGED)
    width, height = (max(round(side * scale), 1) for side in full)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = np.asarray(cv2.resize(gray, (width, height), interpolation=way), dtype=np.uint8)
    # `to_crop` takes pixels of the whole photograph; this brings those of the scaled one to them.
    enlarge = np.array([full[0] / width, full[1] / height, 1.0])
    values = np.zeros((height, width), dtype=np.float32)
    for face in faces:
        one = over_picture(face.values, face.explanation.to_crop * enlarge, width, height)
        # Crops of neighbours overlap. Their maps belong to different categories, so a sum would
        # mean nothing: the stronger of the two is drawn.
        values = np.where(np.abs(one) > np.abs(values), one, values)
    outlines = [corners(face.explanation.to_crop * enlarge) for face in faces]
    drawing = Image.fromarray(_draw_outlines(tint(small, values), outlines))
    pen = ImageDraw.Draw(drawing)
    # Pillow brings this font along; a Raspberry Pi without a desktop has no fonts installed.
    font = ImageFont.load_default(18)
    for face, outline in zip(faces, outlines, strict=True):
        # A corner may lie outside; the number must not.
        x, y = (max(float(value), 0.0) for value in outline[0])
        pen.rectangle((x, y, x + 12 + font.getlength(str(face.number)), y + 26), fill=_PAPER)
        pen.text((x + 6, y + 3), str(face.number), font=font, fill=_INK)
    return drawing


def _draw_outlines(picture: Picture, outlines: Sequence[npt.NDArray[np.float64]]) -> Picture:
    """Draw the edge of what the classifier saw of each face.

    By OpenCV, since Pillow draws no smooth lines.
    """
    # with 4 bits below the pixel
    paths = [np.rint(outline * 16).astype(np.int32) for outline in outlines]
    for colour, width in ((_INK, 4), (_PAPER, 2)):
        cv2.polylines(picture, paths, True, colour, width, cv2.LINE_AA, shift=4)
    return picture


def _card(face: _Face) -> Image.Image:
    """Return one face: number, label, its crop with the map, its probabilities."""
    card = Image.new("RGB", _CARD, _PAPER)
    pen = ImageDraw.Draw(card)
    reading = face.explanation.reading
    title = f"{face.number}   {headline(reading)}"
    pen.text((0, 0), title, font=ImageFont.load_default(20), fill=_INK)
    large = cv2.resize(face.explanation.crop, (_FACE, _FACE), interpolation=cv2.INTER_CUBIC)
    card.paste(Image.fromarray(tint(np.asarray(large, np.uint8), face.values)), (0, 34))
    _bars(pen, reading.expression, _FACE + 20, 34)
    cells = cells_of(face.explanation.parts, reading.expression.dominant)
    strongest = cells.flat[np.abs(cells).argmax()]
    legend = f"strongest region {strongest:+.2f}, all regions {cells.sum():+.2f}"
    pen.text((0, 34 + _FACE + 6), legend, font=ImageFont.load_default(14), fill=_FAINT)
    return card


def _bars(pen: ImageDraw.ImageDraw, expression: Expression, left: int, top: int) -> None:
    """Draw the eight probabilities, one a line."""
    font = ImageFont.load_default(15)
    step = _FACE // len(expression.probabilities)
    for i, (name, probability) in enumerate(expression.as_dict().items()):
        y = top + i * step + step // 2
        ink, bar = (_INK, _INK) if name == expression.dominant.value else (_FAINT, _BAR)
        pen.text((left, y), name, font=font, fill=ink, anchor="lm")
        pen.rectangle((left + 92, y - 7, left + 210, y + 7), fill=_BAR_GROUND)
        if length := round(probability * 118):
            pen.rectangle((left + 92, y - 7, left + 92 + length, y + 7), fill=bar)
        pen.text((left + 272, y), percent(probability), font=font, fill=ink, anchor="rm")


def _legend(width: int) -> Image.Image:
    """Return the legend of the colours."""
    legend = Image.new("RGB", (width, _LEGEND), _PAPER)
    pen = ImageDraw.Draw(legend)
    font = ImageFont.load_default(15)
    small = ImageFont.load_default(13)
    values = np.linspace(-1, 1, 200, dtype=np.float32)[None].repeat(16, axis=0)
    legend.paste(Image.fromarray(tint(np.full(values.shape, 235, np.uint8), values)), (112, 0))
    pen.text((104, 8), "speaks against", font=font, fill=_INK, anchor="rm")
    supports = "supports the category named above the face"
    pen.text((320, 8), supports, font=font, fill=_INK, anchor="lm")
    explanation = (
        "Colour: what a region adds to the classifier's score (logit) of that category, each face "
        "on its own scale.\nAll regions together make the score. It explains the classifier, not "
        "the person."
    )
    pen.multiline_text((0, 28), explanation, font=small, fill=_FAINT, spacing=5)
    return legend
