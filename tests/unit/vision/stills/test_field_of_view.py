"""How wide a photograph sees."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from edge_agent.cli.pictures import describe_picture
from edge_agent.vision.stills import field_of_view_deg


def photograph(
    file: Path, length_mm: float | None, size: tuple[int, int] = (36, 24), orientation: int = 1
) -> Path:
    """Save a gray picture as a camera with such a lens would."""
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    if length_mm is not None:
        exif.get_ifd(IFD.Exif)[Base.FocalLengthIn35mmFilm] = length_mm
    Image.new("L", size, 127).save(file, exif=exif)
    return file


def test_it_is_the_angle_of_the_full_frame_with_that_lens(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    # 36 mm wide: 2·atan(18 / f)
    assert field_of_view_deg(photograph(file, 18)) == 90.0
    assert field_of_view_deg(photograph(file, 50)) == pytest.approx(39.6)
    assert field_of_view_deg(photograph(file, 18, (24, 36))) == pytest.approx(67.4)
    assert field_of_view_deg(photograph(file, 18, orientation=6)) == pytest.approx(67.4)


@pytest.mark.parametrize("length_mm", [None, 0])
def test_a_file_that_does_not_say_gives_none(tmp_path: Path, length_mm: float | None) -> None:
    assert field_of_view_deg(photograph(tmp_path / "a.jpg", length_mm)) is None


def test_what_is_no_picture_gives_none(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"Exif\0\0 and no picture")
    assert field_of_view_deg(tmp_path / "a.jpg") is None
    assert field_of_view_deg(tmp_path / "none.jpg") is None
    png = tmp_path / "b.png"
    Image.new("RGB", (4, 4)).save(png)
    assert field_of_view_deg(png) is None


def test_classify_tells_it() -> None:
    line = {"file": "a.jpg", "faces": [], "field_of_view_deg": 62.1}
    assert describe_picture(line) == "a.jpg: no face (sees 62° from left to right)"
