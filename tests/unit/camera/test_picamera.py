"""The Pi's camera, against a double of the calls that Picamera2's manual documents."""

from __future__ import annotations

import ast
import importlib.util
import logging
import re
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest

from edge_agent.camera import picamera
from edge_agent.camera.base import DriverStuckError
from edge_agent.camera.picamera import PicameraCamera, picamera_error, taken_at, widest_view
from edge_agent.core import clock
from edge_agent.core.errors import CameraError, CameraReason
from tests.support.vision.cameras import open_folder, without_rights

Mode = dict[str, Any]
Score = Callable[[Mode, int, tuple[int, int]], float]
IMX708 = {"Model": "imx708", "Id": "/base/axi/pcie@120000/rp1/i2c@88000/imx708@1a", "Num": 0}
IMX219 = {"Model": "imx219", "Id": "/base/axi/pcie@120000/rp1/i2c@80000/imx219@10", "Num": 1}
WEBCAM = {"Model": "HD Webcam", "Id": "/base/soc/usb@7e980000/usb-1.2:1.0-046d:0825", "Num": 0}


def double(
    *,
    cameras: Sequence[dict[str, Any]] = (IMX708,),
    sensor_modes: Sequence[Mode] = (),
    **told: Callable[..., Any],
) -> Any:
    """Return a Picamera2 class that does what its manual documents, and what it is told to do."""

    def capture(wait: bool) -> MagicMock:
        assert wait is False  # gives a job, here the request itself
        width, height = device.configure.call_args[0][0]["main"]["size"]
        image = np.zeros((height, width, 3), dtype=np.uint8)
        image[..., 0] = 200  # format RGB888 gives blue first
        request = MagicMock(**{"make_array.return_value": image})
        request.get_metadata.return_value = {"SensorTimestamp": clock.boot_ns() - 40_000_000}
        device.requests.append(request)
        return request

    def wait(job: MagicMock, timeout: float) -> MagicMock:
        told.get("at_wait", bool)(timeout)
        return job

    device = MagicMock(sensor_modes=list(sensor_modes), requests=[])
    device.create_video_configuration.side_effect = dict
    device.capture_request.side_effect = capture
    device.wait.side_effect = wait
    device.start.side_effect = told.get("at_start")
    device.close.side_effect = told.get("at_close")
    kind = MagicMock(return_value=device, side_effect=told.get("at_open"))
    kind.global_camera_info.return_value = list(cameras)
    return kind


def opened(kind: Any, **changes: Any) -> PicameraCamera:
    """Open a camera where an installed ``picamera2`` brings this class."""
    wanted = {"width": 64, "height": 48, "fps": 20.0, "stall_seconds": 1.0, **changes}
    module: Any = SimpleNamespace(Picamera2=kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "picamera2", module)
        return PicameraCamera(**wanted)


def raising(error: Exception) -> Callable[..., None]:
    def raise_it(*_: object) -> None:
        raise error

    return raise_it


def test_frames_are_bgr_turned_and_stamped_when_the_sensor_saw_them() -> None:
    kind = double()
    with opened(kind, rotate=90) as camera:
        before = clock.now()
        frames = [camera.read(), camera.read()]
        after = clock.now()
    assert (camera.name, camera.simulated) == ("picamera2:imx708", False)
    assert kind.return_value.configure.call_args[0][0] == {
        "main": {"size": (64, 48), "format": "RGB888"},
        "controls": {"FrameDurationLimits": (50_000, 50_000)},
        "buffer_count": 4,
        "sensor": {},
    }
    assert [frame.number for frame in frames] == [0, 1]
    assert frames[0].image.shape == (64, 48, 3)
    assert frames[0].image[5, 5].tolist() == [200, 0, 0]
    assert before.boot_ms - 45 <= frames[0].at.boot_ms <= after.boot_ms
    ahead_ms = before.wall_ms - before.boot_ms
    assert frames[0].at.wall_ms - frames[0].at.boot_ms == pytest.approx(ahead_ms, abs=60_000)
    assert all(request.release.call_count == 1 for request in kind.return_value.requests)
    assert kind.return_value.close.called


UNFINISHED = "Camera __init__ sequence did not complete."


@pytest.mark.parametrize(
    ("error", "cause", "reason"),
    [
        (RuntimeError("No camera number 0 found - use rpicam-hello"), None, CameraReason.NOT_FOUND),
        (IndexError("list index out of range"), None, CameraReason.NOT_FOUND),
        (RuntimeError(UNFINISHED), RuntimeError("Device or resource busy"), CameraReason.BUSY),
        (RuntimeError(UNFINISHED), PermissionError(13, "No"), CameraReason.NO_PERMISSION),
        (OSError(12, "Cannot allocate memory"), None, CameraReason.OUT_OF_MEMORY),
        (
            RuntimeError("Failed to start camera: Cannot allocate memory"),
            None,
            CameraReason.OUT_OF_MEMORY,
        ),
        (RuntimeError(UNFINISHED), OSError(12, "No"), CameraReason.OUT_OF_MEMORY),
        (OSError(5, "Input/output error"), None, CameraReason.UNREADABLE),
    ],
)
def test_each_failure_to_open_has_its_reason_and_cure(
    error: Exception, cause: Exception | None, reason: CameraReason
) -> None:
    error.__cause__ = cause
    with pytest.raises(CameraError) as caught:
        opened(double(at_open=raising(error)))
    assert caught.value.reason is reason
    assert str(error) in caught.value.problem
    assert caught.value.cure
    assert caught.value.__cause__ is error


def test_camera_out_of_contiguous_memory_names_key_and_line_to_write() -> None:
    kind = double()
    kind.return_value.configure.side_effect = OSError(12, "Cannot allocate memory")
    with pytest.raises(CameraError, match="contiguous memory") as caught:
        opened(kind, buffers=3)
    assert kind.return_value.configure.call_args[0][0]["buffer_count"] == 3
    for line in ("camera.buffers = 2", "camera.width", "dtoverlay=vc4-kms-v3d,cma-256", "cma=256M"):
        assert line in caught.value.cure
    assert kind.return_value.close.called


@pytest.mark.parametrize("cameras", [[], [WEBCAM]])
def test_no_camera_or_only_a_usb_one_is_not_found(cameras: list[dict[str, Any]]) -> None:
    kind = double(cameras=cameras)
    with pytest.raises(CameraError) as caught:
        opened(kind)
    assert caught.value.reason is CameraReason.NOT_FOUND
    assert "rpicam-hello --list-cameras" in caught.value.cure
    assert "camera_auto_detect=0" in caught.value.cure and "dtoverlay=" in caught.value.cure
    assert not kind.called


def test_camera_of_another_number_is_opened_and_an_absent_one_is_named() -> None:
    kind = double(cameras=[IMX708, IMX219, WEBCAM])
    with opened(kind, number=1) as camera:
        assert camera.name == "picamera2:imx219"
    assert kind.call_args[0] == (1,)
    with pytest.raises(
        CameraError, match="no camera number 2, only 0: imx708, 1: imx219"
    ) as caught:
        opened(kind, number=2)
    assert caught.value.reason is CameraReason.NOT_FOUND
    assert "camera.number" in caught.value.cure


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
    kind = double(at_start=raising(RuntimeError("Failed to start camera")))
    with pytest.raises(CameraError, match="the camera gives no pictures") as caught:
        opened(kind)
    assert caught.value.reason is CameraReason.UNREADABLE
    assert kind.return_value.close.called


def test_no_frame_in_time_is_stalled_and_camera_can_be_closed_and_reopened() -> None:
    stalls = [True]
    kind = double(at_wait=lambda timeout: raising(TimeoutError())() if stalls[0] else None)
    camera = opened(kind)
    with pytest.raises(CameraError, match=r"picamera2:imx708: no frame for 1\.0 s") as caught:
        camera.read()
    assert caught.value.reason is CameraReason.STALLED
    assert not isinstance(caught.value, DriverStuckError)
    camera.close()
    assert kind.return_value.close.called
    stalls[0] = False
    with opened(kind) as again:
        assert again.read().number == 0


def test_a_slow_camera_is_given_two_frames_of_time() -> None:
    timeouts: list[float] = []
    kind = double(at_wait=timeouts.append)
    with opened(kind, fps=0.5) as camera:
        camera.read()
    assert timeouts == [4.0]


@pytest.mark.parametrize(
    ("call", "patience"), [("at_open", "OPEN_S"), ("at_wait", "GRACE_S"), ("at_close", "CLOSE_S")]
)
def test_a_driver_that_hangs_differs_from_a_camera_that_stalls(
    call: str, patience: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picamera, patience, 0.05)
    hung = threading.Event()
    told: dict[str, Any] = {call: lambda *_: hung.wait(60)}
    kind = double(**told)
    try:
        with pytest.raises(DriverStuckError, match="has not come back") as caught:  # noqa: PT012 - any of the three
            camera = opened(kind, stall_seconds=0.05, fps=100.0)
            camera.read()
            camera.close()
    finally:
        hung.set()
    assert caught.value.reason is CameraReason.STALLED
    assert "Restart the agent" in caught.value.cure


def test_an_error_while_capturing_is_translated(caplog: pytest.LogCaptureFixture) -> None:
    kind = double(
        at_wait=raising(RuntimeError("Camera is not running")),
        at_close=raising(RuntimeError("release failed")),
    )
    camera = opened(kind)
    with pytest.raises(CameraError, match="Camera is not running") as caught:
        camera.read()
    assert caught.value.reason is CameraReason.UNREADABLE
    camera.close()
    assert "did not close cleanly: release failed" in caplog.text


@pytest.mark.parametrize(
    ("content", "cure"),
    [
        ("import libcamera", "--system-site-packages"),  # as picamera2 does
        ("raise ValueError('numpy.dtype size changed')", "pip install --upgrade simplejpeg"),
    ],
)
def test_a_picamera2_that_cannot_be_loaded_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str, cure: str
) -> None:
    (tmp_path / "picamera2.py").write_text(f"{content}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "libcamera", None)
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    with pytest.raises(CameraError, match=cure) as caught:
        PicameraCamera(width=64, height=48, fps=20.0)
    assert caught.value.reason is CameraReason.LIBCAMERA_MISSING


@pytest.mark.parametrize("sensor_ns", [0, -5, 10**18])
def test_a_timestamp_that_cannot_be_is_not_believed(
    sensor_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = clock.now()
    monkeypatch.setattr(clock, "now", lambda: present)
    assert taken_at({"SensorTimestamp": sensor_ns}) == present
    assert taken_at({}) == present


# Which mode of the sensor is asked for, judged by how Picamera2 itself scores modes


def mode(bits: int, size: tuple[int, int], crop: tuple[int, int, int, int], fps: float) -> Mode:
    """One entry of ``Picamera2.sensor_modes``, with the keys that the camera room reads."""
    name = f"SRGGB{bits}_CSI2P"
    return {"format": name, "bit_depth": bits, "size": size, "fps": fps, "crop_limits": crop}


def each(depths: tuple[int, ...], *modes: tuple[Any, ...]) -> list[Mode]:
    return [mode(bits, *rest) for bits in depths for rest in modes]


# As the manual of Picamera2 and the drivers list them: size, what it sees of the sensor, frames/s.
MODES = {
    "imx219": each(
        (8, 10),
        ((640, 480), (1000, 752, 1280, 960), 103.3),
        ((1640, 1232), (0, 0, 3280, 2464), 41.9),
        ((1920, 1080), (680, 692, 1920, 1080), 47.6),
        ((3280, 2464), (0, 0, 3280, 2464), 21.2),
    ),
    "imx477": [
        mode(10, (1332, 990), (696, 528, 2664, 1980), 120.1),
        mode(12, (2028, 1080), (0, 440, 4056, 2160), 50.0),
        mode(12, (2028, 1520), (0, 0, 4056, 3040), 40.0),
        mode(12, (4056, 3040), (0, 0, 4056, 3040), 10.0),
    ],
    "imx708": each(
        (10,),
        ((1536, 864), (768, 432, 3072, 1728), 120.1),
        ((2304, 1296), (0, 0, 4608, 2592), 56.0),
        ((4608, 2592), (0, 0, 4608, 2592), 14.4),
    ),
    "ov5647": each(
        (10,),
        ((640, 480), (16, 0, 2560, 1920), 58.9),
        ((1296, 972), (0, 0, 2592, 1944), 46.3),
        ((1920, 1080), (348, 434, 1928, 1080), 32.8),
        ((2592, 1944), (0, 0, 2592, 1944), 15.6),
    ),
}
SMALL = (640, 480)
WIDE = (1280, 720)


@pytest.mark.parametrize(
    ("sensor", "picture", "chosen", "width", "height"),
    [
        ("imx219", SMALL, (1640, 1232), 1.0, 1.0),
        ("imx219", WIDE, (1640, 1232), 1.0, 0.75),
        ("imx477", SMALL, (2028, 1520), 1.0, 1.0),
        ("imx708", SMALL, (2304, 1296), 0.75, 1.0),
        ("imx708", WIDE, (2304, 1296), 1.0, 1.0),
        ("ov5647", SMALL, (640, 480), 0.99, 0.99),
        ("ov5647", WIDE, (1296, 972), 1.0, 0.75),
    ],
)
def test_the_smallest_mode_that_sees_all_is_chosen(
    sensor: str, picture: tuple[int, int], chosen: tuple[int, int], width: float, height: float
) -> None:
    view = widest_view(MODES[sensor], picture, 15)
    assert view is not None
    assert view.size == chosen
    assert (view.width, view.height) == pytest.approx((width, height), abs=0.011)
    assert view.bit_depth == max(mode["bit_depth"] for mode in MODES[sensor])


def test_rate_beyond_the_smallest_mode_gets_another_of_the_same_view() -> None:
    modes = each(
        (10,),
        ((1000, 750), (0, 0, 4000, 3000), 10.0),
        ((2000, 1500), (0, 0, 4000, 3000), 30.0),
        ((500, 375), (1000, 1000, 1000, 750), 90.0),
    )
    slow = widest_view(modes, SMALL, 5)
    quick = widest_view(modes, SMALL, 15)
    assert slow is not None
    assert quick is not None
    assert (slow.size, quick.size) == ((1000, 750), (2000, 1500))


@pytest.mark.parametrize("modes", [[], [{"format": "MJPEG"}]])
def test_a_camera_that_says_nothing_of_its_modes_is_left_alone(modes: list[Mode]) -> None:
    assert widest_view(modes, SMALL, 15) is None


def test_the_mode_is_asked_of_the_camera_and_what_is_seen_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    kind = double(sensor_modes=MODES["imx708"], cameras=[IMX708])
    with opened(kind) as camera:
        assert (
            camera.view
            == "sees 75 % of the sensor's width and 100 % of its height: about 52° × 41°"
        )
    configuration = kind.return_value.configure.call_args[0][0]
    assert configuration["sensor"] == {"output_size": (2304, 1296), "bit_depth": 10}
    assert "mode of 2304 × 1296, sees 75 %" in caplog.text


def score_of_picamera2() -> Score:
    """Return the function by which the installed Picamera2 scores modes, without its hardware."""
    spec = importlib.util.find_spec("picamera2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("Picamera2's source is not installed: pip install --no-deps picamera2")
    source = Path(spec.submodule_search_locations[0]) / "picamera2.py"
    nodes = ast.walk(ast.parse(source.read_text(encoding="utf-8")))
    (function,) = (node for node in nodes if getattr(node, "name", "") == "score_mode")
    names: dict[str, Any] = {"SensorFormat": _format}
    exec(compile(ast.Module([function], []), str(source), "exec"), names)  # type: ignore[list-item]
    score: Score = names["score_mode"]
    return score


def _format(name: str) -> SimpleNamespace:
    bits = re.search(r"\d+", name)
    assert bits is not None
    return SimpleNamespace(bit_depth=int(bits.group()))


@pytest.mark.parametrize("sensor", MODES)
@pytest.mark.parametrize("picture", [SMALL, WIDE, (1920, 1080)])
def test_picamera2_takes_the_mode_that_is_asked_for(sensor: str, picture: tuple[int, int]) -> None:
    score = score_of_picamera2()
    view = widest_view(MODES[sensor], picture, 15)
    assert view is not None
    taken = min(MODES[sensor], key=lambda mode: score(mode, view.bit_depth, view.size))
    assert (taken["size"], taken["bit_depth"]) == (view.size, view.bit_depth)
