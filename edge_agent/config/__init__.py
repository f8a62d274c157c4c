"""The configuration: pydantic models of ``affect-edge.toml`` and its environment overrides.

Each section of the file has a module of its own; ``loading`` reads them. Every key has a default,
so that no file at all is a valid configuration.

Example:
    >>> from edge_agent.config import load_settings
    >>> settings = load_settings(changes={"camera": {"source": "demo"}})
    >>> settings.camera.source, settings.camera.fps
    ('demo', 15.0)
"""

from edge_agent.config.camera import CameraSettings
from edge_agent.config.loading import SYSTEM_FILE, load_right_part, load_settings
from edge_agent.config.mqtt import MqttSettings
from edge_agent.config.section import Section, at_home
from edge_agent.config.settings import ENV_DELIMITER, ENV_PREFIX, Settings
from edge_agent.config.vision import VisionSettings

__all__ = [
    "ENV_DELIMITER",
    "ENV_PREFIX",
    "SYSTEM_FILE",
    "CameraSettings",
    "MqttSettings",
    "Section",
    "Settings",
    "VisionSettings",
    "at_home",
    "load_right_part",
    "load_settings",
]
