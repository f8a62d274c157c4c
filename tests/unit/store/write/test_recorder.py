"""The recorder: what becomes a row, when it is committed, and what happens when it cannot be."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.config.data import RecorderOptions
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError
from edge_agent.core.expression import Emotion, Expression, RejectReason
from edge_agent.core.readings import Gap, VitalFlag, VitalReading
from edge_agent.core.study import Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import connect
from edge_agent.store.read.reader import Reader
from edge_agent.store.salvage.rescue import Rescue
from edge_agent.store.study.study import Study
from edge_agent.store.write.batch import KEEP, PendingBatch
from edge_agent.store.write.outbox import Outbox, OutboxMessage, last_seq
from edge_agent.store.write.recorder import Recorder
from edge_agent.store.write.rollups import per_mille
from tests.support.clocks.simulated_time import Seconds
from tests.support.recording import Recording, fill, make_room, recorded
from tests.support.timeline import (
    START_MS,
    instant,
    mostly,
    observation,
    query,
    reading,
    recognition,
    wait_for,
)


def test_frames_of_a_second_become_one_row_for_each_face(path: Path) -> None:
    recording = Recording(path)
    half = Expression((0.5, 0.5, 0, 0, 0, 0, 0, 0))
    sure = Expression((0.0, 1.0, 0, 0, 0, 0, 0, 0))
    recording.submit(
        recognition(0.1, observation(raw=half), observation(Emotion.ANGER, track=2, primary=False)),
        recognition(0.5, observation(raw=sure)),
        recognition(1.1, observation(raw=sure)),
    )
    recording.finish()
    rows = query(
        path,
        "SELECT at, track, frames, neutral, happiness, emotion, face_size, quality, is_primary, "
        "interval_ms, simulated FROM expression",
    )
    assert rows == [
        (START_MS + 1000, 1, 2, 250, 750, "happiness", 120.0, 0.75, 1, 1000, 0),
        (START_MS + 1000, 2, 1, 20, 20, "anger", 120.0, 0.75, 0, 1000, 0),
        (START_MS + 1100, 1, 1, 0, 1000, "happiness", 120.0, 0.75, 1, 1000, 0),
    ]


def test_frames_that_cannot_be_read_are_counted_by_reason_and_are_in_no_mean(path: Path) -> None:
    recording = Recording(path, simulated=True)
    sure = mostly(Emotion.HAPPINESS, 1.0)
    misread = mostly(Emotion.ANGER, 1.0)
    dark = RejectReason.TOO_DARK
    turned = RejectReason.TURNED_AWAY
    recording.submit(
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
    )
    recording.finish()
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


def test_an_interval_of_zero_records_every_frame(path: Path) -> None:
    recorded(path, *(recognition(frame / 15, observation()) for frame in range(15)), interval=0.0)
    assert query(path, "SELECT count(*), sum(frames), max(interval_ms) FROM expression") == [
        (15, 15, 0)
    ]


def test_an_uncertain_face_has_no_emotion_and_counts_as_uncertain(path: Path) -> None:
    recorded(
        path,
        recognition(0.1, observation(None)),
        recognition(1.1, observation(Emotion.FEAR)),
        simulated=True,
    )
    assert query(path, "SELECT emotion, simulated FROM expression ORDER BY at") == [
        (None, 1),
        ("fear", 1),
    ]
    for table in ("expression_minute", "expression_hour"):
        assert query(
            path, f"SELECT rows, frames, uncertain, count_fear, simulated FROM {table}"
        ) == [(2, 2, 1, 1, 2)]
    assert query(path, "SELECT emotion FROM expression_view ORDER BY at_ms") == [
        ("uncertain",),
        ("fear",),
    ]


def test_rollups_are_what_the_rows_add_up_to(path: Path) -> None:
    recording = Recording(path, batch_rows=7)
    emotions = (Emotion.ANGER, Emotion.HAPPINESS, Emotion.NEUTRAL, None)
    recording.submit(*(recognition(s, observation(emotions[s // 9 % 4])) for s in range(150)))
    recording.submit(recognition(151, observation(track=5, primary=False)))
    recording.finish()
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


def test_a_message_is_committed_at_once_with_the_rows_before_it(
    path: Path, recordings: list[Recording]
) -> None:
    recordings.append(recording := Recording(path))
    recording.submit(
        reading(0), OutboxMessage("summary", {"frames": 3}), OutboxMessage("summary", {"frames": 4})
    )
    recording.committed()
    wait_for(
        lambda: query(path, "SELECT seq, topic FROM outbox") == [(1, "summary"), (2, "summary")]
    )
    assert query(path, "SELECT count(*) FROM vital") == [(1,)]


def test_faces_of_a_camera_that_stalls_are_written_without_a_further_frame(
    path: Path, recordings: list[Recording]
) -> None:
    recordings.append(recording := Recording(path, interval=0.05, batch_seconds=0.05))
    recording.submit(recognition(0.01, observation()))
    recording.committed()
    assert query(path, "SELECT at FROM expression") == [(START_MS + 50,)]


def test_a_time_without_faces_becomes_a_gap_when_it_ends(path: Path) -> None:
    recorded(
        path,
        recognition(0, observation()),
        *(recognition(s) for s in range(1, 9)),
        recognition(9, observation()),
        recognition(9.5),
        recognition(10, observation()),
        *(recognition(s) for s in range(11, 21)),
    )
    assert query(path, "SELECT source, started, ended, reason FROM gap") == [
        ("camera", START_MS + 1000, START_MS + 9000, "no_face"),
        ("camera", START_MS + 11000, START_MS + 20000, "no_face"),
    ]


def test_a_time_in_which_the_camera_paused_is_no_time_without_faces(path: Path) -> None:
    recorded(
        path,
        *(recognition(s) for s in range(6)),
        recognition(600),
        recognition(601, observation()),
        recognition(602),
        recognition(603),
        recognition(900, observation()),
    )
    assert query(path, "SELECT started, ended, reason FROM gap") == [
        (START_MS, START_MS + 5000, "no_face")
    ]


def test_a_gap_that_is_submitted_is_recorded(path: Path) -> None:
    recorded(path, Gap("camera", instant(1), instant(4), "stalled"))
    assert query(path, "SELECT source, started, ended, reason FROM gap") == [
        ("camera", START_MS + 1000, START_MS + 4000, "stalled")
    ]


def test_readings_are_kept_with_their_flags_and_an_implausible_one_is_flagged(path: Path) -> None:
    recorded(
        path, reading(0, 71.5, flags=[VitalFlag.SIMULATED]), reading(1, 500.0), reading(2, 70.0)
    )
    assert query(path, "SELECT value, flags FROM vital ORDER BY at") == [
        (71.5, "simulated"),
        (500.0, "out_of_range"),
        (70.0, ""),
    ]
    assert query(path, "SELECT n, total, least, most, flagged, simulated FROM vital_minute") == [
        (2, 141.5, 70.0, 71.5, 1, 1)
    ]


def test_a_reading_that_is_no_number_is_not_recorded_but_counted(path: Path) -> None:
    recorder = recorded(path, reading(0, float("nan")), reading(1, float("inf")), reading(2, 70.0))
    assert query(path, "SELECT value FROM vital") == [(70.0,)]
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


def test_a_restart_of_the_agent_goes_on_with_the_same_boot_row(path: Path) -> None:
    for second in (0, 10):
        recorded(path, reading(second))
    assert query(path, "SELECT count(*) FROM boot") == [(1,)]


def test_a_model_is_recorded_once_until_another_is_used(path: Path) -> None:
    for digest in ("aa", "aa", "bb"):
        recording = Recording(path)
        recording.recorder.record_model("expression", "fast", "1.0.0", digest)
        recording.finish()
    assert query(path, "SELECT kind, name, version, sha256 FROM model") == [
        ("expression", "fast", "1.0.0", "aa"),
        ("expression", "fast", "1.0.0", "bb"),
    ]


def test_after_a_message_rows_wait_for_their_batch_again(path: Path) -> None:
    recording = Recording(path)
    recording.submit(OutboxMessage("summary", {}))
    recording.committed()
    recording.submit(reading(0), reading(1), reading(2))
    recording.finish()
    recording.committed()
    assert not recording.commits.acquire(blocking=False), "each row was committed by itself"
    assert query(path, "SELECT count(*) FROM vital") == [(3,)]


def test_where_only_sessions_are_asked_for_rows_outside_are_not_written(path: Path) -> None:
    study = Study(path)
    study.create_participant("P-1")
    study.give_consent("P-1", "1")
    study.start_session("P-1", Purpose.RESEARCH, "", instant(10))
    study.end_session(instant(20))
    recorded(path, *(reading(second) for second in (9, 10, 20, 21)), only_in_sessions=True)
    assert query(path, "SELECT at - ? FROM vital", START_MS) == [(10_000,), (20_000,)]


@pytest.mark.parametrize(("jump_ms", "rows"), [(2000, 1), (-2000, 1), (2001, 2), (-2001, 2)])
def test_a_wall_clock_that_moves_by_more_than_two_seconds_jumps(
    path: Path, jump_ms: int, rows: int
) -> None:
    recording = Recording(path)
    later = Instant(instant(5).boot_ms, instant(5).wall_ms + jump_ms)
    recording.submit(reading(0), VitalReading(later, VitalKind.HEART_RATE, 70.0, "strap"))
    recording.finish()
    assert query(path, "SELECT count(*) FROM boot") == [(rows,)]


def test_before_anything_came_there_is_nothing_to_say(path: Path) -> None:
    recorder = Recorder(path)
    assert (recorder.queue_depth, recorder.dropped, recorder.duplicates) == (0, 0, 0)
    assert (recorder.waiting_s, recorder.last_error, recorder.last_commit_boot_s) == (0, None, None)
    recorder.submit(reading(0))
    assert recorder.queue_depth == 1


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


def test_messages_beyond_the_bound_of_the_outbox_go(path: Path) -> None:
    recorded(path, *(OutboxMessage("summary", {"n": number}) for number in range(3)), outbox_rows=2)
    with closing(Outbox(path)) as outbox:
        assert [(row.payload["n"], row.seq) for row in outbox.pending(9) if row.payload] == [
            (1, 2),
            (2, 3),
        ]


def test_a_batch_is_due_after_its_seconds_and_a_failed_one_later() -> None:
    seconds = Seconds()
    batch = PendingBatch(RecorderOptions(batch_seconds=2.0, retry_seconds=5.0), seconds)
    assert (batch.commit_at(), batch.waiting_s) == (None, 0.0)
    batch.add(reading(0))
    seconds.now += 1.5
    batch.add(reading(1))
    assert (batch.is_due(), batch.waiting_s) == (False, 1.5)
    seconds.now += 0.5
    assert (batch.is_due(), batch.commit_at()) == (True, seconds.now)
    batch.retry_later()
    seconds.now += 4.5
    assert not batch.is_due()
    seconds.now += 0.5
    assert batch.is_due()
    batch.committed(2)
    assert (batch.commit_at(), batch.waiting_s) == (None, 0.0)


def test_probabilities_are_kept_in_per_mille_and_rounding_leads_nowhere_else() -> None:
    probabilities = (1.0006, -0.0006, 0.0004, 0.0006, 0.5, 0.1234, 0.0, 1.0)
    assert per_mille(Expression(probabilities)) == [1000, 0, 0, 1, 500, 123, 0, 1000]


def test_a_refused_row_is_set_aside_and_the_rest_of_its_batch_is_written(path: Path) -> None:
    recording = Recording(path)
    recording.submit(
        reading(0),
        replace(reading(1), source=b"bytes"),  # type: ignore[arg-type]
        replace(reading(2), at=replace(instant(2), wall_ms=1 << 70)),
        replace(reading(3), value=10.0, kind=reading(3).kind, source="\ud800"),
        reading(4),
        OutboxMessage("summary", {"n": 1}),
    )
    recording.committed()
    recording.finish()
    assert query(path, "SELECT at FROM vital") == [(START_MS,), (START_MS + 4000,)]
    assert query(path, "SELECT sum(n) FROM vital_hour") == [(2,)]
    assert query(path, "SELECT count(*) FROM outbox") == [(1,)]
    assert query(path, "SELECT at, source FROM set_aside") == [
        (START_MS + 1000, "VitalReading"),
        (0, "VitalReading"),
        (START_MS + 3000, "VitalReading"),
    ]
    assert recording.recorder.set_aside == 3
    assert recording.recorder.dropped == 0


def test_no_more_are_kept_than_there_is_room_for(path: Path) -> None:
    recording = Recording(path)
    for second in range(KEEP + 50):
        recording.submit(replace(reading(second), source=b"bytes"))  # type: ignore[arg-type]
    recording.submit(OutboxMessage("summary", {}))
    recording.committed()
    recording.finish()
    assert query(path, "SELECT count(*), min(at) FROM set_aside")[0][0] == KEEP


def test_rows_wait_in_memory_while_the_database_is_full_and_are_written_when_there_is_room(
    path: Path, recordings: list[Recording], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "edge_agent.store.write.recorder")
    allowed = fill(path)
    recordings.append(
        recording := Recording(path, batch_rows=50, retry_seconds=0.05, max_bytes=allowed)
    )
    recording.submit(*(reading(s) for s in range(2000)))
    wait_for(lambda: recording.recorder.last_error is not None)
    error = recording.recorder.last_error
    assert isinstance(error, StoreError)
    assert "is full. Free space; recording goes on by itself" in str(error)
    wait_for(
        lambda: (
            recording.recorder.queue_depth == 2000 - query(path, "SELECT count(*) FROM vital")[0][0]
        )
    )
    assert recording.recorder.waiting_s > 0

    make_room(path)
    wait_for(lambda: recording.recorder.last_error is None)
    recording.finish()
    assert query(path, "SELECT count(*) FROM vital") == [(2000,)]
    assert query(path, "SELECT sum(n) FROM vital_hour") == [(2000,)]
    assert recording.recorder.dropped == 0
    assert [r.levelname for r in caplog.records] == ["ERROR", "INFO"], (
        "only changes of the state are logged"
    )


def test_rows_beyond_the_memory_are_dropped_counted_and_leave_a_gap(
    path: Path, recordings: list[Recording]
) -> None:
    allowed = fill(path)
    recordings.append(
        recording := Recording(
            path, batch_rows=1000, memory_rows=1000, retry_seconds=0.05, max_bytes=allowed
        )
    )
    recording.submit(*(reading(s) for s in range(1030)), OutboxMessage("summary", {}))
    wait_for(lambda: recording.recorder.dropped == 31)
    make_room(path)
    wait_for(lambda: recording.recorder.last_error is None)
    recording.finish()
    assert query(path, "SELECT count(*), max(at) FROM vital") == [(1000, START_MS + 999_000)]
    assert query(path, "SELECT source, started, ended, reason FROM gap") == [
        ("recorder", START_MS + 1000_000, START_MS + 1029_000, "not_written")
    ]


def test_a_summary_that_finds_no_room_in_memory_leaves_its_number_and_a_reason(
    path: Path, recordings: list[Recording]
) -> None:
    assert last_seq(path, "summary") == 0
    allowed = fill(path)
    recordings.append(
        recording := Recording(
            path, batch_rows=1000, memory_rows=1000, retry_seconds=0.05, max_bytes=allowed
        )
    )
    recording.submit(*(reading(s) for s in range(1000)))
    recording.submit(*(OutboxMessage("summary", {"seq": seq}) for seq in (1, 2)))
    wait_for(lambda: recording.recorder.dropped == 2)
    make_room(path)
    wait_for(lambda: recording.recorder.queue_depth == 0)
    recording.submit(OutboxMessage("summary", {"seq": 3}))
    recording.finish()
    assert query(path, "SELECT seq FROM outbox ORDER BY id") == [(3,)]
    assert query(path, "SELECT topic, first_seq, last_seq, reason FROM outbox_hole") == [
        ("summary", 1, 2, "not_written")
    ]


def test_what_cannot_be_written_before_the_end_is_said(
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


def test_a_database_that_is_damaged_ends_the_recorder_loudly(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE vital_hour")
    recording = Recording(path, batch_rows=1)
    recording.submit(reading(0))
    wait_for(lambda: not recording.recorder.is_alive)
    assert isinstance(recording.recorder.error, StoreError)
    assert "vital_hour" in str(recording.recorder.error)


def test_a_missing_database_ends_the_recorder_loudly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deaths: list[Exception] = []
    recorder = Recorder(tmp_path / "affect-edge.db")
    recorder.on_death = lambda worker, error: deaths.append(error)
    recorder.start()
    assert recorder.join(60)
    assert [type(error) for error in deaths] == [StoreError]
    assert "recorder died" in caplog.text


KILLED = """
import os, sys, time
from pathlib import Path
from edge_agent.store.write.recorder import Recorder
from edge_agent.config.data import RecorderOptions
from edge_agent.store.database.schema import migrate
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


def test_a_killed_recorder_loses_one_batch_at_the_most_and_the_file_opens_clean(
    tmp_path: Path,
) -> None:
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
    assert query(path, "SELECT sum(rows) FROM expression_hour") == [(rows,)]
    assert Reader(path).counts()["expression"] == rows


def test_a_database_that_was_opened_while_the_card_refused_writing_is_written_to_again(
    path: Path, recordings: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What SQLite does by itself where the system refuses (EROFS): it opens for reading only.
    refused = threading.Event()

    def connect_once(path: Path, *, readonly: bool, busy_seconds: float) -> sqlite3.Connection:
        readonly = readonly or not refused.is_set()
        refused.set()
        return connect(path, readonly=readonly, busy_seconds=busy_seconds)

    monkeypatch.setattr("edge_agent.store.database.lock.connect", connect_once)
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
