"""Answers of the reader: timeline, conditions, consents, counts, and several of one moment."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.core.expression import Emotion
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.read.reader import (
    Reader,
    SessionCounts,
    consents,
    models_in_use,
    session_counts,
)
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.write.inserts import ModelUse, write_model
from tests.support.timeline import (
    START_MS,
    instant,
    query,
    reading,
    row,
    second_of,
    session_row,
    timeline,
)

HOUR = 3_600_000


def test_reader_latest_readings_and_span_leave_out_future_times(tmp_path: Path) -> None:
    to_come = replace(
        reading(0, 150),
        at=replace(instant(0), wall_ms=clock.now().wall_ms + 5 * 365 * 24 * HOUR),
        flags=frozenset({VitalFlag.CLOCK_DIFFERS}),
    )
    cuff = [reading(2, 121, VitalKind.SYSTOLIC), reading(-7200, 80, VitalKind.DIASTOLIC)]
    strap = [reading(s, 60 + s) for s in range(5)]
    recorded = timeline(tmp_path, expression=[500], vital=[*strap, *cuff, to_come])
    reader = Reader(recorded)
    latest = reader.latest_vitals()
    assert {kind: (it.value, second_of(it.at.wall_ms)) for kind, it in latest.items()} == {
        VitalKind.HEART_RATE: (64, 4),
        VitalKind.SYSTOLIC: (121, 2),
        VitalKind.DIASTOLIC: (80, -7200),
    }
    # Rows may have been deleted: the hour of the first counts.
    assert reader.span() == ((START_MS - 2 * HOUR) // HOUR * HOUR, START_MS + 500_000)
    only = Reader(timeline(tmp_path / "only", vital=[to_come]))
    assert (only.latest_vitals(), only.span()) == ({}, None)


def test_reader_believes_no_time_of_the_future_flagged_or_not(tmp_path: Path) -> None:
    to_come = replace(instant(0), wall_ms=clock.now().wall_ms + 24 * HOUR)
    recorded = timeline(tmp_path, vital=[reading(0, 60), replace(reading(0, 150), at=to_come)])
    only = timeline(tmp_path / "only", vital=[replace(reading(0, 150), at=to_come)])
    for path in (recorded, only):
        with write_transaction(path) as connection:
            assert connection.execute("SELECT count(*) FROM vital WHERE flags <> ''").fetchone()[0]
            connection.execute("UPDATE vital SET flags = ''")
            connection.execute("UPDATE vital_hour SET n = 1, total = 60")
    reader = Reader(recorded)
    assert reader.latest_vitals()[VitalKind.HEART_RATE].value == 60
    assert (reader.span() or (0, 0))[1] == START_MS
    assert Reader(only).latest_vitals() == {}
    assert Reader(only).span() is not None, "our own clock was set back: the rows can be found"


def test_episode_is_a_run_of_one_emotion_of_the_primary_face(tmp_path: Path) -> None:
    # 3 s without a row between the rows of 3 and 6 (which covers 5 to 6)
    happy = [row(s) for s in (1, 2, 3, 6, 7)]
    angry = [row(s, Emotion.ANGER) for s in (8, 9)]
    later = [row(s, Emotion.ANGER) for s in (14, 15)]
    unsure = [row(s, None) for s in (16, 17)]
    other = [row(s + 0.5, Emotion.FEAR, primary=False) for s in range(18)]
    made_up = row(9, simulated=1)
    path = timeline(tmp_path, expression=[*happy, *angry, *later, *unsure, *other, made_up])
    viewed = query(path, "SELECT start_ms, seconds, emotion, rows, simulated FROM episode")
    assert sorted((second_of(start), *rest) for start, *rest in viewed) == [
        (0, 7.0, "happiness", 5, 0),
        (7, 2.0, "anger", 2, 0),
        (8, 1.0, "happiness", 1, 1),
        (13, 2.0, "anger", 2, 0),
        (15, 2.0, "uncertain", 2, 0),
    ]


def test_reader_rows_have_session_participant_and_condition(tmp_path: Path) -> None:
    seconds = (-5, 5, 15, 25, 35)
    path = timeline(
        tmp_path,
        expression=seconds,
        vital=[reading(s + 0.5) for s in seconds],
        session=[session_row(0, 30, (10, 20, "anger"))],
    )
    reader = Reader(path)
    nobody, inside = (None, None, None), (1, "P01", None)
    for rows in (list(reader.expression_rows(0, 2**60)), list(reader.vital_rows(0, 2**60))):
        given = [(r["session"], r["participant"], r["condition"]) for r in rows]
        assert given == [nobody, inside, (1, "P01", "anger"), inside, nobody]
    span = (START_MS + 5_000, START_MS + 6_000)
    shown = {"at": "2026-09-21T14:20:05.000Z", "emotion": "happiness", "happiness": 860}
    shown |= {"neutral": 20, "smoothed_happiness": 860}
    assert next(reader.expression_rows(*span)).items() >= shown.items()
    measured = {"at": "2026-09-21T14:20:05.500Z", "kind": "heart_rate", "unit": "/min"}
    assert next(reader.vital_rows(*span)).items() >= measured.items()


@pytest.mark.parametrize(
    "at_ms", [0, 999, 1_000, 1_790_000_400_007, 1_999_999_999_999, 253_402_214_399_999]
)
def test_view_writes_times_as_python_does(path: Path, at_ms: int) -> None:
    timeline(path, vital=[{"at": clock.Instant(0, at_ms)}])
    assert query(path, "SELECT at FROM vital_view") == [(clock.iso_utc(at_ms),)]


def test_reader_abandoned_iteration_closes_its_connection(tmp_path: Path) -> None:
    path = timeline(tmp_path, expression=range(10))
    rows = Reader(path).expression_rows(0, 2**60)
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, (
            "nobody reads any more"
        )


def test_reader_lists_what_lies_in_a_range_or_session(tmp_path: Path) -> None:
    conditions = ((10, 20, "anger"), (30, 40, "neutral"))
    path = timeline(
        tmp_path,
        expression=range(5),
        vital=range(7),
        movement=range(2),
        session=[session_row(2, 50, *conditions), session_row(60, None)],
        gap=[{"started": 2, "ended": 6}],
    )
    reader = Reader(path)
    held = reader.conditions(START_MS + 15_000, START_MS + 35_000)
    assert [(c.session, c.participant, c.label, second_of(c.start_ms)) for c in held] == [
        (1, "P01", "anger", 10),
        (1, "P01", "neutral", 30),
    ]
    assert reader.conditions(START_MS + 20_000, START_MS + 35_000) == held[1:]
    assert [gap.reason for gap in reader.gaps(START_MS, START_MS + 5_000)] == ["stalled"]
    assert reader.gaps(START_MS + 6_000, START_MS + 9_000) == []
    assert [second_of(m.at.wall_ms) for m in reader.markers()] == [10, 20, 30, 40]
    marked = [m.label for m in reader.markers(START_MS + 20_000, START_MS + 40_000)]
    assert marked == ["anger", "neutral"]
    assert [s.id for s in reader.session_list()] == [2, 1]
    counted = {"expression": 5, "movement": 2, "vital": 7, "gap": 1, "marker": 4, "session": 2}
    assert reader.counts().items() >= counted.items()
    assert session_counts(path) == {1: SessionCounts(3, 5, 4), 2: SessionCounts(0, 0, 0)}
    assert session_counts(path, [1]) == {1: SessionCounts(3, 5, 4)}


def test_condition_without_end_ends_with_the_next_or_its_session(path: Path) -> None:
    open_one = session_row(0, None, (1, None, "anger"), (5, None, "happiness"))
    timeline(path, session=[open_one], vital=[reading(s) for s in (0, 1, 4, 5, 6, 9)])
    reader = Reader(path)

    def states() -> list[tuple[float, str]]:
        found = reader.session_readings(None, [VitalKind.HEART_RATE])
        return [(second_of(one.at_ms), one.state) for one in found if one.state]

    open_still = [(1, "anger"), (4, "anger"), (5, "happiness"), (6, "happiness"), (9, "happiness")]
    assert states() == open_still
    assert [c.end_ms for c in reader.conditions(0, 2**60)] == [START_MS + 5_000, None]
    Study(path).end_session(at=instant(7))
    assert states() == open_still[:-1], "after the end of the session a reading belongs to nobody"


def codes(reader: Reader) -> list[str]:
    with reader.connect() as connection:
        return [code for (code,) in connection.execute("SELECT code FROM participant")]


def test_a_block_answers_of_one_moment_from_one_connection(path: Path) -> None:
    reader = Reader(path)
    with reader.at_one_moment():
        with reader.connect() as first:
            assert codes(reader) == []
        Study(path).create_participant("P-01")
        with reader.at_one_moment():
            assert codes(reader) == []
        with reader.connect() as second:
            assert codes(reader) == []
        assert first is second
        with ThreadPoolExecutor(1) as other:
            assert other.submit(codes, reader).result() == ["P-01"]
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        first.execute("SELECT 1")
    with pytest.raises(StoreError), reader.at_one_moment(), reader.connect() as connection:
        connection.execute("SELECT no_such_column FROM participant")
    assert codes(reader) == ["P-01"]


def test_consents_of_a_participant_the_newest_counts(tmp_path: Path) -> None:
    path = timeline(
        tmp_path,
        participant=[{"code": code} for code in ("P-1", "P-2", "P-3")],
        consent=[
            {"participant": "P-1", "withdrawn": 5},
            {"participant": "P-2", "withdrawn": 3},
            {"participant": "P-1", "given": 5, "text_version": "2"},
        ],
    )
    found = consents(path)
    assert set(found) == {"P-1", "P-2"}
    assert (found["P-1"].text_version, found["P-1"].withdrawn_ms) == ("2", None)
    assert (found["P-2"].text_version, found["P-2"].withdrawn_ms is None) == ("1", False)


def test_only_the_last_model_of_each_kind_is_in_use(path: Path) -> None:
    assert models_in_use(path) == []
    uses = [
        ModelUse("expression", "fast", "1", "aa", 1),
        ModelUse("face-detector", "faces", "1", "bb", 2),
        ModelUse("expression", "fast", "2", "cc", 3),
    ]
    with write_transaction(path) as connection:
        for use in uses:
            write_model(connection, use)
    assert models_in_use(path) == [uses[2], uses[1]]
    with write_transaction(path) as connection:
        write_model(connection, ModelUse("expression", "fast", "2", "cc", 9, prior="balanced"))
    assert models_in_use(path) == [replace(uses[2], prior="balanced"), uses[1]], "since before"
