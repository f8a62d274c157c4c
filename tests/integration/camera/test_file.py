"""Real video files, and what is mistaken for one."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.camera.factory import open_opencv
from edge_agent.camera.video_files import FileCamera, open_video
from edge_agent.config.camera import CameraSettings
from edge_agent.core import clock
from edge_agent.core.addresses import Address
from edge_agent.core.errors import CameraError, CameraReason
from tests.support.vision.cameras import (
    damage_frames,
    frame_number,
    open_folder,
    read_to_the_end,
    without_rights,
    write_matroska,
    write_video,
)


def refusal(device: Path | str) -> CameraError:
    """Return why a device cannot be opened."""
    # unchecked: the configuration refuses some of these names itself
    options = CameraSettings().model_copy(update={"device": Address(str(device))})
    with pytest.raises(CameraError) as caught:
        open_opencv(options)
    return caught.value


def test_a_video_gives_every_frame_in_order_and_then_ends(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.avi", frames=12, fps=100)
    with open_opencv(
        CameraSettings(device=str(video), width=640, height=480, fps=100, stall_seconds=1)
    ) as camera:
        frames = [camera.read() for _ in range(12)]
        with pytest.raises(
            CameraError, match=r"clip\.avi: the video has ended\. Set camera\.loop = true"
        ) as caught:
            camera.read()
    assert caught.value.reason is CameraReason.END_OF_FILE
    assert [frame_number(frame.image) for frame in frames] == list(range(12))
    assert [frame.number for frame in frames] == list(range(12))
    assert frames[0].image.shape == (48, 64, 3)
    assert camera.name == f"opencv:{video}"
    assert not camera.simulated


def test_video_faster_than_asked_for_keeps_its_pace_and_leaves_frames_out(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.avi", frames=30, fps=100)
    begun = clock.now()
    with FileCamera(video, fps=40) as camera:
        frames = [camera.read() for _ in range(8)]
    assert [frame_number(frame.image) for frame in frames] == [0, 2, 5, 7, 10, 12, 15, 17]
    assert frames[-1].at.seconds_since(begun) >= 0.17


@pytest.mark.parametrize(
    ("display", "shape"),
    [((64, 48), (48, 64, 3)), ((32, 96), (96, 32, 3)), ((32, 48), (48, 32, 3))],
)
def test_pixels_that_are_not_square_become_square(
    tmp_path: Path, display: tuple[int, int], shape: tuple[int, ...]
) -> None:
    video = write_matroska(tmp_path / "hdv.mkv", frames=4, fps=25, display=display)
    with FileCamera(video, fps=25) as camera:
        frames = [camera.read().image for _ in range(4)]
    assert {frame.shape for frame in frames} == {shape}
    assert [frame_number(frame) for frame in frames] == [0, 1, 2, 3]


def test_a_video_whose_time_begins_at_ten_hours_has_the_frames_that_it_has(tmp_path: Path) -> None:
    for begin_s in (0, 36_000):
        video = open_video(write_matroska(tmp_path / "v.mkv", frames=15, fps=15, begin_s=begin_s))
        assert (video.frames, video.seconds) == (15, 0.0)
        video.release()


def test_a_video_coded_as_av1_names_the_cause_and_the_way_out(tmp_path: Path) -> None:
    error = refusal(write_matroska(tmp_path / "phone.mkv", frames=2, fps=15, codec=b"V_AV1"))
    assert "its pictures are coded as AV1, which cannot be decoded here." in str(error)
    assert "ffmpeg -i 'phone.mkv' -c:v libx264 -crf 18 'phone-h264.mp4'" in str(error)


def test_a_truncated_video_is_played_as_far_as_it_goes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    video = write_video(tmp_path / "clip.avi", frames=20, fps=200, width=320, height=240)
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    with FileCamera(video, fps=200) as camera:
        frames, error = read_to_the_end(camera)
    assert error.reason is CameraReason.END_OF_FILE
    assert 3 < len(frames) < 20
    assert [frame_number(frame.image) for frame in frames] == list(range(len(frames)))
    assert capfd.readouterr().err == ""  # FFmpeg and OpenCV are kept quiet


@pytest.mark.parametrize("damaged", [[0], [4, 5, 6, 9]])
def test_damaged_frames_are_passed_over_and_counted_and_the_rest_is_shown(
    tmp_path: Path, damaged: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    video = damage_frames(write_video(tmp_path / "clip.avi", frames=12, fps=200), *damaged)
    whole = [number for number in range(12) if number not in damaged]
    with FileCamera(video, fps=200, loop=True) as camera:
        shown = [frame_number(camera.read().image) for _ in range(2 * len(whole))]
    assert shown == whole * 2
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warned == [f"camera {camera.name}: damaged frames skipped in the video: {len(damaged)}"]


@pytest.mark.parametrize("name", ["clip:1.avi", "file:x.avi", "-clip.avi"])
def test_a_relative_name_is_never_taken_for_a_protocol(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / name, frames=2, fps=200)
    monkeypatch.chdir(tmp_path)
    with open_opencv(CameraSettings(device=name, fps=120, stall_seconds=1)) as camera:
        assert frame_number(camera.read().image) == 0


def test_a_name_that_is_no_utf_8_is_refused_before_opencv_crashes_on_it(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.avi")
    write_video(tmp_path / "clip.avi", frames=2, fps=20).rename(path)
    error = refusal(path)
    assert error.reason is CameraReason.UNREADABLE
    assert "its name is not UTF-8" in error.problem


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_picture_in_the_place_of_a_video_is_named_as_such_at_its_end(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"still.{suffix}"
    assert cv2.imwrite(str(path), np.full((48, 64, 3), 80, dtype=np.uint8))
    with FileCamera(path, fps=200) as camera:
        frames, error = read_to_the_end(camera)
    assert len(frames) == 1
    assert error.reason is CameraReason.END_OF_FILE
    assert str(error).startswith(f"{path}: is a picture")
    assert 'camera.source = "pictures"' in error.cure


@pytest.mark.parametrize(
    "content",
    [b"hello, this is text\n" * 200, bytes(5000), b"\x00\x00\x00\x18ftypmp42" + bytes(99)],
)
def test_a_file_that_is_no_video_is_unreadable(
    tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    error = refusal(path)
    assert error.reason is CameraReason.UNREADABLE
    assert "clip.mp4: is no video, or is broken" in str(error)
    assert capfd.readouterr().err == ""


def test_what_else_is_no_video_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "empty.avi").touch()
    os.mkfifo(tmp_path / "pipe.avi")
    for device, problem in (
        (tmp_path / "empty.avi", "the file is empty"),
        (tmp_path, "is a folder"),
        (tmp_path / "pipe.avi", "is neither a camera"),
        ("/tmp/" + 300 * "x", "File name too long"),
    ):
        error = refusal(device)
        assert error.reason is CameraReason.UNREADABLE
        assert problem in error.problem
    assert 'camera.source = "pictures"' in refusal(tmp_path).cure
    assert str(refusal(" ")).startswith("camera.device is empty.")


def test_a_missing_video_and_one_that_goes_while_it_loops_are_not_found(tmp_path: Path) -> None:
    error = refusal(tmp_path / "missing.avi")
    assert error.reason is CameraReason.NOT_FOUND
    assert "missing.avi: there is no such file" in str(error)
    video = write_video(tmp_path / "clip.avi", frames=2, fps=200)
    with FileCamera(video, fps=200, loop=True) as camera:
        camera.read()
        camera.read()
        video.unlink()
        with pytest.raises(CameraError, match="no such file") as caught:
            camera.read()
    assert caught.value.reason is CameraReason.NOT_FOUND


def test_a_video_that_may_not_be_read_says_so() -> None:
    with open_folder() as folder:
        video = write_video(folder / "clip.avi", frames=2, fps=20)
        video.chmod(0o000)
        (folder / "private").mkdir(mode=0o000)
        with without_rights():
            errors = [refusal(video), refusal(folder / "private" / "clip.avi")]
    assert [error.reason for error in errors] == [CameraReason.NO_PERMISSION] * 2
    assert "chmod a+r" in errors[0].cure
