"""What the recorder does when rows cannot be written, and when it ends or is killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import connect
from edge_agent.store.read.reader import Reader
from edge_agent.store.salvage.rescue import Rescue
from edge_agent.store.write.outbox import Outbox, OutboxMessage, last_seq
from edge_agent.store.write.recorder import Recorder
from tests.support.recording import Recording, fill, make_room
from tests.support.timeline import START_MS, query, reading, wait_for


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
    assert recorder.join(60)
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


def test_what_was_queued_before_the_stop_is_written(path: Path) -> None:
    recording = Recording(path)
    recording.submit(*(reading(s) for s in range(1000)), OutboxMessage("summary", {"n": 1}))
    recording.finish()
    assert query(path, "SELECT count(*) FROM vital") == [(1000,)]
    outbox = Outbox(path)
    assert outbox.count() == 1
    outbox.close()


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
