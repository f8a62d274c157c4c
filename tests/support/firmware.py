"""A stand-in for the Raspberry Pi's firmware, which no other machine has."""

from __future__ import annotations

import time
from pathlib import Path

from edge_agent.alerts.figures import FirmwareThrottling, ThrottlingProbe

POWER_GOOD = FirmwareThrottling(*[False] * 6)


def firmware(folder: Path, script: str) -> Path:
    """Write the command that asks it, as a shell script."""
    program = folder / "vcgencmd"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    program.chmod(0o755)
    return program


def answer_of(probe: ThrottlingProbe) -> FirmwareThrottling | None:
    deadline = time.monotonic() + 60
    while (answer := probe.latest()) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return answer
