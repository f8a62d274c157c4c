"""Trends: buckets of expressions and readings, from rows and from rollups."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.read.base import MatchCounts
from edge_agent.store.read.reader import Reader
from edge_agent.store.upkeep.aging import prune
from edge_agent.store.upkeep.fold import fold_rollups
from tests.support.timeline import START_MS, add, database, reading, row

MINUTE = 60_000
HOUR = 3_600_000
DAY = 86_400_000


def test_shares_and_uncertain_of_each_bucket_sum_to_one_and_an_empty_bucket_is_none(
    tmp_path: Path,
) -> None:
    emotions = [Emotion.HAPPINESS] * 6 + [Emotion.ANGER] * 3 + [None]
    rows = [row(s, emotion) for s, emotion in enumerate(emotions)] + [
        row(s, Emotion.FEAR) for s in range(20, 30)
    ]
    rows += [row(5, Emotion.DISGUST, primary=False)]
    trend = Reader(database(tmp_path, rows)).trend(START_MS, START_MS + 30_000, 3)
    expected = (10_000, "row", tuple(START_MS + s for s in (0, 10_000, 20_000)))
    assert (trend.bucket_ms, trend.resolution, trend.starts) == expected
    assert trend.shares[Emotion.HAPPINESS] == (0.6, None, 0.0)
    assert trend.shares[Emotion.ANGER] == (0.3, None, 0.0)
    assert trend.shares[Emotion.FEAR] == (0.0, None, 1.0)
    assert trend.shares[Emotion.DISGUST] == (0.0, None, 0.0), "only the participant's face counts"
    assert trend.uncertain == (0.1, None, 0.0)
    assert trend.rows == (10, 0, 10)
    assert trend.frames == (100, 0, 100)
    assert trend.means[Emotion.FEAR][2] == pytest.approx(0.86)
    assert sum(trend.means[e][2] or 0 for e in EMOTIONS) == pytest.approx(1, abs=0.005)
    assert not trend.simulated


@pytest.mark.parametrize(
    ("range_ms", "buckets", "bucket_ms", "resolution"),
    [
        (60_000, 200, 1_000, "row"),
        (HOUR, 200, 30_000, "row"),
        (3 * HOUR, 200, MINUTE, "minute"),
        (DAY, 200, 10 * MINUTE, "minute"),
        (7 * DAY, 168, HOUR, "hour"),
        (90 * DAY, 200, 12 * HOUR, "hour"),
        (3650 * DAY, 100, 56 * DAY, "hour"),
    ],
)
def test_long_ranges_are_read_from_rollups(
    tmp_path: Path, range_ms: int, buckets: int, bucket_ms: int, resolution: str
) -> None:
    reader = Reader(
        database(tmp_path, [row(s) for s in range(50)], [reading(s) for s in range(50)])
    )
    start = START_MS // DAY * DAY
    trend = reader.trend(start, start + range_ms, buckets)
    vitals = reader.vital_trend(VitalKind.HEART_RATE, start, start + range_ms, buckets)
    for found in (trend, vitals):
        assert (found.bucket_ms, found.resolution) == (bucket_ms, resolution)
        assert len(found.starts) <= buckets + 1


def test_rows_minutes_and_hours_tell_the_same(tmp_path: Path) -> None:
    emotions = (Emotion.ANGER, Emotion.HAPPINESS, None, Emotion.NEUTRAL, Emotion.ANGER)
    rows = [row(s, emotions[s // 7 % 5]) for s in range(0, 7200, 3)]
    vitals = [reading(s, 60 + s % 40) for s in range(0, 7200, 3)]
    reader = Reader(database(tmp_path, rows, vitals))
    start = START_MS // HOUR * HOUR
    by_hour = reader.trend(start, start + 3 * HOUR, 3)
    by_minute = reader.trend(start, start + 3 * HOUR, 180)
    assert (by_hour.resolution, by_minute.resolution) == ("hour", "minute")
    weighted = sum(
        share * n
        for share, n in zip(by_minute.shares[Emotion.ANGER], by_minute.rows, strict=True)
        if share
    )
    assert weighted == pytest.approx(
        sum(s * n for s, n in zip(by_hour.shares[Emotion.ANGER], by_hour.rows, strict=True) if s)
    )
    hours, minutes = (
        reader.vital_trend(VitalKind.HEART_RATE, start, start + 3 * HOUR, n) for n in (3, 180)
    )
    assert sum(hours.n) == sum(minutes.n) == 2400
    assert min(v for v in minutes.least if v) == min(v for v in hours.least if v) == 60
    exact = reader.vital_trend(VitalKind.HEART_RATE, START_MS, START_MS + 60_000, 60)
    assert exact.resolution == "row"
    assert exact.mean[:4] == (60.0, None, None, 63.0)


def test_across_the_retention_border_rows_and_rollups_give_one_whole_trend(tmp_path: Path) -> None:
    path = database(tmp_path, [row(s) for s in range(600)])
    # In the middle of the sixth minute: half of its rows are gone, and its rollup counts all.
    assert prune(path, 1, now_ms=START_MS + DAY + 330_000) == 330
    for buckets in (10, 20, 200):
        trend = Reader(path).trend(START_MS, START_MS + 10 * MINUTE, buckets)
        assert (trend.resolution, trend.bucket_ms) == ("minute", MINUTE)
        assert trend.rows == (60,) * 10, "no minute is empty, and none counts rows twice"
    kept = Reader(path).trend(START_MS + 6 * MINUTE, START_MS + 10 * MINUTE, 200)
    assert (kept.resolution, sum(kept.rows)) == ("row", 240)
    assert sum(Reader(path).trend(START_MS - HOUR, START_MS + HOUR, 12).rows) == 600


def test_readings_that_went_for_the_disk_budget_are_read_from_their_minutes(tmp_path: Path) -> None:
    path = database(tmp_path, (), [reading(s, 60 + s % 7) for s in range(600)])
    span = (START_MS, START_MS + 10 * MINUTE)
    before = Reader(path).vital_trend(VitalKind.HEART_RATE, *span, 10)
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM vital WHERE at < ?", (START_MS + 330_000,))
    for buckets in (10, 200):
        trend = Reader(path).vital_trend(VitalKind.HEART_RATE, *span, buckets)
        assert trend == before
    assert Reader(path).vital_trend(VitalKind.SYSTOLIC, *span, 200).resolution == "row"


def test_rows_that_are_left_are_read_where_minutes_and_hours_were_folded(tmp_path: Path) -> None:
    path = database(tmp_path, (), [reading(s, 60 + s % 7) for s in range(600)])
    span = (START_MS, START_MS + 10 * MINUTE)
    before = Reader(path).vital_trend(VitalKind.HEART_RATE, *span, 200)
    add(path, (), [reading(5 * 86_400)])
    for ages in ((2, 1_000), (2, 2)):
        fold_rollups(path, *ages, now_ms=START_MS + 5 * DAY)
        found = Reader(path).vital_trend(VitalKind.HEART_RATE, *span, 200)
        assert found == before, "readings are kept for ever, so they are read as they are"
    for gone_ms, resolution in ((1_000, "day"), (DAY, "day")):
        with write_transaction(path) as connection:
            connection.execute("DELETE FROM vital WHERE at < ?", (START_MS + gone_ms,))
        day = Reader(path).vital_trend(VitalKind.HEART_RATE, *span, 200)
        assert (day.resolution, day.bucket_ms, day.n) == (resolution, DAY, (600,))


def test_a_range_without_anything_is_all_none(tmp_path: Path) -> None:
    reader = Reader(database(tmp_path))
    trend = reader.trend(START_MS, START_MS + 10_000, 10)
    assert set(trend.uncertain) == {None}
    assert set(trend.rows) == {0}
    vital = reader.vital_trend(VitalKind.SYSTOLIC, START_MS, START_MS + DAY, 10)
    assert set(vital.mean) == {None}
    assert reader.span() is None
    assert reader.latest_vitals() == {}
    assert reader.episodes(0, 2**60) == []
    assert reader.vitals_by_condition() == []
    assert reader.vitals_by_observed_emotion() == ([], MatchCounts(0, 0, 0))


def test_an_empty_range_is_an_error_of_the_caller(tmp_path: Path) -> None:
    reader = Reader(database(tmp_path))
    for start, end, buckets in ((5, 5, 10), (5, 4, 10), (5, 6, 0)):
        with pytest.raises(ValueError, match="needs an end"):
            reader.trend(start, end, buckets)
        with pytest.raises(ValueError, match="needs an end"):
            reader.vital_trend(VitalKind.SYSTOLIC, start, end, buckets)


def test_implausible_readings_are_in_no_mean_but_counted(tmp_path: Path) -> None:
    flagged = [
        reading(2, 300.0, flags=[VitalFlag.OUT_OF_RANGE]),
        reading(3, 20.0, flags=[VitalFlag.CONTACT_LOST]),
    ]
    reader = Reader(
        database(
            tmp_path,
            (),
            [reading(0, 70.0), reading(1, 74.0, flags=[VitalFlag.SIMULATED]), *flagged],
        )
    )
    for range_ms, buckets in ((MINUTE, 1), (MINUTE, 6), (HOUR, 1)):
        trend = reader.vital_trend(VitalKind.HEART_RATE, START_MS, START_MS + range_ms, buckets)
        assert (trend.mean[0], trend.least[0], trend.most[0], trend.n[0]) == (
            72.0,
            70.0,
            74.0,
            2,
        ), trend.resolution
        assert trend.flagged[0] == 2
        assert trend.simulated


def test_a_minute_of_only_implausible_readings_has_no_mean_until_a_plausible_one_comes(
    tmp_path: Path,
) -> None:
    path = database(tmp_path, (), [reading(0, 300.0, flags=[VitalFlag.OUT_OF_RANGE])])
    reader = Reader(path)
    trend = reader.vital_trend(VitalKind.HEART_RATE, START_MS, START_MS + MINUTE, 1)
    assert (trend.mean, trend.least, trend.n, trend.flagged) == ((None,), (None,), (0,), (1,))
    add(path, (), [reading(1, 71.0)])
    trend = reader.vital_trend(VitalKind.HEART_RATE, START_MS, START_MS + MINUTE, 1)
    assert (trend.mean, trend.least, trend.most, trend.n) == ((71.0,), (71.0,), (71.0,), (1,))


def test_a_trend_says_when_a_demonstration_is_in_it(tmp_path: Path) -> None:
    path = database(tmp_path, [row(0)])
    add(path, [row(100)], simulated=True)
    reader = Reader(path)
    assert not reader.trend(START_MS, START_MS + 50_000, 5).simulated
    assert reader.trend(START_MS, START_MS + 150_000, 5).simulated
    assert reader.trend(START_MS - HOUR, START_MS + HOUR, 2).simulated
