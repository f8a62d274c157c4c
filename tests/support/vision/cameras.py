"""Real things for cameras to read: a user without rights, video files, a stalling server."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

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


class VideoServer:
    """An HTTP server on a free port of 127.0.0.1.

    Paths: ``/endless`` and ``/stalls`` are Motion JPEG (the latter stops after ten frames but keeps
    the connection), ``/ends`` closes after ten frames, ``/silent`` never answers, ``/page`` is no
    video, all others do not exist.
    """

    def __init__(self) -> None:
        self.done = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                """Say nothing."""

            def do_GET(self) -> None:
                server.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}
        )
        self.port = self._server.server_port
        self.address = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> VideoServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Do what the path says."""
        path = request.path.partition("?")[0]
        if path == "/silent":
            self.done.wait(30)
        elif path == "/page":
            request.send_response(200)
            request.send_header("Content-Type", "text/html")
            request.end_headers()
            request.wfile.write(b"<html>Sign in</html>")
        elif path in {"/endless", "/stalls", "/ends"}:
            self._stream(request, frames=10_000 if path == "/endless" else 10)
            if path == "/stalls":
                self.done.wait(30)
        else:
            request.send_error(404)

    def _stream(self, request: BaseHTTPRequestHandler, frames: int) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        for number in range(frames):
            picture = np.full((48, 64, 3), GREY_STEP * (number % 30), dtype=np.uint8)
            body = cv2.imencode(".jpg", picture)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
            try:
                request.wfile.write(head.encode() + body + b"\r\n")
            except OSError:  # the camera was closed
                return
            if self.done.wait(0.02):
                return
