"""Waiting, as in PsychoPy."""

from __future__ import annotations

import time


def wait(secs: float) -> None:
    """Return after some seconds."""
    time.sleep(secs)
