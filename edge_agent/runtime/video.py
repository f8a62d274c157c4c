"""Read the faces of a recorded video: every frame, as fast as the machine allows.

Times are those at which the frames are shown, so that a rate that varies, or a machine that is
busy, changes nothing: the same file gives the same answer each time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge_agent.camera.file import VideoFile, open_video
from edge_agent.camera.pixels import quiet_opencv
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Frame, Recognition
from edge_agent.vision.recognizer import Recognizer

_FROM_1904_S = 2_082_844_800
"""Seconds from the first of January 1904, from which the format MP4 counts, to that of 1970."""
_EARLIEST_MS = 946_684_800_000  # the year 2000
_LATEST_MS = 4_102_444_800_000  # the year 2100


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """What was read in one frame of a video.

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

    Attributes:
        frames: how many frames the file says that it has; 0: it says nothing.

    Raises:
        CameraError: the file is missing, may not be read, is empty or no video.

    Example::

        with closing(VideoReader(Path("talk.mp4"), open_recognizer())) as reader:
            for frame in reader:
                print(frame.seconds, frame.recognition.primary)
    """

    def __init__(self, path: Path, recognizer: Recognizer, start_ms: int = 0) -> None:
        quiet_opencv()
        self._video: VideoFile = open_video(path)
        self._recognizer = recognizer
        self._start_ms = start_ms
        self.frames = self._video.frames

    @property
    def damaged(self) -> int:
        """How many frames were passed over, since they could not be decoded."""
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
            recognition = self._recognizer.recognize(Frame(image, at, number))
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
        return made_ms if header and _EARLIEST_MS <= made_ms < _LATEST_MS else None
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
