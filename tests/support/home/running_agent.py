"""The agent as a process of its own, announced to Home Assistant at a broker."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.home.rules import APPLIANCE

USER = APPLIANCE
DEVICE = "lab"
PASSWORD = "a"
WINDOW_S = 2.0
KEEPALIVE_S = 30
"""What ``mqtt.keepalive`` is when nobody sets it."""
CONFIG = """
[device]
name = "{device}"
[camera]
source = "demo"
[summary]
window = {window}
[record]
interval = {interval}
batch_rows = 1
[vitals.simulated]
enabled = true
heart_rate_seconds = 1.0
pressure_seconds = 10.0
[mqtt]
port = {port}
username = "{user}"
password = "{password}"
commands = true
home_assistant = {on}
[dashboard]
purposes = ["research"]
"""


@contextmanager
def agent(
    folder: Path, port: int, *, on: bool = True, interval_s: float = 1.0, device: str = DEVICE
) -> Iterator[subprocess.Popen[bytes]]:
    """The agent as a process, ended in an orderly way if it still runs.

    Args:
        folder: of its configuration; its data folder is ``data`` in it.
        port: of the broker.
        on: whether it tells Home Assistant of itself.
        interval_s: seconds of one row; 0: every frame is a row.
        device: its name.
    """
    config = folder / "affect-edge.toml"
    text = CONFIG.format(
        port=port,
        on=str(on).lower(),
        user=USER,
        device=device,
        password=PASSWORD,
        window=WINDOW_S,
        interval=interval_s,
    )
    config.write_text(text, encoding="utf-8")
    program = "from edge_agent.cli import main; main()"
    arguments = ["run", "--config", str(config), "--data", str(folder / "data")]
    process = subprocess.Popen([sys.executable, "-c", program, *arguments])
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
