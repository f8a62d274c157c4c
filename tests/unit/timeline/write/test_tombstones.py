"""The times of which everything was erased: what of them is not written again."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.core.clock import iso_utc
from edge_agent.timeline.database.connection import connect, write_transaction
from edge_agent.timeline.write.batch import summarises_erased_time
from edge_agent.timeline.write.outbox import OutboxMessage
from edge_agent.timeline.write.rollups import Tombstones, add_tombstones, read_tombstones
from tests.support.recording import Recording
from tests.support.timeline import (
    START_MS,
    instant,
    observation,
    query,
    reading,
    recognition,
    session_row,
    timeline,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Somebody of whom the seconds 10 to 20 were erased, and of another one 40 to 50."""
    made = timeline(tmp_path)
    with write_transaction(made) as connection:
        add_tombstones(connection, [(START_MS + 10_000, START_MS + 20_000)])
        add_tombstones(connection, [])
        add_tombstones(connection, [(START_MS + 40_000, START_MS + 50_000)])
    return made


@pytest.mark.parametrize(
    ("start", "end", "held"),
    [
        (5_000, 10_000, False),
        (5_000, 10_001, True),
        (10_000, 10_000, True),
        (15_000, 15_000, True),
        (19_999, 30_000, True),
        (20_000, 20_000, False),
        (20_000, 40_000, False),
        (30_000, 60_000, True),
        (50_000, 60_000, False),
    ],
)
def test_row_that_overlaps_an_erased_time_is_covered(
    path: Path, start: int, end: int, held: bool
) -> None:
    with closing(connect(path, readonly=True)) as connection:
        assert Tombstones(connection).cover(START_MS + start, START_MS + end) is held
        assert read_tombstones(connection) == [
            (START_MS + 10_000, START_MS + 20_000),
            (START_MS + 40_000, START_MS + 50_000),
        ]


@pytest.mark.parametrize(
    ("started", "ended", "held"),
    [
        (0, 15_000, True),
        (0, 15_001, False),
        (16_000, None, False),
        (16_001, None, True),
        (12_000, None, False),
    ],
)
def test_tombstone_under_a_later_session_lets_rows_be_written(
    path: Path, started: int, ended: int | None, held: bool
) -> None:
    end = None if ended is None else ended / 1000
    timeline(path, session=[session_row(started / 1000, end)])
    with closing(connect(path, readonly=True)) as connection:
        assert Tombstones(connection).cover(START_MS + 15_000, START_MS + 16_000) is held


def test_of_an_erased_time_nothing_is_recorded_again(path: Path) -> None:
    recording = Recording(path)
    seconds = (9, 10, 12, 19, 20, 21, 22)
    recording.submit(*(recognition(second - 0.5, observation()) for second in seconds))
    recording.submit(*(reading(second) for second in seconds))
    for second in (15, 25):
        recording.submit(replace(reading(second), source=b"bytes"))  # type: ignore[arg-type]
    recording.finish()
    found = {
        table: [at // 1000 for (at,) in query(path, f"SELECT at - {START_MS} FROM {table}")]
        for table in ("expression", "vital")
    }
    # A row is of the second before its time.
    assert found == {"expression": [9, 10, 21, 21], "vital": [9, 20, 21, 22]}
    assert query(path, "SELECT at - ? FROM set_aside", START_MS) == [(25_000,)]


@pytest.mark.parametrize(
    ("start", "end", "spoken"), [(0, 10, False), (0, 11, True), (20, 30, False)]
)
def test_a_summary_of_an_erased_time_is_not_sent(
    path: Path, start: int, end: int, spoken: bool
) -> None:
    window = {"start": iso_utc(instant(start).wall_ms), "end": iso_utc(instant(end).wall_ms)}
    message = OutboxMessage("summary", {"window": window})
    with closing(connect(path, readonly=True)) as connection:
        erased = Tombstones(connection)
        assert summarises_erased_time(erased, message) is spoken
        assert not summarises_erased_time(erased, OutboxMessage("summary", {"window": "today"}))
        assert not summarises_erased_time(erased, OutboxMessage("session", None))
