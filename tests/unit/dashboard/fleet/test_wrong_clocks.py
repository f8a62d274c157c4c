"""Where rows of wrong clocks belong: every row is read once, and moved as its own start was off."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.fleet.clocks import (
    FOREVER_MS,
    ClockOff,
    Measured,
    MixedPiece,
    Piece,
    Span,
    clocks_off,
    pieces,
    stretches,
)
from edge_agent.store.database.schema import DAY_MS, HOUR_MS, MINUTE_MS

T0 = 1_790_000_400_000  # a full minute


def measured(
    boot: int = 1, start_ms: int = T0, ahead_ms: int | None = 0, **more: object
) -> Measured:
    """A start of the machine a thousand seconds before its first row."""
    offset_ms = start_ms - 1_000_000
    row = Measured(1, "room", boot, f"start-{boot}", start_ms, offset_ms, False)
    if ahead_ms is not None:
        row = replace(row, began_ms=offset_ms - ahead_ms, from_ms=1_000_000, to_ms=2_000_000)
        row = replace(row, doubt_ms=1_000)
    return replace(row, **more)  # type: ignore[arg-type]


def read(
    rows: list[Measured], span: Span, step_ms: int = MINUTE_MS
) -> tuple[list[Piece], list[MixedPiece]] | None:
    return pieces(stretches(rows), span, step_ms)


def read_moved(
    rows: list[Measured], span: Span, step_ms: int = MINUTE_MS
) -> tuple[list[Piece], list[MixedPiece]]:
    found = read(rows, span, step_ms)
    assert found is not None
    return found


def test_a_device_two_hours_ahead_is_read_two_hours_later() -> None:
    whole, mixed = read_moved([measured(ahead_ms=2 * HOUR_MS)], (T0, T0 + HOUR_MS))
    assert mixed == []
    assert whole[-1] == Piece(1, T0 + 2 * HOUR_MS, T0 + 3 * HOUR_MS, -2 * HOUR_MS)


def test_where_nothing_is_moved_nothing_is_read_here() -> None:
    span = (T0, T0 + HOUR_MS)
    for row in (
        measured(ahead_ms=None),
        measured(ahead_ms=29_000),
        measured(ahead_ms=2 * HOUR_MS, synchronised=True),
        measured(start_ms=T0 + 9 * HOUR_MS, ahead_ms=HOUR_MS),
    ):
        assert read([row], span) is None
    assert read([measured(ahead_ms=40_000)], span) is not None
    # of days, what is less than half an hour stays; with rows of minutes it is moved
    assert read([measured(ahead_ms=29 * MINUTE_MS)], span, HOUR_MS) is None


def test_what_a_clock_says_beyond_the_range_is_moved_out_of_it() -> None:
    """A clock that is a year ahead: in its year there, nothing of the device is shown."""
    year = 365 * DAY_MS
    row = measured(start_ms=T0 + year, ahead_ms=year)
    whole, mixed = read_moved([row], (T0 + year, T0 + year + HOUR_MS))
    assert mixed == []
    belongs = [piece for piece in whole if piece.by_ms == 0]
    assert all(piece.end_ms <= T0 + year for piece in belongs)


def test_a_device_of_which_all_is_moved_out_of_the_range_is_not_read_as_it_is() -> None:
    """A minute and a half behind, within the only minute: its rows belong two minutes later."""
    assert read([measured(ahead_ms=-91_000)], (T0, T0 + MINUTE_MS)) == ([], [])


def test_a_long_run_is_moved_by_each_figure_in_turn() -> None:
    first = measured(ahead_ms=HOUR_MS)
    day = replace(first, began_ms=(first.began_ms or 0) - 60_000, from_ms=1_000_000 + DAY_MS)
    found = stretches([first, day])
    assert [(one.end_ms, one.ahead_ms) for one in found] == [
        (T0 + DAY_MS, HOUR_MS),
        (FOREVER_MS, HOUR_MS + 60_000),
    ]


def test_a_start_lasts_until_the_next_one_that_was_measured() -> None:
    """The second start begins with the time of the first again, as without a clock module."""
    first = measured(1, ahead_ms=-HOUR_MS)
    again = measured(2, start_ms=T0 + 5_000, ahead_ms=-11 * HOUR_MS)
    ends = {one.boot: one.end_ms for one in stretches([first, again])}
    assert ends == {1: T0 + 5_000 - 1_000_000 + 10 * HOUR_MS + MINUTE_MS, 2: FOREVER_MS}


def test_a_start_that_was_not_measured_ended_before_the_next_one_began() -> None:
    before = measured(1, ahead_ms=0)
    offline = measured(2, start_ms=T0 + HOUR_MS, ahead_ms=None)
    after = measured(3, start_ms=T0 + 2 * HOUR_MS, ahead_ms=-9 * HOUR_MS)
    ends = {one.boot: one.end_ms for one in stretches([before, offline, after])}
    # "before" was heard for the last time a thousand seconds after its first row
    ran_ms = (T0 + 11 * HOUR_MS - 1_000_000) - (T0 + 1_000_000)
    assert ends[2] == T0 + HOUR_MS - 1_000_000 + ran_ms + MINUTE_MS


def test_of_starts_that_were_never_measured_the_clock_goes_on_or_nothing_is_known() -> None:
    old = measured(1, ahead_ms=None)
    on = measured(2, start_ms=T0 + DAY_MS, ahead_ms=HOUR_MS)
    assert stretches([old, on])[0].end_ms == T0 + DAY_MS + MINUTE_MS
    back = measured(2, start_ms=T0 - DAY_MS, ahead_ms=HOUR_MS)
    assert stretches([old, back])[0].end_ms == FOREVER_MS


def test_the_newest_figure_of_each_device_is_told() -> None:
    rows = [
        measured(1, ahead_ms=3 * HOUR_MS),
        measured(2, start_ms=T0 + DAY_MS, ahead_ms=2 * HOUR_MS, doubt_ms=4_000),
        measured(3, start_ms=T0 + 2 * DAY_MS, ahead_ms=5),
        measured(1, stream=2, device="attic", ahead_ms=-HOUR_MS),
    ]
    found = stretches(rows)
    assert clocks_off(found, (T0, T0 + 9 * DAY_MS), MINUTE_MS) == (
        ClockOff("attic", -HOUR_MS, 1_000),
        ClockOff("room", 2 * HOUR_MS, 4_000),
    )
    assert clocks_off(found, (T0 - 9 * DAY_MS, T0 - 8 * DAY_MS), MINUTE_MS) == ()


@dataclass(frozen=True)
class Run:
    """A stretch of a start of the machine as it truly was; times in seconds.

    Attributes:
        pause: since the end of the last one.
        length: how long it ran.
        ahead: how far its clock was ahead.
        steps_on: whether it is a step of the clock within the start before.
        is_measured: whether a collector heard of that start.
    """

    pause: int
    length: int
    ahead: int
    steps_on: bool
    is_measured: bool


_RUNS = st.lists(
    st.builds(
        Run,
        pause=st.integers(30, 20_000),
        length=st.integers(61, 30_000),
        ahead=st.one_of(
            st.integers(-400_000, 400_000), st.sampled_from((0, 7_200, 3_630, -86_400, 29))
        ),
        steps_on=st.booleans(),
        is_measured=st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@dataclass(frozen=True)
class Recorded:
    """A row of a device: when it believes that it was, and by how much that is moved."""

    at: int
    boot: int
    by_ms: int


def played(runs: list[Run], step_ms: int) -> tuple[list[Measured], list[Recorded]]:
    """Return what is known of the starts, and rows all along each of them."""
    found: list[Measured] = []
    rows: list[Recorded] = []
    began_ms, start, true_ms, is_measured = T0, 0, T0, True
    for number, run in enumerate(runs, start=1):
        if number == 1 or not run.steps_on:
            true_ms += run.pause * 1000
            began_ms, start = true_ms, number
            # the first and the last start are measured: then all that is between them is bounded
            later = [one for one in runs[number:] if not one.steps_on]
            is_measured = run.is_measured or number == 1 or not later
            true_ms += 20_000
        ahead_ms = run.ahead * 1000
        end_ms = true_ms + run.length * 1000
        row = Measured(
            1,
            "room",
            number,
            f"start-{start}",
            start_ms=true_ms + ahead_ms,
            offset_ms=began_ms + ahead_ms,
            synchronised=False,
        )
        if is_measured:
            row = replace(row, began_ms=began_ms, to_ms=true_ms - began_ms, doubt_ms=1_000)
        found.append(row)
        by_ms = -((2 * ahead_ms + step_ms) // (2 * step_ms)) * step_ms if is_measured else 0
        ticks = range(true_ms, end_ms, max((end_ms - true_ms) // 40, 1))
        rows += [Recorded(at + ahead_ms, number, by_ms) for at in ticks]
        true_ms = end_ms
    return found, rows


@settings(max_examples=400, deadline=None)
@given(
    _RUNS,
    st.integers(-6_000, 12_000),
    st.integers(1, 9_000),
    st.sampled_from((MINUTE_MS, HOUR_MS, DAY_MS)),
)
def test_every_row_of_the_range_is_read_once_and_lies_where_it_belongs(
    runs: list[Run], first: int, length: int, step_ms: int
) -> None:
    """Whatever clocks did: set in between, back after a restart, with starts nobody heard of."""
    known, rows = played(runs, step_ms)
    start_ms = (T0 + first * MINUTE_MS) // step_ms * step_ms
    span = (start_ms, start_ms + length * step_ms)
    found = read(known, span, step_ms)
    for row in rows:
        cell = row.at // step_ms * step_ms
        belongs = span[0] <= cell + row.by_ms < span[1]
        if found is None:  # then it is read as it is
            assert belongs == (span[0] <= cell < span[1])
            assert not belongs or row.by_ms == 0
            continue
        whole, mixed = found
        lies = [
            cell + one.by_ms
            for one in whole
            if one.start_ms <= cell and cell + step_ms <= one.end_ms
        ] + [
            cell + one.by_ms.get(row.boot, 0)
            for one in mixed
            if one.start_ms <= row.at < one.end_ms
        ]
        assert [at for at in lies if span[0] <= at < span[1]] == [cell + row.by_ms] * belongs


@pytest.mark.parametrize("step_ms", [MINUTE_MS, HOUR_MS])
def test_pieces_begin_and_end_with_steps(step_ms: int) -> None:
    rows = [
        measured(1, start_ms=T0 + 17_123, ahead_ms=2 * HOUR_MS + 12_345),
        measured(2, start_ms=T0 + 7 * HOUR_MS + 999, ahead_ms=-3 * HOUR_MS - 777),
    ]
    start_ms = T0 // step_ms * step_ms
    whole, mixed = read_moved(rows, (start_ms, start_ms + 24 * HOUR_MS), step_ms)
    assert whole and mixed
    ends = [(one.start_ms, one.end_ms) for one in whole]
    ends += [(one.start_ms, one.end_ms) for one in mixed]
    assert {(start % step_ms, end % step_ms) for start, end in ends} == {(0, 0)}
