"""A network stream as a camera: RTSP, RTMP, or HTTP."""

from __future__ import annotations

import logging
import socket
from urllib.parse import urlsplit

import cv2

from edge_agent.camera.live import LiveCamera
from edge_agent.camera.pixels import quiet_opencv
from edge_agent.config.camera import Rotation
from edge_agent.core import clock
from edge_agent.core.errors import CameraError, CameraReason

log = logging.getLogger(__name__)

PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "http": 80, "https": 443}
"""Kinds of address that are taken, with their usual ports."""


class StreamCamera(LiveCamera):
    """A network stream: RTSP, RTMP, or HTTP (MJPEG and what else FFmpeg reads).

    Raises:
        CameraError: the address is none, nobody answers there, or what answers is no video.

    Example::

        with StreamCamera("rtsp://192.0.2.7/live") as camera:
            frame = camera.read()
    """

    def __init__(self, address: str, *, rotate: Rotation = 0, stall_seconds: float = 5.0) -> None:
        quiet_opencv()
        shown = without_password(address)

        def open_capture() -> cv2.VideoCapture:
            return _open_stream(address, shown, stall_seconds)

        def lost(waited: float) -> CameraError:
            if waited >= 0.9 * stall_seconds:
                what = f"{shown}: no frame for {waited:.1f} s."
            else:
                what = f"{shown}: the stream ended after waiting {waited:.1f} s."
            return CameraError(
                CameraReason.STALLED,
                what,
                "Check the network; it is opened again.",
            )

        super().__init__(f"opencv:{address}", open_capture, lost, stall_seconds, rotate)

    def hung(self, seconds: float) -> CameraError:
        """Return a plain error: the network hangs, and the stream can be opened again."""
        return CameraError(
            CameraReason.STALLED,
            f"{self.name}: the network has not answered for {seconds:.1f} s.",
            "Check the network and its name service; it is opened again.",
        )

    def _release(self) -> None:
        try:
            super()._release()
        except CameraError as error:
            log.warning("camera %s did not close cleanly: %s", self.name, error)


def without_password(address: str) -> str:
    """Return an address as it may be shown: a password in it is replaced by an ellipsis."""
    start, _, rest = address.partition("://")
    end = min((rest.index(mark) for mark in "/?#" if mark in rest), default=len(rest))
    login, at, host = rest[:end].rpartition("@")
    user, colon, _password = login.partition(":")
    return f"{start}://{user}{':…' if colon else ''}{at}{host}{rest[end:]}"


def _open_stream(address: str, shown: str, seconds: float) -> cv2.VideoCapture:
    begun = clock.boot_seconds()
    _check_address(address, shown, seconds)
    left = max(0.5, seconds - (clock.boot_seconds() - begun))
    ms = round(seconds * 1000)
    left_ms = round(left * 1000)
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, left_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, ms]
    capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, timeouts)
    if capture.isOpened():
        return capture
    capture.release()
    if clock.boot_seconds() - begun >= 0.9 * seconds:
        raise CameraError(
            CameraReason.STALLED,
            f"{shown}: the server took the connection but sent no video for {seconds:.1f} s.",
            "Check that the camera is on and not at its limit of viewers; it is opened again.",
        )
    raise CameraError(
        CameraReason.UNREADABLE,
        f"{shown}: the server answers, but not with a video.",
        "Check the path, user and password in camera.device.",
    )


def _check_address(address: str, shown: str, seconds: float) -> None:
    """Raise unless the address can be taken and somebody listens there."""
    example = (
        "Write camera.device like rtsp://user:password@host:554/path or http://host:8080/stream."
    )
    try:
        parts = urlsplit(address)
        host = parts.hostname
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise CameraError(
            CameraReason.UNREADABLE,
            f"{shown}: is no address ({error}).",
            example,
        ) from error
    if not host or parts.scheme not in PORTS:
        known = ", ".join(f"{scheme}://" for scheme in PORTS)
        raise CameraError(
            CameraReason.UNREADABLE,
            f"{shown}: is none of {known} with a host.",
            example,
        )
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError as error:
        if isinstance(error, TimeoutError):
            reason = "no answer"
        else:
            reason = error.strerror or str(error)
        raise CameraError(
            CameraReason.NOT_FOUND,
            f"{shown}: nobody answers at {host}, port {port} ({reason}).",
            "Check that the camera is on, in this network, and that host and port are right.",
        ) from error
