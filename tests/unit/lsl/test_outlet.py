"""The clock of the Lab Streaming Layer beside ours."""

from __future__ import annotations

from itertools import pairwise

import pytest

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.lsl.outlet import StreamClock

WALL_MINUS_BOOT_NS = 1_700_000_000_000_000_000 + 600_000
"""The two clocks turn their milliseconds at different moments, as they do on each machine."""


def test_stamps_in_order_are_instants_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    present_ns = 5_000_000_000
    offset_ns = WALL_MINUS_BOOT_NS

    def now() -> Instant:
        return Instant(present_ns // 1_000_000, (present_ns + offset_ns) // 1_000_000)

    monkeypatch.setattr(clock, "now", now)
    monkeypatch.setattr(clock, "boot_ns", lambda: present_ns)
    stamps = StreamClock(lambda: present_ns / 1e9)
    stamp_s = present_ns / 1e9
    instants = []
    for _ in range(2_000):
        stamp_s += 0.000_05
        present_ns += 170_000
        instants.append(stamps.instant_of(stamp_s))
    assert all(a.wall_ms <= b.wall_ms and a.boot_ms <= b.boot_ms for a, b in pairwise(instants))
    true_ms = stamp_s * 1000 + WALL_MINUS_BOOT_NS / 1e6
    assert abs(instants[-1].wall_ms - true_ms) <= 2.5
    offset_ns -= 3_600_000_000_000  # somebody sets the wall clock back
    assert abs(stamps.instant_of(stamp_s).wall_ms - (true_ms - 3_600_000)) <= 2.5
