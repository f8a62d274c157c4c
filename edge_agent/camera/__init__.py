"""Cameras: where frames come from.

Importing this package loads no camera library; ``open_camera`` loads the one it needs.

Example:
    Read a frame of the demonstration camera::

        with open_camera(CameraSettings(source="demo")) as camera:
            frame = camera.read()
"""

from edge_agent.camera.base import Camera, DriverStuckError
from edge_agent.camera.factory import open_camera

__all__ = ["Camera", "DriverStuckError", "open_camera"]
