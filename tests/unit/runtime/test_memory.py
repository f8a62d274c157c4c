"""The agent's threads share one heap of the C library."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

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
CALL = "from edge_agent.runtime.memory import share_one_heap; share_one_heap()"


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
