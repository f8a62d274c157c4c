"""Whether the agent is healthy enough for systemd's watchdog, which restarts it otherwise.

>>> is_fresh(AgentFigures(frame_age_s=0.1))
True
>>> is_fresh(AgentFigures(frame_age_s=16.0))
False
"""

from __future__ import annotations

from edge_agent.runtime.health.alarms import AgentFigures, AlarmLimits


def is_fresh(figures: AgentFigures, limits: AlarmLimits | None = None) -> bool:
    """Return whether neither frames nor rows are stuck, so that systemd need not restart the agent.

    A camera that failed with a known reason is reopened by its own thread, and a disk that refuses
    rows is not mended by a restart: both count as fresh.
    """
    limits = limits or AlarmLimits()
    hangs = figures.camera_error is None and (figures.frame_age_s or 0.0) > limits.frame_age_s
    stuck = figures.store_error is None and figures.waiting_s > limits.waiting_s
    return not (hangs or stuck)
