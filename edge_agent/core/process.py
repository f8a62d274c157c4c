"""Signals that end the process in order, notices to systemd, a small heap, and other programs."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any


def finished(
    *words: str, timeout_s: float | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with nothing on its input unless told; return what it said.

    Raises:
        OSError: there is none of this name, or it may not be run.
        subprocess.TimeoutExpired: it did not end in time.
    """
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "timeout": timeout_s} | more
    return subprocess.run(words, capture_output=True, text=True, check=False, **given)


class StopRequest:
    """A request for an end: set by a signal handler or any thread, waited for by one thread.

    A ``threading.Event`` must not be set by a signal handler: where the signal comes while the same
    thread waits for it, and just then holds its lock, that thread waits for itself for ever. Here
    ``set`` takes no lock; a wait may last until its end although the request came meanwhile.

    Example:
        >>> request = StopRequest()
        >>> request.wait(0.0), request.set(), request.wait(0.0)
        (False, None, True)
    """

    def __init__(self) -> None:
        self._is_set = False
        # Nobody sets it: its wait is a pause. (Under libfaketime, which wrong clocks are tried
        # with, ``time.sleep`` fails.)
        self._pause = threading.Event()

    def set(self) -> None:
        """Ask for the end; may be called again and again."""
        self._is_set = True

    def is_set(self) -> bool:
        """Tell whether the end was asked for."""
        return self._is_set

    def wait(self, timeout_s: float) -> bool:
        """Wait ``timeout_s`` seconds; return whether the request has come."""
        if not self._is_set:
            self._pause.wait(timeout_s)
        return self._is_set


class StopSignals:
    """Receives SIGTERM and Ctrl-C from now on, also before there is an agent to stop.

    The handler sets a flag and raises nothing: an exception in the middle of an import would look
    like a broken library.

    Example:
        Build the agent while a signal may already arrive::

            signals = StopSignals()
            agent = Agent(settings, folder)
            signals.call(agent.stop)
            agent.run()
    """

    def __init__(self) -> None:
        self._received = False
        self._stop: Callable[[], None] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def call(self, stop: Callable[[], None]) -> None:
        """Call ``stop`` at every signal, and at once when one has come already."""
        self._stop = stop
        if self._received:
            stop()

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._received = True
        if self._stop is not None:
            self._stop()


class SystemdNotifier:
    """Tells systemd how the service is (the protocol of ``sd_notify``).

    Says nothing where nobody listens.

    Args:
        address: of the datagram socket, ``@`` in front for the abstract namespace; ``None`` without
            systemd.
        watchdog_interval_s: how often to send ``watchdog``; ``None`` where systemd does not ask for
            it.

    Example:
        Tell systemd that the start is done; nothing happens where systemd did not start it::

            notifier = SystemdNotifier.from_environment(os.environ)
            notifier.ready()
    """

    def __init__(self, address: str | None, watchdog_interval_s: float | None = None) -> None:
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address
        self.watchdog_interval_s = watchdog_interval_s

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> SystemdNotifier:
        """Read ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID``.

        Half the time asked for is the interval.
        """
        micros = environment.get("WATCHDOG_USEC", "")
        for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watched = for_us and micros.isdecimal() and int(micros) > 0
        return cls(environment.get("NOTIFY_SOCKET") or None, int(micros) / 2e6 if watched else None)

    def ready(self) -> None:
        """Say that the service is up."""
        self._send("READY=1")

    def watchdog(self) -> None:
        """Say that the service is alive."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the service is ending."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows."""
        self._send(f"STATUS={' '.join(text.split())}")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            try:
                sender.sendto(message.encode(), self._address)
            except OSError:
                return  # systemd is not listening; the watchdog will say so if it matters


STARTED_S = 10.0
"""Seconds after which everything that only the start needs is done."""
_M_ARENA_MAX = -8
"""As in ``malloc.h`` of the GNU C library."""
_MAPS = Path("/proc/self/maps")


def share_one_heap() -> None:
    """Let all threads that are started later take memory from one heap.

    Without the GNU C library, do nothing.

    Each thread has a heap of its own otherwise, which keeps what the thread has freed: 1.3 to 2.9
    MB of the agent's 120 on x86-64. Its threads hardly ever ask at one time; processor time was the
    same with and without.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def give_back_after_start(seconds: float = STARTED_S) -> None:
    """Call `give_back` once, in so many seconds, if the process still runs by then."""
    timer = threading.Timer(seconds, give_back)
    timer.daemon = True
    timer.start()


def give_back() -> None:
    """Give back the memory that only the start needed; do nothing where that cannot be asked.

    Of the agent's 124 MB on x86-64, 3 are freed heap. Another 18 are code of libraries that ran
    once, to import modules, build classes and pack models: the process lets go of all its code, and
    what runs on comes back within seconds, from the system's copy of the file (a millisecond's work
    in all). The system may use the rest for something else, as it may do with any code under
    pressure. Nothing of it was ever written, so nothing can be lost.
    """
    give_back_heap()
    advise = getattr(ctypes.CDLL(None), "madvise", None)
    if advise is None or not _MAPS.exists():
        return
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for start, length in _code(_MAPS.read_text(encoding="utf-8", errors="replace")):
        advise(start, length, mmap.MADV_DONTNEED)


def give_back_heap() -> None:
    """Give back what the heap keeps of freed memory (some milliseconds).

    Without the GNU C library, do nothing.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _code(maps: str) -> Iterator[tuple[int, int]]:
    """Give address and length of each piece of a file that is mapped to be run, never written.

    Args:
        maps: as ``/proc/self/maps`` has them.
    """
    for line in maps.splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) < 6 or fields[1] != "r-xp" or not fields[5].startswith("/"):
            continue
        start, _, end = fields[0].partition("-")
        yield int(start, 16), int(end, 16) - int(start, 16)
