"""Pictures are read as they are meant to be seen.

Whatever is no picture is named with its fault.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge_agent.core.errors import PictureError
from edge_agent.vision.stills import MAX_PIXELS, MAX_SIDE, find_pictures, load_picture
from tests.support.vision.cameras import open_folder, without_rights

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
    [
        (1, (20, 40), (10, 5)),
        (3, (20, 40), (10, 35)),
        (6, (40, 20), (5, 10)),
        (8, (40, 20), (35, 10)),
    ],
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


def test_gray_pictures_become_three_equal_channels(tmp_path: Path) -> None:
    image = load_picture(save(tmp_path / "gray.png", Image.new("L", (8, 6), 77)))
    assert image.shape == (6, 8, 3)
    assert np.all(image == 77)


def test_sixteen_bit_gray_is_scaled_not_clipped_and_its_orientation_honoured(
    tmp_path: Path,
) -> None:
    values = np.full((10, 20), 200 * 257, dtype=np.uint16)
    values[:, 10:] = 20 * 257
    exif = Image.Exif()
    exif[0x0112] = 6
    image = load_picture(save(tmp_path / "deep.png", Image.fromarray(values), exif=exif))
    assert image.shape == (20, 10, 3)
    assert image[0, 0, 0] == 200 and image[-1, -1, 0] == 20


def test_gray_beyond_sixteen_bits_is_refused(tmp_path: Path) -> None:
    values = np.array([[0, 1_000_000]], dtype=np.int32)
    assert "beyond 16 bits" in refusal(save(tmp_path / "deep.tif", Image.fromarray(values)))


@pytest.mark.parametrize("dtype", [np.int32, np.uint16])
def test_eight_bit_gray_in_a_deeper_file_is_not_taken_for_black(
    dtype: type[np.generic], tmp_path: Path
) -> None:
    values = np.tile(np.arange(256, dtype=dtype), (4, 1))
    image = load_picture(save(tmp_path / "deep.tif", Image.fromarray(values)))
    assert image[0, :, 0].tolist() == list(range(256))


@pytest.mark.parametrize("brightest", [1.0, 255.0])
def test_pixels_that_are_floating_point_numbers_are_refused_not_black(
    brightest: float, tmp_path: Path
) -> None:
    values = np.linspace(0, brightest, 12, dtype=np.float32).reshape(3, 4)
    said = refusal(save(tmp_path / "float.tif", Image.fromarray(values)))
    assert "floating-point numbers; save it with 8 or 16 bits a channel" in said


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparent_parts_are_seen_on_white(mode: str, tmp_path: Path) -> None:
    picture = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 10, 10))
    if mode == "PA":
        path = save(
            tmp_path / "a.png",
            picture.convert("P"),
            transparency=picture.convert("P").getpixel((15, 5)),
        )
    else:
        path = save(tmp_path / "a.png", picture.convert(mode))
    image = load_picture(path)
    assert tuple(image[5, 15]) == (255, 255, 255)
    if mode != "PA":
        assert tuple(image[5, 5]) == (0, 0, 0)


def test_colours_for_print_are_read_too(tmp_path: Path) -> None:
    image = load_picture(save(tmp_path / "print.jpg", Image.new("CMYK", (16, 16), (0, 0, 0, 0))))
    assert image.min() > 250


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b"Dear Sir or Madam", "Formats: JPEG, PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n", "is not a picture"),
    ],
    ids=["missing", "empty", "text", "a format that starts another program"],
)
def test_what_is_no_picture_is_named(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "letter.jpg"
    if content is not None:
        path.write_bytes(content)
    assert said in refusal(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif", "gif", "ppm"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
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
        ((20_000, 20_000), "50 megapixels"),
        ((2_000_000_000, 2_000_000_000), "50 megapixels"),
        ((MAX_SIDE + 1, 10), "32000 pixels a side"),
    ],
)
def test_a_picture_that_claims_too_many_pixels_is_refused_before_any_is_read(
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
    for name in (
        "b.JPG",
        "a.png",
        "sub/c.webp",
        "sub/d.jfif",
        "notes.txt",
        ".hidden.png",
        ".cache/d.png",
    ):
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    given = [tmp_path / "one.jpg", tmp_path / "folder", tmp_path / "missing.jpg"]
    folder = tmp_path / "folder"
    assert find_pictures(given) == [
        tmp_path / "one.jpg",
        folder / "a.png",
        folder / "b.JPG",
        folder / "sub" / "c.webp",
        folder / "sub" / "d.jfif",
        tmp_path / "missing.jpg",
    ]


def test_a_locked_subfolder_stays_in_the_list_and_says_what_to_do() -> None:
    with open_folder() as folder:
        for name in ("a/1.jpg", "b/2.jpg", ".c/3.jpg"):
            (folder / name).parent.mkdir()
            save(folder / name, half_red_half_blue())
        (folder / "b").chmod(0o000)
        (folder / ".c").chmod(0o000)
        with without_rights():
            assert find_pictures([folder]) == [folder / "a" / "1.jpg", folder / "b"]
            assert find_pictures([folder / "b"]) == [folder / "b"]
            said = refusal(folder / "b")
    assert "is a folder that this user may not read. Allow it, for example: chmod a+rx" in said


def test_a_locked_picture_says_what_to_do() -> None:
    with open_folder() as folder:
        path = save(folder / "1.jpg", half_red_half_blue())
        path.chmod(0o000)
        with without_rights():
            assert (
                "this user may not read the file. Allow it, for example: chmod a+r "
            ) in refusal(path)


def test_a_pipe_is_called_a_pipe_not_a_broken_picture(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, save(tmp_path / "a.png", half_red_half_blue()).read_bytes())
    os.close(writing)
    try:
        assert ("is a pipe or a device, not a file. Give a file.") in refusal(
            Path(f"/dev/fd/{reading}")
        )
    finally:
        os.close(reading)


def test_a_name_that_no_file_can_have_is_reported_when_it_is_read(tmp_path: Path) -> None:
    name = tmp_path / ("x" * 300 + ".png")
    assert find_pictures([name]) == [name]
    assert "broken or cannot be read (File name too long)" in refusal(name)


def test_a_folder_without_pictures_is_reported_when_it_is_read(tmp_path: Path) -> None:
    assert find_pictures([tmp_path]) == [tmp_path]
    assert "is a folder without pictures (.jpg" in refusal(tmp_path)
