"""Which camera opens for which setting."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import cv2
import numpy as np
import pytest

from edge_agent.camera import factory
from edge_agent.camera.base import Camera
from edge_agent.camera.device import VideoNode
from edge_agent.camera.factory import _open_auto, list_cameras, open_camera
from edge_agent.config.camera import CameraSettings, Source
from edge_agent.core.errors import CameraError, CameraReason
from tests.support.vision.cameras import write_video


def failing(reason: CameraReason, problem: str) -> Callable[..., Camera]:
    def open_it(*_: object) -> Camera:
        raise CameraError(reason, problem, "Mend it.")

    return open_it


def test_each_source_opens_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((20, 20, 3), dtype=np.uint8))
    video = write_video(tmp_path / "clip.avi", frames=3, fps=30)
    monkeypatch.setenv("HOME", str(tmp_path))
    options = (
        CameraSettings(source="pictures", folder=Path("~"), width=160, height=120, rotate=90),
        CameraSettings(source="opencv", device=str(video), loop=True),
        CameraSettings(source="demo", width=160, height=120, fps=30),
    )
    seen = []
    for one in options:
        with open_camera(one) as camera:
            seen.append((camera.name.partition(":")[0], camera.read().image.shape[:2]))
            assert camera.simulated == (one.source == "demo")
    assert seen == [("pictures", (160, 120)), ("opencv", (48, 64)), ("demo", (120, 160))]


def test_auto_prefers_the_pis_camera_and_takes_first_usb_camera_that_opens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for name in ("video0", "video1", "video2"):
        (tmp_path / name).touch()
    tried: list[str] = []
    with open_camera(CameraSettings(source="demo", width=160, height=120)) as camera:

        def open_node(node: Path) -> Camera:
            tried.append(node.name)
            if node.name == "video0":
                raise CameraError(CameraReason.UNREADABLE, "gives no pictures.", "Choose another.")
            return camera

        no_pi = failing(CameraReason.LIBCAMERA_MISSING, "no libcamera.")
        assert _open_auto(no_pi, open_node, tmp_path) is camera
        assert _open_auto(lambda: camera, open_node) is camera
    assert tried == ["video0", "video1"]
    assert "picamera2" not in caplog.text, "it is tried again and again: no line each time"


@pytest.mark.parametrize(
    "reason", [CameraReason.BUSY, CameraReason.STALLED, CameraReason.OUT_OF_MEMORY]
)
def test_auto_takes_no_other_camera_while_pis_own_is_only_busy_or_stuck(
    reason: CameraReason,
) -> None:
    with pytest.raises(CameraError, match="the Pi's camera hangs") as caught:
        _open_auto(
            failing(reason, "the Pi's camera hangs."), failing(CameraReason.NOT_FOUND, "unused")
        )
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("usb", "reason", "said"),
    [
        (CameraReason.BUSY, CameraReason.BUSY, "the webcam is not for you"),
        (CameraReason.NO_PERMISSION, CameraReason.NO_PERMISSION, "the webcam is not for you"),
        (CameraReason.UNREADABLE, CameraReason.NOT_FOUND, "there is no usable camera"),
    ],
)
def test_auto_tells_why_neither_opens_and_how_to_try_without(
    tmp_path: Path, usb: CameraReason, reason: CameraReason, said: str
) -> None:
    (tmp_path / "video0").touch()
    no_pi = failing(CameraReason.LIBCAMERA_MISSING, "no libcamera here.")
    with pytest.raises(CameraError) as caught:
        _open_auto(no_pi, failing(usb, "the webcam is not for you."), tmp_path)
    assert caught.value.reason is reason
    assert "Pi camera: no libcamera here. Mend it." in caught.value.problem
    assert f"USB camera: {said}" in caught.value.problem
    assert "affect-edge demo" in caught.value.cure


def test_auto_on_a_machine_without_any_camera_tells_both_reasons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    # a node that is no camera
    monkeypatch.setattr(factory, "nodes", lambda folder: [Path("/dev/null")])
    with pytest.raises(CameraError) as caught:
        open_camera(CameraSettings(source="auto"))
    assert caught.value.reason is CameraReason.NOT_FOUND
    assert "--system-site-packages" in caught.value.problem
    assert (
        "USB camera: there is no usable camera among /dev/video…. Plug one in."
    ) in caught.value.problem


def test_every_reason_and_every_source_is_described() -> None:
    text = (Path(__file__).parents[3] / "docs" / "cameras.md").read_text(encoding="utf-8")
    assert [reason for reason in CameraReason if f"| `{reason}` |" not in text] == []
    assert [source for source in get_args(Source) if f"| `{source}`" not in text] == []


def test_auto_with_a_number_takes_no_usb_camera_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraError, match="picamera2") as caught:
        open_camera(CameraSettings(source="auto", number=1))
    assert caught.value.reason is CameraReason.LIBCAMERA_MISSING
    assert "USB" not in str(caught.value)


def test_cameras_of_two_kinds_are_listed_with_the_keys_that_choose_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(path: Path) -> VideoNode:
        if path.name == "video1":
            raise PermissionError(13, "Permission denied")
        driver = "rp1-cfe" if path.name == "video0" else "uvcvideo"
        return VideoNode(path, driver, "HD Webcam", captures=True)

    for name in ("video0", "video1", "video2"):
        (tmp_path / name).touch()
    monkeypatch.setattr(factory, "ask", ask)
    info = [{"Model": "imx708", "Id": "/base/i2c"}, {"Model": "imx219", "Id": "/base/i2c"}]
    own: Any = SimpleNamespace(global_camera_info=lambda: [*info, {"Id": "/base/usb@7e980000"}])
    module: Any = SimpleNamespace(Picamera2=own)
    monkeypatch.setitem(sys.modules, "picamera2", module)
    usb = f'camera.device = "{tmp_path}/video2": HD Webcam'
    assert list_cameras(tmp_path) == ["camera.number = 0: imx708", "camera.number = 1: imx219", usb]
    monkeypatch.setitem(sys.modules, "picamera2", None)
    assert list_cameras(tmp_path) == [usb]


def test_cameras_that_libcamera_cannot_list_are_an_error_with_a_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> list[Any]:
        raise RuntimeError("Permission denied")

    module: Any = SimpleNamespace(Picamera2=SimpleNamespace(global_camera_info=fail))
    monkeypatch.setitem(sys.modules, "picamera2", module)
    with pytest.raises(CameraError, match="usermod -aG video"):
        list_cameras()
