"""Sums of what is moved, over a database that is played."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")

from dashboard.fleet.clocks import (
    FOREVER_MS,
    MOST_BY_ROW_MS,
    ClockOff,
    MovedRows,
    Stretch,
    Table,
    read_stretches,
)
from edge_agent.store.database.schema import DAY_MS, HOUR_MS, MINUTE_MS

T0 = 1_790_000_400_000
TABLE = Table("vital", "ROLLED_UP", "OF_ROWS", " AND kind = 'heart_rate'", " AND is_primary = 1")


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


def stretch(boot: int, start_ms: int, end_ms: int, ahead_ms: int, stream: int = 1) -> Stretch:
    return Stretch(stream, "room", boot, start_ms, end_ms, ahead_ms, 1_000)


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


def test_a_mean_that_is_left_out_of_one_part_is_left_out_of_the_sum() -> None:
    moved = MovedRows([stretch(1, T0, FOREVER_MS, HOUR_MS)], (T0, T0 + DAY_MS), MINUTE_MS)
    sums: dict[int, dict[str, Any]] = {T0: {"rows": 1, "sum_anger": None, "least": None}}
    connection: Any = Played([{"start": T0, "rows": 2, "sum_anger": 5, "least": 7.0}])
    moved.add_to(sums, connection, TABLE)
    assert sums == {T0: {"rows": 3, "sum_anger": None, "least": 7.0}}


@pytest.mark.parametrize(
    ("length_ms", "read"),
    [(5 * MINUTE_MS, "minute"), (3 * HOUR_MS, "hour"), (DAY_MS, "day"), (7 * DAY_MS, "day")],
)
def test_what_is_moved_is_read_from_the_rollup_of_the_others(length_ms: int, read: str) -> None:
    day = T0 // DAY_MS * DAY_MS
    moved = MovedRows([stretch(1, T0, FOREVER_MS, DAY_MS)], (day, day + 7 * DAY_MS), length_ms)
    played = Played([])
    connection: Any = played
    moved.add_to({}, connection, TABLE)
    assert f"fleet.vital_{read} " in played.asked[0][0]


def test_of_days_a_clock_that_is_off_by_hours_is_left_as_it_is() -> None:
    day = T0 // DAY_MS * DAY_MS
    moved = MovedRows([stretch(1, T0, FOREVER_MS, 11 * HOUR_MS)], (day, day + DAY_MS), DAY_MS)
    assert (moved.streams, moved.clocks) == ([], ())


def test_what_would_be_read_from_too_many_rows_is_not_moved() -> None:
    """Two starts that nobody can tell apart, for years."""
    both = [stretch(1, T0, FOREVER_MS, 0), stretch(2, T0, FOREVER_MS, HOUR_MS)]
    long = MovedRows(both, (T0, T0 + MOST_BY_ROW_MS + DAY_MS), HOUR_MS)
    assert (long.streams, long.clocks) == ([], ())
    short = MovedRows(both, (T0, T0 + DAY_MS), HOUR_MS)
    assert short.streams == [1] and short.clocks
    # another device is moved all the same
    other = [*both, stretch(3, T0, FOREVER_MS, DAY_MS, stream=2)]
    assert MovedRows(other, (T0, T0 + 99 * DAY_MS), DAY_MS).streams == [2]


def test_the_span_of_what_is_moved_is_asked_of_each_rollup() -> None:
    class Ends(Played):
        def execute(self, statement: str | bytes, values: Any = None) -> Any:
            self.asked.append((str(statement), values))
            return self

        def fetchone(self) -> Any:
            return self._answers.pop(0)

    moved = MovedRows([stretch(1, T0, FOREVER_MS, HOUR_MS)], (0, FOREVER_MS), HOUR_MS)
    ends: Any = Ends([5, 9], [None, None])  # type: ignore[list-item]
    assert moved.span(ends, ["expression_hour", "vital_hour"]) == (5, 9)
    right = MovedRows([stretch(1, T0, FOREVER_MS, 0)], (0, FOREVER_MS), HOUR_MS)
    assert right.span(ends, ["expression_hour"]) is None


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
