"""Network streams from a real HTTP server that streams, stalls, ends, keeps silent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from edge_agent.camera import pixels
from edge_agent.camera.base import Camera, DriverStuckError
from edge_agent.camera.factory import open_opencv
from edge_agent.camera.network import StreamCamera
from edge_agent.config.camera import CameraSettings
from edge_agent.core import clock
from edge_agent.core.addresses import Address
from edge_agent.core.errors import CameraError, CameraReason
from tests.support.vision.cameras import VideoServer, read_to_the_end


@pytest.fixture(scope="module")
def server() -> Iterator[VideoServer]:
    with VideoServer() as running:
        yield running


def opened(address: str) -> Camera:
    return open_opencv(CameraSettings(device=address, stall_seconds=1))


def refusal(address: str) -> CameraError:
    with pytest.raises(CameraError) as caught:
        opened(address)
    return caught.value


def test_a_stream_gives_frames_until_it_is_closed(server: VideoServer) -> None:
    options = CameraSettings(device=f"{server.address}/endless", rotate=90, stall_seconds=1)
    with open_opencv(options) as camera:
        frames = [camera.read() for _ in range(20)]
    assert frames[0].image.shape == (64, 48, 3)
    assert [frame.number for frame in frames] == list(range(20))
    assert camera.name == f"opencv:{server.address}/endless"
    with pytest.raises(CameraError, match="the camera was closed"):
        camera.read()


@pytest.mark.parametrize(
    ("path", "problem", "seconds"), [("stalls", "no frame for", 1), ("ends", "the stream ended", 0)]
)
def test_a_stream_that_stalls_or_ends_is_reported_within_its_time(
    server: VideoServer, path: str, problem: str, seconds: float, capfd: pytest.CaptureFixture[str]
) -> None:
    with opened(f"{server.address}/{path}") as camera:
        frames, error = read_to_the_end(camera)
        waited = clock.now().seconds_since(frames[-1].at)
    assert error.reason is CameraReason.STALLED
    assert problem in str(error)
    assert len(frames) >= 9
    assert seconds <= waited + 0.1
    assert capfd.readouterr().err == ""


def test_a_server_that_never_answers_does_not_hang_the_agent(server: VideoServer) -> None:
    error = refusal(f"{server.address}/silent")
    assert error.reason is CameraReason.STALLED
    assert "sent no video for 1.0 s" in str(error)


def test_a_name_service_that_hangs_is_a_matter_of_network_not_of_a_driver(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(pixels, "GRACE_S", 0.05)
    monkeypatch.setattr(StreamCamera, "starts_within_s", 0.05)
    monkeypatch.setattr(socket, "create_connection", lambda *_args, **_more: answered.wait(30))
    with pytest.raises(CameraError, match="the network has not answered") as caught:
        StreamCamera(Address("rtsp://camera/stream"), stall_seconds=0.05)
    answered.set()
    assert caught.value.reason is CameraReason.STALLED
    assert not isinstance(caught.value, DriverStuckError)


@pytest.mark.parametrize("path", ["page", "missing"])
def test_a_server_without_a_video_there_is_unreadable(
    server: VideoServer, path: str, capfd: pytest.CaptureFixture[str]
) -> None:
    error = refusal(f"http://user:secret@127.0.0.1:{server.server_port}/{path}")
    assert error.reason is CameraReason.UNREADABLE
    assert "the server answers, but not with a video" in str(error)
    assert "http://…@127.0.0.1" in str(error)
    assert "secret" not in str(error)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("path", "reason", "said"),
    [
        ("missing", CameraReason.UNREADABLE, "not with a video: HTTP 404. Check the path"),
        ("page", CameraReason.UNREADABLE, "not with a video: text/html. Take the camera's address"),
        ("still.jpg", CameraReason.UNREADABLE, 'a still picture. Set camera.source = "snapshot".'),
        ("private", CameraReason.NO_PERMISSION, "asks for a user and a password (HTTP 401)."),
        ("moved", CameraReason.NO_PERMISSION, "/private?… (HTTP 401). Write both into"),
        ("bare", CameraReason.UNREADABLE, "stream does not begin with its boundary. Take"),
    ],
)
def test_a_web_server_without_a_video_names_the_cause_and_the_way_out(
    server: VideoServer, path: str, reason: CameraReason, said: str
) -> None:
    error = refusal(f"http://user:secret@127.0.0.1:{server.server_port}/{path}")
    assert error.reason is reason
    assert said in str(error)
    assert "secret" not in str(error)


def test_unreachable_stream_is_reported_at_once() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        error = refusal(f"rtsp://127.0.0.1:{closed.getsockname()[1]}/stream")
    assert error.reason is CameraReason.NOT_FOUND
    assert "Connection refused" in str(error)
    assert refusal("http://camera.invalid/stream").reason is CameraReason.NOT_FOUND


@pytest.mark.parametrize(
    "address", ["ftp://host/clip.mp4", "http://", "http://host:99999/x", "http://[::1/x", "://x"]
)
def test_an_address_that_cannot_be_taken_shows_how_one_looks(address: str) -> None:
    error = refusal(address)
    assert error.reason is CameraReason.UNREADABLE
    assert "rtsp://user:password@host:554/path" in error.cure
