"""Folding: minutes become hours, hours become days, and every sum stays what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.errors import StoreError
from edge_agent.core.expression import Emotion
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.upkeep.fold import FoldedRollups, fold_rollups, make_anew
from edge_agent.timeline.upkeep.retention import prune
from tests.support.timeline import START_MS, query, reading, row, timeline

DAY = 86_400
DAY_MS = 86_400_000
MIDNIGHT_MS = START_MS // DAY_MS * DAY_MS
KEPT = 12
"""Days of recording, of which the newest end at ``START_MS``."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Every seven minutes a row, a pulse and now and then a cuff, over twelve days."""
    seconds = range(-KEPT * DAY, 0, 420)
    emotions = (Emotion.ANGER, Emotion.HAPPINESS, None)
    rows = [row(s, emotions[s % 11 % 3]) for s in seconds]
    vitals = [reading(s + 0.5, 60 + s % 37) for s in seconds]
    vitals += [reading(s, 120 + s % 9, VitalKind.SYSTOLIC) for s in seconds[::5]]
    vitals += [reading(s + 1, 300, flags=[VitalFlag.OUT_OF_RANGE]) for s in seconds[::17]]
    return timeline(tmp_path, expression=rows, vital=vitals)


def totals(path: Path, *tables: str) -> list[tuple[Any, ...]]:
    """The sums over all rows of rollups of expressions, then those of vitals by kind."""
    expressions = " UNION ALL ".join(f"SELECT * FROM expression_{name}" for name in tables)
    vitals = " UNION ALL ".join(f"SELECT * FROM vital_{name}" for name in tables)
    return [
        *query(
            path,
            "SELECT sum(rows), sum(frames), sum(uncertain), sum(simulated), sum(sum_anger), "
            f"sum(count_anger), sum(count_happiness) FROM ({expressions})",
        ),
        *query(
            path,
            "SELECT kind, sum(n), sum(total), min(least), max(most), sum(flagged) FROM "
            f"({vitals}) GROUP BY kind ORDER BY kind",
        ),
    ]


def test_minutes_made_anew_beside_an_open_one_are_never_fewer_than_none(tmp_path: Path) -> None:
    path = timeline(tmp_path, expression=[row(s) for s in (0, 5, 65, 70)])
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM expression_minute WHERE at > ?", (START_MS,))  # goes on
        span = (START_MS, START_MS + 70_000)
        assert make_anew(connection, span, ()) == (1, 0)
        connection.execute("DELETE FROM expression WHERE at < ?", (START_MS + 10_000,))
        assert make_anew(connection, span, ()) == (2, 1)


def test_folding_changes_no_sum(path: Path) -> None:
    before = totals(path, "hour")
    assert totals(path, "minute") == before
    folded = fold_rollups(path, 3, 6, now_ms=START_MS)
    assert folded.minutes > 1_000
    assert folded.hours > 200
    assert totals(path, "hour", "day") == before
    for table, days in (("minute", 3), ("hour", 6)):
        oldest = (START_MS - days * DAY_MS) // DAY_MS * DAY_MS
        for kind in ("expression", "vital"):
            assert query(path, f"SELECT min(at) >= ? FROM {kind}_{table}", oldest) == [(1,)]
    assert query(path, "SELECT max(at) < min(hour) FROM expression_day, (SELECT min(at) AS hour "
                 "FROM expression_hour)") == [(1,)]  # fmt: skip
    assert fold_rollups(path, 3, 6, now_ms=START_MS) == FoldedRollups(0, 0)


def test_trends_tell_the_same_before_and_after_by_day(path: Path) -> None:
    reader = Reader(path)
    span = (MIDNIGHT_MS - 14 * DAY_MS, MIDNIGHT_MS + DAY_MS)
    kinds = (VitalKind.HEART_RATE, VitalKind.SYSTOLIC)
    before = reader.trend(*span, 15)
    vitals = [reader.vital_trend(kind, *span, 15) for kind in kinds]
    counts = reader.counts()
    fold_rollups(path, 3, 6, now_ms=START_MS)
    after = reader.trend(*span, 15)
    assert (before.resolution, after.resolution) == ("hour", "day")
    assert after.starts == before.starts
    assert after.rows == before.rows
    assert after.shares == before.shares
    for kind, vital in zip(kinds, vitals, strict=True):
        found = reader.vital_trend(kind, *span, 15)
        assert (found.n, found.flagged) == (vital.n, vital.flagged)
        assert (found.least, found.most) == (vital.least, vital.most)
        assert found.mean == pytest.approx(vital.mean)
    assert reader.counts() == counts
    assert reader.recorded_kinds() == frozenset(kinds)


@pytest.mark.parametrize("border_days", [3, 6])
@pytest.mark.parametrize("buckets", [6, 50, 200])
def test_no_bucket_across_a_border_is_empty_and_none_counts_twice(
    path: Path, border_days: int, buckets: int
) -> None:
    border = (START_MS - border_days * DAY_MS) // DAY_MS * DAY_MS
    span = (border - DAY_MS // 2, border + DAY_MS // 2)
    whole = (border - DAY_MS, border + DAY_MS)
    wanted = Reader(path).trend(*whole, 2)
    readings = Reader(path).vital_trend(VitalKind.HEART_RATE, *whole, 2)
    prune(path, 2, now_ms=START_MS)
    fold_rollups(path, 3, 6, now_ms=START_MS)
    reader = Reader(path)
    found = reader.trend(*span, buckets)
    vitals = reader.vital_trend(VitalKind.HEART_RATE, *span, buckets)
    assert all(found.rows), found
    assert all(vitals.n), vitals
    assert sum(reader.trend(*whole, buckets).rows) == sum(wanted.rows)
    assert sum(reader.vital_trend(VitalKind.HEART_RATE, *whole, buckets).n) == sum(readings.n)


def test_a_fold_that_is_broken_off_is_ended_by_the_next(path: Path) -> None:
    before = totals(path, "hour")
    with write_transaction(path) as connection:
        connection.execute(
            "CREATE TRIGGER stop BEFORE DELETE ON vital_hour BEGIN SELECT raise(ABORT, 'cut'); END"
        )
    with pytest.raises(StoreError, match="cut"):
        fold_rollups(path, 3, 6, now_ms=START_MS)
    assert totals(path, "hour", "day") == before
    assert query(path, "SELECT count(*) FROM expression_day") == [(0,)]
    with write_transaction(path) as connection:
        connection.execute("DROP TRIGGER stop")
    assert fold_rollups(path, 3, 6, now_ms=START_MS, within_s=0) == FoldedRollups(0, 0)
    fold_rollups(path, 3, 6, now_ms=START_MS)
    assert totals(path, "hour", "day") == before


def test_fold_readings_imported_late_are_added_to_their_day(path: Path) -> None:
    fold_rollups(path, 3, 6, now_ms=START_MS)
    late = [reading(-10 * DAY + s + 0.25, 200.0) for s in range(5)]
    timeline(path, vital=late)
    before = totals(path, "hour", "day")
    day = Reader(path).vital_trend(
        VitalKind.HEART_RATE, MIDNIGHT_MS - 11 * DAY_MS, MIDNIGHT_MS - 9 * DAY_MS, 48
    )
    assert day.resolution == "day"
    assert 200.0 in day.most
    assert fold_rollups(path, 3, 6, now_ms=START_MS) == FoldedRollups(1, 1)
    assert totals(path, "hour", "day") == before


def test_a_lost_hour_is_made_from_its_minutes(path: Path) -> None:
    before = totals(path, "minute")
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM expression_hour WHERE at < ?", (START_MS - 8 * DAY_MS,))
        connection.execute("DELETE FROM vital_hour WHERE at < ?", (START_MS - 8 * DAY_MS,))
    fold_rollups(path, 3, 6, now_ms=START_MS)
    assert totals(path, "hour", "day") == before


def test_a_clock_that_is_years_ahead_folds_nothing_before_its_time(path: Path) -> None:
    before = query(path, "SELECT count(*) FROM expression_minute")
    assert fold_rollups(path, 400, 1_100, now_ms=START_MS + 3_650 * DAY_MS) == FoldedRollups(0, 0)
    assert query(path, "SELECT count(*) FROM expression_minute") == before


@pytest.mark.parametrize(("minutes", "hours"), [(0, 10), (11, 10)])
def test_ages_that_make_no_sense_are_an_error_of_the_caller(
    path: Path, minutes: int, hours: int
) -> None:
    with pytest.raises(ValueError, match=f"minutes are kept for {minutes} days"):
        fold_rollups(path, minutes, hours)


def test_fold_newest_reading_is_found_where_only_its_day_is_left(path: Path) -> None:
    timeline(path, vital=[reading(-11 * DAY, 36.6, VitalKind.SKIN_TEMPERATURE)])
    fold_rollups(path, 3, 6, now_ms=START_MS)
    kind = VitalKind.SKIN_TEMPERATURE
    assert query(path, "SELECT count(*) FROM vital_hour WHERE kind = ?", kind) == [(0,)]
    assert Reader(path).latest_vitals()[kind].value == 36.6


def test_the_span_begins_with_the_oldest_day(path: Path) -> None:
    prune(path, 2, now_ms=START_MS)
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM vital WHERE at < ?", (START_MS - DAY_MS,))
    fold_rollups(path, 3, 6, now_ms=START_MS)
    span = Reader(path).span()
    assert span is not None
    assert span[0] == (START_MS - KEPT * DAY_MS) // DAY_MS * DAY_MS
