"""How wide a photograph sees, by what its camera wrote into the file."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

from PIL import Image
from PIL.ExifTags import IFD, Base

FULL_FRAME_DIAGONAL_MM = math.hypot(36, 24)


def field_of_view_deg(path: Path) -> float | None:
    """Return the angle that a photograph sees from its left to its right edge, degrees.

    The focal length equivalent to 35 mm film compares diagonals (CIPA DCG-001, EXIF tag
    ``FocalLengthIn35mmFilm``), so that a lens without distortion sees
    2·atan(21.6 mm / f · width / diagonal). ``None`` where the file says no such length. A picture
    that was cut or scaled unequally afterwards sees less than its file says.

    Example::

        field_of_view_deg(Path("desk.jpg"))  # 62.1
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                exif = picture.getexif()
                length_mm = float(exif.get_ifd(IFD.Exif).get(Base.FocalLengthIn35mmFilm, 0))
                turned = exif.get(Base.Orientation, 1) in (5, 6, 7, 8)
                width, height = picture.size
    except (OSError, SyntaxError, ValueError, TypeError, ArithmeticError):
        return None
    if not math.isfinite(length_mm) or length_mm <= 0:
        return None
    seen = (width, height)[turned] / math.hypot(width, height)
    return round(math.degrees(2 * math.atan(FULL_FRAME_DIAGONAL_MM / 2 / length_mm * seen)), 1)
