"""What the reader answers: trends, episodes, latest readings, and readings by state."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.gaps import Gap
from edge_agent.core.study import MarkerKind, Purpose
from edge_agent.core.vitals import VitalFlag, VitalKind
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.results import MatchCounts
from edge_agent.store.study.study import Study
from edge_agent.store.upkeep.retention import prune
from edge_agent.store.write.timeline import write_gap
from tests.support.timeline import START_MS, add, database, instant, query, reading, row

MINUTE = 60_000
HOUR = 3_600_000
DAY = 86_400_000


def second_of(at_ms: int) -> float:
    return (at_ms - START_MS) / 1000


def study_with_session(
    path: Path, conditions: list[tuple[float, float, str]], *, end: float = 1000, start: float = 0
) -> int:
    """A session from ``start`` to ``end`` with conditions at seconds from, until, label.

    Returns its number.
    """
    study = Study(path)
    participant = study.create_participant(f"P{len(study.participants()) + 1:02d}")
    study.give_consent(participant.code, "v1")
    session = study.start_session(participant.code, Purpose.RESEARCH, "", at=instant(start))
    for begin, until, label in conditions:
        study.add_marker(MarkerKind.STIMULUS_START, label, at=instant(begin))
        study.add_marker(MarkerKind.STIMULUS_END, "", at=instant(until))
    study.end_session(at=instant(end))
    return session.id


def test_shares_and_uncertain_of_each_bucket_sum_to_one_and_an_empty_bucket_is_none(
    tmp_path: Path,
) -> None:
    emotions = [Emotion.HAPPINESS] * 6 + [Emotion.ANGER] * 3 + [None]
    rows = [row(s, emotion) for s, emotion in enumerate(emotions)] + [
        row(s, Emotion.FEAR) for s in range(20, 30)
    ]
    rows += [row(5, Emotion.DISGUST, primary=False)]
    trend = Reader(database(tmp_path, rows)).trend(START_MS, START_MS + 30_000, 3)
    assert (trend.bucket_ms, trend.resolution, trend.starts) == (
        10_000,
        "row",
        tuple(START_MS + s for s in (0, 10_000, 20_000)),
    )
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


def test_a_short_range_whose_rows_were_deleted_is_read_from_its_minutes(tmp_path: Path) -> None:
    path = database(tmp_path, [row(s) for s in range(120)])
    long_range = Reader(path).trend(START_MS - DAY, START_MS + DAY, 48)
    assert prune(path, 1, now_ms=START_MS + 2 * DAY) == 120
    after = Reader(path).trend(START_MS, START_MS + 10 * MINUTE, 200)
    assert (after.resolution, after.bucket_ms) == ("minute", MINUTE)
    assert after.rows[:2] == (60, 60)
    assert Reader(path).trend(START_MS - DAY, START_MS + DAY, 48) == long_range


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


def test_the_latest_reading_of_each_kind_is_found(tmp_path: Path) -> None:
    readings = [reading(s, 60 + s) for s in range(5)] + [
        reading(2, 121, VitalKind.SYSTOLIC, "cuff")
    ]
    readings += [reading(-7200, 80, VitalKind.DIASTOLIC, "cuff")]
    latest = Reader(database(tmp_path, (), readings)).latest_vitals()
    assert {
        kind: (vital.value, second_of(vital.at.wall_ms), vital.source)
        for kind, vital in latest.items()
    } == {
        VitalKind.HEART_RATE: (64, 4, "strap"),
        VitalKind.SYSTOLIC: (121, 2, "cuff"),
        VitalKind.DIASTOLIC: (80, -7200, "cuff"),
    }


def test_the_span_reaches_from_the_first_to_the_last_thing(tmp_path: Path) -> None:
    reader = Reader(database(tmp_path, [row(10), row(500)], [reading(0), reading(300)]))
    first, last = reader.span() or (0, 0)
    assert first == START_MS // HOUR * HOUR, "rows may have been deleted: their hour counts"
    assert last == START_MS + 500_000


def test_episodes_are_runs_of_one_emotion_of_the_primary_face_broken_by_three_seconds(
    tmp_path: Path,
) -> None:
    # 3 s without a row between the rows of 3 and 6 (which covers 5 to 6)
    happy = [row(s) for s in (1, 2, 3, 6, 7)]
    angry = [row(s, Emotion.ANGER) for s in (8, 9)]
    later = [row(s, Emotion.ANGER) for s in (14, 15)]
    unsure = [row(s, None) for s in (16, 17)]
    other = [row(s + 0.5, Emotion.FEAR, primary=False) for s in range(18)]
    reader = Reader(database(tmp_path, [*happy, *angry, *later, *unsure, *other]))
    found = [
        (second_of(e.start_ms), second_of(e.end_ms), e.emotion, e.rows)
        for e in reader.episodes(0, 2**60)
    ]
    assert found == [
        (0, 7, Emotion.HAPPINESS, 5),
        (7, 9, Emotion.ANGER, 2),
        (13, 15, Emotion.ANGER, 2),
        (15, 17, None, 2),
    ]
    clipped = reader.episodes(START_MS + 8_500, START_MS + 15_000)
    assert [second_of(e.start_ms) for e in clipped] == [8, 13]
    assert query(
        tmp_path / "affect-edge.db",
        "SELECT start_ms, emotion, seconds FROM episode ORDER BY start_ms",
    )[-1] == (
        START_MS + 15_000,
        "uncertain",
        2.0,
    )


def test_demonstration_rows_make_no_episode_with_real_ones(tmp_path: Path) -> None:
    path = database(tmp_path, [row(1), row(2)])
    add(path, [row(1.5), row(2.5)], simulated=True)
    assert [(e.rows, e.simulated) for e in Reader(path).episodes(0, 2**60)] == [
        (2, False),
        (2, True),
    ]


def test_rows_are_given_with_session_participant_and_condition(tmp_path: Path) -> None:
    path = database(
        tmp_path,
        [row(s) for s in (-5, 5, 15, 25, 35)],
        [reading(s + 0.5) for s in (-5, 5, 15, 25, 35)],
    )
    study_with_session(path, [(10, 20, "anger")], end=30)
    reader = Reader(path)
    expected = [
        (None, None, None),
        (1, "P01", None),
        (1, "P01", "anger"),
        (1, "P01", None),
        (None, None, None),
    ]
    for rows in (list(reader.expression_rows(0, 2**60)), list(reader.vital_rows(0, 2**60))):
        assert [(r["session"], r["participant"], r["condition"]) for r in rows] == expected
    expression = next(reader.expression_rows(START_MS + 5_000, START_MS + 6_000))
    assert expression["at"] == "2026-09-21T14:20:05.000Z"
    assert expression["emotion"] == "happiness"
    assert (expression["happiness"], expression["neutral"], expression["smoothed_happiness"]) == (
        860,
        20,
        860,
    )
    vital = next(reader.vital_rows(START_MS + 5_000, START_MS + 6_000))
    assert (vital["at"], vital["kind"], vital["unit"]) == (
        "2026-09-21T14:20:05.500Z",
        "heart_rate",
        "/min",
    )


@pytest.mark.parametrize(
    "at_ms", [0, 999, 1_000, 1_790_000_400_007, 1_999_999_999_999, 253_402_300_799_999]
)
def test_sql_writes_times_as_python_does(tmp_path: Path, at_ms: int) -> None:
    path = database(tmp_path)
    with write_transaction(path) as connection:
        connection.execute(
            "INSERT INTO vital (at, kind, source, value) VALUES (?, 'systolic', 'x', 1)", (at_ms,)
        )
    assert query(path, "SELECT at FROM vital_view") == [(clock.iso_utc(at_ms),)]


def test_an_abandoned_iteration_closes_its_connection(tmp_path: Path) -> None:
    path = database(tmp_path, [row(s) for s in range(10)])
    rows = Reader(path).expression_rows(0, 2**60)
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, (
            "nobody reads any more"
        )


def test_conditions_gaps_markers_sessions_and_counts_are_listed(tmp_path: Path) -> None:
    path = database(tmp_path, [row(s) for s in range(5)], [reading(s) for s in range(7)])
    study_with_session(path, [(10, 20, "anger"), (30, 40, "neutral")], end=50)
    with write_transaction(path) as connection:
        write_gap(connection, Gap("camera", instant(2), instant(6), "stalled"), None)
    reader = Reader(path)
    found = reader.conditions(START_MS + 15_000, START_MS + 35_000)
    assert [
        (c.session, c.participant, c.label, second_of(c.start_ms), second_of(c.end_ms or 0))
        for c in found
    ] == [
        (1, "P01", "anger", 10, 20),
        (1, "P01", "neutral", 30, 40),
    ]
    assert [c.label for c in reader.conditions(START_MS + 20_000, START_MS + 35_000)] == ["neutral"]
    assert [(g.source, g.reason) for g in reader.gaps(START_MS, START_MS + 5_000)] == [
        ("camera", "stalled")
    ]
    assert reader.gaps(START_MS + 6_000, START_MS + 9_000) == []
    assert [second_of(m.at.wall_ms) for m in reader.markers()] == [10, 20, 30, 40]
    assert [m.label for m in reader.markers(START_MS + 20_000, START_MS + 40_000)] == [
        "anger",
        "neutral",
    ]
    assert [s.id for s in reader.session_list()] == [1]
    counts = reader.counts()
    assert (
        counts["expression"],
        counts["vital"],
        counts["gap"],
        counts["marker"],
        counts["session"],
    ) == (
        5,
        7,
        1,
        4,
        1,
    )


def test_a_condition_lasts_until_the_next_marker_the_end_of_the_session_or_now(
    tmp_path: Path,
) -> None:
    path = database(tmp_path)
    study = Study(path)
    study.create_participant("P01")
    study.give_consent("P01", "v1")
    study.start_session("P01", Purpose.RESEARCH, "", at=instant(0))
    for second, label in ((1, "anger"), (5, "happiness")):
        study.add_marker(MarkerKind.STIMULUS_START, label, at=instant(second))
    add(path, (), [reading(s) for s in (0, 1, 4, 5, 6, 9)])
    reader = Reader(path)

    def states() -> list[tuple[float, str]]:
        return [(second_of(r.at_ms), r.state) for r in reader.vitals_by_condition()]

    open_still = [(1, "anger"), (4, "anger"), (5, "happiness"), (6, "happiness"), (9, "happiness")]
    assert states() == open_still
    assert [c.end_ms for c in reader.conditions(0, 2**60)] == [START_MS + 5_000, None]
    study.end_session(at=instant(7))
    assert states() == open_still[:-1], "after the end of the session a reading belongs to nobody"


def test_readings_by_condition_can_be_narrowed_to_sessions_and_kinds(tmp_path: Path) -> None:
    path = database(tmp_path)
    first = study_with_session(path, [(10, 20, "anger")], end=100)
    second = study_with_session(path, [(210, 220, "anger")], start=200, end=300)
    cuff = [reading(15.5, 131, VitalKind.SYSTOLIC, "cuff", [VitalFlag.MANUAL])]
    add(path, (), [reading(15, 80), reading(215, 70), reading(25, 75), *cuff])
    reader = Reader(path)
    assert [(r.session, r.participant, r.kind, r.value) for r in reader.vitals_by_condition()] == [
        (first, "P01", VitalKind.HEART_RATE, 80),
        (first, "P01", VitalKind.SYSTOLIC, 131),
        (second, "P02", VitalKind.HEART_RATE, 70),
    ]
    assert [r.session for r in reader.vitals_by_condition([second])] == [second]
    only = reader.vitals_by_condition(kinds=[VitalKind.SYSTOLIC])
    assert [(r.flags, r.simulated, r.state) for r in only] == [
        (frozenset({VitalFlag.MANUAL}), False, "anger")
    ]
    assert reader.vitals_by_condition([]) == []
    assert reader.vitals_by_condition([99]) == []


def test_simulated_readings_are_told_apart_from_real_ones(tmp_path: Path) -> None:
    path = database(tmp_path)
    study_with_session(path, [(10, 20, "anger")])
    add(path, (), [reading(11), reading(12, flags=[VitalFlag.SIMULATED])])
    assert [r.simulated for r in Reader(path).vitals_by_condition()] == [False, True]
    with write_transaction(path) as connection:
        connection.execute("UPDATE session SET simulated = 1")
    assert [r.simulated for r in Reader(path).vitals_by_condition()] == [True, True]


def test_a_reading_gets_the_emotion_that_was_seen_in_the_window_before_its_lag(
    tmp_path: Path,
) -> None:
    rows = [row(s, Emotion.ANGER) for s in range(1, 101)] + [
        row(s, Emotion.HAPPINESS) for s in range(101, 201)
    ]
    path = database(tmp_path, rows, [reading(s) for s in (50, 107, 111, 116, 220)])
    add(path, (), [reading(147, 130, VitalKind.SYSTOLIC), reading(160, 120, VitalKind.SYSTOLIC)])
    study_with_session(path, [], end=300)
    found, counts = Reader(path).vitals_by_observed_emotion()
    # Heart rate looks at (t − 15, t − 5]: at 107 eight angry seconds of ten, at 111 four, at 220
    # nothing any more. The cuff looks at (t − 55, t − 45]: at 147 eight angry seconds, at 160 none.
    assert [(second_of(r.at_ms), r.kind, r.state) for r in found] == [
        (50, VitalKind.HEART_RATE, "anger"),
        (107, VitalKind.HEART_RATE, "anger"),
        (111, VitalKind.HEART_RATE, "happiness"),
        (116, VitalKind.HEART_RATE, "happiness"),
        (147, VitalKind.SYSTOLIC, "anger"),
        (160, VitalKind.SYSTOLIC, "happiness"),
    ]
    assert counts == MatchCounts(matched=6, unmatched=1, ambiguous=0)
    strict, counts = Reader(path).vitals_by_observed_emotion(share=0.9)
    assert [second_of(r.at_ms) for r in strict] == [50, 116, 160]
    assert counts == MatchCounts(matched=3, unmatched=1, ambiguous=3)


def test_windows_and_lags_can_be_declared_otherwise(tmp_path: Path) -> None:
    path = database(
        tmp_path,
        [row(s, Emotion.ANGER if s <= 100 else Emotion.FEAR) for s in range(1, 201)],
        [reading(110)],
    )
    study_with_session(path, [], end=300)
    reader = Reader(path)
    for window, lag, state in (
        (5, 0, "fear"),
        (5, 30, "anger"),
        (90, 0, "anger"),
        (5.0, 5, "fear"),
    ):
        found, _ = reader.vitals_by_observed_emotion(
            window_s=window, lag_s={VitalKind.HEART_RATE: lag}
        )
        assert [r.state for r in found] == [state], (window, lag)
    for window, share in ((0, 0.6), (-1, 0.6), (10, 0), (10, 1.1)):
        with pytest.raises(ValueError, match="window_s"):
            reader.vitals_by_observed_emotion(window_s=window, share=share)


def test_uncertain_rows_count_and_a_draw_is_ambiguous(tmp_path: Path) -> None:
    def state(emotions: Sequence[Emotion | None], share: float) -> tuple[list[str], MatchCounts]:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        path = database(
            folder, [row(s, e) for s, e in enumerate(emotions, start=1)], [reading(len(emotions))]
        )
        study_with_session(path, [], end=100)
        lag = {VitalKind.HEART_RATE: 0.0}
        found, counts = Reader(path).vitals_by_observed_emotion(share=share, lag_s=lag)
        return [r.state for r in found], counts

    anger = Emotion.ANGER
    fear = Emotion.FEAR
    assert state([anger] * 6 + [None] * 4, 0.6) == (["anger"], MatchCounts(1, 0, 0))
    assert state([anger] * 5 + [None] * 5, 0.6) == ([], MatchCounts(0, 0, 1))
    assert state([None] * 10, 0.5) == ([], MatchCounts(0, 0, 1))
    assert state([anger] * 5 + [fear] * 5, 0.5) == ([], MatchCounts(0, 0, 1))
    assert state([anger] * 4 + [fear] * 3 + [None] * 3, 0.4) == (["anger"], MatchCounts(1, 0, 0))


def test_rows_of_another_session_or_another_face_are_not_looked_at(tmp_path: Path) -> None:
    rows = [row(s, Emotion.ANGER) for s in range(1, 100)]
    rows += [row(s, Emotion.FEAR, primary=False) for s in range(100, 120)]
    path = database(tmp_path, rows, [reading(106), reading(115)])
    study_with_session(path, [], end=99.5)
    study_with_session(path, [], start=99.6, end=200)
    found, counts = Reader(path).vitals_by_observed_emotion()
    assert found == []
    assert counts == MatchCounts(matched=0, unmatched=2, ambiguous=0)
