"""Video files: their frames one after the other, and a camera that plays them."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from edge_agent.camera.base import Camera, Pace, closed_error
from edge_agent.camera.decoding import as_bgr, quiet_opencv
from edge_agent.config.camera import Rotation
from edge_agent.core import clock
from edge_agent.core.advice import shell_word
from edge_agent.core.clock import Instant
from edge_agent.core.errors import CameraError, CameraReason

if TYPE_CHECKING:
    from edge_agent.core.expression import Image

log = logging.getLogger(__name__)

_SLOWEST_FPS = 0.1
_FASTEST_FPS = 1000.0
_MATROSKA = b"\x1aE\xdf\xa3"
_AV1 = (b"av01", b"V_AV1")
_HEAD_BYTES = 65_536
_PIXEL_SHAPES = (0.25, 4.0)
_MAX_DAMAGED = 30
"""Frames that fail in a row before the video counts as ended: OpenCV does not tell damage from the
end.
"""


class VideoFile:
    """The frames of a video file one after the other.

    Damaged ones are skipped, since whole ones may follow. Pixels that are not square, as in HDV and
    DVDs, become square: a face keeps its shape.

    Attributes:
        damaged: number of frames skipped.

    Raises:
        CameraError: OpenCV does not support the file's name.
    """

    def __init__(self, path: Path) -> None:
        # Named, since OpenCV would otherwise try other back ends, one of which reads numbered
        # picture files.
        self._capture = cv2.VideoCapture(opencv_name(path), cv2.CAP_FFMPEG)
        self._path = path
        self._first: float | None = None
        self._pixel_shape = self._told_pixel_shape()
        self.damaged = 0

    @property
    def fps(self) -> float:
        """Frame rate of the file; a senseless value if the file has none."""
        return self._capture.get(cv2.CAP_PROP_FPS)

    @property
    def frames(self) -> int:
        """Number of frames according to the file; 0 if it has none."""
        frames = round(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if self._first and _head(self._path).startswith(_MATROSKA):
            # Counted from time 0 to the end, though the first frame may be shown hours later.
            frames -= round(self._first)
        return max(frames, 0)

    @property
    def codec(self) -> str:
        """Four letters of the form of its pictures, such as ``h264``; empty if it is no video."""
        letters = int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
        return letters.decode("ascii", "replace").strip("\0 ")

    @property
    def seconds(self) -> float:
        """Time of the last grabbed frame from the start of the video."""
        return self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000

    def grab(self) -> bool:
        """Go on to the next frame; ``False`` when there is none, or when the file is no video."""
        for failed in range(_MAX_DAMAGED + 1):
            if self._capture.grab():
                self.damaged += failed
                if self._first is None:
                    self._first = self._capture.get(cv2.CAP_PROP_PTS)  # in frames
                return True
        return False

    def image(self) -> Image | None:
        """Return the frame that was grabbed, or the next that can be decoded.

        ``None`` when there is none.
        """
        ok, image = self._capture.retrieve()
        while not ok:
            self.damaged += 1
            if not self.grab():
                return None
            ok, image = self._capture.retrieve()
        return self._with_square_pixels(as_bgr(image))

    def _told_pixel_shape(self) -> float:
        """Return the width of a pixel by its height; 1: it is square, or nothing is told."""
        width, height = (
            self._capture.get(name) for name in (cv2.CAP_PROP_SAR_NUM, cv2.CAP_PROP_SAR_DEN)
        )
        shape = width / height if width > 0 and height > 0 else 1.0
        return shape if _PIXEL_SHAPES[0] <= shape <= _PIXEL_SHAPES[1] else 1.0

    def _with_square_pixels(self, image: Image) -> Image:
        if self._pixel_shape == 1.0:
            return image
        height, width = image.shape[:2]
        # Larger, never smaller: no pixel is lost.
        size = (
            round(width * max(self._pixel_shape, 1.0)),
            round(height * max(1 / self._pixel_shape, 1.0)),
        )
        return as_bgr(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR))

    def release(self) -> None:
        """Close the file."""
        self._capture.release()


class FileCamera(Camera):
    """Plays a video file at its own pace, and skips frames beyond ``fps`` frames per second.

    A machine that is too slow plays the file slower. At the end it starts again with ``loop``,
    otherwise ``read`` raises ``end_of_file``. A file without a rate is played at ``fps``. Damaged
    frames are skipped, and their number is logged at the end.

    Raises:
        CameraError: the file is missing, may not be read, or is no video.

    Example::

        with FileCamera(Path("interview.mp4"), fps=15) as camera:
            frame = camera.read()
    """

    repeats = True

    def __init__(self, path: Path, *, fps: float, loop: bool = False, rotate: Rotation = 0) -> None:
        super().__init__(f"opencv:{path}", rotate)
        quiet_opencv()
        self._path = path
        self._loop = loop
        self._lock = threading.Lock()  # OpenCV crashes when one thread releases what another reads
        self._video = open_video(path)
        self._grabbed = 1
        self._due = 0.0
        self._damaged_told = 0
        own = self._video.fps
        own = own if _SLOWEST_FPS <= own <= _FASTEST_FPS else fps
        self._step = max(1.0, own / fps)
        self._pace = Pace(min(own, fps), self._closed)
        log.info("camera %s: %.3g frames/s, shown at %.3g/s", self.name, own, min(own, fps))

    def _next_frame(self) -> tuple[Image, Instant]:
        with self._lock:
            if self._closed.is_set():
                raise closed_error(self.name)
            image = self._frame()
            if image is None:
                self._tell_damaged()
            if image is None and self._loop:
                self._video.release()
                self._video = open_video(self._path)
                self._grabbed = 1
                self._due = 0.0
                image = self._frame()
        if image is None:
            raise self._end_error()
        if not self._pace.wait():
            raise closed_error(self.name)
        return image, clock.now()

    def _frame(self) -> Image | None:
        """Return the frame that is due next, ``None`` when the file ends before it."""
        while self._grabbed <= int(self._due):
            if not self._video.grab():
                return None
            self._grabbed += 1
        self._due += self._step
        return self._video.image()

    def _tell_damaged(self) -> None:
        """Log the number of damaged frames, once and not again in every loop."""
        if self._video.damaged > self._damaged_told:
            self._damaged_told = self._video.damaged
            log.warning(
                "camera %s: damaged frames skipped in the video: %d", self.name, self._damaged_told
            )

    def _end_error(self) -> CameraError:
        if self._count <= 1 and is_picture(self._path):
            return CameraError(
                CameraReason.END_OF_FILE,
                f"{self._path}: is a picture, not a video, and was shown.",
                'For a folder of pictures set camera.source = "pictures" and camera.folder.',
            )
        return CameraError(
            CameraReason.END_OF_FILE,
            f"{self._path}: the video has ended.",
            "Set camera.loop = true to start again at the end.",
        )

    def _release(self) -> None:
        with self._lock:
            self._tell_damaged()
            self._video.release()


def opencv_name(path: Path) -> str:
    """Return a file's name as OpenCV takes it: absolute.

    FFmpeg would take the start of ``clip:1.mp4`` for a protocol.

    Raises:
        CameraError: the name is not UTF-8, on which OpenCV crashes.
    """
    name = str(path.absolute())
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise CameraError(
            CameraReason.UNREADABLE, f"{path}: its name is not UTF-8.", "Rename the file."
        ) from error
    return name


def is_picture(path: Path) -> bool:
    """Return whether a file begins like a picture, whole or broken; only its first bytes are read.

    Raises:
        CameraError: OpenCV does not take the file's name.
    """
    return cv2.haveImageReader(opencv_name(path))


def open_video(path: Path) -> VideoFile:
    """Return a video file opened, its first frame grabbed.

    Raises:
        CameraError: the file is missing, may not be read, is empty or no video.
    """
    _check_file(path)
    video = VideoFile(path)
    if video.grab():
        return video
    is_av1 = video.codec == "AV01" or any(mark in _head(path) for mark in _AV1)
    video.release()
    if is_av1:
        raise CameraError(
            CameraReason.UNREADABLE,
            f"{path}: its pictures are coded as AV1, which cannot be decoded here.",
            f"Convert it: ffmpeg -i '{path.name}' -c:v libx264 -crf 18 '{path.stem}-h264.mp4'",
        )
    raise CameraError(
        CameraReason.UNREADABLE,
        f"{path}: is no video, or is broken.",
        "Try it with `ffprobe`; MP4, AVI, MKV and WebM are understood.",
    )


def _head(path: Path) -> bytes:
    """Return the first bytes of a file; none if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""


def _check_file(path: Path) -> None:
    """Raise unless the file can be opened and is not empty."""
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise CameraError(
                    CameraReason.UNREADABLE,
                    f"{path}: the file is empty.",
                    "Name a video file that is not empty.",
                )
    except OSError as error:
        raise file_error(path, error) from error


def file_error(path: Path, error: OSError) -> CameraError:
    """Translate an error of opening a file."""
    if isinstance(error, FileNotFoundError):
        return CameraError(
            CameraReason.NOT_FOUND,
            f"{path}: no such file.",
            "Check the path; the agent takes it from camera.device.",
        )
    if isinstance(error, PermissionError):
        return CameraError(
            CameraReason.NO_PERMISSION,
            f"{path}: this user may not read the file.",
            f"Allow it, for example: chmod a+r {shell_word(path)}.",
        )
    return CameraError(
        CameraReason.UNREADABLE,
        f"{path}: cannot be read ({error.strerror}).",
        "Check the file and the disk it lies on.",
    )
