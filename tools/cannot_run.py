"""How a target says that this machine cannot run it, which is neither green nor red.

``make`` ends with the same status for every failure, so the reason is written into the file that
the variable names; ``tools/system-packages`` does the same. Where the programs that a target needs
can be had, and are missing or broken, nothing is written, and the target is red.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "TARGET_CANNOT_RUN"
"""Names the file for the reason; ``tools.run_deep`` sets it."""


def write_reason(reason: str) -> None:
    """Write why this machine cannot run the target, where somebody asks for it."""
    if place := os.environ.get(VARIABLE):
        Path(place).write_text(f"{reason}\n", encoding="utf-8")
