"""Real things for cameras to read: a user without rights, video files, a stalling server."""

from __future__ import annotations

import os
import re
import shutil
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from edge_agent.camera.base import Camera
from edge_agent.core.errors import CameraError
from edge_agent.core.expression import Frame

NOBODY = 65534
GREY_STEP = 8


@contextmanager
def without_rights() -> Iterator[None]:
    """Be a user whom file permissions bind: root, whom none does, becomes nobody meanwhile."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that every user may enter, unlike ``tmp_path``."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        for entry in folder.iterdir():
            entry.chmod(0o755)  # what a test has locked could not be removed
        shutil.rmtree(folder)


def write_video(path: Path, frames: int, fps: float, width: int = 64, height: int = 48) -> Path:
    """Write a Motion JPEG video whose frame n is grey of value 8 n.

    OpenCV's own writer is used: FFmpeg's would set up the log of FFmpeg before our code can.
    """
    code = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, code, fps, (width, height))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((height, width, 3), GREY_STEP * number, dtype=np.uint8))
    writer.release()
    return path


def write_matroska(
    path: Path,
    frames: int,
    fps: int,
    *,
    begin_s: int = 0,
    display: tuple[int, int] = (32, 48),
    codec: bytes = b"V_MJPEG",
) -> Path:
    """Write a Matroska video of 32 × 48 pixels whose frame n is grey of value 8 n.

    Args:
        path: the file.
        frames: how many.
        fps: frames per second.
        begin_s: when the first is shown; the file's duration counts from 0, as programs write it.
        display: size at which it is to be shown.
        codec: what the file says that its pictures are.
    """
    shades = (np.full((48, 32, 3), GREY_STEP * n, dtype=np.uint8) for n in range(frames))
    pictures = [cv2.imencode(".jpg", shade)[1].tobytes() for shade in shades]
    size = _number("b0", 32) + _number("ba", 48)
    shown = _number("54b0", display[0]) + _number("54ba", display[1])
    entry = _number("d7", 1) + _number("73c5", 1) + _number("83", 1)
    entry += _number("23e383", 10**9 // fps) + _element("86", codec) + _element("e0", size + shown)
    end_ms = struct.pack(">d", 1000 * (begin_s + frames / fps))
    info = _number("2ad7b1", 1_000_000) + _element("4489", end_ms)
    cluster = _number("e7", 1000 * begin_s)
    for number, picture in enumerate(pictures):
        at = struct.pack(">hB", round(1000 * number / fps), 0x80)
        cluster += _element("a3", b"\x81" + at + picture)
    segment = _element("1549a966", info) + _element("1654ae6b", _element("ae", entry))
    segment += _element("1f43b675", cluster)
    head = _element("1a45dfa3", _element("4282", b"matroska"))
    path.write_bytes(head + _element("18538067", segment))
    return path


def _element(identity: str, content: bytes) -> bytes:
    """An element of Matroska, its length in eight bytes."""
    return bytes.fromhex(identity) + (1 << 56 | len(content)).to_bytes(8) + content


def _number(identity: str, value: int) -> bytes:
    return _element(identity, value.to_bytes(8))


def damage_frames(video: Path, *numbers: int) -> Path:
    """Overwrite frames of a video of ``write_video`` with zeros."""
    content = bytearray(video.read_bytes())
    chunks = [match.start() for match in re.finditer(b"00dc", content)]
    for number in numbers:
        begin = chunks[number] + 8
        size = int.from_bytes(content[begin - 4 : begin], "little")
        content[begin : begin + size] = bytes(size)
    video.write_bytes(content)
    return video


def frame_number(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> int:
    """Tell which frame of ``write_video`` a picture is."""
    return round(float(image.mean()) / GREY_STEP)


def read_to_the_end(camera: Camera) -> tuple[list[Frame], CameraError]:
    """Read frames until there are no more; return them and the error that ended them."""
    frames: list[Frame] = []
    while True:
        try:
            frames.append(camera.read())
        except CameraError as error:
            return frames, error


class AnsweringServer(ThreadingHTTPServer):
    """An HTTP server on a free port of 127.0.0.1 that answers every GET as it is told."""

    daemon_threads = True

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.address = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: AnsweringServer

    def do_GET(self) -> None:
        self.server.answer(self)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class VideoServer(AnsweringServer):
    """A server of videos.

    Paths: ``/endless`` and ``/stalls`` are Motion JPEG (the latter stops after ten frames but keeps
    the connection), ``/ends`` closes after ten frames, ``/bare`` lacks the first boundary,
    ``/silent`` never answers, ``/page`` is no video, ``/still.jpg`` a picture, ``/private`` wants
    a password, ``/moved`` leads there, all others do not exist.
    """

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.done = threading.Event()

    def __exit__(self, *_: object) -> None:
        self.done.set()
        super().__exit__()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        """Do what the path says."""
        path = request.path.partition("?")[0]
        if path == "/silent":
            self.done.wait(30)
        elif path == "/page":
            request.send_response(200)
            request.send_header("Content-Type", "text/html")
            request.end_headers()
            request.wfile.write(b"<html>Sign in</html>")
        elif path == "/still.jpg":
            request.send_response(200)
            request.send_header("Content-Type", "image/jpeg")
            request.end_headers()
        elif path == "/moved":
            request.send_response(302)
            request.send_header("Location", "/private?token=secret")
            request.end_headers()
        elif path == "/private":
            request.send_response(401)
            request.send_header("WWW-Authenticate", 'Basic realm="camera"')
            request.end_headers()
        elif path == "/bare":
            self._stream(request, frames=10, skip=len(b"--frame\r\n"))
        elif path in {"/endless", "/stalls", "/ends"}:
            self._stream(request, frames=10_000 if path == "/endless" else 10)
            if path == "/stalls":
                self.done.wait(30)
        else:
            request.send_error(404)

    def _stream(self, request: BaseHTTPRequestHandler, frames: int, skip: int = 0) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        for number in range(frames):
            picture = np.full((48, 64, 3), GREY_STEP * (number % 30), dtype=np.uint8)
            body = cv2.imencode(".jpg", picture)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
            try:
                content = head.encode() + body + b"\r\n"
                request.wfile.write(content[skip:] if number == 0 else content)
            except OSError:  # the camera was closed
                return
            if self.done.wait(0.02):
                return
