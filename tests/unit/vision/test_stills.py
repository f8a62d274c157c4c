"""Pictures are found, decoded as they are meant to be seen, and classified one by one."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from edge_agent.core.errors import PictureError
from edge_agent.core.expression import EMOTIONS
from edge_agent.vision.recognizer import Recognizer, open_recognizer
from edge_agent.vision.stills import (
    MAX_PIXELS,
    MAX_SIDE,
    classify_pictures,
    field_of_view_deg,
    find_pictures,
    load_picture,
)
from tests.support.vision.cameras import open_folder, without_rights
from tests.support.vision.portraits import SERIOUS_FILE, smiling

RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)  # BGR


def save(path: Path, picture: Image.Image, **options: Any) -> Path:
    picture.save(path, **options)
    return path


def half_red_half_blue() -> Image.Image:
    """40 × 20, red on the left and blue on the right."""
    picture = Image.new("RGB", (40, 20), (255, 0, 0))
    picture.paste((0, 0, 255), (20, 0, 40, 20))
    return picture


def refusal(path: Path) -> str:
    with pytest.raises(PictureError) as refused:
        load_picture(path)
    assert str(refused.value).startswith(str(path))
    return str(refused.value)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "gif", "webp"])
def test_a_colour_picture_comes_as_blue_green_red(suffix: str, tmp_path: Path) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    image = load_picture(save(tmp_path / f"a.{suffix}", half_red_half_blue(), **options))
    assert image.dtype == np.uint8 and image.shape == (20, 40, 3)
    assert image.flags["C_CONTIGUOUS"]
    assert tuple(image[10, 5]) == RED
    assert tuple(image[10, 35]) == BLUE


@pytest.mark.parametrize(
    ("orientation", "shape", "red_at"),
    [(1, (20, 40), (10, 5)), (3, (20, 40), (10, 35)), (6, (40, 20), (5, 10))],
)
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_the_orientation_that_a_camera_wrote_is_honoured(
    suffix: str, orientation: int, shape: tuple[int, int], red_at: tuple[int, int], tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = load_picture(save(tmp_path / f"turned.{suffix}", half_red_half_blue(), exif=exif))
    assert image.shape[:2] == shape
    blue, _, red = (int(v) for v in image[red_at])
    assert red > 200 and blue < 60


@pytest.mark.parametrize(
    ("mode", "colour", "level"), [("L", 77, 77), ("CMYK", (0, 0, 0, 0), 254)], ids=["gray", "print"]
)
def test_other_colours_become_three_channels(
    mode: str, colour: Any, level: int, tmp_path: Path
) -> None:
    image = load_picture(save(tmp_path / "a.jpg", Image.new(mode, (8, 6), colour)))
    assert image.shape == (6, 8, 3)
    assert np.abs(image.astype(int) - level).max() <= 1


@pytest.mark.parametrize("dtype", [np.int32, np.uint16])
def test_eight_bit_gray_in_a_deeper_file_is_not_taken_for_black(
    dtype: type[np.generic], tmp_path: Path
) -> None:
    values = np.tile(np.arange(256, dtype=dtype), (4, 1))
    image = load_picture(save(tmp_path / "deep.tif", Image.fromarray(values)))
    assert image[0, :, 0].tolist() == list(range(256))


def test_sixteen_bit_gray_is_scaled_not_clipped_and_orientation_honoured(tmp_path: Path) -> None:
    values = np.full((10, 20), 200 * 257, dtype=np.uint16)
    values[:, 10:] = 20 * 257
    exif = Image.Exif()
    exif[0x0112] = 6
    image = load_picture(save(tmp_path / "deep.png", Image.fromarray(values), exif=exif))
    assert image.shape == (20, 10, 3)
    assert image[0, 0, 0] == 200 and image[-1, -1, 0] == 20


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.linspace(0, 1, 12, dtype=np.float32), "floating-point numbers; save it with 8 or 16"),
        (np.linspace(0, 255, 12, dtype=np.float32), "floating-point numbers"),
        (np.array([0, 1_000_000], dtype=np.int32), "more than 16 bits"),
    ],
)
def test_pixels_beyond_sixteen_bits_are_refused_not_black(
    values: Any, said: str, tmp_path: Path
) -> None:
    assert said in refusal(save(tmp_path / "deep.tif", Image.fromarray(values.reshape(2, -1))))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_are_seen_on_white(mode: str, tmp_path: Path) -> None:
    picture = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    picture.paste((204, 204, 204, 255), (0, 0, 10, 10))
    shown = picture.convert(mode)
    options = {"transparency": shown.getpixel((15, 5))} if mode == "P" else {}
    image = load_picture(save(tmp_path / "a.png", shown, **options))
    assert tuple(image[5, 15]) == (255, 255, 255)
    assert tuple(image[5, 5]) == (204, 204, 204)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.jpg", None, "no such file"),
        ("a.jpg", b"", "the file is empty"),
        ("a.jpg", b"Dear Sir or Madam", "Formats: JPEG, PNG"),
        ("a.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a picture"),
        ("IMG_1.HEIC", b"\0\0\0\x18ftypheic", "Save it as JPEG first"),
        ("x" * 300 + ".png", None, "broken or cannot be read (File name too long)"),
        ("", None, "is a folder without pictures (.jpg"),
    ],
    ids=["missing", "empty", "text", "starts a program", "HEIC", "long name", "folder"],
)
def test_what_is_no_picture_is_named(
    name: str, content: bytes | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert find_pictures([path]) == [path], "it stays in the list, so that reading it says so"
    assert said in refusal(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif", "gif", "ppm"])
@pytest.mark.parametrize("share", [0.02, 0.95])
def test_a_picture_that_is_broken_off_is_refused_not_half_read(
    suffix: str, share: float, tmp_path: Path
) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (60, 60, 3), np.uint8)
    path = save(tmp_path / f"whole.{suffix}", Image.fromarray(noise))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refusal(path)


def png_header(width: int, height: int) -> bytes:
    """The start of a PNG that claims a size and has no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + header
        + struct.pack(">I", zlib.crc32(header))
    )


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((10_000, MAX_PIXELS // 10_000 + 1), "10000 × 5001"),
        ((2_000_000_000, 2_000_000_000), "50 megapixels"),
        ((MAX_SIDE + 1, 10), "32000 pixels a side"),
    ],
)
def test_picture_that_claims_too_many_pixels_is_refused_before_any_is_read(
    size: tuple[int, int], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(
        png_header(*size) + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    )
    message = refusal(path)
    assert "too large" in message and said in message


def test_random_damage_is_never_more_than_a_picture_error(tmp_path: Path) -> None:
    generator = np.random.default_rng(11)
    for suffix in ("jpg", "png", "webp", "bmp", "tif", "gif", "ppm"):
        whole = save(tmp_path / f"whole.{suffix}", half_red_half_blue()).read_bytes()
        for number in range(60):
            damaged = bytearray(whole)
            for place in generator.integers(0, len(whole), 4):
                damaged[place] = generator.integers(0, 256)
            path = tmp_path / f"{number}.{suffix}"
            path.write_bytes(damaged)
            with contextlib.suppress(PictureError):
                assert load_picture(path).ndim == 3


def test_folders_give_their_pictures_by_name_and_files_stay_as_given(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    shown = ["a.png", "b.JPG", "sub/c.webp", "sub/d.jfif"]
    for name in (*reversed(shown), "notes.txt", ".hidden.png", ".cache/d.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    one, missing = tmp_path / "one.jpg", tmp_path / "missing.jpg"
    found = find_pictures([one, folder, missing])
    assert found == [one, *(folder / name for name in shown), missing]


def test_what_is_locked_stays_in_the_list_and_says_what_to_do() -> None:
    with open_folder() as folder:
        for name in ("a/1.jpg", "b/2.jpg", ".c/3.jpg"):
            (folder / name).parent.mkdir()
            save(folder / name, half_red_half_blue())
        for name in ("b", ".c"):
            (folder / name).chmod(0o000)
        picture = save(folder / "1.jpg", half_red_half_blue())
        picture.chmod(0o000)
        with without_rights():
            assert find_pictures([folder]) == [picture, folder / "a" / "1.jpg", folder / "b"]
            assert find_pictures([folder / "b"]) == [folder / "b"]
            said = refusal(folder / "b")
            assert "this user may not read the file. Allow it, for exa" in refusal(picture)
    assert "is a folder that this user may not read. Allow it, for example: chmod a+rx" in said


def test_a_pipe_is_called_a_pipe_not_a_broken_picture(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, save(tmp_path / "a.png", half_red_half_blue()).read_bytes())
    os.close(writing)
    try:
        assert ("is a pipe or a device. Give the name of a picture file.") in refusal(
            Path(f"/dev/fd/{reading}")
        )
    finally:
        os.close(reading)


# The JSON lines of ``affect-edge classify``


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return open_recognizer()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a picture, a broken one and a text."""
    assert cv2.imwrite(str(tmp_path / "smiling.png"), smiling())
    (tmp_path / "broken.jpg").write_bytes(SERIOUS_FILE.read_bytes()[:5000])
    (tmp_path / "notes.txt").write_text("not looked at")
    return tmp_path


def test_a_line_has_exactly_the_documented_keys_and_survives_json(
    folder: Path, recognizer: Recognizer
) -> None:
    (line,) = classify_pictures([folder / "smiling.png"], recognizer)
    assert json.loads(json.dumps(line)) == line
    assert list(line) == ["file", "width", "height", "field_of_view_deg", "faces"]
    assert (line["file"], line["width"], line["height"]) == (str(folder / "smiling.png"), 512, 512)
    (face,) = line["faces"]
    assert list(face) == [
        *("box", "score", "landmarks", "probabilities", "emotion", "uncertain"),
        *("quality", "flaw", "pose", "look", "movements"),
    ]
    assert list(face["probabilities"]) == [e.value for e in EMOTIONS]
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert (face["emotion"], face["uncertain"], face["flaw"]) == ("happiness", False, None)
    assert 0.3 < face["quality"] <= 1
    x, y, width, height = face["box"]
    assert 0 <= x < x + width <= 512 and 0 <= y < y + height <= 512
    assert len(face["landmarks"]) == 5
    assert all(
        x < point[0] < x + width and y < point[1] < y + height for point in face["landmarks"]
    )


def test_a_broken_picture_gives_a_line_with_its_error_and_the_rest_is_read(
    folder: Path, recognizer: Recognizer
) -> None:
    lines = list(classify_pictures([folder, folder / "missing.png", SERIOUS_FILE], recognizer))
    assert [Path(line["file"]).name for line in lines] == [
        "broken.jpg",
        "smiling.png",
        "missing.png",
        "grace_hopper.jpg",
    ]
    assert list(lines[0]) == list(lines[2]) == ["file", "error"]
    assert "broken" in lines[0]["error"] and "no such file" in lines[2]["error"]
    assert len(lines[1]["faces"]) == len(lines[3]["faces"]) == 1


def test_a_face_that_the_edge_cuts_off_is_shown_with_its_flaw_and_no_label(
    tmp_path: Path, recognizer: Recognizer
) -> None:
    (whole,) = recognizer.read_picture(smiling())
    middle = round(whole.face.box.center[1])
    assert cv2.imwrite(str(tmp_path / "cut.png"), smiling()[:middle])
    (line,) = classify_pictures([tmp_path / "cut.png"], recognizer)
    (named,) = classify_pictures([tmp_path / "cut.png"], recognizer, name_all=True)
    for face, is_named in ((line["faces"][0], False), (named["faces"][0], True)):
        assert face["flaw"] == "cut_off"
        assert (face["emotion"] is not None) == is_named
    assert json.loads(json.dumps(line)) == line


def test_a_picture_of_many_people_is_read_to_the_last(
    tmp_path: Path, recognizer: Recognizer
) -> None:
    (whole,) = recognizer.read_picture(smiling())
    box = whole.face.box
    rows = slice(0, round(box.y + 1.7 * box.height))
    columns = slice(round(box.x - 0.7 * box.width), round(box.x + 1.7 * box.width))
    portrait = cv2.resize(smiling()[rows, columns], (160, 160))
    assert cv2.imwrite(str(tmp_path / "crowd.png"), cv2.hconcat([cv2.vconcat([portrait] * 4)] * 4))
    (line,) = classify_pictures([tmp_path / "crowd.png"], recognizer)
    assert len(line["faces"]) == 16


# How wide a photograph sees


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


def test_field_of_view_is_the_angle_of_the_full_frame(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    # 36 mm wide: 2·atan(18 / f)
    assert field_of_view_deg(photograph(file, 18)) == 90.0
    assert field_of_view_deg(photograph(file, 50)) == pytest.approx(39.6)
    assert field_of_view_deg(photograph(file, 18, (24, 36))) == pytest.approx(67.4)
    assert field_of_view_deg(photograph(file, 18, orientation=6)) == pytest.approx(67.4)


@pytest.mark.parametrize("length_mm", [None, 0])
def test_a_file_that_does_not_say_gives_none(tmp_path: Path, length_mm: float | None) -> None:
    assert field_of_view_deg(photograph(tmp_path / "a.jpg", length_mm)) is None
    (tmp_path / "a.jpg").write_bytes(b"Exif\0\0 and no picture")
    assert field_of_view_deg(tmp_path / "a.jpg") is None
    assert field_of_view_deg(tmp_path / "none.jpg") is None
