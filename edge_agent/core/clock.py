"""The one place that asks the time.

Two clocks go with everything we record. The *wall* clock (UTC) says when, but jumps when the
network corrects it: a Raspberry Pi has no battery-backed clock. The *boot* clock counts from the
start of the machine, never jumps, and is the only one used for durations.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
CLOCK_JUMP_MS = 2_000
"""A wall clock that moves by more against the boot clock was set."""
UNKNOWN_BOOT = "unknown"
"""Instead of the kernel's name of a start of the machine, where there is none."""
_TRIES = 5
_PAUSE_NS = 100_000_000


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """A moment on both clocks.

    Attributes:
        boot_ms: milliseconds since the machine started; for durations and order.
        wall_ms: UTC, milliseconds since 1970; for people and for joining with other machines.
    """

    boot_ms: int
    wall_ms: int

    def seconds_since(self, earlier: Instant) -> float:
        """Return the seconds from ``earlier`` to here by the boot clock."""
        return (self.boot_ms - earlier.boot_ms) / 1000.0

    def shifted(self, seconds: float) -> Instant:
        """Return the moment ``seconds`` later (earlier when negative) on both clocks."""
        ms = round(seconds * 1000)
        return Instant(self.boot_ms + ms, self.wall_ms + ms)


class ClockWatch:
    """Notices when the wall clock was set: it steps, or the network has confirmed it."""

    def __init__(self) -> None:
        self._known = self._look(now())

    def has_changed(self, at: Instant) -> bool:
        """Tell whether the clock was set since the last time that this was asked."""
        offset_ms, synchronised = self._look(at)
        last_ms, was_synchronised = self._known
        if abs(offset_ms - last_ms) <= CLOCK_JUMP_MS and synchronised == was_synchronised:
            return False
        self._known = (offset_ms, synchronised)
        return True

    def _look(self, at: Instant) -> tuple[int, bool]:
        return at.wall_ms - at.boot_ms, is_synchronised()


def now() -> Instant:
    """Return the present moment on both clocks."""
    for _ in range(_TRIES):
        boot = boot_ns()
        wall = time.time_ns()
        if boot_ns() - boot < _PAUSE_NS:
            break  # else something came between: it would look like a step of the wall clock
    return Instant(boot_ms=boot // 1_000_000, wall_ms=wall // 1_000_000)


def utc_now() -> datetime:
    """Return the present time in UTC, to the millisecond."""
    return datetime.fromtimestamp(now().wall_ms / 1000, UTC)


def iso_utc(wall_ms: int) -> str:
    """Return UTC milliseconds since 1970 as ISO 8601 text, such as ``2026-11-20T08:12:00.250Z``."""
    text = datetime.fromtimestamp(wall_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{wall_ms % 1000:03d}Z"


def boot_ns() -> int:
    """Return nanoseconds since the machine started, suspend included where the system can tell."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def boot_seconds() -> float:
    """Return seconds since the machine started; for durations and deadlines."""
    return boot_ns() / 1e9


def sleep(seconds: float) -> None:
    """Let the calling thread wait.

    To be used where nothing can end the wait early; else wait for a ``threading.Event``.
    """
    time.sleep(seconds)


def process_cpu_seconds() -> float:
    """Return the processor time that this process has used, seconds."""
    return time.process_time()


def thread_cpu_seconds() -> float:
    """Return the processor time that the calling thread has used, seconds."""
    return time.thread_time()


def boot_id() -> str:
    """Return the kernel's identifier (a UUID) of this start of the machine.

    ``UNKNOWN_BOOT`` where there is none.
    """
    try:
        return _BOOT_ID.read_text(encoding="utf-8").strip()
    except OSError:
        return UNKNOWN_BOOT


def is_synchronised(flag: Path = _SYNCHRONIZED) -> bool:
    """Tell whether systemd's time service has set the wall clock from the network since boot."""
    return flag.exists()


def synchronised_ms(flag: Path = _SYNCHRONIZED) -> int | None:
    """Return the wall clock at which the time service last set or confirmed it, milliseconds.

    ``None`` where there is no such service, or it has not reached the network since boot.
    """
    try:
        return flag.stat().st_mtime_ns // 1_000_000
    except OSError:
        return None
