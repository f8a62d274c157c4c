"""A row that the database refuses ends neither its batch nor the recorder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edge_agent.store.write.batch import KEEP
from edge_agent.store.write.outbox import OutboxMessage
from tests.support.recording import Recording
from tests.support.timeline import START_MS, instant, query, reading


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
