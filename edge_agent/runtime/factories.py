"""Builds the camera and the vision chain from the settings, for the agent and for commands."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from edge_agent.camera import Camera, open_camera
from edge_agent.config import Settings
from edge_agent.core import clock
from edge_agent.mqtt.topics import Topics
from edge_agent.runtime.live_feed import LiveServer
from edge_agent.runtime.preview.messages import SOCKET_NAME as PREVIEW_SOCKET
from edge_agent.runtime.preview.server import PreviewServer
from edge_agent.runtime.summary import SummaryWindow
from edge_agent.store.write.outbox import last_seq
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.trial import try_apart
from edge_agent.vision.recognizer import Recognizer, open_recognizer


def camera_factory(settings: Settings) -> Callable[[], Camera]:
    """Return a function that opens the configured camera.

    Each call opens it anew and may raise ``CameraError``.
    """
    return partial(open_camera, settings.camera)


def frame_period_s(settings: Settings) -> float:
    """Return the seconds from one frame of the camera to the next."""
    camera = settings.camera
    if camera.source == "snapshot":
        return camera.snapshot_seconds
    return 1 / camera.fps


def configured_preview(settings: Settings, data: Path, live: LiveServer) -> PreviewServer | None:
    """Return what shows the camera's picture to administrators; ``None`` where nobody may see it.

    Args:
        settings: the configuration.
        data: folder of its socket.
        live: tells every page that somebody looks.
    """
    if settings.capture.preview == "never":
        return None
    return PreviewServer(data / PREVIEW_SOCKET, live.publish, frame_period_s(settings))


def configured_recognizer(settings: Settings, *, by_need: bool = False) -> Recognizer:
    """Return the configured vision chain; raises ``ModelError``.

    Models that are not the shipped ones are tried in another process first.

    Args:
        settings: the configuration.
        by_need: see ``open_recognizer``; recorded material is read in each frame, the same each
            time.
    """
    options = settings.vision
    try_apart(find_model(options.expression_model))
    if options.detector != "yunet":
        try_apart(find_model(options.detector_model))
    return open_recognizer(options, by_need=by_need)


def configured_window(settings: Settings, database: Path) -> SummaryWindow:
    """Return the first window of the summaries; its number follows the last one sent."""
    return SummaryWindow(
        settings.device.name,
        clock.now(),
        simulated=settings.camera.source == "demo",
        last_seq=last_seq(database, Topics.SUMMARY),
    )
