"""What the live feed tells each second: whether pictures come, and how the broker is reached.

It is a sign of life, too: a page that hears none of it takes the agent for frozen.
"""

from __future__ import annotations

from typing import Any

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.runtime.threads import AgentThreads
from edge_agent.store.study.capture_switch import SwitchedOff

LATE_S = 2.0
"""Without a picture for this long, an open camera is called silent."""


def live_state(
    threads: AgentThreads, at: Instant, frame_period_s: float, off: SwitchedOff | None = None
) -> dict[str, Any]:
    """Return the message ``state`` of the live feed.

    Args:
        threads: whose state it is.
        at: now.
        frame_period_s: seconds from one picture to the next that are usual for this camera.
        off: since when and by whom the camera is switched off; ``None``: it is on.
    """
    return {
        "type": "state",
        "at": at.wall_ms,
        "camera": _camera(threads, frame_period_s) | {"switched_off": _switched_off(off)},
        "broker": {
            "state": threads.client.state.value if threads.client else "disabled",
            "reason": threads.client.last_error if threads.client else None,
        },
        "clock_synchronised": clock.is_synchronised(),
    }


def _switched_off(off: SwitchedOff | None) -> dict[str, Any] | None:
    """Return since when and by whom the camera is off; ``None``: it is on."""
    if off is None:
        return None
    return {"since": off.since_ms, "by": off.by}


def _camera(threads: AgentThreads, frame_period_s: float) -> dict[str, Any]:
    """Return whether pictures come, why not, and how old the last one is.

    ``state`` is ``open``, ``silent`` (none comes), ``failed`` (with a reason), ``closed`` (nothing
    may be captured now) or ``ended`` (a file has).
    """
    capture = threads.capture
    age_s = capture.silent_s
    late_s = max(LATE_S, 2 * frame_period_s + 1)
    state = "open"
    if capture.ended:
        state = "ended"
    elif capture.is_idle:
        state = "closed"
    elif capture.failure is not None:
        state = "failed"
    elif age_s > late_s:
        state = "silent"
    return {
        "state": state,
        "reason": str(capture.failure) if capture.failure else None,
        "frame_age_seconds": None if capture.is_idle else round(age_s, 1),
        "late_after_seconds": late_s,
    }
