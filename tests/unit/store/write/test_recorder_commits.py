"""When the recorder commits, and what a commit leaves behind."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.config.data import RecorderOptions
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Expression
from edge_agent.core.readings import VitalReading
from edge_agent.core.study import Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import migrate
from edge_agent.store.study.study import Study
from edge_agent.store.write.batch import PendingBatch
from edge_agent.store.write.outbox import Outbox, OutboxMessage
from edge_agent.store.write.recorder import Recorder
from edge_agent.store.write.rollups import per_mille
from tests.support.clocks.simulated_time import Seconds
from tests.support.recording import Recording
from tests.support.timeline import START_MS, instant, query, reading


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "affect-edge.db"
    migrate(path)
    return path


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
    recording = Recording(path, only_in_sessions=True)
    recording.submit(*(reading(second) for second in (9, 10, 20, 21)))
    recording.finish()
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
    recording = Recording(path, outbox_rows=2)
    recording.submit(*(OutboxMessage("summary", {"n": number}) for number in range(3)))
    recording.finish()
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
