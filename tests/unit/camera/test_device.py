"""Camera nodes: what the system says about them, and what we make of it."""

from __future__ import annotations

import errno
import fcntl
import math
import os
import struct
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.camera import device as v4l2
from edge_agent.camera import pixels
from edge_agent.camera.base import DriverStuckError
from edge_agent.camera.device import DeviceCamera, device_error
from edge_agent.camera.factory import open_opencv
from edge_agent.config.camera import CameraSettings
from edge_agent.core.errors import CameraError, CameraReason
from tests.support.vision.cameras import NOBODY, read_to_the_end, without_rights

VIDEO_CAPTURE = 0x1
VIDEO_M2M = 0x8000
STREAMING = 0x0400_0000
DEVICE_CAPS = 0x8000_0000


def refusal(device: str | Path) -> CameraError:
    """Return why a device cannot be opened."""
    with pytest.raises(CameraError) as caught:
        open_opencv(
            CameraSettings(device=str(device), width=640, height=480, fps=15, stall_seconds=1)
        )
    return caught.value


@pytest.fixture
def terminal() -> Iterator[Path]:
    """A character device of our own: a terminal."""
    leader, follower = os.openpty()
    if os.geteuid() == 0:
        os.fchown(follower, NOBODY, -1)
    yield Path(os.ttyname(follower))
    os.close(leader)
    os.close(follower)


@pytest.mark.parametrize("device", ["4711", "/dev/video4711", "/dev/v4l/by-id/no-such-camera"])
def test_a_camera_that_is_not_there_is_not_found(device: str) -> None:
    error = refusal(device)
    assert error.reason is CameraReason.NOT_FOUND
    assert "there is no such camera" in error.problem
    assert device.removeprefix("/dev/video") in error.problem
    assert "v4l2-ctl --list-devices" in error.cure


def test_a_device_that_is_no_camera_says_so(terminal: Path) -> None:
    for path in (terminal, Path("/dev/null")):
        error = refusal(path)
        assert error.reason is CameraReason.UNREADABLE
        assert f"{path}: is no camera" in error.problem
        assert not v4l2.is_busy(path)


def test_a_device_that_another_program_keeps_for_itself_is_busy(terminal: Path) -> None:
    holder = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.ioctl(holder, termios.TIOCEXCL)
        with without_rights():
            error = refusal(terminal)
            busy = v4l2.is_busy(terminal)
    finally:
        fcntl.ioctl(holder, termios.TIOCNXCL)
        os.close(holder)
    assert error.reason is CameraReason.BUSY
    assert f"fuser -v {terminal}" in error.cure
    assert busy


def test_a_device_that_this_user_may_not_use_says_so(terminal: Path) -> None:
    terminal.chmod(0o000)
    with without_rights():
        error = refusal(terminal)
    assert error.reason is CameraReason.NO_PERMISSION
    assert "usermod -aG video" in error.cure


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENODEV, CameraReason.NOT_FOUND),
        (errno.EPERM, CameraReason.NO_PERMISSION),
        (errno.EIO, CameraReason.UNREADABLE),
    ],
)
def test_each_answer_of_the_system_has_its_reason(number: int, reason: CameraReason) -> None:
    error = device_error(Path("/dev/video0"), OSError(number, os.strerror(number)))
    assert error.reason is reason
    assert str(error).startswith("/dev/video0: ")


EVERY = VIDEO_CAPTURE | STREAMING | DEVICE_CAPS


@pytest.mark.parametrize(
    ("driver", "capabilities", "device_caps", "captures", "is_camera"),
    [
        (b"uvcvideo", EVERY, VIDEO_CAPTURE | STREAMING, True, True),
        (b"uvcvideo", EVERY, 0x0080_0000 | STREAMING, False, False),
        (b"bcm2835-codec", EVERY, VIDEO_M2M | STREAMING, False, False),
        (b"unicam", EVERY, VIDEO_CAPTURE | STREAMING, True, False),
        (b"old", VIDEO_CAPTURE, 0, True, True),
    ],
    ids=["webcam", "its metadata", "codec of the Pi", "raw node of the Pi", "before device_caps"],
)
def test_a_usb_camera_differs_from_other_nodes(
    driver: bytes, capabilities: int, device_caps: int, captures: bool, is_camera: bool
) -> None:
    """The bytes are what the kernel fills in for VIDIOC_QUERYCAP."""
    numbers = (0x060C00, capabilities, device_caps, 0, 0, 0)
    answer = struct.pack("16s32s32s6I", driver, b"HD Webcam C270", b"usb-1", *numbers)
    node = v4l2.parse_capability(Path("/dev/video0"), answer)
    assert (node.driver, node.card) == (driver.decode(), "HD Webcam C270")
    assert (node.captures, node.is_camera) == (captures, is_camera)


@pytest.mark.parametrize(
    ("driver", "cure"), [("unicam", 'camera.source = "picamera2"'), ("uvcvideo", "/dev/video…")]
)
def test_a_node_without_pictures_names_the_way_out(
    monkeypatch: pytest.MonkeyPatch, driver: str, cure: str
) -> None:
    node = v4l2.VideoNode(Path("/dev/null"), driver, "a card", captures=False)
    monkeypatch.setattr(v4l2, "ask", lambda path: node)
    error = refusal("/dev/null")
    assert error.reason is CameraReason.UNREADABLE
    assert "a card gives no pictures" in error.problem
    assert cure in error.cure


@pytest.mark.parametrize("busy", [True, False])
def test_a_camera_that_opencv_cannot_open_is_busy_or_unreadable(
    monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    """/dev/null, taken for a camera by its word only, is what OpenCV really fails to open here."""
    monkeypatch.setattr(
        v4l2, "ask", lambda path: v4l2.VideoNode(path, "uvcvideo", "a camera", captures=True)
    )
    monkeypatch.setattr(v4l2, "is_busy", lambda path: busy)
    with pytest.raises(CameraError) as caught:
        DeviceCamera(Path("/dev/null"), width=640, height=480, fps=15, stall_seconds=1)
    assert caught.value.reason is (CameraReason.BUSY if busy else CameraReason.UNREADABLE)


class Webcam:
    """A double of ``cv2.VideoCapture`` for the camera that this machine may not have."""

    def __init__(self, path: str, backend: int) -> None:
        assert backend == cv2.CAP_V4L2
        self.path = path
        self.asked: dict[int, float] = {}
        self.frames: float = math.inf
        self.hangs: threading.Event | None = None
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def set(self, key: int, value: float) -> bool:
        self.asked[key] = value
        return True

    def grab(self) -> bool:
        if self.hangs:
            self.hangs.wait(60)
        self.frames -= 1
        return self.frames >= 0

    def retrieve(self) -> tuple[bool, object]:
        return True, np.full((48, 64), 7, dtype=np.uint8)  # an infrared camera gives grey pictures

    def release(self) -> None:
        self.released = True


@pytest.fixture
def webcam(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, list[Webcam]]:
    """The node of a camera, and the captures that were opened on it."""
    captures: list[Webcam] = []

    def capture(path: str, backend: int) -> Webcam:
        captures.append(Webcam(path, backend))
        return captures[-1]

    node = tmp_path / "video0"
    node.touch()
    answer = v4l2.VideoNode(node, "uvcvideo", "HD Webcam", captures=True)
    monkeypatch.setattr(v4l2, "ask", lambda path: answer)
    monkeypatch.setattr(cv2, "VideoCapture", capture)
    monkeypatch.setenv("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "1")
    return node, captures


def test_a_webcam_is_asked_for_size_rate_and_its_newest_frame(
    webcam: tuple[Path, list[Webcam]],
) -> None:
    node, captures = webcam
    with DeviceCamera(node, width=1280, height=720, fps=25, rotate=90) as camera:
        frames = [camera.read() for _ in range(3)]
    assert camera.name == f"opencv:{node} (HD Webcam)"
    assert frames[0].image.shape == (64, 48, 3)
    assert [frame.number for frame in frames] == [0, 1, 2]
    assert captures[0].asked == {
        cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"MJPG"),
        cv2.CAP_PROP_FRAME_WIDTH: 1280,
        cv2.CAP_PROP_FRAME_HEIGHT: 720,
        cv2.CAP_PROP_FPS: 25,
        cv2.CAP_PROP_BUFFERSIZE: 1,
    }
    assert captures[0].released


def test_a_webcam_that_gives_no_more_frames_has_stalled_or_was_unplugged(
    webcam: tuple[Path, list[Webcam]],
) -> None:
    node, captures = webcam
    with DeviceCamera(node, width=640, height=480, fps=25) as camera:
        captures[0].frames = 2
        frames, error = read_to_the_end(camera)
        assert len(frames) == 3  # one was read when it was opened
        assert error.reason is CameraReason.STALLED
        node.unlink()
        with pytest.raises(CameraError, match="the camera was unplugged") as caught:
            camera.read()
    assert caught.value.reason is CameraReason.NOT_FOUND
    assert cv2.CAP_PROP_FOURCC not in captures[0].asked  # small pictures need no compression


def test_a_webcam_whose_driver_hangs_cannot_hang_the_agent(
    webcam: tuple[Path, list[Webcam]], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, captures = webcam
    camera = DeviceCamera(node, width=640, height=480, fps=100, stall_seconds=0.05)
    camera.read()
    captures[0].hangs = threading.Event()
    monkeypatch.setattr(pixels, "GRACE_S", 0.05)
    monkeypatch.setattr(pixels, "CLOSE_S", 0.05)
    with pytest.raises(DriverStuckError, match="has not come back"):
        camera.read()
    with pytest.raises(DriverStuckError):
        camera.close()
    captures[0].hangs.set()


def test_nodes_are_listed_by_number(tmp_path: Path) -> None:
    for name in ("video10", "video2", "video0", "video-dec0", "media0"):
        (tmp_path / name).touch()
    assert [path.name for path in v4l2.nodes(tmp_path)] == ["video0", "video2", "video10"]
    assert v4l2.nodes(tmp_path / "missing") == []
