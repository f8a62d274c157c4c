"""The Pi's camera, against a double of the calls that Picamera2's manual documents."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from edge_agent.camera import picamera
from edge_agent.camera.base import DriverStuckError
from edge_agent.camera.picamera import PicameraCamera, picamera_error, taken_at
from edge_agent.core import clock
from edge_agent.core.errors import CameraError, CameraReason
from tests.support.vision.cameras import open_folder, without_rights

IMX708 = {"Model": "imx708", "Id": "/base/axi/pcie@120000/rp1/i2c@88000/imx708@1a", "Num": 0}
WEBCAM = {"Model": "HD Webcam", "Id": "/base/soc/usb@7e980000/usb-1.2:1.0-046d:0825", "Num": 0}


class Request:
    """A completed request: a picture, its metadata, and whether it was given back."""

    def __init__(self, image: np.ndarray[Any, np.dtype[np.uint8]], sensor_ns: int) -> None:
        self.image = image
        self.sensor_ns = sensor_ns
        self.released = False

    def make_array(self, name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        assert name == "main"
        return self.image.copy()

    def get_metadata(self) -> dict[str, Any]:
        return {"SensorTimestamp": self.sensor_ns, "ExposureTime": 10_000}

    def release(self) -> None:
        assert not self.released
        self.released = True


class Picamera2:
    """The documented calls, with what a test sets them to do."""

    cameras: list[dict[str, Any]] = [IMX708]  # noqa: RUF012 - set by tests
    at_open: Callable[[], None] = staticmethod(lambda: None)
    at_start: Callable[[], None] = staticmethod(lambda: None)
    at_wait: Callable[[float], None] = staticmethod(lambda timeout: None)
    at_close: Callable[[], None] = staticmethod(lambda: None)
    made: list[Picamera2]

    @classmethod
    def global_camera_info(cls) -> list[dict[str, Any]]:
        return cls.cameras

    def __init__(self, camera_num: int = 0) -> None:
        assert camera_num == 0
        self.at_open()
        self.made.append(self)
        self.configuration: dict[str, Any] | None = None
        self.started = self.closed = False
        self.requests: list[Request] = []

    sensor_modes: list[dict[str, Any]] = []  # noqa: RUF012 - set by tests

    def create_video_configuration(
        self,
        main: dict[str, Any],
        controls: dict[str, Any],
        buffer_count: int,
        sensor: dict[str, Any],
    ) -> dict[str, Any]:
        return {"main": main, "controls": controls, "buffer_count": buffer_count, "sensor": sensor}

    def configure(self, configuration: dict[str, Any]) -> None:
        self.configuration = configuration

    def start(self) -> None:
        assert self.configuration is not None
        self.at_start()
        self.started = True

    def capture_request(self, wait: bool) -> Request:
        assert self.started
        assert wait is False  # gives a job, here the request itself
        width, height = self.configuration["main"]["size"] if self.configuration else (0, 0)
        image = np.zeros((height, width, 3), dtype=np.uint8)
        image[..., 0] = 200  # format RGB888 gives blue first
        self.requests.append(Request(image, clock.boot_ns() - 40_000_000))
        return self.requests[-1]

    def wait(self, job: Request, timeout: float) -> Request:
        assert timeout > 0
        self.at_wait(timeout)
        return job

    def close(self) -> None:
        self.at_close()
        self.closed = True


def double(**behaviour: Any) -> tuple[Any, type[Picamera2]]:
    """Return a module with a fresh Picamera2 class that behaves as told."""
    own = {
        name: staticmethod(value) if callable(value) else value for name, value in behaviour.items()
    }
    fresh = cast("type[Picamera2]", type("Picamera2", (Picamera2,), {"made": [], **own}))
    return SimpleNamespace(Picamera2=fresh), fresh


def opened(module: Any, **changes: Any) -> PicameraCamera:
    return PicameraCamera(
        **{
            "width": 64,
            "height": 48,
            "fps": 20.0,
            "stall_seconds": 1.0,
            "module": module,
            **changes,
        }
    )


def raising(error: Exception) -> Callable[..., None]:
    def raise_it(*_: object) -> None:
        raise error

    return raise_it


def failure_at_open(error: Exception, cause: Exception | None = None) -> Exception:
    """Give an error the cause with which Picamera2 wraps it."""
    error.__cause__ = cause
    return error


def test_frames_are_bgr_turned_and_stamped_when_the_sensor_saw_them() -> None:
    module, device = double()
    with opened(module, rotate=90) as camera:
        before = clock.now()
        frames = [camera.read(), camera.read()]
    assert camera.name == "picamera2:imx708"
    assert not camera.simulated
    assert [frame.number for frame in frames] == [0, 1]
    assert frames[0].image.shape == (64, 48, 3)
    assert frames[0].image[5, 5].tolist() == [200, 0, 0]
    assert -45 <= frames[0].at.boot_ms - before.boot_ms < 1000
    assert frames[0].at.wall_ms - frames[0].at.boot_ms == pytest.approx(
        before.wall_ms - before.boot_ms, abs=50
    )
    assert all(request.released for request in device.made[0].requests)
    assert device.made[0].closed


def test_size_rate_and_the_byte_order_are_asked_of_the_camera() -> None:
    module, device = double()
    opened(module, width=1280, height=720, fps=25.0).close()
    assert device.made[0].configuration == {
        "main": {"size": (1280, 720), "format": "RGB888"},
        "controls": {"FrameDurationLimits": (40_000, 40_000)},
        "buffer_count": 4,
        "sensor": {},
    }


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            RuntimeError('No camera number 0 found - use "rpicam-hello --list-cameras"'),
            CameraReason.NOT_FOUND,
        ),
        (IndexError("list index out of range"), CameraReason.NOT_FOUND),
        (
            failure_at_open(
                RuntimeError("Camera __init__ sequence did not complete."),
                RuntimeError("Failed to acquire camera: Device or resource busy"),
            ),
            CameraReason.BUSY,
        ),
        (
            PermissionError(13, "Permission denied", "/dev/dma_heap/linux,cma"),
            CameraReason.NO_PERMISSION,
        ),
        (
            failure_at_open(
                RuntimeError("Camera __init__ sequence did not complete."),
                PermissionError(13, "Permission denied"),
            ),
            CameraReason.NO_PERMISSION,
        ),
        (OSError(12, "Cannot allocate memory"), CameraReason.UNREADABLE),
    ],
)
def test_each_failure_to_open_has_its_reason_and_cure(
    error: Exception, reason: CameraReason
) -> None:
    module, _device = double(at_open=raising(error))
    with pytest.raises(CameraError) as caught:
        opened(module)
    assert caught.value.reason is reason
    assert str(error) in caught.value.problem
    assert caught.value.cure
    assert caught.value.__cause__ is error


def test_no_camera_or_only_a_usb_one_is_not_found() -> None:
    for cameras in ([], [WEBCAM]):
        module, device = double(cameras=cameras)
        with pytest.raises(CameraError) as caught:
            opened(module)
        assert caught.value.reason is CameraReason.NOT_FOUND
        assert "rpicam-hello --list-cameras" in caught.value.cure
        assert device.made == []


def test_no_camera_behind_a_closed_dma_heap_is_a_matter_of_permission() -> None:
    error = RuntimeError("No camera number 0 found")
    with open_folder() as folder:
        assert picamera_error(error, folder / "missing").reason is CameraReason.NOT_FOUND
        assert picamera_error(error, folder).reason is CameraReason.NOT_FOUND
        heap = folder / "linux,cma"
        heap.touch()
        heap.chmod(0o666)
        with without_rights():
            assert picamera_error(error, folder).reason is CameraReason.NOT_FOUND
        heap.chmod(0o000)
        (folder / "locked").mkdir(mode=0o000)
        with without_rights():
            refused = [picamera_error(error, folder), picamera_error(error, folder / "locked")]
    for found in refused:
        assert found.reason is CameraReason.NO_PERMISSION
        assert "usermod -aG video" in found.cure


def test_a_camera_that_fails_to_start_is_let_go_of() -> None:
    module, device = double(at_start=raising(RuntimeError("Failed to start camera")))
    with pytest.raises(CameraError, match="the camera gives no pictures") as caught:
        opened(module)
    assert caught.value.reason is CameraReason.UNREADABLE
    assert device.made[0].closed


def test_no_frame_in_time_is_stalled_and_the_camera_can_be_closed_and_reopened() -> None:
    stalls = [True]
    module, device = double(
        at_wait=lambda timeout: raising(TimeoutError())() if stalls[0] else None
    )
    camera = opened(module)
    with pytest.raises(CameraError, match=r"picamera2:imx708: no frame for 1\.0 s") as caught:
        camera.read()
    assert caught.value.reason is CameraReason.STALLED
    assert not isinstance(caught.value, DriverStuckError)
    camera.close()
    assert device.made[0].closed
    stalls[0] = False
    with opened(module) as again:
        assert again.read().number == 0


def test_a_slow_camera_is_given_two_frames_of_time() -> None:
    timeouts: list[float] = []
    module, _device = double(at_wait=timeouts.append)
    with opened(module, fps=0.5) as camera:
        camera.read()
    assert timeouts == [4.0]


@pytest.mark.parametrize(
    ("call", "patience"), [("at_open", "OPEN_S"), ("at_wait", "GRACE_S"), ("at_close", "CLOSE_S")]
)
def test_a_driver_that_hangs_is_told_from_a_camera_that_stalls(
    call: str, patience: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picamera, patience, 0.05)
    hung = threading.Event()
    module, _device = double(**{call: lambda *_: hung.wait(60)})
    try:
        with pytest.raises(DriverStuckError, match="has not come back") as caught:  # noqa: PT012 - any of the three
            camera = opened(module, stall_seconds=0.05, fps=100.0)
            camera.read()
            camera.close()
    finally:
        hung.set()
    assert caught.value.reason is CameraReason.STALLED
    assert "Restart the agent" in caught.value.cure


def test_an_error_while_capturing_is_translated_and_one_while_closing_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    module, _device = double(
        at_wait=raising(RuntimeError("Camera is not running")),
        at_close=raising(RuntimeError("release failed")),
    )
    camera = opened(module)
    with pytest.raises(CameraError, match="Camera is not running") as caught:
        camera.read()
    assert caught.value.reason is CameraReason.UNREADABLE
    camera.close()
    assert "did not close cleanly: release failed" in caplog.text


def test_without_libcamera_the_cure_is_the_system_site_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A real package that imports libcamera, as picamera2 does, in an environment without it."""
    package = tmp_path / "picamera2"
    package.mkdir()
    (package / "__init__.py").write_text("import libcamera\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "libcamera", None)
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    with pytest.raises(CameraError, match="--system-site-packages") as caught:
        opened(None)
    assert caught.value.reason is CameraReason.LIBCAMERA_MISSING
    assert "libcamera" in caught.value.problem


def test_a_module_built_for_another_numpy_names_the_one_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "picamera2.py").write_text("raise ValueError('numpy.dtype size changed')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    with pytest.raises(CameraError, match="pip install --upgrade simplejpeg") as caught:
        opened(None)
    assert caught.value.reason is CameraReason.LIBCAMERA_MISSING


def test_an_installed_picamera2_is_what_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    module, device = double()
    installed = ModuleType("picamera2")
    installed.Picamera2 = module.Picamera2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", installed)
    with opened(None) as camera:
        assert camera.read().image.shape == (48, 64, 3)
    assert len(device.made) == 1


@pytest.mark.parametrize("sensor_ns", [0, -5, 10**18])
def test_a_timestamp_that_cannot_be_is_not_believed(
    sensor_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = clock.now()
    monkeypatch.setattr(clock, "now", lambda: present)
    assert taken_at({"SensorTimestamp": sensor_ns}) == present
    assert taken_at({}) == present
