"""The only module that reads clocks; timers and rates; the clocks of senders.

Every record has times of two clocks. The *wall* clock (UTC) gives the date, but jumps when the
network corrects it: a Raspberry Pi has no battery-backed clock. The *boot* clock counts from the
start of the machine, never jumps, and is the only one used for durations.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# systemd-timesyncd touches this file when it has set the clock (systemd-timesyncd.service(8)).
_SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
CLOCK_JUMP_MS = 2_000
"""Shift against the boot clock above which the wall clock was set."""
UNKNOWN_BOOT = "unknown"
"""Used if the kernel has no identifier for the start of the machine."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A day inside what ``datetime`` knows, so that every time zone can be applied.
_FIRST_MS = -62_135_510_400_000  # 0001-01-02T00:00:00.000Z
_LAST_MS = 253_402_214_399_999  # 9999-12-30T23:59:59.999Z
_TRIES = 5
_PAUSE_NS = 100_000_000
RATE_S = 2.0
MESSAGES = 100
"""Messages in an estimate; older ones are dropped, since clocks drift."""
LATE_MS = 10_000.0
"""A message that seems later than this, or clearly early, means that a clock was set."""
_EARLY_MS = 250.0
SENDERS = 64
_ENOUGH = 5
_MOVED_MS = 5.0
"""A smaller shift of a clock is not reported."""


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

    def shift(self, seconds: float) -> Instant:
        """Return the moment ``seconds`` later (earlier when negative) on both clocks."""
        ms = round(seconds * 1000)
        return Instant(self.boot_ms + ms, self.wall_ms + ms)


class ClockWatch:
    """Notices when the wall clock was set: it steps, or the network has confirmed it."""

    def __init__(self) -> None:
        self._known = self._read_offset(now())

    def has_changed(self, at: Instant) -> bool:
        """Return whether the clock was set since the last call."""
        offset_ms, synchronised = self._read_offset(at)
        last_ms, was_synchronised = self._known
        # Small differences are the reading of two clocks one after the other.
        if abs(offset_ms - last_ms) <= CLOCK_JUMP_MS and synchronised == was_synchronised:
            return False
        self._known = (offset_ms, synchronised)
        return True

    def _read_offset(self, at: Instant) -> tuple[int, bool]:
        return at.wall_ms - at.boot_ms, is_synchronised()


def now() -> Instant:
    """Return the present moment on both clocks."""
    for _ in range(_TRIES):
        boot = boot_ns()
        wall = time.time_ns()
        if boot_ns() - boot < _PAUSE_NS:
            break  # else the thread was interrupted: it would look like a step of the wall clock
    return Instant(boot_ms=boot // 1_000_000, wall_ms=wall // 1_000_000)


def utc_now() -> datetime:
    """Return the present time in UTC, to the millisecond."""
    return utc_at(now().wall_ms)


def utc_at(wall_ms: float) -> datetime:
    """Return UTC milliseconds since 1970 as a date, to the millisecond.

    A time that no date has (before the year 1, after 9999) is the second of January 1 or the
    thirtieth of December 9999: a wrong row must not stop the page or the export that shows it.
    """
    # Integers throughout: a float would round milliseconds of today wrongly now and then.
    at_ms = round(min(max(wall_ms, _FIRST_MS), _LAST_MS))
    return _EPOCH + timedelta(milliseconds=at_ms)


def iso_utc(wall_ms: int) -> str:
    """Return UTC milliseconds since 1970 as ISO 8601 text, such as ``2026-11-20T08:12:00.250Z``.

    For any number, as ``utc_at``.
    """
    return f"{utc_at(wall_ms).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def boot_ns() -> int:
    """Return nanoseconds since the machine started, including suspend if the system counts it."""
    # CLOCK_MONOTONIC stands still while the machine sleeps; macOS has no CLOCK_BOOTTIME.
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def boot_seconds() -> float:
    """Return seconds since the machine started; for durations and deadlines."""
    return boot_ns() / 1e9


def sleep(seconds: float) -> None:
    """Let the calling thread wait.

    If something can end the wait early, wait for a ``threading.Event`` instead.
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
    """Return whether systemd's time service has set the wall clock from the network since boot."""
    return flag.exists()


def synchronised_ms(flag: Path = _SYNCHRONIZED) -> int | None:
    """Return the wall clock at which the time service last set or confirmed it, milliseconds.

    ``None`` if there is no such service, or it has not reached the network since boot.
    """
    try:
        return flag.stat().st_mtime_ns // 1_000_000
    except OSError:
        return None


class Every:
    """A timer for loops: ``due`` is true once per interval of the boot clock.

    Args:
        seconds: length of the interval.
        at_once: whether it is due at the first call, otherwise after one interval.

    Example:
        >>> timer = Every(60.0, at_once=True)
        >>> timer.due(), timer.due()
        (True, False)
    """

    def __init__(self, seconds: float, at_once: bool = False) -> None:
        self._seconds = seconds
        self._next = boot_seconds() + (0.0 if at_once else seconds)

    @property
    def left_s(self) -> float:
        """Seconds until it is due; 0 if it is."""
        return max(0.0, self._next - boot_seconds())

    def due(self) -> bool:
        """Return whether an interval has passed, and if so begin the next one."""
        present = boot_seconds()
        if present < self._next:
            return False
        # more than an interval late: skip what was missed instead of being due again and again
        late = present - self._next > self._seconds
        self._next = present + self._seconds if late else self._next + self._seconds
        return True


class Rate:
    """Turns a counter into a rate over at least the last two seconds.

    Example:
        >>> rate = Rate()
        >>> rate.per_second(0)
        0.0
    """

    def __init__(self) -> None:
        self._since = (boot_seconds(), 0)
        self._rate = 0.0

    def per_second(self, count: int) -> float:
        """Return how fast ``count`` has risen."""
        present = boot_seconds()
        then, before = self._since
        if present - then >= RATE_S:
            self._rate = (count - before) / (present - then)
            self._since = (present, count)
        return self._rate


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """The offset that must be added to a sender's clock to get ours.

    Attributes:
        offset_ms: from the fastest message; it includes that message's transit time.
        doubt_ms: difference of the median transit time from the shortest one. The shortest itself
            cannot be known from messages in one direction.
        messages: number of messages used.
    """

    offset_ms: float
    doubt_ms: float
    messages: int

    def __str__(self) -> str:
        """Return text for people: ``+1999.0 ms, ± 12.0 ms by 20 messages``."""
        return f"{self.offset_ms:+.1f} ms, ± {self.doubt_ms:.1f} ms by {self.messages} messages"


class SenderClock:
    """Turns the times of one sender into ours.

    The transit of a message takes some milliseconds, sometimes many. The smallest difference
    between its times of arrival and of sending is nearest to the difference of the clocks (Cristian
    1989, Distributed Computing 3:146-158), which removes the jitter of the transit.

    Example:
        >>> sender = SenderClock()
        >>> sender.instant(sent_ms=5_000.0, received=Instant(boot_ms=9_000, wall_ms=0))
        Instant(boot_ms=9000, wall_ms=0)
    """

    def __init__(self) -> None:
        self._differences: deque[float] = deque(maxlen=MESSAGES)
        self._told_ms: float | None = None

    @property
    def offset(self) -> ClockOffset | None:
        """The estimate; ``None`` before the first message."""
        if not self._differences:
            return None
        # The fastest message had the least delay on its way.
        least = min(self._differences)
        usual = median(self._differences)
        return ClockOffset(least, usual - least, len(self._differences))

    def news(self) -> ClockOffset | None:
        """Return the estimate if it should be reported: the first good one, or a changed one."""
        offset = self.offset
        if offset is None or offset.messages < _ENOUGH:
            return None
        if self._told_ms is not None:
            moved_ms = abs(offset.offset_ms - self._told_ms)
            if moved_ms <= max(_MOVED_MS, offset.doubt_ms):
                return None
        self._told_ms = offset.offset_ms
        return offset

    def instant(self, sent_ms: float, received: Instant) -> Instant:
        """Return when a message was sent, on our clocks.

        Args:
            sent_ms: by the sender's clock, milliseconds since any origin.
            received: time of arrival.
        """
        difference = received.boot_ms - sent_ms
        known = self.offset
        # A jump of either clock makes all earlier differences worthless.
        if known is not None:
            beyond = difference - known.offset_ms
            if beyond > LATE_MS or beyond < -_EARLY_MS:  # the clock was set
                self._differences.clear()
        self._differences.append(difference)
        return received.shift((min(self._differences) - difference) / 1000)


class SenderClocks:
    """The clocks of all senders, by name; safe to use from any thread.

    If there are too many, the one that was silent longest is forgotten.
    """

    def __init__(self) -> None:
        self._clocks: OrderedDict[str, SenderClock] = OrderedDict()
        self._lock = threading.Lock()

    def instant(
        self, sender: str, sent_ms: float, received: Instant
    ) -> tuple[Instant, ClockOffset | None]:
        """Return when a message was sent, and the estimate if it should be reported.

        Args:
            sender: owner of the clock.
            sent_ms: as for ``SenderClock.instant``.
            received: time of arrival.
        """
        with self._lock:
            # Taken out and put in anew: the order of the dictionary is that of the last use.
            known = self._clocks.pop(sender, None) or SenderClock()
            self._clocks[sender] = known
            if len(self._clocks) > SENDERS:
                self._clocks.popitem(last=False)
            return known.instant(sent_ms, received), known.news()
