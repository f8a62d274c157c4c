"""The configured vision chain as values: importing this loads no vision library."""

from __future__ import annotations

from edge_agent.config import Settings
from edge_agent.vision.options import VisionOptions


def vision_options(settings: Settings) -> VisionOptions:
    """Return the options of the configured vision chain."""
    values = settings.vision.model_dump(exclude={"cpu_budget", "gate"})
    return VisionOptions(**values, quality_filter=settings.vision.gate)
