"""Still pictures for ``affect-edge classify``: finding, decoding and classifying them."""

from __future__ import annotations

import math
import os
import struct
import warnings
from collections.abc import Callable, Iterable, Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import IFD, Base

from edge_agent.core.advice import shell_word
from edge_agent.core.errors import PictureError
from edge_agent.core.movements import movements_as_json
from edge_agent.vision.recognizer import FaceReading, Recognizer

FULL_FRAME_DIAGONAL_MM = math.hypot(36, 24)
MAX_PIXELS = 50_000_000
MAX_SIDE = 32_000
"""Faces are cut out by OpenCV, which counts the pixels of a side in 16 bits."""
# EPS, for example, starts Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
"""Formats that are tried. Some others that Pillow knows start programs or read other files."""
SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp"),
    *(".tif", ".tiff", ".gif", ".ppm", ".pgm"),
)
UNREADABLE = (".heic", ".heif", ".avif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw")
"""Formats of photographs that cannot be read: such files are reported, not skipped."""
ORIENTATION = 0x0112
"""The EXIF tag with the rotation of a picture."""


def field_of_view_deg(path: Path) -> float | None:
    """Return the horizontal field of view of a photograph, degrees.

    The focal length equivalent to 35 mm film compares diagonals (CIPA DCG-001, EXIF tag
    ``FocalLengthIn35mmFilm``), so a lens without distortion has the field of view
    2·atan(21.6 mm / f · width / diagonal). ``None`` if the file does not contain the length. If the
    picture was cropped or stretched afterwards, the result is too large.

    Example::

        field_of_view_deg(Path("desk.jpg"))  # 62.1
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                exif = picture.getexif()
                length_mm = float(exif.get_ifd(IFD.Exif).get(Base.FocalLengthIn35mmFilm, 0))
                # Orientations 5 to 8 turn by a quarter: the stored height is the width that people
                # see.
                turned = exif.get(Base.Orientation, 1) in (5, 6, 7, 8)
                width, height = picture.size
    # Pillow reports a broken EXIF block by any of these, by SyntaxError if it is no TIFF structure.
    except (OSError, SyntaxError, ValueError, TypeError, ArithmeticError):
        return None
    if not math.isfinite(length_mm) or length_mm <= 0:
        return None
    seen = (width, height)[turned] / math.hypot(width, height)
    return round(math.degrees(2 * math.atan(FULL_FRAME_DIAGONAL_MM / 2 / length_mm * seen)), 1)


Picture = npt.NDArray[np.uint8]


def load_picture(path: Traversable) -> Picture:
    """Read a picture as it is meant to be seen.

    Its EXIF orientation is applied, transparency becomes white, and only the first of several
    frames is read.

    Args:
        path: a ``Path``, or a place in an archive (``zipfile.Path``).

    Returns:
        uint8, height × width × 3, BGR.

    Raises:
        PictureError: the file is missing, empty, no picture, incomplete, or larger than
            ``MAX_PIXELS`` or ``MAX_SIDE``.
    """
    try:
        with path.open("rb") as file:
            return decode_picture(file, str(path))
    except FileNotFoundError as error:
        raise PictureError(f"{path}: no such file. Check the path.") from error
    except IsADirectoryError as error:
        raise PictureError(
            f"{path}: is a folder without pictures ({', '.join(SUFFIXES)})."
        ) from error
    except PermissionError as error:
        raise PictureError(_locked_text(path)) from error
    except OSError as error:
        raise PictureError(_broken_text(str(path), error)) from error


def decode_picture(file: IO[bytes], shown: str, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read an opened picture as `load_picture` does.

    It takes ten bytes of memory a pixel, with transparency twice as many.

    Args:
        file: at its beginning.
        shown: its name in messages.
        max_pixels: largest picture that is read.

    Raises:
        PictureError: it is empty, no picture, incomplete or too large.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata, and of sizes that we refuse ourselves
            warnings.simplefilter("ignore")
            return _decode(file, shown, max_pixels)
    except UnidentifiedImageError as error:
        raise PictureError(_unknown_format(shown)) from error
    except Image.DecompressionBombError as error:
        raise PictureError(_too_large(shown, "", max_pixels)) from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error) as error:
        # as decoders fail
        raise PictureError(_broken_text(shown, error)) from error


def find_pictures(paths: Iterable[Path]) -> list[Path]:
    """Return the files to read: files as given, and all pictures in folders, sorted by name.

    Photographs of formats that cannot be read, folders without pictures and folders that may not be
    listed are included, so that reading them reports why. Hidden files and folders are left out.
    """
    files: list[Path] = []
    for path in paths:
        files += (_pictures_in(path) or [path]) if _is(path.is_dir, False) else [path]
    return files


def classify_pictures(
    paths: Iterable[Path], recognizer: Recognizer, *, name_all: bool = False
) -> Iterator[dict[str, Any]]:
    """Read pictures and folders one by one; yield a JSON value for each picture.

    A picture that cannot be read gives a line with ``file`` and ``error``, and the rest is still
    read. A face with a flaw has no ``emotion``, except where ``name_all`` asks for it.
    """
    for path in find_pictures(paths):
        try:
            image = load_picture(path)
        except PictureError as error:
            yield describe_error(path, error)
            continue
        yield describe_picture(path, image, recognizer.read_picture(image), name_all=name_all)


def describe_error(path: Path, error: PictureError) -> dict[str, Any]:
    """Return a picture that cannot be read as JSON values."""
    return {"file": str(path), "error": str(error)}


def describe_picture(
    path: Path, image: Picture, readings: Iterable[FaceReading], *, name_all: bool = False
) -> dict[str, Any]:
    """Return a picture and its faces as JSON values, as `describe` does."""
    height, width = image.shape[:2]
    return {
        "file": str(path),
        "width": width,
        "height": height,
        "field_of_view_deg": field_of_view_deg(path),
        "faces": [describe(reading, name_all=name_all) for reading in readings],
    }


def describe(reading: FaceReading, *, name_all: bool = False) -> dict[str, Any]:
    """Return a face as JSON values, in pixels of the picture.

    The box is [x, y, width, height], a landmark [x, y]. A face that is not fit for reading (see its
    ``flaw``) has no ``emotion``: fewer than half of the faces that the frame cuts off are read
    correctly, however sure the model is. ``name_all`` includes it all the same. ``pose``, ``look``
    and ``movements`` are ``None`` where they were not read: for such a face, and with
    ``vision.movements = false``.
    """
    box = reading.face.box
    flaw = reading.reject_reason
    named = flaw is None or name_all
    return {
        "box": [round(value, 2) for value in (box.x, box.y, box.width, box.height)],
        "score": round(reading.face.score, 4),
        "landmarks": [[round(x, 2), round(y, 2)] for x, y in reading.face.landmarks],
        "probabilities": {name: round(p, 6) for name, p in reading.expression.as_dict().items()},
        "emotion": reading.expression.dominant.value if named else None,
        "uncertain": reading.emotion is None,
        "quality": round(reading.quality, 3),
        "flaw": None if flaw is None else flaw.value,
        **movements_as_json(reading.movements),
    }


def _decode(file: IO[bytes], shown: str, max_pixels: int) -> Picture:
    if not file.seekable():
        raise PictureError(f"{shown}: is a pipe or a device. Give the name of a picture file.")
    if not file.read(1):
        raise PictureError(f"{shown}: the file is empty.")
    file.seek(0)
    # A large picture fills a small computer's memory: none is kept longer than it is needed.
    with Image.open(file, formats=FORMATS) as opened:
        if opened.width * opened.height > max_pixels or max(opened.size) > MAX_SIDE:
            size = f"{opened.width} × {opened.height}"
            raise PictureError(_too_large(shown, size, max_pixels))
        picture = _in_eight_bits(opened)
        # In place: a copy would hold the pixels of a large photograph twice.
        ImageOps.exif_transpose(picture, in_place=True)
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        if picture.mode != "RGB":
            picture = picture.convert("RGB")
        rgb = np.asarray(picture, dtype=np.uint8)
        del picture
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _in_eight_bits(picture: Image.Image) -> Image.Image:
    """Scale a gray picture of 16 or 32 bits to 8 bits, where Pillow would clip.

    Other pictures are returned as they are. The brightest pixel decides whether the values have 8
    or 16 bits: values up to 255 would all be black if read as 16 bits.
    """
    if picture.mode == "F":
        raise ValueError(
            "its pixels are floating-point numbers; save it with 8 or 16 bits a channel"
        )
    if not picture.mode.startswith("I"):
        return picture
    values = np.asarray(picture)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("its gray values need more than 16 bits; save it with 8 or 16 bits")
    # 65535 / 255 = 257: white stays white, and an 8-bit picture that was saved with 16 bits comes
    # back exactly.
    scale = 1 if values.max() <= 255 else 257
    eight = Image.fromarray((values // scale).astype(np.uint8))
    eight.getexif()[ORIENTATION] = picture.getexif().get(ORIENTATION, 1)
    return eight


def _too_large(shown: str, size: str, max_pixels: int) -> str:
    with_size = f" with {size}" if size else ""
    return (
        f"{shown}: is too large{with_size}; pictures up to {max_pixels // 1_000_000} megapixels "
        f"and {MAX_SIDE} pixels a side are read. Scale it down."
    )


def _broken_text(shown: str, error: Exception) -> str:
    why = (isinstance(error, OSError) and error.strerror) or str(error)
    return f"{shown}: the picture is broken or cannot be read ({why})."


def _unknown_format(shown: str) -> str:
    """Return the message for a file that is not a picture, or whose format cannot be read."""
    text = f"{shown}: is not a picture that can be read. Formats: {', '.join(FORMATS)}."
    if not shown.lower().endswith(UNREADABLE):
        return text
    first = f"Save it as JPEG first, for example: magick '{shown}' '{shown}.jpg'."
    return f"{text} {first}"


def _is(look: Callable[[], bool], unknown: bool) -> bool:
    """Return a property of a path, or ``unknown`` if access is refused.

    Reading the path later reports why.
    """
    try:
        return look()
    except OSError:
        return unknown


def _locked_text(path: Traversable) -> str:
    if _is(path.is_dir, False):
        return (
            f"{path}: is a folder that this user may not read. Allow it, for example: chmod "
            f"a+rx {shell_word(path)}."
        )
    return (
        f"{path}: this user may not read the file. Allow it, for example: chmod "
        f"a+r {shell_word(path)}."
    )


def _pictures_in(folder: Path) -> list[Path]:
    """Return the pictures in a folder and its subfolders, and the folders that cannot be listed."""
    files: list[Path] = []
    refused: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=refused.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        visible = (Path(place, name) for name in names if not name.startswith("."))
        files += [
            path
            for path in visible
            if path.suffix.lower() in SUFFIXES + UNREADABLE and _is(path.is_file, True)
        ]
    return sorted(files + [Path(error.filename) for error in refused])
