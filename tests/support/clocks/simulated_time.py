"""Clocks that tests turn: one of seconds, and an event loop in which an hour takes a moment.

Instead of waiting for the next timer, the clock of the loop jumps there.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from edge_agent.core.clock import Instant

T = TypeVar("T")
START = Instant(boot_ms=1_000_000, wall_ms=1_790_000_000_000)


class Seconds:
    """A clock that stands still until a test turns it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        """Stand in for ``Event.wait``: the time passes at once and nobody sets the event."""
        self.now += seconds
        return False


class WallClock:
    """The wall clock, standing still until a test turns it."""

    def __init__(self) -> None:
        self.ms = START.wall_ms

    def __call__(self) -> Instant:
        return Instant(0, self.ms)


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: when nothing is ready, the time that it was asked to wait has passed."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits for somebody else: time would stand still"
            self.now_s += timeout
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """The loop with that clock."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return simulated seconds since the start."""
        return self._jumping.now_s


def in_simulated_time(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in such a loop."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)


def simulated_now() -> Instant:
    """Return the instant of the loop that runs."""
    return START.shift(asyncio.get_running_loop().time())
