"""The process: its memory, its signals, and what it tells systemd."""

from __future__ import annotations

import gc
import os
import platform
import socket
import subprocess
import sys
import threading
import uuid
from contextlib import suppress
from pathlib import Path

import pytest

from edge_agent.core.process import (
    StopRequest,
    SystemdNotifier,
    _unwritten_maps,
    given_socket,
    without_collections,
)

only_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be asked"
)


def printed(program: str) -> int:
    """Return the number that a program prints."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, timeout=60
    )
    return int(done.stdout)


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


@only_glibc
def test_threads_take_memory_from_one_heap_once_that_was_asked() -> None:
    assert printed(COUNT_HEAPS.format(call="")) >= 3
    assert printed(COUNT_HEAPS.format(call=CALL)) == 0


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


@only_glibc
def test_what_only_the_start_needed_goes_back_and_everything_still_runs() -> None:
    assert printed(GIVE_BACK) > 9_000_000


def test_only_what_a_file_holds_and_nobody_wrote_is_let_go() -> None:
    maps = """\
1000-3000 r-xp 00000000 08:01 42         /usr/lib/a library.so
Pss:                   8 kB
Anonymous:             0 kB
3000-4000 r--p 00002000 08:01 42         /usr/lib/a library.so
Anonymous:             0 kB
4000-5000 r--p 00003000 08:01 42         /usr/lib/a library.so
Anonymous:             4 kB
5000-6000 rw-p 00004000 08:01 42         /usr/lib/a library.so
Anonymous:             0 kB
6000-7000 rwxp 00000000 08:01 43         /usr/lib/written.so
Anonymous:             0 kB
7000-8000 r-xp 00000000 00:00 0          [vdso]
Anonymous:             0 kB
8000-9000 r-xp 00000000 00:00 0
Anonymous:             0 kB
"""
    assert list(_unwritten_maps(maps)) == [(0x1000, 0x2000), (0x3000, 0x1000)]


def test_the_socket_that_systemd_gives_is_for_the_process_that_it_names() -> None:
    given = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
    for name, value in (("LISTEN_PID", "1"), ("LISTEN_FDS", "2"), ("LISTEN_FDS", "")):
        assert given_socket(given | {name: value}) is None
    assert given_socket({}) is None


WAIT = """
import signal
from edge_agent.core.process import StopRequest
def strike(*_):
    request.set()
signal.signal(signal.SIGALRM, strike)
for number in range(500):
    request = StopRequest()
    signal.setitimer(signal.ITIMER_REAL, 0.00002 + number % 50 * 0.000002)
    while not request.wait(0.00001):
        pass
print(number)
"""


def test_a_signal_that_comes_while_it_is_waited_for_never_stops_program() -> None:
    assert printed(WAIT) == 499


def test_a_stop_asked_for_by_another_thread_ends_the_wait_at_once() -> None:
    request = StopRequest()
    asker = threading.Timer(0.01, request.set)
    asker.start()
    assert request.wait(600)
    asker.join()
    request.set()  # once more does no harm
    assert request.wait(600)


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_over_its_socket(tmp_path: Path, abstract: bool) -> None:
    name = f"affect-edge-{uuid.uuid4()}"
    address = f"@{name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}" if abstract else address)
        systemd.settimeout(60)
        notifier = SystemdNotifier.from_environment({"NOTIFY_SOCKET": address})
        notifier.ready()
        notifier.status("12 frames/s\nbroker away")
        notifier.watchdog()
        notifier.stopping()
        told = [systemd.recv(200).decode() for _ in range(4)]
    assert told == ["READY=1", "STATUS=12 frames/s broker away", "WATCHDOG=1", "STOPPING=1"]


def test_without_systemd_or_with_a_deaf_one_nothing_happens(tmp_path: Path) -> None:
    for address in ("", str(tmp_path / "nobody")):
        SystemdNotifier.from_environment({"NOTIFY_SOCKET": address}).watchdog()
    SystemdNotifier.from_environment({}).ready()


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog_interval_is_half_of_what_systemd_asks_of_this_process(
    environment: dict[str, str], interval: float | None
) -> None:
    assert SystemdNotifier.from_environment(environment).watchdog_interval_s == interval


def test_garbage_collection_pauses_in_its_block_and_goes_on_after_an_error() -> None:
    enabled = []
    with suppress(ValueError), without_collections():
        enabled.append(gc.isenabled())
        raise ValueError
    assert [*enabled, gc.isenabled()] == [False, True]


def test_garbage_collection_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with without_collections():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
