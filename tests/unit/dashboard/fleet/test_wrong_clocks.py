"""Where rows of wrong clocks belong: every row is read once, and moved as its own start was off."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.fleet.clocks import (
    FOREVER_MS,
    MOST_BY_ROW_MS,
    ClockPair,
    ClockStretch,
    MixedPiece,
    MovedRows,
    RollupPiece,
    Span,
    TableSums,
    clocks_off,
    pieces,
    read_stretches,
    stretches,
)
from dashboard.fleet.known import ClockOff
from edge_agent.timeline.database.schema import DAY_MS, HOUR_MS, MINUTE_MS

T0 = 1_790_000_400_000  # a full minute


def measured(
    boot: int = 1, start_ms: int = T0, ahead_ms: int | None = 0, **more: object
) -> ClockPair:
    """A start of the machine a thousand seconds before its first row."""
    offset_ms = start_ms - 1_000_000
    row = ClockPair(1, "room", boot, f"start-{boot}", start_ms, offset_ms, False)
    if ahead_ms is not None:
        row = replace(row, began_ms=offset_ms - ahead_ms, from_ms=1_000_000, to_ms=2_000_000)
        row = replace(row, doubt_ms=1_000)
    return replace(row, **more)  # type: ignore[arg-type]


def read(
    rows: list[ClockPair], span: Span, step_ms: int = MINUTE_MS
) -> tuple[list[RollupPiece], list[MixedPiece]] | None:
    return pieces(stretches(rows), span, step_ms)


def read_moved(
    rows: list[ClockPair], span: Span, step_ms: int = MINUTE_MS
) -> tuple[list[RollupPiece], list[MixedPiece]]:
    found = read(rows, span, step_ms)
    assert found is not None
    return found


def test_a_device_two_hours_ahead_is_read_two_hours_later() -> None:
    whole, mixed = read_moved([measured(ahead_ms=2 * HOUR_MS)], (T0, T0 + HOUR_MS))
    assert mixed == []
    assert whole[-1] == RollupPiece(1, T0 + 2 * HOUR_MS, T0 + 3 * HOUR_MS, -2 * HOUR_MS)


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


def test_a_device_of_which_all_is_moved_out_of_range_is_not_read_as_it_is() -> None:
    """A minute and a half behind, within the only minute: its rows belong two minutes later."""
    assert read([measured(ahead_ms=-91_000)], (T0, T0 + MINUTE_MS)) == ([], [])


def test_a_start_lasts_until_the_next_one_that_was_measured() -> None:
    """The second start begins with the time of the first again, as without a clock module."""
    first = measured(1, ahead_ms=-HOUR_MS)
    again = measured(2, start_ms=T0 + 5_000, ahead_ms=-11 * HOUR_MS)
    ends = {one.boot: one.end_ms for one in stretches([first, again])}
    assert ends == {1: T0 + 5_000 - 1_000_000 + 10 * HOUR_MS + MINUTE_MS, 2: FOREVER_MS}


def test_clock_of_unmeasured_starts_goes_on_or_is_unknown() -> None:
    old = measured(1, ahead_ms=None)
    on = measured(2, start_ms=T0 + DAY_MS, ahead_ms=HOUR_MS)
    assert stretches([old, on])[0].end_ms == T0 + DAY_MS + MINUTE_MS
    back = measured(2, start_ms=T0 - DAY_MS, ahead_ms=HOUR_MS)
    assert stretches([old, back])[0].end_ms == FOREVER_MS


def test_the_newest_figure_of_each_device_is_reported() -> None:
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


def played(runs: list[Run], step_ms: int) -> tuple[list[ClockPair], list[Recorded]]:
    """Return what is known of the starts, and rows all along each of them."""
    found: list[ClockPair] = []
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
        row = ClockPair(
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


TABLE = TableSums(
    "vital", "ROLLED_UP", "OF_ROWS", " AND kind = 'heart_rate'", " AND is_primary = 1"
)


class Played:
    """Answers what is read from rollups, then what is read from rows."""

    def __init__(self, *answers: list[dict[str, Any]]) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, Any]] = []

    def cursor(self, **_options: object) -> Played:
        return self

    def execute(self, statement: str | bytes, values: Any = None) -> Any:
        text = statement.decode() if isinstance(statement, bytes) else statement
        self.asked.append((text, values))
        return self._answers.pop(0)


def stretch(boot: int, start_ms: int, end_ms: int, ahead_ms: int, stream: int = 1) -> ClockStretch:
    return ClockStretch(stream, "room", boot, start_ms, end_ms, ahead_ms, 1_000)


def test_rollups_and_rows_are_added_to_what_the_others_have() -> None:
    """Two starts share the minute ``T0``: it is read from rows, the others from minutes."""
    found = [
        stretch(1, T0 - DAY_MS, T0 + 30_000, HOUR_MS),
        stretch(2, T0 + 20_000, FOREVER_MS, 2 * HOUR_MS),
    ]
    step = T0 // HOUR_MS * HOUR_MS
    moved = MovedRows(found, (step - 9 * HOUR_MS, step + 9 * HOUR_MS), 30 * MINUTE_MS)
    assert moved.streams == [1]
    assert moved.clocks == (ClockOff("room", 2 * HOUR_MS, 1_000),)
    alone = {"n": 1.0, "total": 50.0, "least": 50.0, "most": 50.0, "sum_anger": 3.0}
    sums = {step: dict(alone)}
    rolled_up = [{"start": step - HOUR_MS, "n": 2.0, "total": 140.0, "least": 60.0, "most": 80.0}]
    of_rows: list[dict[str, Any]] = [
        {"boot": 2, "cell": T0, "n": 1, "total": 90.0, "least": 90.0, "most": 90.0},
        {"boot": 1, "cell": T0, "n": 1, "total": 40.0, "least": 40.0, "most": 40.0},
        {"boot": None, "cell": T0, "n": 1, "total": 70.0, "least": None, "most": 70.0},
    ]
    played = Played(rolled_up, of_rows)
    connection: Any = played
    moved.add_to(sums, connection, TABLE)
    assert {start: row["n"] for start, row in sums.items()} == {
        step: 2.0,  # and what points to no start stays
        step - HOUR_MS: 3.0,
        step - 2 * HOUR_MS: 1,
    }
    assert (sums[step]["least"], sums[step]["most"], sums[step]["total"]) == (50.0, 70.0, 120.0)
    assert (sums[step - HOUR_MS]["least"], sums[step - HOUR_MS]["most"]) == (40.0, 80.0)
    (from_minutes, _), (from_rows, values) = played.asked
    assert "fleet.vital_minute" in from_minutes and "kind = 'heart_rate'" in from_minutes
    assert "is_primary" not in from_minutes and "is_primary = 1" in from_rows
    assert values == (1, T0, T0 + MINUTE_MS)


def test_clock_that_needs_too_many_rows_is_not_corrected() -> None:
    """Two starts that nobody can tell apart, for years."""
    both = [stretch(1, T0, FOREVER_MS, 0), stretch(2, T0, FOREVER_MS, HOUR_MS)]
    long = MovedRows(both, (T0, T0 + MOST_BY_ROW_MS + DAY_MS), HOUR_MS)
    assert (long.streams, long.clocks) == ([], ())
    short = MovedRows(both, (T0, T0 + DAY_MS), HOUR_MS)
    assert short.streams == [1] and short.clocks
    # another device is moved all the same
    other = [*both, stretch(3, T0, FOREVER_MS, DAY_MS, stream=2)]
    assert MovedRows(other, (T0, T0 + 99 * DAY_MS), DAY_MS).streams == [2]


def test_rows_of_boot_that_are_no_numbers_are_left_out() -> None:
    """A device may send anything as a row of its study."""
    fields = {"boot_id": "a", "started_ms": T0, "wall_minus_boot_ms": 5, "synchronised": 0}
    row = {"stream": 1, "device": "room", "boot": 1, "fields": json.dumps(fields)}
    row |= dict.fromkeys(("began_ms", "from_ms", "to_ms", "doubt_ms"))
    wrong: list[dict[str, Any]] = [
        {},
        {"boot_id": "a", "started_ms": "soon", "wall_minus_boot_ms": 5, "synchronised": 0},
        fields | {"wall_minus_boot_ms": 2**60},
        fields | {"started_ms": None},
    ]
    rows = [row, *(row | {"boot": 2 + n, "fields": json.dumps(one)} for n, one in enumerate(wrong))]
    rows.append(row | {"stream": 7})  # a stream that does not count
    connection: Any = Played(rows)
    found = read_stretches(connection, T0, {1})
    assert [(one.stream, one.boot, one.ahead_ms) for one in found] == [(1, 1, 0)]
