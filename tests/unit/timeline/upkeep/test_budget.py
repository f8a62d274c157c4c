"""The disk budget: what goes first, what never goes, and that the file really becomes smaller."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.database.files import part_of
from edge_agent.timeline.upkeep.budget import SHARES, keep_to_budget, space_of
from edge_agent.timeline.upkeep.retention import prune
from tests.support.timeline import START_MS, query, row, session_row, timeline

DAY = 86_400
NOW_MS = START_MS + 10 * DAY * 1000
KEEP_DAYS = 90


@pytest.fixture(scope="module")
def four_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days with 4000 rows and readings each, about 2.4 MB; to be copied."""
    seconds = [day * DAY + second for day in range(4) for second in range(4000)]
    folder = tmp_path_factory.mktemp("four-days")
    path = timeline(folder, expression=seconds, vital=seconds)
    with closing(connect(path, readonly=False)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture
def path(four_days: Path, tmp_path: Path) -> Path:
    """The four days, for one test."""
    return Path(shutil.copy(four_days, tmp_path))


def budget_for(share_bytes: float) -> int:
    """The budget, in MB, whose share for the database is about so many bytes."""
    return round(share_bytes * SHARES / 1e6)


def kept_times(path: Path, table: str) -> list[int]:
    """Seconds of the made timeline at which a table has rows."""
    return [(at - START_MS) // 1000 for (at,) in query(path, f"SELECT at FROM {table} ORDER BY at")]


def test_within_the_budget_nothing_goes(path: Path) -> None:
    kept = keep_to_budget(path, 1000, KEEP_DAYS, now_ms=NOW_MS)
    assert (kept.rows, kept.given_back, kept.space.cut_ms, kept.space.over_bytes) == (0, 0, None, 0)
    assert len(kept_times(path, "expression")) == len(kept_times(path, "vital")) == 16_000


def test_the_oldest_go_first_and_the_file_shrinks(path: Path) -> None:
    rollups = [f"{kind}_{span}" for kind in ("expression", "vital") for span in ("minute", "hour")]
    before = [query(path, f"SELECT * FROM {table}") for table in rollups]
    size = path.stat().st_size
    budget = budget_for(size / 2)
    kept = keep_to_budget(path, budget, KEEP_DAYS, now_ms=NOW_MS)
    assert kept.space.over_bytes == 0 and kept.rows > 10_000
    assert path.stat().st_size <= kept.space.share_bytes < size
    assert kept.given_back == size - path.stat().st_size
    for table in ("expression", "vital"):
        times = kept_times(path, table)
        assert times[0] > DAY, "the oldest are gone"
        newer = [s for s in range(times[0], 4 * DAY) if s % DAY < 4000]
        assert times == newer, "and none between them and the newest"
    assert [query(path, f"SELECT * FROM {table}") for table in rollups] == before


def test_early_deletion_is_shown_until_the_rows_would_be_old_enough(path: Path) -> None:
    budget = budget_for(path.stat().st_size / 2)
    kept = keep_to_budget(path, budget, KEEP_DAYS, now_ms=NOW_MS)
    ((actor, detail),) = query(path, "SELECT actor, detail FROM audit WHERE action = 'disk_budget'")
    assert actor == "appliance" and f"{kept.rows} rows of before 2026-09-" in detail
    oldest = min(kept_times(path, "expression")[0], kept_times(path, "vital")[0]) * 1000 + START_MS
    assert kept.space.cut_ms is not None and kept.space.cut_ms <= oldest
    assert keep_to_budget(path, budget, KEEP_DAYS, now_ms=NOW_MS).rows == 0, "once is enough"
    assert space_of(path, budget, KEEP_DAYS, NOW_MS) == kept.space
    later = NOW_MS + KEEP_DAYS * DAY * 1000
    assert space_of(path, budget, KEEP_DAYS, later).cut_ms is None
    assert space_of(path, budget, 5, NOW_MS).cut_ms is None, "nor where fewer days are kept"


def test_budget_too_small_keeps_the_rows_of_sessions(path: Path) -> None:
    timeline(path, session=[session_row(-10, 3999), session_row(2 * DAY, 2 * DAY + 1999)])
    kept = keep_to_budget(path, 1, KEEP_DAYS, now_ms=NOW_MS)
    wanted = [*range(4000), *(2 * DAY + s for s in range(2000))]
    assert kept_times(path, "expression") == kept_times(path, "vital") == wanted
    assert kept.rows == 2 * 10_000
    assert kept.space.over_bytes > 0, "and it is said that the budget is not kept"


@pytest.mark.parametrize("ended", [105, None])
def test_budget_too_small_keeps_rows_that_reach_into_a_session(
    path: Path, ended: int | None
) -> None:
    stretch = {"interval_ms": 10_000, "source": "strap", "samples": 1, "packed": b"x"}
    ends = (90, 100, 110, 120)
    ecg = [{"at": end, **stretch} for end in ends]
    timeline(path, session=[session_row(95, ended)], ecg=ecg)
    keep_to_budget(path, 1, KEEP_DAYS, now_ms=NOW_MS)
    # of 90 to 100 s, and of 100 to 110 s
    assert kept_times(path, "ecg") == ([100, 110] if ended else [100, 110, 120])
    assert kept_times(path, "vital")[0] == 95


def test_budget_too_small_keeps_an_open_session_and_the_last_day(path: Path) -> None:
    keep_to_budget(path, 1, KEEP_DAYS, now_ms=START_MS + (3 * DAY + DAY // 2) * 1000)
    assert kept_times(path, "expression") == [3 * DAY + s for s in range(4000)]
    timeline(path, session=[session_row(3 * DAY + 1000, None)])
    keep_to_budget(path, 1, KEEP_DAYS, now_ms=NOW_MS)
    assert kept_times(path, "vital") == [3 * DAY + s for s in range(1000, 4000)]


def test_a_call_that_may_not_last_leaves_the_rest_to_the_next(path: Path) -> None:
    kept = keep_to_budget(path, 1, KEEP_DAYS, now_ms=NOW_MS, within_s=0.0)
    assert kept.rows == 0 and kept.space.over_bytes > 0
    assert keep_to_budget(path, 1, KEEP_DAYS, now_ms=NOW_MS, within_s=60.0).rows == 32_000


def test_budget_at_work_lets_others_read_and_write_afterwards(path: Path) -> None:
    with closing(connect(path, readonly=True)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM expression").fetchone()[0] == 16_000
        # A reader (an export) goes on seeing what it saw; the file shrinks when it is done.
        kept = keep_to_budget(
            path, budget_for(path.stat().st_size / 2), KEEP_DAYS, now_ms=NOW_MS, within_s=30.0
        )
        assert kept.rows > 10_000
        assert reader.execute("SELECT count(*) FROM expression").fetchone()[0] == 16_000
    timeline(path, expression=[row(5 * DAY)])
    assert kept_times(path, "expression")[-1] == 5 * DAY


def test_fewer_days_to_keep_give_their_space_back(path: Path) -> None:
    size = path.stat().st_size
    prune(path, 8, now_ms=NOW_MS)
    kept = keep_to_budget(path, 1000, 8, now_ms=NOW_MS)
    assert kept.rows == 0 and kept.given_back > size / 5
    assert kept.space.cut_ms is None


def test_a_clock_that_stands_at_its_beginning_deletes_nothing(path: Path) -> None:
    assert keep_to_budget(path, 1, KEEP_DAYS, now_ms=1_000).rows == 0


def test_what_was_set_aside_counts_and_neither_it_nor_a_row_goes_for_it(path: Path) -> None:
    keep_to_budget(path, 1000, KEEP_DAYS, now_ms=NOW_MS)
    rows = query(path, "SELECT count(*) FROM expression")
    aside = path.with_name(f"{path.name}.damaged.20260921T142000Z")
    for part, size in (("", 20_000_000), ("-wal", 3_000_000)):
        with part_of(aside, part).open("wb") as file:
            file.truncate(size)
    path.with_name(f"{path.name}.replaced.then").write_bytes(bytes(1_000_000))
    kept = keep_to_budget(path, 25, KEEP_DAYS, now_ms=NOW_MS)
    space = space_of(path, 25, KEEP_DAYS, NOW_MS)
    assert space.aside_bytes == kept.space.aside_bytes == 24_000_000
    assert space.aside_over_bytes == path.stat().st_size - 1_000_000 > 0
    assert kept.rows == 0 and query(path, "SELECT count(*) FROM expression") == rows
    assert aside.exists()
    assert space_of(path, 1000, KEEP_DAYS, NOW_MS).aside_over_bytes == 0
