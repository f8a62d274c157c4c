"""The library of the Lab Streaming Layer, and its clock beside ours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import ServerError
from edge_agent.core.timers import Every

log = logging.getLogger(__name__)

_LOOK_S = 10.0
_TRIES = 5
_MOVED_S = 0.000_5
_JUMPED_S = 0.005
_ROUNDED_MS = 2
"""Wall and boot clock are each cut to milliseconds: their difference may be one more, or less."""


def load_pylsl() -> Any:
    """Return the library, with its native part.

    Raises:
        ServerError: pylsl or its native library is missing.
    """
    try:
        import pylsl
    except ImportError as error:
        raise ServerError(
            "Lab Streaming Layer: the library pylsl is not installed. On an appliance: "
            "sudo ./install.sh --with lsl. In a checkout: .venv/bin/pip install -e '.[lsl]'. "
            "With pipx: pipx inject affect-edge pylsl."
        ) from error
    except (RuntimeError, OSError) as error:
        # pylsl is there, but finds no liblsl for this processor
        raise ServerError(
            "Lab Streaming Layer: pylsl finds no native library (liblsl) for this machine. Install "
            "liblsl of your system from github.com/sccn/liblsl/releases, or name its file in the "
            "environment variable PYLSL_LIB."
        ) from error
    return pylsl


class StreamClock:
    """Converts between our boot clock and the clock of the Lab Streaming Layer on this machine.

    Both run evenly and differ by a constant, until the machine is suspended: ours counts that time,
    theirs does not. So the difference is measured at the start and looked at again every ten
    seconds. The wall clock has no part in it: nobody can set a stream's time.

    Args:
        local_clock: ``pylsl.local_clock``, seconds.

    Example:
        Send a reading at its own time::

            stamps = StreamClock(pylsl.local_clock)
            outlet.push_sample([72.0], stamps.stamp_of(reading.at))
    """

    def __init__(self, local_clock: Callable[[], float]) -> None:
        self._local_clock = local_clock
        self._difference_s = self._measure()
        self._wall_ms = 0
        self._timer = Every(_LOOK_S)

    def stamp_of(self, at: Instant) -> float:
        """Return an instant on the clock of the Lab Streaming Layer, seconds."""
        self._look()
        return at.boot_ms / 1000 + self._difference_s

    def instant_of(self, stamp_s: float) -> Instant:
        """Return a time of the Lab Streaming Layer's clock on this machine as an instant.

        Of two times the later one is never the earlier instant, unless the wall clock was set.
        """
        self._look()
        present = clock.now()
        at = present.shifted(stamp_s - self._difference_s - present.boot_ms / 1000)
        if abs(at.wall_ms - at.boot_ms - self._wall_ms) > _ROUNDED_MS:
            self._wall_ms = at.wall_ms - at.boot_ms
        return replace(at, wall_ms=at.boot_ms + self._wall_ms)

    def _look(self) -> None:
        if not self._timer.due():
            return
        difference_s = self._measure()
        moved_s = abs(difference_s - self._difference_s)
        if moved_s > _JUMPED_S:
            log.warning("lsl: the clocks moved by %.3f s, as after a suspend", moved_s)
        if moved_s > _MOVED_S:
            self._difference_s = difference_s

    def _measure(self) -> float:
        """Return theirs minus ours, by the quickest of a few looks: nothing came between."""
        looks = []
        for _ in range(_TRIES):
            before = clock.boot_ns()
            theirs = self._local_clock()
            after = clock.boot_ns()
            looks.append((after - before, theirs - (before + after) / 2e9))
        return min(looks)[1]
