"""Trends: buckets of expressions and readings, from rows and from rollups."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import read_transaction, write_transaction
from edge_agent.timeline.read.reader import Reader, SessionsReader, sums_by_person
from edge_agent.timeline.read.trends import EXPRESSIONS
from edge_agent.timeline.upkeep.fold import fold_rollups
from edge_agent.timeline.upkeep.retention import prune
from tests.support.timeline import START_MS, reading, row, session_row, timeline

MINUTE = 60_000
HOUR = 3_600_000
DAY = 86_400_000


def test_trend_shares_of_a_bucket_sum_to_one(tmp_path: Path) -> None:
    emotions = [Emotion.HAPPINESS] * 6 + [Emotion.ANGER] * 3 + [None]
    rows = [row(s, emotion) for s, emotion in enumerate(emotions)] + [
        row(s, Emotion.FEAR) for s in range(20, 30)
    ]
    rows += [row(5, Emotion.DISGUST, primary=False)]
    trend = Reader(timeline(tmp_path, expression=rows)).trend(START_MS, START_MS + 30_000, 3)
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
def test_trend_of_a_long_range_is_read_from_rollups(
    tmp_path: Path, range_ms: int, buckets: int, bucket_ms: int, resolution: str
) -> None:
    reader = Reader(timeline(tmp_path, expression=range(50), vital=range(50)))
    start = START_MS // DAY * DAY
    trend = reader.trend(start, start + range_ms, buckets)
    vitals = reader.vital_trend(VitalKind.HEART_RATE, start, start + range_ms, buckets)
    for found in (trend, vitals):
        assert (found.bucket_ms, found.resolution) == (bucket_ms, resolution)
        assert len(found.starts) <= buckets + 1


def test_trend_across_the_retention_border_counts_each_row_once(tmp_path: Path) -> None:
    path = timeline(tmp_path, expression=range(600))
    # In the middle of the sixth minute: half of its rows are gone, and its rollup counts all.
    assert prune(path, 1, now_ms=START_MS + DAY + 330_000) == 330
    for buckets in (10, 20, 200):
        trend = Reader(path).trend(START_MS, START_MS + 10 * MINUTE, buckets)
        assert (trend.resolution, trend.bucket_ms) == ("minute", MINUTE)
        assert trend.rows == (60,) * 10, "no minute is empty, and none counts rows twice"
    kept = Reader(path).trend(START_MS + 6 * MINUTE, START_MS + 10 * MINUTE, 200)
    assert (kept.resolution, sum(kept.rows)) == ("row", 240)
    assert sum(Reader(path).trend(START_MS - HOUR, START_MS + HOUR, 12).rows) == 600


def test_trend_of_deleted_readings_is_read_from_minutes(tmp_path: Path) -> None:
    path = timeline(tmp_path, vital=[reading(s, 60 + s % 7) for s in range(600)])
    span = (START_MS, START_MS + 10 * MINUTE)
    before = Reader(path).vital_trend(VitalKind.HEART_RATE, *span, 10)
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM vital WHERE at < ?", (START_MS + 330_000,))
    for buckets in (10, 200):
        trend = Reader(path).vital_trend(VitalKind.HEART_RATE, *span, buckets)
        assert trend == before
    assert Reader(path).vital_trend(VitalKind.SYSTOLIC, *span, 200).resolution == "row"


def test_trend_of_folded_rollups_is_read_from_rows(tmp_path: Path) -> None:
    path = timeline(tmp_path, vital=[reading(s, 60 + s % 7) for s in range(600)])
    span = (START_MS, START_MS + 10 * MINUTE)
    before = Reader(path).vital_trend(VitalKind.HEART_RATE, *span, 200)
    timeline(path, vital=[5 * 86_400])
    for ages in ((2, 1_000), (2, 2)):
        fold_rollups(path, *ages, now_ms=START_MS + 5 * DAY)
        found = Reader(path).vital_trend(VitalKind.HEART_RATE, *span, 200)
        assert found == before, "readings are kept for ever, so they are read as they are"
    for gone_ms, resolution in ((1_000, "day"), (DAY, "day")):
        with write_transaction(path) as connection:
            connection.execute("DELETE FROM vital WHERE at < ?", (START_MS + gone_ms,))
        day = Reader(path).vital_trend(VitalKind.HEART_RATE, *span, 200)
        assert (day.resolution, day.bucket_ms, day.n) == (resolution, DAY, (600,))


def test_face_time_is_that_of_its_rows_or_not_known(tmp_path: Path) -> None:
    def face_ms(path: Path, reader: Reader | None = None, end: int = 2 * HOUR) -> int | None:
        one = reader or Reader(path)
        return one.face_ms(one.trend(START_MS, START_MS + end, 100))

    of_two_seconds = [{**row(2 * s), "interval_ms": 2_000} for s in range(1, 61)]
    of_one = [row(3_600 + s) for s in range(1, 31)]
    others = [row(s, primary=False) for s in range(20)]
    session = session_row(0, 90, participant="P01")
    rows = [*of_two_seconds, *of_one, *others]
    path = timeline(tmp_path / "a", session=[session], expression=rows)
    assert face_ms(path) == 60 * 2_000 + 30 * 1_000
    assert face_ms(path, end=90_000) == 88_000
    of_session = SessionsReader(path, Reader(path).session_list())
    assert face_ms(path, of_session) == 88_000, "rows that end from 2 to 88 s"
    assert face_ms(timeline(tmp_path / "b", vital=[reading(1)])) == 0
    each_frame = timeline(tmp_path / "c", expression=[{**row(1), "interval_ms": 0}])
    assert face_ms(each_frame) is None
    with write_transaction(path) as connection:
        connection.execute(f"DELETE FROM expression WHERE at < {START_MS + HOUR}")
    assert face_ms(path) is None, "their sums do not know how long they lasted"


def test_trend_of_an_empty_range_is_none_and_without_length_refused(tmp_path: Path) -> None:
    reader = Reader(timeline(tmp_path))
    trend = reader.trend(START_MS, START_MS + 10_000, 10)
    assert (set(trend.uncertain), set(trend.rows)) == ({None}, {0})
    assert set(reader.vital_trend(VitalKind.SYSTOLIC, START_MS, START_MS + DAY, 10).mean) == {None}
    assert (reader.span(), reader.latest_vitals()) == (None, {})
    for start, end, buckets in ((5, 5, 10), (5, 4, 10), (5, 6, 0)):
        with pytest.raises(ValueError, match="needs an end"):
            reader.trend(start, end, buckets)


def test_trend_unusable_readings_are_counted_but_in_no_mean(tmp_path: Path) -> None:
    flags = [VitalFlag.OUT_OF_RANGE, VitalFlag.CONTACT_LOST, VitalFlag.ESTIMATED]
    flagged = [reading(2 + n, 300.0, flags=[flag]) for n, flag in enumerate(flags)]
    path = timeline(tmp_path, vital=flagged)
    for range_ms, buckets in ((MINUTE, 1), (MINUTE, 6), (HOUR, 1)):
        span = (START_MS, START_MS + range_ms, buckets)
        trend = Reader(path).vital_trend(VitalKind.HEART_RATE, *span)
        assert (trend.mean[0], trend.least[0], trend.n[0], trend.flagged[0]) == (None, None, 0, 3)
    timeline(path, vital=[reading(0, 70.0), reading(1, 74.0, flags=[VitalFlag.SIMULATED])])
    for range_ms, buckets in ((MINUTE, 1), (MINUTE, 6), (HOUR, 1)):
        span = (START_MS, START_MS + range_ms, buckets)
        trend = Reader(path).vital_trend(VitalKind.HEART_RATE, *span)
        values = (trend.mean[0], trend.least[0], trend.most[0], trend.n[0], trend.flagged[0])
        assert values == (72.0, 70.0, 74.0, 2, 3), trend.resolution
        assert trend.simulated


def test_trend_with_a_demonstration_says_so(tmp_path: Path) -> None:
    path = timeline(tmp_path, expression=[0, row(100, simulated=1)])
    reader = Reader(path)
    assert not reader.trend(START_MS, START_MS + 50_000, 5).simulated
    for span in ((START_MS, START_MS + 150_000, 5), (START_MS - HOUR, START_MS + HOUR, 2)):
        assert reader.trend(*span).simulated


def test_trend_of_a_session_is_exactly_its_rows(tmp_path: Path) -> None:
    path = timeline(
        tmp_path,
        expression=[
            row(s, Emotion.ANGER if 500 <= s < 7_777 else Emotion.HAPPINESS) for s in range(9_000)
        ],
        vital=[reading(s, 90.0 if 500 <= s < 7_777 else 60.0) for s in range(0, 9_000, 2)],
        session=[session_row(500, 7_777), session_row(8_990, 8_995)],
    )
    for length, buckets in ((3 * HOUR, 2), (3 * HOUR, 30), (2 * HOUR, 2000), (90 * DAY, 60)):
        reader = SessionsReader(path, Reader(path).session_list()[1:])
        trend = reader.trend(START_MS, START_MS + length, buckets)
        inside = min(length // 1000, 7_777) - 500
        assert sum(trend.rows) == inside, trend.bucket_ms
        assert {share for share in trend.shares[Emotion.ANGER] if share is not None} == {1.0}
        heart = reader.vital_trend(VitalKind.HEART_RATE, START_MS, START_MS + length, buckets)
        assert sum(heart.n) == -(-inside // 2)
        assert set(heart.mean) - {None} == {90.0}
    both = SessionsReader(path, Reader(path).session_list())
    assert sum(both.trend(START_MS, START_MS + DAY, 10).rows) == 7_277 + 5
    assert both.rows_kept_since(0, START_MS + DAY) is None
    nobody = SessionsReader(path, [])
    assert sum(nobody.trend(START_MS, START_MS + DAY, 10).rows) == 0
    assert nobody.span() is None and not nobody.has_movements()


def test_rows_of_sessions_are_those_within_them_in_order_of_time(tmp_path: Path) -> None:
    path = timeline(
        tmp_path,
        expression=range(60),
        vital=[reading(s, 70.0) for s in range(60)],
        session=[session_row(10, 12), session_row(40, 43)],
    )
    reader = SessionsReader(path, Reader(path).session_list())
    for rows in (reader.expression_rows, reader.vital_rows):
        found = [one["at_ms"] for one in rows(START_MS + 11_000, START_MS + DAY)]
        assert found == [START_MS + 1_000 * second for second in (11, 40, 41, 42)]
    nobody = SessionsReader(path, [])
    assert next(nobody.expression_rows(0, START_MS + DAY), None) is None


def test_trend_of_a_session_with_deleted_rows_has_whole_minutes(tmp_path: Path) -> None:
    path = timeline(tmp_path, expression=range(600), session=[session_row(30, 590)])
    reader = SessionsReader(path, Reader(path).session_list())
    assert prune(path, 1, now_ms=START_MS + DAY + 330_000) == 330
    trend = reader.trend(START_MS, START_MS + 10 * MINUTE, 10)
    assert trend.rows == (0, *(60,) * 8, 50), "30 s of the first minute are gone"
    assert reader.rows_kept_since(START_MS, START_MS + HOUR) == START_MS + 330_000
    assert reader.rows_kept_since(0, START_MS) is None


def test_deleted_rows_are_looked_for_within_sessions_alone(tmp_path: Path) -> None:
    path = timeline(
        tmp_path,
        expression=[*range(300), *range(1_000, 1_200), *range(4_000, 4_600)],
        session=[session_row(400, 900), session_row(1_000, 1_200), session_row(4_000, 4_600)],
    )
    newest, second, faceless = Reader(path).session_list()
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM expression WHERE at < ?", (START_MS + 4_200_000,))

    def kept(*sessions: Session, start: int = 0) -> int | None:
        return SessionsReader(path, sessions).rows_kept_since(start, START_MS + DAY)

    assert kept(faceless) is None
    assert kept(faceless, newest) == kept(newest) == START_MS + 4_200_000
    assert kept(newest, start=START_MS + 4_200_000) is None
    assert kept(second) == START_MS + 1_200_000
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM expression_minute WHERE at < ?", (START_MS + 900_000,))
    assert kept(faceless) is None, "an hour that is not wholly within says nothing of it"


def test_sums_of_several_people_from_rollups_are_those_of_their_rows(tmp_path: Path) -> None:
    shown = [*EMOTIONS, None]
    path = timeline(
        tmp_path,
        expression=[
            row(s, shown[s // 70 % 9], interval_ms=5_000, primary=s % 3 > 0)
            for s in range(0, 9_000, 5)
        ],
        vital=[reading(s, 60.0 + s % 7) for s in range(0, 9_000, 3)],
        session=[
            session_row(500, 7_777, participant="P-01"),
            session_row(7_780, 8_990, participant="P-02"),
        ],
    )
    edges = [START_MS, START_MS + 3_000_000, START_MS + 8_100_000, START_MS + DAY]
    kinds = [VitalKind.HEART_RATE]
    sessions = Reader(path).session_list()
    found = sums_by_person(Reader(path), sessions, edges, kinds)
    assert set(found) == {"P-01", "P-02"}
    with read_transaction(path) as connection:
        rows = connection.execute(
            "SELECT at, coalesce(emotion, 'uncertain') FROM expression WHERE is_primary"
        ).fetchall()
    for one in sessions:
        for first, last, part in zip(edges, edges[1:], found[one.participant], strict=False):
            start, end = max(first, one.start_ms), min(last, one.end_ms or last)
            seen = Counter(name for at, name in rows if start <= at < end)
            assert {name: ms for name, ms in part.shown_ms.items() if ms} == {
                name: 5_000 * count for name, count in seen.items()
            }
    assert sum(sum(one.shown_ms.values()) for one in found["P-01"]) > 3_600_000


@pytest.mark.parametrize(
    ("uses", "change"),
    [
        ([(-90, "a")], None),
        ([(20, "a")], None),
        ([(-90, "a"), (200, "b")], (100, 1_000)),
        ([(-90, "a"), (200, "b"), (300, "a")], None),
        ([(-90, "a"), (50, "b")], (50, 50)),
        ([(-90, "a"), (50, "a2")], (50, 50)),
        ([(-90, "a"), (50, "b"), (200, "c"), (1_100, "d")], (100, 1_000)),
        ([(-90, "a"), (1_000, "b")], (100, 1_000)),
        ([(-90, "a"), (-80, "b"), (1_100, "c")], None),
    ],
)
def test_change_of_reading_is_reported_of_the_sessions_alone(
    tmp_path: Path, uses: list[tuple[int, str]], change: tuple[int, int] | None
) -> None:
    path = timeline(
        tmp_path,
        session=[session_row(0, 100), session_row(1_000, 1_100)],
        model=[
            {"since": since, "sha256": name[0] * 64, "version": name[1:]} for since, name in uses
        ],
    )
    reader = SessionsReader(path, Reader(path).session_list())
    told = None if change is None else tuple(START_MS + 1_000 * at for at in change)
    assert reader.change_of_reading(0, START_MS + DAY) == told
    assert reader.reading_changed(0, START_MS + DAY) == (told and told[1])
    assert SessionsReader(path, []).reading_changed(0, START_MS + DAY) is None


def test_latest_recording_of_sessions_ends_with_their_last_row(tmp_path: Path) -> None:
    path = timeline(
        tmp_path,
        expression=[*range(100), *range(5_000, 5_100)],
        session=[session_row(0, 60), session_row(4_990, 5_050), session_row(9_000, 9_060)],
    )
    empty, second, first = Reader(path).session_list()

    def latest(*sessions: Session, length: int = HOUR) -> tuple[int, int] | None:
        return SessionsReader(path, sessions).latest_recording(length)

    both = (START_MS + 4_990_000, START_MS + 5_049_001)
    assert latest(empty, second, first) == both
    assert latest(second, first, length=DAY) == (START_MS, both[1])
    assert latest(second, length=10_000) == (both[1] - 10_000, both[1])
    assert latest(empty) is None and latest() is None
    prune(path, 1, now_ms=START_MS + DAY + 90_000)
    assert latest(first) == (START_MS, START_MS + 60_000), "from whole minutes"


def test_trend_of_sessions_is_read_by_the_index_of_times(tmp_path: Path) -> None:
    path = timeline(tmp_path, expression=range(50))
    with read_transaction(path) as connection:
        plan = [
            step["detail"]
            for step in connection.execute(
                "EXPLAIN QUERY PLAN WITH piece(resolution, first, last, number) AS MATERIALIZED "
                "(SELECT 'row', 0, 9, 0) SELECT number, sum(rows) FROM "
                f"({EXPRESSIONS.source({'row', 'minute'})}) GROUP BY number"
            )
        ]
    assert "SEARCH source USING INDEX expression_at (at>? AND at<?)" in plan
    assert not any("AUTOMATIC" in step for step in plan), "an index made for one query"
