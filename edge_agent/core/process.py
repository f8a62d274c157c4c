"""Signals for an orderly end, notifications to systemd, memory of the process, libraries that are
loaded when they are used, other programs.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from edge_agent.core.owners import rights_of_children

STARTED_S = 10.0
"""Seconds after which the work of the start is done."""
_FIRST_GIVEN = 3
_M_ARENA_MAX = -8
"""As in ``malloc.h`` of the GNU C library."""
_MAPS = Path("/proc/self/smaps")


def run_to_end(
    *words: str, timeout_s: float | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, by default without input; return its output.

    In a block of ``as_owner_of`` it has the rights of that owner, for good. What root starts as
    another user has a session without root's terminal.

    Raises:
        OSError: there is no such program, or it may not be run.
        subprocess.TimeoutExpired: it did not end in time.
    """
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "timeout": timeout_s}
    given |= rights_of_children() | {"capture_output": True} | more
    return subprocess.run(words, text=True, check=False, **given)


class Later:
    """A stand-in for a library; the first use of a name imports the library.

    For modules that most of their users need without it.

    Example:
        NumPy costs 12 MB, which a page that computes nothing need not hold::

            if TYPE_CHECKING:
                import numpy as np
            else:
                np = Later("numpy")
    """

    def __init__(self, library: str) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        """Return a name of the library, which is looked up once."""
        value = getattr(import_module(self._library), name)
        setattr(self, name, value)
        return value


class StopRequest:
    """A request to stop: set by a signal handler or any thread, awaited by one thread.

    A signal handler must not set a ``threading.Event``: if the signal comes while the same thread
    waits for the event and holds its lock, that thread blocks for ever. Here ``set`` only releases
    a lock of the system's, which ends the wait at once and waits for nothing itself.

    Example:
        >>> request = StopRequest()
        >>> request.wait(0.0), request.set(), request.wait(0.0)
        (False, None, True)
    """

    def __init__(self) -> None:
        self._is_set = False
        # Held until the request comes. (``time.sleep`` fails under libfaketime, with which wrong
        # clocks are tested.)
        self._held = threading.Lock()
        self._held.acquire()

    def set(self) -> None:
        """Request the end; may be called more than once."""
        self._is_set = True
        with suppress(RuntimeError):  # it was released by an earlier request
            self._held.release()

    def is_set(self) -> bool:
        """Return whether the end was requested."""
        return self._is_set

    def wait(self, timeout_s: float) -> bool:
        """Wait for the request, at most ``timeout_s`` seconds; return whether it has come."""
        if not self._is_set:
            self._held.acquire(timeout=timeout_s)
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
        """Call ``stop`` at every signal, and at once if one has already come."""
        self._stop = stop
        if self._received:
            stop()

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._received = True
        if self._stop is not None:
            self._stop()


class SystemdNotifier:
    """Reports the state of the service to systemd (protocol of ``sd_notify``).

    Without systemd it does nothing.

    Args:
        address: of the datagram socket, ``@`` in front for the abstract namespace; ``None`` without
            systemd.
        watchdog_interval_s: interval of ``watchdog``; ``None`` if systemd does not expect it.

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

        The interval is half of systemd's time-out.
        """
        micros = environment.get("WATCHDOG_USEC", "")
        # A child inherits the variables; only the process named here must send
        # (sd_watchdog_enabled(3)).
        for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watched = for_us and micros.isdecimal() and int(micros) > 0
        return cls(environment.get("NOTIFY_SOCKET") or None, int(micros) / 2e6 if watched else None)

    def ready(self) -> None:
        """Report that the service has started."""
        self._send("READY=1")

    def extend_start(self, seconds: float) -> None:
        """Ask for so much time until the next such message, however long the start may take."""
        self._send(f"EXTEND_TIMEOUT_USEC={seconds * 1e6:.0f}")

    def watchdog(self) -> None:
        """Report that the service is alive."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Report that the service is stopping."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows."""
        self._send(f"STATUS={' '.join(text.split())}")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            # A full socket of systemd must not hold up the loop that proves that the agent is
            # alive.
            sender.setblocking(False)
            try:
                sender.sendto(message.encode(), self._address)
            except OSError:
                return  # systemd is not listening; its watchdog acts if that matters


def given_socket(environment: Mapping[str, str]) -> socket.socket | None:
    """Return the listening socket that systemd gives this process; ``None`` without one.

    Protocol of ``sd_listen_fds``: the first one is the file number 3.
    """
    if environment.get("LISTEN_PID") != str(os.getpid()) or environment.get("LISTEN_FDS") != "1":
        return None
    os.set_inheritable(_FIRST_GIVEN, False)  # programs that it starts have no business there
    return socket.socket(fileno=_FIRST_GIVEN)


def share_one_heap() -> None:
    """Let all threads that are started later use one heap; do nothing without the GNU C library.

    Otherwise each thread has its own heap, which keeps freed memory: 1.3 to 2.9 MB of the agent's
    120 on x86-64. Its threads hardly ever allocate at the same time; the processor time was the
    same with and without.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def give_back_after_start() -> None:
    """Call `give_back` once, in ``STARTED_S`` seconds, if the process still runs by then."""
    timer = threading.Timer(STARTED_S, give_back)
    timer.daemon = True
    timer.start()


def give_back() -> None:
    """Give back the memory that only the start needed, if the system supports it.

    Of the agent's 124 MB on x86-64, 3 are freed heap. Another 25 are code and constants of
    libraries that ran once, to import modules, build classes and pack models. The process releases
    all that it maps and has not written, and what is still used is loaded again within seconds from
    the system's page cache (about a millisecond in all). The system can use the rest for other
    things, as it does with any code when memory is short. Nothing can be lost: the file has it.
    """
    give_back_heap()
    advise = getattr(ctypes.CDLL(None), "madvise", None)
    if advise is None or not _MAPS.exists():
        return
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for start, length in _unwritten_maps(_MAPS.read_text(encoding="utf-8", errors="replace")):
        advise(start, length, mmap.MADV_DONTNEED)


def give_back_heap() -> None:
    """Give back freed memory of the heap (some milliseconds); needs the GNU C library."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextmanager
def without_collections() -> Iterator[None]:
    """Keep Python from searching for garbage in circles while a block makes many objects that stay.

    It looks at all objects again whenever there are a quarter more: a third of the time of an
    analysis of 1,000 people, which found nothing. What is in no circle is freed as ever.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _unwritten_maps(maps: str) -> Iterator[tuple[int, int]]:
    """Yield address and length of each mapped file of which no page was written.

    Args:
        maps: text of ``/proc/self/smaps``.
    """
    place: tuple[int, int] | None = None
    for line in maps.splitlines():
        fields = line.split(maxsplit=5)
        if fields[0].endswith(":"):
            # Written pages, such as addresses that the loader put in, could not come back.
            if fields[0] == "Anonymous:" and fields[1] == "0" and place is not None:
                yield place
            continue
        place = None
        # Private mappings of files that nobody may write now.
        if len(fields) == 6 and fields[1] in {"r-xp", "r--p"} and fields[5].startswith("/"):
            start, _, end = fields[0].partition("-")
            place = int(start, 16), int(end, 16) - int(start, 16)
