"""The Raspberry Pi's own camera, through Picamera2.

This module uses only calls that the manual documents. ``libcamera`` is a module of the system, so
the virtual environment must be made with ``--system-site-packages``. Opening, stopping and closing
can hang in the driver; all of them run on a helper thread with a deadline.

A sensor has several modes, and some use only its middle. By default, Picamera2 selects the mode
with the size nearest to the picture's, so a small picture has a narrow view. This module selects
the smallest mode with the full view.
"""

from __future__ import annotations

import errno
import importlib
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from edge_agent.camera.base import CLOSE_S, GRACE_S, Camera, Helper, stuck_error
from edge_agent.config.camera import Rotation
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import CameraError, CameraReason
from edge_agent.core.texts import N_, Message

if TYPE_CHECKING:
    from edge_agent.core.expression import Image

log = logging.getLogger(__name__)

T = TypeVar("T")
OPEN_S = 15.0
"""Seconds that opening and starting may take."""
# libcamera names formats by the byte order in a register: in memory these bytes are B, G, R
_FORMAT = "RGB888"
_DMA_HEAP = Path("/dev/dma_heap")
_WHOLE = 0.97
"""Share of the widest view that counts as the full view: the smallest mode of camera module 1
leaves out 32 of 2592 columns."""
_FAST_ENOUGH = 0.98
_DEGREES = {
    "ov5647": (53.5, 41.4),
    "imx219": (62.2, 48.8),
    "imx500": (66.0, 52.3),
    "imx708": (66.0, 41.0),
    "imx708_wide": (102.0, 67.0),
}
"""Horizontal and vertical field of view of sensors with a fixed lens, from Raspberry Pi's
documentation. The others have no lens of their own."""
_CABLE = N_(
    "Check the cable on both ends with the power off; `rpicam-hello --list-cameras` lists "
    "what is connected."
)
_CABLE_OR_OVERLAY = N_(
    "Check the cable on both ends with the power off; `rpicam-hello --list-cameras` lists what is "
    "connected. A camera that is not one of Raspberry Pi's own modules needs camera_auto_detect=0 "
    "and the line of its sensor, such as dtoverlay=imx519, in /boot/firmware/config.txt; "
    "`affect-edge doctor` lists them."
)
_LESS_MEMORY = N_(
    "Set camera.buffers = 2, or camera.width and camera.height smaller. Or reserve more: in "
    "/boot/firmware/config.txt write dtoverlay=vc4-kms-v3d,cma-256 in place of "
    "dtoverlay=vc4-kms-v3d (without that line: cma=256M at the end of cmdline.txt) and restart "
    "the machine; `grep Cma /proc/meminfo` tells how much there is."
)


@dataclass(frozen=True, slots=True)
class SensorView:
    """A mode of a sensor, and the view of a picture made with it.

    Attributes:
        size: width and height of the mode, pixels.
        bit_depth: of a pixel of the sensor.
        width: share of the sensor's width that the picture shows, 0…1; pictures of another shape
            than the sensor's leave out some of it.
        height: likewise.
        fps: most frames per second of the mode.
        pixels_across: of the mode over the width of the picture.
    """

    size: tuple[int, int]
    bit_depth: int
    width: float
    height: float
    fps: float
    pixels_across: float

    def describe(self, model: str) -> str:
        """Return the view in words."""
        text = f"sees {self.width:.0%} of the sensor's width and {self.height:.0%} of its height"
        text = text.replace("%", " %")
        degrees = _DEGREES.get(model.removesuffix("_noir"))
        if degrees is None:
            return text
        across = _part_of(degrees[0], self.width)
        down = _part_of(degrees[1], self.height)
        return f"{text}: about {across:.0f}° × {down:.0f}°"


class PicameraCamera(Camera):
    """A camera of Picamera2; USB cameras, which it lists too, are left to OpenCV.

    Args:
        width: asked of the camera, pixels.
        height: asked of the camera, pixels.
        fps: frames per second asked of the camera.
        rotate: clockwise rotation of every frame, degrees.
        stall_seconds: without a frame for this long it has stalled.
        number: of the camera, as Picamera2 counts; the first is 0.
        buffers: pictures for which the camera has memory.

    Raises:
        CameraError: libcamera missing, no camera, busy, no permission, out of memory.
        DriverStuckError: the driver did not come back.

    Example::

        with PicameraCamera(width=1280, height=720, fps=15) as camera:
            frame = camera.read()
    """

    def __init__(
        self,
        *,
        width: int,
        height: int,
        fps: float,
        rotate: Rotation = 0,
        stall_seconds: float = 5.0,
        number: int = 0,
        buffers: int = 4,
    ) -> None:
        super().__init__("picamera2", rotate)
        picamera2 = import_picamera2().Picamera2
        self._seconds = max(stall_seconds, 2 / fps)
        self._number = number
        self._buffers = buffers
        self._device: Any = None
        self._helper = Helper("camera picamera2")
        try:
            self._call_in_time(lambda: self._open(picamera2, (width, height), fps), OPEN_S)
        except CameraError:
            self._helper.stop()
            raise
        log.info("camera %s opened", self.name)

    def _open(self, picamera2: Any, size: tuple[int, int], fps: float) -> None:
        """Open, configure and start the camera; an error is translated and releases it."""
        try:
            models = pi_cameras(picamera2)
            if not models:
                raise IndexError("there is none, or only USB cameras")
            if self._number >= len(models):
                raise _no_such_number(self._number, models)
            self.name = f"picamera2:{models[self._number]}"
            self._device = picamera2(self._number)
            frame_us = round(1e6 / fps)
            wished = self._device.create_video_configuration(
                main={"size": size, "format": _FORMAT},
                controls={"FrameDurationLimits": (frame_us, frame_us)},
                buffer_count=self._buffers,
                sensor=self._sensor_mode(size, fps),
            )
            self._device.configure(wished)
            self._device.start()
        except (OSError, RuntimeError, IndexError) as error:
            self._let_go()
            raise picamera_error(error) from error

    def _sensor_mode(self, size: tuple[int, int], fps: float) -> dict[str, Any]:
        """Return the mode to request; empty if the camera reports too little about its modes."""
        view = widest_view(self._device.sensor_modes, size, fps)
        if view is None:
            return {}
        self.view = view.describe(self.name.removeprefix("picamera2:"))
        log.info("%s: mode of %d × %d, %s", self.name, view.size[0], view.size[1], self.view)
        return {"output_size": view.size, "bit_depth": view.bit_depth}

    def _next_frame(self) -> tuple[Image, Instant]:
        return self._call_in_time(self._capture, self._seconds + GRACE_S)

    def _capture(self) -> tuple[Image, Instant]:
        try:
            # Not capture_array(), which waits without a deadline if the camera stops sending
            # frames.
            job = self._device.capture_request(wait=False)
            request = self._device.wait(job, timeout=self._seconds)
        except TimeoutError as error:
            raise CameraError(
                CameraReason.STALLED,
                f"{self.name}: no frame for {self._seconds:.1f} s.",
                "Check its cable and the power supply; the camera is opened again.",
            ) from error
        except (OSError, RuntimeError) as error:
            raise picamera_error(error) from error
        try:
            return np.asarray(request.make_array("main"), dtype=np.uint8), taken_at(
                request.get_metadata()
            )
        finally:
            request.release()

    def _release(self) -> None:
        try:
            self._call_in_time(self._let_go, CLOSE_S)
        finally:
            self._helper.stop()

    def _let_go(self) -> None:
        device = self._device
        self._device = None
        if device is None:
            return
        try:
            # stops it too, and unlike stop() does not queue behind a capture that never ends
            device.close()
        except (OSError, RuntimeError) as error:  # there is nothing left to do with it
            log.warning("camera %s did not close cleanly: %s", self.name, error)

    def _call_in_time(self, function: Callable[[], T], seconds: float) -> T:
        try:
            return self._helper.call(function, seconds)
        except TimeoutError as error:
            raise stuck_error(self.name, seconds) from error


def import_picamera2() -> Any:
    """Return the ``picamera2`` module.

    Raises:
        CameraError: it, or ``libcamera`` below it, is missing in this environment or does not fit
            it.
    """
    try:
        return importlib.import_module("picamera2")
    except ImportError as error:
        missing = error.name or "picamera2"
        raise CameraError(
            CameraReason.LIBCAMERA_MISSING,
            f"The Python module {missing} is missing in this environment ({error}).",
            "Install it (sudo apt install python3-picamera2) and make the virtual environment "
            "with `python3 -m venv --system-site-packages`.",
        ) from error
    except ValueError as error:  # a module built for NumPy 1 beside NumPy 2
        raise CameraError(
            CameraReason.LIBCAMERA_MISSING,
            f"picamera2 cannot be loaded beside this NumPy ({error}).",
            "Install simplejpeg in this environment too: pip install --upgrade simplejpeg.",
        ) from error


def widest_view(
    modes: Sequence[dict[str, Any]], size: tuple[int, int], fps: float
) -> SensorView | None:
    """Return the smallest mode of a sensor with the full view.

    Among these it prefers, in this order: a mode that is fast enough, one with at least a pixel for
    each pixel of the picture, the smallest, and the one with the most bits.

    Args:
        modes: as ``Picamera2.sensor_modes`` gives them.
        size: width and height of the picture, pixels.
        fps: frames per second that are wanted.

    Returns:
        ``None`` if the camera does not report the view of its modes.
    """
    known = [mode for mode in modes if {"size", "crop_limits", "bit_depth"} <= mode.keys()]
    if not known:
        return None
    sensor = (
        max(mode["crop_limits"][2] for mode in known),
        max(mode["crop_limits"][3] for mode in known),
    )
    views = [_view(mode, size, sensor) for mode in known]
    most = max(view.width * view.height for view in views)
    whole = [view for view in views if view.width * view.height >= _WHOLE * most]
    return min(
        whole,
        key=lambda view: (
            view.fps < _FAST_ENOUGH * fps,
            max(size[0] / view.pixels_across, 1.0),
            view.size[0] * view.size[1],
            -view.bit_depth,
        ),
    )


def _view(mode: dict[str, Any], size: tuple[int, int], sensor: tuple[int, int]) -> SensorView:
    """Return the view of a picture of a size in one of a sensor's modes."""
    _x, _y, width, height = mode["crop_limits"]
    seen_width = min(width, height * size[0] / size[1])
    seen_height = min(height, width * size[1] / size[0])
    return SensorView(
        size=tuple(mode["size"]),
        bit_depth=mode["bit_depth"],
        width=seen_width / sensor[0],
        height=seen_height / sensor[1],
        fps=mode.get("fps", math.inf),
        pixels_across=mode["size"][0] * seen_width / width,
    )


def _part_of(degrees: float, share: float) -> float:
    """Return the angle of the middle part of a view of so many degrees."""
    return math.degrees(2 * math.atan(share * math.tan(math.radians(degrees) / 2)))


def taken_at(metadata: dict[str, Any]) -> Instant:
    """Return when a frame was exposed, from ``SensorTimestamp`` if that is plausible.

    The stamp is in nanoseconds of the boot clock.
    """
    age_s = (clock.boot_ns() - int(metadata.get("SensorTimestamp", 0))) / 1e9
    return clock.now().shift(-age_s if 0 <= age_s < OPEN_S else 0.0)


def picamera_error(error: Exception, dma_heap: Path = _DMA_HEAP) -> CameraError:
    """Translate what Picamera2 raised.

    It wraps libcamera's errors, so the whole chain is searched.
    """
    chain = list(_chain(error))
    text = "; ".join(f"{type(link).__name__}: {link}" for link in chain)
    lower = text.lower()
    nothing = (
        any(isinstance(link, IndexError) for link in chain)
        or "no camera number" in lower
        or "not found" in lower
    )
    refused = (
        any(isinstance(link, PermissionError) for link in chain) or "permission denied" in lower
    )
    if refused or (nothing and not _may_use(dma_heap)):
        return CameraError(
            CameraReason.NO_PERMISSION,
            Message(
                N_("picamera2: this user may not use the camera or {path} ({text})."),
                path=dma_heap,
                text=text,
            ),
            N_(
                "Put the user into the group video: sudo usermod -aG video $USER, then log in "
                "again."
            ),
        )
    if _is_out_of_memory(chain) or "cannot allocate memory" in lower:
        return CameraError(
            CameraReason.OUT_OF_MEMORY,
            Message(N_("picamera2: too little contiguous memory is free ({text})."), text=text),
            _LESS_MEMORY,
        )
    if nothing:
        return CameraError(
            CameraReason.NOT_FOUND,
            Message(N_("picamera2: no camera is connected ({text})."), text=text),
            _CABLE_OR_OVERLAY,
        )
    if "busy" in lower or "acquire" in lower or "in use" in lower:
        return CameraError(
            CameraReason.BUSY,
            Message(N_("picamera2: another program uses the camera ({text})."), text=text),
            N_(
                "End it (`fuser -v /dev/media*` names it); after a crash the camera is free again "
                "within a minute."
            ),
        )
    return CameraError(
        CameraReason.UNREADABLE,
        Message(N_("picamera2: the camera gives no pictures ({text})."), text=text),
        _CABLE,
    )


def connected_cameras() -> list[str]:
    """Return the models of the Pi's own cameras by their numbers; none is opened.

    Raises:
        CameraError: the libraries are missing, or cannot list the cameras.
        DriverStuckError: they did not come back.
    """
    picamera2 = import_picamera2().Picamera2
    helper = Helper("camera list")
    try:
        return helper.call(lambda: pi_cameras(picamera2), OPEN_S)
    except TimeoutError as error:
        raise stuck_error("picamera2", OPEN_S) from error
    except (OSError, RuntimeError) as error:
        raise picamera_error(error) from error
    finally:
        helper.stop()


def pi_cameras(picamera2: Any) -> list[str]:
    """Return the models of the Pi's own cameras by their numbers, from the class ``Picamera2``.

    It lists USB cameras last.
    """
    cameras: list[dict[str, Any]] = picamera2.global_camera_info()
    own = takewhile(lambda camera: "/usb" not in str(camera.get("Id", "")), cameras)
    return [str(camera.get("Model", "camera")) for camera in own]


def _no_such_number(number: int, models: Sequence[str]) -> CameraError:
    listed = ", ".join(f"{place}: {model}" for place, model in enumerate(models))
    return CameraError(
        CameraReason.NOT_FOUND,
        Message(
            N_("picamera2: there is no camera number {number}, only {listed}."),
            number=number,
            listed=listed,
        ),
        N_("Set camera.number to one of these, or check the cable of the other camera."),
    )


def _is_out_of_memory(chain: Sequence[BaseException]) -> bool:
    return any(isinstance(link, OSError) and link.errno == errno.ENOMEM for link in chain)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _may_use(folder: Path) -> bool:
    """Return whether at least one node of the folder can be used, or there is none at all."""
    try:
        nodes = list(folder.iterdir())
    except FileNotFoundError:
        return True
    except PermissionError:
        return False
    return not nodes or any(
        os.access(node, os.R_OK | os.W_OK, effective_ids=True) for node in nodes
    )
