"""Keeps the agent's memory small, where the C library lets itself be asked."""

from __future__ import annotations

import ctypes
import mmap
import threading
from collections.abc import Iterator
from pathlib import Path

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
