"""The recorder: what becomes a row, when it is committed, and what happens when it cannot be."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError
from edge_agent.core.expression import Emotion, Expression, Recognition, RejectReason
from edge_agent.core.gaps import Gap
from edge_agent.core.vitals import VitalFlag, VitalKind, VitalReading
from edge_agent.store.database.schema import migrate
from edge_agent.store.read.reader import Reader
from edge_agent.store.write.outbox import Outbox, OutboxMessage
from edge_agent.store.write.recorder import Recorder
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

LONG = 3600.0


class Recording:
    """A running recorder and its database."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.path = path
        self.commits = threading.Semaphore(0)
        merged: dict[str, Any] = {
            "on_commit": self.commits.release,
            "batch_seconds": LONG,
            **settings,
        }
        self.recorder = Recorder(path, **merged)
        self.recorder.start()

    def submit(self, *items: Recognition | VitalReading | Gap | OutboxMessage) -> None:
        for item in items:
            self.recorder.submit(item)

    def committed(self) -> None:
        """Wait for the next commit."""
        assert self.commits.acquire(timeout=10), "nothing was committed"

    def finish(self) -> None:
        """End the recorder and see that it drained."""
        self.recorder.stop()
        assert self.recorder.join(10)
        assert self.recorder.error is None


def fill(path: Path) -> int:
    """Fill the database with what can be deleted later.

    Return its size, which a recorder may not exceed.
    """
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO audit (at, actor, action, detail) VALUES (1, 'a', 'b', ?)",
            ("x" * 300_000,),
        )
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


def make_room(path: Path) -> None:
    """Delete what ``fill`` wrote."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM audit")
        connection.commit()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "affect-edge.db"
    migrate(path)
    return path


@pytest.fixture
def recordings() -> Iterator[list[Recording]]:
    started: list[Recording] = []
    yield started
    for recording in started:
        recording.recorder.stop()
        assert recording.recorder.join(10)


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
    recording = Recording(path, interval_s=0.0)
    recording.submit(*(recognition(frame / 15, observation()) for frame in range(15)))
    recording.finish()
    assert query(path, "SELECT count(*), sum(frames), max(interval_ms) FROM expression") == [
        (15, 15, 0)
    ]


def test_an_uncertain_face_has_no_emotion_and_counts_as_uncertain(path: Path) -> None:
    recording = Recording(path, simulated=True)
    recording.submit(
        recognition(0.1, observation(None)), recognition(1.1, observation(Emotion.FEAR))
    )
    recording.finish()
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


def test_a_full_batch_is_committed_at_once(path: Path, recordings: list[Recording]) -> None:
    recordings.append(recording := Recording(path, batch_rows=5))
    recording.submit(*(reading(s) for s in range(5)))
    recording.committed()
    assert query(path, "SELECT count(*) FROM vital") == [(5,)]
    assert recording.recorder.last_commit_boot_s is not None
    assert recording.recorder.waiting_s == 0


def test_a_batch_that_does_not_fill_is_committed_after_its_seconds(
    path: Path, recordings: list[Recording]
) -> None:
    recordings.append(recording := Recording(path, batch_seconds=0.1))
    recording.submit(reading(0))
    recording.committed()
    assert query(path, "SELECT count(*) FROM vital") == [(1,)]


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
    recordings.append(recording := Recording(path, interval_s=0.05, batch_seconds=0.05))
    recording.submit(recognition(0.01, observation()))
    recording.committed()
    assert query(path, "SELECT at FROM expression") == [(START_MS + 50,)]


def test_a_time_without_faces_becomes_a_gap_when_it_ends(path: Path) -> None:
    recording = Recording(path)
    recording.submit(
        recognition(0, observation()),
        *(recognition(s) for s in range(1, 9)),
        recognition(9, observation()),
    )
    recording.submit(recognition(9.5), recognition(10, observation()))
    recording.submit(*(recognition(s) for s in range(11, 21)))
    recording.finish()
    assert query(path, "SELECT source, started, ended, reason FROM gap") == [
        ("camera", START_MS + 1000, START_MS + 9000, "no_face"),
        ("camera", START_MS + 11000, START_MS + 20000, "no_face"),
    ]


def test_a_time_in_which_the_camera_paused_is_no_time_without_faces(path: Path) -> None:
    recording = Recording(path)
    recording.submit(
        *(recognition(s) for s in range(6)), recognition(600), recognition(601, observation())
    )
    recording.submit(recognition(602), recognition(603), recognition(900, observation()))
    recording.finish()
    assert query(path, "SELECT started, ended, reason FROM gap") == [
        (START_MS, START_MS + 5000, "no_face")
    ]


def test_a_gap_that_is_submitted_is_recorded(path: Path) -> None:
    recording = Recording(path)
    recording.submit(Gap("camera", instant(1), instant(4), "stalled"))
    recording.finish()
    assert query(path, "SELECT source, started, ended, reason FROM gap") == [
        ("camera", START_MS + 1000, START_MS + 4000, "stalled")
    ]


def test_readings_are_kept_with_their_flags_and_an_implausible_one_is_flagged(path: Path) -> None:
    recording = Recording(path)
    recording.submit(
        reading(0, 71.5, flags=[VitalFlag.SIMULATED]), reading(1, 500.0), reading(2, 70.0)
    )
    recording.finish()
    assert query(path, "SELECT value, flags FROM vital ORDER BY at") == [
        (71.5, "simulated"),
        (500.0, "out_of_range"),
        (70.0, ""),
    ]
    assert query(path, "SELECT n, total, least, most, flagged, simulated FROM vital_minute") == [
        (2, 141.5, 70.0, 71.5, 1, 1)
    ]


def test_a_reading_that_is_no_number_is_not_recorded_but_counted(path: Path) -> None:
    recording = Recording(path)
    recording.submit(reading(0, float("nan")), reading(1, float("inf")), reading(2, 70.0))
    recording.finish()
    assert query(path, "SELECT value FROM vital") == [(70.0,)]
    assert recording.recorder.dropped == 2


def test_the_same_reading_twice_is_one_row_and_counted_once(path: Path) -> None:
    recording = Recording(path, batch_rows=1)
    recording.submit(reading(0), reading(0), reading(0, source="other"))
    recording.finish()
    assert query(path, "SELECT count(*) FROM vital") == [(2,)]
    assert query(path, "SELECT n FROM vital_minute") == [(2,)]


def test_a_jump_of_the_wall_clock_begins_a_new_boot_row(path: Path) -> None:
    recording = Recording(path, batch_rows=1)
    later = Instant(instant(5).boot_ms, instant(5).wall_ms + 60_000)
    jumped = VitalReading(later, VitalKind.HEART_RATE, 70.0, "strap")
    recording.submit(reading(0), reading(1), jumped)
    recording.finish()
    boots = query(path, "SELECT id, wall_minus_boot_ms FROM boot ORDER BY id")
    assert [offset for _, offset in boots] == [START_MS - 1_000_000, START_MS - 1_000_000 + 60_000]
    assert query(path, "SELECT boot FROM vital ORDER BY at") == [
        (boots[0][0],),
        (boots[0][0],),
        (boots[1][0],),
    ]


def test_a_boot_row_says_when_the_network_has_set_the_clock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[tuple[int]] = []
    for synchronised in (False, True, False):
        monkeypatch.setattr(clock, "is_synchronised", lambda known=synchronised: known)
        recording = Recording(path)
        recording.submit(reading(len(states)))
        recording.finish()
        states += [(found,) for (found,) in query(path, "SELECT synchronised FROM boot")]
    assert states == [(0,), (1,), (1,)]


def test_a_restart_of_the_agent_goes_on_with_the_same_boot_row(path: Path) -> None:
    for second in (0, 10):
        recording = Recording(path)
        recording.submit(reading(second))
        recording.finish()
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


def test_what_cannot_be_written_before_the_end_is_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recording = Recording(path, max_bytes=fill(path))
    recording.submit(*(reading(s) for s in range(1000)))
    recording.finish()
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
    recorder = Recorder(
        tmp_path / "affect-edge.db", on_death=lambda worker, error: deaths.append(error)
    )
    recorder.start()
    assert recorder.join(10)
    assert [type(error) for error in deaths] == [StoreError]
    assert "recorder died" in caplog.text


def test_nobody_can_submit_so_much_that_a_source_blocks(path: Path) -> None:
    recorder = Recorder(path)  # not started: nothing is taken from its queue
    for second in range(4001):
        recorder.submit(reading(second))
    recorder.stop()
    assert recorder.dropped == 1
    assert recorder.queue_depth == 4000


KILLED = """
import os, sys, time
from pathlib import Path
from edge_agent.store.write.recorder import Recorder
from edge_agent.store.database.schema import migrate
from tests.support.timeline import observation, reading, recognition
path = Path(sys.argv[1])
migrate(path)
recorder = Recorder(path, batch_rows=20, batch_seconds=3600, on_commit=lambda: os.write(1, b"commit \\n"))
recorder.start()
second = 0
while True:
    recorder.submit(recognition(second, observation()))
    os.write(1, b"frame %d\\n" % second)
    second += 1
    time.sleep(0.001)
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


def test_what_was_queued_before_the_stop_is_written(path: Path) -> None:
    recording = Recording(path)
    recording.submit(*(reading(s) for s in range(1000)), OutboxMessage("summary", {"n": 1}))
    recording.finish()
    assert query(path, "SELECT count(*) FROM vital") == [(1000,)]
    outbox = Outbox(path)
    assert outbox.count() == 1
    outbox.close()
