"""A sender's clock is found from when its messages come; jitter of the way goes."""

from __future__ import annotations

import random

import pytest

from edge_agent.core.clock import SENDERS, Instant, SenderClock, SenderClocks


def test_late_messages_get_the_time_at_which_they_were_sent() -> None:
    noise = random.Random(7)
    sender = SenderClock()
    errors = []
    for number in range(300):
        sent_ms = 100.0 * number
        way_ms = round(2 + noise.expovariate(1 / 20))
        received = Instant(boot_ms=5_000 + 100 * number + way_ms, wall_ms=0)
        errors.append(sender.instant(sent_ms, received).boot_ms - 5_000 - 100 * number)
    assert max(errors[50:]) <= 6
    assert min(errors) >= 2, "nobody can know how long the quickest took"
    offset = sender.offset
    assert offset is not None
    assert offset.offset_ms == pytest.approx(5_002, abs=4)
    assert 5 < offset.doubt_ms < 30


def test_a_clock_that_was_set_is_noticed() -> None:
    sender = SenderClock()
    sender.instant(1_000.0, Instant(6_000, 0))
    for jump_ms in (-60_000.0, 60_000.0):
        received = Instant(8_000, 0)
        assert sender.instant(3_000.0 + jump_ms, received) == received
        assert sender.offset is not None
        assert sender.offset.messages == 1


def test_only_so_many_senders_are_remembered() -> None:
    clocks = SenderClocks()
    clocks.instant("first", 0.0, Instant(1_000, 0))
    late = Instant(2_500, 0)
    assert clocks.instant("first", 1_000.0, late)[0].boot_ms == 2_000
    for number in range(SENDERS):
        clocks.instant(f"sender {number}", 0.0, late)
    assert clocks.instant("first", 1_000.0, late)[0] == late


def test_the_offset_is_reported_once_and_again_when_it_moved() -> None:
    clocks = SenderClocks()

    def told(ahead_ms: int) -> list[float]:
        every = [
            clocks.instant("lab", 100.0 * n, Instant(100 * n + ahead_ms, 0))[1] for n in range(20)
        ]
        return [offset.offset_ms for offset in every if offset is not None]

    assert told(2_000) == [2_000]
    assert told(2_000) == []
    assert told(1_000) == [1_000]
