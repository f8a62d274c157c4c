"""The process that decodes network pictures: what it costs, how it dies, and what it refuses."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from edge_agent.camera.base import Camera
from edge_agent.camera.decoder import Decoder
from edge_agent.camera.network import SnapshotCamera, StreamCamera
from edge_agent.core.addresses import Address
from edge_agent.core.errors import CameraError, CameraReason
from edge_agent.core.pictures import MAX_PIXELS
from tests.support.broker import wait_until
from tests.support.vision.cameras import AnsweringServer, read_to_the_end
from tests.support.vision.rtsp import RtspServer

MOST_BYTES = 45 * 1024 * 1024
BOUNDARY = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"


def jpeg(width: int = 640, height: int = 480) -> bytes:
    done, data = cv2.imencode(".jpg", np.full((height, width, 3), 128, np.uint8))
    assert done
    return data.tobytes()


def claiming(width: int, height: int) -> bytes:
    """A small JPEG whose header says that it has this size."""
    data = bytearray(jpeg(64, 48))
    size_at = data.index(b"\xff\xc0") + 5
    data[size_at : size_at + 4] = height.to_bytes(2) + width.to_bytes(2)
    return bytes(data)


def answer_with(*pictures: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """Send a picture, or at ``/stream`` the first and then the others over and over, as MJPEG."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        if not request.path.startswith("/stream"):
            request.send_header("Content-Type", "image/jpeg")
            request.end_headers()
            request.wfile.write(pictures[0])
            return
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        try:
            for number in range(10_000):
                picture = pictures[min(number // 20, len(pictures) - 1)]
                request.wfile.write(BOUNDARY + picture + b"\r\n")
        except OSError:  # the camera has hung up
            pass

    return answer


def workers() -> list[psutil.Process]:
    return [
        one
        for one in psutil.Process().children()
        if "edge_agent.camera.decoder_worker" in one.cmdline()
    ]


def opened(kind: str, server: AnsweringServer) -> Camera:
    if kind == "stream":
        return StreamCamera(Address(f"{server.address}/stream"), stall_seconds=2)
    return SnapshotCamera(Address(f"{server.address}/image.jpg"), interval_s=0.01)


@contextmanager
def decoding() -> Iterator[Decoder]:
    decoder = Decoder("a camera", network=False)
    try:
        yield decoder
    finally:
        decoder.release()


@pytest.fixture(autouse=True)
def _no_process_stays() -> Iterator[None]:
    yield
    assert workers() == []


@pytest.mark.parametrize("kind", ["stream", "snapshot"])
def test_network_pictures_are_decoded_apart_in_little_memory(kind: str) -> None:
    with AnsweringServer(answer_with(jpeg())) as server, opened(kind, server) as camera:
        frames = [camera.read() for _ in range(30)]
        (worker,) = workers()
        # Its own pages: its share of libraries depends on who else runs them just then.
        assert worker.memory_full_info().uss <= MOST_BYTES
        status = Path(f"/proc/{worker.pid}/status").read_text(encoding="ascii")
    assert {frame.image.shape for frame in frames} == {(480, 640, 3)}
    assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status


@pytest.mark.parametrize("kind", ["stream", "snapshot"])
def test_a_decoder_that_is_killed_is_an_error_and_the_camera_opens_again(kind: str) -> None:
    with AnsweringServer(answer_with(jpeg())) as server:
        with opened(kind, server) as camera:
            camera.read()
            (worker,) = workers()
            os.kill(worker.pid, signal.SIGKILL)
            _frames, error = read_to_the_end(camera)
        assert error.reason is CameraReason.UNREADABLE
        assert "the process that decodes its pictures ended by signal 9" in error.problem
        with opened(kind, server) as camera:
            assert camera.read().image.shape == (480, 640, 3)


def test_stream_of_pictures_that_claim_to_be_huge_ends_and_takes_no_memory() -> None:
    pictures = answer_with(jpeg(), claiming(60_000, 60_000), claiming(20_000, 20_000))
    with AnsweringServer(pictures) as server, opened("stream", server) as camera:
        (worker,) = workers()
        frames, error = read_to_the_end(camera)
        peak_kb = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{worker.pid}/status").read_text())
    assert len(frames) >= 1
    assert error.reason in {CameraReason.STALLED, CameraReason.UNREADABLE}
    assert peak_kb is not None
    assert int(peak_kb[1]) < 400 * 1024


def test_a_stream_of_larger_pictures_than_are_read_is_refused() -> None:
    large = jpeg(5_000, MAX_PIXELS // 5_000 + 1)
    with (
        AnsweringServer(answer_with(large)) as server,
        pytest.raises(CameraError, match="has 5000 × 2601 pixels; up to 13 million are read"),
    ):
        opened("stream", server)


def test_a_picture_that_claims_to_be_huge_is_none_and_the_next_one_is_read() -> None:
    with decoding() as decoder:
        assert decoder.decode(claiming(60_000, 60_000)) is None
        assert decoder.decode(claiming(20_000, 20_000)) is None, "more memory than it may take"
        assert decoder.decode(b"no picture") is None
        image = decoder.decode(jpeg())
    assert image is not None
    assert image.shape == (480, 640, 3)


def test_web_server_is_asked_by_its_name_though_decoder_cannot_look_it_up() -> None:
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.headers["Host"])
        answer_with(jpeg())(request)

    with AnsweringServer(answer) as server:
        address = f"http://localhost:{server.server_port}/stream"
        with StreamCamera(Address(address), stall_seconds=2) as camera:
            camera.read()
    assert asked == [f"localhost:{server.server_port}"]


def test_a_stream_by_rtsp_is_read_through_a_name() -> None:
    with RtspServer() as server:
        address = f"rtsp://localhost:{server.port}/live"
        with StreamCamera(Address(address), stall_seconds=5) as camera:
            frames = [camera.read() for _ in range(10)]
    assert {frame.image.shape for frame in frames} == {(480, 640, 3)}
    assert round(float(frames[-1].image.mean())) == 120
    assert f"PLAY rtsp://127.0.0.1:{server.port}/live RTSP/1.0" in [
        line.replace("/ RTSP", " RTSP") for line in server.asked
    ]


def test_the_decoder_ends_with_the_agent_that_is_killed() -> None:
    script = (
        "import time\n"
        "from edge_agent.camera.decoder import Decoder\n"
        "print(Decoder('a camera', network=False).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        worker = psutil.Process(int(agent.stdout.readline()))
        agent.kill()
    wait_until(lambda: not worker.is_running(), "the decoder to end")
