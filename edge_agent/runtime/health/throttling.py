"""What the Raspberry Pi's firmware says about power and heat (``vcgencmd get_throttled``)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core.clock import boot_seconds

THROTTLING_SECONDS = 30.0
"""Pause between two questions: each starts a process."""
THROTTLING_GIVE_UP_SECONDS = 5.0
"""A question without an answer for this long is ended: the firmware can hang."""


@dataclass(frozen=True, slots=True)
class Throttling:
    """Power and heat of a Raspberry Pi, now and since its start, as its firmware reports them."""

    under_voltage: bool
    frequency_capped: bool
    throttled: bool
    soft_temperature_limit: bool
    under_voltage_since_start: bool
    throttled_since_start: bool


def parse_throttled(text: str) -> Throttling | None:
    """Read a line such as ``throttled=0x50005``; ``None`` when it is something else.

    Bits as documented by Raspberry Pi for ``vcgencmd get_throttled``: 0 under-voltage, 1 frequency
    capped, 2 throttled, 3 soft temperature limit; 16 and 18 say that bits 0 and 2 were set since
    the start.
    """
    name, _, value = text.strip().partition("=")
    try:
        bits = int(value, 16)
    except ValueError:
        return None
    if name != "throttled":
        return None
    return Throttling(*(bool(bits >> bit & 1) for bit in (0, 1, 2, 3, 16, 18)))


class ThrottlingProbe:
    """Asks the firmware every half minute and never waits for it.

    ``latest`` returns the answer to an earlier question.

    Args:
        program: the command to ask with; ``None``: ``vcgencmd``, where it is installed.
        clock: counts the seconds between two questions.

    Example:
        >>> probe = ThrottlingProbe()
        >>> probe.latest() is None  # nothing was answered yet
        True
        >>> probe.close()
    """

    def __init__(
        self, program: Path | None = None, clock: Callable[[], float] = boot_seconds
    ) -> None:
        command = str(program) if program else shutil.which("vcgencmd")
        self._command = [command, "get_throttled"] if command else None
        self._clock = clock
        self._running: subprocess.Popen[str] | None = None
        self._asked_s: float | None = None
        self._latest: Throttling | None = None

    def latest(self) -> Throttling | None:
        """Return the newest answer, and ask again when it is half a minute old."""
        now_s = self._clock()
        if self._running is not None:
            self._collect(now_s)
        elif self._asked_s is None or now_s - self._asked_s >= THROTTLING_SECONDS:
            self._ask(now_s)
        return self._latest

    def close(self) -> None:
        """End a question that was not answered."""
        if self._running is not None:
            self._running.kill()
            self._running.communicate()
            self._running = None

    def _ask(self, now_s: float) -> None:
        if self._command is None:
            return
        self._asked_s = now_s
        try:
            self._running = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        except OSError:
            self._command = None  # there, but not for us: not asked again

    def _collect(self, now_s: float) -> None:
        assert self._running is not None
        assert self._asked_s is not None
        if self._running.poll() is not None:
            self._latest = parse_throttled(self._running.communicate()[0])
            self._running = None
        elif now_s - self._asked_s > THROTTLING_GIVE_UP_SECONDS:
            self.close()
