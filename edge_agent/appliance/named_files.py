"""Names of a configuration that lead nowhere: files, models, machines."""

from __future__ import annotations

from pathlib import Path

from edge_agent.config.section import at_home
from edge_agent.config.settings import Settings
from edge_agent.core.errors import ModelError
from edge_agent.vision.models.card import find_model

# Not data.folder and backup.also: the one is made at the first start, the other may be a stick.
_FILES = (
    *("dashboard.certificate", "dashboard.key", "dashboard.protocols"),
    *("dashboard.proxy_secret_file", "dashboard.source_password_file"),
    *("mqtt.password_file", "mqtt.ca_file", "mqtt.client_certificate", "mqtt.client_key"),
    "alerts.notify_file",
)


def missing_files(settings: Settings) -> dict[str, str]:
    """Return what is wrong with each key that names a file or folder that is not there."""
    missing: dict[str, str] = {}
    named = dict.fromkeys(_FILES) | {"camera.folder": None}
    for key in named:
        section, name = key.split(".")
        path: Path | None = getattr(getattr(settings, section), name)
        is_used = key != "camera.folder" or settings.camera.source == "pictures"
        if path is not None and is_used and not at_home(path).exists():
            missing[key] = f"{path}: no such file or folder"
    return missing | _missing_models(settings) | _host_with_port(settings.mqtt.host)


def _host_with_port(host: str) -> dict[str, str]:
    """Return the way where a port stands behind the broker's name; it has a key of its own.

    It is no refusal: an agent that records without its broker goes on recording.
    """
    name, _, port = host.rpartition(":")
    bare = name.removeprefix("[").removesuffix("]")
    # An address of IPv6 alone has colons, too.
    if not bare or (":" in name and bare == name) or not port.isdecimal():
        return {}
    way = f'host = "{bare}" and port = {port}'
    return {"mqtt.host": f"{host}: no machine has this name. Write {way} in [mqtt]."}


def _missing_models(settings: Settings) -> dict[str, str]:
    vision = settings.vision
    names = {"vision.expression_model": vision.expression_model}
    if vision.detector == "tflite":
        names["vision.detector_model"] = vision.detector_model
    missing = {}
    for key, name in names.items():
        try:
            card = find_model(name)
        except ModelError as error:
            missing[key] = str(error)
            continue
        if not card.exists():
            missing[key] = f"{name}: no such file"
    return missing
