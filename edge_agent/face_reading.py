"""The faces of pictures and videos, for programs of others: ``from edge_agent import read``.

The names in ``__all__`` stay as they are. Of a video every frame is read, as fast as the machine
allows. Times are those at which the frames are shown, so that a rate that varies, or a machine that
is busy, changes nothing: the same file gives the same answer each time.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from edge_agent.camera.base import turn_clockwise
from edge_agent.camera.decoding import quiet_opencv
from edge_agent.camera.video_files import VideoFile, open_video
from edge_agent.config.camera import Rotation
from edge_agent.config.vision import VisionSettings
from edge_agent.core.bounds import is_time
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import PictureError
from edge_agent.core.expression import Expression, Frame, Observation, Recognition
from edge_agent.vision.recognizer import FaceReading, Recognizer, open_recognizer
from edge_agent.vision.stills import load_picture

__all__ = ["FaceRow", "VideoRow", "read", "read_video"]

_FROM_1904_S = 2_082_844_800
"""Seconds from the first of January 1904, from which the format MP4 counts, to that of 1970."""


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """The result of reading one frame of a video.

    Attributes:
        number: of the frame, from 0.
        seconds: when it is shown, from the start of the video.
        recognition: the faces in it; its wall clock goes on from the start of the recording.
    """

    number: int
    seconds: float
    recognition: Recognition


class VideoReader:
    """Reads the frames of a video file one after the other, in constant memory.

    Args:
        path: of the file.
        recognizer: remembers the faces from frame to frame; one of its own for each video.
        start_ms: when the recording began, UTC milliseconds; 0: not known.
        rotate: by how many degrees its frames are turned clockwise; they lie as its file says.
        on_frame: receives each frame with its faces, and must not keep it.

    Attributes:
        frames: how many frames the file says that it has; 0: it says nothing.

    Raises:
        CameraError: the file is missing, may not be read, is empty or no video.

    Example::

        with closing(VideoReader(Path("talk.mp4"), open_recognizer())) as reader:
            for frame in reader:
                print(frame.seconds, frame.recognition.primary)
    """

    def __init__(
        self,
        path: Path,
        recognizer: Recognizer,
        start_ms: int = 0,
        rotate: Rotation = 0,
        on_frame: Callable[[Frame, Recognition], None] | None = None,
    ) -> None:
        quiet_opencv()
        self._video: VideoFile = open_video(path)
        self._recognizer = recognizer
        self._start_ms = start_ms
        self._rotate = rotate
        self._on_frame = on_frame
        self.frames = self._video.frames

    @property
    def damaged(self) -> int:
        """Number of frames that were passed over, since they could not be decoded."""
        return self._video.damaged

    def __iter__(self) -> Iterator[VideoFrame]:
        number = 0
        last_ms = 0
        while True:
            image = self._video.image()
            if image is None:
                return
            # Of a damaged file the times may run backwards.
            last_ms = max(round(self._video.seconds * 1000), last_ms)
            at = Instant(last_ms, self._start_ms + last_ms)
            frame = Frame(turn_clockwise(image, self._rotate), at, number)
            recognition = self._recognizer.recognize(frame)
            if self._on_frame is not None:
                self._on_frame(frame, recognition)
            yield VideoFrame(number, last_ms / 1000, recognition)
            number += 1
            if not self._video.grab():
                return

    def close(self) -> None:
        """Close the file."""
        self._video.release()


def creation_ms(path: Path) -> int | None:
    """Return when an MP4 or MOV file says that it was made, UTC milliseconds.

    ``None``: it does not say, or is of another format. Cameras write the start of the recording
    there, some of them by a clock that shows local time, or the end.
    """
    with suppress(OSError, struct.error), path.open("rb") as file:
        if (moov := _box(file, b"moov", path.stat().st_size)) is None:
            return None
        if (header := _box(file, b"mvhd", moov)) is None:
            return None
        (version,) = struct.unpack(">B3x", file.read(4))
        size, code = (8, ">Q") if version == 1 else (4, ">I")
        (seconds,) = struct.unpack(code, file.read(size))
        made_ms = int((seconds - _FROM_1904_S) * 1000)
        return made_ms if header and is_time(made_ms) else None
    return None


def _box(file: BinaryIO, kind: bytes, end: int) -> int | None:
    """Go to the contents of the next box of a kind before ``end``; return where they end."""
    while file.tell() + 8 <= end:
        start = file.tell()
        size, name = struct.unpack(">I4s", file.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
        elif size == 0:
            size = end - start
        if name == kind:
            return min(int(start + size), end)
        if not 8 <= size <= end - start:
            return None
        file.seek(start + size)
    return None


@dataclass(frozen=True, slots=True)
class FaceRow:
    """One face of a picture, as a row of a table: ``pandas.DataFrame(read("group.jpg"))``.

    Attributes:
        x, y: left upper corner of the face's box, pixels of the picture; may lie outside of it.
        width, height: of the box, pixels.
        score: how sure the detector is that it is a face, 0…1.
        quality: how fit it is for reading, 0…1.
        flaw: why it is not (``cut_off``, ``too_small``, ``turned_away``, ``too_dark``,
            ``too_bright``, ``blurred``, ``covered``); ``None``: it is. What is read then is often
            wrong, however sure the model is.
        emotion: the label; ``None`` where the model is not sure enough, or the face has a flaw.
        neutral, happiness, surprise, sadness, anger, disgust, fear, contempt: the probabilities,
            which sum to 1.
        yaw, pitch, roll: where the head is turned, degrees; positive to the picture's right,
            downward, and counterclockwise. ``None``, as all that follows, where the face has a
            flaw; one that is turned away has the pose and the look.
        look_x, look_y: where the eyes point in the face, −1…1; positive toward the person's left,
            and upward.
        brow_down … jaw_open: how strongly parts of the face move, 0…1, means of left and right;
            estimates of a network taught by another network.
    """

    x: float
    y: float
    width: float
    height: float
    score: float
    quality: float
    flaw: str | None
    emotion: str | None
    neutral: float
    happiness: float
    surprise: float
    sadness: float
    anger: float
    disgust: float
    fear: float
    contempt: float
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None
    look_x: float | None = None
    look_y: float | None = None
    brow_down: float | None = None
    brow_inner_up: float | None = None
    brow_outer_up: float | None = None
    eye_blink: float | None = None
    eye_squint: float | None = None
    eye_wide: float | None = None
    cheek_squint: float | None = None
    nose_sneer: float | None = None
    upper_lip_up: float | None = None
    lower_lip_down: float | None = None
    smile: float | None = None
    frown: float | None = None
    lip_stretch: float | None = None
    lip_press: float | None = None
    pucker: float | None = None
    jaw_open: float | None = None


@dataclass(frozen=True, slots=True)
class VideoRow:
    """One face in one frame of a video; a frame without a face has one row without one.

    Attributes:
        frame: number of the frame, from 0.
        seconds: when it is shown, from the start of the video.
        at: when it was recorded, UTC, ISO 8601; ``None`` where the start is not known.
        track: number of the face from frame to frame; ``None``: no face, and so are the others.
        primary: whether it is the participant's face.
        x, y, width, height, score, quality, flaw: as in `FaceRow`.
        emotion: the label, steadied over frames as the appliance does it.
        neutral, happiness, surprise, sadness, anger, disgust, fear, contempt: the probabilities of
            this frame alone.
        yaw … jaw_open: as in `FaceRow`, of this frame alone.
    """

    frame: int
    seconds: float
    at: str | None = None
    track: int | None = None
    primary: bool | None = None
    x: float | None = None
    y: float | None = None
    width: float | None = None
    height: float | None = None
    score: float | None = None
    quality: float | None = None
    flaw: str | None = None
    emotion: str | None = None
    neutral: float | None = None
    happiness: float | None = None
    surprise: float | None = None
    sadness: float | None = None
    anger: float | None = None
    disgust: float | None = None
    fear: float | None = None
    contempt: float | None = None
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None
    look_x: float | None = None
    look_y: float | None = None
    brow_down: float | None = None
    brow_inner_up: float | None = None
    brow_outer_up: float | None = None
    eye_blink: float | None = None
    eye_squint: float | None = None
    eye_wide: float | None = None
    cheek_squint: float | None = None
    nose_sneer: float | None = None
    upper_lip_up: float | None = None
    lower_lip_down: float | None = None
    smile: float | None = None
    frown: float | None = None
    lip_stretch: float | None = None
    lip_press: float | None = None
    pucker: float | None = None
    jaw_open: float | None = None


def read_video(
    video: str | PathLike[str], *, model: str = "expression-accurate", start: datetime | None = None
) -> Iterator[VideoRow]:
    """Read every frame of a video, as fast as the machine allows and in constant memory.

    Args:
        video: path of the file.
        model: as for `read`.
        start: when the recording began, with its time zone.

    Yields:
        Rows in the order of the frames.

    Raises:
        CameraError: the file is missing, empty, or no video.
        ModelError: the model is missing or damaged.
        ValueError: the start has no time zone.

    Example::

        import pandas as pd
        from edge_agent import read_video

        table = pd.DataFrame(read_video("talk.mp4"))
    """
    if start is not None and start.tzinfo is None:
        raise ValueError(f"start {start.isoformat()} has no time zone; give it one")
    start_ms = 0 if start is None else round(start.timestamp() * 1000)
    recognizer = open_recognizer(VisionSettings().model_copy(update={"expression_model": model}))
    with closing(VideoReader(Path(video), recognizer, start_ms)) as frames:
        for frame in frames:
            yield from video_rows(frame, dated=start is not None)


def video_rows(frame: VideoFrame, *, dated: bool) -> list[VideoRow]:
    """Return the rows of a frame; ``dated``: its wall clock is known."""
    at = iso_utc(frame.recognition.at.wall_ms) if dated else None
    if not frame.recognition.observations:
        return [VideoRow(frame.number, frame.seconds, at)]
    return [
        VideoRow(
            frame.number, frame.seconds, at, seen.track, seen.primary, **_columns(seen, seen.raw)
        )
        for seen in frame.recognition.observations
    ]


def read(
    picture: str | PathLike[str] | npt.NDArray[np.uint8], *, model: str = "expression-accurate"
) -> list[FaceRow]:
    """Find and read the faces of one picture.

    Args:
        picture: path of a file, or its pixels: uint8, height × width × 3 in the order blue, green,
            red (as OpenCV reads them), or height × width, gray.
        model: ``expression-accurate``, ``expression-fast``, or the path of a model's card.

    Returns:
        A row for each face, the surest first; none where no face was found.

    Raises:
        PictureError: the file is missing or no picture, or the array is none.
        ModelError: the model is missing or damaged.

    Example::

        from edge_agent import read

        for face in read("group.jpg"):
            print(face.emotion or face.flaw or "uncertain", round(face.happiness, 2))
    """
    if isinstance(picture, str | PathLike):
        image = load_picture(Path(picture))
    else:
        image = _check_picture(picture)
    faces = _recognizer(model).read_picture(image)
    return [FaceRow(**_columns(face, face.expression)) for face in faces]


@lru_cache(maxsize=2)
def _recognizer(model: str) -> Recognizer:
    return open_recognizer(VisionSettings().model_copy(update={"expression_model": model}))


def _check_picture(picture: object) -> npt.NDArray[np.uint8]:
    if not isinstance(picture, np.ndarray):
        raise PictureError(
            f"a picture is the path of a file or an array of pixels, not {picture!r}. "
            "OpenCV's imread gives None for a file that it cannot read: give the path itself."
        )
    is_picture = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)
    if picture.dtype != np.uint8 or not is_picture or picture.size == 0:
        raise PictureError(
            f"an array of {picture.dtype} with the shape {picture.shape} is no picture: it must be "
            "uint8, height × width × 3 (blue, green, red) or height × width (gray)."
        )
    return picture


def _columns(seen: FaceReading | Observation, expression: Expression) -> dict[str, Any]:
    """Return what both kinds of rows tell of a face."""
    flaw = seen.reject_reason
    named = seen.emotion if flaw is None else None
    return {
        **asdict(seen.face.box),
        "score": seen.face.score,
        "quality": seen.quality,
        "flaw": flaw and flaw.value,
        "emotion": named and named.value,
        **expression.as_dict(),
        **({} if seen.movements is None else seen.movements.as_dict()),
    }
