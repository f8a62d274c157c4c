"""From the settings to what reads pictures: the parts of the agent that commands use alone, without
the rest of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edge_agent.camera import Camera, open_camera
from edge_agent.config import Settings
from edge_agent.vision.recognizer import Recognizer, open_recognizer


def camera_factory(settings: Settings) -> Callable[[], Camera]:
    """Return what opens the configured camera.

    Each call opens it anew and may raise ``CameraError``.
    """
    camera = settings.camera
    return partial(
        open_camera,
        camera.source,
        device=camera.device,
        folder=camera.folder,
        width=camera.width,
        height=camera.height,
        fps=camera.fps,
        loop=camera.loop,
        rotate=camera.rotate,
        stall_seconds=camera.stall_seconds,
    )


def configured_recognizer(settings: Settings) -> Recognizer:
    """Build the configured vision chain; raises ``ModelError``."""
    return open_recognizer(**settings.vision.model_dump(exclude={"cpu_budget"}))
