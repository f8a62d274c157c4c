"""The agent as a process of its own, announced to Home Assistant at a broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.appliance import Appliance
from tests.support.home.rules import APPLIANCE

USER = APPLIANCE
DEVICE = "lab"
PASSWORD = "a"
KEEPALIVE_S = 30
"""What ``mqtt.keepalive`` is when nobody sets it."""


@contextmanager
def agent(
    folder: Path,
    port: int,
    *,
    on: bool = True,
    interval_s: float = 1.0,
    device: str = DEVICE,
    takes_readings: bool = False,
) -> Iterator[Appliance]:
    """Run the agent, and end it in an orderly way if it still runs.

    Args:
        folder: of its configuration; its data folder is ``data`` in it.
        port: of the broker.
        on: whether it tells Home Assistant of itself.
        interval_s: seconds of one row; 0: every frame is a row.
        device: its name.
        takes_readings: whether it takes readings of other devices from the broker.
    """
    account = {"port": port, "username": USER, "password": PASSWORD}
    settings: dict[str, dict[str, Any]] = {
        "device": {"name": device},
        "camera": {"source": "demo"},
        "summary": {"window": 2.0},
        "record": {"interval": interval_s, "batch_rows": 1},
        "vitals.simulated": {"enabled": True, "heart_rate_seconds": 1.0, "pressure_seconds": 10.0},
        "vitals.mqtt": {"enabled": takes_readings},
        "mqtt": account | {"commands": True, "home_assistant": on},
        "dashboard": {"purposes": ["research"]},
    }
    with Appliance(folder, settings) as running:
        yield running
        if not running.has_ended:
            running.stop()
