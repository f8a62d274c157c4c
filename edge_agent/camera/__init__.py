"""Where frames come from.

Importing this loads no camera library; ``open_camera`` loads the one it needs.
"""

from edge_agent.camera.base import Camera, DriverStuckError
from edge_agent.camera.factory import open_camera

__all__ = ["Camera", "DriverStuckError", "open_camera"]
