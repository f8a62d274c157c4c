"""Values of measures that are no vitals: expressions, movements and ratings, and all over time."""

from __future__ import annotations

import sqlite3
from dataclasses import fields
from pathlib import Path

import pytest

from edge_agent.core.expression import EMOTIONS, Emotion, Expression
from edge_agent.core.measures import (
    ExpressionKind,
    Measure,
    MovementKind,
    RatingKind,
    probability_of,
)
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.measured import FACE, SELF_REPORT
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.sites import PooledReader
from edge_agent.timeline.study import exclusions
from tests.support.own_neutral import calibrate_session
from tests.support.timeline import (
    START_MS,
    Given,
    movement_row,
    reading,
    row,
    session_row,
    timeline,
)

HEART = VitalKind.HEART_RATE
ANGRY = Expression((0.1, 0.05, 0.05, 0.1, 0.6, 0.04, 0.03, 0.03))
FAINT = Expression((0.68, 0.01, 0.01, 0.01, 0.26, 0.01, 0.01, 0.01))
OTHER = {"scale": "arousal"}


def study(folder: Path) -> Path:
    """Two sessions of a minute each: neutral from 0 to 20 s, anger from 30 to 50 s."""
    faces, moved, beats = [], [], []
    for start in (0.0, 100.0):
        faces += [row(start + at, Emotion.NEUTRAL) for at in range(1, 20)]
        faces += [row(start + at, Emotion.ANGER, shown=ANGRY) for at in range(30, 48)]
        faces += [row(start + at, None, shown=ANGRY) for at in (48, 49)]
        faces.append(row(start + 40.5, Emotion.HAPPINESS, primary=False))
        moved += [movement_row(start + at, smile=at / 100, yaw=-3.5) for at in range(1, 20)]
        beats += [reading(start + at, 70 + at) for at in range(60)]
    timeline(folder, session=[session_row(0, 60, (0, 20, "neutral"), (30, 50, "anger"))])
    rated: list[Given] = [
        {"at": 10, "value": 2} | OTHER,
        {"at": 25, "value": 3} | OTHER,  # of neutral, too: the last counts
        {"at": 55, "value": 8} | OTHER,
        {"at": 55, "value": 2},
    ]
    timeline(folder, self_report=rated)
    timeline(
        folder,
        session=[
            session_row(100, 160, (100, 120, "neutral"), (130, 150, "anger"), participant="P02")
        ],
    )
    timeline(folder, self_report=[{"at": 155, "value": 9} | OTHER])
    return timeline(folder, expression=faces, movement=moved, vital=beats)


def means(path: Path, *kinds: Measure) -> dict[tuple[int, str, str], list[float]]:
    """Session, condition and measure → how many values, and their mean."""
    reader = Reader(path)
    sums = reader.vital_sums(reader.stimuli([1, 2]), kinds)
    return {
        (one.session, one.condition, own.kind.value): [own.n, round(own.total / own.n, 9)]
        for one, own in sums
    }


def test_expressions_in_stimuli_are_means_of_the_plain_columns(tmp_path: Path) -> None:
    found = means(
        study(tmp_path),
        ExpressionKind.ANGER,
        ExpressionKind.VALENCE,
        ExpressionKind.LABELLED_ANGER,
        MovementKind.YAW,
        HEART,
    )
    assert found[1, "anger", "anger"] == [20, 60.0]
    # happiness less sadness, anger, disgust, fear and contempt: 5 − 10 − 60 − 4 − 3 − 3 points
    assert found[1, "anger", "valence"] == [20, -75.0]
    # 18 of 20 rows with a face; two are uncertain
    assert found[2, "anger", "labelled_anger"] == [20, 90.0]
    assert found[2, "neutral", "labelled_anger"] == [19, 0.0]
    assert found[1, "neutral", "yaw"] == [19, -3.5]
    assert found[1, "anger", "heart_rate"] == [20, 109.5]
    assert (1, "anger", "yaw") not in found


def test_ratings_are_of_the_stimulus_before_them_the_last_counts(tmp_path: Path) -> None:
    found = means(study(tmp_path), *RatingKind)
    assert found == {
        (1, "neutral", "sam_arousal"): [1, 3.0],
        (1, "anger", "sam_arousal"): [1, 8.0],
        (1, "anger", "sam_valence"): [1, 2.0],
        (2, "anger", "sam_arousal"): [1, 9.0],
    }


def test_own_neutral_shifts_no_measure_of_the_face(tmp_path: Path) -> None:
    path = timeline(tmp_path, session=[session_row(0, 100, (30, 90, "anger"))])
    # The shifted label is anger; as it was read, it is neutral, or uncertain.
    unsure = Expression((0.4, 0.05, 0.05, 0.05, 0.3, 0.05, 0.05, 0.05))
    faces = [row(at, Emotion.NEUTRAL) for at in range(1, 21)]
    faces += [row(at, Emotion.ANGER, shown=FAINT) for at in range(30, 60)]
    faces += [row(at, Emotion.ANGER, shown=unsure) for at in range(60, 90)]
    timeline(path, expression=faces)
    calibrate_session(path, 1, 0, 20)
    (neutral, angry, probability) = (
        ExpressionKind.LABELLED_NEUTRAL,
        ExpressionKind.LABELLED_ANGER,
        ExpressionKind.ANGER,
    )
    reader = Reader(path)
    sums = reader.vital_sums(reader.stimuli([1]), [neutral, angry, probability])
    assert {own.kind: own.total / own.n for _, own in sums} == {
        neutral: 50.0,
        angry: 0.0,
        probability: pytest.approx((26.0 + 30.0) / 2),
    }
    # The baseline that calibrated the session has no values.
    (series,) = reader.measure_series(reader.session_list(), [neutral])
    assert series.at_ms[0] == START_MS + 20_000
    assert series.values[:3].tolist() == [100.0, 100.0, 100.0]


def test_series_of_all_tables_are_in_order_of_sessions_and_kinds(tmp_path: Path) -> None:
    path = study(tmp_path)
    flagged = reading(60.5, 12.0, flags=(VitalFlag.OUT_OF_RANGE,))
    timeline(path, vital=[reading(10.5, 13.0, flags=(VitalFlag.OUT_OF_RANGE,)), flagged])
    reader = Reader(path)
    sessions = sorted(reader.session_list(), key=lambda one: one.id)
    kinds = (RatingKind.SAM_AROUSAL, ExpressionKind.ANGER, MovementKind.SMILE, HEART)
    found = reader.measure_series(sessions, kinds)
    assert [(one.session, one.kind, one.source) for one in found] == [
        (session, kind, source)
        for session in (1, 2)
        for kind, source in zip(kinds, (SELF_REPORT, FACE, FACE, "strap"), strict=True)
    ]
    rated, angry, smile, heart, *_ = found
    assert ((rated.at_ms - START_MS) / 1000).tolist() == [10.0, 25.0, 55.0]
    assert rated.values.tolist() == [2.0, 3.0, 8.0]
    assert (len(angry.values), angry.values[-1]) == (39, 60.0)
    assert smile.values[4] == pytest.approx(5.0)
    assert (len(heart.values), heart.left_out, heart.simulated) == (60, 1, False)
    counted = reader.measure_series(sessions, [HEART], [VitalFlag.OUT_OF_RANGE])
    assert (len(counted[0].values), counted[0].left_out) == (61, 0)


def test_measures_of_one_table_are_read_with_one_query(tmp_path: Path) -> None:
    reader = Reader(study(tmp_path))
    kinds = (*ExpressionKind, *MovementKind, *RatingKind, *VitalKind)
    with reader.at_one_moment(), reader.connect() as connection:
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        reader.measure_series(reader.session_list(), kinds)
        reader.piece_sums(reader.stimuli([1, 2]), kinds)
        connection.set_trace_callback(None)
    for table in ("expression", "movement", "self_report", "vital"):
        reads = [one for one in asked if f"FROM {table} " in one or f"JOIN {table}" in one]
        # The stimuli ask for what was reported of each, besides.
        assert len(reads) == (3 if table == "self_report" else 2), table


def test_face_rows_are_found_by_the_index_of_their_time(tmp_path: Path) -> None:
    reader = Reader(study(tmp_path))
    with reader.at_one_moment(), reader.connect() as connection:
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        reader.piece_sums(reader.stimuli([1]), [probability_of(one) for one in EMOTIONS])
        connection.set_trace_callback(None)
        (query,) = [one for one in asked if "FROM expression" in one]
        assert isinstance(connection, sqlite3.Connection)
        plan = [str(one["detail"]) for one in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert any("USING INDEX expression_at" in step for step in plan), plan


def test_faces_shown_in_stimuli_are_those_of_sums_and_labels(tmp_path: Path) -> None:
    path = study(tmp_path)
    timeline(path, expression=[row(9.5, None, simulated=True), row(42.5, Emotion.SADNESS)])
    exclusions.leave_out(
        path, 1, (START_MS + 31_000, START_MS + 34_000), reason="the phone rang", actor="ada"
    )
    reader = Reader(path)
    stimuli, sessions = reader.stimuli([1, 2]), reader.session_list()
    kinds, cuts = (ExpressionKind.ANGER, ExpressionKind.VALENCE), (0, 2000)
    sums, held = reader.shown_sums(stimuli, kinds, cuts)
    plain = reader.piece_sums(stimuli, kinds, cuts)
    columns = [field.name for field in fields(sums)]
    assert [list(getattr(sums, one)) for one in columns] == [
        list(getattr(plain, one)) for one in columns
    ]
    assert {"", "simulated"} == set(sums.flags)
    labels = reader.face_labels(sessions)
    assert held.T.tolist() == [
        labels[one.session].held_in(one.start_ms, one.end_ms).tolist() for one in stimuli
    ]
    pooled = PooledReader({"hall": reader, "room": reader})
    both, held_there = pooled.shown_sums(pooled.stimuli([2, 4, 3, 5]), kinds, cuts)
    assert held_there.T.tolist() == [*held.T.tolist()[:2]] * 2 + [*held.T.tolist()[2:]] * 2
    assert int(both.n.sum()) == 2 * int(sums.n.sum())


def test_face_that_is_not_known_counts_only_where_asked_for(tmp_path: Path) -> None:
    database = timeline(
        tmp_path,
        session=[session_row(0, 60, (0, 20, "neutral"))],
        expression=[
            row(1, Emotion.NEUTRAL, attribution="seat"),
            row(2, Emotion.ANGER, primary=False, attribution="unknown"),
            row(3, Emotion.ANGER, primary=False),
        ],
        movement=[movement_row(2, smile=0.5, primary=False) | {"attribution": "unknown"}],
    )
    kinds: list[Measure] = [probability_of(Emotion.ANGER), MovementKind.SMILE]
    plain, asked = (
        [
            (one.kind, list(one.values))
            for one in reader.measure_series(reader.session_list(), kinds)
        ]
        for reader in (Reader(database), Reader(database).count_unknown())
    )
    assert [len(values) for _, values in plain] == [1]
    assert [len(values) for _, values in asked] == [2, 1]
