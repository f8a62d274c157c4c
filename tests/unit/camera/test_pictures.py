"""A folder of pictures as a camera."""

from __future__ import annotations

import logging
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge_agent.camera.decoding import decode_file, fit_on_black
from edge_agent.camera.picture_files import PicturesCamera, picture_files
from edge_agent.core.errors import CameraError, CameraReason
from tests.support.vision.cameras import open_folder, without_rights


def write(path: Path, grey: int, width: int = 80, height: int = 60) -> Path:
    """Write a picture of one grey."""
    assert cv2.imwrite(str(path), np.full((height, width, 3), grey, dtype=np.uint8))
    return path


def camera(folder: Path, *, loop: bool = False) -> PicturesCamera:
    return PicturesCamera(folder, width=80, height=60, fps=500, loop=loop)


def middle_greys(shown: PicturesCamera, count: int) -> list[int]:
    return [int(shown.read().image[30, 40, 0]) for _ in range(count)]


def test_pictures_come_in_natural_name_order_and_then_end(tmp_path: Path) -> None:
    for name, grey in (("b10.png", 100), ("b9.png", 90), ("A1.bmp", 10), ("b9a.PNG", 95)):
        write(tmp_path / name, grey)
    (tmp_path / "notes.txt").write_text("no picture")
    write(tmp_path / ".hidden.png", 1)
    with camera(tmp_path) as shown:
        assert middle_greys(shown, 4) == [10, 90, 95, 100]
        with pytest.raises(
            CameraError, match=r"all pictures were shown\. Set camera\.loop = true"
        ) as caught:
            shown.read()
    assert caught.value.reason is CameraReason.END_OF_FILE
    assert not shown.simulated


def test_pictures_are_letterboxed_to_the_size_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "tall.png", 200, width=30, height=120)
    with PicturesCamera(tmp_path, width=160, height=120, fps=100, rotate=90) as shown:
        image = shown.read().image
    assert image.shape == (160, 120, 3)  # 160 × 120, turned
    assert image[80].min() == 200
    assert image[0].max() == 0
    assert image[-1].max() == 0


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 200), st.integers(1, 200))
def test_any_picture_fits_any_frame(width: int, height: int, to_width: int, to_height: int) -> None:
    frame = fit_on_black(np.full((height, width, 3), 255, dtype=np.uint8), to_width, to_height)
    assert frame.shape == (to_height, to_width, 3)
    assert frame[(to_height - 1) // 2, (to_width - 1) // 2].tolist() == [255, 255, 255]


def test_broken_pictures_are_passed_over_with_one_warning_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "2.png", 20)
    whole = write(tmp_path / "4.jpg", 40).read_bytes()
    (tmp_path / "1.jpg").write_bytes(b"no picture at all")
    (tmp_path / "3.jpg").write_bytes(whole[: len(whole) - 30])
    (tmp_path / "5.png").write_bytes((tmp_path / "2.png").read_bytes()[:50])
    (tmp_path / "6.webp").touch()
    (tmp_path / "7.png").mkdir()
    with caplog.at_level(logging.WARNING), camera(tmp_path, loop=True) as shown:
        assert middle_greys(shown, 6) == pytest.approx([20, 40] * 3, abs=1)
    warned = [record.getMessage() for record in caplog.records]
    names = [name for name in "1234567" if any(f"/{name}." in line for line in warned)]
    assert names == ["1", "3", "5", "6", "7"]
    assert len(warned) == 5
    assert "cannot be read (Is a directory)" in warned[-1]
    assert capfd.readouterr().err == ""  # nor does OpenCV print anything of its own


def test_a_picture_that_appears_broken_only_in_later_round_is_dropped_too(tmp_path: Path) -> None:
    write(tmp_path / "1.png", 10)
    write(tmp_path / "2.png", 20)
    with camera(tmp_path, loop=True) as shown:
        assert middle_greys(shown, 2) == [10, 20]
        (tmp_path / "1.png").unlink()
        assert middle_greys(shown, 2) == [20, 20]
        (tmp_path / "2.png").unlink()
        with pytest.raises(CameraError):
            shown.read()


def test_a_folder_without_a_picture_that_can_be_read_is_refused(tmp_path: Path) -> None:
    for name in ("empty", "broken"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken" / "1.jpg").write_bytes(b"no picture")
    write(tmp_path / "file.png", 1)
    for name, problem, reason in (
        ("missing", "there is no such folder", CameraReason.NOT_FOUND),
        ("empty", "contains no picture", CameraReason.NOT_FOUND),
        ("file.png", "is a file, not a folder", CameraReason.NOT_FOUND),
        ("broken", "none of its pictures can be read", CameraReason.UNREADABLE),
    ):
        with pytest.raises(CameraError, match=problem) as caught:
            camera(tmp_path / name, loop=True)
        assert caught.value.reason is reason


def test_a_folder_that_may_not_be_read_says_so() -> None:
    with open_folder() as folder:
        private = folder / "private"
        private.mkdir(mode=0o000)
        with (
            without_rights(),
            pytest.raises(CameraError, match="may not read the folder") as caught,
        ):
            picture_files(private)
    assert caught.value.reason is CameraReason.NO_PERMISSION


def jpeg(**options: Any) -> bytes:
    """A JPEG as Pillow writes it with these options."""
    noise = np.random.default_rng(2).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    content = BytesIO()
    Image.fromarray(noise).save(content, "JPEG", **options)
    return content.getvalue()


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"exif": b"Exif\0\0" + jpeg()}],
    ids=["baseline", "progressive", "restarts", "thumbnail"],
)
def test_whatever_stands_behind_whole_jpeg_it_is_whole_and_cut_one_is_not(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    whole = jpeg(**options)
    path = tmp_path / "1.jpg"
    for seed in range(8):  # as phones put a video there
        path.write_bytes(whole + Random(seed).randbytes(200_000))
        assert decode_file(path) is not None
    for cut in (1, 3, 500, len(whole) // 2, len(whole) - 2, len(whole)):
        path.write_bytes(whole[: len(whole) - cut])
        assert decode_file(path) is None


@pytest.mark.parametrize("suffix", ["gif", "jfif"])
def test_every_suffix_that_the_decoder_reads_is_shown(tmp_path: Path, suffix: str) -> None:
    assert cv2.imwrite(str(tmp_path / "1.jpg"), np.full((60, 80, 3), 10, dtype=np.uint8))
    still = Image.new("RGB", (80, 60), (70, 70, 70))
    still.save(tmp_path / f"2.{suffix}", "JPEG" if suffix == "jfif" else "GIF")
    with camera(tmp_path) as shown:
        assert middle_greys(shown, 2) == pytest.approx([10, 70], abs=1)
