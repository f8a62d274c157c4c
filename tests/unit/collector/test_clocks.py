"""How far clocks are ahead, from messages alone: what a message adds, and what it must not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")

from hypothesis import given
from hypothesis import strategies as st

from collector.writer import (
    LEAST_DOUBT_MS,
    MOST_DOUBT_MS,
    ROW_MS,
    UNTIL_MS,
    ClockRow,
    _newest,
    row_after,
)
from edge_agent.fleet.chunks import TimelineMessage

NOW_MS = 1_790_000_400_000
HOUR_MS = 3_600_000
BOOTED_MS = NOW_MS - 40 * 24 * HOUR_MS
"""When the machine was started, by the clock of the collector's database."""


def message(at_ms: int, ahead_ms: int = 0, **more: object) -> TimelineMessage:
    """Return what a device sends at ``at_ms`` of the server, its own clock ``ahead_ms`` ahead."""
    sent, boot_ms = at_ms + ahead_ms, at_ms - BOOTED_MS
    made = TimelineMessage("room", "e", 1, 1, sent, False, 0, (), "start", boot_ms)
    return replace(made, **more)  # type: ignore[arg-type]


def heard(*messages: tuple[TimelineMessage, int]) -> ClockRow | None:
    """Return the newest row after messages that came at their times."""
    row = None
    for one, at_ms in messages:
        row = row_after(row, one, at_ms) or row
    return row


def live(seconds: float, ahead_ms: int = 0, way_ms: int = 50) -> tuple[TimelineMessage, int]:
    at_ms = NOW_MS + round(seconds * 1000)
    return message(at_ms, ahead_ms), at_ms + way_ms


def late(seconds: float, by_ms: int, ahead_ms: int = 0) -> tuple[TimelineMessage, int]:
    at_ms = NOW_MS + round(seconds * 1000)
    return message(at_ms - by_ms, ahead_ms), at_ms


def test_one_message_proves_nothing_and_a_second_a_minute_later_does() -> None:
    row = heard(live(0, 2 * HOUR_MS), live(30, 2 * HOUR_MS))
    assert row is not None
    assert (row.ahead_ms, row.doubt_ms) == (2 * HOUR_MS - 50, None)
    row = heard(live(0, 2 * HOUR_MS), live(61, 2 * HOUR_MS))
    assert row is not None
    assert (row.ahead_ms, row.doubt_ms) == (2 * HOUR_MS - 50, LEAST_DOUBT_MS)
    assert row.wall_minus_boot_ms - row.ahead_ms == BOOTED_MS + 50


@pytest.mark.parametrize("by_ms", [40_000, 27 * 24 * HOUR_MS])
def test_late_message_does_not_change_the_known_clock(by_ms: int) -> None:
    before = heard(live(0, HOUR_MS), live(61, HOUR_MS))
    assert row_after(before, *late(120, by_ms, HOUR_MS)) is None
    # alone it is a row without proof, that goes as soon as something comes quicker
    first = heard(late(0, by_ms, HOUR_MS), late(0.01, by_ms - 20, HOUR_MS))
    assert first is not None and first.doubt_ms is None
    after = heard(late(0, by_ms), live(1), live(62))
    assert after is not None
    assert (after.ahead_ms, after.doubt_ms) == (-50, LEAST_DOUBT_MS)


def test_a_queue_that_is_emptied_agrees_with_nothing() -> None:
    """A collector was away: what it was sent each ten seconds comes within some."""
    queue = [(message(NOW_MS + 10_000 * n), NOW_MS + 2 * HOUR_MS + 1_100 * n) for n in range(64)]
    row = heard(*queue)
    assert row is not None and row.doubt_ms is None


def test_a_way_that_varies_is_reported_as_doubt() -> None:
    row = heard(live(0, way_ms=100), live(90, way_ms=12_100))
    assert row is not None
    assert (row.ahead_ms, row.doubt_ms) == (-100, 12_000)
    slower = heard(live(0, way_ms=12_100), live(90, way_ms=12_000), live(180, way_ms=100))
    assert slower is not None
    assert (slower.ahead_ms, slower.doubt_ms) == (-100, 11_900)
    useless = heard(live(0, way_ms=100), live(90, way_ms=MOST_DOUBT_MS + 200))
    assert useless is not None and useless.doubt_ms is None


def test_a_clock_that_is_set_and_restart_and_server_of_time_each_begin_row() -> None:
    before = heard(live(0, HOUR_MS), live(61, HOUR_MS))
    assert before is not None
    step, at_ms = live(120)
    for changed in (
        step,
        message(at_ms, HOUR_MS, boot="another", boot_ms=9),
        message(at_ms, HOUR_MS, synchronised=True),
    ):
        row = row_after(before, changed, at_ms)
        assert row is not None
        assert (row.since_ms, row.doubt_ms) == (at_ms, None)
    slewed = row_after(before, message(at_ms, HOUR_MS + 1_500), at_ms)
    assert slewed is not None  # a step of up to two seconds is none
    assert (slewed.since_ms, slewed.doubt_ms) == (before.since_ms, 1_550)


def test_nothing_is_written_while_nothing_changes() -> None:
    known = heard(live(0), live(61))
    news = [row_after(known, *live(61 + 10 * n)) for n in range(1, UNTIL_MS // 10_000)]
    assert news == [None] * len(news)
    row = row_after(known, *live(61 + UNTIL_MS / 1000 + 1))
    assert known is not None and row is not None
    assert replace(row, until_ms=known.until_ms) == known
    assert row.until_ms > known.until_ms


def test_after_a_day_a_row_begins_anew_for_clocks_drift() -> None:
    known = heard(live(0), live(61))
    row = row_after(known, *live(ROW_MS / 1000 + 1, 9_000))
    assert row is not None and row.since_ms > NOW_MS + ROW_MS
    assert row.ahead_ms == 9_000 - 50


@pytest.mark.parametrize(
    "told",
    [
        {"boot": "", "boot_ms": 0},
        {"boot": "unknown"},
        {"boot_ms": 0},
        {"boot_ms": 2**62},
        {"sent": -1},
        {"sent": 253_402_300_800_000},
    ],
)
def test_what_no_clock_can_show_is_no_measurement(told: dict[str, Any]) -> None:
    known = heard(live(0), live(61))
    lie = message(NOW_MS + 70_000, **told)
    assert row_after(None, lie, NOW_MS + 70_000) is None
    assert row_after(known, lie, NOW_MS + 70_000) is None


def test_one_lie_is_no_proof_and_the_truth_comes_back() -> None:
    truth = heard(live(0), live(61))
    lie = row_after(truth, message(NOW_MS + 70_000, 5 * 365 * 24 * HOUR_MS), NOW_MS + 70_000)
    assert lie is not None and lie.doubt_ms is None
    again = row_after(lie, *live(80))
    assert again is not None and (again.ahead_ms, again.doubt_ms) == (-50, None)
    # one that moves both of its clocks alike takes the proof away, and cannot give another one
    both = message(NOW_MS + 70_000, HOUR_MS, boot_ms=NOW_MS + 70_000 + HOUR_MS - BOOTED_MS)
    row = row_after(truth, both, NOW_MS + 70_000)
    assert row is not None and row.doubt_ms is None
    assert row_after(row, *live(200)) is None


@given(
    st.lists(
        st.tuples(st.integers(0, 3_600), st.integers(0, 600_000)), min_size=1, max_size=30
    ).map(sorted),
    st.integers(-10 * HOUR_MS, 10 * HOUR_MS),
)
def test_the_estimate_is_a_lower_bound_and_the_best_message_reaches_it(
    told: list[tuple[int, int]], ahead_ms: int
) -> None:
    """Whatever the ways are, and in whatever order messages come: never more than the truth."""
    arrived = sorted((1000 * sent + way, 1000 * sent) for sent, way in told)
    row = heard(*((message(NOW_MS + sent, ahead_ms), NOW_MS + at) for at, sent in arrived))
    assert row is not None
    assert row.ahead_ms <= ahead_ms
    # what is written may lack the last tenth of a second, and a message that agrees within one
    assert ahead_ms - row.ahead_ms <= min(at - sent for at, sent in arrived) + 1_000


def test_the_message_that_was_sent_last_counts_of_the_last_start() -> None:
    old = message(NOW_MS, boot="before", boot_ms=10**9)
    first, second = message(NOW_MS + 5), message(NOW_MS + 9)
    assert _newest([old, second, first]) is second
