"""Wrong clocks, long times without power, and what is deleted because it is too old."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.upkeep import aging, retention
from edge_agent.timeline.upkeep.aging import DAY_MS
from edge_agent.timeline.upkeep.budget import keep_to_budget
from tests.support.timeline import START_MS, Row, query, timeline

YEAR = 365
KEEP_DAYS = 90


@dataclass
class Machine:
    """A machine whose clocks go as a test says; ``wrong_ms`` is by how much the wall clock lies."""

    wall_ms: int = START_MS + 100 * DAY_MS
    boot_ms: int = 60_000
    boot: str = "first"
    synchronised: bool = True
    wrong_ms: int = 0

    def go(self, days: float) -> None:
        """Let time pass, with power."""
        self.wall_ms += round(days * DAY_MS)
        self.boot_ms += round(days * DAY_MS)

    def start(self, after_days: float = 0.0, wrong_days: float = 0.0) -> None:
        """Start after a time without power, with a clock that is wrong by so many days more."""
        self.wall_ms += round(after_days * DAY_MS)
        self.jump(wrong_days)
        self.boot_ms = 60_000
        self.boot += "'"

    def jump(self, days: float) -> None:
        """Set the wall clock while the machine runs."""
        self.wall_ms += round(days * DAY_MS)
        self.wrong_ms += round(days * DAY_MS)

    @property
    def true_ms(self) -> int:
        """What a right clock would say."""
        return self.wall_ms - self.wrong_ms


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(clock, "now", lambda: Instant(made.boot_ms, made.wall_ms))
    monkeypatch.setattr(clock, "boot_id", lambda: made.boot)
    monkeypatch.setattr(clock, "is_synchronised", lambda: made.synchronised)
    return made


@pytest.fixture
def path(tmp_path: Path, machine: Machine) -> Path:
    """An appliance that has recorded for 100 days, a row and a reading a day, the last one now."""
    seconds = [day * 86_400 for day in range(1, 101)]
    path = timeline(tmp_path, expression=seconds, vital=seconds)
    retention.prune(path, KEEP_DAYS)
    assert rows(path) == KEEP_DAYS + 1
    return path


def none_is_missing(path: Path, machine: Machine) -> bool:
    """Whether all rows of the 100 days are there that a right clock would have kept."""
    border = machine.true_ms - KEEP_DAYS * DAY_MS
    wanted = [START_MS + day * DAY_MS for day in range(1, 101) if START_MS + day * DAY_MS >= border]
    there = {at for (at,) in query(path, "SELECT at FROM expression")}
    return there.issuperset(wanted)


def record(path: Path, machine: Machine) -> None:
    second = (machine.wall_ms - START_MS) / 1000
    timeline(path, expression=[second], vital=[second])


def rows(path: Path) -> int:
    return int(query(path, "SELECT count(*) FROM expression")[0][0])


def look(path: Path) -> aging.CountedTime:
    with closing(connect(path, readonly=False)) as connection:
        return aging.count_time(connection)


@pytest.mark.parametrize("synchronised", [True, False])
@pytest.mark.parametrize("wrong_days", [YEAR, 40, 2, 1.1, -1.1, -2, -YEAR, -20_000])
def test_a_start_with_a_wrong_clock_deletes_nothing(
    path: Path, machine: Machine, wrong_days: float, synchronised: bool
) -> None:
    machine.synchronised = synchronised
    machine.start(0.01, wrong_days)
    for _ in range(5):
        record(path, machine)
        retention.prune(path, KEEP_DAYS)
        assert none_is_missing(path, machine)
        machine.go(4 / 24)
    assert rows(path) >= KEEP_DAYS + 5, "nor what was recorded under it"
    assert bool(look(path).doubt) is (wrong_days > 31 or wrong_days < 0)
    machine.start(0.01, -wrong_days)
    retention.prune(path, KEEP_DAYS)
    assert none_is_missing(path, machine)
    assert look(path).doubt is None, "the clock is right again"


@pytest.mark.parametrize("wrong_days", [YEAR, -1, -YEAR])
def test_a_clock_that_steps_while_the_machine_runs_deletes_nothing(
    path: Path, machine: Machine, wrong_days: float
) -> None:
    machine.jump(wrong_days)
    for _ in range(5):
        retention.prune(path, KEEP_DAYS)
        assert none_is_missing(path, machine)
        machine.go(4 / 24)
        record(path, machine)
    assert look(path).doubt
    machine.jump(-wrong_days)
    assert look(path).doubt is None


def test_budget_with_a_wrong_clock_deletes_nothing(path: Path, machine: Machine) -> None:
    timeline(path, expression=range(50 * 86_400, 50 * 86_400 + 600))
    machine.synchronised = False
    machine.start(0.01, YEAR)
    record(path, machine)
    kept = keep_to_budget(path, 1, KEEP_DAYS, within_s=60.0)
    assert kept.rows > 0, "space is needed all the same"
    last_day = machine.true_ms - DAY_MS
    found = query(path, "SELECT count(*) FROM expression WHERE at >= ?", last_day)
    assert found == [(2,)], "but not the last day, and nothing of the wrong time"


def test_a_clock_that_stays_wrong_deletes_by_what_has_passed(path: Path, machine: Machine) -> None:
    machine.synchronised = False
    machine.start(0.01, YEAR)
    for _ in range(30):
        machine.go(1)
        record(path, machine)
        retention.prune(path, KEEP_DAYS)
    assert KEEP_DAYS <= rows(path) <= KEEP_DAYS + 2, "as many days as with a right clock"
    assert look(path).doubt


def test_a_clock_that_nobody_sets_is_enough_while_it_goes_on(path: Path, machine: Machine) -> None:
    machine.synchronised = False
    for _ in range(30):
        machine.start(0.6)
        look(path)
        machine.go(0.4)
        record(path, machine)
        retention.prune(path, KEEP_DAYS)
    assert look(path).doubt is None
    assert rows(path) == KEEP_DAYS + 1


@pytest.mark.parametrize("away_days", [4, 30, 200])
def test_after_long_without_power_rows_go_on_the_third_day(
    path: Path, machine: Machine, away_days: int
) -> None:
    machine.start(away_days)
    gone = []
    for _ in range(4):
        record(path, machine)
        gone.append(retention.prune(path, KEEP_DAYS))
        machine.go(1)
    assert max(gone[:2]) <= 1 and gone[2] >= min(away_days, KEEP_DAYS) - 1
    assert look(path).doubt is None


def test_an_appliance_used_once_a_week_is_not_held_up(path: Path, machine: Machine) -> None:
    for _ in range(20):
        machine.start(7)
        machine.go(0.1)
        record(path, machine)
        retention.prune(path, KEEP_DAYS)
        assert look(path).doubt is None, "and raises no alarm"
    assert rows(path) <= (KEEP_DAYS + 28) / 7 + 1


def test_a_clock_ahead_that_records_nothing_is_not_believed(path: Path, machine: Machine) -> None:
    machine.start(0.01, YEAR)
    for _ in range(10):
        machine.go(1)
        retention.prune(path, KEEP_DAYS)
        assert none_is_missing(path, machine)
    assert look(path).doubt


def test_a_person_may_say_that_the_clock_is_right(path: Path, machine: Machine) -> None:
    machine.go(YEAR)  # as a fake of all clocks at once does
    assert retention.prune(path, KEEP_DAYS) == 0
    assert look(path).doubt
    assert aging.confirm_clock(path).doubt is None
    assert retention.prune(path, KEEP_DAYS) == KEEP_DAYS + 1


def test_counted_time_begins_at_the_last_row(tmp_path: Path, machine: Machine) -> None:
    path = timeline(tmp_path, expression=[0, 5])
    machine.start(YEAR)
    assert retention.prune(path, 1) == 0
    assert look(path).at_ms == START_MS + 5000
    assert look(timeline(tmp_path / "vitals", vital=[7])).at_ms == START_MS + 7000
    assert look(timeline(tmp_path / "new")).doubt is None


def boot(number: int, boot_id: str, started_ms: int, offset_ms: int) -> Row:
    """A start of the machine whose clock nobody confirmed."""
    times = {"started_ms": started_ms, "wall_minus_boot_ms": offset_ms}
    return {"id": number, "boot_id": boot_id, "synchronised": 0, **times}


def test_counted_time_ignores_rows_of_an_unset_clock(tmp_path: Path, machine: Machine) -> None:
    path = timeline(tmp_path, expression=range(0, 101 * 86_400, 86_400))
    machine.synchronised = False
    machine.start(0.01, YEAR)
    unset = boot(50, machine.boot, machine.wall_ms, machine.wall_ms - machine.boot_ms)
    dated = [{"at": clock.now(), "boot": 50}]
    timeline(path, boot=[unset], expression=dated, vital=dated)
    assert retention.prune(path, KEEP_DAYS + 20) == 0
    assert none_is_missing(path, machine)


def test_prune_rows_of_a_clock_behind_stay_as_long_as_the_next_start(
    path: Path, machine: Machine
) -> None:
    now = machine.wall_ms
    starts = [(1, "a", now - 99 * DAY_MS, 0), (2, "b", 10**6, 10**6), (3, "b", now, now)]
    timeline(path, boot=[boot(*start) for start in starts])
    with closing(connect(path, readonly=False)) as connection:
        assert aging.boots_with_wrong_times(connection, now - KEEP_DAYS * DAY_MS) == {2}
        assert aging.boots_with_wrong_times(connection, now + 1) == frozenset()
        connection.execute("UPDATE expression SET boot = 1")
        connection.execute(
            "UPDATE expression SET at = 1060000, boot = 2 WHERE at = (SELECT max(at) FROM "
            "expression)"
        )
    assert retention.prune(path, KEEP_DAYS) == 0
    timeline(path, boot=[boot(4, "c", now - 10 * DAY_MS, 0)])
    with closing(connect(path, readonly=False)) as connection:
        behind = aging.CountedTime(now, now - 10 * DAY_MS)
        assert aging.boots_with_wrong_times(connection, now - DAY_MS, behind) == {2, 4}
        right = replace(behind, wall_ms=now)
        assert aging.boots_with_wrong_times(connection, now - DAY_MS, right) == {2}


def test_each_run_that_deletes_leaves_one_line(
    path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.timeline.upkeep.retention._PORTION_ROWS", 3)
    with closing(connect(path, readonly=False)) as connection:
        connection.execute("DELETE FROM audit")
    machine.go(1)
    assert retention.prune(path, KEEP_DAYS) == 1
    for _ in range(10):
        machine.go(1)
        look(path)
    assert retention.prune(path, KEEP_DAYS) == 10
    assert retention.prune(path, KEEP_DAYS) == 0
    lines = query(path, "SELECT at, actor, action, detail FROM audit ORDER BY id")
    assert [line[1:3] for line in lines] == [("appliance", "retention")] * 2
    border = clock.iso_utc(machine.wall_ms - KEEP_DAYS * DAY_MS)
    assert lines[1][3] == f"10 rows of before {border} deleted: 10 expression"
    deleted = query(path, "SELECT value FROM setting WHERE key = 'rows_deleted'")
    assert deleted == [("20",)], "nine of before, too"


def test_a_count_that_cannot_be_read_begins_anew(path: Path, machine: Machine) -> None:
    kept = "SELECT value FROM setting WHERE key = 'counted_time'"
    before = query(path, kept)
    machine.go(30 / 86_400)
    assert look(path).at_ms == machine.wall_ms
    assert query(path, kept) == before
    machine.go(31 / 86_400)
    look(path)
    assert query(path, kept) != before
    for text in ("", "[]", "{}"):
        with closing(connect(path, readonly=False)) as connection:
            connection.execute("UPDATE setting SET value = ? WHERE key = ?", (text, aging._KEY))
            assert aging.last_count(connection) is None
        assert look(path).doubt is None


@pytest.fixture
def seconds(tmp_path: Path) -> Path:
    """Seven seconds of a face, of a face that could not be read, and of a strap."""
    every = range(7)
    return timeline(tmp_path, expression=every, vital=every, movement=every, unfit=every)


def left(seconds: Path, table: str) -> list[int]:
    """The seconds of which a table has rows."""
    found = query(seconds, f"SELECT (at - ?) / 1000 FROM {table} ORDER BY at", START_MS)
    return [second for (second,) in found]


def test_what_is_as_old_as_may_be_kept_stays_and_a_millisecond_more_goes(seconds: Path) -> None:
    rollups = query(seconds, "SELECT * FROM expression_minute")
    assert retention.prune(seconds, 2, now_ms=START_MS + 4000 + 2 * DAY_MS) == 12
    for table in ("expression", "movement", "unfit"):
        assert left(seconds, table) == [4, 5, 6], table
    assert left(seconds, "vital") == [0, 1, 2, 3, 4, 5, 6], "readings are kept for ever"
    assert query(seconds, "SELECT * FROM expression_minute") == rollups
    assert retention.prune(seconds, 2, now_ms=START_MS + 4001 + 2 * DAY_MS) == 3
    assert retention.prune(seconds, 2, now_ms=START_MS + 4001 + 2 * DAY_MS) == 0
    with pytest.raises(ValueError, match="keep_days 0 must be at least 1"):
        retention.prune(seconds, 0)


def test_deletion_that_takes_too_long_goes_on_at_the_next_call(
    seconds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_PORTION_ROWS", 3)
    later = START_MS + 2 * DAY_MS
    assert retention.prune(seconds, 1, now_ms=later, within_s=0) == 9, "a portion of each table"
    assert [len(left(seconds, table)) for table in ("expression", "movement", "unfit")] == [4, 4, 4]
    assert retention.prune(seconds, 1, now_ms=later, within_s=60) == 12
    assert left(seconds, "expression") == left(seconds, "unfit") == []
