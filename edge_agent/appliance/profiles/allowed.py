"""Which keys of the configuration a profile may set, and reading those of one.

A key stands here when a wrong value costs quality or processor time, which the device notices and
takes back. None names a file, an address, an account or a secret; none opens a port, connects or
cuts off the broker, sends more or other things about people, begins to measure something else,
deletes rows, silences an alert, or touches purposes and consent. Those are the owner's.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_agent.config.editing.document import ConfigFile, checked
from edge_agent.core.errors import ConfigError, UpdateError

NOT_BY_A_PROFILE = frozenset(
    {
        "bluetooth",
        "clock_not_believed",
        "clock_not_synchronised",
        "copy_also_failed",
        "copy_failed",
        "copy_old",
        "copy_smaller",
        "sensor_battery",
    }
)
"""Alarms that no key of ``ALLOWED`` can bring about. Each may begin while a profile is tried: an
agent that starts again tells of the clock after some minutes only."""
ALLOWED = frozenset(
    {
        "camera.fps",
        "camera.height",
        "camera.stall_seconds",
        "camera.width",
        "mqtt.keepalive",
        "record.batch_rows",
        "record.batch_seconds",
        "record.interval",
        "summary.window",
        "vision.confirm_frames",
        "vision.cpu_budget",
        "vision.dwell_seconds",
        "vision.face_score",
        "vision.gate",
        "vision.hysteresis",
        "vision.max_faces",
        "vision.memory_seconds",
        "vision.min_face",
        "vision.smoothing_seconds",
        "vision.threads",
        "vision.uncertain_below",
    }
)


def read_values(text: str, source: str) -> dict[str, Any]:
    """Return the values of a profile by their keys, such as ``{"camera.fps": 10.0}``.

    Args:
        text: TOML, as in the configuration.
        source: where it stands, for messages.

    Raises:
        UpdateError: it is no TOML, names a key that a profile may not set, or a value that the
            configuration refuses.

    Example:
        >>> read_values("[camera]\\nfps = 10.0", "profile.toml")
        {'camera.fps': 10.0}
    """
    try:
        values = dict(_flat(tomllib.loads(text), ""))
    except tomllib.TOMLDecodeError as error:
        raise UpdateError(f"{source}: is no TOML ({error}).") from error
    if foreign := sorted(set(values) - ALLOWED):
        raise UpdateError(
            f"{source}: a profile may not set {', '.join(foreign)}; the owner of a device does. It "
            f"may set {', '.join(sorted(ALLOWED))}."
        )
    try:
        checked(ConfigFile(Path(source), text))
    except ConfigError as error:
        raise UpdateError(f"A profile has a value that is refused: {error}") from error
    return values


def _flat(table: Mapping[str, Any], start: str) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{start}{name}.")
        else:
            yield start + name, value
