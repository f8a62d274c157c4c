"""What is deleted because it is too old, to the millisecond, and in how large steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.expression import RejectedFrames, RejectReason
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.upkeep import aging
from edge_agent.store.upkeep.aging import prune
from edge_agent.store.write.timeline import write_rejected_frames
from tests.support.timeline import START_MS, add, database, instant, query, reading, row

DAY_MS = 86_400_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Seven seconds of a face, of a face that could not be read, and of a strap."""
    made = database(tmp_path)
    add(made, [row(second) for second in range(7)], [reading(second) for second in range(7)])
    with write_transaction(made) as connection:
        rejected = [
            (RejectedFrames(instant(s), 1, RejectReason.BLURRED, 3, True), None) for s in range(7)
        ]
        write_rejected_frames(connection, rejected, 1000, simulated=False)
    return made


def left(path: Path, table: str) -> list[int]:
    """The seconds of which a table has rows."""
    found = query(path, f"SELECT (at - ?) / 1000 FROM {table} ORDER BY at", START_MS)
    return [second for (second,) in found]


def test_what_is_as_old_as_may_be_kept_stays_and_a_millisecond_more_goes(path: Path) -> None:
    rollups = query(path, "SELECT * FROM expression_minute")
    assert prune(path, 2, now_ms=START_MS + 4000 + 2 * DAY_MS) == 8
    assert left(path, "expression") == left(path, "unfit") == [4, 5, 6]
    assert left(path, "vital") == [0, 1, 2, 3, 4, 5, 6], "readings are kept for ever"
    assert query(path, "SELECT * FROM expression_minute") == rollups
    assert prune(path, 2, now_ms=START_MS + 4001 + 2 * DAY_MS) == 2
    assert prune(path, 2, now_ms=START_MS + 4001 + 2 * DAY_MS) == 0


def test_it_is_reckoned_from_now(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: Instant(0, START_MS + 1000 + DAY_MS))
    assert prune(path, 1) == 2


@pytest.mark.parametrize("days", [0, -1])
def test_less_than_a_day_is_refused(path: Path, days: int) -> None:
    with pytest.raises(ValueError, match=f"keep_days {days} must be at least 1"):
        prune(path, days)
    assert len(left(path, "expression")) == 7


def test_what_time_does_not_allow_is_left_to_the_next_call(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aging, "_PORTION_ROWS", 3)
    later = START_MS + 2 * DAY_MS
    assert prune(path, 1, now_ms=later, within_s=0) == 6, "a portion of each table"
    assert [len(left(path, table)) for table in ("expression", "unfit")] == [4, 4]
    assert prune(path, 1, now_ms=later, within_s=60) == 8
    assert left(path, "expression") == left(path, "unfit") == []
