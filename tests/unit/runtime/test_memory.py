"""The agent's threads share one heap of the C library, and what only the start needs goes back."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from edge_agent.core.process import _code

COUNT_HEAPS = """
import threading
{call}
blocks, ready, done = [], threading.Barrier(5), threading.Event()
def take():
    blocks.append([bytearray(3000) for _ in range(50)])
    ready.wait(30)
    done.wait(30)
for _ in range(4):
    threading.Thread(target=take).start()
ready.wait(30)
with open("/proc/self/maps") as maps:
    spans = [line.split()[:2] for line in maps if "---p" in line]
sizes = [int(b, 16) - int(a, 16) for a, b in (span.split("-") for span, _ in spans)]
done.set()
print(sum(48 << 20 <= size <= 64 << 20 for size in sizes))
"""
CALL = "from edge_agent.core.process import share_one_heap; share_one_heap()"


def heaps(call: str) -> int:
    """Return how many heaps of threads a process has whose four threads take memory."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT_HEAPS.format(call=call)], capture_output=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be asked")
def test_threads_take_memory_from_one_heap_once_that_was_asked() -> None:
    assert heaps("") >= 3
    assert heaps(CALL) == 0


GIVE_BACK = """
import hashlib, resource, ssl, sqlite3
from edge_agent.core.process import give_back
def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()
kept = bytearray(b"kept" * 500_000)
blocks = [bytearray(3000) for _ in range(3000)]
last = bytearray(3000)
before = hashlib.sha256(kept).hexdigest()
del blocks
held = resident()
give_back()
freed = held - resident()
assert hashlib.sha256(kept).hexdigest() == before
assert sqlite3.connect(":memory:").execute("SELECT 6 * 7").fetchone() == (42,)
print(freed)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be asked")
def test_what_only_the_start_needed_goes_back_and_everything_still_runs() -> None:
    done = subprocess.run([sys.executable, "-c", GIVE_BACK], capture_output=True, check=True)
    assert int(done.stdout) > 9_000_000


def test_only_code_that_is_never_written_is_let_go() -> None:
    maps = """\
1000-3000 r-xp 00000000 08:01 42         /usr/lib/a library.so
3000-4000 r--p 00002000 08:01 42         /usr/lib/a library.so
4000-5000 rw-p 00003000 08:01 42         /usr/lib/a library.so
5000-6000 rwxp 00000000 08:01 43         /usr/lib/written.so
6000-7000 r-xp 00000000 00:00 0          [vdso]
7000-8000 r-xp 00000000 00:00 0
"""
    assert list(_code(maps)) == [(0x1000, 0x2000)]
