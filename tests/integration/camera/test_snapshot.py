"""Still pictures of an IP camera, from a real server: what is read, refused, and never logged."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

import cv2
import numpy as np
import pytest

from edge_agent.camera import network
from edge_agent.camera.factory import open_camera
from edge_agent.camera.network import SnapshotCamera
from edge_agent.config.camera import CameraSettings
from edge_agent.core.addresses import Address
from edge_agent.core.errors import CameraError, CameraReason
from tests.support.vision.cameras import AnsweringServer

Answer = Callable[[BaseHTTPRequestHandler], None]
SECRET = "s3cret"
FAST_S = 0.01


def jpeg(level: int = 128) -> bytes:
    """A gray picture of 64 × 48 as JPEG."""
    done, data = cv2.imencode(".jpg", np.full((48, 64, 3), level, dtype=np.uint8))
    assert done
    return data.tobytes()


def claiming(width: int, height: int) -> bytes:
    """A small JPEG whose header says that it has this size."""
    data = bytearray(jpeg())
    size_at = data.index(b"\xff\xc0") + 5
    data[size_at : size_at + 4] = height.to_bytes(2) + width.to_bytes(2)
    return bytes(data)


def twice(width: int, height: int) -> bytes:
    """A JPEG with a second frame header, of this size, in front of its scan."""
    data, other = jpeg(), claiming(width, height)
    frame = slice(other.index(b"\xff\xc0"), other.index(b"\xff\xc4"))
    scan_at = data.index(b"\xff\xda")
    return data[:scan_at] + other[frame] + data[scan_at:]


PNG = cv2.imencode(".png", np.zeros((48, 64, 3), dtype=np.uint8))[1].tobytes()


def content(data: bytes, kind: str = "image/jpeg", status: int = 200, location: str = "") -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(data)))
        if location:
            request.send_header("Location", location)
        request.end_headers()
        request.wfile.write(data)

    return answer


def refusal(address: str, stall_seconds: float = 5.0) -> CameraError:
    with pytest.raises(CameraError) as caught:
        SnapshotCamera(Address(address), interval_s=FAST_S, stall_seconds=stall_seconds)
    return caught.value


def test_each_read_fetches_the_picture_of_now() -> None:
    levels = iter([40, 120, 200])
    paths: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        paths.append(request.path)
        content(jpeg(next(levels)))(request)

    with AnsweringServer(answer) as server:
        address = f"{server.address}/snapshot.jpg"
        options = CameraSettings(source="snapshot", device=address, rotate=90, snapshot_seconds=0.1)
        with open_camera(options) as camera:
            frames = [camera.read() for _ in range(3)]
    assert [round(float(frame.image.mean())) for frame in frames] == [40, 120, 200]
    assert [frame.number for frame in frames] == [0, 1, 2]
    assert frames[0].image.shape == (64, 48, 3)
    assert paths == ["/snapshot.jpg"] * 3
    assert not camera.simulated


def asking(challenge: str, is_right: Callable[[str], bool]) -> Answer:
    """Answer that a user is wanted, until the right one is told."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        if is_right(request.headers["Authorization"] or ""):
            content(jpeg())(request)
            return
        request.send_response(401)
        request.send_header("WWW-Authenticate", challenge)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def is_digest(given: str) -> bool:
    assert f"{SECRET}@1" not in given
    return given.startswith("Digest ") and 'username="admin"' in given


LOGIN = base64.b64encode(f"admin:{SECRET}@1".encode()).decode()
basic = asking('Basic realm="camera"', lambda given: given == f"Basic {LOGIN}")
digest = asking('Digest realm="camera", nonce="n1", qop="auth"', is_digest)


@pytest.mark.parametrize("method", [basic, digest])
def test_user_and_password_of_the_address_are_used_and_never_logged(
    method: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with AnsweringServer(method) as server:
        address = (
            server.address.replace("//", f"//admin:{SECRET}%401@") + f"/image.jpg?pwd={SECRET}"
        )
        with SnapshotCamera(Address(address), interval_s=FAST_S) as camera:
            assert camera.read().image.shape == (48, 64, 3)
    assert camera.name == f"snapshot:http://…@127.0.0.1:{server.server_port}/image.jpg?…"
    assert "camera snapshot:" in caplog.text
    assert SECRET not in caplog.text


def test_a_wrong_password_is_refused_without_showing_it() -> None:
    with AnsweringServer(basic) as server:
        error = refusal(server.address.replace("//", f"//admin:{SECRET}@"))
    assert error.reason is CameraReason.NO_PERMISSION
    assert "refuses the user (HTTP 401)" in error.problem
    assert SECRET not in str(error)


@pytest.mark.parametrize(
    ("answer", "reason", "problem"),
    [
        (content(b"<html>", "text/html"), CameraReason.UNREADABLE, "answers with text/html, not"),
        (content(b"", "text/plain", 404), CameraReason.NOT_FOUND, "no picture at this path"),
        (content(b"", "text/plain", 503), CameraReason.UNREADABLE, "with an error (HTTP 503)"),
        (content(jpeg()[:-400]), CameraReason.UNREADABLE, "no JPEG, broken or cut off"),
        (content(b"no picture"), CameraReason.UNREADABLE, "no JPEG, broken or cut off"),
        (content(b""), CameraReason.UNREADABLE, "no JPEG, broken or cut off"),
        (content(PNG), CameraReason.UNREADABLE, "no JPEG, broken or cut off"),
        (content(claiming(60_000, 60_000)), CameraReason.UNREADABLE, "has 60000 × 60000 pixels"),
        (content(claiming(3_606, 3_606)), CameraReason.UNREADABLE, "more than 13 million"),
        (content(twice(60_000, 60_000)), CameraReason.UNREADABLE, "has 60000 × 60000 pixels"),
        (content(b"", status=302, location="file:///etc/hosts"), CameraReason.UNREADABLE, "302"),
    ],
    ids=[
        *("page", "missing", "failing", "cut off", "no picture", "empty", "another format"),
        *("huge", "too large", "two sizes", "led to a file"),
    ],
)
def test_incomplete_jpeg_is_refused(answer: Answer, reason: CameraReason, problem: str) -> None:
    with AnsweringServer(answer) as server:
        error = refusal(server.address)
    assert error.reason is reason
    assert problem in error.problem


@pytest.mark.parametrize("honest", [True, False])
def test_a_picture_that_is_too_large_is_not_read_to_its_end(
    honest: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "MAX_BYTES", 1024 * 1024)

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        if honest:
            request.send_header("Content-Length", str(2 * 1024 * 1024))
        request.end_headers()
        with suppress(OSError):  # the camera has hung up
            for _ in range(2 * 1024):
                request.wfile.write(b"\xff" * 1024)

    with AnsweringServer(answer) as server:
        error = refusal(server.address)
    assert error.reason is CameraReason.UNREADABLE
    assert "more than 16 MiB" in error.problem


@pytest.mark.parametrize("when", ["before the answer", "within the picture"])
def test_a_camera_that_stops_answering_has_stalled(when: str) -> None:
    over = threading.Event()

    def answer(request: BaseHTTPRequestHandler) -> None:
        if when == "within the picture":
            request.send_response(200)
            request.send_header("Content-Type", "image/jpeg")
            request.end_headers()
            with suppress(OSError):
                while not over.wait(0.05):
                    request.wfile.write(b"\xff")
        over.wait(60)

    with AnsweringServer(answer) as server:
        error = refusal(server.address, stall_seconds=0.5)
        over.set()
    assert error.reason is CameraReason.STALLED
    assert "no whole picture within 0.5 s" in error.problem


def test_closing_ends_a_read_that_waits() -> None:
    first = threading.Event()
    waiting = threading.Event()
    over = threading.Event()

    def answer(request: BaseHTTPRequestHandler) -> None:
        if first.is_set():
            waiting.set()
            over.wait(1000)
        first.set()
        content(jpeg())(request)

    with AnsweringServer(answer) as server:
        camera = SnapshotCamera(Address(server.address), interval_s=FAST_S, stall_seconds=1000)
        camera.read()

        def close_meanwhile() -> None:
            waiting.wait(60)
            camera.close()

        closer = threading.Thread(target=close_meanwhile)
        closer.start()
        with pytest.raises(CameraError, match="was closed"):
            camera.read()
        over.set()
        closer.join()


def test_nobody_at_the_address_or_a_server_that_is_not_trusted_is_reported() -> None:
    with AnsweringServer(content(jpeg())) as server:
        address = server.address
        untrusted = refusal(address.replace("http:", "https:"))
    error = refusal(address)
    assert (error.reason, untrusted.reason) == (CameraReason.NOT_FOUND, CameraReason.UNREADABLE)
    assert "nobody answers (Connection refused)" in error.problem
    assert "no trusted encryption" in untrusted.problem


@pytest.mark.parametrize("address", ["0", "http://", "http://camera:port/", "file:///etc/passwd"])
def test_another_kind_of_address_is_refused(address: str) -> None:
    error = refusal(address)
    assert error.reason is CameraReason.UNREADABLE
    assert "is no http:// or https:// address" in error.problem
