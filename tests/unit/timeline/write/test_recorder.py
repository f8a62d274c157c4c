"""The recorder: what becomes a row, when it is committed, and what happens when it cannot be."""

from __future__ import annotations

import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config.data import RecorderOptions
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.electrocardiogram import EcgStretch, unpack
from edge_agent.core.errors import StoreError
from edge_agent.core.expression import Attribution, Emotion, Expression, ExpressionRow, RejectReason
from edge_agent.core.movements import MovementRow
from edge_agent.core.readings import Gap, VitalFlag
from edge_agent.core.study import NewSession, Purpose
from edge_agent.timeline.database.connection import connect, write_transaction
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.salvage.rescue import Rescue
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.write import batch
from edge_agent.timeline.write.batch import BatchWriter, PendingBatch, set_aside
from edge_agent.timeline.write.outbox import Outbox, OutboxMessage, last_seq
from edge_agent.timeline.write.recorder import Arrivals, Intervals, Recorder
from edge_agent.timeline.write.rollups import per_mille
from tests.support.clocks.simulated_time import Seconds
from tests.support.recording import Recording, fill, make_room, recorded
from tests.support.timeline import (
    START_MS,
    instant,
    mostly,
    movements,
    observation,
    query,
    reading,
    recognition,
    wait_for,
)


@pytest.mark.parametrize(
    ("interval", "rows"),
    [
        (1.0, [(1000, 1, 2, 250, 750), (1000, 2, 1, 20, 20), (1100, 1, 1, 0, 1000)]),
        (0.0, [(100, 1, 1, 500, 500), (100, 2, 1, 20, 20), (500, 1, 1, 0, 1000),
               (1100, 1, 1, 0, 1000)]),
    ],
)  # fmt: skip
def test_frames_of_an_interval_become_one_row_for_each_face(
    path: Path, interval: float, rows: list[tuple[int, ...]]
) -> None:
    half = Expression((0.5, 0.5, 0, 0, 0, 0, 0, 0))
    sure = Expression((0.0, 1.0, 0, 0, 0, 0, 0, 0))
    recorded(
        path,
        recognition(0.1, observation(raw=half), observation(Emotion.ANGER, track=2, primary=False)),
        recognition(0.5, observation(raw=sure)),
        recognition(1.1, observation(raw=sure)),
        interval=interval,
    )
    columns = "track, frames, neutral, happiness"
    assert query(path, f"SELECT at - {START_MS}, {columns} FROM expression") == rows
    columns = "emotion, interval_ms / 1000.0, face_size, quality, is_primary, simulated"
    assert query(path, f"SELECT DISTINCT {columns} FROM expression ORDER BY track") == [
        ("happiness", interval, 120.0, 0.75, 1, 0),
        ("anger", interval, 120.0, 0.75, 0, 0),
    ]


def test_movements_are_means_over_the_frames_in_which_they_were_read(path: Path) -> None:
    recorded(
        path,
        recognition(0.1, observation(movements=movements(smile=0.2, yaw=-10.0, lip_press=1.0))),
        recognition(0.4, observation()),
        recognition(0.5, observation(movements=movements(smile=0.401, yaw=-11.0, look_x=-1.0))),
        recognition(0.7, observation(reject_reason=RejectReason.TOO_DARK)),
        recognition(1.2, observation(track=2, primary=False, movements=movements(jaw_open=1.0))),
        simulated=True,
    )
    columns = "track, frames, smile, lip_press, jaw_open, yaw, look_x, is_primary, simulated"
    assert query(path, f"SELECT at - {START_MS}, interval_ms, {columns} FROM movement") == [
        (1000, 1000, 1, 2, 300, None, 0, -105, -500, 1, 1),
        (1200, 1000, 2, 1, 0, None, 1000, 0, 0, 0, 1),
    ]
    view = "SELECT smile, yaw, look_x, participant FROM movement_view ORDER BY at_ms"
    assert query(path, view) == [(0.3, -10.5, -0.5, None), (0.0, 0.0, 0.0, None)]


def test_a_head_turned_away_has_pose_and_look_and_no_strengths_recorded(path: Path) -> None:
    turned = RejectReason.TURNED_AWAY
    away = replace(movements(smile=0.9, yaw=50.0, look_y=0.2), only_pose=True)
    recorded(
        path,
        recognition(0.1, observation(movements=movements(smile=0.2, yaw=20.0))),
        recognition(0.5, observation(movements=away, reject_reason=turned)),
        recognition(1.2, observation(movements=away, reject_reason=turned)),
        recognition(1.4, observation(movements=away, reject_reason=turned)),
    )
    columns = "frames, smile, jaw_open, yaw, look_y, is_primary"
    assert query(path, f"SELECT at - {START_MS}, {columns} FROM movement") == [
        (1000, 2, 200, 0, 350, 100, 1),
        (1400, 2, None, None, 500, 200, 1),
    ]
    assert query(path, "SELECT count(*) FROM expression") == [(1,)]
    assert query(path, "SELECT sum(frames) FROM unfit WHERE reason = 'turned_away'") == [(3,)]


def test_frames_that_cannot_be_read_are_counted_by_reason(path: Path) -> None:
    sure = mostly(Emotion.HAPPINESS, 1.0)
    misread = mostly(Emotion.ANGER, 1.0)
    dark = RejectReason.TOO_DARK
    turned = RejectReason.TURNED_AWAY
    recorded(
        path,
        recognition(0.1, observation(raw=sure)),
        recognition(
            0.3,
            observation(raw=misread, reject_reason=dark),
            observation(track=2, primary=False, reject_reason=dark),
        ),
        recognition(0.5, observation(raw=misread, reject_reason=turned)),
        recognition(0.7, observation(raw=misread, reject_reason=dark)),
        recognition(1.2, observation(raw=misread, reject_reason=turned)),
        recognition(2.5, observation(raw=sure)),
        simulated=True,
    )
    assert query(path, "SELECT at, frames, happiness, anger FROM expression ORDER BY at") == [
        (START_MS + 1000, 1, 1000, 0),
        (START_MS + 2500, 1, 1000, 0),
    ]
    assert query(
        path,
        "SELECT at, boot_ms - 1000000, interval_ms, track, reason, frames, is_primary, "
        "simulated FROM unfit",
    ) == [
        (START_MS + 1000, 1000, 1000, 1, "too_dark", 2, 1, 1),
        (START_MS + 1000, 1000, 1000, 1, "turned_away", 1, 1, 1),
        (START_MS + 1000, 1000, 1000, 2, "too_dark", 1, 0, 1),
        (START_MS + 2000, 2000, 1000, 1, "turned_away", 1, 1, 1),
    ]
    assert query(path, "SELECT count(*) FROM gap") == [(0,)], "a face was there"


def test_an_uncertain_face_has_no_emotion_and_counts_as_uncertain(path: Path) -> None:
    frames = (recognition(0.1, observation(None)), recognition(1.1, observation(Emotion.FEAR)))
    recorded(path, *frames, simulated=True)
    for table in ("expression_minute", "expression_hour"):
        assert query(
            path, f"SELECT rows, frames, uncertain, count_fear, simulated FROM {table}"
        ) == [(2, 2, 1, 1, 2)]
    shown = query(path, "SELECT emotion FROM expression_view ORDER BY at_ms")
    assert shown == [("uncertain",), ("fear",)]


def test_rollups_are_what_the_rows_add_up_to(path: Path) -> None:
    emotions = (Emotion.ANGER, Emotion.HAPPINESS, Emotion.NEUTRAL, None)
    frames = [recognition(s, observation(emotions[s // 9 % 4])) for s in range(150)]
    recorded(path, *frames, recognition(151, observation(track=5, primary=False)), batch_rows=7)
    for table, length in (("expression_minute", 60_000), ("expression_hour", 3_600_000)):
        rolled = query(
            path,
            "SELECT at, rows, frames, uncertain, sum_anger, count_anger, count_happiness "
            f"FROM {table}",
        )
        assert rolled == query(
            path,
            "SELECT at / ?1 * ?1, count(*), sum(frames), sum(emotion IS NULL), sum(anger), "
            "sum(emotion IS 'anger'), sum(emotion IS 'happiness') FROM expression WHERE is_primary "
            "GROUP BY 1 ORDER BY 1".replace("?1", str(length)),
        )


def test_a_message_is_committed_at_once_and_rows_after_it_wait_again(path: Path) -> None:
    recording = Recording(path)
    recording.submit(reading(0), OutboxMessage("summary", {}))
    recording.committed()
    assert query(path, "SELECT count(*) FROM vital, outbox") == [(1,)]
    recording.submit(reading(1), reading(2), reading(3))
    recording.finish()
    recording.committed()
    assert not recording.commits.acquire(blocking=False), "each row was committed by itself"
    assert query(path, "SELECT count(*) FROM vital") == [(4,)]


def test_faces_of_a_camera_that_stalls_are_written(path: Path, recordings: list[Recording]) -> None:
    recordings.append(recording := Recording(path, interval=0.05, batch_seconds=0.05))
    recording.submit(recognition(0.01, observation()))
    recording.committed()
    assert query(path, "SELECT at FROM expression") == [(START_MS + 50,)]


def test_a_time_without_faces_is_a_gap_unless_the_camera_paused(path: Path) -> None:
    recorded(
        path,
        recognition(0, observation()),
        *(recognition(s) for s in range(1, 9)),
        recognition(9, observation()),
        recognition(9.5),
        recognition(10, observation()),
        *(recognition(s) for s in range(11, 21)),
        recognition(600),
        recognition(601, observation()),
        recognition(602),
        recognition(900, observation()),
        *(recognition(s) for s in range(901, 906)),
    )
    gaps = query(path, "SELECT source, started - ?1, ended - ?1, reason FROM gap", START_MS)
    assert gaps == [
        ("camera", 1_000, 9_000, "no_face"),
        ("camera", 11_000, 20_000, "no_face"),
        ("camera", 901_000, 905_000, "no_face"),
    ]


def test_time_without_light_is_a_gap_with_its_own_reason(path: Path) -> None:
    recorded(
        path,
        recognition(0, observation()),
        *(recognition(s) for s in range(1, 5)),
        *(recognition(s, blank=True) for s in range(5, 15)),
        *(recognition(s) for s in range(15, 20)),
        recognition(20, observation()),
        *(recognition(s, blank=s == 22) for s in range(21, 30)),
        recognition(30, observation()),
    )
    gaps = query(path, "SELECT started - ?1, ended - ?1, reason FROM gap", START_MS)
    assert gaps == [
        (1_000, 5_000, "no_face"),
        (5_000, 15_000, "lens_covered"),
        (15_000, 20_000, "no_face"),
        (21_000, 30_000, "no_face"),
    ]


def test_readings_are_kept_with_their_flags_unless_they_are_no_numbers(path: Path) -> None:
    simulated = reading(0, 71.5, flags=[VitalFlag.SIMULATED])
    no_numbers = (reading(3, float("nan")), reading(4, float("inf")))
    recorder = recorded(path, simulated, reading(1, 500.0), reading(2, 70.0), *no_numbers)
    assert query(path, "SELECT value, flags FROM vital ORDER BY at") == [
        (71.5, "simulated"),
        (500.0, "out_of_range"),
        (70.0, ""),
    ]
    assert query(path, "SELECT n, total, least, most, flagged, simulated FROM vital_minute") == [
        (2, 141.5, 70.0, 71.5, 1, 1)
    ]
    assert recorder.dropped == 2


def test_a_boot_row_says_when_the_network_has_set_the_clock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[tuple[int]] = []
    monkeypatch.setattr(clock, "now", lambda: instant(len(states)))
    for synchronised in (False, True, False):
        monkeypatch.setattr(clock, "is_synchronised", lambda known=synchronised: known)
        recorded(path, reading(len(states)))
        states += [(found,) for (found,) in query(path, "SELECT synchronised FROM boot")]
    assert states == [(0,), (1,), (1,)]


def test_a_model_is_recorded_once_until_another_is_used(path: Path) -> None:
    for version, digest, prior in (
        *(("1.0.0", "aa", "data"), ("1.0.0", "aa", "data"), ("1.1.0", "aa", "data")),
        *(("1.1.0", "bb", "data"), ("1.1.0", "bb", "balanced")),
    ):
        recording = Recording(path)
        recording.recorder.record_model("expression", "fast", version, digest, prior)
        recording.finish()
    assert query(path, "SELECT kind, name, version, sha256, prior FROM model") == [
        ("expression", "fast", "1.0.0", "aa", "data"),
        ("expression", "fast", "1.1.0", "aa", "data"),
        ("expression", "fast", "1.1.0", "bb", "data"),
        ("expression", "fast", "1.1.0", "bb", "balanced"),
    ]


def test_where_only_sessions_are_asked_for_rows_outside_are_not_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study(path)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: instant(5))
        study.create_participant("P-1")
        study.give_consent("P-1", "1")
    study.start_session(NewSession("P-1", Purpose.RESEARCH), instant(10))
    study.end_session(instant(20))
    recorded(path, *(reading(second) for second in (9, 10, 20, 21)), only_in_sessions=True)
    assert query(path, "SELECT at - ? FROM vital", START_MS) == [(10_000,), (20_000,)]


def test_electrocardiogram_is_cut_where_only_sessions_are_asked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study(path)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: instant(5))
        study.create_participant("P-1")
        study.give_consent("P-1", "1")
    study.start_session(NewSession("P-1", Purpose.RESEARCH), instant(10))
    study.end_session(instant(30))
    kept = [EcgStretch(instant(end), "s", 10.0, tuple(range(10))) for end in (5, 15, 25, 35, 45)]
    recorded(path, *kept, only_in_sessions=True)
    rows = query(path, "SELECT at - ?, interval_ms, samples, packed FROM ecg ORDER BY at", START_MS)
    assert [(at, length, unpack(packed, n)) for at, length, n, packed in rows] == [
        (15_000, 6_000, [4, 5, 6, 7, 8, 9]),
        (25_000, 10_000, list(range(10))),
        (30_000, 5_000, [0, 1, 2, 3, 4]),
    ]


@pytest.mark.parametrize(("jump_ms", "rows"), [(2000, 1), (-2000, 1), (2001, 2), (-2001, 2)])
def test_a_wall_clock_that_moves_by_more_than_two_seconds_jumps(
    path: Path, jump_ms: int, rows: int
) -> None:
    later = Instant(instant(5).boot_ms, instant(5).wall_ms + jump_ms)
    recorded(path, reading(0), replace(reading(5), at=later))
    assert query(path, "SELECT count(*) FROM boot") == [(rows,)]


def test_readings_that_were_there_already_are_counted(path: Path) -> None:
    recording = Recording(path, batch_rows=4)
    recording.submit(reading(0), reading(0), reading(0), reading(1))
    recording.committed()
    assert recording.recorder.duplicates == 2
    recording.submit(reading(0), reading(1))
    recording.finish()
    assert recording.recorder.duplicates == 4
    assert query(path, "SELECT count(*) FROM vital") == [(2,)]
    assert query(path, "SELECT n FROM vital_minute") == [(2,)]


def test_sixty_rows_are_a_batch_and_a_commit_says_when_it_was(path: Path) -> None:
    recording = Recording(path)
    before = clock.boot_seconds()
    recording.submit(*(reading(second) for second in range(61)))
    recording.committed()
    assert query(path, "SELECT count(*) FROM vital") == [(60,)]
    assert recording.recorder.last_commit_boot_s is not None
    assert before <= recording.recorder.last_commit_boot_s <= clock.boot_seconds()
    recording.finish()
    assert query(path, "SELECT count(*) FROM vital") == [(61,)]


def test_batch_of_movements_alone_is_not_due() -> None:
    pending = PendingBatch(RecorderOptions(batch_rows=2), Seconds())
    moved = MovementRow(instant(0), 1, 5, movements().values, True)
    shown = mostly(Emotion.HAPPINESS)
    face = ExpressionRow(instant(0), 1, 10, shown, shown, Emotion.HAPPINESS, 120.0, 0.75, True)
    pending.add(moved, moved, face)
    assert not pending.is_due()
    pending.add(face)
    assert pending.is_due() and len(pending.portion()) == 4
    pending.remove_written(3)
    pending.add(moved)
    assert not pending.is_due()
    pending.add(face)
    assert pending.is_due()


def test_a_batch_is_due_after_its_seconds_and_a_failed_one_later() -> None:
    seconds = Seconds()
    pending = PendingBatch(RecorderOptions(batch_seconds=2.0, retry_seconds=5.0), seconds)
    assert (pending.commit_at(), pending.waiting_s) == (None, 0.0)
    pending.add(reading(0))
    seconds.now += 1.5
    pending.add(reading(1))
    assert (pending.is_due(), pending.waiting_s) == (False, 1.5)
    seconds.now += 0.5
    assert (pending.is_due(), pending.commit_at()) == (True, seconds.now)
    pending.retry_later()
    seconds.now += 4.5
    assert not pending.is_due()
    seconds.now += 0.5
    assert pending.is_due()
    pending.remove_written(2)
    assert (pending.commit_at(), pending.waiting_s) == (None, 0.0)


def test_probabilities_are_kept_in_per_mille() -> None:
    probabilities = (1.0006, -0.0006, 0.0004, 0.0006, 0.5, 0.1234, 0.0, 1.0)
    assert per_mille(Expression(probabilities)) == [1000, 0, 0, 1, 500, 123, 0, 1000]


def test_refused_row_is_kept_whole_or_says_that_it_is_cut(path: Path) -> None:
    samples = list(range(1000, 2300))  # ten seconds of an electrocardiogram
    with write_transaction(path) as connection:
        set_aside(connection, 0, "EcgStretch", {"samples": samples}, "no")
        set_aside(connection, 0, "protocol_run", {"plan": "x" * 200_000}, "no")
    whole, cut = query(path, "SELECT content, reason FROM set_aside ORDER BY id")
    assert (json.loads(whole[0]), whole[1]) == ({"samples": samples}, "no")
    assert len(cut[0]) == 100_000
    assert cut[1] == "no; of 200,012 characters of its content the first 100,000 are here"


def test_refused_rows_are_set_aside_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "KEEP", 2)
    recorder = recorded(
        path,
        reading(0),
        replace(reading(1), source=b"bytes"),  # type: ignore[arg-type]
        replace(reading(2), at=replace(instant(2), wall_ms=1 << 70)),
        replace(reading(3), value=10.0, source="\ud800"),
        reading(4),
        *(OutboxMessage("summary", {}) for _ in range(3)),
        outbox_rows=2,
    )
    assert query(path, "SELECT at FROM vital") == [(START_MS,), (START_MS + 4000,)]
    assert query(path, "SELECT sum(n) FROM vital_hour") == [(2,)]
    assert query(path, "SELECT seq FROM outbox") == [(2,), (3,)]
    assert query(path, "SELECT at, source FROM set_aside") == [
        (0, "VitalReading"),
        (START_MS + 3000, "VitalReading"),
    ]
    assert (recorder.set_aside, recorder.dropped) == (3, 0)


@pytest.mark.parametrize(
    ("options", "item", "wakes"),
    [
        (RecorderOptions(batch_rows=3), recognition(0.2), False),
        (RecorderOptions(batch_rows=3), reading(0.2), False),
        (RecorderOptions(batch_rows=1), recognition(0.2), True),  # as many as a batch has
        (RecorderOptions(batch_rows=3), OutboxMessage("summary", {"seq": 1}), True),
        (RecorderOptions(batch_rows=3), Gap("camera", instant(0), instant(1), "gone"), True),
    ],
)
def test_frames_and_readings_gather_where_the_recorder_wakes_soon(
    monkeypatch: pytest.MonkeyPatch, options: RecorderOptions, item: Any, wakes: bool
) -> None:
    seconds = Seconds()
    monkeypatch.setattr(clock, "boot_seconds", seconds)
    arrivals = Arrivals(10, options)
    arrivals.put(recognition(0.1))
    assert arrivals.take(math.inf)
    assert arrivals.take(seconds()) is None  # which would wait until now
    arrivals.put(item)
    assert arrivals.is_woken is wakes
    assert arrivals.take(math.inf) is item


def test_rows_wait_in_memory_while_the_database_is_full(
    path: Path, recordings: list[Recording], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "edge_agent.timeline.write.recorder")
    rooms: dict[str, Any] = {"batch_rows": 50, "max_bytes": fill(path)}
    recordings.append(recording := Recording(path, retry_seconds=0.05, **rooms))
    begun = clock.now()
    recording.submit(*(reading(s) for s in range(2000)))
    wait_for(lambda: recording.recorder.last_error is not None)
    error = recording.recorder.last_error
    assert isinstance(error, StoreError)
    assert "is full. Free space. A running agent then goes on recording" in str(error)
    unstored = recording.recorder.unstored
    assert unstored is not None
    assert begun <= unstored.since <= clock.now()
    vitals = "SELECT count(*) FROM vital"
    wait_for(lambda: recording.recorder.queue_depth == 2000 - query(path, vitals)[0][0])
    assert recording.recorder.waiting_s > 0
    make_room(path)
    wait_for(lambda: recording.recorder.unstored is None)
    recording.finish()
    assert query(path, vitals) == [(2000,)]
    assert query(path, "SELECT sum(n) FROM vital_hour") == [(2000,)]
    assert recording.recorder.dropped == 0
    assert [r.levelname for r in caplog.records] == ["ERROR", "INFO"], (
        "only changes of the state are logged"
    )


def test_rows_that_do_not_fit_into_memory_leave_a_gap(
    path: Path, recordings: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = map(instant, range(1000, 1030))
    monkeypatch.setattr(batch, "now", lambda: next(moments))
    assert last_seq(path, "summary") == 0
    rooms: dict[str, Any] = {"batch_rows": 1000, "memory_rows": 1000, "max_bytes": fill(path)}
    recordings.append(recording := Recording(path, retry_seconds=0.05, **rooms))
    recording.submit(*(reading(s) for s in range(1030)))
    recording.submit(*(OutboxMessage("summary", {"seq": seq}) for seq in (1, 2)))
    wait_for(lambda: recording.recorder.dropped == 32)
    make_room(path)
    wait_for(lambda: recording.recorder.queue_depth == 0)
    recording.submit(OutboxMessage("summary", {"seq": 3}))
    recording.finish()
    assert query(path, "SELECT count(*), max(at) FROM vital") == [(1000, START_MS + 999_000)]
    assert query(path, "SELECT source, started, ended, reason FROM gap") == [
        ("recorder", START_MS + 1000_000, START_MS + 1029_000, "not_written")
    ]
    assert query(path, "SELECT seq FROM outbox ORDER BY id") == [(3,)]
    assert query(path, "SELECT topic, first_seq, last_seq, reason FROM outbox_hole") == [
        ("summary", 1, 2, "not_written")
    ]


def test_what_cannot_be_written_before_the_end_is_reported(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorded(path, *(reading(s) for s in range(1000)), max_bytes=fill(path))
    assert "rows could not be written before the end" in caplog.text


def test_another_program_that_writes_for_long_is_waited_for(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        recording = Recording(path, batch_rows=1)
        recording.submit(reading(0))
        wait_for(
            lambda: recording.recorder.queue_depth == 1 and recording.recorder.waiting_s > 0.05
        )
        other.execute("ROLLBACK")
    recording.committed()
    recording.finish()
    assert recording.recorder.last_error is None


@pytest.mark.parametrize("wrong", ["there is no database", "vital_hour"])
def test_a_database_without_cure_ends_the_recorder_loudly(
    path: Path, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    if wrong == "vital_hour":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TABLE vital_hour")
    else:
        path.unlink()
    deaths: list[Exception] = []
    recorder = Recorder(path, RecorderOptions(batch_rows=1))
    recorder.on_death = lambda worker, error: deaths.append(error)
    recorder.submit(reading(0))
    recorder.start()
    assert recorder.join(60)
    (death,) = deaths
    assert isinstance(death, StoreError) and wrong in str(death)
    assert "recorder died" in caplog.text


KILLED = """
import os, sys, time
from pathlib import Path
from edge_agent.timeline.write.recorder import Recorder
from edge_agent.config.data import RecorderOptions
from edge_agent.timeline.database.upgrade import migrate
from tests.support.timeline import observation, reading, recognition
path = Path(sys.argv[1])
migrate(path)
options = RecorderOptions.model_construct(batch_rows=20, batch_seconds=3600)
recorder = Recorder(path, options, on_commit=lambda: os.write(1, b"commit \\n"))
recorder.start()
second = 0
while True:
    while recorder.queue_depth > 20:  # no more than a batch waits, however slow the disk is
        time.sleep(0.001)
    recorder.submit(recognition(second, observation()))
    os.write(1, b"frame %d\\n" % second)
    second += 1
"""


def test_a_killed_recorder_loses_one_batch_at_the_most(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)],
        stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        commits = last = 0
        for line in process.stdout:
            word, _, number = line.partition(" ")
            commits += word == "commit"
            last = int(number) if word == "frame" else last
            if commits >= 5 and last % 20 == 13 and process.poll() is None:
                process.kill()
    assert process.returncode == -signal.SIGKILL
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    rows = query(path, "SELECT count(*) FROM expression")[0][0]
    assert rows >= 100
    # The row of second n is complete with the frame of second n + 1; 20 rows are a batch.
    assert last - rows <= 20 + 2
    assert sum(Reader(path).trend(START_MS, START_MS + 300 * 3_600_000).rows) == rows
    assert Reader(path).counts()["expression"] == rows
    with write_transaction(path) as connection:  # the next start rolls up what was left
        BatchWriter(RecorderOptions()).write(connection, [])
    assert query(path, "SELECT sum(rows) FROM expression_hour") == [(rows,)]


def test_a_database_opened_read_only_is_opened_again(
    path: Path, recordings: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What SQLite does by itself where the system refuses (EROFS): it opens for reading only.
    refused = threading.Event()

    def connect_once(path: Path, *, readonly: bool, busy_seconds: float) -> sqlite3.Connection:
        readonly = readonly or not refused.is_set()
        refused.set()
        return connect(path, readonly=readonly, busy_seconds=busy_seconds)

    monkeypatch.setattr("edge_agent.timeline.database.followed_file.connect", connect_once)
    recording = Recording(path, safe=Rescue(path), batch_rows=1, retry_seconds=0.05)
    recordings.append(recording)
    recording.submit(reading(0))
    recording.committed()
    assert refused.is_set()
    outbox = Outbox(path)
    refused.clear()
    with pytest.raises(StoreError, match="no permission"):
        outbox.clear()
    assert outbox.clear() == 0
    outbox.close()


def test_row_has_the_attribution_of_most_frames() -> None:
    known = replace(observation(), attribution=Attribution.SEAT)
    unknown = replace(observation(primary=False), attribution=Attribution.UNKNOWN)
    frames = [known, unknown, unknown, known, known, unknown, observation(primary=False)]
    seconds = (0.1, 0.2, 0.3, 1.1, 1.2, 1.3, 2.1)
    intervals = Intervals(1.0)
    pairs = zip(seconds, frames, strict=True)
    rows = [row for s, one in pairs for row in intervals.add(recognition(s, one))]
    rows += intervals.close()
    assert [(row.primary, row.attribution) for row in rows if isinstance(row, ExpressionRow)] == [
        (False, "unknown"),
        (True, "seat"),
        (False, None),
    ]
