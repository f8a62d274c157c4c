"""Builds the camera and the vision chain from the settings, for the agent and for commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from edge_agent.camera import Camera, open_camera
from edge_agent.camera.options import CameraOptions
from edge_agent.config import Settings
from edge_agent.runtime.vision_options import vision_options
from edge_agent.vision.recognizer import Recognizer, open_recognizer


def camera_factory(settings: Settings) -> Callable[[], Camera]:
    """Return a function that opens the configured camera.

    Each call opens it anew and may raise ``CameraError``.
    """
    return partial(open_camera, CameraOptions(**settings.camera.model_dump()))


def configured_recognizer(settings: Settings, *, by_need: bool = False) -> Recognizer:
    """Return the configured vision chain; raises ``ModelError``.

    Args:
        settings: the configuration.
        by_need: see `VisionOptions`; recorded material is read in each frame, the same each time.
    """
    return open_recognizer(replace(vision_options(settings), by_need=by_need))
